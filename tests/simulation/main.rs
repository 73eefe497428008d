//! The first seeded simulation: three members in one thread, on a simulated clock, with everything real above the seams.
//!
//! Real: the Raft adapters and openraft, `geode-log` with its recovery, snapshots, the certifier, `apply`, transactions. Simulated: the clock
//! and the scheduler (`openraft-rt-sim`), the network (delays, losses, duplicates, one-way and two-way cuts), the disks (death at any
//! operation, power cuts that lose or tear what was not synced, full disks), the store's power cuts.
//!
//! Clients append values to lists through read index, transaction, certifier and Raft, with request ids and retries. Then the faults
//! end and the members must agree. Promises (`oracle`): an acknowledged write is there, exactly once; one that was refused is not; writes
//! that followed each other stand in that order; members that applied the same index hold the same graph; a term has one leader; segments of
//! the same name have the same bytes.
//!
//! `GEODE_SEED=n cargo test -p geode-tests --test simulation` replays a seed; a failure prints that line. `GEODE_SEEDS=n` runs that many.
//!
//! Sources of chance that are closed: time and timers (simulated), task order (FIFO, one thread), election timeouts and openraft's random
//! choices (drawn from the runtime's seed), threads (log and blocking work run inline), the network's and the driver's dice (`StdRng` from
//! the seed), torn writes (same dice), hash maps (only looked up, never iterated, on the paths used here), ids (allocated by the leader).
//! Left outside: tokio's channels are used, but only those that wake in FIFO order. Two runs of a seed are compared in a test of their own.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod client;
mod member;
mod network;
mod oracle;
mod world;

/// How many seeds run unless `GEODE_SEEDS` says otherwise.
const SEEDS: u64 = 20;

#[test]
fn nothing_acknowledged_is_lost_whatever_fails() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text: String| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("GEODE_SEED") {
        let report = world::run(seed);
        println!("seed {seed}: {report:?}");
        return;
    }
    for seed in 0..number("GEODE_SEEDS").unwrap_or(SEEDS) {
        let outcome = std::panic::catch_unwind(|| world::run(seed));
        match outcome {
            Ok(report) => println!("seed {seed}: {report:?}"),
            Err(cause) => {
                eprintln!("replay: GEODE_SEED={seed} cargo test -p geode-tests --test simulation");
                std::panic::resume_unwind(cause);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 1004] {
        assert_eq!(world::run(seed), world::run(seed), "seed {seed}");
    }
}
