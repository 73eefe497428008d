//! The leader's pod dies under load: nothing acknowledged is lost, nothing is applied twice, writes go on within seconds.

use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Ledger, kubectl, wait_for};
use serde_json::json;
use std::time::Duration;

/// Promised by `timing: fast` (design.md section 2, 12: about one second without a leader) with room for a shared CI machine.
const GAP_MAX: Duration = Duration::from_secs(5);

#[test]
fn killing_the_leaders_pod_loses_no_acknowledged_write_and_repeats_none() -> Result<()> {
    let cluster = Cluster::new("failover")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    let leader = cluster.leader()?;
    let pods = cluster.pods()?;
    let via = pods.keys().find(|pod| **pod != leader).context("a follower")?;
    let ledger = Ledger::start(&cluster, via);
    wait_for("some acknowledged writes", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > 50).then_some(()))
    })?;
    let (before, term) = (
        ledger.acknowledged(),
        cluster.status()?["term"].as_u64().context("term")?,
    );

    cluster.kill(&[&leader])?;
    let (_, took) = wait_for(
        "another leader by label and in status",
        Duration::from_secs(30),
        || {
            let (now, status) = (cluster.leader()?, cluster.status()?);
            Ok(
                (now != leader && status["leader"] == now.as_str() && status["term"].as_u64() > Some(term))
                    .then_some(()),
            )
        },
    )?;
    let resumed = ledger.acknowledged();
    wait_for("writes go on", Duration::from_secs(20), || {
        Ok((ledger.acknowledged() > resumed + 50).then_some(()))
    })?;
    let account = ledger.finish()?;
    println!(
        "failover: {before} writes before, {} in all, longest gap {:.2} s, label and status after {:.1} s, {} unknown",
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64(),
        took.as_secs_f64(),
        account.unknown.len()
    );
    account.ensure_gap_below(GAP_MAX)?;
    account.check(&cluster)?;
    cluster.wait_ready()?;
    Ok(())
}

#[test]
fn a_planned_transfer_moves_the_leader_and_writes_go_on() -> Result<()> {
    let cluster = Cluster::new("promote")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    let leader = cluster.leader()?;
    let pods = cluster.pods()?;
    let to = pods.keys().find(|pod| **pod != leader).context("a follower")?;
    let ledger = Ledger::start(&cluster, to);
    wait_for("some acknowledged writes", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > 20).then_some(()))
    })?;
    kubectl(&[
        "geode",
        "promote",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--to",
        to,
    ])?;
    wait_for("the chosen leader", Duration::from_secs(15), || {
        Ok((cluster.leader()? == *to).then_some(()))
    })?;
    let account = ledger.finish()?;
    println!("promote: longest gap {:.2} s", account.longest_gap.as_secs_f64());
    ensure!(
        account.refused.is_empty() && account.unknown.is_empty(),
        "a planned transfer failed writes: {account:?}"
    );
    account.check(&cluster)
}
