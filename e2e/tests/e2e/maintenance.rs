//! What a person takes over for a while: a member is fenced and comes back, and a cluster sleeps and wakes, both without a lost write.

use anyhow::{Result, ensure};
use geode_e2e::{Cluster, Ledger, kubectl, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

fn plugin(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let mut all = vec!["geode"];
    all.extend(arguments);
    all.extend(["-n", &cluster.namespace]);
    kubectl(&all)
}

/// Uids of the volume claims, by name.
fn volumes(cluster: &Cluster) -> Result<BTreeMap<String, String>> {
    let columns = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    let list = kubectl(&["get", "pvc", "-n", &cluster.namespace, "-o", columns])?;
    let lines = list.lines().filter_map(|line| line.split_once(' '));
    Ok(lines
        .map(|(name, uid)| (name.to_owned(), uid.to_owned()))
        .collect())
}

fn state(cluster: &Cluster, pod: &str) -> Result<Value> {
    let status = cluster.object()?["status"].clone();
    let members = status["members"].as_array().cloned().unwrap_or_default();
    let found = members.into_iter().find(|member| member["pod"] == pod);
    Ok(found.map_or(Value::Null, |member| member["state"].clone()))
}

fn identities(cluster: &Cluster) -> Result<Vec<Value>> {
    let members = cluster.status()?["members"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(members
        .into_iter()
        .map(|member| member["nodeId"].clone())
        .collect())
}

#[test]
fn a_fenced_leader_comes_back_and_a_cluster_wakes_with_every_acknowledged_write() -> Result<()> {
    let cluster = Cluster::new("maintain")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    let (fenced, before) = (cluster.leader()?, volumes(&cluster)?);
    let (pods, ids) = (cluster.fingerprint()?, identities(&cluster)?);
    let ledger = Ledger::start(&cluster, &cluster.client()?);
    wait_for("some acknowledged writes", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > 50).then_some(()))
    })?;

    plugin(&cluster, &["fence", "on", &cluster.name, &fenced])?;
    wait_for("the member to be held", PATIENCE, || {
        Ok((state(&cluster, &fenced)? == "Fenced").then_some(()))
    })?;
    let count = ledger.acknowledged();
    wait_for("writes to go on without it", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > count + 50).then_some(()))
    })?;
    let why = plugin(&cluster, &["why", &cluster.name])?;
    ensure!(why.contains(&format!("{fenced} is fenced")), "{why}");
    plugin(&cluster, &["fence", "off", &cluster.name, &fenced])?;
    cluster.wait_ready()?;
    let uids = |pods: &BTreeMap<String, (String, String)>| -> Vec<String> {
        pods.values().map(|(uid, _)| uid.clone()).collect()
    };
    ensure!(
        uids(&pods) == uids(&cluster.fingerprint()?),
        "a pod is another one"
    );
    let account = ledger.finish()?;
    println!(
        "fence: {} writes, longest gap {:.2} s",
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64()
    );
    account.check(&cluster)?;

    let start = Instant::now();
    plugin(
        &cluster,
        &[
            "hibernate",
            "on",
            &cluster.name,
            "--allow-quorum-loss",
            &cluster.name,
        ],
    )?;
    wait_for("all pods to be gone", PATIENCE, || {
        Ok(cluster.pods()?.is_empty().then_some(()))
    })?;
    let asleep = start.elapsed();
    ensure!(volumes(&cluster)? == before, "volumes are gone");
    let start = Instant::now();
    plugin(&cluster, &["hibernate", "off", &cluster.name])?;
    cluster.wait_ready()?;
    println!(
        "hibernate: asleep after {:.1} s, awake after {:.1} s",
        asleep.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    ensure!(
        volumes(&cluster)? == before && identities(&cluster)? == ids,
        "it woke with other members"
    );
    account.check(&cluster)
}
