//! Decides, from what is there, what to upload next and what a restore needs. Pure: no store, no clock.

use crate::inventory::{BaseBackup, Inventory};
use crate::layout::SegmentRange;
use geode_types::{LogIndex, RestoreTarget};
use jiff::Timestamp;

/// The clocks of the member that commits and of the sidecar that dates a backup may differ by this much. A restore to a time uses a
/// base backup only when it was finished this long before.
pub const CLOCK_SKEW_MICROS: i64 = 10_000_000;

/// The first entry after everything that is archived without a hole, when the archive begins at `next`.
///
/// `archived` is sorted by first entry; ranges that overlap what is covered already are fine.
pub fn advance(mut next: LogIndex, archived: impl IntoIterator<Item = SegmentRange>) -> LogIndex {
    for range in archived {
        if range.first > next {
            break;
        }
        next = next.max(LogIndex(range.last.0 + 1));
    }
    next
}

/// The first entry after everything that is archived, by what a store lists; `None` for an empty archive.
///
/// The archive begins with its first segment. A hole stops the count, unless there are segments beyond it and a base backup that
/// covers it: what is missing then can no longer be had, and restores begin after it.
pub fn archived_until(archived: &[SegmentRange], bases: &[LogIndex]) -> Option<LogIndex> {
    let mut next = advance(archived.first()?.first, archived.iter().copied());
    while let Some(beyond) = archived.iter().find(|range| range.first > next) {
        if !bases.iter().any(|base| base.0 + 1 >= beyond.first.0) {
            break;
        }
        next = advance(
            beyond.first,
            archived
                .iter()
                .copied()
                .filter(|range| range.last >= beyond.first),
        );
    }
    Some(next)
}

/// What a member can do for the archive now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePlan {
    /// Its sealed segments that follow what is archived, in order.
    pub uploads: Vec<SegmentRange>,
    /// Entries that are neither archived nor in its log any more, but that lie before what it still has.
    pub hole: Option<SegmentRange>,
}

/// Which of the member's sealed and committed segments (in order) to upload when everything before `next` is archived.
pub fn archive_plan(local: &[SegmentRange], next: LogIndex) -> ArchivePlan {
    let mut due = next;
    let mut uploads = Vec::new();
    for range in local.iter().filter(|range| range.last >= next) {
        if range.first > due {
            let hole = SegmentRange {
                first: due,
                last: LogIndex(range.first.0 - 1),
            };
            return ArchivePlan {
                hole: uploads.is_empty().then_some(hole),
                uploads,
            };
        }
        uploads.push(*range);
        due = LogIndex(range.last.0 + 1);
    }
    ArchivePlan { uploads, hole: None }
}

/// What a restore takes from the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestorePlan {
    /// The base backup; none when the segments begin with the first entry of all.
    pub base: Option<BaseBackup>,
    /// The segments after it that are needed, in order, without a hole. The first may begin before the base's end.
    pub segments: Vec<SegmentRange>,
    /// How far to go.
    pub target: RestoreTarget,
    /// For a target time: the archive has more beyond a hole, so the target must turn up before it.
    pub hole: Option<SegmentRange>,
}

impl RestorePlan {
    /// Size of what is taken, as stored.
    pub fn bytes(&self, found: &Inventory) -> u64 {
        let base = self.base.as_ref().map_or(0, |base| base.manifest.stored_bytes);
        let segments = found.segments.iter();
        let wanted = segments.filter(|segment| self.segments.contains(&segment.range));
        base + wanted.map(|segment| segment.bytes).sum::<u64>()
    }
}

/// Why a target cannot be reached from what is archived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreGap {
    /// There is nothing.
    #[error(
        "there is neither a base backup nor a segment in {place}; is this the prefix of a Geode archive?"
    )]
    Nothing {
        /// Where.
        place: String,
    },
    /// Nothing that old is left.
    #[error(
        "no base backup is older than {target}, and the segments do not begin with the first entry; the oldest base backup ends with \
         index {} and was finished at {}; choose a target after it", oldest.0, oldest.1
    )]
    BeforeFirst {
        /// What was asked for.
        target: String,
        /// Index and time of the oldest base backup.
        oldest: (LogIndex, Timestamp),
    },
    /// There are segments, but nothing to begin with.
    #[error(
        "the archive has no base backup and its segments begin at index {first}, not at the beginning; take a base backup \
         (GeodeBackup) while the source cluster runs"
    )]
    NoBase {
        /// First archived entry.
        first: LogIndex,
    },
    /// A part of the log is missing.
    #[error(
        "the archive has no segment with the entries {} to {}; what comes before them, up to index {up_to}, can be restored by a target \
         time, and everything again from a base backup taken now, while the source cluster runs", missing.first, missing.last
    )]
    Missing {
        /// What is not there.
        missing: SegmentRange,
        /// The last entry before it.
        up_to: LogIndex,
    },
    /// The archive ends before the target.
    #[error("index {target} is not archived; the archive ends with index {last}")]
    NotReached {
        /// What was asked for.
        target: LogIndex,
        /// The last archived entry.
        last: LogIndex,
    },
}

/// Picks the newest base backup before the target and the chain of segments after it, or names what is missing.
pub fn restore_plan(
    inventory: &Inventory,
    target: RestoreTarget,
    place: &str,
) -> Result<RestorePlan, RestoreGap> {
    let base = inventory.bases.iter().rev().find(|base| usable(base, target));
    let next = match base {
        Some(base) => LogIndex(base.manifest.index.0 + 1),
        None => beginning(inventory, target, place)?,
    };
    let mut due = next;
    let mut segments = Vec::new();
    let mut hole = None;
    for range in inventory
        .segments
        .iter()
        .map(|segment| segment.range)
        .filter(|range| range.last >= next)
    {
        if matches!(target, RestoreTarget::Index(until) if due > until) {
            break;
        }
        if range.first > due {
            hole = Some(SegmentRange {
                first: due,
                last: LogIndex(range.first.0 - 1),
            });
            break;
        }
        if range.last >= due {
            segments.push(range);
            due = LogIndex(range.last.0 + 1);
        }
    }
    let up_to = LogIndex(due.0.saturating_sub(1));
    match (target, hole) {
        (RestoreTarget::Index(until), None) if until >= due => {
            return Err(RestoreGap::NotReached {
                target: until,
                last: up_to,
            });
        }
        (RestoreTarget::Index(_) | RestoreTarget::Latest, Some(missing)) => {
            return Err(RestoreGap::Missing { missing, up_to });
        }
        _ => {}
    }
    Ok(RestorePlan {
        base: base.cloned(),
        segments,
        target,
        hole,
    })
}

fn usable(base: &BaseBackup, target: RestoreTarget) -> bool {
    match target {
        RestoreTarget::Latest => true,
        RestoreTarget::Index(until) => base.manifest.index <= until,
        RestoreTarget::TimeMicros(until) => {
            base.manifest
                .finished_at
                .as_microsecond()
                .saturating_add(CLOCK_SKEW_MICROS)
                <= until
        }
    }
}

/// Without a base backup a restore begins with the very first entry, index 0; that works only for a history that begins there.
fn beginning(inventory: &Inventory, target: RestoreTarget, place: &str) -> Result<LogIndex, RestoreGap> {
    let first = inventory.segments.first().map(|segment| segment.range.first);
    match (first, inventory.bases.first()) {
        (Some(LogIndex(0)), _) => Ok(LogIndex(0)),
        (_, Some(oldest)) => Err(RestoreGap::BeforeFirst {
            target: describe(target),
            oldest: (oldest.manifest.index, oldest.manifest.finished_at),
        }),
        (Some(first), None) => Err(RestoreGap::NoBase { first }),
        (None, None) => Err(RestoreGap::Nothing {
            place: place.to_owned(),
        }),
    }
}

/// A target for people.
pub fn describe(target: RestoreTarget) -> String {
    match target {
        RestoreTarget::Latest => "the newest state".to_owned(),
        RestoreTarget::Index(index) => format!("index {index}"),
        RestoreTarget::TimeMicros(micros) => Timestamp::from_microsecond(micros)
            .map_or_else(|_| format!("{micros} µs"), |time| time.to_string()),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
