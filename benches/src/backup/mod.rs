//! Archiving a log to S3 and restoring it, beside pgBackRest on PostgreSQL 15: the same S3 server over TLS, the same compressor, as many
//! processes as cores, the same bytes in as many writes, in turns.
//!
//! A restore begins with an empty folder and ends with the answer to a query that counts what was written.

mod desk;
mod geode;
pub(crate) mod latency;
pub(crate) mod pitr;
mod postgres;

use crate::archive::{Log, archive};
use crate::figures::Median;
use crate::goals::{Better, Goals};
use crate::memory::{MEMORY_MAX, MIB};
use crate::s3::S3;
use anyhow::{Context, Result, ensure};
use postgres::Postgres;
use std::fmt::Display;

const ROUNDS: usize = 3;
const MEBIBYTES: usize = 2048;
const EXPECTED: geode::Expected = geode::Expected {
    count: "MATCH (b:Blob) RETURN count(*)",
    answer: crate::archive::WRITES,
};

/// Prints the ratios. Argument: MiB of log, when others than usual are wanted.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mebibytes = match arguments.first() {
        Some(text) => text
            .parse()
            .with_context(|| format!("{text:?} is not a number"))?,
        None => MEBIBYTES,
    };
    ensure!(mebibytes >= 8, "at least 8 MiB");
    let s3 = S3::start_secure()?;
    let mut postgres = Postgres::start(&s3)?;
    postgres.write(mebibytes)?;
    let log = Log::write(&s3, mebibytes, "  backlog_max: 64Gi\n")?;
    let mut rates = Rounds::default();
    let mut seconds = Rounds::default();
    let mut peak: f64 = 0.0;
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let prefix = format!("round-{round}");
            if (round + turn) % 2 == 0 {
                let (rate, resident) = archive(&s3, &log, &prefix)?;
                peak = peak.max(resident.peak / MIB);
                rates.ours.push(rate / MIB);
                seconds
                    .ours
                    .push(geode::restore(&s3, &prefix, &[], &EXPECTED)?.seconds);
                s3.forget(&prefix)?;
            } else {
                rates.theirs.push(postgres.archive(round)? / MIB);
                seconds.theirs.push(postgres.restore()?);
            }
        }
        eprintln!(
            "round {}: archived {:?} and {:?} MiB/s, restored in {:?} and {:?} s",
            round + 1,
            rates.ours.last(),
            rates.theirs.last(),
            seconds.ours.last(),
            seconds.theirs.last()
        );
    }
    println!(
        "{mebibytes} MiB in {} writes, medians of {ROUNDS} rounds; ± is half of the range.\n\n\
         | what | Geode | pgBackRest {} | Geode is so many times as fast |\n|---|---|---|---|\n{}{}\n\
         The sidecar took {peak:.0} MiB at most.\n",
        crate::archive::WRITES,
        postgres::version()?,
        rates.row("archive, MiB/s", Better::Larger),
        seconds.row("restore until a query is answered, s", Better::Smaller),
    );
    let mut goals = Goals::new("backup");
    goals.beside("archive", &rates.ours, &rates.theirs, Better::Larger, 1.0);
    goals.beside("restore", &seconds.ours, &seconds.theirs, Better::Smaller, 1.0);
    goals.within("sidecar-memory", peak, MEMORY_MAX);
    goals.finish()
}

/// Figures of both, round by round.
#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Rounds {
    fn row(&self, what: impl Display, better: Better) -> String {
        let ratio = Median::of(better.ratios(&self.ours, &self.theirs));
        let (ours, theirs) = (
            Median::of(self.ours.iter().copied()),
            Median::of(self.theirs.iter().copied()),
        );
        format!("| {what} | {ours} | {theirs} | **{ratio}** |\n")
    }
}
