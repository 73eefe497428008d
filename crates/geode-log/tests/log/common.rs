//! What the tests of the log share.

use bytes::Bytes;
use geode_log::{Log, LogOptions, Position, RealDisk, Record, RecordKind};
use geode_types::{ClusterId, LogIndex, Term};
use std::path::Path;
use std::sync::Arc;

pub(crate) fn cluster() -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(7))
}

pub(crate) fn options(segment_entries: u64, cache_bytes: usize) -> LogOptions {
    LogOptions {
        cluster: Some(cluster()),
        segment_entries,
        cache_bytes,
        ..LogOptions::default()
    }
}

pub(crate) fn position(term: u64, index: u64) -> Position {
    Position {
        term: Term(term),
        index: LogIndex(index),
    }
}

/// A record whose payload tells its place and is `bytes` long.
pub(crate) fn record(term: u64, index: u64, bytes: usize) -> Record {
    let mut payload = format!("{term}/{index}/").into_bytes();
    payload.resize(payload.len().max(bytes), b'x');
    Record {
        position: position(term, index),
        kind: RecordKind::Command,
        payload: Bytes::from(payload),
    }
}

pub(crate) fn records(term: u64, range: std::ops::Range<u64>, bytes: usize) -> Vec<Record> {
    range.map(|index| record(term, index, bytes)).collect()
}

pub(crate) fn real(directory: &Path, segment_entries: u64, cache_bytes: usize) -> Log {
    Log::open(
        Arc::new(RealDisk),
        directory.to_path_buf(),
        options(segment_entries, cache_bytes),
    )
    .unwrap()
}

pub(crate) fn all(log: &Log) -> Vec<Record> {
    log.reader().read(0, u64::MAX, usize::MAX).unwrap()
}
