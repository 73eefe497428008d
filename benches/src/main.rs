//! Measures Geode beside a peer, in one run and in turns, and prints ratios: the machine is shared and its figures wander, ratios less so.
//! `cargo xtask bench NAME` builds what is needed and names it by variables: `GEODE`, `ETCD`, …

mod archive;
mod backup;
mod database;
mod etcd;
mod failover;
mod figures;
mod goals;
mod graph;
mod instructions;
mod memory;
mod pages;
mod peer;
mod process;
mod s3;
mod sidecar;
mod social;
mod write;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("write") => write::run(&arguments.collect::<Vec<_>>()),
        Some("graph-small") => graph::run(&arguments.collect::<Vec<_>>()),
        Some("social") => social::run(&arguments.collect::<Vec<_>>()),
        Some("instructions") => instructions::run(),
        Some("memory") => memory::run(&arguments.collect::<Vec<_>>()),
        Some("backup") => backup::run(&arguments.collect::<Vec<_>>()),
        Some("backup-latency") => backup::latency::run(&arguments.collect::<Vec<_>>()),
        Some("pitr") => backup::pitr::run(&arguments.collect::<Vec<_>>()),
        other => bail!(
            "which benchmark? write, instructions, graph-small, social, memory, backup, backup-latency or pitr; not {other:?}"
        ),
    }
}

/// A program that `cargo xtask bench` has built.
fn program(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set; run it by `cargo xtask bench`"))
}
