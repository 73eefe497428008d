//! Durable small writes and linearizable point reads, three members each on loopback with TLS and fsync, Geode and etcd in turns.

use crate::etcd::Etcd;
use crate::figures::{Figures, Median, measure};
use crate::goals::{Better, Goals};
use crate::process::cpu_seconds;
use crate::program;
use anyhow::{Context, Result, ensure};
use geode_tests::members::Members;
use std::process::Command;
use std::time::Duration;

/// Bytes of payload of a write.
pub(crate) const VALUE_BYTES: u32 = 256;
/// The operations, by the names that both load generators report.
pub(crate) const WRITE: &str = "write";
pub(crate) const READ: &str = "read";
const MEMBERS: usize = 3;
const CLIENTS: [u32; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 5;
const SECONDS: u64 = 3;

/// One of the figures.
type Figure = fn(&Figures) -> f64;

/// One row of the report.
struct Row {
    operation: &'static str,
    clients: u32,
    geode: Vec<Figures>,
    etcd: Vec<Figures>,
}

/// Prints the ratios. Arguments: rounds and seconds of a run, and the rows (`read/64`, `failover`), when not all are wanted.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let number = |at: usize, usual: u64| match arguments.get(at) {
        Some(text) => text.parse().with_context(|| format!("{text:?} is not a number")),
        None => Ok(usual),
    };
    let (rounds, seconds) = (number(0, ROUNDS as u64)?, number(1, SECONDS)?);
    ensure!(rounds > 0 && seconds > 0, "at least one round of a second");
    let wanted = arguments.get(2..).unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|row| row == name);
    let duration = Duration::from_secs(seconds);
    let (mut geode, mut etcd) = (Members::cluster(&program("GEODE")?, MEMBERS), Etcd::start()?);
    eprintln!(
        "geode and etcd run; the data of etcd lie in {}",
        etcd.folder().display()
    );
    let mut rows: Vec<Row> = [WRITE, READ]
        .into_iter()
        .flat_map(|operation| CLIENTS.map(|clients| (operation, clients)))
        .filter(|(operation, clients)| is_wanted(&format!("{operation}/{clients}")))
        .map(|(operation, clients)| Row {
            operation,
            clients,
            geode: Vec::new(),
            etcd: Vec::new(),
        })
        .collect();
    for round in 0..rounds {
        for row in &mut rows {
            // Whoever is first may find another machine than whoever is second.
            for turn in 0..2 {
                if (round + turn) % 2 == 0 {
                    let mut load = geode_load(&geode, row.clients, duration, row.operation);
                    row.geode
                        .push(measure(&mut load, row.operation, || cpu_seconds(&geode.pids()))?);
                } else {
                    let mut load = etcd.load(row.clients, duration, row.operation == READ)?;
                    row.etcd
                        .push(measure(&mut load, row.operation, || cpu_seconds(&etcd.pids()))?);
                }
            }
            eprintln!(
                "round {} of {rounds}: {} with {} clients: {:?} {:?}",
                round + 1,
                row.operation,
                row.clients,
                row.geode.last(),
                row.etcd.last()
            );
        }
    }
    println!("{}", report(&rows, rounds, seconds));
    let mut goals = Goals::new("write");
    for row in &rows {
        row.goals(&mut goals);
    }
    if is_wanted("failover") {
        println!(
            "{}",
            crate::failover::run(&mut geode, &mut etcd, rounds, &mut goals)?
        );
    }
    goals.finish()
}

impl Row {
    /// At least as fast as etcd, and with no more processor time.
    fn goals(&self, goals: &mut Goals) {
        let figures: [(&str, Figure, Better); 3] = [
            ("rate", |figures| figures.rate, Better::Larger),
            ("p99", |figures| figures.p99_ms, Better::Smaller),
            ("cpu", |figures| figures.cpu, Better::Smaller),
        ];
        for (name, figure, better) in figures {
            let of = |samples: &[Figures]| samples.iter().map(figure).collect::<Vec<f64>>();
            let row = format!("{}/{}/{name}", self.operation, self.clients);
            goals.beside(&row, &of(&self.geode), &of(&self.etcd), better, 1.0);
        }
    }
}

/// A load for Geode, whose members all run.
pub(crate) fn geode_load(geode: &Members, clients: u32, duration: Duration, operation: &str) -> Command {
    let writes = if operation == WRITE { "100" } else { "0" };
    let all: Vec<usize> = (0..geode.pids().len()).collect();
    let mut command = geode.command_for(&all, "bench");
    command
        .args([
            "--rate",
            "0",
            "--clients",
            &clients.to_string(),
            "--writes",
            writes,
        ])
        .args(["--duration", &format!("{}ms", duration.as_millis())])
        .args([
            "--value-bytes",
            &VALUE_BYTES.to_string(),
            "--keep",
            "--format",
            "json",
        ]);
    command
}

fn report(rows: &[Row], rounds: u64, seconds: u64) -> String {
    let mut text = format!(
        "Medians of {rounds} rounds of {seconds} s, {VALUE_BYTES} bytes a write; ± is half of the range. Ratios are Geode ÷ etcd.\n\n\
         | operation | clients | Geode /s | etcd /s | rate | p99 ms Geode | p99 ms etcd | p99 | CPU s / 1,000 Geode | etcd | CPU |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let cells = |figure: Figure| {
            let (geode, etcd) = (
                Median::of(row.geode.iter().map(figure)),
                Median::of(row.etcd.iter().map(figure)),
            );
            let ratio = Median::of(
                row.geode
                    .iter()
                    .zip(&row.etcd)
                    .map(|(geode, etcd)| figure(geode) / figure(etcd)),
            );
            format!("{geode} | {etcd} | **{ratio}**")
        };
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            row.operation,
            row.clients,
            cells(|figures| figures.rate),
            cells(|figures| figures.p99_ms),
            cells(|figures| figures.cpu)
        );
    }
    text
}
