//! The archive and its backups as rows for `SELECT … FROM system.…`: what this member's log says, joined with the last report of its sidecar.
//! The leader's answer is the one that counts, since its sidecar archives.

use crate::member::Member;
use crate::system::time_value;
use geode_log::SegmentName;
use geode_log::segment::group_directory;
use geode_types::{GroupId, LogIndex, Value};
use geode_wire::internal::{ArchiveReport, BackupFacts, SegmentInfo};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Columns of `system.wal_archiving_status`.
pub(crate) const WAL_ARCHIVING_STATUS: [&str; 6] = [
    "current_wal_file",
    "last_archived_file",
    "archive_lag_bytes",
    "archive_lag_seconds",
    "failed_archive_count",
    "archive_failures_24h",
];

/// Columns of `system.backup_status`.
pub(crate) const BACKUP_STATUS: [&str; 6] = [
    "backup_type",
    "last_backup_time",
    "last_backup_size_mb",
    "last_backup_duration_seconds",
    "backup_count_24h",
    "oldest_backup_time",
];

const MIB: f64 = 1024.0 * 1024.0;

/// Sealed segments of this member that are not known to be archived.
fn waiting(member: &Member) -> Vec<SegmentInfo> {
    let archived = member.board.archive().map(|report| report.archived_up_to);
    member.raft.segments(archived.unwrap_or(LogIndex(0)))
}

/// Their size, bytes.
pub(crate) fn backlog(member: &Member) -> u64 {
    waiting(member).iter().map(|segment| segment.bytes).sum()
}

/// One row; what is about an archive is null without one.
pub(crate) fn wal_archiving_status(member: &Member) -> Vec<Vec<Value>> {
    let next = || LogIndex(member.raft.status().last_log.0 + 1);
    let first = member.raft.unsealed().map_or_else(next, |(first, _)| first);
    let open = SegmentName::Open(first).to_string();
    let archive = member.config.archive.is_configured().then(|| {
        let waiting = waiting(member);
        let folder = member.config.wal_dir().join(group_directory(GroupId(0)));
        let oldest = waiting.first();
        let sealed = oldest.and_then(|segment| modified(&folder.join(&segment.file)));
        let lag = Lag {
            bytes: waiting.iter().map(|segment| segment.bytes).sum(),
            age: sealed
                .and_then(|sealed| sealed.elapsed().ok())
                .unwrap_or_default(),
        };
        (lag, member.board.archive().unwrap_or_default())
    });
    vec![archiving_row(&open, archive)]
}

/// What waits for the archive.
struct Lag {
    bytes: u64,
    /// Since the oldest of it was sealed.
    age: Duration,
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn archiving_row(open: &str, archive: Option<(Lag, ArchiveReport)>) -> Vec<Value> {
    let Some((lag, report)) = archive else {
        let mut row = vec![open.into()];
        row.resize(WAL_ARCHIVING_STATUS.len(), Value::Null);
        return row;
    };
    let last = Some(report.last_archived.as_str()).filter(|last| !last.is_empty());
    vec![
        open.into(),
        last.map_or(Value::Null, Into::into),
        number(lag.bytes),
        number(lag.age.as_secs()),
        number(report.failures_total),
        number(report.failures_24h),
    ]
}

/// A row for each kind of backup.
pub(crate) fn backup_status(member: &Member) -> Vec<Vec<Value>> {
    let report = member.board.archive().unwrap_or_default();
    report.backups.iter().map(backup_row).collect()
}

fn backup_row(facts: &BackupFacts) -> Vec<Value> {
    let known = |value: Value| facts.last_at_micros.map_or(Value::Null, |_| value);
    vec![
        facts.kind.as_str().into(),
        facts.last_at_micros.map_or(Value::Null, time_value),
        known(Value::Float(facts.last_bytes as f64 / MIB)),
        known(Value::Float(facts.last_took_ms as f64 / 1000.0)),
        number(facts.count_24h),
        facts.oldest_at_micros.map_or(Value::Null, time_value),
    ]
}

fn number(figure: u64) -> Value {
    Value::Int(i64::try_from(figure).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_value_for_every_column_with_and_without_an_archive() {
        let open = "00000000000000000007.open";
        let alone = archiving_row(open, None);
        assert_eq!(alone.len(), WAL_ARCHIVING_STATUS.len());
        assert_eq!((&alone[0], &alone[1]), (&open.into(), &Value::Null));
        let lag = Lag {
            bytes: 12,
            age: Duration::from_millis(2900),
        };
        let report = ArchiveReport {
            failures_total: 5,
            failures_24h: 3,
            last_archived: "a.seg".into(),
            ..ArchiveReport::default()
        };
        let row = archiving_row(open, Some((lag, report)));
        assert_eq!(
            row,
            [
                open.into(),
                "a.seg".into(),
                12.into(),
                2.into(),
                5.into(),
                3.into()
            ]
        );
    }

    #[test]
    fn a_kind_without_a_backup_yet_has_a_row_that_says_so() {
        let none = backup_row(&BackupFacts {
            kind: "full".into(),
            ..BackupFacts::default()
        });
        assert_eq!(none.len(), BACKUP_STATUS.len());
        assert_eq!(
            none[..5],
            ["full".into(), Value::Null, Value::Null, Value::Null, 0.into()]
        );
        let some = backup_row(&BackupFacts {
            kind: "full".into(),
            last_at_micros: Some(0),
            last_bytes: 3 << 19,
            last_took_ms: 2500,
            count_24h: 2,
            oldest_at_micros: Some(0),
        });
        assert_eq!(
            some[1..],
            [
                time_value(0),
                Value::Float(1.5),
                Value::Float(2.5),
                2.into(),
                time_value(0)
            ]
        );
    }
}
