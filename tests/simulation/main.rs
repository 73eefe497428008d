//! The first seeded simulation: three or five members in one thread, on a simulated clock, with everything real above the seams.
//!
//! Real: the Raft adapters and openraft, `geode-log` with its recovery, snapshots, the certifier, `apply`, transactions. Simulated: the
//! clock and the scheduler (`openraft-rt-sim`), the network (delays, losses, late duplicates, one-way and two-way cuts), the disks (death
//! at any operation, power cuts that lose or tear what was not synced, failing syncs, full disks), the store's failures and power cuts.
//!
//! Clients append values to lists through read index, transaction, certifier and Raft, with request ids and retries, and read them. Then
//! the faults end and the members must agree and take a write. Promises (`oracle`, `ledger`): an acknowledged write is there, exactly once;
//! one that was refused is not; writes that followed each other stand in that order; a read sees what was acknowledged before it; members
//! that applied the same index hold the same graph; a term has one leader, who has everything committed; committed entries never change;
//! segments of the same name have the same bytes; nothing panics, and no member stops unless something was done to it.
//!
//! `GEODE_SEED=n cargo test --release -p geode-tests --test simulation` replays a seed; a failure prints that line. `GEODE_SEEDS=n` runs
//! that many.
//!
//! Sources of chance that are closed: time and timers (simulated), task order (FIFO, one thread), election timeouts and openraft's random
//! choices (drawn from the runtime's seed), threads (log and blocking work run inline), the network's and the driver's dice (`StdRng` from
//! the seed), torn writes (same dice), hash maps (only looked up, never iterated, on the paths used here), ids (allocated by the leader).
//! Left outside: tokio's channels are used, but only those that wake in FIFO order. Two runs of a seed are compared in a test of their own.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod client;
mod faults;
mod journal;
mod ledger;
mod member;
mod network;
mod oracle;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::Report;

/// How many seeds run unless `GEODE_SEEDS` says otherwise. Each takes about a second of a core.
const SEEDS: u64 = 200;
/// How many events are told of a run that failed.
const EVENTS: usize = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a seed; when it fails, says what happened and how to see it again.
fn run(seed: u64) -> Option<Report> {
    let began = Instant::now();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let report = world::run(seed);
        report.check_that_much_happened();
        report
    }));
    if let Ok(report) = &lived {
        println!("seed {seed}, {} ms: {report:?}", began.elapsed().as_millis());
    } else {
        for event in journal::tail(EVENTS) {
            println!("{event}");
        }
        println!("replay: GEODE_SEED={seed} cargo test --release -p geode-tests --test simulation");
    }
    lived.ok()
}

#[test]
fn nothing_acknowledged_is_lost_whatever_fails() {
    let seeds = match number("GEODE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GEODE_SEEDS").unwrap_or(SEEDS),
    };
    // Every world has a thread of its own; how they are spread changes nothing in them.
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if run(seed).is_none() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "these seeds failed: {failed:?}; see above for what replays them"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let seeds = number("GEODE_SEED").map_or(vec![3, 1004], |seed| vec![seed]);
    for seed in seeds {
        let (once, again) = (run(seed), run(seed));
        assert!(
            once.is_some() && once == again,
            "seed {seed} is not the same twice, or failed"
        );
    }
}
