//! A database goes back to a moment before a mistake under the same names, comes back with everything when that is undone, and its volumes stay until
//! they are released.

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Ledger, S3, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// Volumes of three voters and an observer.
const VOLUMES: usize = 8;
const ROWS: &str = "MATCH (n:Early) RETURN count(*) AS nodes, sum(n.n) AS total";

#[test]
fn a_restore_in_place_goes_back_to_a_moment_and_undo_brings_every_later_write_back() -> Result<()> {
    let cluster = Cluster::new("inplace")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    cluster.apply(&json!({
        "timing": "fast", "storage": {"size": "1Gi"}, "observers": {"replicas": 1}, "archive": archive::place(&s3, &cluster, "inplace"),
    }))?;
    cluster.wait_ready()?;
    cluster.query("FOR i IN range(1, 300) INSERT (:Early {n: i})", &[])?;
    kubectl(&[
        "geode",
        "backup",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--wait",
    ])?;
    let early = cluster.query("FOR i IN range(301, 400) INSERT (:Early {n: i})", &[])?;
    let lsn = early["lsn"].as_str().context("the LSN of a write")?.to_owned();
    let before = cluster.query(ROWS, &[])?["rows"].clone();

    let client = cluster.client()?;
    let ledger = Ledger::start(&cluster, &client);
    wait_for("a few writes after the moment", Duration::from_secs(60), || {
        Ok((ledger.acknowledged() > 50).then_some(()))
    })?;
    let account = ledger.finish()?;
    cluster.query("MATCH (n:Early) DETACH DELETE n", &[])?;
    let (volumes, id) = (
        claims(&cluster)?,
        cluster.object()?["status"]["clusterId"].clone(),
    );
    ensure!(volumes.len() == VOLUMES, "{volumes:?}");

    preview(&cluster, &lsn)?;
    ensure!(claims(&cluster)? == volumes, "a preview touched volumes");

    restore(&cluster, &lsn)?;
    cluster.wait_ready()?;
    let restored = cluster.query(ROWS, &[])?["rows"].clone();
    ensure!(restored == before, "{before} became {restored}");
    let ledger = cluster.query("MATCH (l:Ledger) RETURN count(*) AS c", &[])?;
    ensure!(
        ledger["rows"] == json!([[0]]),
        "writes after the moment are there: {ledger}"
    );
    ensure!(
        cluster.object()?["status"]["clusterId"] != id,
        "the restored database has an identity of its own"
    );
    let both = claims(&cluster)?;
    ensure!(
        both.len() == 2 * VOLUMES && volumes.iter().all(|volume| both.contains(volume)),
        "{both:?}"
    );
    // It is a database like any other: writes reach all members and the archive.
    let write = cluster.query("INSERT (:Late {n: 1})", &[])?;
    let write = write["lsn"].as_str().context("the LSN of a write")?;
    archive::wait_archived(&cluster, write, Duration::from_secs(60))?;

    change(&cluster, "undo")?;
    cluster.wait_ready()?;
    account.check(&cluster)?;
    ensure!(
        cluster.query(ROWS, &[])?["rows"][0][0] == 0,
        "the mistake is not back"
    );
    ensure!(
        cluster.object()?["status"]["clusterId"] == id,
        "another database came back"
    );
    ensure!(claims(&cluster)? == both, "an undo deletes no volume");

    change(&cluster, "redo")?;
    cluster.wait_ready()?;
    ensure!(
        cluster.query(ROWS, &[])?["rows"] == before,
        "the restored database is not back"
    );

    change(&cluster, "release")?;
    wait_for(
        "the volumes from before are deleted",
        Duration::from_secs(60),
        || {
            let left = claims(&cluster)?;
            Ok((left.len() == VOLUMES && volumes.iter().all(|volume| !left.contains(volume))).then_some(()))
        },
    )?;
    ensure!(
        cluster.query(ROWS, &[])?["rows"] == before,
        "a release touched what is in use"
    );
    Ok(())
}

/// Uids of the cluster's volumes.
fn claims(cluster: &Cluster) -> Result<Vec<String>> {
    let selector = format!("geodedb.com/cluster={}", cluster.name);
    let list = kubectl(&[
        "get",
        "pvc",
        "-n",
        &cluster.namespace,
        "-l",
        &selector,
        "-o",
        "json",
    ])?;
    let list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array().context("items")?;
    let uid = |claim: &Value| claim["metadata"]["uid"].as_str().map(str::to_owned);
    Ok(items.iter().filter_map(uid).collect())
}

fn preview(cluster: &Cluster, lsn: &str) -> Result<()> {
    let said = kubectl(&[
        "geode",
        "restore",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--to-lsn",
        lsn,
        "--preview",
    ])?;
    println!("{said}");
    ensure!(said.contains("Nothing was touched"), "{said}");
    Ok(())
}

fn restore(cluster: &Cluster, lsn: &str) -> Result<()> {
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeRestore",
        "metadata": {"name": "before-the-mistake", "namespace": cluster.namespace},
        "spec": {"cluster": cluster.name, "target": {"lsn": lsn}},
    });
    kubectl_input(&["apply", "-f", "-"], &manifest.to_string())?;
    let (status, took) = wait_for("the restore", Duration::from_secs(300), || {
        let object = kubectl(&[
            "get",
            "geoderestore",
            "before-the-mistake",
            "-n",
            &cluster.namespace,
            "-o",
            "json",
        ])?;
        let status = serde_json::from_str::<Value>(&object)?["status"].clone();
        ensure!(status["phase"] != "Failed", "the restore failed: {status}");
        Ok((status["phase"] == "Completed").then_some(status))
    })?;
    println!(
        "restore in place: {:.1} s, nobody was served for {} s; restored up to {}, before {}",
        took.as_secs_f64(),
        status["seconds"],
        status["lsn"],
        status["lsnBefore"]
    );
    ensure!(
        status["lsn"] == lsn,
        "restored up to {} instead of {lsn}",
        status["lsn"]
    );
    Ok(())
}

/// Undo, redo or release.
fn change(cluster: &Cluster, verb: &str) -> Result<()> {
    let said = kubectl(&[
        "geode",
        "restore",
        verb,
        "before-the-mistake",
        "-n",
        &cluster.namespace,
        "--wait",
    ])?;
    println!("{said}");
    Ok(())
}
