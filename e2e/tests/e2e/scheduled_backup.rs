//! Backups by the clock: one when the schedule is created, the next with the minute, each complete in S3; none while it is suspended.

use crate::archive;
use anyhow::{Result, ensure};
use geode_e2e::{Cluster, S3, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// A minute until the next run, and a backup.
const PATIENCE: Duration = Duration::from_secs(150);

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_schedule_takes_backups_into_the_bucket_until_it_is_suspended() -> Result<()> {
    let cluster = Cluster::new("scheduled")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    cluster.apply(&json!({
        "members": 1, "timing": "fast", "storage": {"size": "1Gi"}, "archive": archive::place(&s3, &cluster, "source"),
    }))?;
    cluster.wait_ready()?;
    cluster.query("FOR i IN range(1, 100) INSERT (:Kept {n: i})", &[])?;

    schedule(&cluster, false)?;
    let (first, took) = wait_for("the first backup is complete", PATIENCE, || complete(&cluster, 1))?;
    println!("schedule: {} after {:.1} s", first[0], took.as_secs_f64());
    let (both, took) = wait_for("the next backup is complete", PATIENCE, || complete(&cluster, 2))?;
    println!("schedule: the next of {both:?} after {:.1} s", took.as_secs_f64());
    ensure!(both[0] != both[1], "two backups at one place: {both:?}");

    schedule(&cluster, true)?;
    wait_for("the schedule is suspended", Duration::from_secs(30), || {
        let object = get(&cluster, &["geodebackupschedule", "often"])?;
        Ok(object["status"]["nextScheduleTime"].is_null().then_some(()))
    })?;
    let before = names(&cluster)?;
    std::thread::sleep(Duration::from_secs(65));
    ensure!(names(&cluster)? == before, "a suspended schedule took a backup");

    let source = format!("s3://{}/{}/source", s3.bucket, cluster.namespace);
    let last = cluster.query("INSERT (:Kept {n: 0})", &[])?["lsn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    archive::wait_archived(&cluster, &last, Duration::from_secs(60))?;
    let hash = archive::check_restore(&s3, &cluster, &source)?;
    println!("restore: equal state hashes {hash}");
    Ok(())
}

fn schedule(cluster: &Cluster, suspend: bool) -> Result<()> {
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackupSchedule",
        "metadata": {"name": "often", "namespace": cluster.namespace},
        "spec": {"cluster": cluster.name, "schedule": "* * * * *", "timeZone": "Europe/Berlin", "immediate": true, "suspend": suspend,
            "retention": {"days": 7, "minCount": 2}},
    });
    kubectl_input(&["apply", "-f", "-"], &manifest.to_string()).map(drop)
}

fn get(cluster: &Cluster, what: &[&str]) -> Result<Value> {
    let mut arguments = vec!["get", "-n", &cluster.namespace, "-o", "json"];
    arguments.extend(what);
    Ok(serde_json::from_str(&kubectl(&arguments)?)?)
}

fn of_schedule(cluster: &Cluster) -> Result<Vec<Value>> {
    let list = get(cluster, &["geodebackup", "-l", "geodedb.com/schedule=often"])?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

fn names(cluster: &Cluster) -> Result<Vec<Value>> {
    let backups = of_schedule(cluster)?.into_iter();
    Ok(backups.map(|backup| backup["metadata"]["name"].clone()).collect())
}

/// Where so many complete backups are, oldest first.
fn complete(cluster: &Cluster, count: usize) -> Result<Option<Vec<String>>> {
    let backups = of_schedule(cluster)?;
    let failed = backups
        .iter()
        .find(|backup| backup["status"]["phase"] == "Failed");
    ensure!(failed.is_none(), "a backup failed: {failed:?}");
    let complete = backups
        .iter()
        .filter(|backup| backup["status"]["phase"] == "Completed");
    for backup in complete.clone() {
        // All of them are young.
        let cleaned = &backup["status"]["cleanedUp"];
        ensure!(
            cleaned["backups"] == 0 && cleaned["oldestLsn"].is_string(),
            "no clean-up: {backup}"
        );
    }
    let locations = complete.filter_map(|backup| backup["status"]["location"].as_str());
    let locations: Vec<String> = locations.map(str::to_owned).collect();
    Ok((locations.len() >= count).then_some(locations))
}
