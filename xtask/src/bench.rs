//! `cargo xtask bench NAME`: builds Geode and its peer as they are shipped, and measures them side by side (`benches/`).

use crate::cargo::{binary, build};
use crate::command::passthrough;
use crate::prerequisites;
use crate::tools::{self, Tool};
use anyhow::{Context, Result};
use std::process::Command;

/// Runs one benchmark, with further arguments.
pub(crate) fn run(name: &str, arguments: &[String]) -> Result<()> {
    prerequisites::for_builds()?;
    build()?;
    let mut bench = Command::new(binary("geode-benches")?);
    bench
        .arg(name)
        .args(arguments)
        .env("GEODE", binary("geode")?)
        .env("ETCD", tools::ensure(Tool::Etcd)?)
        .env("ETCDLOAD", tools::ensure(Tool::Etcdload)?);
    passthrough(&mut bench).context("the benchmark")
}
