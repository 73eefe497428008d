//! `cargo xtask fuzz [--seconds N] [--target NAME] [--case N]`: runs the fuzzer (`tests/fuzz`).

use crate::cargo::{EVERYTHING, binary, cargo};
use crate::command::passthrough;
use crate::{paths, prerequisites};
use anyhow::{Context, Result};
use std::process::Command;

const PROGRAM: &str = "geode-fuzz";

/// Builds the fuzzer and runs it with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    prerequisites::for_builds()?;
    let mut build = cargo("build")?;
    passthrough(build.args(EVERYTHING).args(["--bin", PROGRAM])).context("build the fuzzer")?;
    let mut fuzzer = Command::new(binary(PROGRAM)?);
    passthrough(fuzzer.args(arguments).current_dir(paths::repository())).context("the fuzzer")
}
