//! What schedules keep: the retention that a backup is given, and the GeodeBackups whose backup is gone.

use super::TakenBackup;
use geode_api::{BackupPhase, RetentionSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// All schedules of a cluster share its archive, so what one of them keeps is kept: the longest of each counts, and while one of them keeps
/// everything nothing is deleted.
pub fn joint_retention<'a>(
    of_each: impl IntoIterator<Item = Option<&'a RetentionSpec>>,
) -> Option<RetentionSpec> {
    let all: Option<Vec<&RetentionSpec>> = of_each.into_iter().collect();
    all?.into_iter().cloned().reduce(|one, other| RetentionSpec {
        days: one.days.max(other.days),
        min_count: one.min_count.max(other.min_count),
        wal_days: Some(one.wal_days().max(other.wal_days())),
        // Absent, it is as `days` is.
        incremental_days: one
            .incremental_days
            .or(other.incremental_days)
            .map(|_| one.incremental_days().max(other.incremental_days())),
        incremental_min_count: one.incremental_min_count.max(other.incremental_min_count),
    })
}

/// The GeodeBackups that this schedule made and that stand for nothing any more: their backup was deleted by a clean-up, or they failed long ago.
pub fn expired_backups(
    schedule: &str,
    retention: &RetentionSpec,
    backups: &[TakenBackup],
    now: Timestamp,
) -> Vec<String> {
    let limit = now - SignedDuration::from_hours(24 * i64::from(retention.days));
    let is_gone = |backup: &TakenBackup| match backup.phase {
        BackupPhase::Completed => backup.place.as_ref().is_some_and(|place| {
            let kept =
                |other: &'_ TakenBackup| [other.oldest_kept.clone(), other.oldest_increment_kept.clone()];
            let mut oldest = backups.iter().flat_map(kept).flatten();
            oldest.any(|kept| place.is_before(&kept))
        }),
        BackupPhase::Failed => backup.ended_at.is_some_and(|ended| ended < limit),
        BackupPhase::Pending | BackupPhase::Running => false,
    };
    let own = backups
        .iter()
        .filter(|backup| backup.schedule.as_deref() == Some(schedule));
    own.filter(|backup| is_gone(backup))
        .map(|backup| backup.name.clone())
        .collect()
}

/// Where a backup is: in which history, among which kind of backups, and up to which entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupPlace {
    /// The folder of the history, as a URL.
    pub history: String,
    /// Whether it is a full one.
    pub is_full: bool,
    /// The last entry in it.
    pub index: u64,
}

impl BackupPlace {
    /// Reads the location `…/base/INDEX-UNIQUE/`, or `…/backups/INDEX-UNIQUE.json` of one that is not full, and the LSN `0/INDEX` of a status.
    pub fn read(location: &str, lsn: &str) -> Option<Self> {
        let full = location.rsplit_once("/base/");
        let (history, _) = full.or_else(|| location.rsplit_once("/backups/"))?;
        Some(Self {
            history: history.to_owned(),
            is_full: full.is_some(),
            index: lsn.rsplit_once('/')?.1.parse().ok()?,
        })
    }

    fn is_before(&self, other: &Self) -> bool {
        self.history == other.history && self.is_full == other.is_full && self.index < other.index
    }
}
