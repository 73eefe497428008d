//! What a run found, from the report of its pod: whether it passed, and how RTO and RPO are measured.

use crate::restore_test::PodEnd;
use crate::status::whole_second;
use geode_api::{RestoreQueryResult, RestoreTestMillis, RestoreTestResult, RestoreTestRun};
use geode_types::{GroupId, LogIndex, Lsn, RestoreTestReport};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// What the status of a cluster says about its members may be this old.
const COUNTERS_AGE: SignedDuration = SignedDuration::from_secs(3);
/// Of a pod that left no report, so much of what it said is told.
const SAID_BYTES: usize = 600;
/// The step of a run whose pod told nothing.
const POD: &str = "pod";

/// The hash of a graph that a `GeodeBackup` recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedHash {
    /// The backup's name.
    pub backup: String,
    /// Where the backup is.
    pub location: String,
    /// The last entry in it.
    pub index: LogIndex,
    /// Hexadecimal.
    pub hash: String,
}

/// The pod has ended. `applied` is the last entry that the cluster is seen to have applied now.
pub(super) fn of_end(
    run: &RestoreTestRun,
    end: &PodEnd,
    applied: Option<LogIndex>,
    hashes: &[RecordedHash],
    now: Timestamp,
) -> RestoreTestResult {
    let Ok(report) = serde_json::from_str::<RestoreTestReport>(end.message.trim()) else {
        let said = end.message.trim();
        let said = &said[said.ceil_char_boundary(said.len().saturating_sub(SAID_BYTES))..];
        let why = format!(
            "the pod {} ended without a report: {} {said}",
            run.pod, end.reason
        );
        return failed(run, why.trim_end().to_owned(), now);
    };
    let mut result = of_report(run, &report, applied, now);
    match compare(&report, hashes) {
        Ok(compared) => result.hash_compared_with = compared,
        Err(why) => {
            result.passed = false;
            result.message = Some(why);
        }
    }
    result
}

/// Nothing is known but why.
pub(super) fn failed(run: &RestoreTestRun, why: String, now: Timestamp) -> RestoreTestResult {
    RestoreTestResult {
        passed: false,
        step: POD.to_owned(),
        generation: run.generation,
        started_at: run.started_at.clone(),
        completed_at: whole_second(now),
        source: run.source.clone(),
        base_lsn: None,
        lsn: None,
        cluster_lsn: run.cluster_lsn.clone(),
        newest_commit_time: None,
        rto_seconds: None,
        rpo_seconds: None,
        bytes: 0,
        nodes: None,
        edges: None,
        state_hash: None,
        hash_compared_with: Vec::new(),
        millis: RestoreTestMillis::default(),
        queries: Vec::new(),
        message: Some(why),
    }
}

fn of_report(
    run: &RestoreTestRun,
    report: &RestoreTestReport,
    applied: Option<LogIndex>,
    now: Timestamp,
) -> RestoreTestResult {
    let known = |number: u64| report.state_hash.as_ref().map(|_| signed(number));
    let queries = report.checks.iter().map(|check| RestoreQueryResult {
        passed: check.passed,
        rows: signed(check.rows),
        value: check.value.clone(),
        message: check.message.clone(),
        millis: signed(check.millis),
    });
    RestoreTestResult {
        passed: report.passed(),
        step: report.step.to_string(),
        source: report.source.clone(),
        base_lsn: report.base.map(lsn),
        lsn: report.index.map(lsn),
        newest_commit_time: report.newest_micros.and_then(time).map(whole_second),
        rto_seconds: report
            .answered_at_micros
            .and_then(time)
            .map(|answered| seconds_up(answered.duration_since(run.started_at.0))),
        rpo_seconds: rpo(run, report, applied),
        bytes: signed(report.bytes),
        nodes: known(report.nodes),
        edges: known(report.edges),
        state_hash: report.state_hash.clone(),
        millis: RestoreTestMillis {
            fetch: signed(report.fetch_millis),
            replay: signed(report.replay_millis),
            verify: signed(report.verify_millis),
            boot: signed(report.boot_millis),
        },
        queries: queries.collect(),
        message: report
            .failure
            .clone()
            .or_else(|| (!report.passed()).then(|| "a query was not answered as expected".to_owned())),
        ..failed(run, String::new(), now)
    }
}

/// The age of what was restored when the archive was looked at, or less: everything that the cluster had applied by some moment is there, or every
/// commit up to the newest one that was restored is. What is newer than both may be missing.
fn rpo(run: &RestoreTestRun, report: &RestoreTestReport, applied: Option<LogIndex>) -> Option<i64> {
    let restored = report.index?;
    if applied.is_some_and(|applied| restored >= applied) {
        return Some(0);
    }
    let looked = time(report.looked_at_micros)?;
    let begun = run.cluster_lsn.as_ref().and_then(|lsn| lsn.parse::<Lsn>().ok());
    let whole_at_begin = begun
        .filter(|begun| restored >= begun.index)
        .map(|_| run.started_at.0 - COUNTERS_AGE);
    let complete_until = whole_at_begin.max(report.newest_micros.and_then(time))?;
    Some(seconds_up(looked.duration_since(complete_until)))
}

/// The places where a recorded hash was found equal, or the one where it was not.
fn compare(report: &RestoreTestReport, hashes: &[RecordedHash]) -> Result<Vec<String>, String> {
    let mut compared = Vec::new();
    if let Some(base) = &report.base_hash {
        // The program itself refuses a base backup whose graph has another hash.
        compared.push("base backup".to_owned());
        same(report, hashes, report.base, base, &mut compared)?;
    }
    if let Some(hash) = report.state_hash.as_ref().filter(|_| report.index != report.base) {
        same(report, hashes, report.index, hash, &mut compared)?;
    }
    Ok(compared)
}

fn same(
    report: &RestoreTestReport,
    hashes: &[RecordedHash],
    index: Option<LogIndex>,
    hash: &str,
    compared: &mut Vec<String>,
) -> Result<(), String> {
    let of_this_history = |recorded: &&RecordedHash| recorded.location.starts_with(&report.source);
    for recorded in hashes.iter().filter(of_this_history) {
        if Some(recorded.index) != index {
            continue;
        }
        if recorded.hash != hash {
            return Err(format!(
                "GeodeBackup {} recorded the hash {} for LSN {}, and the restored graph has {hash}",
                recorded.backup,
                recorded.hash,
                lsn(recorded.index)
            ));
        }
        compared.push(recorded.backup.clone());
    }
    Ok(())
}

/// One sentence about a result.
pub(super) fn told(result: &RestoreTestResult) -> String {
    let why = result.message.clone().unwrap_or_default();
    if !result.passed {
        return match result.step.as_str() {
            POD => why,
            step => format!("it failed in the step {step}: {why}"),
        };
    }
    let figure = |seconds: Option<i64>| seconds.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
    format!(
        "restored up to LSN {}; RTO {}, RPO {}",
        result.lsn.as_deref().unwrap_or("-"),
        figure(result.rto_seconds),
        figure(result.rpo_seconds)
    )
}

pub(super) fn lsn(index: LogIndex) -> String {
    Lsn {
        group: GroupId(0),
        index,
    }
    .to_string()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}

/// A part of a second counts as one, and clocks that differ make nothing negative.
fn seconds_up(duration: SignedDuration) -> i64 {
    let whole = duration.as_secs();
    (whole + i64::from(duration.subsec_nanos() > 0)).max(0)
}
