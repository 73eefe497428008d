//! Google Cloud Storage and Azure Blob Storage, through the crate `object_store`: the only code that names it. S3 has a store of its own.
//!
//! Put-if-absent is the service's own condition (`x-goog-if-generation-match: 0`, `If-None-Match: *`). The hash of an object is kept as
//! metadata. The crate's retries are off, as those of the AWS SDK are: callers back off and say so in conditions and metrics.

mod client;
mod errors;

use super::parts::{Part, Parts};
use super::{
    Answer, ErrorKind, LIST_PAGE, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored, chain,
    taken,
};
use crate::content::{Content, HashingReader, Source};
use bytes::Bytes;
use client::{Client, Clients};
use errors::kind;
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, MultipartUpload, ObjectStoreExt, PutMode, PutOptions,
    PutPayload,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

/// Where the hash of an object is kept. Azure takes only what is a name in C#.
const SHA256_METADATA: &str = "geode_sha256";
/// A request without a large body must be answered in this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// A body must get on at least this fast, bytes a second.
const UPLOAD_RATE_MIN: u64 = 256 * 1024;

/// Whose service it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure {
        /// The storage account; that of the environment when absent.
        account: Option<String>,
    },
}

/// Where a bucket is and how it is entered.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// Whose it is.
    pub cloud: Cloud,
    /// The bucket, or the container.
    pub bucket: String,
    /// Prefix of all keys, without slashes at its ends; may be empty.
    pub prefix: String,
    /// `http(s)://host:port`; the service's own when absent.
    pub endpoint: Option<String>,
    /// A file with the credentials, or a directory with `credentials.json` (Google: the key of a service account), `account-key` or `connection-string`
    /// (Azure); read again when it changes. The pod's own identity or the environment when absent.
    pub credentials: Option<PathBuf>,
}

impl CloudOptions {
    /// A bucket that is entered with the pod's own identity.
    pub fn new(cloud: Cloud, bucket: impl Into<String>, prefix: &str) -> Self {
        Self {
            cloud,
            bucket: bucket.into(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: None,
            credentials: None,
        }
    }
}

/// A prefix of a bucket.
#[derive(Debug)]
pub struct CloudStore {
    options: CloudOptions,
    clients: Clients,
}

impl CloudStore {
    /// Prepares access; the first request shows whether it works.
    pub fn new(options: CloudOptions) -> Self {
        Self {
            options,
            clients: Clients::default(),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.options.prefix.is_empty() {
            return key.to_owned();
        }
        format!("{}/{key}", self.options.prefix)
    }

    /// The client for one act, with the credentials as they are now.
    async fn begin<'a>(&'a self, verb: &'static str, key: &'a str) -> Result<Act<'a>, ObjectError> {
        let failed = |kind, detail| ObjectError::new(kind, format!("{verb} {}", self.url(key)), detail);
        let client = self.clients.current(&self.options).await;
        let client = client.map_err(|detail| failed(ErrorKind::Denied, detail))?;
        let path = Path::parse(self.key(key)).map_err(|error| failed(ErrorKind::Local, error.to_string()))?;
        Ok(Act {
            store: self,
            verb,
            key,
            client,
            path,
        })
    }

    /// What the service says about an object.
    async fn look(&self, key: &str) -> Result<Option<(ObjectInfo, Option<Timestamp>)>, ObjectError> {
        let act = self.begin("look at", key).await?;
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let answer = match act
            .within(ANSWER_TIMEOUT, act.client.get_opts(&act.path, options))
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let recorded = answer
            .attributes
            .get(&Attribute::Metadata(SHA256_METADATA.into()));
        let info = ObjectInfo {
            bytes: answer.meta.size,
            sha256: recorded.and_then(|text| text.parse().ok()),
        };
        let at = Timestamp::from_second(answer.meta.last_modified.timestamp()).ok();
        Ok(Some((info, at)))
    }
}

/// What is being done.
struct Act<'a> {
    store: &'a CloudStore,
    verb: &'static str,
    key: &'a str,
    client: Arc<dyn Client>,
    path: Path,
}

impl Act<'_> {
    fn error(&self, kind: ErrorKind, detail: impl std::fmt::Display) -> ObjectError {
        ObjectError::new(
            kind,
            format!("{} {}", self.verb, self.store.url(self.key)),
            detail,
        )
    }

    fn refused(&self, error: &object_store::Error) -> ObjectError {
        let detail = chain(error);
        self.error(kind(error, &detail), detail)
    }

    /// Awaits a request, at most this long, and translates its errors.
    async fn within<T>(
        &self,
        limit: Duration,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, ObjectError> {
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| self.refused(&error)),
            Err(_) => {
                let detail = format!("no answer within {} s", limit.as_secs());
                Err(self.error(ErrorKind::Unavailable, detail))
            }
        }
    }

    async fn read_part(&self, parts: &mut Parts<impl AsyncRead + Unpin>) -> Result<Part, ObjectError> {
        let read = parts.read().await;
        read.map_err(|error| self.error(ErrorKind::Local, error))
    }

    /// Sends the parts and completes; nothing is visible before that.
    async fn upload(
        &self,
        upload: &mut Box<dyn MultipartUpload>,
        first: Part,
        parts: &mut Parts<impl AsyncRead + Unpin>,
    ) -> Result<(), ObjectError> {
        let mut part = first;
        loop {
            if !part.bytes.is_empty() {
                let limit = upload_time(part.bytes.len() as u64);
                let payload = PutPayload::from(part.bytes.clone());
                self.within(limit, upload.put_part(payload)).await?;
            }
            if part.is_last {
                break;
            }
            parts.reuse(part);
            part = self.read_part(parts).await?;
        }
        self.within(ANSWER_TIMEOUT, upload.complete()).await.map(drop)
    }
}

fn upload_time(bytes: u64) -> Duration {
    ANSWER_TIMEOUT + Duration::from_secs(bytes / UPLOAD_RATE_MIN)
}

/// A segment of the log or a manifest, whole: both are small.
async fn payload(content: &Content) -> std::io::Result<PutPayload> {
    Ok(match content.source() {
        Source::Bytes(bytes) => bytes.clone().into(),
        Source::File(path) => Bytes::from(tokio::fs::read(path).await?).into(),
    })
}

impl ObjectStore for CloudStore {
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put> {
        Box::pin(async move {
            let act = self.begin("write", key).await?;
            let payload = payload(content)
                .await
                .map_err(|error| act.error(ErrorKind::Local, error))?;
            let mut attributes = Attributes::new();
            attributes.insert(
                Attribute::Metadata(SHA256_METADATA.into()),
                content.sha256().to_string().into(),
            );
            let options = PutOptions {
                mode: PutMode::Create,
                attributes,
                ..PutOptions::default()
            };
            let request = act.client.put_opts(&act.path, payload, options);
            let put = async {
                match request.await {
                    Ok(_) => Ok(true),
                    Err(
                        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
                    ) => Ok(false),
                    Err(error) => Err(error),
                }
            };
            if act.within(upload_time(content.bytes()), put).await? {
                return Ok(Put::Created);
            }
            taken(self, key, content).await
        })
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        Box::pin(async move {
            let act = self.begin("write", key).await?;
            let mut parts = Parts::new(HashingReader::new(body));
            let first = act.read_part(&mut parts).await?;
            if first.is_last {
                let (limit, payload) = (
                    upload_time(first.bytes.len() as u64),
                    PutPayload::from(first.bytes),
                );
                let request = act.client.put_opts(&act.path, payload, PutOptions::default());
                act.within(limit, request).await?;
            } else {
                let begin = act.client.put_multipart_opts(&act.path, Default::default());
                let mut upload = act.within(ANSWER_TIMEOUT, begin).await?;
                if let Err(error) = act.upload(&mut upload, first, &mut parts).await {
                    // What cannot be taken back now is removed by the service, or by a rule of the bucket.
                    let _ = tokio::time::timeout(ANSWER_TIMEOUT, upload.abort()).await;
                    return Err(error);
                }
            }
            let (bytes, sha256) = parts.into_body().finish();
            Ok(Stored { bytes, sha256 })
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        Box::pin(async move {
            let act = self.begin("read", key).await?;
            let range = match length {
                Some(0) => return Ok(Box::new(tokio::io::empty()) as Reader),
                Some(length) => Some(GetRange::Bounded(offset..offset.saturating_add(length))),
                None => (offset > 0).then_some(GetRange::Offset(offset)),
            };
            let options = GetOptions {
                range,
                ..GetOptions::default()
            };
            let answer = act
                .within(ANSWER_TIMEOUT, act.client.get_opts(&act.path, options))
                .await?;
            let bytes = answer.into_stream().map_err(std::io::Error::other);
            Ok(Box::new(StreamReader::new(bytes)) as Reader)
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        Box::pin(async move { Ok(self.look(key).await?.map(|(info, _)| info)) })
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move { Ok(self.look(key).await?.and_then(|(_, at)| at)) })
    }

    /// Both services begin behind `after` by themselves; it is made sure of here, because whole archives are listed in this way, page by page.
    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let act = self.begin("list", prefix).await?;
            let (root, wanted) = (self.key(""), self.key(prefix));
            let mut token = None;
            loop {
                let options = PaginatedListOptions {
                    offset: (!after.is_empty()).then(|| self.key(after)),
                    max_keys: Some(LIST_PAGE),
                    page_token: token,
                    ..PaginatedListOptions::default()
                };
                let wanted = (!wanted.is_empty()).then_some(wanted.as_str());
                let page = act
                    .within(ANSWER_TIMEOUT, act.client.list_paginated(wanted, options))
                    .await?;
                let entries = page.result.objects.into_iter().filter_map(|object| {
                    let key = object.location.as_ref().strip_prefix(&root)?;
                    (key > after).then(|| Listed {
                        key: key.to_owned(),
                        bytes: object.size,
                    })
                });
                let entries: Vec<Listed> = entries.collect();
                token = page.page_token;
                if !entries.is_empty() || token.is_none() {
                    return Ok(entries);
                }
            }
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let act = self.begin("delete", key).await?;
            match act.within(ANSWER_TIMEOUT, act.client.delete(&act.path)).await {
                Err(error) if error.kind != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
    }

    fn url(&self, key: &str) -> String {
        let scheme = match self.options.cloud {
            Cloud::Google => "gs",
            Cloud::Azure { .. } => "az",
        };
        format!("{scheme}://{}/{}", self.options.bucket, self.key(key))
    }
}
