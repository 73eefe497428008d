//! The main job, step by step, as a person would do it with kubectl. Started by `cargo xtask demo`, which brings the cluster up.
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, Ledger, S3, environment, kubectl, kubectl_input, wait_for};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NAMESPACE: &str = "demo";
const NAME: &str = "social";
const PEOPLE: &str = "INSERT (ada:Person {name: 'Ada', born: 1815}), (charles:Person {name: 'Charles', born: 1791}), \
    (mary:Person {name: 'Mary', born: 1780}), (augustus:Person {name: 'Augustus', born: 1806}), \
    (ada)-[:KNOWS {since: 1833}]->(charles), (mary)-[:KNOWS {since: 1825}]->(ada), (augustus)-[:KNOWS {since: 1840}]->(ada), \
    (mary)-[:KNOWS {since: 1820}]->(charles)";
const QUESTION: &str = "MATCH (a:Person)-[k:KNOWS]->(b:Person) RETURN a.name AS who, k.since AS since, b.name AS knows ORDER BY since";

fn main() -> Result<()> {
    let s3 = S3::from_environment()?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let prefix = format!("demo/{}", started.as_secs());
    let cluster = apply(&s3, &prefix)?;
    show_members(&cluster)?;
    first_query(&cluster)?;
    kill_the_leader(&cluster)?;
    archive_and_restore(&cluster, &s3, &prefix)?;
    next_steps();
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn apply(s3: &S3, prefix: &str) -> Result<Cluster> {
    title("One manifest: manifests/samples/demo.yaml");
    // What an earlier demo left is not this checkout's; every run is from nothing, also in the bucket.
    kubectl(&[
        "delete",
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--timeout=120s",
    ])?;
    kubectl(&["create", "namespace", NAMESPACE])?;
    s3.secret(NAMESPACE, "s3")?;
    let sample = include_str!("../../../manifests/samples/demo.yaml")
        .replace("http://s3.example.com:9000", &s3.endpoint)
        .replace("my-bucket", &s3.bucket)
        .replace("demo/social", prefix);
    println!(
        "{}",
        kubectl_input(&["apply", "-n", NAMESPACE, "-f", "-"], &sample)?.trim()
    );
    let cluster = Cluster::existing(NAMESPACE, NAME);
    let took = cluster.wait_ready()?;
    println!("Ready after {:.1} s", took.as_secs_f64());
    Ok(cluster)
}

fn show_members(cluster: &Cluster) -> Result<()> {
    title("Members: kubectl geode status social");
    println!(
        "{}",
        kubectl(&["geode", "status", &cluster.name, "-n", &cluster.namespace])?.trim_end()
    );
    Ok(())
}

fn first_query(cluster: &Cluster) -> Result<()> {
    title("A small social graph: kubectl geode query social '…'");
    cluster.query("MATCH (p:Person) DETACH DELETE p", &[])?;
    cluster.query("MATCH (l:Ledger) DETACH DELETE l", &[])?;
    cluster.query(PEOPLE, &[])?;
    println!("{QUESTION}");
    println!(
        "{}",
        kubectl(&[
            "geode",
            "query",
            &cluster.name,
            "-n",
            &cluster.namespace,
            QUESTION,
            "-o",
            "table"
        ])?
        .trim_end()
    );
    Ok(())
}

fn kill_the_leader(cluster: &Cluster) -> Result<()> {
    let leader = cluster.leader()?;
    title(&format!(
        "The leader dies: kubectl delete pod {leader} --force, with a writer at work"
    ));
    let pods = cluster.pods()?;
    let via = pods.keys().find(|pod| **pod != leader).context("a follower")?;
    let ledger = Ledger::start(cluster, via);
    wait_for("acknowledged writes", Duration::from_secs(60), || {
        Ok((ledger.acknowledged() > 100).then_some(()))
    })?;
    kubectl(&[
        "delete",
        "pod",
        &leader,
        "-n",
        NAMESPACE,
        "--force",
        "--grace-period=0",
        "--wait=false",
    ])?;
    wait_for("another leader", Duration::from_secs(30), || {
        Ok((cluster.leader()? != leader).then_some(()))
    })?;
    let resumed = ledger.acknowledged();
    wait_for("writes go on", Duration::from_secs(30), || {
        Ok((ledger.acknowledged() > resumed + 100).then_some(()))
    })?;
    let account = ledger.finish()?;
    println!(
        "time without writes: {:.2} s; new leader: {}",
        account.longest_gap.as_secs_f64(),
        cluster.leader()?
    );
    account.check(cluster)?;
    println!(
        "{} writes acknowledged, every one is there, none twice ({} refused, {} unknown)",
        account.acknowledged.len(),
        account.refused.len(),
        account.unknown.len()
    );
    cluster.wait_ready().map(drop)
}

fn archive_and_restore(cluster: &Cluster, s3: &S3, prefix: &str) -> Result<()> {
    title("The WAL in S3, and the graph from there");
    let backup = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup",
        "metadata": {"generateName": "demo-", "namespace": NAMESPACE}, "spec": {"cluster": NAME},
    });
    let name = kubectl_input(&["create", "-o", "name", "-f", "-"], &backup.to_string())?
        .trim()
        .to_owned();
    let (location, _) = wait_for("a base backup", Duration::from_secs(90), || {
        let status: Value = serde_json::from_str(&kubectl(&["get", &name, "-n", NAMESPACE, "-o", "json"])?)?;
        ensure!(
            status["status"]["phase"] != "Failed",
            "the backup failed: {}",
            status["status"]
        );
        Ok((status["status"]["phase"] == "Completed").then(|| status["status"]["location"].clone()))
    })?;
    println!("base backup: {}", location.as_str().unwrap_or_default());
    let last = cluster.query(
        "INSERT (:Marker {text: 'the last write before the restore'})",
        &[],
    )?;
    let lsn = last["lsn"].as_str().context("lsn")?.to_owned();
    let index = |text: &str| {
        text.rsplit_once('/')
            .and_then(|(_, index)| index.parse::<u64>().ok())
    };
    wait_for(
        "the archive reaches the last write",
        Duration::from_secs(60),
        || {
            Ok((cluster.status()?["archive"]["archivedUpTo"]
                .as_str()
                .and_then(index)
                >= index(&lsn))
            .then_some(()))
        },
    )?;
    let hash = cluster.query("SELECT hash FROM system.state_hash", &[])?["rows"][0][0]
        .as_str()
        .context("a hash")?
        .to_owned();
    restore(s3, prefix, &hash)
}

/// `geode` with the keys of the S3 server.
fn geode(s3: &S3, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(environment("GEODE")?);
    s3.give_credentials(command.args(arguments));
    Ok(command)
}

fn restore(s3: &S3, prefix: &str, expected: &str) -> Result<()> {
    let target = std::env::temp_dir().join(format!("geode-demo-restore-{}", std::process::id()));
    let source = format!("s3://{}/{prefix}", s3.bucket);
    let place = ["--source", &source, "--endpoint", &s3.endpoint];
    println!("geode backup list --source {source}");
    let listed = geode(s3, &["backup", "list"])?.args(place).status()?;
    ensure!(listed.success(), "geode backup list failed");
    println!("geode restore --source {source} --target {}", target.display());
    let restored = geode(s3, &["restore", "--target"])?
        .arg(&target)
        .args(place)
        .status()?;
    ensure!(restored.success(), "geode restore failed");
    let verified = geode(s3, &["verify", "--format", "json", "--data-dir"])?
        .arg(&target)
        .output()?;
    ensure!(
        verified.status.success(),
        "geode verify failed: {}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let report: Value = serde_json::from_slice(&verified.stdout).context("the report of geode verify")?;
    let restored = report["state_hash"].as_str().unwrap_or_default();
    println!("state hash of the cluster:  {expected}\nstate hash of the restore:  {restored}");
    ensure!(restored == expected, "the state hashes differ");
    std::fs::remove_dir_all(&target).context("remove the restored directory")
}

fn next_steps() {
    title("The cluster stays up. Try next:");
    println!(
        "  eval \"$(cargo xtask cluster env)\"     # kubectl, its plugin, geode and helm, for this cluster"
    );
    println!("  kubectl geode shell social -n demo");
    println!(
        "  kubectl scale geodecluster/social -n demo --replicas=1     # an observer joins; or: cargo xtask cluster down"
    );
}
