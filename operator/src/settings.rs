//! Flags and environment of the binary, read once.

use clap::{Args, Parser, Subcommand};
use geode_planner::Defaults;

/// Runs Geode databases on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "geode-operator", version, about)]
pub struct Settings {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Looks after the clusters.
    Run(Run),
    /// Prints the CustomResourceDefinitions as YAML.
    Crds,
}

/// How to run.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Namespaces to look after, separated by commas; all when absent.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Image of the servers of new clusters.
    #[arg(long, env = "GEODE_IMAGE", default_value = concat!("geodedb/geode:", env!("CARGO_PKG_VERSION")))]
    pub geode_image: String,
    /// Image of the sidecars of new clusters.
    #[arg(long, env = "SIDECAR_IMAGE", default_value = concat!("geodedb/geode-sidecar:", env!("CARGO_PKG_VERSION")))]
    pub sidecar_image: String,
    /// Namespace of the Lease by which one of several operators is active; without it this one just runs.
    #[arg(long, env = "POD_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Who we are in that Lease.
    #[arg(long, env = "POD_NAME", default_value = "geode-operator")]
    pub identity: String,
    /// Address of probes and metrics.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: String,
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,geode_operator=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

impl Run {
    /// The namespaces to look after; empty for all.
    pub fn namespaces(&self) -> Vec<String> {
        self.watch_namespaces
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// What the planner fills in where a manifest is silent.
    pub fn defaults(&self) -> Defaults {
        Defaults {
            server_image: self.geode_image.clone(),
            sidecar_image: self.sidecar_image.clone(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
