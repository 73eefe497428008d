//! A cluster is deleted with its volumes, and a GeodeRestore, or the very same manifest, brings it back from what its schedules and its sidecars stored. And S3 that fails and is
//! away meanwhile: a backup is whole all the same, and so is what is restored from it.

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Relay, S3, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(180);
/// One of so many requests fails.
const FAILS: usize = 20;
const OUTAGE: Duration = Duration::from_secs(30);

/// Restores what is archived in the cluster's own place, if anything is.
fn manifest(s3: &S3, cluster: &Cluster) -> Value {
    json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": archive::place(s3, cluster, "source"),
        "bootstrap": {"restore": {"source": source(s3, cluster), "ifExists": true}},
    })
}

fn source(s3: &S3, cluster: &Cluster) -> String {
    format!("s3://{}/{}/source", s3.bucket, cluster.namespace)
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn the_same_manifest_brings_a_cluster_back_that_was_deleted_with_its_volumes() -> Result<()> {
    let cluster = Cluster::new("again")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    let manifest = manifest(&s3, &cluster);
    for life in 0..3 {
        cluster.apply(&manifest)?;
        let took = cluster.wait_ready()?;
        let method = cluster.object()?["status"]["bootstrap"]["method"].clone();
        println!("life {life}: {method}, Ready after {:.1} s", took.as_secs_f64());
        let expected = if life == 0 { "Initialize" } else { "Restore" };
        ensure!(method == expected, "life {life} was begun by {method}");
        let known = cluster.query("MATCH (n:Life) RETURN count(n) AS n", &[])?;
        ensure!(known["rows"] == json!([[life * 100]]), "life {life}: {known}");
        let write = format!("FOR i IN range(1, 100) INSERT (:Life {{life: {life}, n: i}})");
        cluster.query(&write, &[])?;
        backup_by_schedule(&cluster, "nightly", "full")?;
        let last = cluster.query("MATCH (n:Life {n: 1}) SET n.seen = true", &[])?["lsn"]
            .as_str()
            .context("the LSN of a write")?
            .to_owned();
        archive::wait_archived(&cluster, &last, Duration::from_secs(60))?;
        let (_, hash) = archive::state(&cluster)?;
        let object = cluster.object()?;
        let id = object["status"]["clusterId"].as_str().context("an identity")?;
        let history = format!("{}/{id}", source(&s3, &cluster));
        delete(&cluster)?;
        // What is archived is the graph of this life, to the last write.
        archive::check_restore_to(&s3, &history, &[], &hash)?;
        println!("life {life}: equal state hashes {hash}");
    }
    Ok(())
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_restore_makes_a_new_cluster_of_what_schedules_stored_with_an_equal_state_hash() -> Result<()> {
    let cluster = Cluster::new("anew")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    let spec = json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": archive::place(&s3, &cluster, "source"),
    });
    cluster.apply(&spec)?;
    cluster.wait_ready()?;
    for kind in ["full", "incremental"] {
        let write = format!("FOR i IN range(1, 200) INSERT (:Kept {{kind: '{kind}', n: i}})");
        cluster.query(&write, &[])?;
        let taken = backup_by_schedule(&cluster, &format!("{kind}-ones"), kind)?;
        println!("schedule: {} up to {}", taken["type"], taken["lsn"]);
        // Without a full one an incremental one would be full.
        ensure!(taken["type"] == kind, "{kind}: {taken}");
    }
    // And the log after both.
    let last = cluster.query("INSERT (:Kept {kind: 'after', n: 0})", &[])?["lsn"]
        .as_str()
        .context("the LSN of a write")?
        .to_owned();
    archive::wait_archived(&cluster, &last, Duration::from_secs(60))?;
    let (_, hash) = archive::state(&cluster)?;
    let id = cluster.object()?["status"]["clusterId"].clone();
    delete(&cluster)?;

    let history = format!(
        "{}/{}",
        source(&s3, &cluster),
        id.as_str().context("an identity")?
    );
    let restore = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeRestore",
        "metadata": {"name": "anew", "namespace": cluster.namespace},
        "spec": {"cluster": cluster.name, "source": history, "newCluster": spec},
    });
    kubectl_input(&["apply", "-f", "-"], &restore.to_string())?;
    let (status, took) = wait_for("the new cluster", PATIENCE, || {
        let object = kubectl(&["get", "gr", "anew", "-n", &cluster.namespace, "-o", "json"])?;
        let status = serde_json::from_str::<Value>(&object)?["status"].clone();
        ensure!(status["phase"] != "Failed", "the restore failed: {status}");
        Ok((status["phase"] == "Completed").then_some(status))
    })?;
    println!(
        "new cluster: Ready after {:.1} s, restored up to {}",
        took.as_secs_f64(),
        status["lsn"]
    );
    kubectl(&["delete", "gr", "anew", "-n", &cluster.namespace])?;
    cluster.wait_ready()?;
    ensure!(
        status["clusterId"] == cluster.object()?["status"]["clusterId"] && status["clusterId"] != id,
        "{id} became {status}"
    );
    // The Secret with the administrator's password stayed, so the user is the same too.
    let (_, again) = archive::state(&cluster)?;
    ensure!(again == hash, "the state hash {hash} became {again}");
    println!("restore: equal state hashes {hash}");
    Ok(())
}

/// A schedule that takes one of this type at once, and is gone with its cluster's life. The status of that backup.
fn backup_by_schedule(cluster: &Cluster, name: &str, kind: &str) -> Result<Value> {
    let schedule = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackupSchedule",
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": {"cluster": cluster.name, "schedule": "30 2 29 2 *", "immediate": true, "type": kind},
    });
    kubectl_input(&["apply", "-f", "-"], &schedule.to_string())?;
    let (status, _) = wait_for("the backup of the schedule", PATIENCE, || {
        let list = kubectl(&[
            "get",
            "geodebackup",
            "-n",
            &cluster.namespace,
            "-l",
            &format!("geodedb.com/schedule={name}"),
            "-o",
            "json",
        ])?;
        let list: Value = serde_json::from_str(&list)?;
        let mut backups = list["items"].as_array().into_iter().flatten();
        let done = backups.find(|backup| backup["status"]["phase"] == "Completed");
        Ok(done.map(|backup| backup["status"].clone()))
    })?;
    Ok(status)
}

/// The cluster, its volumes, its schedule and its backups' objects; the Secret with the password stays, as it does for a user.
fn delete(cluster: &Cluster) -> Result<()> {
    let namespace = cluster.namespace.as_str();
    for kind in ["geodebackupschedule", "geodecluster", "geodebackup"] {
        kubectl(&["delete", kind, "--all", "-n", namespace])?;
    }
    wait_for("its pods are gone", PATIENCE, || {
        Ok(cluster.pods()?.is_empty().then_some(()))
    })?;
    kubectl(&["delete", "pvc", "--all", "-n", namespace])?;
    Ok(())
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_backup_and_a_restore_are_whole_although_s3_fails_and_is_away_meanwhile() -> Result<()> {
    let cluster = Cluster::new("badline")?;
    let s3 = S3::from_environment()?;
    let relay = Relay::to(&s3)?;
    relay.fail_one_of(FAILS);
    let bad = relay.s3(&s3);
    s3.secret(&cluster.namespace, "s3")?;
    cluster.apply(&json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": archive::place(&bad, &cluster, "source"),
    }))?;
    cluster.wait_ready()?;
    for part in 0..10 {
        let write = format!(
            "FOR i IN range(1, 500) INSERT (:Kept {{part: {part}, n: i}})-[:NEXT]->(:Kept {{n: -i}})"
        );
        cluster.query(&write, &[])?;
    }
    let begin = ["geode", "backup", &cluster.name, "-n", &cluster.namespace];
    kubectl(&begin)?;
    outage(&relay);
    kubectl(&[&begin[..], &["--wait"]].concat())?;
    let last = cluster.query("INSERT (:Kept {n: 0})", &[])?["lsn"]
        .as_str()
        .context("the LSN of a write")?
        .to_owned();
    archive::wait_archived(&cluster, &last, Duration::from_secs(120))?;
    // By a good line: what is stored is whole.
    let place = source(&s3, &cluster);
    let hash = archive::check_restore(&s3, &cluster, &place)?;

    let restored = cluster.sibling("restored");
    restored.apply(&json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": archive::place(&bad, &cluster, "restored"),
        "bootstrap": {"restore": {"source": place}},
    }))?;
    outage(&relay);
    let took = restored.wait_ready()?;
    let question = "MATCH (n:Kept) RETURN count(*) AS nodes, sum(n.n) AS total, sum(n.part) AS parts";
    let (original, again) = (cluster.query(question, &[])?, restored.query(question, &[])?);
    ensure!(original["rows"] == again["rows"], "{original} became {again}");
    let (requests, failed) = relay.count();
    println!(
        "bad line: {failed} of {requests} requests failed; state hash {hash}; restored and Ready {:.1} s after the outage",
        took.as_secs_f64()
    );
    ensure!(
        failed > requests / FAILS / 2,
        "only {failed} of {requests} failed"
    );
    Ok(())
}

/// S3 is away for a while.
fn outage(relay: &Relay) {
    relay.away(true);
    std::thread::sleep(OUTAGE);
    relay.away(false);
}
