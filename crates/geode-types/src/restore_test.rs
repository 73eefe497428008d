//! What a test of a restore checks, and its report: what `geode backup test-restore` prints and the operator reads from the pod that ran it.

use crate::LogIndex;
use serde::{Deserialize, Serialize};

/// Statements that one test runs.
pub const RESTORE_CHECKS_MAX: usize = 16;
/// Kubernetes keeps so much of what a container says at its end, bytes.
pub const RESTORE_REPORT_BYTES_MAX: usize = 4096;
/// Lengths to which texts of a report are cut, one after the other, until the report is short enough.
const TEXT_LENGTHS: [usize; 4] = [600, 150, 40, 0];

/// A statement that a restored graph has to answer, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreCheck {
    /// A statement that reads.
    pub statement: String,
    /// How many rows it must have; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_rows: Option<u64>,
    /// What the first value of the first row must be: a text as it is, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// How a statement was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreCheckResult {
    /// As it had to be.
    pub passed: bool,
    /// Rows of the answer.
    pub rows: u64,
    /// The first value of the first row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long it took.
    pub millis: u64,
}

/// Steps of a test, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreTestStep {
    /// The backup is downloaded and compared with its checksums.
    #[default]
    Fetch,
    /// The base backup is loaded, and the log after it applied.
    Replay,
    /// `geode verify`.
    Verify,
    /// A server starts with it, until it answers.
    Boot,
    /// It is asked.
    Queries,
    /// All is done.
    Done,
}

impl std::fmt::Display for RestoreTestStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetch",
            Self::Replay => "replay",
            Self::Verify => "verify",
            Self::Boot => "boot",
            Self::Queries => "queries",
            Self::Done => "done",
        })
    }
}

/// What a test found out. What a step before its end would have told is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreTestReport {
    /// How far it came.
    pub step: RestoreTestStep,
    /// Why it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The history in the archive that was restored.
    pub source: String,
    /// When the archive was looked at, microseconds since the epoch: what was archived later is not in it.
    pub looked_at_micros: i64,
    /// Last entry of the base backup that it began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<LogIndex>,
    /// Hash of the graph that was recorded with the base backup; the loaded graph had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_hash: Option<String>,
    /// What was downloaded, bytes.
    pub bytes: u64,
    /// Last entry that was restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<LogIndex>,
    /// Time of the newest commit that was replayed, or of the base backup when none was; microseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_micros: Option<i64>,
    /// Hash of the restored graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_hash: Option<String>,
    /// Nodes of the restored graph.
    pub nodes: u64,
    /// Edges of the restored graph.
    pub edges: u64,
    /// How long the download took.
    pub fetch_millis: u64,
    /// How long loading and replaying took.
    pub replay_millis: u64,
    /// How long the check of every byte took.
    pub verify_millis: u64,
    /// How long the server took until it answered.
    pub boot_millis: u64,
    /// When the first query was answered, microseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at_micros: Option<i64>,
    /// One result for every statement that was run.
    pub checks: Vec<RestoreCheckResult>,
}

impl RestoreTestReport {
    /// Whether everything was as it has to be.
    pub fn passed(&self) -> bool {
        self.step == RestoreTestStep::Done
            && self.failure.is_none()
            && self.checks.iter().all(|check| check.passed)
    }

    /// As JSON of at most [`RESTORE_REPORT_BYTES_MAX`] bytes: figures stay, long texts are cut.
    pub fn to_bounded_json(&self) -> String {
        let mut text = self.to_json();
        for length in TEXT_LENGTHS {
            if text.len() <= RESTORE_REPORT_BYTES_MAX {
                break;
            }
            let mut cut = self.clone();
            shorten(&mut cut.failure, length);
            for check in &mut cut.checks {
                shorten(&mut check.value, length);
                shorten(&mut check.message, length);
            }
            text = cut.to_json();
        }
        text
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("invariant: a report has string keys only")
    }
}

fn shorten(text: &mut Option<String>, length: usize) {
    if let Some(text) = text
        && text.len() > length
    {
        text.truncate(text.floor_char_boundary(length));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_fits_into_what_kubernetes_keeps_whatever_was_answered() {
        let long = Some("ä\"\n".repeat(3000));
        let check = RestoreCheckResult {
            value: long.clone(),
            message: long.clone(),
            rows: u64::MAX,
            millis: u64::MAX,
            passed: false,
        };
        let report = RestoreTestReport {
            step: RestoreTestStep::Queries,
            failure: long,
            source: "s3://bucket/".to_owned() + &"p".repeat(600),
            base_hash: Some("0".repeat(64)),
            state_hash: Some("0".repeat(64)),
            nodes: u64::MAX,
            checks: vec![check; RESTORE_CHECKS_MAX],
            ..RestoreTestReport::default()
        };
        let text = report.to_bounded_json();
        assert!(text.len() <= RESTORE_REPORT_BYTES_MAX, "{} bytes", text.len());
        let read: RestoreTestReport = serde_json::from_str(&text).unwrap();
        assert_eq!((read.nodes, read.checks.len()), (u64::MAX, RESTORE_CHECKS_MAX));
        assert!(!read.passed());
    }

    #[test]
    fn a_short_report_is_told_whole_and_passes_only_at_its_end() {
        let mut report = RestoreTestReport {
            step: RestoreTestStep::Queries,
            checks: vec![RestoreCheckResult {
                passed: true,
                ..RestoreCheckResult::default()
            }],
            ..RestoreTestReport::default()
        };
        assert!(!report.passed());
        report.step = RestoreTestStep::Done;
        assert!(report.passed());
        let read: RestoreTestReport = serde_json::from_str(&report.to_bounded_json()).unwrap();
        assert_eq!(read, report);
        report.checks[0].passed = false;
        assert!(!report.passed());
    }
}
