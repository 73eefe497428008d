//! What the writer and the readers of a log share: which files there are, the recent records, how far it is written.

use crate::disk::Disk;
use crate::log::LogOptions;
use crate::segment::{Position, Record, SegmentName};
use crate::{LogError, Vote};
use geode_types::LogIndex;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How many bytes of recent records are kept in memory unless configured otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// How the log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The last record that is purged.
    pub purged: Option<Position>,
    /// The last record, written or about to be; `purged` when there is none.
    pub last: Option<Position>,
    /// The last record of it that is in the files and durable.
    pub written: Option<Position>,
    /// Bytes in segments.
    pub bytes: u64,
}

/// A sealed segment.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) first: LogIndex,
    pub(crate) last: Position,
    pub(crate) bytes: u64,
    /// Where each record begins; found when the segment is first read.
    pub(crate) offsets: OnceLock<Vec<u64>>,
}

impl Sealed {
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName::Sealed(self.first, self.last.index)
    }
}

/// The segment that is written to, as readers see it.
#[derive(Debug, Default)]
pub(crate) struct OpenView {
    pub(crate) first: LogIndex,
    /// Where each durable record begins.
    pub(crate) offsets: Vec<u64>,
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sealed: VecDeque<Arc<Sealed>>,
    pub(crate) open: Option<OpenView>,
    pub(crate) purged: Option<Position>,
    /// Index of the first record that the log holds or would hold.
    pub(crate) begin: u64,
    /// The last record that was admitted.
    pub(crate) last: Option<Position>,
    /// The last admitted record that is durable.
    pub(crate) written: Option<Position>,
    /// The end of the log, without a gap up to `last`; holds at least what is not durable.
    pub(crate) cache: VecDeque<Record>,
    pub(crate) cache_bytes: usize,
    /// Counts truncations and purges, so that a reader of a file notices that it vanished.
    pub(crate) generation: u64,
    /// Counts truncations, so that records admitted before one are not taken for those after it.
    pub(crate) epoch: u64,
    pub(crate) vote: Option<Vote>,
}

impl State {
    pub(crate) fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index.0 + 1)
    }

    /// Takes records in, so that they are readable at once.
    /// An empty log may begin anywhere; openraft begins at 0.
    pub(crate) fn admit(&mut self, records: &[Record]) -> Result<(), LogError> {
        let first = match (self.last, records.first()) {
            (None, Some(record)) => record.position.index.0,
            _ => self.next_index(),
        };
        for (expected, record) in (first..).zip(records) {
            let found = record.position.index.0;
            if found != expected {
                return Err(LogError::Gap { found, expected });
            }
            if record.payload.len() > crate::segment::RECORD_BYTES_MAX {
                return Err(LogError::TooLarge {
                    index: found,
                    bytes: record.payload.len(),
                });
            }
        }
        if self.last.is_none() {
            self.begin = first;
        }
        for record in records {
            self.cache_bytes += record.encoded_len();
            self.cache.push_back(record.clone());
            self.last = Some(record.position);
        }
        Ok(())
    }

    /// Forgets what follows `last`.
    pub(crate) fn truncate(&mut self, last: Option<Position>) {
        let next = last.map_or(0, |last| last.index.0 + 1);
        if next >= self.next_index() {
            return;
        }
        while self
            .cache
            .back()
            .is_some_and(|record| record.position.index.0 >= next)
        {
            self.pop(VecDeque::pop_back);
        }
        self.last = last.max(self.purged);
        self.written = self.written.min(self.last);
        self.epoch += 1;
        self.generation += 1;
    }

    /// Forgets everything up to `purged`.
    pub(crate) fn purge(&mut self, purged: Position) {
        self.purged = self.purged.max(Some(purged));
        self.begin = self.begin.max(purged.index.0 + 1);
        if self.last.is_none_or(|last| last.index < purged.index) {
            self.cache.clear();
            self.cache_bytes = 0;
            self.last = Some(purged);
            self.written = Some(purged);
            self.epoch += 1;
        }
        self.generation += 1;
    }

    pub(crate) fn wrote(&mut self, last: Position, epoch: u64, cache_limit: usize) {
        if epoch == self.epoch {
            self.written = Some(last);
        }
        let written = self.written.map_or(0, |written| written.index.0 + 1);
        while self.cache_bytes > cache_limit
            && self
                .cache
                .front()
                .is_some_and(|record| record.position.index.0 < written)
        {
            self.pop(VecDeque::pop_front);
        }
    }

    fn pop(&mut self, side: fn(&mut VecDeque<Record>) -> Option<Record>) {
        if let Some(record) = side(&mut self.cache) {
            self.cache_bytes -= record.encoded_len();
        }
    }

    fn bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|segment| segment.bytes).sum();
        sealed + self.open.as_ref().map_or(0, |open| open.bytes)
    }

    /// The cached records of `[from, to)`, at most `bytes` of them but at least one; `None` when the first is not cached.
    pub(crate) fn cached(&self, from: u64, to: u64, bytes: usize) -> Option<Vec<Record>> {
        let first = self.cache.front()?.position.index.0;
        let skip = from.checked_sub(first)? as usize;
        let mut left = bytes;
        let mut records = Vec::new();
        for record in self.cache.iter().skip(skip).take((to - from) as usize) {
            if !records.is_empty() && record.encoded_len() > left {
                break;
            }
            left = left.saturating_sub(record.encoded_len());
            records.push(record.clone());
        }
        Some(records)
    }
}

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) options: LogOptions,
    state: RwLock<State>,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: PathBuf, options: LogOptions, state: State) -> Self {
        Self {
            disk,
            directory,
            options,
            state: RwLock::new(state),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> LogState {
        let state = self.read();
        LogState {
            purged: state.purged,
            last: state.last,
            written: state.written,
            bytes: state.bytes(),
        }
    }
}
