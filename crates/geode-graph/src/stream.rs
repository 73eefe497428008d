//! The snapshot stream: the whole graph as sorted entries, independent of the store that it comes from or goes to.
//!
//! `magic | header | chunk … | footer` (docs/formats/snapshot.md). A chunk is its length, its number, entries of about 1 MiB
//! and an XXH3-128 of number and entries, checked before any of it is loaded. The footer has the number of entries and a
//! SHA-256 of header and chunks. Importing goes through [`geode_store::Loader`]: until the footer has been checked, the
//! store shows what it had.

use crate::codec::{DecodeError, Decoded, end_of, put_bytes, take_array, take_bytes};
use crate::error::GraphError;
use crate::keys::{FIRST_HASHED, Key, LAST_SPACE, META, POSITION, named};
use crate::level;
use crate::position::{Position, position};
use geode_store::{Loader, Reader, Store, StoreError};
use geode_types::{ClusterId, GroupId};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

/// The last byte is the version of the keys and values in it.
const MAGIC: &[u8; 8] = b"GEODESS\x02";
/// The one Raft group of this version. Sharding will make it a parameter.
const GROUP: GroupId = GroupId(0);
/// A chunk is closed when its entries reach this.
const CHUNK_BYTES: usize = 1 << 20;
/// The most that a chunk is believed to have: one entry of the largest size above a full chunk.
const MAX_CHUNK_BYTES: usize = CHUNK_BYTES + (1 << 30);
const MAX_HEADER_BYTES: usize = 256;

/// Why a stream could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The graph or the store failed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The source or the sink failed.
    #[error("{act} the snapshot: {source}")]
    Io {
        /// Reading or writing.
        act: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The bytes are no snapshot, or not the one that was written.
    #[error("the snapshot is damaged: {0}; take it from another member or another backup")]
    Damaged(String),
    /// The snapshot belongs to another cluster.
    #[error("the snapshot is of cluster {found}, not of {wanted}")]
    OtherCluster {
        /// The cluster in the header.
        found: ClusterId,
        /// The cluster that was asked for.
        wanted: ClusterId,
    },
}

impl From<StoreError> for StreamError {
    fn from(error: StoreError) -> Self {
        Self::Graph(error.into())
    }
}

impl From<DecodeError> for StreamError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

type Result<T> = std::result::Result<T, StreamError>;

/// What a snapshot is a snapshot of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// The cluster.
    pub cluster: ClusterId,
    /// The Raft group.
    pub group: GroupId,
    /// The position that the content corresponds to.
    pub position: Position,
}

/// A snapshot that was written or read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// What it is a snapshot of.
    pub header: SnapshotHeader,
    /// Number of entries.
    pub entries: u64,
    /// Bytes of the stream.
    pub bytes: u64,
}

impl SnapshotHeader {
    /// Reads the head of a stream and leaves the source behind it. [`import`] reads it itself.
    pub fn read(source: &mut impl Read) -> Result<Self> {
        Source {
            inner: source,
            hash: Sha256::new(),
            bytes: 0,
        }
        .header()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.cluster.0.as_bytes().to_vec();
        out.extend_from_slice(&self.group.0.to_be_bytes());
        self.position.encode(&mut out);
        out
    }

    fn decode(mut bytes: &[u8]) -> Decoded<Self> {
        let cluster = ClusterId(Uuid::from_bytes(take_array(&mut bytes)?));
        let group = GroupId(u16::from_be_bytes(take_array(&mut bytes)?));
        let header = Self {
            cluster,
            group,
            position: Position::take(&mut bytes)?,
        };
        end_of(bytes).map(|()| header)
    }
}

/// Writes the graph that this reader sees.
pub fn export(read: &impl Reader, cluster: ClusterId, sink: &mut impl Write) -> Result<SnapshotInfo> {
    let header = SnapshotHeader {
        cluster,
        group: GROUP,
        position: position(read)?,
    };
    let mut sink = Sink {
        inner: sink,
        hash: Sha256::new(),
        bytes: 0,
        chunks: 0,
    };
    sink.put(MAGIC)?;
    let head = header.encode();
    sink.put(&(head.len() as u32).to_be_bytes())?;
    sink.put(&head)?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + (1 << 16));
    let mut entries = 0;
    // The position comes first by its key, Raft's blobs are skipped.
    for (from, to) in [
        (Key::new(POSITION), Key::new(POSITION).end()),
        (Key::new(FIRST_HASHED), Key::new(LAST_SPACE).end()),
    ] {
        for entry in read.range(&from, Some(&to))? {
            let (key, value) = entry?;
            put_bytes(key, &mut chunk);
            put_bytes(value, &mut chunk);
            entries += 1;
            if chunk.len() >= CHUNK_BYTES {
                sink.chunk(&chunk)?;
                chunk.clear();
            }
        }
    }
    if !chunk.is_empty() {
        sink.chunk(&chunk)?;
    }
    sink.put(&0u32.to_be_bytes())?;
    let mut footer = Vec::new();
    footer.extend_from_slice(&u64::to_be_bytes(entries));
    footer.extend_from_slice(&sink.hash.clone().finalize());
    sink.put(&footer)?;
    sink.inner
        .flush()
        .map_err(|source| StreamError::Io { act: "write", source })?;
    Ok(SnapshotInfo {
        header,
        entries,
        bytes: sink.bytes,
    })
}

/// Replaces the content of a store with a snapshot, all at once when everything has been checked. `meta` becomes the member's
/// blobs (see [`crate::put_meta`]); those it had are gone. `cluster` refuses the snapshot of another cluster.
pub fn import(
    store: &impl Store,
    source: &mut impl Read,
    cluster: Option<ClusterId>,
    meta: &[(&str, &[u8])],
) -> Result<SnapshotInfo> {
    let mut source = Source {
        inner: source,
        hash: Sha256::new(),
        bytes: 0,
    };
    let header = source.header()?;
    if let Some(wanted) = cluster.filter(|wanted| *wanted != header.cluster) {
        return Err(StreamError::OtherCluster {
            found: header.cluster,
            wanted,
        });
    }
    if header.group != GROUP {
        return Err(StreamError::Damaged(format!(
            "it is of group {}, this store holds group {GROUP}",
            header.group
        )));
    }
    let mut blobs: Vec<(Vec<u8>, &[u8])> = meta
        .iter()
        .map(|(name, bytes)| (named(META, None, name), *bytes))
        .collect();
    blobs.sort_unstable();
    let mut loading = Loading {
        loader: store.load()?,
        blobs: Some(blobs),
        entries: 0,
        position: Position::default(),
    };
    let mut chunk = Vec::new();
    let mut number = 0u64;
    while source.chunk(number, &mut chunk)? {
        loading.chunk(&chunk)?;
        number += 1;
    }
    source.footer(loading.entries)?;
    if loading.position != header.position {
        return Err(StreamError::Damaged(
            "its position does not match its header".to_owned(),
        ));
    }
    let info = SnapshotInfo {
        header,
        entries: loading.entries,
        bytes: source.bytes,
    };
    loading.finish()?;
    Ok(info)
}

/// Reads a stream to its end and compares its checksums, without a store. What passes is whole: a sender that ended in the middle, or a
/// changed byte, is found.
pub fn check(source: &mut impl Read) -> Result<SnapshotHeader> {
    let mut source = Source {
        inner: source,
        hash: Sha256::new(),
        bytes: 0,
    };
    let header = source.header()?;
    let (mut chunk, mut number, mut entries) = (Vec::new(), 0, 0u64);
    while source.chunk(number, &mut chunk)? {
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let (key, value) = (take_bytes(&mut rest)?, take_bytes(&mut rest)?);
            level::admit(key, value)?;
            entries += 1;
        }
        number += 1;
    }
    source.footer(entries)?;
    Ok(header)
}

struct Sink<'a, W> {
    inner: &'a mut W,
    hash: Sha256,
    bytes: u64,
    chunks: u64,
}

impl<W: Write> Sink<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.inner
            .write_all(bytes)
            .map_err(|source| StreamError::Io { act: "write", source })
    }

    fn chunk(&mut self, entries: &[u8]) -> Result<()> {
        self.put(&(entries.len() as u32).to_be_bytes())?;
        self.put(entries)?;
        self.put(&chunk_hash(self.chunks, entries))?;
        self.chunks += 1;
        Ok(())
    }
}

fn chunk_hash(number: u64, entries: &[u8]) -> [u8; 16] {
    let mut hash = Xxh3::new();
    hash.update(&number.to_be_bytes());
    hash.update(entries);
    hash.digest128().to_be_bytes()
}

struct Source<'a, R> {
    inner: &'a mut R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Source<'_, R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.inner
            .read_exact(buffer)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => {
                    StreamError::Damaged(format!("it ends after {} bytes", self.bytes))
                }
                _ => StreamError::Io { act: "read", source },
            })?;
        self.bytes += buffer.len() as u64;
        Ok(())
    }

    /// Reads without hashing.
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn header(&mut self) -> Result<SnapshotHeader> {
        let magic: [u8; 8] = self.array()?;
        if magic != *MAGIC {
            return Err(StreamError::Damaged(
                "it does not begin like a snapshot of this version".to_owned(),
            ));
        }
        let length = u32::from_be_bytes(self.array()?);
        if length as usize > MAX_HEADER_BYTES {
            return Err(StreamError::Damaged(format!("a header of {length} bytes")));
        }
        let mut head = vec![0; length as usize];
        self.fill(&mut head)?;
        self.hash.update(magic);
        self.hash.update(length.to_be_bytes());
        self.hash.update(&head);
        Ok(SnapshotHeader::decode(&head)?)
    }

    /// Reads the footer and compares it with what came before.
    fn footer(&mut self, entries: u64) -> Result<()> {
        let hash: [u8; 32] = self.hash.clone().finalize().into();
        let footer: [u8; 40] = self.array()?;
        if footer[..8] != entries.to_be_bytes() || footer[8..] != hash {
            return Err(StreamError::Damaged(
                "its footer does not match its content".to_owned(),
            ));
        }
        Ok(())
    }

    /// Reads and checks the next chunk; false at the end.
    fn chunk(&mut self, number: u64, entries: &mut Vec<u8>) -> Result<bool> {
        let length: [u8; 4] = self.array()?;
        self.hash.update(length);
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            return Ok(false);
        }
        if length > MAX_CHUNK_BYTES {
            return Err(StreamError::Damaged(format!(
                "chunk {number} claims {length} bytes"
            )));
        }
        entries.clear();
        // Grows with what arrives, so that a forged length allocates nothing.
        let taken = self.inner.by_ref().take(length as u64).read_to_end(entries);
        let taken = taken.map_err(|source| StreamError::Io { act: "read", source })?;
        self.bytes += taken as u64;
        if taken < length {
            return Err(StreamError::Damaged(format!(
                "it ends after {} bytes",
                self.bytes
            )));
        }
        let hash: [u8; 16] = self.array()?;
        if hash != chunk_hash(number, entries) {
            return Err(StreamError::Damaged(format!(
                "chunk {number} does not match its hash"
            )));
        }
        self.hash.update(&*entries);
        self.hash.update(hash);
        Ok(true)
    }
}

struct Loading<'a, L> {
    loader: L,
    /// Put when the first key behind them comes.
    blobs: Option<Vec<(Vec<u8>, &'a [u8])>>,
    entries: u64,
    position: Position,
}

impl<L: Loader> Loading<'_, L> {
    fn chunk(&mut self, mut chunk: &[u8]) -> Result<()> {
        while !chunk.is_empty() {
            let (key, value) = (take_bytes(&mut chunk)?, take_bytes(&mut chunk)?);
            self.entry(key, value)?;
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], mut value: &[u8]) -> Result<()> {
        let space = key.first().copied();
        match space.unwrap_or_default() {
            POSITION if self.entries == 0 => {
                self.loader.put(key, value)?;
                self.position = Position::take(&mut value)?;
                end_of(value)?;
            }
            FIRST_HASHED..=LAST_SPACE => {
                level::admit(key, value)?;
                self.put_blobs()?;
                self.loader.put(key, value)?;
            }
            other => {
                return Err(StreamError::Damaged(format!(
                    "it has a key of space {other:#04x}"
                )));
            }
        }
        self.entries += 1;
        Ok(())
    }

    fn put_blobs(&mut self) -> Result<()> {
        for (key, bytes) in self.blobs.take().into_iter().flatten() {
            self.loader.put(&key, bytes)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.put_blobs()?;
        Ok(self.loader.finish()?)
    }
}
