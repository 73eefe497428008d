//! What came of a run: figures for each folder, failures, and the same for programs.

use crate::runner::Outcome;
use crate::trial::Verdict;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As the kit has it.
    pub passed: usize,
    /// Otherwise.
    pub failed: usize,
    /// Failed, and nobody was told: wrong rows, wrong effects, no error.
    pub silent: usize,
}

impl Counts {
    /// Of these outcomes.
    pub fn of<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Self {
        let mut counts = Self::default();
        outcomes
            .into_iter()
            .for_each(|outcome| counts.add(&outcome.verdict));
        counts
    }

    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(failure, _) => {
                self.failed += 1;
                self.silent += usize::from(failure.is_silent());
            }
        }
    }

    /// How many passed, in percent.
    pub fn percent(self) -> f64 {
        let run = self.passed + self.failed;
        if run == 0 {
            return 0.0;
        }
        100.0 * self.passed as f64 / run as f64
    }
}

/// One line for each folder, and one for all.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut folders: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        folders.entry(&outcome.folder).or_default().push(outcome);
    }
    let mut out = format!(
        "{:<40} {:>7} {:>7} {:>7} {:>7}\n",
        "folder", "passed", "failed", "silent", "%"
    );
    let mut line = |name: &str, counts: Counts| {
        let _ = writeln!(
            out,
            "{name:<40} {:>7} {:>7} {:>7} {:>7.1}",
            counts.passed,
            counts.failed,
            counts.silent,
            counts.percent()
        );
    };
    for (folder, outcomes) in folders {
        line(folder, Counts::of(outcomes));
    }
    line("all", Counts::of(outcomes));
    out
}

/// Every failure with its reason.
pub fn failures(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for outcome in outcomes {
        let (kind, message) = match &outcome.verdict {
            Verdict::Passed => continue,
            Verdict::Failed(failure, message) => (format!("{failure:?}"), message),
        };
        let (folder, file, name) = (&outcome.folder, &outcome.file, &outcome.scenario);
        let message = message.replace('\n', "\n    ");
        let _ = writeln!(out, "{kind} {folder}/{file} {name}\n    {message}");
    }
    out
}

/// Everything, for programs.
pub fn to_json(outcomes: &[Outcome]) -> Value {
    let counts = Counts::of(outcomes);
    let failures: Vec<Value> = outcomes
        .iter()
        .filter_map(|outcome| {
            let (kind, message) = match &outcome.verdict {
                Verdict::Passed => return None,
                Verdict::Failed(failure, message) => (format!("{failure:?}"), message),
            };
            Some(json!({
                "folder": outcome.folder, "file": outcome.file, "scenario": outcome.scenario,
                "kind": kind, "message": message,
            }))
        })
        .collect();
    json!({
        "passed": counts.passed, "failed": counts.failed, "silent": counts.silent,
        "percent": counts.percent(), "not_passed": failures,
    })
}
