//! Alerts about the archive: backups, restore tests, S3 and what strangers do in the bucket.

use super::{PATIENCE, archiving, followers, geode, is_one, scrape_until};
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Fault, S3, Scrape, Then, ensure_fire, firing, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A run of a schedule each minute, an audit of the archive each minute, a backup that gives up after five attempts.
const LONG: Duration = Duration::from_secs(240);
/// So many entries stay in every member's log.
const KEPT_ENTRIES: u64 = 10_000;

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn alerts_about_the_archive_fire_in_their_moments() -> Result<()> {
    let cluster = Cluster::alone("bucket")?;
    let s3 = S3::from_environment()?;
    let config = json!({"archive": {"backlog_max": "16Mi"}, "storage": {"snapshot_entries": 1000}});
    let healthy = archiving(&cluster, &s3, &config)?;
    kubectl(&[
        "geode",
        "backup",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--wait",
    ])?;
    promises_not_kept(&cluster)?;
    without_s3(&cluster)?;
    overwritten(&cluster, &s3, &healthy)?;
    deleted(&cluster, &s3, &healthy)
}

fn make(cluster: &Cluster, kind: &str, name: &str, spec: &Value) -> Result<()> {
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": cluster.namespace}, "spec": spec,
    });
    kubectl_input(&["apply", "-f", "-"], &manifest.to_string()).map(drop)
}

fn promises_not_kept(cluster: &Cluster) -> Result<()> {
    make(
        cluster,
        "GeodeBackupSchedule",
        "orphan",
        &json!({"cluster": "nobody", "schedule": "* * * * *", "retention": {"days": 7, "minCount": 1}}),
    )?;
    make(
        cluster,
        "GeodeRestoreTest",
        "drill",
        &json!({"cluster": cluster.name, "timeout": "3m", "queries": [{"statement": "RETURN 1", "expect": "2"}]}),
    )?;
    let missed = "geode_operator_backup_schedule_missed_runs";
    let failures = "geode_operator_restore_test_failures";
    // Counters of a manifest begin with it.
    let (before, _) = wait_for("both have counters", PATIENCE, || {
        let scrape = Scrape::take(cluster)?;
        let both = [missed, failures].map(|metric| scrape.values(metric).contains(&0.0));
        Ok((both == [true; 2]).then_some(scrape))
    })?;
    let failed = scrape_until(cluster, failures, LONG, |count| count > 0.0)?;
    ensure_fire(
        "a restore test's query has another answer",
        &firing(&before, &failed, Then::Stays)?,
    )?;
    let late = scrape_until(cluster, missed, LONG, |count| count > 0.0)?;
    ensure_fire(
        "a schedule's cluster is not there",
        &firing(&before, &late, Then::Stays)?,
    )?;
    for object in ["geodebackupschedule/orphan", "geoderestoretest/drill"] {
        kubectl(&["delete", object, "-n", &cluster.namespace])?;
    }
    Ok(())
}

/// Through one member, so much of so many bytes a write.
fn write(cluster: &Cluster, rate: &str, bytes: &str, duration: &str) -> Result<String> {
    let load = [
        "bench",
        "--writes",
        "100",
        "--keep",
        "--clients",
        "64",
        "--rate",
        rate,
    ];
    let much = ["--value-bytes", bytes, "--duration", duration];
    geode(cluster, &cluster.leader()?, &[load.as_slice(), &much].concat())
}

fn without_s3(cluster: &Cluster) -> Result<()> {
    let cut = Fault::no_s3()?;
    make(
        cluster,
        "GeodeBackup",
        "without-s3",
        &json!({"cluster": cluster.name}),
    )?;
    wait_for("writes are slowed", LONG, || {
        // Refused is what comes after slow.
        let _ = write(cluster, "200", "16384", "4s");
        let delays = Scrape::take(cluster)?.values("geode_write_delay_seconds");
        ensure!(delays.iter().any(|delay| *delay > 0.0), "{delays:?}");
        Ok(Some(()))
    })?;
    let first = scrape_until(cluster, "geode_backup_last_status", LONG, |status| status < 0.5)?;
    std::thread::sleep(Duration::from_secs(20));
    let second = Scrape::take(cluster)?;
    cut.end()?;
    ensure_fire(
        "S3 is cut off, and writes and a backup go on",
        &firing(&first, &second, Then::GoesOn)?,
    )?;
    wait_for("writes are not slowed any more", LONG, || {
        let delays = Scrape::take(cluster)?.values("geode_write_delay_seconds");
        Ok(delays.iter().all(|delay| *delay <= 0.0).then_some(()))
    })?;
    Ok(())
}

/// The keys of the archived segments, oldest first.
fn segments(cluster: &Cluster, s3: &S3) -> Result<Vec<String>> {
    let keys = s3.keys(&format!("{}/wal/", cluster.namespace))?;
    let is_segment = |key: &String| Path::new(key).extension().is_some_and(|end| end == "seg");
    Ok(keys.into_iter().filter(is_segment).collect())
}

fn overwritten(cluster: &Cluster, s3: &S3, healthy: &Scrape) -> Result<()> {
    let segment = segments(cluster, s3)?.pop().context("an archived segment")?;
    let sound = s3.get(&segment)?;
    s3.overwrite(&segment, b"something else")?;
    // A sidecar that starts holds what is archived against its member's log.
    cluster.kill(&[&followers(cluster)?.remove(0)])?;
    let conflict = scrape_until(cluster, "geode_backup_wal_archive_conflict", LONG, is_one)?;
    s3.overwrite(&segment, &sound)?;
    ensure_fire(
        "somebody has overwritten a segment in the bucket",
        &firing(healthy, &conflict, Then::Stays)?,
    )?;
    wait_for("the conflict is over", LONG, || {
        let conflicts = Scrape::take(cluster)?.values("geode_backup_wal_archive_conflict");
        Ok((conflicts.iter().sum::<f64>() < 0.5).then_some(()))
    })?;
    Ok(())
}

fn deleted(cluster: &Cluster, s3: &S3, healthy: &Scrape) -> Result<()> {
    let last = cluster.query("INSERT (:N)", &[])?["lsn"]
        .as_str()
        .map(str::to_owned);
    crate::archive::wait_archived(cluster, &last.context("an LSN")?, LONG)?;
    // It is behind the newest base backup, which covers nothing of it.
    let segment = segments(cluster, s3)?.pop().context("an archived segment")?;
    let end = segment.rsplit(['-', '.']).nth(1).and_then(|end| end.parse().ok());
    let end: u64 = end.with_context(|| format!("no end in {segment}"))?;
    wait_for("no member has it any more", LONG, || {
        write(cluster, "0", "0", "10s")?;
        let applied = Scrape::take(cluster)?.values("geode_applied_index");
        let enough = (end + 2 * KEPT_ENTRIES) as f64;
        ensure!(applied.iter().any(|applied| *applied > enough), "{applied:?}");
        Ok(Some(()))
    })?;
    s3.delete(&segment)?;
    let gap = scrape_until(cluster, "geode_backup_wal_archive_gap_entries", LONG, |entries| {
        entries > 0.0
    })?;
    ensure_fire(
        "somebody has deleted a segment from the bucket that no member has any more",
        &firing(healthy, &gap, Then::Stays)?,
    )?;
    wait_for("a base backup covers it", LONG, || {
        let gaps = Scrape::take(cluster)?.values("geode_backup_wal_archive_gap_entries");
        Ok((gaps.iter().sum::<f64>() < 0.5).then_some(()))
    })?;
    Ok(())
}
