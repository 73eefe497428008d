//! `kubectl geode test-restore CLUSTER` creates a `GeodeRestoreTest` that is run once. The operator does the rest, so whoever ends this program ends only
//! the waiting.

use crate::kubectl::Kubectl;
use anyhow::{Context, Result};
use clap::Args;
use geode_api::{
    GROUP, GeodeRestoreTest, GeodeRestoreTestStatus, RestoreTestPhase, RestoreTestResult, VERSION,
};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct TestRestoreArgs {
    /// Name of the GeodeCluster.
    name: String,
    /// A statement that the restored database has to answer. May be repeated.
    #[arg(long = "query", value_name = "STATEMENT")]
    queries: Vec<String>,
    /// A run that takes longer has failed: for example 90s, 30m or 2h.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    timeout: String,
    /// Leaves the pod of a run that failed, for its log.
    #[arg(long)]
    keep_failed: bool,
    /// Waits for the result; a test that fails is an exit code of 1.
    #[arg(long)]
    wait: bool,
}

pub(crate) fn run(kubectl: &Kubectl, args: &TestRestoreArgs) -> Result<ExitCode> {
    kubectl.cluster(&args.name)?;
    let created = kubectl.create(&manifest(args))?;
    let name = created["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    println!("geoderestoretest/{name} created");
    if !args.wait {
        println!("see `kubectl get geoderestoretest {name}`");
        return Ok(ExitCode::SUCCESS);
    }
    let mut said = String::new();
    loop {
        let object = kubectl.json(&["get", "geoderestoretest", &name, "--output", "json"])?;
        let test: GeodeRestoreTest = serde_json::from_value(object).context("read the GeodeRestoreTest")?;
        let status = test.status.unwrap_or_default();
        if let (RestoreTestPhase::Passed | RestoreTestPhase::Failed, Some(result)) =
            (status.phase, &status.result)
        {
            println!("{}", text(&name, args, result));
            return Ok(if result.passed {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        tell(&status, &mut said);
        sleep(ASK_EVERY);
    }
}

fn tell(status: &GeodeRestoreTestStatus, said: &mut String) {
    let message = status.message.clone().unwrap_or_default();
    if message != *said {
        eprintln!("{message}");
        *said = message;
    }
}

fn manifest(args: &TestRestoreArgs) -> Value {
    let queries: Vec<Value> = args
        .queries
        .iter()
        .map(|statement| json!({ "statement": statement }))
        .collect();
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "GeodeRestoreTest",
        "metadata": { "generateName": format!("{}-", args.name) },
        "spec": { "cluster": args.name, "queries": queries, "timeout": args.timeout, "keepFailed": args.keep_failed },
    })
}

fn text(name: &str, args: &TestRestoreArgs, result: &RestoreTestResult) -> String {
    let figure = |seconds: Option<i64>| seconds.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
    let mut lines = vec![format!(
        "geoderestoretest/{name} {}: restored up to LSN {}, RTO {}, RPO {}, {} bytes fetched",
        if result.passed { "passed" } else { "FAILED" },
        result.lsn.as_deref().unwrap_or("-"),
        figure(result.rto_seconds),
        figure(result.rpo_seconds),
        result.bytes
    )];
    for (statement, answer) in args.queries.iter().zip(&result.queries) {
        let verdict = if answer.passed { "ok" } else { "FAILED" };
        let told = answer.message.as_ref().or(answer.value.as_ref());
        let told = told.map_or("no rows", String::as_str);
        lines.push(format!("{verdict:<6} {statement}: {told}"));
    }
    lines.extend(result.message.clone());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Verb};
    use clap::Parser;

    #[test]
    fn the_manifest_of_a_test_has_what_was_asked_for() {
        for (line, queries, timeout) in [
            (&["kubectl-geode", "test-restore", "a"][..], json!([]), "1h"),
            (
                &[
                    "kubectl-geode",
                    "test-restore",
                    "a",
                    "--query",
                    "RETURN 1",
                    "--query",
                    "RETURN 2",
                    "--timeout",
                    "5m",
                    "--wait",
                ][..],
                json!([{"statement": "RETURN 1"}, {"statement": "RETURN 2"}]),
                "5m",
            ),
        ] {
            let Verb::TestRestore(args) = Cli::try_parse_from(line).unwrap().verb else {
                panic!("{line:?} is no test")
            };
            let spec = manifest(&args)["spec"].clone();
            assert_eq!((&spec["queries"], &spec["timeout"]), (&queries, &json!(timeout)));
            serde_json::from_value::<geode_api::GeodeRestoreTestSpec>(spec).unwrap();
        }
    }
}
