//! Misfortunes below and around the cluster: a node or a service is cut off, the operator dies, every pod goes at once.

use crate::archive;
use anyhow::{Context, Result};
use geode_e2e::{Cluster, Fault, Ledger, S3, environment, kubectl, wait_for};
use serde_json::json;
use std::time::Duration;

/// About a second is promised; the rest is room for a shared machine on which five nodes live.
const GAP_MAX: Duration = Duration::from_secs(8);

fn three_members(name: &str) -> Result<Cluster> {
    let cluster = Cluster::alone(name)?;
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    Ok(cluster)
}

/// The leader, its node, and another member.
fn leader(cluster: &Cluster) -> Result<(String, String, String)> {
    let (leader, pods) = (cluster.leader()?, cluster.pods()?);
    let node = pods[&leader]["spec"]["nodeName"].as_str().context("a node")?;
    let other = pods.keys().find(|pod| **pod != leader).context("a follower")?;
    Ok((leader.clone(), node.to_owned(), other.clone()))
}

fn more(ledger: &Ledger, count: usize, what: &str) -> Result<Duration> {
    let goal = ledger.acknowledged() + count;
    let (_, took) = wait_for(what, Duration::from_secs(40), || {
        Ok((ledger.acknowledged() >= goal).then_some(()))
    })?;
    Ok(took)
}

#[test]
fn cutting_off_the_leaders_node_loses_no_acknowledged_write_and_costs_seconds() -> Result<()> {
    let cluster = three_members("node")?;
    let (leader, node, via) = leader(&cluster)?;
    let ledger = Ledger::start(&cluster, &via);
    more(&ledger, 50, "some acknowledged writes")?;
    let cut = Fault::partition(&node)?;
    more(&ledger, 50, "writes go on without the leader's node")?;
    wait_for("another leader by label", Duration::from_secs(30), || {
        Ok((cluster.leader()? != leader).then_some(()))
    })?;
    cut.end()?;
    more(&ledger, 50, "writes go on when the node is back")?;
    let account = ledger.finish()?;
    println!(
        "node cut off: longest gap {:.2} s",
        account.longest_gap.as_secs_f64()
    );
    account.ensure_gap_below(GAP_MAX)?;
    cluster.wait_ready()?;
    account.check(&cluster)
}

#[test]
fn without_an_api_server_another_leader_is_elected_and_writes_go_on() -> Result<()> {
    let cluster = three_members("noapi")?;
    let (leader, node, via) = leader(&cluster)?;
    let ledger = Ledger::start(&cluster, &via);
    more(&ledger, 50, "some acknowledged writes")?;
    let no_api = Fault::no_api_server()?;
    let cut = Fault::partition(&node)?;
    more(
        &ledger,
        50,
        "writes go on with neither the API server nor the leader",
    )?;
    cut.end()?;
    no_api.end()?;
    let account = ledger.finish()?;
    println!(
        "no API server: longest gap {:.2} s",
        account.longest_gap.as_secs_f64()
    );
    account.ensure_gap_below(GAP_MAX)?;
    cluster.wait_ready()?;
    wait_for("status and label follow", Duration::from_secs(30), || {
        let (labelled, status) = (cluster.leader()?, cluster.status()?);
        Ok((labelled != leader && status["leader"] == labelled.as_str()).then_some(()))
    })?;
    account.check(&cluster)
}

#[test]
fn while_s3_is_away_writes_go_on_and_the_archive_catches_up_without_a_gap() -> Result<()> {
    let cluster = Cluster::alone("nos3")?;
    let s3 = S3::from_environment()?;
    s3.secret(&cluster.namespace, "s3")?;
    let archive = archive::place(&s3, &cluster, "source");
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}, "archive": archive}))?;
    cluster.wait_ready()?;
    let (_, _, via) = leader(&cluster)?;
    let ledger = Ledger::start(&cluster, &via);
    more(&ledger, 50, "some acknowledged writes")?;
    let away = Fault::no_s3()?;
    wait_for("condition Archiving says why", Duration::from_secs(60), || {
        let object = cluster.object()?;
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let said = conditions.iter().any(|condition| {
            condition["type"] == "Archiving"
                && condition["status"] == "False"
                && condition["reason"] == "ArchiveUnreachable"
        });
        Ok(said.then_some(()))
    })?;
    more(&ledger, 50, "writes go on without S3")?;
    away.end()?;
    let account = ledger.finish()?;
    let last = cluster.query("INSERT (:Last)", &[])?["lsn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let took = archive::wait_archived(&cluster, &last, Duration::from_secs(90))?;
    println!(
        "no S3: {} writes, the archive caught up after {:.1} s",
        account.acknowledged.len(),
        took.as_secs_f64()
    );
    account.check(&cluster)?;
    let source = format!("s3://{}/{}/source", s3.bucket, cluster.namespace);
    archive::check_restore(&s3, &cluster, &source).map(drop)
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn an_operator_that_dies_while_it_creates_scales_and_replaces_finishes_when_it_is_back() -> Result<()> {
    let cluster = Cluster::alone("operator")?;
    let spec = |members: u32| json!({"members": members, "timing": "fast", "storage": {"size": "1Gi"}});
    cluster.apply(&spec(1))?;
    kill_operator()?;
    println!(
        "operator killed: created after {:.1} s",
        cluster.wait_ready()?.as_secs_f64()
    );
    let ledger = Ledger::start(&cluster, "operator-0");
    more(&ledger, 20, "some acknowledged writes")?;
    cluster.apply(&spec(3))?;
    wait_for("the first new pod", Duration::from_secs(60), || {
        Ok((cluster.pods()?.len() > 1).then_some(()))
    })?;
    kill_operator()?;
    println!(
        "operator killed: scaled after {:.1} s",
        cluster.wait_ready()?.as_secs_f64()
    );

    let (_, _, victim) = leader(&cluster)?;
    let claims = [format!("data-{victim}"), format!("wal-{victim}")];
    let namespace = cluster.namespace.as_str();
    kubectl(&[
        "delete",
        "pvc",
        &claims[0],
        &claims[1],
        "-n",
        namespace,
        "--wait=false",
    ])?;
    kubectl(&[
        "delete",
        "pod",
        &victim,
        "-n",
        namespace,
        "--force",
        "--grace-period=0",
    ])?;
    kill_operator()?;
    wait_for(
        "a member in the place of the lost one",
        Duration::from_secs(120),
        || {
            let status = cluster.status()?;
            let members = status["members"].as_array().cloned().unwrap_or_default();
            let all_vote = members
                .iter()
                .all(|member| member["role"] == "leader" || member["role"] == "follower");
            Ok((members.len() == 3 && all_vote).then_some(()))
        },
    )?;
    cluster.wait_ready()?;
    let account = ledger.finish()?;
    account.check(&cluster)
}

pub(crate) fn kill_operator() -> Result<()> {
    let namespace = environment("GEODE_OPERATOR_NAMESPACE")?;
    let selector = "app.kubernetes.io/name=geode-operator";
    kubectl(&[
        "delete",
        "pod",
        "-l",
        selector,
        "-n",
        &namespace,
        "--force",
        "--grace-period=0",
    ])
    .map(drop)
}

#[test]
fn a_cluster_whose_pods_are_all_deleted_at_once_comes_back_with_everything() -> Result<()> {
    let cluster = three_members("everything")?;
    let (_, _, via) = leader(&cluster)?;
    let ledger = Ledger::start(&cluster, &via);
    more(&ledger, 50, "some acknowledged writes")?;
    let selector = format!("geodedb.com/cluster={}", cluster.name);
    cluster.kill(&["-l", &selector])?;
    more(&ledger, 20, "writes go on when the pods are back")?;
    let account = ledger.finish()?;
    println!("all pods: longest gap {:.2} s", account.longest_gap.as_secs_f64());
    account.ensure_gap_below(Duration::from_secs(40))?;
    cluster.wait_ready()?;
    account.check(&cluster)
}
