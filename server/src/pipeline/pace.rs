//! How long a statement takes, learnt from its runs: one that has been short lately runs where it is, as waking a thread for it takes longer
//! than the statement. Pure: no clock.

use geode_query::Prepared;
use std::ops::Deref;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// A run of at most this is short.
pub(super) const SHORT: Duration = Duration::from_micros(500);
/// Where a statement is, it is stopped after this and begins again on a thread.
pub(super) const PATIENCE: Duration = Duration::from_millis(2);
/// So many short runs in a row, on a thread, make a statement a short one.
const PROOFS: i32 = 3;
/// And so many more after one that was long.
const PENALTY: i32 = 30;

/// A statement ready to run, and what its runs have shown.
#[derive(Debug)]
pub(crate) struct Plan {
    prepared: Prepared,
    /// Short runs, counted up to [`PROOFS`]; below zero after a long one.
    short_runs: AtomicI32,
}

impl Plan {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self {
            prepared,
            short_runs: AtomicI32::new(0),
        }
    }

    /// Whether its last runs were short. Another parameter may make the next one long all the same.
    pub(super) fn has_been_short(&self) -> bool {
        self.short_runs.load(Ordering::Relaxed) >= PROOFS
    }

    /// A run took so long. What is lost when two end at the same time does not matter. A hash waits for its turn, so it may only be
    /// computed on a thread that may block, however fast it was.
    pub(super) fn took(&self, time: Duration) {
        let before = self.short_runs.load(Ordering::Relaxed);
        let after = if time > SHORT || self.prepared.sets_password() {
            -PENALTY
        } else {
            (before + 1).min(PROOFS)
        };
        if after != before {
            self.short_runs.store(after, Ordering::Relaxed);
        }
    }
}

impl Deref for Plan {
    type Target = Prepared;

    fn deref(&self) -> &Prepared {
        &self.prepared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_query::{Dialect, NoSystemTables, prepare};

    #[test]
    fn a_statement_is_short_after_some_short_runs_and_long_for_a_while_after_a_long_one() {
        let plan = Plan::new(prepare("RETURN 1", Dialect::Gql, &NoSystemTables).unwrap());
        let runs_until_short = || {
            let mut runs = 0;
            while !plan.has_been_short() {
                plan.took(SHORT);
                runs += 1;
            }
            runs
        };
        assert_eq!(runs_until_short(), PROOFS);
        plan.took(SHORT * 2);
        assert_eq!(runs_until_short(), PENALTY + PROOFS);
    }

    #[test]
    fn a_statement_that_sets_a_password_is_never_a_short_one() {
        let text = "CREATE USER ada WITH PASSWORD $p";
        let plan = Plan::new(prepare(text, Dialect::Gql, &NoSystemTables).unwrap());
        for _ in 0..2 * (PENALTY + PROOFS) {
            plan.took(Duration::ZERO);
        }
        assert!(!plan.has_been_short());
    }
}
