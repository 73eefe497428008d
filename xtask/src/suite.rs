//! `cargo xtask test`: every test that needs no cluster. End to end is `cargo xtask e2e`.

use crate::cargo::{EVERYTHING, cargo};
use crate::programs::{self, Program};
use crate::progress::step;
use crate::tools::{self, Tool};
use crate::{alerts, prerequisites, results};
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Programs that run at a time.
const LANES: usize = 2;
/// These take longest and wait half of the time, for an API server and for elections.
const FIRST: [&str; 2] = ["api_server", "cluster"];
/// It keeps every core busy, so it begins when the others are about to end.
const LAST: &str = "simulation";

/// Alert rules, units, conformance, simulation, real processes on loopback, a real API server and a real S3 server.
pub(crate) fn run() -> Result<()> {
    prerequisites::for_builds()?;
    // Tests start these themselves, on loopback.
    tools::ensure_all(&[Tool::Versitygw, Tool::Etcd, Tool::KubeApiserver])?;
    step("alert rules", alerts::test)?;
    let programs = step("building the tests", || programs::build(&mut tests()?))?;
    step("Rust tests", || in_lanes(in_order(programs)))?;
    step("examples in the documentation", || {
        results::run(tests()?.arg("--doc")).context("examples in the documentation")
    })
}

fn tests() -> Result<Command> {
    let mut test = cargo("test")?;
    test.args(EVERYTHING)
        .args(["--exclude", "geode-e2e", "--no-fail-fast"]);
    Ok(test)
}

fn in_order(mut programs: Vec<Program>) -> VecDeque<Program> {
    programs.sort_by_key(|program| match program.name.as_str() {
        name if FIRST.contains(&name) => 0,
        LAST => 2,
        _ => 1,
    });
    programs.into()
}

/// Runs all of them, also when one fails.
fn in_lanes(programs: VecDeque<Program>) -> Result<()> {
    let (waiting, failed) = (Mutex::new(programs), Mutex::new(Vec::new()));
    // On its own, so that the lock is not held while a program runs.
    let next = || locked(&waiting).pop_front();
    let lane = || {
        while let Some(program) = next() {
            if let Err(error) = results::run_quietly(&program.name, &mut program.command()) {
                locked(&failed).push(format!("{}: {error}", program.name));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(lane);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
