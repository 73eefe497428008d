//! Incremental and differential backups (ADR 13): entries of a catalogue. Each names the full backup that it begins with and the last log entry of it;
//! what lies between is in the archived log already, so nothing is stored twice. An entry is written once that part of the log is whole, and
//! retention keeps it whole for as long as the entry stays.

use crate::catalogue::{Unreadable, read_entry};
use crate::content::Content;
use crate::inventory::{ArchivedSegment, BaseBackup, Inventory, inventory, segments};
use crate::layout::{Lineage, SegmentRange};
use crate::plan::advance;
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put, list_all};
use geode_types::{BackupKind, ClusterId, Incarnation, LogIndex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of entries.
pub const INCREMENT_FORMAT: u32 = 1;
/// Pause between two looks whether the log has reached the archive.
const PAUSE: Duration = Duration::from_millis(500);

/// An incremental or differential backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increment {
    /// [`INCREMENT_FORMAT`].
    pub format: u32,
    /// Incremental or differential.
    pub kind: BackupKind,
    /// Its name: `INDEX-UNIQUE`.
    pub name: String,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Which of its histories.
    pub incarnation: Incarnation,
    /// The full backup that its restore begins with, by the name of its folder.
    pub base: String,
    /// The backup that it goes on from: `base`, or an earlier increment of it.
    pub parent: String,
    /// The last entry of the parent.
    pub after: LogIndex,
    /// Its own last entry.
    pub index: LogIndex,
    /// Size of the segments from the parent's end to its own, as stored.
    pub bytes: u64,
    /// Hash of the graph at its last entry, hexadecimal.
    pub state_hash: String,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When all of it was in the archive; every commit in it is older.
    pub finished_at: Timestamp,
    /// Version of the server that told the hash.
    pub server_version: String,
}

/// What an increment is to end with.
#[derive(Clone, Debug)]
pub struct IncrementFacts {
    /// Of which history.
    pub lineage: Lineage,
    /// Incremental or differential.
    pub kind: BackupKind,
    /// The backup to go on from, by its name; the newest that fits when absent.
    pub parent: Option<String>,
    /// Its last entry.
    pub index: LogIndex,
    /// Hash of the graph there.
    pub state_hash: String,
    /// Version of the server that says so.
    pub server_version: String,
    /// How long the log may need to reach the archive.
    pub patience: Duration,
}

/// Why there is no increment.
#[derive(Debug, thiserror::Error)]
pub enum IncrementError {
    /// Nothing to go on from.
    #[error("{0} has no full backup before index {1}; take a full one first")]
    NoFull(String, LogIndex),
    /// Not the backup that was named.
    #[error("{place} has no full backup{or} of the name {name:?} before index {index}; there are: {known}")]
    NoParent {
        /// The archive.
        place: String,
        /// What else would have been fine.
        or: &'static str,
        /// What was asked for.
        name: String,
        /// Where the increment would end.
        index: LogIndex,
        /// The newest of those that there are.
        known: String,
    },
    /// The log between the full backup and the end is not whole.
    #[error("the archive has no segment with the entries {} to {}, so nothing leads from the full backup of index {base} to here; take a full backup", .missing.first, .missing.last)]
    Hole {
        /// The end of the full backup.
        base: LogIndex,
        /// What is missing.
        missing: SegmentRange,
    },
    /// The log did not reach the archive.
    #[error("index {index} did not reach the archive within {} s; it ends with {last}. See the condition Archiving of the cluster", .patience.as_secs())]
    Late {
        /// What was waited for.
        index: LogIndex,
        /// The last archived entry.
        last: LogIndex,
        /// For how long.
        patience: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

/// Where an increment goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beginning<'a> {
    pub(crate) base: &'a BaseBackup,
    pub(crate) parent: &'a str,
    pub(crate) after: LogIndex,
}

/// Where an increment that ends with `index` goes on from: the newest backup that fits, or the one of that name.
pub(crate) fn beginning<'a>(
    found: &'a Inventory,
    kind: BackupKind,
    index: LogIndex,
    name: Option<&str>,
) -> Option<Beginning<'a>> {
    let full = found.bases.iter().map(|base| Beginning {
        base,
        parent: base.name(),
        after: base.manifest.index,
    });
    let increments = found.increments.iter().filter_map(|increment| {
        let base = found.bases.iter().find(|base| base.name() == increment.base)?;
        Some(Beginning {
            base,
            parent: &increment.name,
            after: increment.index,
        })
    });
    let increments = increments.filter(|_| kind == BackupKind::Incremental);
    full.chain(increments)
        .filter(|beginning| beginning.after <= index && name.is_none_or(|name| beginning.parent == name))
        .max_by_key(|beginning| (beginning.base.manifest.index, beginning.after))
}

/// Whether the log leads from a full backup to an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It does.
    Whole,
    /// It ends before: the last entry.
    NotYet(LogIndex),
    /// Entries are missing, and there are others after them.
    Hole(SegmentRange),
}

pub(crate) fn reach(archived: &[ArchivedSegment], base: LogIndex, index: LogIndex) -> Reach {
    let ranges = || archived.iter().map(|segment| segment.range);
    let next = advance(LogIndex(base.0 + 1), ranges());
    if next > index {
        return Reach::Whole;
    }
    match ranges().find(|range| range.first > next) {
        Some(beyond) => Reach::Hole(SegmentRange {
            first: next,
            last: LogIndex(beyond.first.0 - 1),
        }),
        None => Reach::NotYet(LogIndex(next.0 - 1)),
    }
}

/// Size of the segments with the entries after one index up to another, as stored.
fn bytes_between(archived: &[ArchivedSegment], after: LogIndex, index: LogIndex) -> u64 {
    let between = archived
        .iter()
        .filter(|segment| segment.range.last > after && segment.range.first <= index);
    between.map(|segment| segment.bytes).sum()
}

/// Waits until the log leads to where the increment ends, and writes its entry. `progress` is told what is waited for.
pub async fn write_increment(
    store: &dyn ObjectStore,
    facts: IncrementFacts,
    progress: impl Fn(String),
) -> Result<Increment, IncrementError> {
    let started_at = Timestamp::now();
    let mut found = inventory(store, facts.lineage).await?;
    let place = store.url(&facts.lineage.root());
    let begun = std::time::Instant::now();
    let (base, parent, after) = {
        let beginning = beginning(&found, facts.kind, facts.index, facts.parent.as_deref());
        let beginning = beginning.ok_or_else(|| no_beginning(&found, &facts, place))?;
        (
            beginning.base.clone(),
            beginning.parent.to_owned(),
            beginning.after,
        )
    };
    loop {
        match reach(&found.segments, base.manifest.index, facts.index) {
            Reach::Whole => break,
            Reach::Hole(missing) => {
                let base = base.manifest.index;
                return Err(IncrementError::Hole { base, missing });
            }
            Reach::NotYet(last) if begun.elapsed() >= facts.patience => {
                return Err(IncrementError::Late {
                    index: facts.index,
                    last,
                    patience: facts.patience,
                });
            }
            Reach::NotYet(last) => progress(format!("the archive is at {last}; waiting for {}", facts.index)),
        }
        tokio::time::sleep(PAUSE).await;
        let next = found
            .segments
            .last()
            .map_or(LogIndex(0), |last| LogIndex(last.range.last.0 + 1));
        found.segments.extend(segments(store, facts.lineage, next).await?);
    }
    let increment = Increment {
        format: INCREMENT_FORMAT,
        kind: facts.kind,
        name: facts.lineage.backup_name(facts.index, rand::random()),
        cluster_id: facts.lineage.cluster_id,
        incarnation: facts.lineage.incarnation,
        base: base.name().to_owned(),
        parent,
        after,
        index: facts.index,
        bytes: bytes_between(&found.segments, after, facts.index),
        state_hash: facts.state_hash,
        started_at,
        finished_at: Timestamp::now(),
        server_version: facts.server_version,
    };
    write(store, facts.lineage, &increment).await?;
    Ok(increment)
}

fn no_beginning(found: &Inventory, facts: &IncrementFacts, place: String) -> IncrementError {
    let Some(name) = facts.parent.clone() else {
        return IncrementError::NoFull(place, facts.index);
    };
    let full = found.bases.iter().map(BaseBackup::name);
    let increments = found.increments.iter().map(|increment| increment.name.as_str());
    let is_incremental = facts.kind == BackupKind::Incremental;
    let known: Vec<&str> = full.chain(increments.filter(|_| is_incremental)).collect();
    IncrementError::NoParent {
        place,
        or: if is_incremental { " or increment" } else { "" },
        name,
        index: facts.index,
        known: known.join(", "),
    }
}

async fn write(store: &dyn ObjectStore, lineage: Lineage, increment: &Increment) -> Result<(), ObjectError> {
    let bytes = serde_json::to_vec_pretty(increment).expect("invariant: an entry has string keys only");
    let key = lineage.backup(&increment.name);
    match store.put_if_absent(&key, &Content::from_bytes(bytes)).await? {
        Put::Created | Put::SameContent => Ok(()),
        Put::Conflict => Err(ObjectError::new(
            ErrorKind::Corrupt,
            format!("write {}", store.url(&key)),
            "another backup is stored there already",
        )),
    }
}

/// The increments of a history, oldest index first; those that cannot be read are added to `unreadable`.
pub(crate) async fn read_increments(
    store: &dyn ObjectStore,
    lineage: Lineage,
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<Increment>, ObjectError> {
    let mut found: Vec<Increment> = Vec::new();
    for entry in list_all(store, &lineage.backups(), "").await? {
        if entry.key.strip_suffix(".json").is_none() {
            continue;
        }
        match read_entry(store, &entry.key, INCREMENT_FORMAT..=INCREMENT_FORMAT).await? {
            Ok(increment) => found.push(increment),
            Err(bad) => unreadable.push(bad),
        }
    }
    found.sort_by_key(|increment| (increment.index, increment.finished_at));
    Ok(found)
}

/// What keeps increments from being restored, in words.
pub(crate) fn broken_increments(found: &Inventory) -> Vec<String> {
    let broken = found.increments.iter().filter_map(|increment| {
        let said = |why: String| {
            Some(format!(
                "the {} backup {} cannot be restored: {why}",
                increment.kind, increment.name
            ))
        };
        let Some(base) = found.bases.iter().find(|base| base.name() == increment.base) else {
            let fate = if found.hides(&increment.base) {
                "cannot be read"
            } else {
                "is missing"
            };
            return said(format!("its full backup {} {fate}", increment.base));
        };
        match reach(&found.segments, base.manifest.index, increment.index) {
            Reach::Whole => None,
            Reach::NotYet(last) => said(format!("the log ends with {last}")),
            Reach::Hole(hole) => said(format!("the entries {} to {} are missing", hole.first, hole.last)),
        }
    });
    broken.collect()
}

#[cfg(test)]
#[path = "increment_tests.rs"]
mod tests;
