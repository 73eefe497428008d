//! A sidecar that archives a log to S3, round after round, each into a prefix of its own, in turns with a plain copy of the same files.

use super::s3::{BUCKET, S3};
use super::{MIB, files, free_port, metric, page};
use crate::figures::Median;
use crate::process::{Resident, resident};
use crate::program;
use anyhow::{Context, Result, ensure};
use geode_client::{Client, Statement};
use geode_tests::members::{Members, Plan};
use geode_types::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
/// Bytes of a write: the log keeps its last 10,000 entries, so that a gibibyte of these can be archived again and again.
const PAYLOAD: usize = 128 * 1024;
const WRITERS: usize = 4;
/// Longer than an entry waits in a segment that is open.
const SEALED_AFTER: Duration = Duration::from_secs(8);
const ARCHIVED_WITHIN: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);
const FIRST_PREFIX: &str = "round-0";

pub(crate) struct Archived {
    /// Of the sidecar that took most.
    pub(crate) resident: Resident,
    pub(crate) throughput: String,
}

pub(crate) fn measure(mebibytes: usize) -> Result<Archived> {
    let s3 = S3::start()?;
    let port = free_port()?;
    let more = format!(
        "archive:\n  s3:\n    bucket: {BUCKET}\n    prefix: {FIRST_PREFIX}\n    endpoint: {}\n    credentials_dir: {}\n\
         sidecar:\n  listen: 127.0.0.1:{port}\n",
        s3.endpoint(),
        s3.keys().display()
    );
    let members = Members::planned(
        &program("GEODE")?,
        &Plan {
            members: 1,
            timing: "default",
            more,
            ..Plan::default()
        },
    );
    let begin = Instant::now();
    fill(&members, mebibytes)?;
    eprintln!(
        "{mebibytes} MiB written in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    std::thread::sleep(SEALED_AFTER);
    let segments = files(&members.wal(0), ".seg")?;
    let bytes: u64 = segments
        .iter()
        .map(|file| Ok(std::fs::metadata(file)?.len()))
        .sum::<Result<u64>>()?;
    ensure!(
        bytes as f64 >= mebibytes as f64 * MIB,
        "only {bytes} bytes of log are sealed"
    );
    let mut largest: Option<Resident> = None;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let prefix = format!("round-{}", 2 * round + turn);
            if (round + turn) % 2 == 0 {
                let (rate, seen) = archive(&members, &prefix, port, bytes)?;
                ensure!(s3.stored(&prefix)? >= bytes, "the archive is not complete");
                largest = largest.filter(|largest| largest.peak > seen.peak).or(Some(seen));
                ours.push(rate);
            } else {
                plain.push(bytes as f64 / s3.copy(&segments, &prefix)?);
            }
            s3.forget(&prefix)?;
        }
        eprintln!("round {}: {:?} {:?}", round + 1, ours.last(), plain.last());
    }
    let ratio = Median::of(ours.iter().zip(&plain).map(|(ours, plain)| ours / plain));
    let (ours, plain) = (
        Median::of(ours.iter().map(|rate| rate / MIB)),
        Median::of(plain.iter().map(|rate| rate / MIB)),
    );
    Ok(Archived {
        resident: largest.context("at least one round")?,
        throughput: format!(
            "Archive of {} segments, {:.0} MiB, medians of {ROUNDS} rounds: sidecar {ours} MiB/s, plain copy by curl {plain} MiB/s, \
             sidecar ÷ copy **{ratio}** (promised: at least 0.8)",
            segments.len(),
            bytes as f64 / MIB
        ),
    })
}

/// Writes this much into the graph, and so into the log.
fn fill(members: &Members, mebibytes: usize) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let client = members_client(&runtime, members)?;
    let each = mebibytes * 1024 * 1024 / PAYLOAD / WRITERS + 1;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = client.clone();
            runtime.spawn(async move {
                for number in 0..each {
                    let seed = (writer * each + number) as u64;
                    let statement =
                        Statement::new("INSERT (:Blob {payload: $payload})").param("payload", noise(seed));
                    client.execute(statement).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for writer in writers {
        runtime.block_on(writer)??;
    }
    Ok(())
}

fn members_client(runtime: &tokio::runtime::Runtime, members: &Members) -> Result<Client> {
    let password = std::fs::read_to_string(members.password_file())?;
    let builder = Client::builder()
        .endpoints([members.address(0)])
        .user("admin")
        .password(password.trim_end())
        .ca_pem(std::fs::read(members.ca_file())?);
    Ok(runtime.block_on(async { builder.build() })?)
}

/// Bytes that no compression makes smaller.
fn noise(seed: u64) -> Value {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(PAYLOAD);
    while bytes.len() < PAYLOAD {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    Value::Bytes(bytes)
}

/// Lets a fresh sidecar archive everything; bytes a second behind its first segment, and its memory.
fn archive(members: &Members, prefix: &str, port: u16, bytes: u64) -> Result<(f64, Resident)> {
    let config = std::fs::read_to_string(members.config_file(0))?;
    let config = config.replace(
        &format!("prefix: {FIRST_PREFIX}\n"),
        &format!("prefix: {prefix}\n"),
    );
    let config = members.write(&format!("{prefix}.yaml"), &config);
    let log = std::fs::File::create(PathBuf::from(&config).with_extension("log"))?;
    let process = Command::new(program("SIDECAR")?)
        .args(["--config", &config])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("start the sidecar")?;
    let sidecar = Running(process);
    let begin = Instant::now();
    let mut first: Option<(Instant, f64)> = None;
    loop {
        ensure!(
            begin.elapsed() < ARCHIVED_WITHIN,
            "the sidecar has not archived everything: {}",
            std::fs::read_to_string(PathBuf::from(&config).with_extension("log")).unwrap_or_default()
        );
        // Until it listens there is nothing to read.
        let archived =
            page(port, "/metrics").map_or(0.0, |page| metric(&page, "geode_backup_wal_archived_bytes_total"));
        let now = Instant::now();
        match first {
            None if archived > 0.0 => first = Some((now, archived)),
            Some((since, already)) if archived >= bytes as f64 => {
                let rate = (archived - already) / now.duration_since(since).as_secs_f64();
                return Ok((rate, resident(sidecar.0.id())?));
            }
            _ => {}
        }
        std::thread::sleep(POLL);
    }
}

/// Ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
