//! Uploads a checked segment: stores it by put-if-absent, and looks at what is stored.

use crate::object::Codec;
use crate::segment::SoundSegment;
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put};
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

/// Archives a segment, or finds that it is archived already, however it is coded there. Returns its size as stored.
pub async fn upload_segment(
    store: &dyn ObjectStore,
    codec: &Codec,
    segment: &SoundSegment,
) -> Result<u64, UploadError> {
    let key = key(segment);
    let (put, stored) = codec.put(store, &key, &segment.content).await?;
    match put {
        Put::Conflict => return Err(conflict(store, &key, segment)),
        // The comparison has just looked at it.
        Put::SameContent => return Ok(stored.bytes),
        Put::Created => {}
    }
    match store.head(&key).await? {
        Some(info) if info.bytes == stored.bytes && info.sha256.is_none_or(|hash| hash == stored.sha256) => {
            Ok(stored.bytes)
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
pub async fn verify_segment(
    store: &dyn ObjectStore,
    codec: &Codec,
    segment: &SoundSegment,
) -> Result<bool, UploadError> {
    let key = key(segment);
    match codec.same_content(store, &key, &segment.content).await? {
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
