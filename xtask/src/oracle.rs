//! `cargo xtask oracle --queries 10000 --seed 1`: compares the query engine with a naive evaluator (`tests/oracle`).

use crate::cargo::{EVERYTHING, binary, cargo};
use crate::command::passthrough;
use crate::prerequisites;
use anyhow::{Context, Result};
use std::process::Command;

const PROGRAM: &str = "geode-oracle";

/// Builds the oracle and asks it with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    prerequisites::for_builds()?;
    let mut build = cargo("build")?;
    passthrough(build.args(EVERYTHING).args(["--bin", PROGRAM])).context("build the oracle")?;
    passthrough(Command::new(binary(PROGRAM)?).args(arguments)).context("the oracle")
}
