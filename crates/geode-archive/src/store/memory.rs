//! An object store in memory, for tests and simulation.

use super::{
    Answer, ErrorKind, LIST_PAGE, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored,
};
use crate::content::{Content, HashingReader};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Objects in a map.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Object>>,
}

#[derive(Debug)]
struct Object {
    bytes: Bytes,
    info: ObjectInfo,
    stored_at: Timestamp,
}

impl Object {
    fn new(bytes: Bytes, info: ObjectInfo) -> Self {
        Self {
            bytes,
            info,
            stored_at: Timestamp::now(),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces an object behind the back of everyone, as no user of the trait can: for tests of what happens then.
    pub fn tamper(&self, key: &str, bytes: impl Into<Bytes>) {
        let content = Content::from_bytes(bytes);
        let info = ObjectInfo {
            bytes: content.bytes(),
            sha256: None,
        };
        let crate::content::Source::Bytes(bytes) = content.source().clone() else {
            return;
        };
        self.objects().insert(key.to_owned(), Object::new(bytes, info));
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        // A panic while the map was locked cannot have left it half changed: every change is one call.
        self.objects
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn collect(
        &self,
        key: &str,
        body: impl AsyncRead + Send + Unpin,
    ) -> Result<(Bytes, Stored), ObjectError> {
        let mut bytes = Vec::new();
        let mut body = HashingReader::new(body);
        body.read_to_end(&mut bytes)
            .await
            .map_err(|error| ObjectError::new(ErrorKind::Local, format!("store {}", self.url(key)), error))?;
        let (length, sha256) = body.finish();
        Ok((
            bytes.into(),
            Stored {
                bytes: length,
                sha256,
            },
        ))
    }
}

impl ObjectStore for MemoryStore {
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put> {
        Box::pin(async move {
            let body = content.open().await;
            let body = body.map_err(|error| {
                ObjectError::new(ErrorKind::Local, format!("store {}", self.url(key)), error)
            })?;
            let (bytes, stored) = self.collect(key, body).await?;
            let mut objects = self.objects();
            if let Some(there) = objects.get(key) {
                let same = there.bytes == bytes;
                return Ok(if same { Put::SameContent } else { Put::Conflict });
            }
            let info = ObjectInfo {
                bytes: stored.bytes,
                sha256: Some(stored.sha256),
            };
            objects.insert(key.to_owned(), Object::new(bytes, info));
            Ok(Put::Created)
        })
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        Box::pin(async move {
            let (bytes, stored) = self.collect(key, body).await?;
            let info = ObjectInfo {
                bytes: stored.bytes,
                sha256: None,
            };
            self.objects().insert(key.to_owned(), Object::new(bytes, info));
            Ok(stored)
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        Box::pin(async move {
            let found = self.objects().get(key).map(|object| object.bytes.clone());
            let bytes = found.ok_or_else(|| {
                ObjectError::new(
                    ErrorKind::NotFound,
                    format!("read {}", self.url(key)),
                    "there is no such object",
                )
            })?;
            let rest = bytes.slice(bytes.len().min(offset as usize)..);
            let rest = rest.slice(..rest.len().min(length.unwrap_or(u64::MAX) as usize));
            Ok(Box::new(std::io::Cursor::new(rest)) as Reader)
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        Box::pin(async move { Ok(self.objects().get(key).map(|object| object.info)) })
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move { Ok(self.objects().get(key).map(|object| object.stored_at)) })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let start = if after >= prefix {
                Bound::Excluded(after)
            } else {
                Bound::Included(prefix)
            };
            let objects = self.objects();
            let page = objects.range::<str, _>((start, Bound::Unbounded));
            let page = page
                .take_while(|(key, _)| key.starts_with(prefix))
                .take(LIST_PAGE);
            Ok(page
                .map(|(key, object)| Listed {
                    key: key.clone(),
                    bytes: object.info.bytes,
                })
                .collect())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            self.objects().remove(key);
            Ok(())
        })
    }

    fn url(&self, key: &str) -> String {
        format!("memory:{key}")
    }
}
