//! `cargo xtask test`: all tests of the repository, on this machine.

use crate::cargo::cargo;
use crate::command::passthrough;
use crate::progress::step;
use crate::tools::{self, Tool};
use crate::{e2e, generate, prerequisites};
use anyhow::{Context, Result};

/// Rust tests first (unit, conformance, simulation, processes, API server), then end to end.
pub(crate) fn run() -> Result<()> {
    prerequisites::for_clusters()?;
    // Tests start these themselves, on loopback.
    for tool in [Tool::Versitygw, Tool::Etcd, Tool::KubeApiserver] {
        tools::ensure(tool)?;
    }
    step("Rust tests", rust)?;
    generate::check_install_step()?;
    e2e::run(None)
}

fn rust() -> Result<()> {
    let mut test = cargo("test")?;
    test.args([
        "--locked",
        "--workspace",
        "--exclude",
        "geode-e2e",
        "--exclude",
        "xtask",
        "--no-fail-fast",
    ]);
    passthrough(&mut test).context("Rust tests")
}
