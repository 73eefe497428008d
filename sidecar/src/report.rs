//! What the archive loop says and the task loop passes on: the report for the server, and the wish for a base backup.

use geode_types::LogIndex;
use geode_wire::internal::{ArchiveFailure, ArchiveGap, ArchiveReport, BackupFacts};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared between the loops.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    report: ArchiveReport,
    wants_base: bool,
    failures: Day,
}

/// Counts of the last 24 hours, hour by hour.
#[derive(Debug, Default)]
struct Day(VecDeque<(i64, u64)>);

impl Day {
    /// One more at this time, seconds since 1970.
    fn note(&mut self, second: i64) {
        let hour = second.div_euclid(3600);
        match self.0.back_mut() {
            Some((last, count)) if *last == hour => *count += 1,
            _ => self.0.push_back((hour, 1)),
        }
        self.count(second);
    }

    fn count(&mut self, second: i64) -> u64 {
        let oldest = second.div_euclid(3600) - 23;
        while self.0.front().is_some_and(|(hour, _)| *hour < oldest) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl Shared {
    /// The archive is this far, with a segment of this name.
    pub(crate) fn archived_up_to(&self, index: LogIndex, newest: &str) {
        let report = &mut self.lock().report;
        newest.clone_into(&mut report.last_archived);
        if report.archived_up_to != index || report.archived_at_micros == 0 {
            report.archived_up_to = index;
            report.archived_at_micros = Timestamp::now().as_microsecond();
        }
    }

    /// It gets on.
    pub(crate) fn works(&self) {
        self.lock().report.failing = None;
    }

    /// It does not.
    pub(crate) fn fails(&self, failure: ArchiveFailure) {
        let mut state = self.lock();
        state.failures.note(Timestamp::now().as_second());
        state.report.failures_total += 1;
        state.report.failing = Some(failure);
    }

    /// The archive was looked through.
    pub(crate) fn audited(&self, gap: Option<ArchiveGap>, backups: Vec<BackupFacts>) {
        let report = &mut self.lock().report;
        report.gap = gap;
        report.backups = backups;
    }

    /// For the server.
    pub(crate) fn report(&self) -> ArchiveReport {
        let (mut state, now) = (self.lock(), Timestamp::now().as_second());
        state.report.failures_24h = state.failures.count(now);
        state.report.clone()
    }

    /// A base backup should be taken without being asked for.
    pub(crate) fn want_base(&self) {
        self.lock().wants_base = true;
    }

    /// Whether it should.
    pub(crate) fn wants_base(&self) -> bool {
        self.lock().wants_base
    }

    /// It was.
    pub(crate) fn base_taken(&self) {
        self.lock().wants_base = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_the_last_24_hours() {
        let mut day = Day::default();
        for second in [0, 1, 3600, 23 * 3600] {
            day.note(second);
        }
        assert_eq!(day.count(23 * 3600), 4);
        assert_eq!(day.count(24 * 3600), 2);
        assert_eq!(day.count(100 * 3600), 0);
    }
}
