//! A small skewed graph in Geode and in its peers: how fast it is loaded, what it takes, and how long walks of one, two and three hops take.
//!
//! An answer is the number of walks (edges may repeat). All engines must give the same ones before any time counts.

pub(crate) mod data;
pub(crate) mod geode;

use crate::figures::{Latency, Median};
use crate::goals::{Better, Goals};
use crate::peer::{Peer, seconds};
use anyhow::{Context, Result, ensure};
use data::Data;
use geode::{Geode, GeodeLoaded};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

const NODES: u32 = 100_000;
/// What an edge may take in pages with data, bytes.
const EDGE_BYTES_MAX: f64 = 30.0;
const PEERS: [&str; 3] = ["grafeo_peer", "kuzu_peer", "neo4j_peer"];
const ROUNDS: usize = 5;
/// How often each start is asked for in a round.
const REPEATS: usize = 5;
/// And before the first one: a JVM gets faster for a while.
const WARM_UP: usize = 15;

/// Geode twice: reads see everything acknowledged before, which the leader asks a majority for; or only what a member has applied.
const OURS: [&str; 2] = ["Geode", "Geode, local reads"];

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// A constant: what asking costs by itself.
    Nothing,
    Out1,
    Out2,
    Out3,
    /// Two hops against the edges, from nodes to which many lead.
    In2,
}

impl Query {
    const ALL: [Self; 5] = [Self::Nothing, Self::Out1, Self::Out2, Self::Out3, Self::In2];

    /// As peers know it.
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Out1 => "out 1",
            Self::Out2 => "out 2",
            Self::Out3 => "out 3",
            Self::In2 => "in 2",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Nothing => "a constant",
            Self::Out1 => "1 hop",
            Self::Out2 => "2 hops",
            Self::Out3 => "3 hops",
            Self::In2 => "2 hops back from hubs",
        }
    }

    fn starts(self, data: &Data) -> &[u32] {
        if self == Self::In2 {
            &data.hubs
        } else {
            &data.starts
        }
    }
}

pub(crate) struct Answer {
    count: i64,
    seconds: f64,
}

pub(crate) struct Loaded {
    seconds: f64,
    /// What it takes in files, as far as the engine can be made to write them.
    bytes: Option<f64>,
}

/// Prints the tables. Argument: the number of nodes, when another than usual is wanted.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let nodes = match arguments.first() {
        Some(text) => text
            .parse()
            .with_context(|| format!("{text:?} is not a number"))?,
        None => NODES,
    };
    let folder = tempfile::tempdir()?;
    let data = Data::generate(nodes);
    let file = folder.path().join("edges.csv");
    data.write(&file)?;
    let mut geode = Geode::start()?;
    let ours = geode.load(&data)?;
    eprintln!(
        "Geode has loaded {} edges in {:.1} s",
        data.edges.len(),
        ours.edges.seconds
    );
    let mut peers = Vec::new();
    let mut loads = Vec::new();
    for script in PEERS {
        let mut peer = Peer::start(script, folder.path())?;
        let loaded = load(&mut peer, data.nodes, &file)?;
        eprintln!("{} has loaded in {:.1} s", peer.name, loaded.seconds);
        loads.push(loaded);
        peers.push(peer);
    }
    println!("{}", load_report(&data, &ours, &peers, &loads));
    let walks = compare(&data, &geode, &mut peers)?;
    let latencies = ask(&data, &mut geode, &mut peers)?;
    println!("{}", query_report(&data, &peers, &walks, &latencies));
    let mut goals = Goals::new("graph-small");
    goals.within(
        "bytes-per-edge",
        ours.live_bytes / data.edges.len() as f64,
        EDGE_BYTES_MAX,
    );
    for (query, engines) in Query::ALL.into_iter().zip(&latencies) {
        let p50 = |engine: usize| {
            engines[engine]
                .iter()
                .map(|latency| latency.p50)
                .collect::<Vec<f64>>()
        };
        for (at, peer) in peers.iter().enumerate() {
            let row = format!("{}/{}", query.name(), peer.name).replace(' ', "-");
            goals.beside(&row, &p50(0), &p50(OURS.len() + at), Better::Smaller, 1.0);
        }
    }
    goals.finish()
}

fn load(peer: &mut Peer, nodes: u32, edges: &Path) -> Result<Loaded> {
    let answer = peer.ask(&json!({"op": "load", "nodes": nodes, "edges": edges}))?;
    Ok(Loaded {
        seconds: seconds(&answer)?,
        bytes: answer["bytes"].as_f64(),
    })
}

fn ask_peer(peer: &mut Peer, query: Query, start: u32) -> Result<Answer> {
    let answer = peer.ask(&json!({"op": "query", "query": query.name(), "start": start}))?;
    Ok(Answer {
        count: answer["answer"].as_i64().context("answer")?,
        seconds: seconds(&answer)?,
    })
}

/// Asks everybody everything; returns the mean number of walks of each query.
fn compare(data: &Data, geode: &Geode, peers: &mut [Peer]) -> Result<Vec<f64>> {
    let mut means = Vec::new();
    for query in Query::ALL {
        let starts = query.starts(data);
        let mut sum = 0;
        for start in starts {
            let ours = geode.query(query, *start, false)?.count;
            sum += ours;
            let local = geode.query(query, *start, true)?.count;
            ensure!(
                ours == local,
                "{} from {start}: {ours}, and {local} by a local read",
                query.title()
            );
            for peer in &mut *peers {
                let theirs = ask_peer(peer, query, *start)?.count;
                ensure!(
                    ours == theirs,
                    "{} from {start}: Geode answers {ours}, {} {theirs}",
                    query.title(),
                    peer.name
                );
            }
        }
        means.push(sum as f64 / starts.len() as f64);
    }
    eprintln!("all answers are equal");
    Ok(means)
}

fn load_report(data: &Data, ours: &GeodeLoaded, peers: &[Peer], loads: &[Loaded]) -> String {
    let edges = data.edges.len() as f64;
    let mut text = format!(
        "{} nodes and {} edges. Geode's nodes took {:.1} s before. An edge of Geode takes {:.1} bytes of pages with data; in the table \
         stand those too that are kept for reuse.\n\n| engine | load | edges /s | bytes an edge, files |\n|---|---|---|---|\n",
        data.nodes,
        data.edges.len(),
        ours.nodes_seconds,
        ours.live_bytes / edges,
    );
    let mut row = |name: &str, how: &str, loaded: &Loaded| {
        let rate = edges / loaded.seconds;
        let bytes = loaded
            .bytes
            .map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes / edges));
        let _ = writeln!(text, "| {name} | {how} | {rate:.0} | {bytes} |");
    };
    row("Geode", "three members, edges alone", &ours.edges);
    for (peer, loaded) in peers.iter().zip(loads) {
        row(&peer.name, "one process, with its nodes", loaded);
    }
    text
}

/// Samples by query, engine (ours first) and round.
type Latencies = Vec<Vec<Vec<Latency>>>;

fn ask(data: &Data, geode: &mut Geode, peers: &mut [Peer]) -> Result<Latencies> {
    let engines = OURS.len() + peers.len();
    let mut latencies: Latencies = vec![vec![Vec::new(); engines]; Query::ALL.len()];
    for round in 0..=ROUNDS {
        let repeats = if round == 0 { WARM_UP } else { REPEATS };
        for (at, query) in Query::ALL.into_iter().enumerate() {
            for turn in 0..engines {
                // Whoever is first may find another machine than whoever is last.
                let engine = (turn + round) % engines;
                let mut samples = Vec::new();
                for start in std::iter::repeat_n(query.starts(data), repeats).flatten() {
                    let answer = match engine.checked_sub(OURS.len()) {
                        None => geode.query(query, *start, engine == 1)?,
                        Some(peer) => ask_peer(&mut peers[peer], query, *start)?,
                    };
                    samples.push(answer.seconds * 1000.0);
                }
                if round > 0 {
                    latencies[at][engine].push(Latency::of(samples));
                }
            }
        }
        eprintln!("round {round} of {ROUNDS}");
    }
    Ok(latencies)
}

fn query_report(data: &Data, peers: &[Peer], walks: &[f64], latencies: &Latencies) -> String {
    let engines = OURS.len() + peers.len();
    let mut text = format!(
        "Medians of {ROUNDS} rounds, {} starts {REPEATS} times each; ± is half of the range. Ratios are Geode ÷ peer: below 1, Geode is faster.\n\n\
         | query | walks | engine | p50 ms | p50 Geode ÷ peer | p99 ms | p99 Geode ÷ peer |\n|---|---|---|---|---|---|---|\n",
        data.starts.len(),
    );
    for (at, query) in Query::ALL.into_iter().enumerate() {
        for engine in 0..engines {
            let peer = engine.checked_sub(OURS.len());
            let name = peer.map_or(OURS.get(engine).copied().unwrap_or_default(), |peer| {
                &peers[peer].name
            });
            let cells = |figure: fn(&Latency) -> f64| {
                let (ours, theirs) = (&latencies[at][0], &latencies[at][engine]);
                let ratio = ours
                    .iter()
                    .zip(theirs)
                    .map(|(ours, theirs)| figure(ours) / figure(theirs));
                let ratio = if engine == 0 {
                    "–".to_owned()
                } else {
                    format!("**{}**", Median::of(ratio))
                };
                format!(
                    "{} | {ratio}",
                    Milliseconds(Median::of(theirs.iter().map(figure)))
                )
            };
            let _ = writeln!(
                text,
                "| {} | {:.0} | {name} | {} | {} |",
                query.title(),
                walks[at],
                cells(|latency| latency.p50),
                cells(|latency| latency.p99)
            );
        }
    }
    text
}

/// A median that may be far below one.
struct Milliseconds(Median);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ±{:.0} %", self.0.middle, self.0.spread)
    }
}
