//! The alerts are about what really happens: the metrics of a real cluster, scraped in moments that an operator should hear of, make them fire,
//! and those of a healthy cluster none. `alerts/moments.json` says which moment is for which alerts.

mod bucket;
mod members;
mod operator;

use crate::archive;
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Fault, S3, Scrape, Then, ensure_fire, firing, kubectl, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// `geode …` in a member's pod.
fn geode(cluster: &Cluster, pod: &str, arguments: &[&str]) -> Result<String> {
    let command = [
        "exec",
        "-n",
        &cluster.namespace,
        pod,
        "-c",
        "geode",
        "--",
        "/geode",
    ];
    kubectl(&[&command, arguments].concat())
}

/// Until a value of the metric is like this.
fn scrape_until(
    cluster: &Cluster,
    metric: &str,
    patience: Duration,
    is_it: impl Fn(f64) -> bool,
) -> Result<Scrape> {
    let (scrape, took) = wait_for(metric, patience, || {
        let scrape = Scrape::take(cluster)?;
        let values = scrape.values(metric);
        ensure!(values.iter().any(|value| is_it(*value)), "{values:?}");
        Ok(Some(scrape))
    })?;
    println!("{metric}: after {:.1} s", took.as_secs_f64());
    Ok(scrape)
}

fn is_one(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

/// The pods that do not lead.
fn followers(cluster: &Cluster) -> Result<Vec<String>> {
    let leader = cluster.leader()?;
    let pods = cluster.pods()?.into_keys();
    Ok(pods.filter(|pod| *pod != leader).collect())
}

/// A cluster with an archive that has all of it, a second copy of that, and its metrics.
fn archiving(cluster: &Cluster, s3: &S3, config: &Value) -> Result<Scrape> {
    s3.secret(&cluster.namespace, "s3")?;
    let mut place = archive::place(s3, cluster, "wal");
    place["drCopy"] = archive::place(s3, cluster, "copy")["s3"].take();
    cluster
        .apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}, "config": config, "archive": place}))?;
    cluster.wait_ready()?;
    let written = cluster.query("INSERT (:N)", &[])?;
    let lsn = written["lsn"].as_str().context("an LSN")?;
    archive::wait_archived(cluster, lsn, PATIENCE)?;
    scrape_until(
        cluster,
        "geode_backup_copied_objects_total",
        PATIENCE,
        |objects| objects > 0.0,
    )
}

#[test]
fn alerts_fire_in_their_moments_and_a_healthy_cluster_fires_none() -> Result<()> {
    let cluster = Cluster::alone("alerts")?;
    let healthy = archiving(&cluster, &S3::from_environment()?, &json!({}))?;
    let fired = firing(&healthy, &healthy, Then::Stays)?;
    ensure!(fired.is_empty(), "a healthy cluster: {fired:?}");

    geode(&cluster, &cluster.leader()?, &["admin", "set-read-only", "true"])?;
    let read_only = scrape_until(&cluster, "geode_read_only", PATIENCE, is_one)?;
    ensure_fire(
        "an administrator has made the graph read-only",
        &firing(&healthy, &read_only, Then::Stays)?,
    )?;
    geode(&cluster, &cluster.leader()?, &["admin", "set-read-only", "false"])?;

    let pods = cluster.pods()?;
    let nodes = followers(&cluster)?.into_iter().map(|pod| {
        let node = pods[&pod]["spec"]["nodeName"].as_str();
        node.context("a node").map(str::to_owned)
    });
    let cuts: Vec<Fault> = nodes
        .map(|node| Fault::partition(&node?))
        .collect::<Result<_>>()?;
    let alone = scrape_until(&cluster, "geode_quorum_lost", PATIENCE, is_one)?;
    ensure_fire(
        "two of three nodes are cut off",
        &firing(&healthy, &alone, Then::Stays)?,
    )?;
    for cut in cuts {
        cut.end()?;
    }
    cluster.wait_ready()?;
    Ok(())
}
