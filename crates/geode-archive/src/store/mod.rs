//! The seam to object stores: what the archive needs of one, and the words for what went wrong.
//!
//! Six implementations pass one suite (`tests/archive/stores.rs`): [`S3Store`], [`CloudStore`], [`DirectoryStore`], [`MemoryStore`], [`FailingStore`] around
//! any of them, and [`PairedStore`] around two. Keys are relative to the store's root (bucket and prefix, or a directory). A store knows nothing of clusters or segments.

mod cloud;
mod directory;
mod failing;
mod memory;
mod paired;
mod parts;
mod read_only;
mod s3;

pub use cloud::{Cloud, CloudOptions, CloudStore};
pub use directory::DirectoryStore;
pub use failing::{FailingStore, Fault, Operation};
pub use memory::MemoryStore;
pub use paired::PairedStore;
pub use read_only::ReadOnlyStore;
pub use s3::{S3Options, S3Store};

use crate::content::{Content, Sha256};
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::fmt;
use tokio::io::AsyncRead;

/// Most entries of one page of [`ObjectStore::list`].
pub const LIST_PAGE: usize = 1000;

/// What a call to a store comes to.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ObjectError>>;

/// The bytes of an object as they arrive.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A place for immutable objects.
///
/// Every call is one attempt: who calls it decides whether and when to try again.
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// Stores `content` under `key` unless there is something already. Readers see the whole object or none. A repeated call with
    /// the same content is [`Put::SameContent`], so that an answer that got lost does no harm.
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put>;

    /// Stores what `body` yields under a key that nobody else uses, without knowing its length: in pieces of bounded size. Nothing
    /// is visible under the key unless the whole body was read and stored.
    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored>;

    /// Reads an object from `offset` on, or `length` bytes of it; less when it ends before.
    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader>;

    /// Reads an object from `offset` on.
    fn get<'a>(&'a self, key: &'a str, offset: u64) -> Answer<'a, Reader> {
        self.get_range(key, offset, None)
    }

    /// Size and hash, `None` when there is no such object.
    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>>;

    /// When an object was stored, by the store's clock; `None` when there is no such object, or the store does not say.
    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        let _ = key;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// A page of the objects whose keys begin with `prefix` and are greater than `after`, in the order of their bytes. Empty at the end.
    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>>;

    /// Removes an object; one that is not there is fine.
    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()>;

    /// The URL of a key, for people.
    fn url(&self, key: &str) -> String;

    /// A second place with the same objects, for those that turn out to be damaged here.
    fn copy(&self) -> Option<&dyn ObjectStore> {
        None
    }
}

/// How [`ObjectStore::put_if_absent`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Stored by this call.
    Created,
    /// It was there, byte for byte.
    SameContent,
    /// Something else is stored under the key. It was left alone.
    Conflict,
}

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Size.
    pub bytes: u64,
    /// Hash of the bytes.
    pub sha256: Sha256,
}

/// What a store says about an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size.
    pub bytes: u64,
    /// The hash recorded when it was stored; objects stored as a stream have none.
    pub sha256: Option<Sha256>,
}

/// An entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Key.
    pub key: String,
    /// Size.
    pub bytes: u64,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {act}: {detail}")]
pub struct ObjectError {
    /// What to do about it.
    pub kind: ErrorKind,
    /// The act that failed, with the place: `write s3://bucket/key`.
    pub act: String,
    /// What the store said.
    pub detail: String,
}

/// What a failure means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// The store does not let us: credentials, rights, clocks.
    Denied,
    /// Worth another try later: no connection, too slow, overloaded, a fault of the store, a bucket that is not there yet.
    Unavailable,
    /// The file or stream that was to be stored cannot be read, or a download cannot be written.
    Local,
    /// The store gave something else than was stored.
    Corrupt,
    /// The key of a sealed object, or the one to seal with, is not there.
    Key,
}

impl ObjectError {
    /// A failure of an act.
    pub fn new(kind: ErrorKind, act: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            act: act.into(),
            detail: detail.to_string(),
        }
    }

    /// The reason of the condition catalogue for an archive that fails like this.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            ErrorKind::Denied => "ArchiveDenied",
            ErrorKind::Key => "ArchiveKeyMissing",
            ErrorKind::NotFound | ErrorKind::Unavailable | ErrorKind::Local | ErrorKind::Corrupt => {
                "ArchiveUnreachable"
            }
        }
    }
}

/// Every entry below a prefix, page by page, after a key.
pub async fn list_all(
    store: &dyn ObjectStore,
    prefix: &str,
    after: &str,
) -> Result<Vec<Listed>, ObjectError> {
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let after = all.last().map_or(after, |entry| entry.key.as_str()).to_owned();
        let page = store.list(prefix, &after).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// A small object, whole; refused when it is larger than `limit`.
pub async fn get_small(store: &dyn ObjectStore, key: &str, limit: usize) -> Result<Vec<u8>, ObjectError> {
    use tokio::io::AsyncReadExt;
    let reader = store.get(key, 0).await?;
    let mut bytes = Vec::new();
    let act = || format!("read {}", store.url(key));
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| ObjectError::new(ErrorKind::Unavailable, act(), error))?;
    if bytes.len() > limit {
        let detail = format!("it is larger than the {limit} bytes that such an object may have");
        return Err(ObjectError::new(ErrorKind::Corrupt, act(), detail));
    }
    Ok(bytes)
}

/// Whether what is stored under a key is `content`: by the recorded hash, or by reading it when none was recorded.
pub(crate) async fn same_content(
    store: &dyn ObjectStore,
    key: &str,
    content: &Content,
) -> Result<Option<bool>, ObjectError> {
    let Some(info) = store.head(key).await? else {
        return Ok(None);
    };
    if info.bytes != content.bytes() {
        return Ok(Some(false));
    }
    let sha256 = if let Some(sha256) = info.sha256 {
        sha256
    } else {
        let read = Sha256::of_reader(store.get(key, 0).await?).await;
        read.map_err(|error| {
            ObjectError::new(ErrorKind::Unavailable, format!("read {}", store.url(key)), error)
        })?
    };
    Ok(Some(sha256 == content.sha256()))
}

/// What it means that a key was taken when `content` was to be stored under it.
async fn taken(store: &dyn ObjectStore, key: &str, content: &Content) -> Result<Put, ObjectError> {
    match same_content(store, key, content).await? {
        Some(true) => Ok(Put::SameContent),
        Some(false) => Ok(Put::Conflict),
        None => Err(ObjectError::new(
            ErrorKind::Unavailable,
            format!("write {}", store.url(key)),
            "the key was taken and then free again: does something delete objects of the archive?",
        )),
    }
}

/// An error and its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}
