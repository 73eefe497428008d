//! What an archive no longer has to keep. [`cleanup_plan`] decides from listings, [`clean_up`] deletes.
//!
//! Kept are: every base backup of the last `days`, the newest one before them, so that each moment of those days can be restored, and the newest
//! `min_count` in any case; of the log, what a restore to any moment of the last `wal_days` needs. Nothing is deleted that the newest base
//! backup needs, and nothing at all while there is none.

use crate::inventory::{ArchivedSegment, BaseBackup, Inventory};
use crate::layout::{Lineage, MANIFEST, SNAPSHOT};
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
    /// Segments, oldest first.
    pub segments: Vec<ArchivedSegment>,
    /// Base backups that stay, oldest first.
    pub kept: Vec<BaseBackup>,
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
    let newest_before = |days: u32| {
        let limit = now - SignedDuration::from_hours(24 * i64::from(days));
        let is_before = |base: &&BaseBackup| base.manifest.finished_at <= limit;
        found.bases.iter().rposition(|base| is_before(&base))
    };
    let by_count = found
        .bases
        .len()
        .saturating_sub(retention.min_count.max(1) as usize);
    let first_kept = newest_before(retention.days).unwrap_or(0).min(by_count);
    let (gone, kept) = found.bases.split_at(first_kept);
    let oldest = kept.first().map(|base| base.manifest.index);
    // The log goes on from a base backup that stays.
    let log_from = newest_before(retention.wal_days.unwrap_or(retention.days)).map_or(oldest, |base| {
        found
            .bases
            .get(base.max(first_kept))
            .map(|base| base.manifest.index)
    });
    let newest = found.segments.last().map(|segment| segment.range);
    let is_spent = |segment: &&ArchivedSegment| {
        // The last segment says how far the archive is.
        log_from.is_some_and(|from| segment.range.last <= from) && Some(segment.range) != newest
    };
    CleanupPlan {
        lineage: found.lineage,
        bases: gone.to_vec(),
        kept: kept.to_vec(),
        segments: found.segments.iter().take_while(is_spent).copied().collect(),
    }
}

/// Deletes, unless a base backup that is kept is not whole: then what is older may be all there is. A base backup loses its manifest first, and so does not count any more; the log goes from its beginning. Whenever it breaks off, what
/// is left is an archive without a hole, and the next clean-up goes on.
pub async fn clean_up(store: &dyn ObjectStore, plan: &CleanupPlan) -> Result<(), ObjectError> {
    for base in &plan.kept {
        check(store, base).await?;
    }
    if let Some(oldest) = plan.oldest() {
        let kept = format!("{}{:020}", plan.lineage.bases(), oldest.0);
        let before = |key: &str| *key < *kept;
        for base in &plan.bases {
            store.delete(&format!("{}{MANIFEST}", base.folder)).await?;
        }
        // Snapshots of backups that were never complete are among them.
        let listed = list_all(store, &plan.lineage.bases(), "").await?;
        for entry in listed
            .iter()
            .filter(|entry| before(&entry.key) && entry.key.ends_with(SNAPSHOT))
        {
            store.delete(&entry.key).await?;
        }
    }
    for segment in &plan.segments {
        store
            .delete(&plan.lineage.segment(GroupId(0), segment.range))
            .await?;
    }
    let lists = list_all(store, &plan.lineage.checkpoints(), "").await?;
    for list in lists.iter().rev().skip(1) {
        store.delete(&list.key).await?;
    }
    Ok(())
}

/// Whether the snapshot is there, as large as it was stored.
async fn check(store: &dyn ObjectStore, base: &BaseBackup) -> Result<(), ObjectError> {
    let key = format!("{}{SNAPSHOT}", base.folder);
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
