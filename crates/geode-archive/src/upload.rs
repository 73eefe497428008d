//! Uploads a sealed segment: checks the file, stores it by put-if-absent, and looks at what is stored.

use crate::content::Content;
use crate::fetch::check_segment;
use crate::layout::{Lineage, SegmentRange};
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put, same_content};
use geode_types::GroupId;
use std::path::Path;

/// Why a segment is not archived.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The archive has other bytes under its name: two histories under one name, or a damaged object. Nothing was changed.
    #[error(
        "{place} holds other bytes than {file}; the archive was not changed. Compare the two; if the object is wrong, move it away, \
         then take a base backup"
    )]
    Conflict {
        /// The object.
        place: String,
        /// The local file.
        file: String,
    },
    /// The local file is not a sound segment; it is not sent.
    #[error("the segment {file} on the WAL volume is damaged and was not archived: {detail}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

/// Archives a segment, or finds that the same bytes are archived already. Returns its size.
pub async fn upload_segment(
    store: &dyn ObjectStore,
    lineage: Lineage,
    range: SegmentRange,
    path: &Path,
) -> Result<u64, UploadError> {
    let content = sound_segment(lineage, range, path).await?;
    let key = lineage.segment(GroupId(0), range);
    match store.put_if_absent(&key, &content).await? {
        Put::Conflict => return Err(conflict(store, &key, path)),
        // The comparison has just looked at it.
        Put::SameContent => return Ok(content.bytes()),
        Put::Created => {}
    }
    match store.head(&key).await? {
        Some(info)
            if info.bytes == content.bytes() && info.sha256.is_none_or(|hash| hash == content.sha256()) =>
        {
            Ok(content.bytes())
        }
        Some(_) => Err(conflict(store, &key, path)),
        None => {
            let detail = "it was stored and is not there";
            Err(ObjectError::new(
                ErrorKind::Unavailable,
                format!("verify {}", store.url(&key)),
                detail,
            )
            .into())
        }
    }
}

/// Compares an archived segment with the member's own. `false` when it is not archived.
pub async fn verify_segment(
    store: &dyn ObjectStore,
    lineage: Lineage,
    range: SegmentRange,
    path: &Path,
) -> Result<bool, UploadError> {
    let content = sound_segment(lineage, range, path).await?;
    let key = lineage.segment(GroupId(0), range);
    match same_content(store, &key, &content).await? {
        Some(true) => Ok(true),
        Some(false) => Err(conflict(store, &key, path)),
        None => Ok(false),
    }
}

async fn sound_segment(lineage: Lineage, range: SegmentRange, path: &Path) -> Result<Content, UploadError> {
    let file = path.display().to_string();
    let unreadable = |error| ObjectError::new(ErrorKind::Local, format!("read {file}"), error);
    let owned = path.to_owned();
    if !tokio::fs::try_exists(path).await.map_err(unreadable)? {
        return Err(unreadable(std::io::ErrorKind::NotFound.into()).into());
    }
    let checked = tokio::task::spawn_blocking(move || check_segment(&owned, lineage, range)).await;
    let checked = checked.unwrap_or_else(|error| Err(error.to_string()));
    checked.map_err(|detail| UploadError::Damaged {
        file: path.display().to_string(),
        detail,
    })?;
    Ok(Content::from_file(path).await.map_err(unreadable)?)
}

fn conflict(store: &dyn ObjectStore, key: &str, path: &Path) -> UploadError {
    UploadError::Conflict {
        place: store.url(key),
        file: path.display().to_string(),
    }
}
