//! The format of a segment file (docs/formats/log-segment.md): a header, records, and, once it is sealed, a footer.
//!
//! Nothing in it depends on the member that wrote it: the same entries give the same bytes everywhere, which is what makes archiving by
//! put-if-absent safe. Integers are little-endian.

mod reader;

pub use reader::SegmentReader;

use bytes::Bytes;
use geode_types::{ClusterId, GroupId, LogIndex, Term};
use std::io;

/// The first bytes of a segment file.
pub const MAGIC: [u8; 8] = *b"GEODELOG";
/// The first bytes of a footer, after its mark and checksum.
pub const FOOTER_MAGIC: [u8; 8] = *b"GEODEEND";
/// The version of the format that this code writes and reads.
pub const VERSION: u16 = 1;
/// Size of a header.
pub const HEADER_BYTES: usize = 64;
/// Size of what stands before a record's payload: length, checksum, term, index, kind.
pub const RECORD_OVERHEAD: usize = 4 + 4 + BODY_OVERHEAD;
/// Size of a footer.
pub const FOOTER_BYTES: usize = 48;
/// The largest payload of a record.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Stands where a record's length would, when the footer follows.
const FOOTER_MARK: u32 = u32::MAX;
const BODY_OVERHEAD: usize = 8 + 8 + 1;

/// Term and index of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Term of the leader that proposed it.
    pub term: Term,
    /// Its place in the log.
    pub index: LogIndex,
}

/// What a record carries. The numbers stand on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// Nothing: a new leader's first entry.
    Blank = 0,
    /// A command of the graph.
    Command = 1,
    /// A membership.
    Membership = 2,
    /// A command that ends the segment after it.
    Cut = 3,
}

impl RecordKind {
    /// Reads the byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Blank),
            1 => Some(Self::Command),
            2 => Some(Self::Membership),
            3 => Some(Self::Cut),
            _ => None,
        }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// What it carries.
    pub kind: RecordKind,
    /// Its content.
    pub payload: Bytes,
}

impl Record {
    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&((BODY_OVERHEAD + self.payload.len()) as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.position.term.0.to_le_bytes());
        out.extend_from_slice(&self.position.index.0.to_le_bytes());
        out.push(self.kind as u8);
        out.extend_from_slice(&self.payload);
        let crc = record_crc(&out[start..start + 4], &out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Its size on disk.
    pub fn encoded_len(&self) -> usize {
        RECORD_OVERHEAD + self.payload.len()
    }

    /// Reads a record at the start of `bytes`; the number of bytes it took. `None` when no valid record stands there.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let length = read_u32(bytes, 0)? as usize;
        if !(BODY_OVERHEAD..=BODY_OVERHEAD + RECORD_BYTES_MAX).contains(&length) {
            return None;
        }
        let body = bytes.get(8..8 + length)?;
        let record = Self::decode_body(bytes.get(..4)?, read_u32(bytes, 4)?, body).ok()?;
        Some((record, 8 + length))
    }

    fn decode_body(length: &[u8], crc: u32, body: &[u8]) -> Result<Self, &'static str> {
        let (position, kind) = Self::check_body(length, crc, body)?;
        Ok(Self {
            position,
            kind,
            payload: Bytes::copy_from_slice(&body[BODY_OVERHEAD..]),
        })
    }

    /// Everything but the payload.
    fn check_body(length: &[u8], crc: u32, body: &[u8]) -> Result<(Position, RecordKind), &'static str> {
        if record_crc(length, body) != crc {
            return Err("the checksum of a record does not match");
        }
        let (Some(term), Some(index), Some(kind)) = (read_u64(body, 0), read_u64(body, 8), body.get(16))
        else {
            return Err("a record is too short");
        };
        let kind =
            RecordKind::from_byte(*kind).ok_or("a record is of a kind that this version does not know")?;
        let position = Position {
            term: Term(term),
            index: LogIndex(index),
        };
        Ok((position, kind))
    }
}

/// What stands first in a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster the log belongs to.
    pub cluster: ClusterId,
    /// The Raft group.
    pub group: GroupId,
    /// Index of the first record.
    pub first: LogIndex,
    /// Term of the entry before it, so that segments can be proven to follow each other; 0 before the first entry.
    pub previous_term: Term,
}

impl Header {
    /// The entry before the first record.
    pub fn previous(&self) -> Option<Position> {
        let index = self.first.0.checked_sub(1)?;
        Some(Position {
            term: self.previous_term,
            index: LogIndex(index),
        })
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&self.group.0.to_le_bytes());
        out[16..32].copy_from_slice(self.cluster.0.as_bytes());
        out[32..40].copy_from_slice(&self.first.0.to_le_bytes());
        out[40..48].copy_from_slice(&self.previous_term.0.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, SegmentError> {
        let damaged = |reason: &str| SegmentError::damaged(0, reason);
        if bytes[..8] != MAGIC {
            return Err(damaged("this is not a segment of a Geode log"));
        }
        let (version, group) = (
            u16::from_le_bytes([bytes[8], bytes[9]]),
            u16::from_le_bytes([bytes[10], bytes[11]]),
        );
        if version != VERSION {
            return Err(SegmentError::Version { found: version });
        }
        if read_u32(bytes, 60) != Some(crc32c::crc32c(&bytes[..60])) {
            return Err(damaged("the checksum of the header does not match"));
        }
        let mut cluster = [0; 16];
        cluster.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            cluster: ClusterId(uuid::Uuid::from_bytes(cluster)),
            group: GroupId(group),
            first: LogIndex(read_u64(bytes, 32).unwrap_or_default()),
            previous_term: Term(read_u64(bytes, 40).unwrap_or_default()),
        })
    }
}

/// What stands last in a sealed segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// How many records.
    pub count: u64,
    /// The last record.
    pub last: Position,
    /// XXH3-64 of every byte before the footer.
    pub content_hash: u64,
}

impl Footer {
    /// The footer's bytes.
    pub fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        out[..4].copy_from_slice(&FOOTER_MARK.to_le_bytes());
        out[8..16].copy_from_slice(&FOOTER_MAGIC);
        out[16..24].copy_from_slice(&self.count.to_le_bytes());
        out[24..32].copy_from_slice(&self.last.term.0.to_le_bytes());
        out[32..40].copy_from_slice(&self.last.index.0.to_le_bytes());
        out[40..48].copy_from_slice(&self.content_hash.to_le_bytes());
        let crc = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a footer; `None` when none stands there or it is damaged.
    pub fn decode(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let sound = read_u32(bytes, 0)? == FOOTER_MARK
            && read_u32(bytes, 4)? == crc32c::crc32c(&bytes[8..])
            && bytes[8..16] == FOOTER_MAGIC;
        sound.then_some(Self {
            count: read_u64(bytes, 16)?,
            last: Position {
                term: Term(read_u64(bytes, 24)?),
                index: LogIndex(read_u64(bytes, 32)?),
            },
            content_hash: read_u64(bytes, 40)?,
        })
    }
}

/// The name of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SegmentName {
    /// Written to: `<first>.open`.
    Open(LogIndex),
    /// Complete: `<first>-<last>.seg`.
    Sealed(LogIndex, LogIndex),
}

impl SegmentName {
    /// Reads a file name; `None` when it is not a segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let number = |text: &str| {
            (text.len() == 20)
                .then(|| text.parse().ok().map(LogIndex))
                .flatten()
        };
        if let Some(first) = name.strip_suffix(".open") {
            return Some(Self::Open(number(first)?));
        }
        let (first, last) = name.strip_suffix(".seg")?.split_once('-')?;
        Some(Self::Sealed(number(first)?, number(last)?))
    }

    /// Index of the first record.
    pub fn first(&self) -> LogIndex {
        match self {
            Self::Open(first) | Self::Sealed(first, _) => *first,
        }
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(first) => write!(f, "{:020}.open", first.0),
            Self::Sealed(first, last) => write!(f, "{:020}-{:020}.seg", first.0, last.0),
        }
    }
}

/// The directory of a group below the WAL directory.
pub fn group_directory(group: GroupId) -> String {
    format!("group-{group}")
}

/// A segment could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The bytes could not be read.
    #[error("could not read the segment: {0}")]
    Io(#[from] io::Error),
    /// The bytes are not what was written.
    #[error("the segment is damaged at byte {offset}: {reason}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The header names another format.
    #[error("segment format {found} is not {expected}; was it written by a newer version?", expected = VERSION)]
    Version {
        /// Which.
        found: u16,
    },
}

impl SegmentError {
    pub(crate) fn damaged(offset: u64, reason: &str) -> Self {
        Self::Damaged {
            offset,
            reason: reason.to_owned(),
        }
    }
}

fn record_crc(length: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(length), body)
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
