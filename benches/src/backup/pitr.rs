//! How long a restore to a moment takes: a graph of a million nodes and ten million edges that a sidecar has archived, once from the log alone, once
//! from a base backup and the log behind it. Begins with an empty folder and ends with the answer to a query that counts the edges; the state
//! hash must be the one that the database had at that moment.

use super::desk::Desk;
use super::geode::{Expected, restore};
use crate::goals::Goals;
use crate::graph::data::Data;
use crate::graph::geode::Geode;
use crate::memory::{MEMORY_MAX, MIB, free_port, metric, page};
use crate::s3::{BUCKET, S3};
use crate::sidecar::Sidecar;
use anyhow::{Context, Result, ensure};
use geode_tests::members::{Members, Plan};
use std::time::{Duration, Instant};

const NODES: u32 = 1_000_000;
const SECONDS_MAX: f64 = 300.0;
const ARCHIVED_WITHIN: Duration = Duration::from_secs(300);
const PREFIX: &str = "pitr";
const COUNT: &str = "MATCH ()-[k:KNOWS]->() RETURN count(*)";

/// A moment to go back to.
struct Moment {
    name: &'static str,
    edges: usize,
    state_hash: String,
}

/// Prints the times. Argument: nodes, when others than usual are wanted; there are ten times as many edges.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let nodes = match arguments.first() {
        Some(text) => text
            .parse()
            .with_context(|| format!("{text:?} is not a number"))?,
        None => NODES,
    };
    let s3 = S3::start()?;
    let port = free_port()?;
    let mut geode = Geode::planned(&Plan {
        members: 1,
        timing: "default",
        more: format!(
            "archive:\n  s3:\n    bucket: {BUCKET}\n    prefix: {PREFIX}\n    endpoint: {}\n    credentials_dir: {}\n\
             sidecar:\n  listen: 127.0.0.1:{port}\n",
            s3.endpoint(),
            s3.keys().display()
        ),
        ..Plan::default()
    })?;
    let sidecar = Sidecar::start(&s3, geode.members().config_file(0))?;
    let begin = Instant::now();
    let data = Data::generate(nodes);
    let (most, rest) = data.edges.split_at(data.edges.len() / 10 * 9);
    geode.load_nodes(nodes)?;
    geode.load_edges(most)?;
    let log_alone = moment(geode.members(), "log-alone", most.len(), port)?;
    let backup = Desk::of(geode.members(), 0)?.backup()?;
    geode.load_edges(rest)?;
    let behind_backup = moment(geode.members(), "behind-a-backup", data.edges.len(), port)?;
    // What is behind the moment must not be in the restored graph.
    geode.members().query(0, "INSERT (:Later)-[:KNOWS]->(:Later)");
    moment(geode.members(), "end", data.edges.len() + 1, port)?;
    eprintln!(
        "{nodes} nodes and {} edges loaded and archived in {:.0} s; the base backup has {:.0} MiB",
        data.edges.len(),
        begin.elapsed().as_secs_f64(),
        backup.bytes as f64 / MIB
    );
    let peak = sidecar.resident()?.peak / MIB;
    drop((geode, sidecar));
    let mut goals = Goals::new("pitr");
    println!("| restored to a checkpoint | edges | seconds |\n|---|---|---|");
    for (what, moment) in [
        ("from the log alone", log_alone),
        ("from a base backup and a tenth of the log", behind_backup),
    ] {
        let expected = Expected {
            count: COUNT,
            answer: moment.edges,
        };
        let restored = restore(&s3, PREFIX, &["--target-name", moment.name], &expected)?;
        ensure!(
            restored.state_hash == moment.state_hash,
            "{what}: the state hash {} became {}",
            moment.state_hash,
            restored.state_hash
        );
        println!("| {what} | {} | {:.0} |", moment.edges, restored.seconds);
        goals.within(moment.name, restored.seconds, SECONDS_MAX);
    }
    println!("\nState hashes were equal. The sidecar took {peak:.0} MiB at most.\n");
    goals.within("sidecar-memory", peak, MEMORY_MAX);
    goals.finish()
}

/// Gives this moment a name, and waits until it is archived.
fn moment(members: &Members, name: &'static str, edges: usize, port: u16) -> Result<Moment> {
    members.query(0, &format!("CREATE CHECKPOINT '{name}'"));
    let state = members.query(0, "SELECT applied, hash FROM system.state_hash");
    let [applied, hash] = [&state["rows"][0][0], &state["rows"][0][1]];
    let applied = applied.as_f64().context("an index")?;
    let begin = Instant::now();
    while page(port, "/metrics").map_or(0.0, |page| metric(&page, "geode_backup_wal_archived_up_to"))
        < applied
    {
        ensure!(begin.elapsed() < ARCHIVED_WITHIN, "the log is not archived");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Moment {
        name,
        edges,
        state_hash: hash.as_str().context("a hash")?.to_owned(),
    })
}
