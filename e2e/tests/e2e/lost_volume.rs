//! A member's volume is lost: the pod comes back empty, under a new identity, and takes its place again; the old identity leaves.

use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, kubectl, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

fn node_id(status: &Value, pod: &str) -> Option<String> {
    status["members"]
        .as_array()?
        .iter()
        .find(|member| member["pod"] == pod)
        .map(|member| member["nodeId"].to_string())
}

#[test]
fn a_member_whose_volume_is_lost_comes_back_as_a_new_one_with_all_data() -> Result<()> {
    let cluster = Cluster::new("volume")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    cluster.query("FOR i IN range(1, 500) INSERT (:Kept {n: i})", &[])?;
    let leader = cluster.leader()?;
    let pods = cluster.pods()?;
    let victim = pods
        .keys()
        .find(|pod| **pod != leader)
        .context("a follower")?
        .clone();
    let old = node_id(&cluster.status()?, &victim).context("the victim's id")?;

    let claims = [format!("data-{victim}"), format!("wal-{victim}")];
    kubectl(&[
        "delete",
        "pvc",
        &claims[0],
        &claims[1],
        "-n",
        &cluster.namespace,
        "--wait=false",
    ])?;
    kubectl(&[
        "delete",
        "pod",
        &victim,
        "-n",
        &cluster.namespace,
        "--force",
        "--grace-period=0",
    ])?;
    let (new, took) = wait_for(
        "a new identity among the members",
        Duration::from_secs(120),
        || Ok(node_id(&cluster.status()?, &victim).filter(|id| *id != old && id != "null")),
    )?;
    cluster.wait_ready()?;
    println!(
        "lost volume: {old} was replaced by {new} after {:.1} s",
        took.as_secs_f64()
    );
    let members = cluster.status()?["members"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    ensure!(members.len() == 3, "three members, found {members:?}");
    let lsn = cluster.query("INSERT (:After)", &[])?["lsn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let answer = cluster.query(
        "MATCH (k:Kept) RETURN count(*)",
        &["--read-lsn", &lsn, "--via", &victim],
    )?;
    ensure!(
        answer["rows"] == json!([[500]]),
        "the new member answered {answer}"
    );
    Ok(())
}
