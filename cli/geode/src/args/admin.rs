//! The command line of `geode admin`.

use super::{ClusterArgs, ConnectArgs, CreateArgs, GoalArgs, StoreArgs, parse_duration};
use clap::{ArgAction, Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Print what the member at --host is, whom it follows, and how far it is.
    Status(ClusterArgs),
    /// Print the members of the cluster: the same as `geode cluster status`.
    ClusterStatus(ClusterArgs),
    /// Print the largest lag of a replica behind the primary, whole seconds.
    ReplicationLag(ClusterArgs),
    /// Print the LSN of the last write that the member at --host has applied.
    LastWal(ClusterArgs),
    /// Print the last LSN of the member at --host, its open log file, and how far the archive is.
    WalStatus(ClusterArgs),
    /// Give this moment a name that a restore can go back to: CREATE CHECKPOINT.
    Checkpoint {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The name; made from the time when not given.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Wait until a member, or every member, has everything that is written now.
    WaitForSync {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the member; all when not given.
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
        /// The same.
        #[arg(long, value_name = "MEMBER", conflicts_with = "member")]
        target: Option<String>,
        /// Give up after this long.
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
        timeout: Duration,
    },
    /// Make another member the primary.
    Failover {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the primary now; nothing is done when another one leads.
        #[arg(value_name = "PRIMARY")]
        from: Option<String>,
        /// Name of the next primary; the most caught-up replica when not given.
        #[arg(long, visible_alias = "promote", value_name = "MEMBER")]
        to: Option<String>,
    },
    /// Make a member the primary: the one that is named, or the one at --host.
    Promote {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the member; the one at --host when not given.
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
        /// End the read-only state as well, if it is set.
        #[arg(long)]
        accept_writes: bool,
        /// Understood for the guides' procedures. A majority decides who leads, so there is nothing to force: without one this command fails.
        #[arg(long)]
        force: bool,
        /// As --force. Nothing that was acknowledged is ever given up.
        #[arg(long)]
        accept_data_loss: bool,
    },
    /// Make another member than this one the primary.
    Demote {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the member; the primary when not given.
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
    },
    /// Take a full backup of the server on this machine: the same as `geode backup create`.
    Backup {
        #[command(flatten)]
        create: CreateArgs,
        /// Store the log beside it, so that every moment up to now can be restored: geode wal-archive.
        #[arg(long)]
        include_wal: bool,
        /// Understood for the guides' procedures. Users, topology and settings that are replicated are in every backup; geode.yaml is not.
        #[arg(long)]
        include_config: bool,
    },
    /// Rebuild a data directory from an archive: the same as `geode restore`.
    Restore(AdminRestoreArgs),
    /// Say whether a member may be stopped to be upgraded now, and wait until it runs the version and has everything.
    ///
    /// Whoever runs the servers starts the other version; on Kubernetes the operator does it all: kubectl geode upgrade.
    Upgrade {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the member.
        #[arg(value_name = "MEMBER")]
        member: String,
        /// The version that it is to run.
        #[arg(long, visible_alias = "to", value_name = "VERSION")]
        version: String,
        /// Give up after this long.
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
        timeout: Duration,
    },
    /// Keep the graph as it is until `geode admin set-read-only false`, also over changes of leaders and restarts.
    ReadOnly(ClusterArgs),
    /// Say whether the graph is kept as it is: true or false.
    SetReadOnly(SetReadOnlyArgs),
}

#[derive(Args, Debug)]
pub(crate) struct AdminRestoreArgs {
    /// The archive: s3://bucket/prefix, file:///directory or a directory.
    #[arg(long, visible_alias = "source", value_name = "URL")]
    pub(crate) from: String,
    /// The data directory to make; it must be empty or absent.
    #[arg(
        long,
        visible_alias = "target",
        value_name = "DIR",
        default_value = "./geode-data"
    )]
    pub(crate) data_dir: PathBuf,
    /// Name of the cluster that the restored member begins: to be written as cluster.name into its geode.yaml.
    #[arg(long, value_name = "NAME")]
    pub(crate) target_cluster: Option<String>,
    /// Check the result as `geode verify` does.
    #[arg(long)]
    pub(crate) verify_integrity: bool,
    #[command(flatten)]
    pub(crate) goal: GoalArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: super::Format,
}

#[derive(Args, Debug)]
pub(crate) struct SetReadOnlyArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// true or false.
    #[arg(value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) on: bool,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: super::Format,
}
