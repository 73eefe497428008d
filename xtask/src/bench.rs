//! `cargo xtask bench NAME`: builds Geode and its peers as they are shipped, and measures them side by side (`benches/`).

use crate::cargo::{binary, build};
use crate::command::passthrough;
use crate::tools::{self, Tool};
use crate::{images, paths, peers, prerequisites};
use anyhow::{Context, Result};
use std::process::Command;

/// Runs one benchmark, with further arguments.
pub(crate) fn run(name: &str, arguments: &[String]) -> Result<()> {
    prerequisites::for_builds()?;
    build()?;
    let mut bench = Command::new(binary("geode-benches")?);
    bench.arg(name).args(arguments).env("GEODE", binary("geode")?);
    bench.env("BENCH_OUTPUT", paths::repository().join("target/bench"));
    match name {
        "write" => {
            bench
                .env("ETCD", tools::ensure(Tool::Etcd)?)
                .env("ETCDLOAD", tools::ensure(Tool::Etcdload)?);
        }
        "graph-small" | "social" => {
            let peers = peers::ensure()?;
            bench
                .env("PEER_PYTHON", peers.python)
                .env("PEER_SCRIPTS", peers.scripts)
                .env("PEER_JARS", peers.jars);
        }
        "memory" => {
            images::run()?;
            bench
                .env("SIDECAR", binary("geode-sidecar")?)
                .env("OPERATOR", binary("geode-operator")?)
                .env("VERSITYGW", tools::ensure(Tool::Versitygw)?)
                .env("ETCD", tools::ensure(Tool::Etcd)?)
                .env("KUBE_APISERVER", tools::ensure(Tool::KubeApiserver)?)
                .env("KUBECTL", tools::ensure(Tool::Kubectl)?)
                .env("INSTALL", paths::repository().join("manifests/install.yaml"))
                .env("IMAGES", paths::cache()?.join("images"));
        }
        "backup" | "backup-latency" | "pitr" => {
            if name == "backup" {
                prerequisites::for_backup_bench()?;
            }
            bench
                .env("SIDECAR", binary("geode-sidecar")?)
                .env("VERSITYGW", tools::ensure(Tool::Versitygw)?);
        }
        // The program itself knows which there are.
        _ => {}
    }
    passthrough(&mut bench).context("the benchmark")
}
