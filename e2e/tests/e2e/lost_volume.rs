//! A member's volume is lost, or damaged: the pod comes back empty, under a new identity, and takes its place again; the old identity leaves.

use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Ledger, damage_log, kubectl, wait_for};
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
    let (victim, old) = follower(&cluster, &leader)?;

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
    let (new, took) = replaced(&cluster, &victim, &old, Duration::from_secs(120))?;
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

#[test]
fn a_follower_whose_log_is_damaged_under_load_is_replaced_by_itself() -> Result<()> {
    let cluster = Cluster::new("damaged")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    let leader = cluster.leader()?;
    let (victim, old) = follower(&cluster, &leader)?;
    let ledger = Ledger::start(&cluster, &leader);
    wait_for("some acknowledged writes", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > 50).then_some(()))
    })?;

    damage_log(&cluster, &victim)?;
    cluster.kill(&[&victim])?;
    let (new, took) = replaced(&cluster, &victim, &old, Duration::from_secs(180))?;
    let account = ledger.finish()?;
    println!(
        "damaged log: {old} was replaced by {new} after {:.1} s, longest gap {:.2} s",
        took.as_secs_f64(),
        account.longest_gap.as_secs_f64()
    );
    account.check(&cluster)?;
    cluster.wait_ready()?;
    Ok(())
}

/// A pod that does not lead, and its member's identity.
fn follower(cluster: &Cluster, leader: &str) -> Result<(String, String)> {
    let pods = cluster.pods()?;
    let pod = pods.keys().find(|pod| *pod != leader).context("a follower")?;
    let id = node_id(&cluster.status()?, pod).context("the follower's id")?;
    Ok((pod.clone(), id))
}

/// The identity that took this one's place, and after how long.
fn replaced(cluster: &Cluster, pod: &str, old: &str, within: Duration) -> Result<(String, Duration)> {
    wait_for("a new identity among the members", within, || {
        Ok(node_id(&cluster.status()?, pod).filter(|id| *id != old && id != "null"))
    })
}
