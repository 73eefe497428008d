//! Members come as learners, vote when they have caught up unless they are observers, and leave before their pod goes.

use anyhow::{Result, ensure};
use geode_e2e::{Cluster, Ledger, kubectl, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_cluster_scales_one_three_five_three_under_writes() -> Result<()> {
    let cluster = Cluster::new("scale")?;
    let spec = |members: u32| json!({"members": members, "timing": "fast", "storage": {"size": "1Gi"}});
    cluster.apply(&spec(1))?;
    cluster.wait_ready()?;
    let ledger = Ledger::start(&cluster, "scale-0");
    for members in [3, 5, 3] {
        cluster.apply(&spec(members))?;
        let took = cluster.wait_ready()?;
        println!("scale: {members} members after {:.1} s", took.as_secs_f64());
        wait_for("exactly these pods and members", Duration::from_secs(60), || {
            let (pods, status) = (cluster.pods()?.len(), cluster.status()?);
            let voting = status["members"].as_array().map_or(0, Vec::len);
            Ok((pods == members as usize && voting == members as usize).then_some(()))
        })?;
    }
    let account = ledger.finish()?;
    println!(
        "scale: {} writes, longest gap {:.2} s",
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64()
    );
    ensure!(
        account.acknowledged.len() > 50,
        "hardly any writes: {}",
        account.acknowledged.len()
    );
    account.check(&cluster)
}

/// Names of volumes.
fn volumes(cluster: &Cluster) -> Result<Vec<String>> {
    let list = kubectl(&["get", "pvc", "-n", &cluster.namespace, "-o", "name"])?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn scale(cluster: &Cluster, replicas: u32) -> Result<()> {
    let (object, count) = (
        format!("geodecluster/{}", cluster.name),
        format!("--replicas={replicas}"),
    );
    kubectl(&["scale", &object, "-n", &cluster.namespace, &count])?;
    kubectl(&[
        "wait",
        &object,
        "-n",
        &cluster.namespace,
        "--for=condition=ObserversReady",
        "--timeout=180s",
    ])
    .map(drop)
}

#[test]
fn observers_come_and_go_by_kubectl_scale_and_answer_reads_at_an_lsn() -> Result<()> {
    let cluster = Cluster::new("reads")?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    let before = cluster.fingerprint()?;
    let ledger = Ledger::start(&cluster, &cluster.leader()?);
    for replicas in [2, 1] {
        scale(&cluster, replicas)?;
        wait_for("exactly these pods and volumes", Duration::from_secs(60), || {
            let (pods, volumes) = (cluster.pods()?.len(), volumes(&cluster)?.len());
            let wanted = 3 + replicas as usize;
            Ok((pods == wanted && volumes == 2 * wanted).then_some(()))
        })?;
        let status = &cluster.object()?["status"];
        ensure!(
            status["ready"] == "3/3" && status["observers"]["ready"] == format!("{replicas}/{replicas}"),
            "{status}"
        );
        let written = cluster.query("INSERT (:Seen {by: 'the leader'})", &[])?;
        let lsn = written["lsn"].as_str().unwrap_or_default();
        let observer = "reads-observer-0";
        let seen = "MATCH (s:Seen) RETURN count(*) AS seen";
        let read = cluster.query(seen, &["--read-lsn", lsn, "--via", observer])?;
        ensure!(read["rows"][0][0] == 3 - replicas, "{read}");
        // A write goes on to the leader whose address the observer gives.
        let through = cluster.query("INSERT (:Through {it: true})", &["--via", observer])?;
        ensure!(through["lsn"].is_string(), "{through}");
        let role = kubectl(&[
            "get",
            "pod",
            observer,
            "-n",
            &cluster.namespace,
            "-o",
            "jsonpath={.metadata.labels.geodedb\\.com/role}",
        ])?;
        ensure!(role == "observer", "{role}");
    }
    let account = ledger.finish()?;
    println!(
        "observers: {} writes, longest gap {:.2} s",
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64()
    );
    account.check(&cluster)?;
    let uid = |pods: &std::collections::BTreeMap<String, (String, String)>| -> Vec<String> {
        let voters = pods.iter().filter(|(pod, _)| !pod.contains("observer"));
        voters.map(|(_, (uid, _))| uid.clone()).collect()
    };
    ensure!(
        uid(&before) == uid(&cluster.fingerprint()?),
        "a voter's pod is another one"
    );
    let members: Value = cluster.status()?["members"].clone();
    let roles: Vec<&str> = members
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|member| member["role"].as_str())
        .collect();
    ensure!(
        roles.iter().filter(|role| **role == "observer").count() == 1,
        "{members}"
    );
    Ok(())
}
