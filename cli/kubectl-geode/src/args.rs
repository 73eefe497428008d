//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Look at Geode databases and talk to them.
#[derive(Debug, Parser)]
#[command(name = "kubectl-geode", bin_name = "kubectl geode", version, about)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that kubectl gets unchanged.
#[derive(Debug, Default, Args)]
pub(crate) struct Global {
    /// Namespace of the cluster; the one of the current context when absent.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Path of the kubeconfig.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Shows members, leader, archive and conditions.
    Status(StatusArgs),
    /// Runs one statement and prints its result.
    Query(QueryArgs),
    /// Opens a shell.
    Shell(ShellArgs),
    /// Moves leadership, without a lost write.
    Promote(PromoteArgs),
    /// Takes a base backup into the archive.
    Backup(BackupArgs),
    /// Puts a restored database in the place of a cluster's own, and takes that back; or makes a new cluster of it.
    Restore(RestoreArgs),
    /// Restores the newest backup into a throw-away pod, asks it, and tells RTO and RPO. The cluster is not touched.
    TestRestore(crate::test_restore::TestRestoreArgs),
    /// Upgrades the members, one at a time, the leader last.
    Upgrade(UpgradeArgs),
    /// Says what a changed manifest would come to, before anything moves.
    Plan(PlanArgs),
    /// Prints the members' logs.
    Logs(LogsArgs),
    /// Says what the operator waits for, since when, and what would unblock it.
    Why(WhyArgs),
    /// Pauses the operator for a cluster until a moment, and lets it go on.
    Maintenance(PauseArgs),
    /// Takes a member out without touching its data, and lets it take part again.
    Fence(FenceArgs),
    /// Stops all members and keeps their volumes, and wakes them.
    Hibernate(HibernateArgs),
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum StatusFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For people who like it.
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// The statement, for example 'MATCH (p:Person) RETURN p.name'.
    pub(crate) text: String,
    /// A parameter, for example --param name='"Ada"'. May be repeated.
    #[arg(long = "param", value_name = "NAME=JSON")]
    pub(crate) params: Vec<String>,
    /// Reads at least the state of this LSN, from the member that is asked.
    #[arg(long, value_name = "LSN")]
    pub(crate) read_lsn: Option<String>,
    /// Pod to ask; the leader's when absent.
    #[arg(long, value_name = "POD")]
    pub(crate) via: Option<String>,
    /// table, json, csv or jsonl.
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json", "csv", "jsonl"])]
    pub(crate) output: String,
}

#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// Pod to run the shell in; the leader's when absent.
    #[arg(long, value_name = "POD")]
    pub(crate) via: Option<String>,
    /// table, json, csv, or jsonl for programs: a request a line, an answer a line.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json", "csv", "jsonl"])]
    pub(crate) format: String,
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// Pod that is to lead; the most caught-up follower when absent.
    #[arg(long, value_name = "POD")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// full, incremental (goes on from the newest backup) or differential (goes on from the newest full one).
    #[arg(long = "type", value_name = "TYPE", default_value = "full", value_parser = ["full", "incremental", "differential"])]
    pub(crate) kind: String,
    /// Waits until it is complete.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct RestoreArgs {
    #[command(subcommand)]
    pub(crate) change: Option<RestoreChange>,
    /// Name of the GeodeCluster.
    #[arg(required = true)]
    pub(crate) name: Option<String>,
    /// The last moment to restore, RFC 3339; everything that is archived when absent.
    #[arg(long, value_name = "TIME", group = "target")]
    pub(crate) to_time: Option<String>,
    /// The last commit to restore, as a write's LSN is printed.
    #[arg(long, value_name = "LSN", group = "target")]
    pub(crate) to_lsn: Option<String>,
    /// The checkpoint to restore.
    #[arg(long, value_name = "NAME", group = "target")]
    pub(crate) to_checkpoint: Option<String>,
    /// s3://bucket/prefix of an archive; the cluster's own and its present database when absent.
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// Only these graphs are kept; the graph without a name is HOME_GRAPH.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) graphs: Vec<String>,
    /// Makes a GeodeCluster of that name instead, with the spec of this manifest.
    #[arg(long, value_name = "FILE", requires = "source", conflicts_with = "preview")]
    pub(crate) new_cluster: Option<String>,
    /// Says what would be restored, and touches nothing.
    #[arg(long)]
    pub(crate) preview: bool,
    /// Waits until it is done.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// What a restore leaves open.
#[derive(Debug, Subcommand)]
pub(crate) enum RestoreChange {
    /// Brings the database from before the restore back.
    Undo(RestoreName),
    /// Takes an undo back: the restored database is used again.
    Redo(RestoreName),
    /// Deletes the volumes that are not in use; what was done stays done.
    Release(RestoreName),
}

#[derive(Debug, Args)]
pub(crate) struct RestoreName {
    /// Name of the GeodeRestore.
    pub(crate) name: String,
    /// Waits until it is done.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// The release to run, for example 0.1.1.
    #[arg(long, value_name = "VERSION", required_unless_present = "turn")]
    pub(crate) to: Option<String>,
    /// Says what would happen, and changes nothing.
    #[arg(long, conflicts_with = "turn")]
    pub(crate) plan: bool,
    /// Waits until every member runs it.
    #[arg(long, conflicts_with_all = ["plan", "turn"])]
    pub(crate) wait: bool,
    /// With an archive: how old the newest base backup may be; a number with s, m, h or d.
    #[arg(long, conflicts_with = "turn", value_name = "DURATION", default_value = "24h")]
    pub(crate) backup_within: String,
    /// Upgrades also without a recent base backup.
    #[arg(long, conflicts_with = "turn")]
    pub(crate) without_backup: bool,
    /// An upgrade stands still where it is.
    #[arg(long, group = "turn", conflicts_with = "to")]
    pub(crate) pause: bool,
    /// An upgrade goes on.
    #[arg(long, group = "turn", conflicts_with = "to")]
    pub(crate) resume: bool,
    /// An upgrade is taken back to what all members ran before.
    #[arg(long, group = "turn", conflicts_with = "to")]
    pub(crate) abort: bool,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// The manifest as it would be; the one that is there when absent.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: Option<String>,
    /// How to print it.
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t)]
    pub(crate) output: PlanFormat,
}

/// How the answer to why is printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum WhyFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: WhyFormat,
}

/// Whether something is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// From now on.
    On,
    /// No more.
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// On or off.
    #[arg(value_enum)]
    pub(crate) switch: Switch,
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// How long: a number with s, m, h or d, at most 7d. Then it ends by itself.
    #[arg(long = "for", value_name = "DURATION", default_value = "1h")]
    pub(crate) duration: String,
    /// Why; shown in the condition Maintenance.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FenceArgs {
    /// On or off.
    #[arg(value_enum)]
    pub(crate) switch: Switch,
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// The member's pod.
    pub(crate) pod: String,
    /// Also when no majority is left: the name of the cluster, to say that this is meant.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_quorum_loss: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HibernateArgs {
    /// On or off.
    #[arg(value_enum)]
    pub(crate) switch: Switch,
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// The name of the cluster once more, to say that its users may be left without it.
    #[arg(long, value_name = "NAME", required_if_eq("switch", "on"))]
    pub(crate) allow_quorum_loss: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name of the GeodeCluster.
    pub(crate) name: String,
    /// Goes on printing.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The sidecars' logs instead of the servers'.
    #[arg(long)]
    pub(crate) sidecar: bool,
    /// Only this pod's; all members' when absent.
    #[arg(long, value_name = "POD")]
    pub(crate) pod: Option<String>,
    /// How many lines of the past.
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    pub(crate) tail: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_namespace_may_stand_where_kubectl_users_put_it() {
        Cli::command().debug_assert();
        for line in [
            "kubectl-geode status a -n db -o json",
            "kubectl-geode -n db status a",
            "kubectl-geode status --namespace db a",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.namespace.as_deref(), Some("db"), "{line}");
        }
    }

    #[test]
    fn an_upgrade_has_a_goal_or_a_turn() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "kubectl-geode upgrade a --to 0.2.0",
            "kubectl-geode upgrade a --to 0.2.0 --plan --backup-within 7d",
            "kubectl-geode upgrade a --pause",
            "kubectl-geode upgrade a --abort",
            "kubectl-geode hibernate on a --allow-quorum-loss a",
            "kubectl-geode hibernate off a",
            "kubectl-geode fence on a a-1",
            "kubectl-geode maintenance on a --for 2h --reason x",
            "kubectl-geode why a -o json",
            "kubectl-geode plan a -f a.yaml --format json",
        ] {
            assert!(parse(line), "{line}");
        }
        for line in [
            "kubectl-geode upgrade a",
            "kubectl-geode upgrade a --pause --abort",
            "kubectl-geode upgrade a --to 0.2.0 --pause",
            "kubectl-geode upgrade a --pause --wait",
            "kubectl-geode hibernate on a",
            "kubectl-geode fence on a",
        ] {
            assert!(!parse(line), "{line}");
        }
    }

    #[test]
    fn a_restore_names_a_cluster_and_one_target_or_what_becomes_of_one() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.verb);
        for line in [
            "kubectl-geode restore a",
            "kubectl-geode restore a --to-lsn 0/5 --preview",
            "kubectl-geode restore a --new-cluster a.yaml --source s3://b/x --wait",
            "kubectl-geode restore undo a-x7 --wait",
            "kubectl-geode restore release a-x7",
        ] {
            assert!(matches!(parse(line), Ok(Verb::Restore(_))), "{line}");
        }
        for line in [
            "kubectl-geode restore",
            "kubectl-geode restore a --to-lsn 0/5 --to-checkpoint b",
            "kubectl-geode restore a --new-cluster a.yaml",
            "kubectl-geode restore a --new-cluster a.yaml --source s3://b/x --preview",
            "kubectl-geode restore undo",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
