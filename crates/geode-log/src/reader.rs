//! Reads records: the recent ones from memory, the others from their files. Every record is verified when it is read.

use crate::disk::{Disk, DiskFile};
use crate::segment::{
    FOOTER_BYTES, HEADER_BYTES, Position, RECORD_BYTES_MAX, RECORD_OVERHEAD, Record, SegmentName, read_u32,
};
use crate::shared::{LogState, Sealed, Shared, State};
use crate::{LogError, Vote};
use geode_types::LogIndex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much a reader takes from a file at once.
const READ_CHUNK: usize = 256 * 1024;

/// Reads a log while it is written. Cheap to clone.
#[derive(Clone)]
pub struct LogReader(pub(crate) Arc<Shared>);

/// Where a reader finds a record that is not cached.
struct Place {
    path: PathBuf,
    offset: Option<u64>,
    sealed: Option<Arc<Sealed>>,
    end: u64,
    generation: u64,
}

impl LogReader {
    /// How the log stands.
    pub fn state(&self) -> LogState {
        self.0.state()
    }

    /// The vote that was saved last.
    pub fn vote(&self) -> Option<Vote> {
        self.0.read().vote
    }

    /// Sealed segments, oldest first: first and last index, bytes, file name.
    pub fn sealed(&self) -> Vec<(LogIndex, LogIndex, u64, String)> {
        let state = self.0.read();
        let describe = |segment: &Arc<Sealed>| {
            (
                segment.first,
                segment.last.index,
                segment.bytes,
                segment.name().to_string(),
            )
        };
        state.sealed.iter().map(describe).collect()
    }

    /// The last record of the newest sealed segment that ends at or before `limit`: the log can be purged up to there in whole files.
    pub fn sealed_end_below(&self, limit: LogIndex) -> Option<Position> {
        let state = self.0.read();
        let mut ends = state.sealed.iter().rev().map(|segment| segment.last);
        ends.find(|last| last.index <= limit)
    }

    /// The records of `[from, to)` when their first is in memory: at most about `bytes`, at least one. Never touches the disk.
    pub fn cached(&self, from: u64, to: u64, bytes: usize) -> Option<Vec<Record>> {
        let state = self.0.read();
        let to = to.min(state.next_index());
        if from >= to {
            return Some(Vec::new());
        }
        state.cached(from, to, bytes)
    }

    /// Records of `[from, to)` that the log holds, oldest first: at most about `bytes` of them, at least one when there is one.
    pub fn read(&self, from: u64, to: u64, bytes: usize) -> Result<Vec<Record>, LogError> {
        let mut records: Vec<Record> = Vec::new();
        let (mut next, mut left) = (from, bytes);
        loop {
            let place = {
                let state = self.0.read();
                next = next.max(state.begin);
                let to = to.min(state.next_index());
                if next >= to || (left == 0 && !records.is_empty()) {
                    return Ok(records);
                }
                if let Some(mut cached) = state.cached(next, to, left) {
                    records.append(&mut cached);
                    return Ok(records);
                }
                state
                    .place(next, &self.0.directory)
                    .ok_or(LogError::Absent(next))?
            };
            let end = place.end.min(to);
            match self.read_file(&place, next, end, left) {
                Ok(mut found) => {
                    if (found.len() as u64) < end - next {
                        records.append(&mut found);
                        return Ok(records);
                    }
                    let size: usize = found.iter().map(Record::encoded_len).sum();
                    left = left.saturating_sub(size);
                    next += found.len() as u64;
                    records.append(&mut found);
                }
                Err(_) if self.0.read().generation != place.generation => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read_file(&self, place: &Place, from: u64, to: u64, bytes: usize) -> Result<Vec<Record>, LogError> {
        let file = self
            .0
            .disk
            .open(&place.path)
            .map_err(|error| LogError::io("open", &place.path, error))?;
        let corrupt = |offset: u64, reason: &str| LogError::Corrupt {
            path: place.path.clone(),
            offset,
            reason: reason.to_owned(),
        };
        let mut offset = match place.offset {
            Some(offset) => offset,
            None => self.find(place, from)?,
        };
        let mut window = Window::new(&*file);
        let mut records: Vec<Record> = Vec::new();
        let (mut left, mut next) = (bytes, from);
        while next < to {
            let (record, size) = window
                .record(offset)
                .map_err(|error| LogError::io("read", &place.path, error))?
                .ok_or_else(|| corrupt(offset, "a record does not match its checksum or is cut off"))?;
            if record.position.index.0 != next {
                return Err(corrupt(offset, "a record stands in the place of another"));
            }
            if !records.is_empty() && record.encoded_len() > left {
                break;
            }
            left = left.saturating_sub(record.encoded_len());
            records.push(record);
            next += 1;
            offset += size as u64;
        }
        Ok(records)
    }

    /// Where a record of a sealed segment begins: the offsets of all its records are found once, from their lengths alone.
    fn find(&self, place: &Place, index: u64) -> Result<u64, LogError> {
        let sealed = place.sealed.as_ref().ok_or(LogError::Absent(index))?;
        if sealed.offsets.get().is_none() {
            let found = scan_offsets(&*self.0.disk, &place.path, sealed)?;
            let _ = sealed.offsets.set(found);
        }
        let at = (index - sealed.first.0) as usize;
        sealed
            .offsets
            .get()
            .and_then(|offsets| offsets.get(at).copied())
            .ok_or(LogError::Absent(index))
    }
}

impl State {
    fn place(&self, index: u64, directory: &Path) -> Option<Place> {
        if let Some(open) = &self.open
            && index >= open.first.0
        {
            let offset = open.offsets.get((index - open.first.0) as usize).copied()?;
            return Some(Place {
                path: directory.join(SegmentName::Open(open.first).to_string()),
                offset: Some(offset),
                sealed: None,
                end: open.first.0 + open.offsets.len() as u64,
                generation: self.generation,
            });
        }
        let at = self
            .sealed
            .partition_point(|segment| segment.last.index.0 < index);
        let sealed = self.sealed.get(at).filter(|segment| segment.first.0 <= index)?;
        Some(Place {
            path: directory.join(sealed.name().to_string()),
            offset: None,
            end: sealed.last.index.0 + 1,
            sealed: Some(sealed.clone()),
            generation: self.generation,
        })
    }
}

/// A part of a file in memory, moved along as records are read.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile) -> Self {
        Self {
            file,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// What is in memory from `offset` on, at least `wanted` bytes when the file has them.
    pub(crate) fn bytes(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let held = offset
            .checked_sub(self.start)
            .map(|at| at as usize)
            .filter(|at| at + wanted <= self.bytes.len());
        let at = if let Some(at) = held {
            at
        } else {
            self.bytes.resize(wanted.max(READ_CHUNK), 0);
            let read = self.file.read_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
            0
        };
        Ok(&self.bytes[at..])
    }

    /// The valid record that begins at `offset`, and its size; `None` when there is none.
    pub(crate) fn record(&mut self, offset: u64) -> io::Result<Option<(Record, usize)>> {
        let wanted = match read_u32(self.bytes(offset, 4)?, 0) {
            Some(length) if length as usize <= RECORD_BYTES_MAX + RECORD_OVERHEAD => length as usize + 8,
            _ => return Ok(None),
        };
        Ok(Record::decode(self.bytes(offset, wanted)?))
    }
}

/// Where each record of a sealed segment begins, from their lengths alone.
fn scan_offsets(disk: &dyn Disk, path: &Path, sealed: &Sealed) -> Result<Vec<u64>, LogError> {
    let file = disk
        .open(path)
        .map_err(|error| LogError::io("open", path, error))?;
    let mut window = Window::new(&*file);
    let count = sealed.last.index.0 - sealed.first.0 + 1;
    let end = sealed.bytes - FOOTER_BYTES as u64;
    let mut offsets = Vec::with_capacity(count as usize);
    let mut offset = HEADER_BYTES as u64;
    while (offsets.len() as u64) < count && offset < end {
        let bytes = window
            .bytes(offset, 4)
            .map_err(|error| LogError::io("read", path, error))?;
        let Some(length) = read_u32(bytes, 0) else { break };
        offsets.push(offset);
        offset += u64::from(length) + 8;
    }
    if offset == end && offsets.len() as u64 == count {
        return Ok(offsets);
    }
    Err(LogError::Corrupt {
        path: path.to_path_buf(),
        offset,
        reason: "the lengths of its records do not add up".to_owned(),
    })
}
