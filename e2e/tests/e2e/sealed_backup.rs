//! A sealed archive: full, incremental and differential backups under two keys come back exactly, by the command line and in a new cluster.

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, S3, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// A backup waits until the log has reached the archive.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn sealed_backups_of_every_kind_come_back_exactly_after_a_rotation_of_keys() -> Result<()> {
    let cluster = Cluster::new("sealed")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    keys(&cluster, &json!({"2025": old, "current": "2025"}))?;
    let place = |prefix: &str| {
        let mut place = archive::place(&s3, &cluster, prefix);
        place["compression"] = "lz4".into();
        place["encryption"] = json!({"secretName": "keys"});
        place
    };
    cluster.apply(
        &json!({"members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": place("source")}),
    )?;
    cluster.wait_ready()?;
    cluster.query("FOR i IN range(1, 200) INSERT (:Early {n: i})", &[])?;
    let mut taken = vec![backup(&cluster, "full")?];
    cluster.query("FOR i IN range(1, 200) INSERT (:Late {n: i})", &[])?;
    keys(&cluster, &json!({"2025": old, "2026": new, "current": "2026"}))?;
    for kind in ["incremental", "differential"] {
        cluster.query(&format!("INSERT (:Moment {{kind: '{kind}'}})"), &[])?;
        taken.push(backup(&cluster, kind)?);
    }
    cluster.query("INSERT (:Moment {kind: 'after'})", &[])?;

    let source = format!("s3://{}/{}/source", s3.bucket, cluster.namespace);
    let file = std::env::temp_dir().join(format!("geode-e2e-keys-{}", std::process::id()));
    std::fs::write(&file, format!("2026 {new}\n2025 {old}\n"))?;
    let key_file = file.to_str().context("a path in UTF-8")?;
    for status in &taken {
        let (lsn, hash) = (status["lsn"].as_str().context("lsn")?, &status["stateHash"]);
        // A full backup may have been overtaken by a write before its hash could be told.
        if hash.as_str().is_some_and(|hash| !hash.is_empty()) {
            let goal = ["--target-lsn", lsn, "--encryption-key-file", key_file];
            archive::check_restore_to(&s3, &source, &goal, hash)?;
        }
        println!("sealed: {} of {lsn} is exact", status["type"]);
    }
    std::fs::remove_file(&file)?;

    let restored = cluster.sibling("restored");
    let last = taken.last().context("a backup")?["lsn"].clone();
    restored.apply(&json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": place("restored"),
        "bootstrap": {"restore": {"source": source, "targetLsn": last}},
    }))?;
    restored.wait_ready()?;
    let question = "MATCH (n) RETURN labels(n)[0] AS label, count(*) AS nodes ORDER BY label";
    let rows = restored.query(question, &[])?["rows"].clone();
    ensure!(
        rows == json!([["Early", 200], ["Late", 200], ["Moment", 2]]),
        "{rows}"
    );
    Ok(())
}

fn keys(cluster: &Cluster, keys: &Value) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": cluster.namespace}, "stringData": keys,
    });
    kubectl_input(&["apply", "-f", "-"], &secret.to_string()).map(drop)
}

/// Takes one of this type; its status.
fn backup(cluster: &Cluster, kind: &str) -> Result<Value> {
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup",
        "metadata": {"name": kind, "namespace": cluster.namespace}, "spec": {"cluster": cluster.name, "type": kind},
    });
    kubectl_input(&["apply", "-f", "-"], &manifest.to_string())?;
    let (status, took) = wait_for(&format!("the {kind} backup"), PATIENCE, || {
        let text = kubectl(&["get", "geodebackup", kind, "-n", &cluster.namespace, "-o", "json"])?;
        let object: Value = serde_json::from_str(&text)?;
        ensure!(
            object["status"]["phase"] != "Failed",
            "the backup failed: {}",
            object["status"]
        );
        Ok((object["status"]["phase"] == "Completed").then(|| object["status"].clone()))
    })?;
    ensure!(status["type"] == kind, "{status}");
    println!("sealed: {kind} backup after {:.1} s", took.as_secs_f64());
    Ok(status)
}
