//! The vote, the purge mark and the synced mark: files of three numbers and a checksum.
//!
//! The first two are replaced as a whole (write aside, sync, rename, sync the directory). The synced mark is overwritten in place and
//! not synced: it only has to be a lower bound of what the open segment holds durably, and a torn one counts as none.

use crate::LogError;
use crate::disk::{Disk, DiskFile, read_all};
use crate::segment::{Position, read_u32, read_u64};
use geode_mutation::{Mutation, is_on};
use geode_types::{LogIndex, MemberId, Term};
use std::path::Path;

const BYTES: usize = 8 + 3 * 8 + 4;
const VOTE: [u8; 8] = *b"GEODEVOT";
const PURGED: [u8; 8] = *b"GEODEPRG";
const MARK: [u8; 8] = *b"GEODEMRK";

/// What this member has promised: whom it voted for, in which term, and whether that member is known to have won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The term.
    pub term: Term,
    /// The candidate or leader.
    pub member: MemberId,
    /// A majority voted for it.
    pub committed: bool,
}

/// How far the open segment is known to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncedMark {
    /// First index of the open segment.
    pub(crate) first: LogIndex,
    /// Everything before this byte is durable.
    pub(crate) offset: u64,
}

pub(crate) fn save_vote(disk: &dyn Disk, directory: &Path, vote: Vote) -> Result<(), LogError> {
    let bytes = encode(VOTE, [vote.term.0, vote.member.0, u64::from(vote.committed)]);
    replace(disk, directory, "vote", &bytes)
}

pub(crate) fn load_vote(disk: &dyn Disk, directory: &Path) -> Result<Option<Vote>, LogError> {
    let numbers = load(disk, directory, "vote", VOTE)?;
    Ok(numbers.map(|[term, member, committed]| Vote {
        term: Term(term),
        member: MemberId(member),
        committed: committed != 0,
    }))
}

pub(crate) fn save_purged(disk: &dyn Disk, directory: &Path, purged: Position) -> Result<(), LogError> {
    let bytes = encode(PURGED, [purged.term.0, purged.index.0, 0]);
    replace(disk, directory, "purged", &bytes)
}

pub(crate) fn load_purged(disk: &dyn Disk, directory: &Path) -> Result<Option<Position>, LogError> {
    let numbers = load(disk, directory, "purged", PURGED)?;
    Ok(numbers.map(|[term, index, _]| Position {
        term: Term(term),
        index: LogIndex(index),
    }))
}

pub(crate) fn write_mark(file: &dyn DiskFile, mark: SyncedMark) -> std::io::Result<()> {
    file.write_at(&encode(MARK, [mark.first.0, mark.offset, 0]), 0)
}

pub(crate) fn load_mark(disk: &dyn Disk, path: &Path) -> Result<Option<SyncedMark>, LogError> {
    let bytes = read_all(disk, path).map_err(|error| LogError::io("read", path, error))?;
    let numbers = bytes.and_then(|bytes| decode(MARK, &bytes));
    Ok(numbers.map(|[first, offset, _]| SyncedMark {
        first: LogIndex(first),
        offset,
    }))
}

fn encode(magic: [u8; 8], numbers: [u64; 3]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn decode(magic: [u8; 8], bytes: &[u8]) -> Option<[u64; 3]> {
    let sound = bytes.len() == BYTES
        && bytes[..8] == magic
        && read_u32(bytes, BYTES - 4)? == crc32c::crc32c(&bytes[..BYTES - 4]);
    if !sound {
        return None;
    }
    Some([read_u64(bytes, 8)?, read_u64(bytes, 16)?, read_u64(bytes, 24)?])
}

fn load(disk: &dyn Disk, directory: &Path, name: &str, magic: [u8; 8]) -> Result<Option<[u64; 3]>, LogError> {
    let path = directory.join(name);
    let Some(bytes) = read_all(disk, &path).map_err(|error| LogError::io("read", &path, error))? else {
        return Ok(None);
    };
    let numbers = decode(magic, &bytes).ok_or_else(|| LogError::Corrupt {
        path,
        offset: 0,
        reason: format!("the {name} file does not match its checksum"),
    })?;
    Ok(Some(numbers))
}

fn replace(disk: &dyn Disk, directory: &Path, name: &str, bytes: &[u8]) -> Result<(), LogError> {
    let (path, aside) = (directory.join(name), directory.join(format!("{name}.new")));
    let file = disk
        .create(&aside)
        .map_err(|error| LogError::io("create", &aside, error))?;
    file.write_at(bytes, 0)
        .map_err(|error| LogError::io("write", &aside, error))?;
    if !is_on(Mutation::UnorderedVoteWrite) {
        file.sync().map_err(|error| LogError::sync(&aside, error))?;
    }
    disk.rename(&aside, &path)
        .map_err(|error| LogError::io("rename", &path, error))?;
    disk.sync_dir(directory)
        .map_err(|error| LogError::sync(directory, error))
}
