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
            let mut oldest = backups.iter().filter_map(|other| other.oldest_kept.as_ref());
            oldest.any(|kept| place.is_before(kept))
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

/// Where a base backup is: in which history, and up to which entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupPlace {
    /// The folder of the history, as a URL.
    pub history: String,
    /// The last entry in it.
    pub index: u64,
}

impl BackupPlace {
    /// Reads the location `…/base/INDEX-UNIQUE/` and the LSN `0/INDEX` of a status.
    pub fn read(location: &str, lsn: &str) -> Option<Self> {
        Some(Self {
            history: location.rsplit_once("/base/")?.0.to_owned(),
            index: lsn.rsplit_once('/')?.1.parse().ok()?,
        })
    }

    fn is_before(&self, other: &Self) -> bool {
        self.history == other.history && self.index < other.index
    }
}
