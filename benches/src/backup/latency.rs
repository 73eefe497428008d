//! What a backup costs writers: the same load with and without full backups of a follower, in turns. Three members with their sidecars, which
//! seal and compress all that they store; their memory is watched meanwhile.

use super::desk::Desk;
use crate::archive::fill;
use crate::figures::{Median, measure};
use crate::goals::{Better, Goals};
use crate::memory::{MEMORY_MAX, MIB, free_port};
use crate::program;
use crate::s3::{BUCKET, S3};
use crate::sidecar::Sidecar;
use anyhow::{Context, Result};
use geode_tests::members::{Members, Plan};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const MEMBERS: usize = 3;
const ROUNDS: usize = 12;
/// Of the graph that is backed up.
const MEBIBYTES: usize = 256;
const NODES: usize = 4096;
/// Writes a second, far below what the members can do: else p99 is the length of a queue.
const RATE: &str = "300";
const SECONDS: &str = "12s";
/// P99 with a backup may be so many times as long.
const COST_MAX: f64 = 1.2;
/// Replaced by each sidecar's own.
const LISTEN: &str = "listen: 127.0.0.1:9\n";

/// Prints the ratio. Argument: MiB of graph, when others than usual are wanted.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mebibytes = match arguments.first() {
        Some(text) => text
            .parse()
            .with_context(|| format!("{text:?} is not a number"))?,
        None => MEBIBYTES,
    };
    let s3 = S3::elsewhere()?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("keys");
    std::fs::write(&key, "5a".repeat(32))?;
    let members = Members::planned(
        &program("GEODE")?,
        &Plan {
            members: MEMBERS,
            timing: "default",
            more: archive(&s3, &key),
            ..Plan::default()
        },
    );
    let sidecars: Vec<Sidecar> = (0..MEMBERS)
        .map(|member| sidecar(&s3, &members, member))
        .collect::<Result<_>>()?;
    fill(&members, NODES, mebibytes * 1024 * 1024 / NODES)?;
    let follower = (members.leader() + 1) % MEMBERS;
    let mut desk = Desk::of(&members, follower)?;
    // The first one also waits for the log to be archived.
    let first = desk.backup()?;
    eprintln!("a backup has {:.0} MiB", first.bytes as f64 / MIB);
    let (mut with, mut without, mut backups) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                let (p99, count) = beside_backups(&members, &mut desk)?;
                with.push(p99);
                backups += count;
            } else {
                without.push(p99(&members)?);
            }
        }
        eprintln!(
            "round {}: {:?} ms with, {:?} ms without",
            round + 1,
            with.last(),
            without.last()
        );
    }
    let peaks = sidecars.iter().map(|sidecar| Ok(sidecar.resident()?.peak / MIB));
    let peak = peaks
        .collect::<Result<Vec<f64>>>()?
        .into_iter()
        .fold(0.0, f64::max);
    println!(
        "{RATE} writes a second of 256 bytes, three members, medians of {ROUNDS} rounds of {SECONDS}; {backups} backups of {:.0} MiB, sealed, zstd.\n\n\
         | p99 of a write, ms | with backups | without | with ÷ without |\n|---|---|---|---|\n| | {} | {} | **{}** |\n\n\
         The largest sidecar took {peak:.0} MiB.\n",
        first.bytes as f64 / MIB,
        Median::of(with.iter().copied()),
        Median::of(without.iter().copied()),
        Median::of(with.iter().zip(&without).map(|(with, without)| with / without)),
    );
    let mut goals = Goals::new("backup-latency");
    goals.beside("write-p99", &with, &without, Better::Smaller, 1.0 / COST_MAX);
    goals.within("sidecar-memory", peak, MEMORY_MAX);
    goals.finish()
}

fn archive(s3: &S3, key: &Path) -> String {
    format!(
        "archive:\n  compression: zstd\n  encryption:\n    keys: {}\n  s3:\n    bucket: {BUCKET}\n    prefix: sealed\n    endpoint: {}\n    \
         credentials_dir: {}\nsidecar:\n  {LISTEN}",
        key.display(),
        s3.endpoint(),
        s3.keys().display()
    )
}

fn sidecar(s3: &S3, members: &Members, member: usize) -> Result<Sidecar> {
    let config = std::fs::read_to_string(members.config_file(member))?;
    let config = config.replace(LISTEN, &format!("listen: 127.0.0.1:{}\n", free_port()?));
    Sidecar::start(s3, members.write(&format!("sidecar-{member}.yaml"), &config))
}

/// While a load runs one backup follows the other; how many there were.
fn beside_backups(members: &Members, desk: &mut Desk) -> Result<(f64, usize)> {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let backups = scope.spawn(|| {
            let mut count = 0;
            while !ended.load(Ordering::Relaxed) {
                desk.backup()?;
                count += 1;
            }
            anyhow::Ok(count)
        });
        let p99 = p99(members);
        ended.store(true, Ordering::Relaxed);
        let count = backups
            .join()
            .map_err(|_| anyhow::anyhow!("the backups broke off"))??;
        Ok((p99?, count))
    })
}

/// Milliseconds.
fn p99(members: &Members) -> Result<f64> {
    let all: Vec<usize> = (0..MEMBERS).collect();
    let mut load = members.command_for(&all, "bench");
    load.args(["--rate", RATE, "--duration", SECONDS, "--clients", "16"])
        .args([
            "--writes",
            "100",
            "--value-bytes",
            "256",
            "--keep",
            "--format",
            "json",
        ]);
    Ok(measure(&mut load, "write", || Ok(0.0))?.p99_ms)
}
