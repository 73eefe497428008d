//! What an archive no longer has to keep. [`cleanup_plan`] decides from listings, [`clean_up`] deletes.
//!
//! Kept are: every base backup of the last `days`, the newest one before them, so that each moment of those days can be restored, and the newest
//! `min_count` in any case; of the log, what a restore to any moment of the last `wal_days` needs; of incremental and differential backups those of
//! the last `incremental_days` and the newest `incremental_min_count`, with the full backup and the log of each. Nothing is deleted that the newest
//! base backup needs, and nothing at all while there is none.
//!
//! A backup that cannot be read counts for none of these numbers and is not deleted. When it was taken is not known, and it may be read again: by a
//! newer version of Geode, or once somebody has brought its object back. So nothing goes that it may need: the log from it on stays, the newest
//! readable base backup before it, and everything after that. It holds the archive until somebody repairs it or deletes it.

use crate::catalogue::Unreadable;
use crate::fetch::{OnProgress, Progress};
use crate::increment::Increment;
use crate::inventory::{ArchivedSegment, BaseBackup, Inventory};
use crate::layout::{Lineage, MANIFEST};
use crate::store::{ErrorKind, ObjectError, ObjectStore, list_all};
use geode_types::{CleanedUp, GroupId, LogIndex, Retention};
use jiff::{SignedDuration, Timestamp};

/// What is deleted, and what that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanupPlan {
    /// Whose archive.
    pub lineage: Lineage,
    /// Base backups, oldest first.
    pub bases: Vec<BaseBackup>,
    /// Incremental and differential backups, oldest first.
    pub increments: Vec<Increment>,
    /// The last entry of the oldest one that stays; where the deleted ones end when none does.
    pub oldest_increment: LogIndex,
    /// Segments, oldest first.
    pub segments: Vec<ArchivedSegment>,
    /// Base backups that stay, oldest first.
    pub kept: Vec<BaseBackup>,
    /// Backups that cannot be read; they stay.
    pub unreadable: Vec<Unreadable>,
}

impl CleanupPlan {
    /// The last entry of the oldest base backup that stays; none when there is no base backup.
    pub fn oldest(&self) -> Option<LogIndex> {
        self.kept.first().map(|base| base.manifest.index)
    }

    /// In numbers.
    pub fn summary(&self) -> CleanedUp {
        CleanedUp {
            bases: self.bases.len() as u64,
            segments: self.segments.len() as u64,
            bytes: self.bytes(),
            oldest: self.oldest().unwrap_or_default(),
            increments: self.increments.len() as u64,
            oldest_increment: self.oldest_increment,
        }
    }

    /// Size of what is deleted.
    pub fn bytes(&self) -> u64 {
        let bases = self.bases.iter().map(|base| base.manifest.stored_bytes);
        bases
            .chain(self.segments.iter().map(|segment| segment.bytes))
            .sum()
    }
}

/// Decides what goes.
pub fn cleanup_plan(found: &Inventory, retention: &Retention, now: Timestamp) -> CleanupPlan {
    let days_ago = |days: u32| now - SignedDuration::from_hours(24 * i64::from(days));
    let newest_before = |days: u32| {
        let limit = days_ago(days);
        let is_before = |base: &&BaseBackup| base.manifest.finished_at <= limit;
        found.bases.iter().rposition(|base| is_before(&base))
    };
    let by_count = found
        .bases
        .len()
        .saturating_sub(retention.min_count.max(1) as usize);
    let limit = days_ago(retention.incremental_days.unwrap_or(retention.days));
    let (increments, pinning) = split_increments(found, limit, retention.incremental_min_count as usize);
    // Increments go on from a full backup, which stays with them.
    let base_of = |increment: &&Increment| found.bases.iter().position(|base| base.name() == increment.base);
    let unreadable = found.unreadable.iter().map(Unreadable::index).min();
    let before_unreadable = unreadable.and_then(|index| base_before(found, index));
    let pinned = pinning.iter().filter_map(base_of).chain(before_unreadable).min();
    let first_kept = newest_before(retention.days).unwrap_or(0).min(by_count);
    let first_kept = first_kept.min(pinned.unwrap_or(first_kept));
    let (gone, kept) = found.bases.split_at(first_kept);
    let oldest = kept.first().map(|base| base.manifest.index);
    // The log goes on from a base backup that stays.
    let log_from = newest_before(retention.wal_days.unwrap_or(retention.days)).map_or(oldest, |base| {
        found
            .bases
            .get(base.max(first_kept))
            .map(|base| base.manifest.index)
    });
    let log_from = match pinned {
        Some(pinned) => log_from.min(Some(found.bases[pinned].manifest.index)),
        None => log_from,
    };
    let log_from = log_from.map(|from| unreadable.map_or(from, |index| from.min(index)));
    let oldest_increment = match (pinning.first(), increments.last()) {
        (Some(kept), _) => kept.index,
        (None, Some(gone)) => LogIndex(gone.index.0 + 1),
        (None, None) => LogIndex(0),
    };
    let newest = found.segments.last().map(|segment| segment.range);
    let is_spent = |segment: &&ArchivedSegment| {
        // The last segment says how far the archive is.
        log_from.is_some_and(|from| segment.range.last <= from) && Some(segment.range) != newest
    };
    CleanupPlan {
        lineage: found.lineage,
        bases: gone.to_vec(),
        kept: kept.to_vec(),
        unreadable: found.unreadable.clone(),
        increments,
        oldest_increment,
        segments: found.segments.iter().take_while(is_spent).copied().collect(),
    }
}

/// The place of the newest base backup that ends at this entry or before it; else of the oldest one.
fn base_before(found: &Inventory, index: LogIndex) -> Option<usize> {
    let before = found.bases.iter().rposition(|base| base.manifest.index <= index);
    before.or((!found.bases.is_empty()).then_some(0))
}

/// The increments that go, and those that stay. One whose full backup is not there is of no use. One whose full backup cannot be read may be of use
/// again, so it stays as long as it would otherwise; it makes up no number.
fn split_increments(
    found: &Inventory,
    limit: Timestamp,
    min_count: usize,
) -> (Vec<Increment>, Vec<&Increment>) {
    let has_base = |increment: &Increment| found.bases.iter().any(|base| base.name() == increment.base);
    let sound = found
        .increments
        .iter()
        .filter(|increment| has_base(increment))
        .count();
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    let mut left = sound;
    for increment in &found.increments {
        let is_sound = has_base(increment);
        // Sound ones that are newer.
        left -= usize::from(is_sound);
        let may_serve = is_sound || found.hides(&increment.base);
        if may_serve && (increment.finished_at > limit || left < min_count) {
            kept.push(increment);
        } else {
            gone.push(increment.clone());
        }
    }
    (gone, kept)
}

/// Deletes, unless a base backup that is kept is not whole: then what is older may be all there is. A base backup loses its manifest first, and so does not count any more; the log goes from its beginning. Whenever it breaks off, what
/// is left is an archive without a hole, and the next clean-up goes on.
pub async fn clean_up(store: &dyn ObjectStore, plan: &CleanupPlan) -> Result<(), ObjectError> {
    clean_up_telling(store, plan, &|_| {}).await
}

/// The same, and says how far it is. The bytes are those of the plan; those of a base backup count when its manifest is gone.
pub async fn clean_up_telling(
    store: &dyn ObjectStore,
    plan: &CleanupPlan,
    progress: OnProgress<'_>,
) -> Result<(), ObjectError> {
    let (mut done_bytes, total_bytes) = (0, plan.bytes());
    let tell = |step: &str, done_bytes: u64| {
        let step = step.to_owned();
        progress(Progress {
            step,
            done_bytes,
            total_bytes,
        });
    };
    tell("looking at the backups that stay", 0);
    for base in &plan.kept {
        check(store, base).await?;
    }
    tell("deleting backups", 0);
    for increment in &plan.increments {
        store.delete(&plan.lineage.backup(&increment.name)).await?;
    }
    if let Some(oldest) = plan.oldest() {
        let kept = format!("{}{:020}", plan.lineage.bases(), oldest.0);
        let before = |key: &str| *key < *kept;
        let is_spared = |key: &str| {
            let mut folders = plan.unreadable.iter().filter_map(Unreadable::folder);
            folders.any(|folder| key.starts_with(folder))
        };
        for base in &plan.bases {
            store.delete(&format!("{}{MANIFEST}", base.folder)).await?;
            done_bytes += base.manifest.stored_bytes;
            tell("deleting backups", done_bytes);
        }
        // Snapshots of backups that were never complete are among them.
        let listed = list_all(store, &plan.lineage.bases(), "").await?;
        for entry in listed
            .iter()
            .filter(|entry| before(&entry.key) && !entry.key.ends_with(MANIFEST) && !is_spared(&entry.key))
        {
            store.delete(&entry.key).await?;
        }
    }
    tell("deleting segments of the log", done_bytes);
    for segment in &plan.segments {
        store
            .delete(&plan.lineage.segment(GroupId(0), segment.range))
            .await?;
        done_bytes += segment.bytes;
        tell("deleting segments of the log", done_bytes);
    }
    let lists = list_all(store, &plan.lineage.checkpoints(), "").await?;
    for list in lists.iter().rev().skip(1) {
        store.delete(&list.key).await?;
    }
    Ok(())
}

/// Whether the snapshot is there, as large as it was stored.
async fn check(store: &dyn ObjectStore, base: &BaseBackup) -> Result<(), ObjectError> {
    let key = base.snapshot();
    let found = store.head(&key).await?.map(|info| info.bytes);
    if found == Some(base.manifest.stored_bytes) {
        return Ok(());
    }
    let size = found.map_or("it is not there".to_owned(), |bytes| {
        format!("it has {bytes} bytes")
    });
    let detail = format!(
        "{size} instead of {} bytes; nothing is deleted until a newer base backup replaces it",
        base.manifest.stored_bytes
    );
    Err(ObjectError::new(
        ErrorKind::Corrupt,
        format!("keep {}", store.url(&key)),
        detail,
    ))
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
