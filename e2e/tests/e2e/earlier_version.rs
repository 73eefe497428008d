//! An upgrade from a program that really differs: members begin with the programs of an earlier commit of Geode (`xtask/src/images/before.rs`), which
//! know feature level 1 only. Operator, plugin and client are today's from the beginning.

use crate::archive;
use crate::rolling::{GAP_MAX, ensure_order, images, replaced, spec, uids, upgrade};
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Ledger, environment, kubectl, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const TODAY: &str = env!("CARGO_PKG_VERSION");
/// What the earlier program stores before the upgrade.
const INSERT: &str =
    "FOR i IN range(1, 2000) INSERT (:Early {n: i, name: 'Ada'})-[:NEXT {since: i}]->(:Early {n: -i})";
const STORED: &str = "MATCH (a:Early)-[e:NEXT]->(b:Early) RETURN count(*) AS c, sum(a.n) AS x, sum(b.n) AS y, sum(e.since) AS z, count(a.name) AS named";
/// A statement of feature level 2.
const CREATE: &str = "CREATE INDEX early FOR (n:Early) ON (n.name)";
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of [`CREATE`].
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Created,
    /// By the earlier program, which has no such statement.
    Unknown,
    /// By today's program, beside a member of the earlier one.
    Refused,
    /// Nobody leads for a moment.
    NotNow(String),
}

fn create(cluster: &Cluster) -> Said {
    let Err(error) = cluster.query(CREATE, &[]) else {
        return Said::Created;
    };
    let said = format!("{error:#}");
    match () {
        () if said.contains("is not supported by this version") => Said::Unknown,
        () if said.contains("understands level 1") => Said::Refused,
        () => Said::NotNow(said),
    }
}

/// Three voters and two observers with the earlier programs, and what is stored in them.
fn begin(cluster: &Cluster) -> Result<Value> {
    let version = environment("GEODE_BEFORE_VERSION")
        .context("the images of an earlier commit are made with `cargo xtask e2e --all`")?;
    cluster.apply(&spec(&json!({"version": version, "observers": {"replicas": 2}})))?;
    cluster.wait_ready()?;
    let (object, observers) = (
        format!("geodecluster/{}", cluster.name),
        "--for=condition=ObserversReady",
    );
    kubectl(&[
        "wait",
        &object,
        "-n",
        &cluster.namespace,
        observers,
        "--timeout=180s",
    ])?;
    cluster.query(INSERT, &[])?;
    // Images differ by their tag already; only a program that is another one does not know the statement.
    let said = create(cluster);
    ensure!(
        said == Said::Unknown,
        "the programs of {version} are not the earlier ones: {said:?}"
    );
    stored(cluster)
}

fn stored(cluster: &Cluster) -> Result<Value> {
    Ok(cluster.query(STORED, &[])?["rows"].clone())
}

/// A pod with today's client.
fn client(cluster: &Cluster) -> Result<String> {
    let images = images(cluster)?;
    let image = images.first().and_then(|image| image.rsplit_once(':'));
    let (repository, _) = image.context("an image with a tag")?;
    cluster.client_of(&format!("{repository}:{TODAY}"))
}

/// All members have applied the same log, and it has led them to the same graph.
fn ensure_equal(cluster: &Cluster) -> Result<Value> {
    let (states, _) = wait_for("every member has applied everything", PATIENCE, || {
        // With a position the member that is asked answers, whoever leads.
        let state = |pod: &String| archive::state_with(cluster, &["--read-lsn", "0/0", "--via", pod]);
        let states = cluster.pods()?.keys().map(state).collect::<Result<Vec<_>>>()?;
        Ok(states
            .windows(2)
            .all(|two| two[0].0 == two[1].0)
            .then_some(states))
    })?;
    let (_, hash) = states.first().context("a member")?;
    ensure!(
        states.len() == 5 && states.iter().all(|(_, other)| other == hash),
        "the graphs differ: {states:?}"
    );
    Ok(hash.clone())
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_cluster_of_an_earlier_commit_is_upgraded_under_load_and_keeps_every_acknowledged_write() -> Result<()> {
    let cluster = Cluster::alone("earlier")?;
    let early = begin(&cluster)?;
    let ledger = Ledger::start(&cluster, &client(&cluster)?);
    wait_for("some acknowledged writes", PATIENCE, || {
        Ok((ledger.acknowledged() > 50).then_some(()))
    })?;
    let (leader, before) = (cluster.leader()?, uids(&cluster)?);
    let plan = upgrade(&cluster, TODAY, "--plan")?;
    upgrade(&cluster, TODAY, "")?;
    let (mut created, mut unknown, mut refused) = (false, 0, 0);
    let order = replaced(&cluster, &before, |order| {
        if created || order.len() == before.len() {
            return Ok(());
        }
        let said = create(&cluster);
        let pods = uids(&cluster)?;
        let is_mixed = pods.iter().any(|(pod, uid)| before.get(pod) == Some(uid));
        match said {
            Said::Created => {
                ensure!(
                    !is_mixed,
                    "an index was created beside a member that does not know it"
                );
                created = true;
            }
            Said::Unknown => unknown += 1,
            Said::Refused => refused += 1,
            Said::NotNow(said) => println!("not now: {said}"),
        }
        Ok(())
    })?;
    cluster.wait_ready()?;
    let (_, took) = wait_for("the new feature level", PATIENCE, || {
        created = created || create(&cluster) == Said::Created;
        Ok(created.then_some(()))
    })?;
    let account = ledger.finish()?;
    let hash = ensure_equal(&cluster)?;
    println!(
        "from an earlier commit: {order:?}, {unknown} times unknown, {refused} times refused, created {:.1} s after the last member, \
         {} writes, longest gap {:.2} s, state hash {hash}",
        took.as_secs_f64(),
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64()
    );
    ensure_order(&cluster, &order, &leader, &plan)?;
    account.ensure_gap_below(GAP_MAX)?;
    ensure!(account.refused.is_empty(), "refused: {:?}", account.refused);
    account.check(&cluster)?;
    let now = stored(&cluster)?;
    ensure!(now == early, "what was stored before: {early}, now: {now}");
    let (images, tag) = (images(&cluster)?, format!(":{TODAY}"));
    ensure!(
        images.len() == 5 && images.iter().all(|image| image.ends_with(&tag)),
        "{images:?} instead of {TODAY}"
    );
    Ok(())
}
