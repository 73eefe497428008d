//! `cargo xtask demo`: the main job, from nothing to a graph that survived its leader and came back from S3. What it does on the cluster
//! is in `e2e/src/bin/demo.rs`, which speaks only kubectl, as a user would.

use crate::cargo::{build, cargo};
use crate::command::passthrough;
use crate::progress::step;
use crate::{cluster, e2e, prerequisites};
use anyhow::{Context, Result};

/// Brings everything up and runs it.
pub(crate) fn run() -> Result<()> {
    prerequisites::for_clusters()?;
    let mut environment = e2e::install(cluster::DEFAULT_NODES)?;
    let geode = step("building geode", || build(&[("geode-cli", "geode")]))?.remove(0);
    environment.insert("GEODE".to_owned(), geode.display().to_string());
    let mut demo = cargo("run")?;
    demo.args(["--locked", "--quiet", "--package", "geode-e2e", "--bin", "demo"])
        .envs(environment);
    passthrough(&mut demo).context("the demo")
}
