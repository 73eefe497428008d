//! What tests of the archive share: where it is, how far it is, and whether a restore of it is the cluster's graph.

use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, S3, environment, wait_for};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `spec.archive` below a prefix of the cluster's namespace; the Secret `s3` must be there.
pub(crate) fn place(s3: &S3, cluster: &Cluster, prefix: &str) -> Value {
    json!({"s3": {"bucket": s3.bucket, "prefix": format!("{}/{prefix}", cluster.namespace), "endpoint": s3.endpoint,
                  "region": "us-east-1", "credentials": {"secretName": "s3"}}, "maxLag": "2s"})
}

/// Until the archive has this write; how long that took.
pub(crate) fn wait_archived(cluster: &Cluster, lsn: &str, patience: Duration) -> Result<Duration> {
    let (_, took) = wait_for("the archive reaches the last write", patience, || {
        let status = cluster.status()?;
        let archived = status["archive"]["archivedUpTo"].as_str().and_then(index);
        Ok((archived >= index(lsn)).then_some(()))
    })?;
    Ok(took)
}

/// A bare restore of the archive has the cluster's state hash, which is returned.
pub(crate) fn check_restore(s3: &S3, cluster: &Cluster, source: &str) -> Result<Value> {
    let (_, hash) = state(cluster)?;
    check_restore_to(s3, source, &[], &hash)?;
    Ok(hash)
}

/// The last entry that the cluster's graph has, and its hash.
pub(crate) fn state(cluster: &Cluster) -> Result<(Value, Value)> {
    state_with(cluster, &[])
}

/// The same, asked with these flags.
pub(crate) fn state_with(cluster: &Cluster, flags: &[&str]) -> Result<(Value, Value)> {
    let answer = cluster.query("SELECT applied, hash FROM system.state_hash", flags)?;
    Ok((answer["rows"][0][0].clone(), answer["rows"][0][1].clone()))
}

/// A bare restore with these flags has this state hash.
pub(crate) fn check_restore_to(s3: &S3, source: &str, goal: &[&str], hash: &Value) -> Result<()> {
    let target = std::env::temp_dir().join(format!("geode-e2e-restore-{}", std::process::id()));
    let bare = bare_restore(s3, source, goal, &target);
    std::fs::remove_dir_all(&target)?;
    let bare = bare?;
    ensure!(
        *hash == bare["state_hash"],
        "{goal:?}: the state hash {hash} became {bare}"
    );
    Ok(())
}

fn index(lsn: &str) -> Option<u64> {
    lsn.rsplit_once('/')?.1.parse().ok()
}

/// What `geode verify` says about a data directory that `geode restore` made.
fn bare_restore(s3: &S3, source: &str, goal: &[&str], target: &Path) -> Result<Value> {
    let geode = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(environment("GEODE")?);
        let output = s3.give_credentials(command.args(arguments)).output()?;
        ensure!(
            output.status.success(),
            "geode {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let folder = target.to_str().context("a path in UTF-8")?;
    let place = [
        "restore",
        "--source",
        source,
        "--endpoint",
        &s3.endpoint,
        "--target",
        folder,
    ];
    geode(&[&place, goal].concat())?;
    Ok(serde_json::from_str(&geode(&[
        "verify",
        "--format",
        "json",
        "--data-dir",
        folder,
    ])?)?)
}
