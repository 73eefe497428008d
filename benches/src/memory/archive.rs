//! What a sidecar takes while it archives a log to S3, and how fast it is beside a plain copy of the same files, in turns.

use super::MIB;
use crate::archive::{Log, archive};
use crate::figures::Median;
use crate::process::Resident;
use crate::s3::S3;
use anyhow::{Context, Result, ensure};

const ROUNDS: usize = 3;

pub(crate) struct Archived {
    /// Of the sidecar that took most.
    pub(crate) resident: Resident,
    pub(crate) throughput: String,
    /// Bytes a second of the sidecar and of the plain copy, round by round.
    pub(crate) rates: (Vec<f64>, Vec<f64>),
}

pub(crate) fn measure(mebibytes: usize) -> Result<Archived> {
    let s3 = S3::start()?;
    let log = Log::write(&s3, mebibytes, "")?;
    let (segments, bytes) = (&log.segments, log.bytes);
    let mut largest: Option<Resident> = None;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let prefix = format!("round-{}", 2 * round + turn);
            if (round + turn) % 2 == 0 {
                let (rate, seen) = archive(&s3, &log, &prefix)?;
                ensure!(s3.stored(&prefix)? >= bytes, "the archive is not complete");
                largest = largest.filter(|largest| largest.peak > seen.peak).or(Some(seen));
                ours.push(rate);
            } else {
                plain.push(bytes as f64 / s3.copy(segments, &prefix)?);
            }
            s3.forget(&prefix)?;
        }
        eprintln!("round {}: {:?} {:?}", round + 1, ours.last(), plain.last());
    }
    let ratio = Median::of(ours.iter().zip(&plain).map(|(ours, plain)| ours / plain));
    let (our_rate, plain_rate) = (
        Median::of(ours.iter().map(|rate| rate / MIB)),
        Median::of(plain.iter().map(|rate| rate / MIB)),
    );
    Ok(Archived {
        rates: (ours, plain),
        resident: largest.context("at least one round")?,
        throughput: format!(
            "Archive of {} segments, {:.0} MiB, medians of {ROUNDS} rounds: sidecar {our_rate} MiB/s, plain copy by curl {plain_rate} MiB/s, \
             sidecar ÷ copy **{ratio}** (promised: at least 0.8)",
            segments.len(),
            bytes as f64 / MIB
        ),
    })
}
