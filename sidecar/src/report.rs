//! What the archive loop says and the task loop passes on: the report for the server, and the wish for a base backup.

use geode_types::LogIndex;
use geode_wire::internal::{ArchiveFailure, ArchiveReport};
use jiff::Timestamp;
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
}

impl Shared {
    /// The archive is this far.
    pub(crate) fn archived_up_to(&self, index: LogIndex) {
        let report = &mut self.lock().report;
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
        let report = &mut self.lock().report;
        report.failures_total += 1;
        report.failing = Some(failure);
    }

    /// For the server.
    pub(crate) fn report(&self) -> ArchiveReport {
        self.lock().report.clone()
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
