//! The command line: every command, flag and help text of `geode`.

mod admin;
mod backup;
mod import;
mod wal;

pub(crate) use admin::{AdminCommand, AdminRestoreArgs};
pub(crate) use backup::{
    ArchiveArgs, BackupCommand, CleanupArgs, CreateArgs, GoalArgs, LocalServerArgs, RestoreArgs, StoreArgs,
};
pub(crate) use import::{EdgeFile, ImportArgs, NodeFile};
pub(crate) use wal::{WalArchiveArgs, WalReplayArgs, WalRestoreArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell as CompletionShell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Geode: a replicated graph database that speaks GQL.
#[derive(Debug, Parser)]
#[command(
    name = "geode",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server.
    ///
    /// Without a configuration it is a single member with its data in ./geode-data, on 127.0.0.1:3141.
    Serve(ServeArgs),
    /// Type statements and see their answers; or drive Geode from a script.
    Shell(ShellArgs),
    /// Run one statement and print its answer.
    Query(QueryArgs),
    /// Load nodes and edges from CSV files or JSON lines.
    Import(ImportArgs),
    /// Greet a server and print how long that took.
    Ping(PingArgs),
    /// Exit with 0 when the server process answers, whether or not its cluster works.
    Health(ProbeArgs),
    /// Exit with 0 when the server answers queries now.
    Ready(ProbeArgs),
    /// Look at the cluster, or move its leadership.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// What an administrator does to a running cluster.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Look into an archive, check it, clean it up, restore from it.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Rebuild a data directory from an archive.
    Restore(RestoreArgs),
    /// Store the log of the server on this machine in an archive, when no sidecar does.
    WalArchive(WalArchiveArgs),
    /// Fetch one segment of the log from an archive into a file.
    WalRestore(WalRestoreArgs),
    /// Rebuild a data directory from a base backup and the log behind it, up to a moment.
    WalReplay(WalReplayArgs),
    /// Check a data directory: checksums, log, and that edges, nodes and indexes agree.
    Verify(VerifyArgs),
    /// Write and read at a fixed rate and print throughput and latencies.
    Bench(BenchArgs),
    /// Write the manual pages of geode and all its commands, for example to /usr/local/share/man/man1.
    Man {
        /// The directory; it is made when it is not there.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: CompletionShell,
    },
}

/// The guides also write `geode backup --list` and `geode backup --verify`.
pub(crate) fn spelled(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if let [_, command, verb, ..] = arguments.as_mut_slice()
        && command == "backup"
    {
        for name in ["list", "verify"] {
            if *verb == format!("--{name}").as_str() {
                *verb = name.into();
            }
        }
    }
    arguments
}

/// Where the database is and who asks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// Address of a member; several with commas between them.
    #[arg(
        long,
        visible_alias = "server",
        env = "GEODE_HOST",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:3141",
        value_delimiter = ','
    )]
    pub(crate) host: Vec<String>,
    /// User name.
    #[arg(long, env = "GEODE_USER", value_name = "NAME", default_value = "admin")]
    pub(crate) user: String,
    /// File that holds the password. The variable GEODE_PASSWORD works too.
    #[arg(long, env = "GEODE_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// CA certificate of the cluster, PEM. For a server on this machine it is found in its data directory.
    #[arg(long, env = "GEODE_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Believe any certificate. The password then goes to whoever answers.
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON value a line.
    Jsonl,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Configuration, YAML or TOML.
    #[arg(long, env = "GEODE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the graph, the log and this member's identity.
    #[arg(long, env = "GEODE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address for clients.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Start a new cluster with this member as its first voter. Once in the life of a cluster; a member that has data ignores it.
    #[arg(long, conflicts_with = "join")]
    pub(crate) cluster_init: bool,
    /// Join the cluster of this member: copy its data, then vote.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) join: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Run these statements (`;` between them) and end.
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) command: Option<String>,
    /// Use a throw-away graph inside this process instead of a server.
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// How answers are printed. With jsonl, requests are read as JSON lines (docs: scripting).
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// The statement.
    #[arg(value_name = "STATEMENT")]
    pub(crate) text: String,
    /// Value of a parameter, JSON; repeatable.
    #[arg(long = "param", value_name = "NAME=JSON")]
    pub(crate) params: Vec<String>,
    /// Answer from this very member, once it has applied this position (the `lsn` of a write).
    #[arg(long, value_name = "LSN")]
    pub(crate) read_lsn: Option<String>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Give up after this long, for example 500ms, 30s or 2m.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Do not run it: name what in it is not of ISO/IEC 39075, one construct a line.
    #[arg(long)]
    pub(crate) flag: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Address of a member, instead of --host.
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Give up after this long.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Print the members, their roles and how far behind they are.
    Status(ClusterArgs),
    /// Print how far each replica is behind the primary.
    Lag(ClusterArgs),
    /// Exit with 0 when there is a primary and every member is online.
    Health {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Print every check.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Make another member the primary.
    Failover {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the member; the most caught-up replica when not given.
        #[arg(long, value_name = "NAME")]
        promote: Option<String>,
        /// Understood for the guides' procedures. A majority decides who leads, so there is nothing to force: without one this command fails.
        #[arg(long)]
        force: bool,
    },
    /// Print the LSN of the last write that the member at --host has applied.
    LastTransaction(ClusterArgs),
    /// Print who led and who was a member, as the member at --host saw it since it started.
    Events {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Only these: failover, member_joined or member_left.
        #[arg(long = "type", value_name = "TYPE", value_parser = ["failover", "member_joined", "member_left"])]
        kind: Option<String>,
    },
    /// Make another member than this one the primary: the same as `geode admin demote`.
    Demote {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Name of the member; the primary when not given.
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// How it is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Print every figure; it is always done.
    #[arg(long, short, hide = true)]
    pub(crate) verbose: bool,
    /// The data directory. Its server must not run.
    #[arg(
        long,
        env = "GEODE_DATA_DIR",
        value_name = "DIR",
        default_value = "./geode-data"
    )]
    pub(crate) data_dir: PathBuf,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Operations a second over all clients; 0 for as many as possible.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) rate: u32,
    /// How long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// Operations in flight at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) clients: u32,
    /// How many of 100 operations are writes.
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) writes: u32,
    /// Bytes of payload in every node that is written.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub(crate) value_bytes: u32,
    /// Leave what was written in the graph.
    #[arg(long)]
    pub(crate) keep: bool,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Reads `500ms`, `30s`, `10m`, `1h`; a bare number means seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let seconds_each = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "{text:?} is not a time; write it like 500ms, 30s, 10m or 1h"
            ));
        }
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a time; write it like 500ms, 30s, 10m or 1h"))?;
    Duration::try_from_secs_f64(number * seconds_each).map_err(|_| format!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// disaster-recovery: "Point-in-Time Recovery", "Full Restore from Backup"; high-availability-guide: "Manual Failover".
    #[test]
    fn the_guides_other_spellings_are_understood() {
        for line in [
            "geode backup --list --dest s3://b/p --before 2026-01-28T00:00:00Z --type full --format json",
            "geode backup --verify --dest s3://b/p --backup-id x",
            "geode backup verify --file /backups/x",
            "geode backup create --output /backups/x --compress",
            "geode restore --source s3://b/p --backup-id x --target /d --pitr-timestamp 2026-01-28T00:00:00Z",
            "geode restore --source s3://b/p --backup-id x --target /d --include-incrementals",
            "geode restore --source s3://b/p --wal-source s3://b/p --target-time 2026-01-28T14:30:00Z --target /d",
            "geode backup restore --input /backups/x --data-dir /d --include-graphs social_network,analytics",
            "geode backup restore --input /backups/x --data-dir /d --exclude-graphs temp_data,staging",
            "geode cluster failover --force",
            "geode cluster demote primary-1",
            "geode verify --data-dir /d --verbose",
            "geode wal-archive --since-checkpoint --output /backups/wal",
            "geode wal-replay --wal-archive /backups/wal/ --target-time 2025-01-24T15:30:00Z --data-dir /d",
            "geode wal-restore 1-2.seg /d/x --source s3://b/p",
            "geode admin backup --include-config --include-wal --output /backups/x",
            "geode admin restore --from /backups/x --target-cluster new-cluster --verify-integrity",
            "geode admin upgrade follower1 --version 0.1.4",
        ] {
            let words = line.split(' ').map(OsString::from);
            let parsed = Cli::try_parse_from(spelled(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn an_unknown_flag_is_refused_with_the_nearest_right_one() {
        let error = Cli::try_parse_from(["geode", "query", "--formt", "json", "RETURN 1"]).unwrap_err();
        assert!(error.to_string().contains("--format"), "{error}");
    }

    #[test]
    fn times_have_units() {
        let cases = [
            ("500ms", 500),
            ("2", 2000),
            ("1.5s", 1500),
            ("10m", 600_000),
            ("1h", 3_600_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "1 d", "-1s", "1e400"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn several_hosts_are_separated_by_commas() {
        let cli = Cli::try_parse_from(["geode", "ping", "--server", "a:1,b:2"]).unwrap();
        let Command::Ping(ping) = cli.command else {
            panic!("not a ping")
        };
        assert_eq!(ping.connect.host, ["a:1", "b:2"]);
    }
}
