//! Uploads a checked segment: stores it by put-if-absent, and looks at what is stored.

use crate::segment::SoundSegment;
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put, same_content};
use geode_types::GroupId;

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
pub async fn upload_segment(store: &dyn ObjectStore, segment: &SoundSegment) -> Result<u64, UploadError> {
    let (content, key) = (&segment.content, key(segment));
    match store.put_if_absent(&key, content).await? {
        Put::Conflict => return Err(conflict(store, &key, segment)),
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
        Some(_) => Err(conflict(store, &key, segment)),
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
pub async fn verify_segment(store: &dyn ObjectStore, segment: &SoundSegment) -> Result<bool, UploadError> {
    let key = key(segment);
    match same_content(store, &key, &segment.content).await? {
        Some(true) => Ok(true),
        Some(false) => Err(conflict(store, &key, segment)),
        None => Ok(false),
    }
}

fn key(segment: &SoundSegment) -> String {
    segment.lineage.segment(GroupId(0), segment.range)
}

fn conflict(store: &dyn ObjectStore, key: &str, segment: &SoundSegment) -> UploadError {
    UploadError::Conflict {
        place: store.url(key),
        file: segment.path.display().to_string(),
    }
}
