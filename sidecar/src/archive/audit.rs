//! Looks through the whole archive again and again: whether its log has gaps, and which backups there are. What the archiver remembers does
//! not count here, so an object that somebody deleted is noticed. What this member still has of it is archived again; the rest is told to the
//! operator, which takes a base backup.

use super::{Archiver, Chain, Failure, range_of};
use geode_archive::layout::parse_segment;
use geode_archive::{
    Backups, BaseBackup, Increment, Lineage, ObjectError, ObjectStore, SegmentRange, SoundSegment, backups,
    upload_segment,
};
use geode_types::{BackupKind, GroupId, LogIndex};
use geode_wire::internal::{ArchiveGap, BackupFacts};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// Pause between two looks, at least.
const EVERY: Duration = Duration::from_secs(60);
/// A look that takes long is followed by a pause of so many times its length: a large archive is not listed all the time.
const PAUSE_FACTOR: u32 = 100;
/// Gaps that are remembered; of more, the newest.
const GAPS_MAX: usize = 16;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// When to look next.
#[derive(Default)]
pub(super) struct Pace {
    due: Option<Instant>,
}

impl Pace {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// A look at this time took so long.
    fn looked(&mut self, now: Instant, took: Duration) {
        self.due = Some(now + EVERY.max(took * PAUSE_FACTOR));
    }
}

/// What there is.
struct Found {
    /// Entries that are missing and that no base backup covers, in order.
    missing: Vec<SegmentRange>,
    backups: Backups,
}

/// Looks through one history; everything before `next` was archived once.
async fn look(
    store: &dyn ObjectStore,
    lineage: Lineage,
    next: Option<LogIndex>,
) -> Result<Found, ObjectError> {
    let folder = lineage.segments(GroupId(0));
    let mut walk = Walk::default();
    let mut after = String::new();
    // Page by page: the whole list of a large archive is larger than this process should be.
    loop {
        let page = store.list(&folder, &after).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        for range in page.iter().filter_map(|entry| parse_segment(&entry.key)) {
            walk.pass(range);
        }
    }
    let backups = backups(store, lineage).await?;
    let newest = backups.bases.iter().map(|base| base.manifest.index).max();
    Ok(Found {
        missing: walk.end(next, newest),
        backups,
    })
}

/// Follows the segments in their order.
#[derive(Default)]
struct Walk {
    due: Option<LogIndex>,
    missing: Vec<SegmentRange>,
}

impl Walk {
    fn pass(&mut self, range: SegmentRange) {
        let due = *self.due.get_or_insert(range.first);
        if range.first > due {
            self.miss(due, range.first);
        }
        self.due = Some(due.max(LogIndex(range.last.0 + 1)));
    }

    fn miss(&mut self, first: LogIndex, end: LogIndex) {
        if self.missing.len() == GAPS_MAX {
            self.missing.remove(0);
        }
        self.missing.push(SegmentRange {
            first,
            last: LogIndex(end.0 - 1),
        });
    }

    /// What is missing before `next`, unless the newest base backup contains it.
    fn end(mut self, next: Option<LogIndex>, newest_base: Option<LogIndex>) -> Vec<SegmentRange> {
        if let (Some(due), Some(next)) = (self.due, next)
            && next > due
        {
            self.miss(due, next);
        }
        self.missing
            .retain(|missing| newest_base.is_none_or(|base| base < missing.last));
        self.missing
    }
}

/// The gaps as one, for who is told.
fn gap(missing: &[SegmentRange]) -> Option<ArchiveGap> {
    let entries = missing.iter().map(|range| range.last.0 - range.first.0 + 1);
    Some(ArchiveGap {
        first: missing.first()?.first,
        last: missing.last()?.last,
        entries: entries.sum(),
    })
}

impl Archiver {
    /// Looks through the whole archive. What is missing and still here is archived again; the rest is said.
    pub(super) async fn audit(&mut self, chain: &Chain, now: Instant) -> Result<(), Failure> {
        let begun = Instant::now();
        let found = look(&*self.store, chain.lineage, chain.next).await?;
        if chain.led && self.mend(chain.lineage, &found.missing).await? {
            // The next round looks whether anything is left.
            return Ok(());
        }
        self.pace.looked(now, begun.elapsed());
        self.note_newest(&found.backups.bases);
        let increments = found.backups.increments.iter();
        if let Some(newest) = increments.max_by_key(|increment| increment.finished_at) {
            self.metrics.increment(newest);
        }
        self.note_unreadable(&found.backups);
        let gap = gap(&found.missing);
        if let Some(gap) = gap.filter(|gap| self.shared.report().gap != Some(*gap)) {
            tracing::error!(first = %gap.first, last = %gap.last, entries = gap.entries,
                "entries are missing in the archive, and no base backup covers them");
        }
        self.metrics
            .gap_entries
            .set(gap.map_or(0, |gap| gap.entries) as i64);
        self.shared.audited(gap, found.by_kind(Timestamp::now()));
        Ok(())
    }

    /// Each backup that cannot be read is said once: a base backup that is taken now stands in for it.
    fn note_unreadable(&mut self, backups: &Backups) {
        for unreadable in &backups.unreadable {
            if !self.unreadable.contains(unreadable) {
                tracing::error!(%unreadable, "a backup in the archive is of no use as it is");
            }
        }
        self.unreadable.clone_from(&backups.unreadable);
    }

    /// Archives again what this member still has of the missing entries; whether it had anything.
    async fn mend(&self, lineage: Lineage, missing: &[SegmentRange]) -> Result<bool, Failure> {
        let mut mended = false;
        for gap in missing {
            let local = self
                .server
                .segments(LogIndex(gap.first.0.saturating_sub(1)))
                .await?;
            let within = |range: &SegmentRange| range.first >= gap.first && range.last <= gap.last;
            for info in local.iter().filter(|info| within(&range_of(info))) {
                let segment =
                    SoundSegment::check(lineage, range_of(info), self.wal_dir.join(&info.file)).await?;
                upload_segment(&*self.store, &self.codec, &segment).await?;
                tracing::warn!(
                    file = info.file,
                    "a segment was missing in the archive; it is archived again"
                );
                mended = true;
            }
        }
        Ok(mended)
    }
}

impl Found {
    /// Full backups always, the other kinds when there are any.
    fn by_kind(&self, now: Timestamp) -> Vec<BackupFacts> {
        let of = |kind: BackupKind| -> Vec<Taken> {
            if kind.is_full() {
                return self.backups.bases.iter().map(Taken::from).collect();
            }
            let increments = self.backups.increments.iter();
            increments
                .filter(|increment| increment.kind == kind)
                .map(Taken::from)
                .collect()
        };
        let all = BackupKind::ALL.map(|kind| (kind, of(kind)));
        all.iter()
            .filter(|(kind, taken)| kind.is_full() || !taken.is_empty())
            .map(|(kind, taken)| facts(kind.name(), taken, now))
            .collect()
    }
}

/// What is known of the backups of one kind.
fn facts(kind: &str, backups: &[Taken], now: Timestamp) -> BackupFacts {
    let newest = backups.iter().max_by_key(|backup| backup.finished_at);
    let micros = |backup: &Taken| backup.finished_at.as_microsecond();
    let is_of_today = |backup: &&Taken| now.duration_since(backup.finished_at) < DAY;
    BackupFacts {
        kind: kind.to_owned(),
        last_at_micros: newest.map(micros),
        last_bytes: newest.map_or(0, |newest| newest.bytes),
        last_took_ms: newest.map_or(0, |newest| {
            let took = newest.finished_at.duration_since(newest.started_at);
            u64::try_from(took.as_millis()).unwrap_or(0)
        }),
        count_24h: backups.iter().filter(is_of_today).count() as u64,
        oldest_at_micros: backups.iter().map(micros).min(),
    }
}

/// A backup that was taken.
struct Taken {
    started_at: Timestamp,
    finished_at: Timestamp,
    bytes: u64,
}

impl From<&BaseBackup> for Taken {
    fn from(base: &BaseBackup) -> Self {
        Self {
            started_at: base.manifest.started_at,
            finished_at: base.manifest.finished_at,
            bytes: base.manifest.stored_bytes,
        }
    }
}

impl From<&Increment> for Taken {
    fn from(increment: &Increment) -> Self {
        Self {
            started_at: increment.started_at,
            finished_at: increment.finished_at,
            bytes: increment.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(archived: &[(u64, u64)], next: Option<u64>, base: Option<u64>) -> Vec<(u64, u64)> {
        let mut walk = Walk::default();
        for (first, last) in archived {
            walk.pass(SegmentRange {
                first: LogIndex(*first),
                last: LogIndex(*last),
            });
        }
        let found = walk.end(next.map(LogIndex), base.map(LogIndex));
        found.iter().map(|range| (range.first.0, range.last.0)).collect()
    }

    #[test]
    fn what_is_missing_in_the_middle_or_at_the_end_is_found_unless_a_base_backup_has_it() {
        let whole = [(0, 9), (10, 19), (20, 29)];
        assert_eq!(missing(&whole, Some(30), None), []);
        assert_eq!(missing(&[(0, 9), (20, 29)], Some(30), None), [(10, 19)]);
        assert_eq!(missing(&[(0, 9), (10, 19)], Some(30), None), [(20, 29)]);
        assert_eq!(missing(&[(0, 9), (20, 29)], Some(30), Some(18)), [(10, 19)]);
        assert_eq!(missing(&[(0, 9), (20, 29)], Some(30), Some(19)), []);
        // Segments of members that cut their logs differently overlap.
        assert_eq!(missing(&[(0, 9), (0, 14), (10, 19)], Some(20), None), []);
        // An archive that begins later, and one that is empty, have no gap: whether they can be restored is another question.
        assert_eq!(missing(&[(20, 29)], None, None), []);
        assert_eq!(missing(&[], Some(30), None), []);
    }

    #[test]
    fn several_gaps_are_told_as_one_and_too_many_are_not_remembered() {
        let every_second: Vec<(u64, u64)> = (0..40).map(|n| (n * 20, n * 20 + 9)).collect();
        let found = missing(&every_second, None, None);
        assert_eq!((found.len(), found[GAPS_MAX - 1]), (GAPS_MAX, (770, 779)));
        let range = |first, last| SegmentRange {
            first: LogIndex(first),
            last: LogIndex(last),
        };
        let told = gap(&[range(10, 19), range(30, 30)]).unwrap();
        assert_eq!((told.first.0, told.last.0, told.entries), (10, 30, 11));
        assert_eq!(gap(&[]), None);
    }

    #[test]
    fn facts_are_those_of_the_newest_and_the_oldest_backup() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let taken = |start, end, bytes| Taken {
            started_at: at(start),
            finished_at: at(end),
            bytes,
        };
        let hour = 3600;
        let backups = [
            taken(30 * hour, 30 * hour + 5, 7),
            taken(0, 3, 5),
            taken(9 * hour, 9 * hour, 6),
        ];
        let found = facts("full", &backups, at(33 * hour));
        assert_eq!(
            (found.last_at_micros, found.last_bytes, found.last_took_ms),
            (Some((30 * hour + 5) * 1_000_000), 7, 5000)
        );
        assert_eq!(
            (found.count_24h, found.oldest_at_micros),
            (1, Some(3_000_000)),
            "a day is 24 hours"
        );
        assert_eq!(facts("full", &[], at(0)).last_at_micros, None);
    }

    #[test]
    fn a_look_that_takes_long_is_not_repeated_soon() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert!(pace.is_due(start));
        pace.looked(start, Duration::from_millis(10));
        assert!(!pace.is_due(start + Duration::from_secs(59)) && pace.is_due(start + EVERY));
        pace.looked(start, Duration::from_secs(6));
        assert!(!pace.is_due(start + Duration::from_secs(599)));
    }
}
