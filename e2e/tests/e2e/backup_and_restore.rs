//! The archive holds every write, a base backup can be taken, and the graph comes back from both in a new cluster.

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, S3, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_cluster_comes_back_from_its_base_backup_and_the_wal_after_it() -> Result<()> {
    let cluster = Cluster::new("archive")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    let place = |prefix: &str| archive::place(&s3, &cluster, prefix);
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}, "archive": place("source")}))?;
    cluster.wait_ready()?;
    cluster.query(
        "FOR i IN range(1, 300) INSERT (:Early {n: i})-[:NEXT]->(:Early {n: -i})",
        &[],
    )?;
    let mut moments = vec![moment(&cluster, 0)?, moment(&cluster, 1)?];
    backup(&cluster)?;
    for number in 2..5 {
        moments.push(moment(&cluster, number)?);
    }
    cluster.query("CREATE CHECKPOINT 'before the end'", &[])?;
    let (_, at_checkpoint) = archive::state(&cluster)?;
    let last = cluster.query("FOR i IN range(1, 200) INSERT (:Late {n: i})", &[])?["lsn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let took = archive::wait_archived(&cluster, &last, Duration::from_secs(60))?;
    println!(
        "archive: the last write is in S3 after {:.1} s",
        took.as_secs_f64()
    );

    let source = format!("s3://{}/{}/source", s3.bucket, cluster.namespace);
    for (goal, hash) in &moments {
        let goal: Vec<&str> = goal.iter().map(String::as_str).collect();
        archive::check_restore_to(&s3, &source, &goal, hash)?;
    }
    let named = ["--target-name", "before the end"];
    archive::check_restore_to(&s3, &source, &named, &at_checkpoint)?;
    println!("restore: {} moments and a checkpoint, each exact", moments.len());

    let restored = cluster.sibling("restored");
    restored.apply(&json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": place("restored"),
        "bootstrap": {"restore": {"source": source}},
    }))?;
    restored.wait_ready()?;
    let question =
        "MATCH (n) RETURN labels(n)[0] AS label, count(*) AS nodes, sum(n.n) AS total ORDER BY label";
    let (original, again) = (cluster.query(question, &[])?, restored.query(question, &[])?);
    ensure!(original["rows"] == again["rows"], "{original} became {again}");
    // The restored cluster has its own administrator's password, which is part of its state; the bare restore has equal state.
    let hash = archive::check_restore(&s3, &cluster, &source)?;
    println!("restore: equal state hashes {hash}");
    Ok(())
}

/// Something is written, and this is how to come back to the moment after it, by an LSN or a time, and the state hash that is found there.
fn moment(cluster: &Cluster, number: u32) -> Result<(Vec<String>, Value)> {
    cluster.query(&format!("INSERT (:Moment {{n: {number}}})"), &[])?;
    let (applied, hash) = archive::state(cluster)?;
    let goal = if number.is_multiple_of(2) {
        vec!["--target-lsn".to_owned(), format!("0/{applied}")]
    } else {
        // Nothing is committed until some time after it.
        let now = jiff::Timestamp::now();
        std::thread::sleep(Duration::from_millis(50));
        vec!["--target-time".to_owned(), now.to_string()]
    };
    Ok((goal, hash))
}

fn backup(cluster: &Cluster) -> Result<()> {
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup",
        "metadata": {"name": "first", "namespace": cluster.namespace}, "spec": {"cluster": cluster.name},
    });
    kubectl_input(&["apply", "-f", "-"], &manifest.to_string())?;
    let (location, took) = wait_for("the base backup", Duration::from_secs(90), || {
        let text = kubectl(&[
            "get",
            "geodebackup",
            "first",
            "-n",
            &cluster.namespace,
            "-o",
            "json",
        ])?;
        let object: Value = serde_json::from_str(&text)?;
        ensure!(
            object["status"]["phase"] != "Failed",
            "the backup failed: {}",
            object["status"]
        );
        Ok((object["status"]["phase"] == "Completed").then(|| object["status"]["location"].clone()))
    })?;
    println!(
        "backup: {} after {:.1} s",
        location.as_str().context("location")?,
        took.as_secs_f64()
    );
    Ok(())
}
