//! How objects of an archive are coded (docs/formats/archive-object.md): compressed and sealed in blocks that are each checked on their own. It owns
//! the format; it must not know what objects hold, nor any store's ways.
//!
//! An object that is neither compressed nor sealed is stored as it is; readers tell by the first bytes, so that archives of any age and with
//! changed settings are read.

mod bench;
mod compression;
mod decode;
mod encode;
mod header;
mod seal;
#[cfg(test)]
mod tests;

pub use decode::Decoder;

use crate::content::{Content, Sha256, Source};
use crate::keys::{Fingerprint, Key, KeyError, KeyRing};
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put, Stored, same_content};
use encode::Encoder;
use geode_types::Compression;
use std::io;
use std::path::PathBuf;
use tokio::io::AsyncRead;

/// How a coded object begins.
const MAGIC: [u8; 8] = *b"GEODEOBJ";
/// What one block holds.
const BLOCK_BYTES: usize = 1 << 20;
/// In the word before a block: it is the last one.
const LAST: u32 = 1 << 31;
/// It is not compressed, as that would not have made it smaller.
const RAW: u32 = 1 << 30;
/// Its length as stored.
const LENGTH: u32 = RAW - 1;
/// Larger contents are coded into a temporary file instead of memory.
const IN_MEMORY_MAX: u64 = 24 << 20;

/// How an archive codes what it stores, and where the keys are for what it reads.
#[derive(Clone, Debug, Default)]
pub struct Codec {
    /// As configured; when absent base backups are compressed with zstd, and everything else is stored as it is.
    pub compression: Option<Compression>,
    /// Directory or file of keys. With it, everything that is stored is sealed with the current one.
    pub keys: Option<PathBuf>,
}

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Its key is not there.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A newer version of Geode wrote it.
    #[error("its format {0} is newer than {newest}, the newest that this version of Geode reads", newest = header::VERSION)]
    Newer(u16),
    /// It is not what was stored.
    #[error("{0}")]
    Damaged(String),
    /// It ends too soon.
    #[error("it ends before its last block: it was cut off")]
    Truncated,
}

impl DecodeError {
    /// In the words of a store.
    pub(crate) fn of(self, place: &str) -> ObjectError {
        let kind = match self {
            Self::Key(_) => ErrorKind::Key,
            Self::Newer(_) | Self::Damaged(_) | Self::Truncated => ErrorKind::Corrupt,
        };
        ObjectError::new(kind, format!("use {place}"), self)
    }
}

impl Codec {
    fn key(&self, id: &str, fingerprint: Fingerprint) -> Result<Key, KeyError> {
        let Some(path) = &self.keys else {
            return Err(KeyError::NoKeys(format!("{id} ({fingerprint})")));
        };
        KeyRing::read(path)?.find(id, fingerprint).cloned()
    }

    fn current_key(&self, place: &str) -> Result<Option<Key>, ObjectError> {
        let ring = self.keys.as_deref().map(KeyRing::read).transpose();
        let ring = ring.map_err(|error| ObjectError::new(ErrorKind::Key, format!("seal {place}"), error))?;
        Ok(ring.map(|ring| ring.current().clone()))
    }

    /// How base backups are compressed.
    pub(crate) fn snapshots(&self) -> Compression {
        self.compression.unwrap_or(Compression::Zstd)
    }

    /// A content as it is stored under `name`. The file that it may lie in goes with the second value.
    pub(crate) async fn encode(
        &self,
        store: &dyn ObjectStore,
        name: &str,
        content: &Content,
    ) -> Result<(Content, Option<tempfile::TempPath>), ObjectError> {
        let place = store.url(name);
        let key = self.current_key(&place)?;
        let compression = self.compression.unwrap_or(Compression::None);
        if key.is_none() && compression == Compression::None {
            return Ok((content.clone(), None));
        }
        let identity = Some((content.bytes(), content.sha256()));
        let begun = Encoder::begin(name, compression, key.as_ref(), identity);
        let content = content.clone();
        let coding = tokio::task::spawn_blocking(move || code(begun, &content)).await;
        coding
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| ObjectError::new(ErrorKind::Local, format!("code {place}"), error))
    }

    /// Stores a content unless there is something already; the same content is a success, however it is coded there. What was, or would have
    /// been, stored.
    pub(crate) async fn put(
        &self,
        store: &dyn ObjectStore,
        name: &str,
        content: &Content,
    ) -> Result<(Put, Stored), ObjectError> {
        let (coded, _file) = self.encode(store, name, content).await?;
        let stored = Stored {
            bytes: coded.bytes(),
            sha256: coded.sha256(),
        };
        let put = match store.put_if_absent(name, &coded).await? {
            Put::Conflict => match self.same_content(store, name, content).await? {
                Some(true) => Put::SameContent,
                _ => Put::Conflict,
            },
            put => put,
        };
        Ok((put, stored))
    }

    /// What `source` yields, as a coded object of that name; `parallel` blocks are at work at the same time.
    pub(crate) fn encode_stream<'a>(
        &self,
        store: &dyn ObjectStore,
        name: &str,
        source: impl AsyncRead + Send + Unpin + 'a,
        parallel: usize,
    ) -> Result<(Coded, impl AsyncRead + Send + Unpin + 'a), ObjectError> {
        let key = self.current_key(&store.url(name))?;
        let compression = self.snapshots();
        let begun = Encoder::begin(name, compression, key.as_ref(), None);
        let coded = Coded {
            compression,
            key: key.map(|key| key.id),
        };
        let blocks = Box::pin(encode::blocks(begun, source, parallel));
        Ok((coded, tokio_util::io::StreamReader::new(blocks)))
    }

    /// Whether what is stored under a name is `content`, however it is coded; `None` when nothing is.
    pub(crate) async fn same_content(
        &self,
        store: &dyn ObjectStore,
        name: &str,
        content: &Content,
    ) -> Result<Option<bool>, ObjectError> {
        match same_content(store, name, content).await? {
            Some(false) => {}
            other => return Ok(other),
        }
        let head = match peek(store, name).await {
            Ok(head) => head,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !head.starts_with(&MAGIC) {
            return Ok(Some(false));
        }
        let read = header::read(name, &head, |id, fingerprint| self.key(id, fingerprint));
        let read = read.map_err(|error| error.of(&store.url(name)))?;
        let identity = read.and_then(|(_, header)| header.identity);
        Ok(Some(identity == Some((content.bytes(), content.sha256()))))
    }

    /// A small object, whole; refused when what it holds is larger than `limit`.
    pub async fn get_small(
        &self,
        store: &dyn ObjectStore,
        name: &str,
        limit: usize,
    ) -> Result<Vec<u8>, ObjectError> {
        let stored = crate::store::get_small(store, name, limit + header::HEADER_BYTES_MAX + 64).await?;
        let (mut decoder, mut plain) = (Decoder::new(self, name), Vec::new());
        let pushed = decoder.push(&stored, &mut plain);
        let read = pushed.and_then(|()| decoder.finish(&mut plain));
        read.map_err(|error| error.of(&store.url(name)))?;
        Ok(plain)
    }
}

/// How an object was coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    pub(crate) compression: Compression,
    /// The id of the key that seals it.
    pub(crate) key: Option<String>,
}

async fn peek(store: &dyn ObjectStore, name: &str) -> Result<Vec<u8>, ObjectError> {
    use tokio::io::AsyncReadExt;
    let mut head = Vec::new();
    let reader = match store
        .get_range(name, 0, Some(header::HEADER_BYTES_MAX as u64))
        .await
    {
        // It is empty.
        Err(error) if error.kind == ErrorKind::Corrupt => return Ok(head),
        reader => reader?,
    };
    let read = reader
        .take(header::HEADER_BYTES_MAX as u64)
        .read_to_end(&mut head)
        .await;
    read.map_err(|error| {
        ObjectError::new(ErrorKind::Unavailable, format!("read {}", store.url(name)), error)
    })?;
    Ok(head)
}

fn code(
    (head, encoder): (Vec<u8>, Encoder),
    content: &Content,
) -> io::Result<(Content, Option<tempfile::TempPath>)> {
    let source: Box<dyn io::Read> = match content.source() {
        Source::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        Source::File(path) => Box::new(std::fs::File::open(path)?),
    };
    if content.bytes() <= IN_MEMORY_MAX {
        // Space for what cannot be compressed: pages that are not touched cost nothing.
        let mut coded = Vec::with_capacity(content.bytes() as usize + head.len() + 4096);
        coded.extend_from_slice(&head);
        encoder.whole(source, |block| {
            coded.extend_from_slice(block);
            Ok(())
        })?;
        return Ok((Content::from_bytes(coded), None));
    }
    let mut file = tempfile::NamedTempFile::new()?;
    io::Write::write_all(&mut file, &head)?;
    encoder.whole(source, |block| io::Write::write_all(&mut file, block))?;
    let path = file.into_temp_path();
    let mut hashing = crate::content::HashingReader::new(std::fs::File::open(&path)?);
    io::copy(&mut hashing, &mut io::sink())?;
    let (bytes, sha256) = hashing.finish();
    Ok((
        Content::of_hashed_file(path.to_path_buf(), bytes, sha256),
        Some(path),
    ))
}

/// What a block is bound to: its object, its place in it, and whether it is the last.
fn block_context(context: &Sha256, number: u64, flags: u32) -> Vec<u8> {
    let mut bytes = context.0.to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes
}
