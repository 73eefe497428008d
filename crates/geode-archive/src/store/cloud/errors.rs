//! The crate's errors in the words of [`ErrorKind`].

use crate::store::ErrorKind;

/// What an answer means.
pub(super) fn kind(error: &object_store::Error, detail: &str) -> ErrorKind {
    match error {
        // A bucket that is missing may be created later; it is not an object that is missing.
        object_store::Error::NotFound { .. } if is_about_the_bucket(detail) => ErrorKind::Unavailable,
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            ErrorKind::Denied
        }
        // The object ends before what was asked for.
        _ if detail.contains("416 Range Not Satisfiable") => ErrorKind::Corrupt,
        // Listings and tokens have no kind of their own for it.
        _ if detail.contains("401 Unauthorized") || detail.contains("403 Forbidden") => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    }
}

fn is_about_the_bucket(detail: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound"]
        .iter()
        .any(|code| detail.contains(code))
}
