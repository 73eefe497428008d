//! Real processes on loopback: the binary `geode` as a user starts it, killed, paused and cut off as machines and networks do it.
//! Runs as a test of `geode-cli`, which knows where the binary is: `cargo test -p geode-cli --test cluster`.

#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod damage;
mod disks;
mod fences;
mod imports;
mod kills;
mod ledger;
mod levels;
mod network;
mod pauses;
mod reads;
mod usage;
mod volumes;

const GEODE: &str = env!("CARGO_BIN_EXE_geode");
