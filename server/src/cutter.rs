//! When does the leader end its open log segment? A segment can be archived only when it is sealed, so entries must not stay in an open one for
//! longer than `archive.max_lag` allows. Pure: the keeper looks, asks here, and submits the command.

use geode_types::{LogIndex, Term};
use std::time::{Duration, Instant};

/// An open segment with entries in it, as the leader sees it at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenSegment {
    /// The leader's term.
    pub(crate) term: Term,
    /// Its first entry.
    pub(crate) first: LogIndex,
    /// Bytes of the whole log.
    pub(crate) log_bytes: u64,
}

/// When a segment is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutLimits {
    /// How far the archive may lie behind.
    pub(crate) max_lag: Duration,
    /// How large a segment may become.
    pub(crate) bytes: u64,
}

/// What is remembered from one look to the next: the segment, and how it was when it was seen first.
#[derive(Debug, Default)]
pub(crate) struct Cutter(Option<(OpenSegment, Instant)>);

impl Cutter {
    /// Whether the segment must end now. Any entry counts, also one without a commit: an archive that lacks it looks late.
    pub(crate) fn is_due(&mut self, open: &OpenSegment, limits: &CutLimits, now: Instant) -> bool {
        let (known, since) = match self.0 {
            Some((known, since)) if (known.term, known.first) == (open.term, open.first) => (known, since),
            _ => *self.0.insert((*open, now)),
        };
        // The upload takes its time too, so the segment is ended at half of what is allowed.
        let is_late = now.saturating_duration_since(since) >= limits.max_lag / 2;
        is_late || open.log_bytes.saturating_sub(known.log_bytes) > limits.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CutLimits = CutLimits {
        max_lag: Duration::from_secs(4),
        bytes: 1000,
    };

    fn open(first: u64, log_bytes: u64) -> OpenSegment {
        OpenSegment {
            term: Term(1),
            first: LogIndex(first),
            log_bytes,
        }
    }

    #[test]
    fn a_segment_ends_when_its_first_entry_has_waited_half_of_the_allowed_lag() {
        let (mut cutter, start) = (Cutter::default(), Instant::now());
        assert!(!cutter.is_due(&open(1, 10), &LIMITS, start));
        assert!(!cutter.is_due(&open(1, 20), &LIMITS, start + Duration::from_secs(1)));
        assert!(cutter.is_due(&open(1, 20), &LIMITS, start + Duration::from_secs(2)));
    }

    #[test]
    fn every_segment_has_its_own_time() {
        let (mut cutter, start) = (Cutter::default(), Instant::now());
        cutter.is_due(&open(1, 10), &LIMITS, start);
        // The entry came between the cut and this look; it waits from now on.
        assert!(!cutter.is_due(&open(20, 10), &LIMITS, start + Duration::from_secs(3)));
        assert!(cutter.is_due(&open(20, 10), &LIMITS, start + Duration::from_secs(5)));
    }

    #[test]
    fn a_large_segment_ends_at_once() {
        let (mut cutter, start) = (Cutter::default(), Instant::now());
        cutter.is_due(&open(1, 10), &LIMITS, start);
        assert!(cutter.is_due(&open(1, 1011), &LIMITS, start));
    }
}
