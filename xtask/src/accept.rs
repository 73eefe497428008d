//! `cargo xtask accept SCRIPT`: a black-box acceptance script (design.md section 7) against the cluster, with S3.

use crate::command::{output, passthrough};
use crate::{cluster, e2e};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

const NAMESPACE: &str = "accept";
const SECRET: &str = "s3";

/// Makes a namespace with the S3 credentials and runs the script in it.
pub(crate) fn run(script: &Path) -> Result<()> {
    let environment = e2e::install(cluster::DEFAULT_NODES)?;
    let value = |name: &str| {
        environment
            .get(name)
            .cloned()
            .with_context(|| format!("the cluster has no {name}"))
    };
    let kubectl = value("KUBECTL")?;
    let run = |arguments: &[&str]| output(Command::new(&kubectl).args(arguments).envs(&environment));
    run(&[
        "delete",
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--timeout=120s",
    ])?;
    run(&["create", "namespace", NAMESPACE])?;
    let keys = [
        format!("--from-literal=access-key={}", value("S3_ACCESS_KEY")?),
        format!("--from-literal=secret-key={}", value("S3_SECRET_KEY")?),
    ];
    run(&[
        "create", "secret", "generic", SECRET, "-n", NAMESPACE, &keys[0], &keys[1],
    ])?;
    let mut python = Command::new("python3");
    python
        .arg(script)
        .args(["--namespace", NAMESPACE, "--s3-secret", SECRET]);
    python.args([
        "--s3-endpoint",
        &value("S3_ENDPOINT")?,
        "--s3-bucket",
        &value("S3_BUCKET")?,
    ]);
    passthrough(python.envs(&environment)).context("acceptance")
}
