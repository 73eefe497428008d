//! The SDK's errors in the words of [`ObjectError`].

use super::Act;
use crate::store::{ErrorKind, ObjectError, chain};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::ProvideErrorMetadata;
use std::error::Error;

pub(super) type SdkError<E> = aws_sdk_s3::error::SdkError<E, HttpResponse>;

/// How S3 said no.
pub(super) enum Refusal {
    /// The condition `If-None-Match: *` did not hold.
    KeyTaken,
    /// Anything else.
    Error(ObjectError),
}

pub(super) fn refusal<E>(act: &Act<'_>, error: &SdkError<E>) -> Refusal
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().unwrap_or("");
    if status == Some(412) {
        return Refusal::KeyTaken;
    }
    let said = error.message().unwrap_or("");
    let detail = match status {
        Some(status) if said.is_empty() => format!("{status} {code}").trim_end().to_owned(),
        Some(status) => format!("{status} {code}: {said}"),
        None => chain(error),
    };
    let kind = match status {
        // The SDK found no credentials, so nothing was asked. It has no public type for that.
        None if detail.contains("credential") => ErrorKind::Denied,
        _ => classify(status, code),
    };
    Refusal::Error(act.error(kind, detail))
}

/// What an answer means. `None` as status: there was no answer.
pub(super) fn classify(status: Option<u16>, code: &str) -> ErrorKind {
    match (status, code) {
        // A bucket that is missing may be created later; it is not an object that is missing.
        (_, "NoSuchBucket") => ErrorKind::Unavailable,
        (Some(401 | 403), _) => ErrorKind::Denied,
        (
            _,
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "AuthorizationHeaderMalformed",
        ) => ErrorKind::Denied,
        // versitygw says 404 for an access key that it does not know.
        (_, "XAdminUserNotFound") => ErrorKind::Denied,
        (Some(404), "" | "NoSuchKey" | "NotFound") => ErrorKind::NotFound,
        // The object ends before what was asked for.
        (Some(416), _) => ErrorKind::Corrupt,
        (_, "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
            ErrorKind::Local
        }
        _ => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_s3_mean_wait_or_ask_someone() {
        for (status, code, kind) in [
            (Some(503), "SlowDown", ErrorKind::Unavailable),
            (Some(500), "InternalError", ErrorKind::Unavailable),
            (Some(409), "ConditionalRequestConflict", ErrorKind::Unavailable),
            (Some(404), "NoSuchBucket", ErrorKind::Unavailable),
            (Some(404), "NoSuchKey", ErrorKind::NotFound),
            (Some(404), "NotFound", ErrorKind::NotFound),
            (Some(404), "XAdminUserNotFound", ErrorKind::Denied),
            (Some(404), "NoSuchUpload", ErrorKind::Unavailable),
            (Some(403), "AccessDenied", ErrorKind::Denied),
            (Some(416), "InvalidRange", ErrorKind::Corrupt),
            (Some(403), "RequestTimeTooSkewed", ErrorKind::Denied),
            (Some(400), "ExpiredToken", ErrorKind::Denied),
            (Some(400), "BadDigest", ErrorKind::Local),
            (None, "", ErrorKind::Unavailable),
        ] {
            assert_eq!(classify(status, code), kind, "{status:?} {code}");
        }
    }
}
