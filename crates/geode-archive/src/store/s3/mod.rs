//! S3 and what speaks its protocol: the only code that names the AWS SDK.
//!
//! Put-if-absent is `If-None-Match: *`. Every body is sent with its SHA-256, which the server checks; the hash is also kept as metadata,
//! so that `HEAD` tells what is stored. The SDK's own retries are off: callers back off and say so in conditions and metrics.

mod client;
mod errors;
mod multipart;

use super::{
    Answer, ErrorKind, LIST_PAGE, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored,
    same_content, taken,
};
use crate::content::{CHUNK, Content, Sha256, Source};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::StorageClass;
use client::Clients;
use errors::{Refusal, refusal};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncRead;

/// Where the hash of an object is kept: `x-amz-meta-geode-sha256`.
const SHA256_METADATA: &str = "geode-sha256";
/// A request without a large body must be answered in this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// A body must get on at least this fast, bytes a second.
const UPLOAD_RATE_MIN: u64 = 256 * 1024;
/// Unfinished multipart uploads older than this are leftovers of a sidecar that died.
pub(crate) const STALE_UPLOAD_AGE: Duration = Duration::from_hours(24);

/// Where a bucket is and how it is entered.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Bucket.
    pub bucket: String,
    /// Prefix of all keys, without slashes at its ends; may be empty.
    pub prefix: String,
    /// `http(s)://host:port` (then addressed by path); AWS when absent.
    pub endpoint: Option<String>,
    /// Region.
    pub region: String,
    /// Directory with the files `access-key` and `secret-key` (and `session-token` when there is one), or with the names
    /// `AWS_ACCESS_KEY_ID` and so on; read again when they change. The SDK's default chain when absent.
    pub credentials_dir: Option<PathBuf>,
    /// Storage class of what is stored, as S3 names it (`STANDARD_IA`); the bucket's own when absent.
    pub storage_class: Option<String>,
    /// Unfinished uploads older than this are removed before a new one begins.
    pub stale_upload_age: Duration,
}

impl S3Options {
    /// A bucket on AWS with the default credentials chain.
    pub fn new(bucket: impl Into<String>, prefix: &str) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            credentials_dir: None,
            storage_class: None,
            stale_upload_age: STALE_UPLOAD_AGE,
        }
    }
}

/// A prefix of a bucket.
#[derive(Debug)]
pub struct S3Store {
    options: S3Options,
    clients: Clients,
}

impl S3Store {
    /// Prepares access; the first request shows whether it works.
    pub async fn new(mut options: S3Options) -> Self {
        options.prefix = options.prefix.trim_matches('/').to_owned();
        let clients = Clients::new(&options).await;
        Self { options, clients }
    }

    fn key(&self, key: &str) -> String {
        if self.options.prefix.is_empty() {
            return key.to_owned();
        }
        format!("{}/{key}", self.options.prefix)
    }

    fn storage_class(&self) -> Option<StorageClass> {
        self.options.storage_class.as_deref().map(StorageClass::from)
    }

    /// The client for one act, with the credentials as they are now.
    async fn client(&self, act: &Act<'_>) -> Result<aws_sdk_s3::Client, ObjectError> {
        let client = self.clients.current().await;
        client.map_err(|detail| act.error(ErrorKind::Denied, detail))
    }

    fn act<'a>(&'a self, verb: &'static str, key: &'a str) -> Act<'a> {
        Act {
            store: self,
            verb,
            key,
        }
    }

    /// One `PutObject` with `If-None-Match: *`; `None` when the key is taken.
    async fn put_once(
        &self,
        key: &str,
        content: &Content,
        body: ByteStream,
    ) -> Result<Option<()>, ObjectError> {
        let act = self.act("write", key);
        let client = self.client(&act).await?;
        let request = client
            .put_object()
            .bucket(&self.options.bucket)
            .key(self.key(key))
            .if_none_match("*")
            .set_storage_class(self.storage_class())
            .content_length(content.bytes() as i64)
            .checksum_sha256(base64(&content.sha256()))
            .metadata(SHA256_METADATA, content.sha256().to_string())
            .body(body);
        match act
            .within(upload_time(content.bytes()), Box::pin(request.send()))
            .await
        {
            Ok(_) => Ok(Some(())),
            Err(Refusal::KeyTaken) => Ok(None),
            Err(Refusal::Error(error)) => Err(error),
        }
    }
}

/// What is being done, for the sentence of an error.
pub(super) struct Act<'a> {
    store: &'a S3Store,
    verb: &'static str,
    key: &'a str,
}

impl Act<'_> {
    fn error(&self, kind: ErrorKind, detail: impl std::fmt::Display) -> ObjectError {
        ObjectError::new(
            kind,
            format!("{} {}", self.verb, self.store.url(self.key)),
            detail,
        )
    }

    /// Awaits a request of the SDK, at most this long, and translates its errors.
    async fn within<T, E>(
        &self,
        limit: Duration,
        request: impl Future<Output = Result<T, errors::SdkError<E>>>,
    ) -> Result<T, Refusal>
    where
        E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + 'static,
    {
        match tokio::time::timeout(limit, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(refusal(self, &error)),
            Err(_) => {
                let detail = format!("no answer within {} s", limit.as_secs());
                Err(Refusal::Error(self.error(ErrorKind::Unavailable, detail)))
            }
        }
    }
}

impl ObjectStore for S3Store {
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put> {
        Box::pin(async move {
            let body = match content.source() {
                Source::Bytes(bytes) => ByteStream::from(bytes.clone()),
                Source::File(path) => ByteStream::read_from()
                    .path(path)
                    .length(Length::Exact(content.bytes()))
                    .buffer_size(CHUNK)
                    .build()
                    .await
                    .map_err(|error| self.act("write", key).error(ErrorKind::Local, error))?,
            };
            let unheard = match Box::pin(self.put_once(key, content, body)).await {
                Ok(Some(())) => return Ok(Put::Created),
                Ok(None) => return taken(self, key, content).await,
                Err(error) if error.kind == ErrorKind::Unavailable => error,
                Err(error) => return Err(error),
            };
            // A server may refuse a taken key before it has read a large body, and end the connection: the refusal is lost on the way,
            // each time. And what broke off may have been stored.
            match same_content(self, key, content).await {
                Ok(Some(true)) => Ok(Put::SameContent),
                Ok(Some(false)) => Ok(Put::Conflict),
                Ok(None) | Err(_) => Err(unheard),
            }
        })
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        Box::pin(multipart::put_stream(self, key, body))
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        Box::pin(async move {
            let act = self.act("read", key);
            let client = self.client(&act).await?;
            let request = client
                .get_object()
                .bucket(&self.options.bucket)
                .key(self.key(key));
            let request = match length {
                Some(length) => {
                    request.range(format!("bytes={offset}-{}", (offset + length).saturating_sub(1)))
                }
                None if offset > 0 => request.range(format!("bytes={offset}-")),
                None => request,
            };
            match act.within(ANSWER_TIMEOUT, request.send()).await {
                Ok(answer) => Ok(Box::new(answer.body.into_async_read()) as Reader),
                Err(Refusal::Error(error)) => Err(error),
                Err(Refusal::KeyTaken) => {
                    Err(act.error(ErrorKind::Corrupt, "412 for a request without condition"))
                }
            }
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        Box::pin(async move {
            let act = self.act("look at", key);
            let client = self.client(&act).await?;
            let request = client
                .head_object()
                .bucket(&self.options.bucket)
                .key(self.key(key));
            let answer = match act.within(ANSWER_TIMEOUT, request.send()).await {
                Ok(answer) => answer,
                Err(Refusal::Error(error)) if error.kind == ErrorKind::NotFound => return Ok(None),
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::KeyTaken) => {
                    return Err(act.error(ErrorKind::Corrupt, "412 for a request without condition"));
                }
            };
            let recorded = answer
                .metadata()
                .and_then(|metadata| metadata.get(SHA256_METADATA));
            Ok(Some(ObjectInfo {
                bytes: answer.content_length().unwrap_or(0).max(0) as u64,
                sha256: recorded.and_then(|text| text.parse().ok()),
            }))
        })
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move {
            let act = self.act("look at", key);
            let client = self.client(&act).await?;
            let request = client
                .head_object()
                .bucket(&self.options.bucket)
                .key(self.key(key));
            match act.within(ANSWER_TIMEOUT, request.send()).await {
                Ok(answer) => Ok(answer
                    .last_modified()
                    .and_then(|at| Timestamp::from_second(at.secs()).ok())),
                Err(Refusal::Error(error)) if error.kind == ErrorKind::NotFound => Ok(None),
                Err(Refusal::Error(error)) => Err(error),
                Err(Refusal::KeyTaken) => {
                    Err(act.error(ErrorKind::Corrupt, "412 for a request without condition"))
                }
            }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let act = self.act("list", prefix);
            let client = self.client(&act).await?;
            let request = client
                .list_objects_v2()
                .bucket(&self.options.bucket)
                .prefix(self.key(prefix))
                .max_keys(LIST_PAGE as i32);
            let request = if after.is_empty() {
                request
            } else {
                request.start_after(self.key(after))
            };
            let answer =
                act.within(ANSWER_TIMEOUT, request.send())
                    .await
                    .map_err(|refused| match refused {
                        Refusal::Error(error) => error,
                        Refusal::KeyTaken => {
                            act.error(ErrorKind::Corrupt, "412 for a request without condition")
                        }
                    })?;
            let root = self.key("");
            let entries = answer.contents().iter().filter_map(|object| {
                let key = object.key()?.strip_prefix(&root)?;
                Some(Listed {
                    key: key.to_owned(),
                    bytes: object.size().unwrap_or(0).max(0) as u64,
                })
            });
            Ok(entries.collect())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let act = self.act("delete", key);
            let client = self.client(&act).await?;
            let request = client
                .delete_object()
                .bucket(&self.options.bucket)
                .key(self.key(key));
            match act.within(ANSWER_TIMEOUT, request.send()).await {
                Ok(_) => Ok(()),
                Err(Refusal::Error(error)) if error.kind == ErrorKind::NotFound => Ok(()),
                Err(Refusal::Error(error)) => Err(error),
                Err(Refusal::KeyTaken) => {
                    Err(act.error(ErrorKind::Corrupt, "412 for a request without condition"))
                }
            }
        })
    }

    fn url(&self, key: &str) -> String {
        format!("s3://{}/{}", self.options.bucket, self.key(key))
    }
}

/// How long a body of this size may take.
fn upload_time(bytes: u64) -> Duration {
    ANSWER_TIMEOUT + Duration::from_secs(bytes / UPLOAD_RATE_MIN)
}

/// As the checksum headers want it.
fn base64(hash: &Sha256) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(44);
    for group in hash.0.chunks(3) {
        let mut bytes = [0; 3];
        bytes[..group.len()].copy_from_slice(group);
        let number = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_in_base64_is_what_s3_expects() {
        assert_eq!(
            base64(&Sha256::of(b"")),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(
            base64(&Sha256::of(b"abc")),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }

    #[test]
    fn a_large_body_gets_more_time() {
        assert_eq!(upload_time(0), ANSWER_TIMEOUT);
        assert_eq!(upload_time(64 << 20), ANSWER_TIMEOUT + Duration::from_secs(256));
    }
}
