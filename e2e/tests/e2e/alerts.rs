//! The alerts are about what really happens: the metrics of a real cluster, scraped in moments that an operator should hear of, make them fire,
//! and those of a healthy cluster none.

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Fault, S3, Scrape, firing, kubectl, wait_for};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

fn admin(cluster: &Cluster, arguments: &[&str]) -> Result<()> {
    let leader = cluster.leader()?;
    let command = [
        "exec",
        "-n",
        &cluster.namespace,
        &leader,
        "-c",
        "geode",
        "--",
        "/geode",
        "admin",
    ];
    kubectl(&[&command, arguments].concat()).map(drop)
}

fn ensure_fire(moment: &str, fired: &BTreeSet<String>, expected: &[&str]) -> Result<()> {
    println!("{moment}: {fired:?}");
    let missing: Vec<_> = expected.iter().filter(|alert| !fired.contains(**alert)).collect();
    ensure!(missing.is_empty(), "{moment}: {missing:?} did not fire");
    Ok(())
}

/// Until the metric has this value on some target.
fn scrape_until(cluster: &Cluster, metric: &str, value: &str) -> Result<Scrape> {
    let what = format!("{metric} is {value}");
    let (scrape, _) = wait_for(&what, Duration::from_secs(60), || {
        let scrape = Scrape::take(cluster)?;
        Ok(scrape.has(metric, value).then_some(scrape))
    })?;
    Ok(scrape)
}

#[test]
fn alerts_fire_in_their_moments_and_a_healthy_cluster_fires_none() -> Result<()> {
    let s3 = S3::from_environment()?;
    let cluster = Cluster::alone("alerts")?;
    s3.secret(&cluster.namespace, "s3")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"},
        "archive": archive::place(&s3, &cluster, "wal")}))?;
    cluster.wait_ready()?;
    let written = cluster.query("INSERT (:N)", &[])?;
    let lsn = written["lsn"].as_str().context("an LSN")?;
    archive::wait_archived(&cluster, lsn, Duration::from_secs(60))?;
    let healthy = Scrape::take(&cluster)?;
    let fired = firing(&healthy, &healthy)?;
    ensure!(fired.is_empty(), "a healthy cluster: {fired:?}");

    admin(&cluster, &["set-read-only", "true"])?;
    let read_only = scrape_until(&cluster, "geode_read_only", "1")?;
    ensure_fire("read-only", &firing(&healthy, &read_only)?, &["GeodeReadOnly"])?;
    admin(&cluster, &["set-read-only", "false"])?;

    let cut = Fault::no_s3()?;
    cluster.query("INSERT (:N)", &[])?;
    let without_s3 = scrape_until(&cluster, "geode_backup_wal_archive_failing", "1")?;
    ensure_fire("no S3", &firing(&healthy, &without_s3)?, &["WALArchiveFailed"])?;
    cut.end()?;

    let (leader, pods) = (cluster.leader()?, cluster.pods()?);
    let nodes = pods.iter().filter(|(pod, _)| **pod != leader);
    let cuts: Vec<Fault> = nodes
        .map(|(_, pod)| Fault::partition(pod["spec"]["nodeName"].as_str().context("a node")?))
        .collect::<Result<_>>()?;
    let alone = scrape_until(&cluster, "geode_quorum_lost", "1")?;
    let expected = [
        "GeodeQuorumLost",
        "GeodeClusterDegraded",
        "GeodeMemberNotReady",
        "NodeDown",
    ];
    ensure_fire(
        "two of three nodes cut off",
        &firing(&healthy, &alone)?,
        &expected,
    )?;
    for cut in cuts {
        cut.end()?;
    }
    cluster.wait_ready()?;
    Ok(())
}
