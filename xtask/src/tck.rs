//! `cargo xtask tck --features DIR`: runs the openCypher kit (`tests/tck`). The kit itself is not part of this repository.

use crate::cargo::{EVERYTHING, binary, cargo};
use crate::command::passthrough;
use crate::prerequisites;
use anyhow::{Context, Result};
use std::process::Command;

const PROGRAM: &str = "geode-tck";

/// Builds the runner and runs it with these arguments, where this command was called.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    prerequisites::for_builds()?;
    let mut build = cargo("build")?;
    passthrough(build.args(EVERYTHING).args(["--bin", PROGRAM])).context("build the runner of the kit")?;
    passthrough(Command::new(binary(PROGRAM)?).args(arguments)).context("the openCypher kit")
}
