//! Alerts about members: their volumes, statements, connections, leadership.

use super::{PATIENCE, followers, geode, scrape_until};
use anyhow::{Context, Result, ensure};
use geode_e2e::{Ballast, Cluster, Frozen, Scrape, Then, ensure_fire, environment, firing, wait_for};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONNECTIONS_MAX: usize = 12;
/// The alert is about more than this, at the 95th of 100 statements.
const SLOW: Duration = Duration::from_millis(1500);
const TRANSFERS: usize = 8;

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn alerts_about_members_fire_in_their_moments() -> Result<()> {
    let cluster = Cluster::alone("members")?;
    let config = json!({"server": {"max_connections": CONNECTIONS_MAX}});
    cluster.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}, "config": config}))?;
    cluster.wait_ready()?;
    let healthy = Scrape::take(&cluster)?;
    full_volume(&cluster, &healthy)?;
    statements(&cluster)?;
    connections(&cluster, &healthy)?;
    elections(&cluster, &healthy)?;
    slow_store(&cluster, &healthy)?;
    stalled_logs(&cluster, &healthy)?;
    cluster.wait_ready()?;
    Ok(())
}

fn full_volume(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    let follower = followers(cluster)?.remove(0);
    let ballast = Ballast::leaving(0.1, cluster, &format!("data-{follower}"))?;
    let free_max = 0.12 * 1024.0 * 1024.0 * 1024.0;
    let full = scrape_until(cluster, "geode_volume_free_bytes", PATIENCE, |free| {
        free < free_max
    })?;
    ensure_fire(
        "a follower's data volume is nearly full",
        &firing(healthy, &full, Then::Stays)?,
    )?;
    drop(ballast);
    let _ballast = Ballast::leaving(0.002, cluster, &format!("data-{follower}"))?;
    // More than the store has room for without growing.
    let text = format!(
        "FOR i IN range(1, 200) INSERT (:Large {{text: '{}'}})",
        "x".repeat(20_000)
    );
    for _ in 0..5 {
        cluster.query(&text, &[])?;
    }
    let late = scrape_until(cluster, "geode_replication_lag_seconds", PATIENCE, |lag| {
        lag > 11.0
    })?;
    ensure_fire(
        "a follower's data volume is full",
        &firing(healthy, &late, Then::Stays)?,
    )
}

fn statements(cluster: &Cluster) -> Result<()> {
    let before = Scrape::take(cluster)?;
    let mut rows = 2000;
    for _ in 0..3 {
        let mut took = Duration::ZERO;
        while took < SLOW {
            let begin = Instant::now();
            let text = format!("FOR a IN range(1, {rows}) FOR b IN range(1, {rows}) RETURN count(*)");
            cluster.query(&text, &[])?;
            took = begin.elapsed();
            if took < SLOW {
                rows += rows / 2;
            }
        }
    }
    for _ in 0..3 {
        cluster
            .query("RETURN nobody", &[])
            .err()
            .context("an unknown name")?;
    }
    let after = Scrape::take(cluster)?;
    ensure_fire(
        "statements take seconds, and others are wrong",
        &firing(&before, &after, Then::GoesOn)?,
    )
}

fn connections(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    let leader = cluster.leader()?;
    let mut shells = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        shells.push(Shell::open(cluster, &leader)?);
    }
    let enough = CONNECTIONS_MAX as f64 - 0.5;
    let busy = scrape_until(cluster, "geode_connection_pool_active", PATIENCE, |open| {
        open > enough
    })?;
    ensure_fire(
        "a member has as many connections as it may",
        &firing(healthy, &busy, Then::Stays)?,
    )
}

/// A client that stays connected, until it is dropped.
struct Shell(Child);

impl Shell {
    fn open(cluster: &Cluster, pod: &str) -> Result<Self> {
        let mut shell = Self(
            Command::new(environment("KUBECTL")?)
                .args(["exec", "-i", "-n", &cluster.namespace, pod, "-c", "geode", "--"])
                .args(["/geode", "shell", "--format", "jsonl"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?,
        );
        // The leader answers itself, so this connection is to it.
        let query = json!({"op": "query", "text": "RETURN 1"});
        writeln!(shell.0.stdin.as_mut().context("piped")?, "{query}")?;
        let answers = shell.0.stdout.as_mut().context("piped")?;
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer)?;
        ensure!(answer.contains("rows"), "{answer}");
        Ok(shell)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn elections(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    let pod = cluster.leader()?;
    for _ in 0..TRANSFERS {
        wait_for("leadership moves", PATIENCE, || {
            geode(cluster, &pod, &["admin", "failover"]).map(Some)
        })?;
    }
    let after = Scrape::take(cluster)?;
    ensure_fire(
        "leadership moves again and again",
        &firing(healthy, &after, Then::Stays)?,
    )
}

fn slow_store(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    cluster.wait_ready()?;
    let follower = followers(cluster)?.remove(0);
    let frozen = Frozen::new(cluster, &format!("data-{follower}"))?;
    cluster.query("INSERT (:N)", &[])?;
    let stalled = scrape_until(cluster, "geode_data_stall_seconds", PATIENCE, |stall| stall > 6.0);
    drop(frozen);
    ensure_fire(
        "a follower's data volume does not finish a write",
        &firing(healthy, &stalled?, Then::Stays)?,
    )?;
    cluster.wait_ready().map(drop)
}

fn stalled_logs(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    let (leader, pods) = (cluster.leader()?, cluster.pods()?.into_keys());
    let frozen: Vec<Frozen> = pods
        .map(|pod| Frozen::new(cluster, &format!("wal-{pod}")))
        .collect::<Result<_>>()?;
    // Nobody answers; the log is asked for all the same.
    let _ = geode(cluster, &leader, &["query", "--timeout", "2s", "INSERT (:N)"]);
    let stalled = wait_for("nobody leads, and logs stall", PATIENCE, || {
        let scrape = Scrape::take(cluster)?;
        let stalls = scrape.values("geode_log_stall_seconds");
        let unknown = scrape.says("geode_operator_cluster_condition", "reason=\"LeaderUnknown\"");
        ensure!(
            unknown && stalls.iter().any(|stall| *stall > 6.0),
            "{stalls:?}, LeaderUnknown: {unknown}"
        );
        Ok(Some(scrape))
    });
    drop(frozen);
    ensure_fire(
        "no log volume finishes a write",
        &firing(healthy, &stalled?.0, Then::Stays)?,
    )
}
