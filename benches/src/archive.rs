//! A log that a sidecar archives to S3 again and again, each time into a prefix of its own.

use crate::memory::{MIB, files, free_port, metric, page};
use crate::process::Resident;
use crate::program;
use crate::s3::{BUCKET, S3};
use crate::sidecar::Sidecar;
use anyhow::{Result, ensure};
use geode_client::{Client, Statement};
use geode_tests::members::{Members, Plan};
use geode_types::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The log keeps its last 10,000 entries, so that these can be archived again and again, however large they are.
pub(crate) const WRITES: usize = 8192;
const WRITERS: usize = 4;
/// Longer than an entry waits in a segment that is open.
const SEALED_AFTER: Duration = Duration::from_secs(8);
const ARCHIVED_WITHIN: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);
const FIRST_PREFIX: &str = "round-0";

/// A log that waits for its sidecar.
pub(crate) struct Log {
    pub(crate) members: Members,
    /// Where the sidecar will have its metrics.
    port: u16,
    pub(crate) segments: Vec<PathBuf>,
    pub(crate) bytes: u64,
}

impl Log {
    /// Writes so much into the graph, and so into the log. `more` are lines of the sidecar's part of the configuration.
    pub(crate) fn write(s3: &S3, mebibytes: usize, more: &str) -> Result<Self> {
        let port = free_port()?;
        let more = format!(
            "archive:\n{more}  s3:\n    bucket: {BUCKET}\n    prefix: {FIRST_PREFIX}\n    endpoint: {}\n    credentials_dir: {}\n\
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
        fill(&members, WRITES, mebibytes * 1024 * 1024 / WRITES)?;
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
        Ok(Self {
            members,
            port,
            segments,
            bytes,
        })
    }
}

/// Makes so many nodes with so many bytes each.
pub(crate) fn fill(members: &Members, writes: usize, payload: usize) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let client = members_client(&runtime, members)?;
    let each = writes / WRITERS;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = client.clone();
            runtime.spawn(async move {
                for number in 0..each {
                    let seed = (writer * each + number) as u64;
                    let statement = Statement::new("INSERT (:Blob {payload: $payload})")
                        .param("payload", noise(seed, payload));
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
        .endpoints([members.address(members.leader())])
        .user("admin")
        .password(password.trim_end())
        .ca_pem(std::fs::read(members.ca_file())?);
    Ok(runtime.block_on(async { builder.build() })?)
}

/// Bytes that no compression makes smaller.
fn noise(seed: u64, length: usize) -> Value {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    Value::Bytes(bytes)
}

/// Lets a fresh sidecar archive everything; bytes a second behind its first segment, and its memory.
pub(crate) fn archive(s3: &S3, log: &Log, prefix: &str) -> Result<(f64, Resident)> {
    let Log {
        members, port, bytes, ..
    } = log;
    let config = std::fs::read_to_string(members.config_file(0))?;
    let config = config.replace(
        &format!("prefix: {FIRST_PREFIX}\n"),
        &format!("prefix: {prefix}\n"),
    );
    let config = members.write(&format!("{prefix}.yaml"), &config);
    let sidecar = Sidecar::start(s3, config)?;
    let begin = Instant::now();
    let mut first: Option<(Instant, f64)> = None;
    loop {
        ensure!(
            begin.elapsed() < ARCHIVED_WITHIN,
            "the sidecar has not archived everything: {}",
            sidecar.said()
        );
        // Until it listens there is nothing to read.
        let archived = page(*port, "/metrics")
            .map_or(0.0, |page| metric(&page, "geode_backup_wal_archived_bytes_total"));
        let now = Instant::now();
        match first {
            None if archived > 0.0 => first = Some((now, archived)),
            Some((since, already)) if archived >= *bytes as f64 => {
                let rate = (archived - already) / now.duration_since(since).as_secs_f64();
                return Ok((rate, sidecar.resident()?));
            }
            _ => {}
        }
        std::thread::sleep(POLL);
    }
}
