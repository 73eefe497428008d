//! `cargo xtask demo`: the main job, from nothing to a graph that survived its leader and came back from S3. What it does on the cluster
//! is in `e2e/src/bin/demo.rs`, which speaks only kubectl, as a user would.

use crate::cargo::binary;
use crate::command::passthrough;
use crate::{cluster, e2e};
use anyhow::{Context, Result};
use std::process::Command;

/// Brings everything up and runs it.
pub(crate) fn run() -> Result<()> {
    let environment = e2e::install(cluster::DEFAULT_NODES)?;
    passthrough(Command::new(binary("demo")?).envs(environment)).context("the demo")
}
