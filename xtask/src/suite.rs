//! `cargo xtask test`: every test that needs no cluster. End to end is `cargo xtask e2e`.

use crate::cargo::{EVERYTHING, cargo};
use crate::progress::step;
use crate::tools::{self, Tool};
use crate::{prerequisites, results};
use anyhow::{Context, Result};

/// Units, conformance, simulation, real processes on loopback, a real API server and a real S3 server.
pub(crate) fn run() -> Result<()> {
    prerequisites::for_builds()?;
    // Tests start these themselves, on loopback.
    tools::ensure_all(&[Tool::Versitygw, Tool::Etcd, Tool::KubeApiserver])?;
    step("Rust tests", rust)
}

fn rust() -> Result<()> {
    let mut test = cargo("test")?;
    test.args(EVERYTHING)
        .args(["--exclude", "geode-e2e", "--no-fail-fast"]);
    results::run(&mut test).context("Rust tests")
}
