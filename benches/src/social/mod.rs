//! `geode-bench social`: a social network in Geode and in its peers, twelve queries, a mix of eight clients, and the load. Nodes by argument:
//! 10000, 100000 (usual) or 1000000.
//!
//! All engines must give the same answers before any time counts. What an engine cannot be asked is left out of its column.

mod data;
mod geode;
mod query;

use crate::figures::{Latency, Median};
use crate::goals::{Better, Goals};
use crate::peer::{Peer, seconds};
use anyhow::{Context, Result, ensure};
use data::{Choice, Data};
use geode::{Geode, Loaded};
use geode_types::{Value, from_json};
use query::{MIXED, QUERIES, Query, are_equal, parameters};
use serde_json::json;
use std::fmt::Write;

const NODES: u64 = 100_000;
/// What an edge may take in pages with data, bytes; nodes and their index are in it.
const EDGE_BYTES_MAX: f64 = 30.0;
const PEERS: [&str; 5] = [
    "social_arcadedb",
    "social_falkordb",
    "social_grafeo",
    "social_kuzu",
    "social_neo4j",
];
const ROUNDS: usize = 5;
/// How often a small query is asked with each choice in a round; others are asked as often as there are rounds.
const REPEATS: usize = 3;
/// An engine that has taken longer over a query is not asked it again, seconds: its figures are of the rounds that it had, one at least.
const PATIENCE: f64 = 60.0;
const CLIENTS: usize = 8;
const MIXED_SECONDS: f64 = 5.0;

/// Milliseconds by query, engine (Geode first) and round; without rounds when the engine cannot be asked.
type Latencies = Vec<Vec<Vec<Latency>>>;

/// Prints the tables.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let nodes = match arguments.first() {
        Some(text) => text
            .parse()
            .with_context(|| format!("{text:?} is not a number"))?,
        None => NODES,
    };
    let folder = tempfile::tempdir()?;
    let data = Data::generate(nodes);
    data.write(folder.path())?;
    let geode = Geode::start()?;
    let ours = geode.load(&data)?;
    eprintln!("Geode has loaded {} edges in {:.1} s", data.edges(), ours.seconds);
    let mut peers = Vec::new();
    let mut loads = Vec::new();
    for script in PEERS {
        let mut peer = Peer::start(script, folder.path())?;
        let answer = peer.ask(&json!({"op": "load", "folder": folder.path()}))?;
        let took = seconds(&answer)?;
        eprintln!("{} has loaded in {took:.1} s", peer.name);
        loads.push(took);
        peers.push(peer);
    }
    let knows = compare(&data, &geode, &mut peers)?;
    let latencies = ask(&data, &geode, &mut peers, &knows)?;
    let mixed = mixed(&data, &geode, &mut peers)?;
    println!("{}", report(&data, &ours, &peers, &loads, &latencies, &mixed));
    finish(nodes, &data, &ours, &peers, &loads, &latencies, &mixed)
}

/// The answer of a peer, or none when it cannot be asked that.
fn ask_peer(peer: &mut Peer, query: &Query, choice: &Choice) -> Result<Option<(Vec<Vec<Value>>, f64)>> {
    let given: serde_json::Map<_, _> = parameters(choice)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let answer = peer.ask(&json!({"op": "query", "query": query.name, "parameters": given}))?;
    if let Some(reason) = answer["error"].as_str() {
        eprintln!("{} has no {}: {reason}", peer.name, query.name);
        return Ok(None);
    }
    let rows = answer["rows"].as_array().context("rows")?;
    let rows = rows.iter().map(|row| {
        let cells = row.as_array().context("a row")?;
        cells
            .iter()
            .map(|cell| Ok(from_json(cell)?))
            .collect::<Result<Vec<Value>>>()
    });
    Ok(Some((rows.collect::<Result<_>>()?, seconds(&answer)?)))
}

/// Asks everybody everything that reads; whom what can be asked, by query and peer. A peer that answers otherwise than Geode and most of the others
/// is not asked that again, and it is told; when it is not alone, nobody knows who is right.
fn compare(data: &Data, geode: &Geode, peers: &mut [Peer]) -> Result<Vec<Vec<bool>>> {
    let mut knows = Vec::new();
    for query in &QUERIES {
        let mut can = vec![true; peers.len()];
        let choices = if query.is_small {
            data.choices.as_slice()
        } else {
            &data.choices[..1]
        };
        for choice in choices.iter().filter(|_| !query.writes) {
            let (ours, _) = geode.query(query, choice)?;
            let (mut agree, mut others) = (0, Vec::new());
            for (at, peer) in peers.iter_mut().enumerate().filter(|(at, _)| can[*at]) {
                match ask_peer(peer, query, choice)? {
                    None => others.push((at, "nothing".to_owned())),
                    Some((theirs, _)) if are_equal(&ours, &theirs) => agree += 1,
                    Some((theirs, _)) => others.push((at, format!("{theirs:?}"))),
                }
            }
            for (at, theirs) in others {
                let (title, peer) = (query.title, &peers[at].name);
                let told = format!("{title} of {choice:?}: Geode answers {ours:?}, {peer} {theirs}");
                ensure!(theirs == "nothing" || agree > 1, "{told}");
                eprintln!("left out: {told}");
                can[at] = false;
            }
        }
        knows.push(can);
    }
    eprintln!("all other answers are equal");
    Ok(knows)
}

/// Asks in turns. What writes comes last, so that every reading query finds the same graph everywhere.
fn ask(data: &Data, geode: &Geode, peers: &mut [Peer], knows: &[Vec<bool>]) -> Result<Latencies> {
    let engines = 1 + peers.len();
    let mut latencies: Latencies = vec![vec![Vec::new(); engines]; QUERIES.len()];
    let mut spent = vec![vec![0.0; engines]; QUERIES.len()];
    for writes in [false, true] {
        for round in 0..=ROUNDS {
            for (at, query) in QUERIES
                .iter()
                .enumerate()
                .filter(|(_, query)| query.writes == writes)
            {
                for turn in 0..engines {
                    // Whoever is first may find another machine than whoever is last.
                    let engine = (turn + round) % engines;
                    let spent: &mut f64 = &mut spent[at][engine];
                    if *spent > PATIENCE || (engine > 0 && !knows[at][engine - 1]) {
                        continue;
                    }
                    let repeats = if query.is_small { REPEATS } else { 1 };
                    let choices = if query.is_small {
                        data.choices.as_slice()
                    } else {
                        &data.choices[..3]
                    };
                    let mut samples = Vec::new();
                    for choice in std::iter::repeat_n(choices, repeats).flatten() {
                        let seconds = match engine.checked_sub(1) {
                            None => geode.query(query, choice)?.1,
                            Some(peer) => match ask_peer(&mut peers[peer], query, choice)? {
                                Some((_, seconds)) => seconds,
                                None => break,
                            },
                        };
                        samples.push(seconds * 1000.0);
                        *spent += seconds;
                        if *spent > PATIENCE {
                            break;
                        }
                    }
                    // The first round warms caches and compilers; for what takes this long the comparison has done so.
                    if (round > 0 || *spent > PATIENCE) && !samples.is_empty() {
                        latencies[at][engine].push(Latency::of(samples));
                    }
                }
            }
            eprintln!(
                "round {round} of {ROUNDS}, {}",
                if writes { "writes" } else { "reads" }
            );
        }
    }
    Ok(latencies)
}

/// Statements a second of eight clients, Geode first; none for an engine that cannot have them.
fn mixed(data: &Data, geode: &Geode, peers: &mut [Peer]) -> Result<Vec<Option<f64>>> {
    let mut rates = vec![Some(geode.mixed(CLIENTS, MIXED_SECONDS, &data.choices)?)];
    for peer in peers {
        let choices: Vec<_> = data
            .choices
            .iter()
            .map(|choice| json!(parameters(choice).map(|(_, value)| value)))
            .collect();
        let mix: Vec<_> = MIXED.iter().map(|at| QUERIES[*at].name).collect();
        let request =
            json!({"op": "mixed", "clients": CLIENTS, "run": MIXED_SECONDS, "mix": mix, "choices": choices});
        let answer = peer.ask(&request)?;
        if let Some(reason) = answer["error"].as_str() {
            eprintln!("{} has no mixed run: {reason}", peer.name);
        }
        rates.push(answer["rate"].as_f64());
    }
    Ok(rates)
}

fn report(
    data: &Data,
    ours: &Loaded,
    peers: &[Peer],
    loads: &[f64],
    latencies: &Latencies,
    mixed: &[Option<f64>],
) -> String {
    let edges = data.edges() as f64;
    let mut text = format!(
        "{} people, {} cities, {} posts, {} edges. Medians of {ROUNDS} rounds, of fewer where an engine took \
         {PATIENCE} s over a query before; ± is half of the range. In brackets Geode ÷ peer: below 1, Geode is \
         faster. Geode takes {:.1} bytes an edge, nodes and indexes included.\n\n| | Geode p50 · p99 ms |",
        data.people.len(),
        data.cities,
        data.posts,
        data.edges(),
        ours.live_bytes / edges,
    );
    let columns = peers.iter().map(|peer| format!(" {} p50 · p99 ms |", peer.name));
    text.extend(columns);
    text.push_str("\n|---|---|");
    text.extend(peers.iter().map(|_| "---|"));
    text.push('\n');
    for (query, engines) in QUERIES.iter().zip(latencies) {
        let _ = write!(text, "| {} {} |", query.name, query.title);
        for (engine, rounds) in engines.iter().enumerate() {
            if rounds.is_empty() {
                text.push_str(" – |");
                continue;
            }
            let middle = |figure: fn(&Latency) -> f64| Median::of(rounds.iter().map(figure));
            let (p50, p99) = (middle(|round| round.p50), middle(|round| round.p99));
            let _ = write!(
                text,
                " {:.3} ±{:.0} % · {:.3}",
                p50.middle, p50.spread, p99.middle
            );
            if engine > 0 {
                let ours = Median::of(engines[0].iter().map(|round| round.p50));
                let _ = write!(text, " ({:.2})", ours.middle / p50.middle);
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    let _ = write!(text, "| mixed, statements /s |");
    for rate in mixed {
        let _ = write!(
            text,
            " {} |",
            rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.0}"))
        );
    }
    let _ = write!(text, "\n| load, edges /s | {:.0} |", edges / ours.seconds);
    for seconds in loads {
        let _ = write!(text, " {:.0} |", edges / seconds);
    }
    text
}

fn finish(
    nodes: u64,
    data: &Data,
    ours: &Loaded,
    peers: &[Peer],
    loads: &[f64],
    latencies: &Latencies,
    mixed: &[Option<f64>],
) -> Result<()> {
    let mut goals = Goals::new("social");
    let row = |what: &str, peer: &Peer| format!("{nodes}/{what}/{}", peer.name).replace(' ', "-");
    goals.within(
        &format!("{nodes}/bytes-per-edge"),
        ours.live_bytes / data.edges() as f64,
        EDGE_BYTES_MAX,
    );
    for (query, engines) in QUERIES.iter().zip(latencies) {
        let p50 = |engine: usize| {
            engines[engine]
                .iter()
                .map(|round| round.p50)
                .collect::<Vec<f64>>()
        };
        for (at, peer) in peers
            .iter()
            .enumerate()
            .filter(|(at, _)| !engines[at + 1].is_empty())
        {
            goals.beside(
                &row(query.name, peer),
                &p50(0),
                &p50(at + 1),
                Better::Smaller,
                1.0,
            );
        }
    }
    for (at, peer) in peers.iter().enumerate() {
        goals.beside(
            &row("load", peer),
            &[ours.seconds],
            &[loads[at]],
            Better::Smaller,
            1.0,
        );
        if let (Some(ours), Some(theirs)) = (mixed[0], mixed[at + 1]) {
            goals.beside(&row("mixed", peer), &[ours], &[theirs], Better::Larger, 1.0);
        }
    }
    goals.finish()
}
