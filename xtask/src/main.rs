//! `cargo xtask`: everything that a developer or CI does with this repository beyond `cargo build`.
//!
//! One module a command; what they share is [`tools`] (outside programs), [`command`] (running them), [`progress`] and
//! [`paths`]. Depends on none of Geode's crates, so that it is compiled in seconds on a fresh machine.

mod accept;
mod alerts;
mod bench;
mod cargo;
mod cluster;
mod command;
mod demo;
mod deny;
mod e2e;
mod faults;
mod fuzz;
mod generate;
mod guides;
mod images;
mod mutants;
mod oracle;
mod paths;
mod peers;
mod prerequisites;
mod programs;
mod progress;
mod results;
mod suite;
mod tck;
mod tidy;
mod tools;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Tasks of the Geode repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// From nothing to a replicated graph that survived the loss of its leader.
    Demo,
    /// Every test that needs no cluster: units to real processes, a real API server, a real S3 server.
    Test,
    /// Format, lints, generated files and the rules of the repository.
    Verify,
    /// The rules of the repository: arrows between crates, sizes of files.
    Tidy,
    /// Write the files that are made from others.
    Generate,
    /// End-to-end tests on a real Kubernetes.
    E2e {
        /// Only tests whose name contains this.
        filter: Option<String>,
        /// Also the tests that CI has no time for, with programs of an earlier commit; without a name, write docs/e2e-report.md.
        #[arg(long)]
        all: bool,
    },
    /// Run a black-box acceptance script against a cluster with the operator.
    Accept {
        /// The script.
        script: PathBuf,
    },
    /// Write docs/fault-matrix.md: which test shows what a fault does, and how it ended last.
    Faults,
    /// Geode beside a peer, in ratios.
    Bench {
        /// Which: write, instructions, graph-small, social, memory, backup, backup-latency, pitr.
        name: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// The openCypher kit: how many of its scenarios pass.
    Tck(Arguments),
    /// Are the statements of the guides in this folder all among the tests, and as they are printed there?
    Guides {
        /// The folder.
        guides: PathBuf,
    },
    /// Feed parser, binder, wire values and keys with bent input, from a committed corpus.
    Fuzz(Arguments),
    /// Random statements and mixes of transactions: the query engine beside a naive evaluator.
    Oracle(Arguments),
    /// Break something on purpose, one thing at a time, and see which test notices.
    Mutants {
        /// Only this one.
        name: Option<String>,
    },
    /// Build the static binaries and write their images.
    Images,
    /// A real Kubernetes on this machine, with S3.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// kubectl of the cluster's version, for the cluster.
    Kubectl(Arguments),
    /// Helm, for the cluster.
    Helm(Arguments),
    /// Check manifests against schemas.
    Kubeconform(Arguments),
}

/// What is passed on to another program.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Demo => demo::run(),
        Task::Test => suite::run(),
        Task::Verify => verify::run(),
        Task::Tidy => tidy::run(),
        Task::Generate => generate::run(),
        Task::E2e { filter, all } => e2e::run(filter.as_deref(), all),
        Task::Accept { script } => accept::run(&script),
        Task::Faults => faults::run(),
        Task::Bench { name, arguments } => bench::run(&name, &arguments),
        Task::Tck(with) => tck::run(&with.arguments),
        Task::Guides { guides } => guides::run(&guides),
        Task::Fuzz(with) => fuzz::run(&with.arguments),
        Task::Oracle(with) => oracle::run(&with.arguments),
        Task::Mutants { name } => mutants::run(name.as_deref()),
        Task::Images => images::run(),
        Task::Cluster(command) => cluster::run(command),
        Task::Kubectl(with) => tools::run(tools::Tool::Kubectl, &with.arguments),
        Task::Helm(with) => tools::run(tools::Tool::Helm, &with.arguments),
        Task::Kubeconform(with) => tools::run(tools::Tool::Kubeconform, &with.arguments),
    }
}
