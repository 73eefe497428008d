//! `cargo xtask e2e [NAME] [--all]`: the end-to-end tests on a real Kubernetes, with images and operator of this checkout. Those that CI has no time
//! for run with `--all`, which writes their report.

use crate::cargo::{EVERYTHING, cargo};
use crate::command::output;
use crate::generate::OPERATOR_NAMESPACE;
use crate::progress::step;
use crate::tools::{self, Tool};
use crate::{cluster, images, paths, results};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Scaling to five members needs five nodes, as members never share one.
const NODES: u32 = 5;

/// Variables that scripts and tests need to use the cluster.
pub(crate) type Environment = BTreeMap<String, String>;

/// Brings the cluster up, installs the operator, runs the tests whose name contains `filter`; the long ones too with `all`.
pub(crate) fn run(filter: Option<&str>, all: bool) -> Result<()> {
    let mut environment = install(NODES)?;
    let mut others = images::next()?;
    if all {
        others.extend(images::before::archives()?);
        environment.insert(
            "GEODE_BEFORE_VERSION".to_owned(),
            images::before::BEFORE.to_owned(),
        );
    }
    cluster::load(&others)?;
    let promtool = tools::ensure(Tool::Promtool)?;
    environment.insert("PROMTOOL".to_owned(), promtool.display().to_string());
    environment.insert("GEODE_NEXT_VERSION".to_owned(), images::NEXT.to_owned());
    let mut test = cargo("test")?;
    test.args(EVERYTHING).args(["--test", "e2e", "--"]).args(filter);
    test.envs(environment);
    match filter {
        // Somebody looks on.
        Some(_) => test.args(["--test-threads", "1", "--nocapture"]),
        // They wait most of the time; what disturbs others asks to be alone.
        None => test.args(["--test-threads", "2", "--show-output"]),
    };
    match (all, filter) {
        (false, _) => results::run(&mut test),
        (true, Some(_)) => results::run(test.arg("--include-ignored")),
        (true, None) => results::run_and_report(test.arg("--include-ignored"), &head()?),
    }
    .context("end-to-end tests")
}

/// What the report begins with: which programs were tested, and when.
fn head() -> Result<String> {
    let commit = output(Command::new("git").args(["log", "-1", "--format=%h, %cs"]))?;
    Ok(format!(
        "# The last run of all end-to-end tests\n\nWritten by `cargo xtask e2e --all` on commit {}. CI runs all but the tests that are marked as long.",
        commit.trim()
    ))
}

/// A cluster with this checkout's images and operator; returns the environment for kubectl, the plugin and the tests.
pub(crate) fn install(nodes: u32) -> Result<Environment> {
    cluster::up(nodes)?;
    images::run()?;
    cluster::load(&images::built()?)?;
    let helm = tools::ensure(Tool::Helm)?;
    let mut environment = cluster::environment()?;
    // Faults of nodes and services are this program's.
    let own = std::env::current_exe().context("the path of xtask")?;
    environment.insert("XTASK".to_owned(), own.display().to_string());
    environment.insert(
        "GEODE_OPERATOR_NAMESPACE".to_owned(),
        OPERATOR_NAMESPACE.to_owned(),
    );
    step("installing the operator with Helm", || {
        install_operator(&helm, &environment)
    })?;
    Ok(environment)
}

fn install_operator(helm: &Path, environment: &Environment) -> Result<()> {
    let chart = paths::repository().join("charts/geode-operator");
    let mut command = Command::new(helm);
    command
        .args(["upgrade", "--install", "geode-operator"])
        .arg(chart);
    command.args([
        "--namespace",
        OPERATOR_NAMESPACE,
        "--create-namespace",
        "--wait",
        "--timeout",
        "120s",
    ]);
    // The images of a checkout change under one version: restart the operator when its image did.
    command.args([
        "--set-string",
        &format!(
            "podAnnotations.image-digest={}",
            images::digest("geode-operator")?
        ),
    ]);
    if let Some(registry) = environment.get(cluster::REGISTRY_VARIABLE) {
        for (value, program) in [
            ("image.repository", "geode-operator"),
            ("databaseImages.server", "geode"),
            ("databaseImages.sidecar", "geode-sidecar"),
        ] {
            let name = images::repository(program);
            command.args(["--set-string", &format!("{value}={registry}/{name}")]);
        }
    }
    crate::command::output(command.envs(environment)).map(drop)
}
