//! Members are restarted one after the other because the manifest changed, under load: nothing is lost, the leader goes last, and nobody
//! waits for longer than a transfer of leadership takes. What cannot start stops the change, and taking it back mends it.

use anyhow::{Context, Result, bail, ensure};
use geode_e2e::{Account, Cluster, Ledger, environment, kubectl, kubectl_status, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A transfer of leadership takes less than half a second on its own, and so does an election while the other voters are there.
pub(crate) const GAP_MAX: Duration = Duration::from_secs(1);
/// Where members end without a word there may be an election, on a shared machine.
const GAP_WITH_ELECTION_MAX: Duration = Duration::from_secs(5);
/// The leader is killed while a follower is away: then two of three are, until a pod has started.
const GAP_WITHOUT_MAJORITY_MAX: Duration = Duration::from_secs(20);
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn spec(change: &Value) -> Value {
    let mut spec = json!({"timing": "fast", "storage": {"size": "1Gi"}});
    for (key, value) in change.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

fn next_version() -> Result<Value> {
    Ok(json!({"version": environment("GEODE_NEXT_VERSION")?}))
}

/// Uids by pod.
pub(crate) fn uids(cluster: &Cluster) -> Result<BTreeMap<String, String>> {
    let pods = cluster.fingerprint()?.into_iter();
    Ok(pods.map(|(pod, (uid, _))| (pod, uid)).collect())
}

/// Waits until every pod is another one than before; the pods in the order in which they were replaced. `look` is called meanwhile.
pub(crate) fn replaced(
    cluster: &Cluster,
    before: &BTreeMap<String, String>,
    mut look: impl FnMut(&[String]) -> Result<()>,
) -> Result<Vec<String>> {
    let (start, mut order) = (Instant::now(), Vec::new());
    while order.len() < before.len() {
        ensure!(
            start.elapsed() < PATIENCE,
            "only {order:?} were replaced: {}",
            cluster.object()?["status"]["conditions"]
        );
        for (pod, uid) in uids(cluster)? {
            if before.get(&pod).is_some_and(|before| *before != uid) && !order.contains(&pod) {
                order.push(pod);
            }
        }
        look(&order)?;
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(order)
}

pub(crate) fn begin(cluster: &Cluster) -> Result<(String, Ledger, BTreeMap<String, String>)> {
    let leader = cluster.leader()?;
    let ledger = Ledger::start(cluster, &cluster.client()?);
    wait_for("some acknowledged writes", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > 50).then_some(()))
    })?;
    Ok((leader, ledger, uids(cluster)?))
}

/// `kubectl geode upgrade`, with a flag.
pub(crate) fn upgrade(cluster: &Cluster, to: &str, flag: &str) -> Result<String> {
    let mut arguments = vec![
        "geode",
        "upgrade",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--to",
        to,
    ];
    arguments.extend(Some(flag).filter(|flag| !flag.is_empty()));
    kubectl(&arguments)
}

pub(crate) fn images(cluster: &Cluster) -> Result<Vec<String>> {
    let image = |pod: Value| {
        let image = pod["spec"]["containers"][0]["image"].as_str();
        image.unwrap_or_default().to_owned()
    };
    Ok(cluster.pods()?.into_values().map(image).collect())
}

/// There are so many pods, and all run this version.
pub(crate) fn ensure_version(cluster: &Cluster, version: &str, pods: usize) -> Result<()> {
    let images = images(cluster)?;
    ensure!(
        images.len() == pods && images.iter().all(|image| image.ends_with(version)),
        "{images:?} instead of {pods} of {version}"
    );
    Ok(())
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_change_and_an_upgrade_restart_followers_first_and_the_leader_last_and_writes_go_on() -> Result<()> {
    let cluster = Cluster::alone("rolling")?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let version = next_version()?;
    let tag = version["version"].as_str().unwrap_or_default().to_owned();
    let (_, ledger, _) = begin(&cluster)?;
    for (what, change) in [
        (
            "resources",
            json!({"resources": {"requests": {"memory": "96Mi"}}}),
        ),
        ("version", version),
    ] {
        let (leader, before, start) = (cluster.leader()?, uids(&cluster)?, Instant::now());
        let planned = if what == "version" {
            let plan = upgrade(&cluster, &tag, "--plan")?;
            upgrade(&cluster, &tag, "")?;
            Some(plan)
        } else {
            cluster.apply(&spec(&change))?;
            None
        };
        let order = replaced(&cluster, &before, |_| Ok(()))?;
        cluster.wait_ready()?;
        if let Some(plan) = planned {
            let told: Vec<usize> = order.iter().filter_map(|pod| plan.find(pod.as_str())).collect();
            ensure!(
                told.len() == 3 && told.is_sorted(),
                "{order:?} instead of\n{plan}"
            );
            upgrade(&cluster, &tag, "--wait")
                .err()
                .context("nothing is left to do")?;
        }
        let took = start.elapsed();
        println!(
            "rolling change of {what}: {order:?} in {:.1} s",
            took.as_secs_f64()
        );
        ensure!(
            order.last() == Some(&leader),
            "{leader} led, and the order was {order:?}"
        );
    }
    let account = ledger.finish()?;
    println!(
        "rolling changes: {} writes, longest gap {:.2} s, {} refused, {} unknown",
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64(),
        account.refused.len(),
        account.unknown.len()
    );
    account.ensure_gap_below(GAP_MAX)?;
    account.ensure_none_refused()?;
    account.check(&cluster)?;
    ensure_version(&cluster, &tag, 3)
}

/// Pods that the operator has restarted, in order, as its events tell.
fn told(cluster: &Cluster) -> Result<Vec<String>> {
    let list = kubectl(&["get", "events", "-n", &cluster.namespace, "-o", "json"])?;
    let list: Value = serde_json::from_str(&list)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = list["items"].as_array().into_iter().flatten();
    let mut restarts: Vec<(String, String)> = events
        .filter(|event| event["action"] == "RestartPod")
        .map(|event| (text(&event["eventTime"]), text(&event["related"]["name"])))
        .collect();
    restarts.sort();
    Ok(restarts.into_iter().map(|(_, pod)| pod).collect())
}

/// Three voters and two observers, all of them well, and nobody else on these nodes.
fn with_observers(name: &str) -> Result<Cluster> {
    let cluster = Cluster::alone(name)?;
    cluster.apply(&spec(&json!({"observers": {"replicas": 2}})))?;
    cluster.wait_ready()?;
    let object = format!("geodecluster/{}", cluster.name);
    kubectl(&[
        "wait",
        &object,
        "-n",
        &cluster.namespace,
        "--for=condition=ObserversReady",
        "--timeout=180s",
    ])?;
    Ok(cluster)
}

#[test]
fn an_upgrade_takes_observers_before_followers_and_the_leader_last() -> Result<()> {
    let cluster = with_observers("observed")?;
    let (leader, ledger, before) = begin(&cluster)?;
    let tag = environment("GEODE_NEXT_VERSION")?;
    let plan = upgrade(&cluster, &tag, "--plan")?;
    upgrade(&cluster, &tag, "")?;
    let order = replaced(&cluster, &before, |_| Ok(()))?;
    cluster.wait_ready()?;
    let account = ledger.finish()?;
    println!(
        "upgrade with observers: {order:?}, longest gap {:.2} s",
        account.longest_gap.as_secs_f64()
    );
    ensure_order(&cluster, &order, &leader, &plan)?;
    account.ensure_gap_below(GAP_MAX)?;
    account.ensure_none_refused()?;
    account.check(&cluster)?;
    ensure_version(&cluster, &tag, 5)
}

/// Observers went first, the leader last, as the plan and the operator's events say.
pub(crate) fn ensure_order(cluster: &Cluster, order: &[String], leader: &str, plan: &str) -> Result<()> {
    let told = told(cluster)?;
    ensure!(told == order, "{told:?} was told, {order:?} was seen");
    let planned: Vec<usize> = order.iter().filter_map(|pod| plan.find(pod.as_str())).collect();
    ensure!(
        planned.len() == 5 && planned.is_sorted(),
        "{order:?} instead of\n{plan}"
    );
    let first: Vec<&str> = order.iter().take(2).map(String::as_str).collect();
    let observers = [1, 0].map(|number| format!("{}-observer-{number}", cluster.name));
    ensure!(
        first == observers && order.last().is_some_and(|last| last == leader),
        "{leader} led, and the order was {order:?}"
    );
    Ok(())
}

/// An upgrade during which the leader's pod was killed.
struct Beheaded {
    /// Whose pod was killed.
    killed: String,
    /// Who led when all observers were new and it was the voters' turn.
    led: Option<String>,
    /// What the operator restarted. Not the killed pod: whoever is made anew while an upgrade goes on is made from the new template.
    restarts: Vec<String>,
    account: Account,
}

/// Upgrades, and kills the leader's pod as soon as the first pod is another one, before that one is up again.
fn upgrade_and_kill_the_leader(cluster: &Cluster, tag: &str) -> Result<Beheaded> {
    let (killed, ledger, before) = begin(cluster)?;
    upgrade(cluster, tag, "")?;
    let (mut is_dead, mut led) = (false, None);
    let order = replaced(cluster, &before, |order| {
        if !is_dead && !order.is_empty() {
            cluster.kill(&[&killed])?;
            is_dead = true;
        }
        let votes = |pod: &String| *pod != killed && !pod.contains("-observer-");
        // Until another one is elected and labelled, nobody is.
        if is_dead
            && !order.iter().any(votes)
            && let Ok(leader) = cluster.leader()
        {
            led = Some(leader);
        }
        Ok(())
    })?;
    cluster.wait_ready()?;
    let account = ledger.finish()?;
    println!(
        "upgrade with a dead leader: {killed} was killed, {led:?} led when the voters' turn came, {order:?}, longest gap {:.2} s, {} refused",
        account.longest_gap.as_secs_f64(),
        account.refused.len()
    );
    let restarts = told(cluster)?;
    let seen: Vec<String> = order.into_iter().filter(|pod| *pod != killed).collect();
    ensure!(restarts == seen, "{restarts:?} was told, {seen:?} was seen");
    Ok(Beheaded {
        killed,
        led,
        restarts,
        account,
    })
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn an_upgrade_goes_on_when_the_leader_dies_in_the_middle_of_it() -> Result<()> {
    let cluster = with_observers("midway")?;
    let tag = environment("GEODE_NEXT_VERSION")?;
    let upgrade = upgrade_and_kill_the_leader(&cluster, &tag)?;
    let [first, second, _, last] = upgrade.restarts.as_slice() else {
        bail!("{:?} were restarted", upgrade.restarts)
    };
    ensure!(
        first == "midway-observer-1" && second == "midway-observer-0",
        "observers were not first: {:?}",
        upgrade.restarts
    );
    ensure!(
        upgrade.led.as_ref() == Some(last),
        "{:?} led after {}, and was not the last one: {:?}",
        upgrade.led,
        upgrade.killed,
        upgrade.restarts
    );
    // The voters were all there when their leader died.
    upgrade.account.ensure_gap_below(GAP_MAX)?;
    upgrade.account.ensure_none_refused()?;
    upgrade.account.check(&cluster)?;
    ensure_version(&cluster, &tag, 5)
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn an_upgrade_goes_on_when_the_leader_dies_while_a_follower_is_away() -> Result<()> {
    let cluster = Cluster::new("beheaded")?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let tag = environment("GEODE_NEXT_VERSION")?;
    let upgrade = upgrade_and_kill_the_leader(&cluster, &tag)?;
    ensure!(
        upgrade.restarts.len() == 2,
        "{:?} were restarted",
        upgrade.restarts
    );
    upgrade.account.ensure_gap_below(GAP_WITHOUT_MAJORITY_MAX)?;
    upgrade.account.ensure_none_refused()?;
    upgrade.account.check(&cluster)?;
    ensure_version(&cluster, &tag, 3)
}

#[test]
fn an_image_that_does_not_start_stops_the_upgrade_with_its_reason_and_taking_it_back_mends_it() -> Result<()>
{
    let cluster = Cluster::new("badimage")?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let (leader, ledger, before) = begin(&cluster)?;
    cluster.apply(&spec(&json!({"version": "0.1.99"})))?;
    let said = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned();
        let told = conditions.unwrap_or_default().into_iter();
        told.filter(|condition| condition["status"] != "Unknown")
            .map(|condition| condition["message"].to_string())
            .any(|message| message.contains("ImagePullBackOff") || message.contains("ErrImage"))
    };
    let (_, took) = wait_for("a condition that names the image", PATIENCE, || {
        Ok(said(&cluster.object()?).then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(5));
    let changed: Vec<String> = uids(&cluster)?
        .into_iter()
        .filter(|(pod, uid)| before.get(pod) != Some(uid))
        .map(|(pod, _)| pod)
        .collect();
    println!(
        "bad image: told after {:.1} s, {changed:?} waits",
        took.as_secs_f64()
    );
    ensure!(changed.len() == 1 && changed[0] != leader, "changed: {changed:?}");
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let account = ledger.finish()?;
    account.ensure_gap_below(GAP_WITH_ELECTION_MAX)?;
    println!(
        "bad image: longest gap {:.2} s",
        account.longest_gap.as_secs_f64()
    );
    account.ensure_none_refused()?;
    account.check(&cluster)
}

#[test]
fn draining_the_leaders_node_costs_a_transfer_of_leadership_and_no_second_member() -> Result<()> {
    let cluster = Cluster::alone("drain")?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let (leader, ledger, _) = begin(&cluster)?;
    let pods = cluster.pods()?;
    let node_of = |pod: &str| {
        pods[pod]["spec"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let node = node_of(&leader);
    let selector = format!("--pod-selector=geodedb.com/cluster={}", cluster.name);
    let drain = |node: &str, timeout: &str| {
        kubectl_status(&[
            "drain",
            node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            &selector,
            timeout,
        ])
    };
    let uncordon = |node: &str| kubectl(&["uncordon", node]);
    let first = drain(&node, "--timeout=60s");
    // While that member is away the budget keeps the others.
    let other = pods.keys().find(|pod| **pod != leader).context("a follower")?;
    let second = drain(&node_of(other), "--timeout=5s");
    uncordon(&node)?;
    uncordon(&node_of(other))?;
    let (first, second) = (first?, second?);
    ensure!(
        first.status.success(),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    ensure!(!second.status.success(), "two of three members were evicted");
    cluster.wait_ready()?;
    wait_for("every member is back", PATIENCE, || {
        let pods = cluster.pods()?;
        let ready = pods.values().filter(|pod| {
            let conditions = pod["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        });
        Ok((ready.count() == 3).then_some(()))
    })?;
    let account = ledger.finish()?;
    println!(
        "drain: longest gap {:.2} s, {} refused",
        account.longest_gap.as_secs_f64(),
        account.refused.len()
    );
    account.ensure_gap_below(GAP_MAX)?;
    account.ensure_none_refused()?;
    account.check(&cluster)
}
