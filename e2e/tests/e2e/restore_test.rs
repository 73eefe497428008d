//! A restore test boots the newest backup in a pod of its own: its figures are in the status, a query that fails turns the condition, and the cluster
//! and its archive are not touched.

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, S3, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn a_restore_test_measures_what_a_restore_takes_and_a_failing_query_turns_its_condition() -> Result<()> {
    let cluster = Cluster::new("rtest")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    cluster.apply(&json!({
        "timing": "fast", "storage": {"size": "1Gi"}, "archive": archive::place(&s3, &cluster, "source"),
    }))?;
    cluster.wait_ready()?;
    cluster.query(
        "FOR i IN range(1, 300) INSERT (:Early {n: i})-[:NEXT]->(:Early {n: -i})",
        &[],
    )?;
    kubectl(&[
        "geode",
        "backup",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--wait",
    ])?;
    let last = cluster.query("FOR i IN range(1, 200) INSERT (:Late {n: i})", &[])?["lsn"]
        .as_str()
        .context("the LSN of a write")?
        .to_owned();
    archive::wait_archived(&cluster, &last, Duration::from_secs(60))?;
    let (_, hash) = archive::state(&cluster)?;
    let before = cluster.fingerprint()?;

    ask(&cluster, "800")?;
    let status = ended(&cluster, 1)?;
    let result = &status["result"];
    println!(
        "restore test: RTO {} s, RPO {} s, LSN {}, {} bytes, {}",
        result["rtoSeconds"], result["rpoSeconds"], result["lsn"], result["bytes"], result["millis"]
    );
    ensure!(
        result["passed"] == true && condition(&status, "Ready") == "True",
        "{status}"
    );
    ensure!(
        result["stateHash"] == hash,
        "the graph's hash {hash} became {}",
        result["stateHash"]
    );
    ensure!(
        result["nodes"] == 800 && result["edges"] == 300 && result["rpoSeconds"] == 0,
        "{result}"
    );
    let rto = result["rtoSeconds"].as_i64().context("a measured RTO")?;
    ensure!((1..120).contains(&rto), "{result}");
    ensure!(result["hashComparedWith"][0] == "base backup", "{result}");
    wait_for("the pod is gone", Duration::from_secs(60), || {
        Ok(pods(&cluster)?.is_empty().then_some(()))
    })?;

    ask(&cluster, "799")?;
    let status = ended(&cluster, 2)?;
    ensure!(
        condition(&status, "Ready") == "False" && status["failedRuns"] == 1,
        "{status}"
    );
    let message = status["message"].as_str().unwrap_or_default();
    ensure!(message.contains("800 instead of 799"), "{message}");
    println!("restore test: {message}");

    ensure!(
        cluster.fingerprint()? == before,
        "a pod of the cluster was touched"
    );
    let source = format!("s3://{}/{}/source", s3.bucket, cluster.namespace);
    archive::check_restore(&s3, &cluster, &source)?;
    let told = kubectl(&[
        "geode",
        "test-restore",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--query",
        "MATCH (l:Late) RETURN count(l)",
        "--wait",
    ])?;
    println!("{told}");
    ensure!(told.contains("passed") && told.contains("RTO"), "{told}");
    Ok(())
}

fn ask(cluster: &Cluster, expected: &str) -> Result<()> {
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeRestoreTest",
        "metadata": {"name": "drill", "namespace": cluster.namespace},
        "spec": {
            "cluster": cluster.name, "timeout": "3m",
            "queries": [{"statement": "MATCH (n) RETURN count(n)", "expectRows": 1, "expect": expected}],
        },
    });
    kubectl_input(&["apply", "-f", "-"], &manifest.to_string()).map(drop)
}

/// The status when so many runs have ended.
fn ended(cluster: &Cluster, runs: i64) -> Result<Value> {
    let (status, took) = wait_for("the restore test ends", PATIENCE, || {
        let object = kubectl(&[
            "get",
            "geoderestoretest",
            "drill",
            "-n",
            &cluster.namespace,
            "-o",
            "json",
        ])?;
        let status = serde_json::from_str::<Value>(&object)?["status"].clone();
        let count = |field: &str| status[field].as_i64().unwrap_or_default();
        let all = count("passedRuns") + count("failedRuns");
        ensure!(all == runs, "{status}; {:?}", pods(cluster)?);
        Ok(Some(status))
    })?;
    println!("restore test: run {runs} ended after {:.1} s", took.as_secs_f64());
    Ok(status)
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a str {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind);
    found
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or_default()
}

/// The pods of the test, with what they say about themselves.
fn pods(cluster: &Cluster) -> Result<Vec<String>> {
    let list = kubectl(&[
        "get",
        "pods",
        "-n",
        &cluster.namespace,
        "-l",
        "geodedb.com/restore-test=drill",
        "-o",
        "json",
    ])?;
    let list: Value = serde_json::from_str(&list)?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    Ok(pods
        .iter()
        .map(|pod| format!("{} {}", pod["metadata"]["name"], pod["status"]))
        .collect())
}
