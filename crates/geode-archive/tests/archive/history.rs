//! Segments as a member writes them, without a member.

use bytes::Bytes;
use geode_archive::{Lineage, SegmentRange};
use geode_log::segment::{Footer, Header};
use geode_log::{Position, Record, RecordKind, SegmentName};
use geode_types::{ClusterId, GroupId, Incarnation, LogIndex, Term};
use std::path::{Path, PathBuf};

pub(crate) fn lineage() -> Lineage {
    Lineage {
        cluster_id: ClusterId(uuid::Uuid::from_u128(0xabc)),
        incarnation: Incarnation(1),
    }
}

pub(crate) fn range(first: u64, last: u64) -> SegmentRange {
    SegmentRange {
        first: LogIndex(first),
        last: LogIndex(last),
    }
}

/// The bytes of a sealed segment whose entries carry their index as text.
pub(crate) fn segment(lineage: Lineage, range: SegmentRange) -> Vec<u8> {
    let header = Header {
        cluster: lineage.cluster_id,
        group: GroupId(0),
        first: range.first,
        previous_term: Term(u64::from(range.first.0 > 0)),
    };
    let mut bytes = header.encode().to_vec();
    let position = |index| Position {
        term: Term(1),
        index: LogIndex(index),
    };
    for index in range.first.0..=range.last.0 {
        let payload = Bytes::from(index.to_string());
        Record {
            position: position(index),
            kind: RecordKind::Command,
            payload,
        }
        .encode(&mut bytes);
    }
    let footer = Footer {
        count: range.last.0 - range.first.0 + 1,
        last: position(range.last.0),
        content_hash: xxhash_rust::xxh3::xxh3_64(&bytes),
    };
    bytes.extend_from_slice(&footer.encode());
    bytes
}

pub(crate) fn write(dir: &Path, lineage: Lineage, range: SegmentRange) -> PathBuf {
    let path = dir.join(SegmentName::Sealed(range.first, range.last).to_string());
    std::fs::write(&path, segment(lineage, range)).unwrap();
    path
}
