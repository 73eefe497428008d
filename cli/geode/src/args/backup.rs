//! The flags of `geode backup` and `geode restore`.

use super::Format;
use clap::{Args, Subcommand};
use geode_types::{BackupKind, Compression, GraphSelection};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How an object store is reached, and the keys of what is sealed there.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreArgs {
    /// Endpoint of the object store, when it is not the service's own.
    #[arg(long, env = "GEODE_S3_ENDPOINT", value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket.
    #[arg(long, env = "AWS_REGION", value_name = "NAME", default_value = "us-east-1")]
    pub(crate) region: String,
    /// Storage account of an archive in Azure.
    #[arg(long, env = "AZURE_STORAGE_ACCOUNT_NAME", value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Keys of a sealed archive: a file with a line a key, 64 hexadecimal digits, the first one seals; or a directory with a file a key.
    #[arg(
        long,
        visible_alias = "encryption-keys",
        env = "GEODE_ENCRYPTION_KEY_FILE",
        value_name = "PATH"
    )]
    pub(crate) encryption_key_file: Option<PathBuf>,
}

/// The server on this machine, by its internal port.
#[derive(Args, Debug)]
pub(crate) struct LocalServerArgs {
    /// The internal port of the server.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3142")]
    pub(crate) internal: SocketAddr,
    /// The server's data directory, for its certificates.
    #[arg(
        long,
        env = "GEODE_DATA_DIR",
        value_name = "DIR",
        default_value = "./geode-data"
    )]
    pub(crate) data_dir: PathBuf,
}

/// Where an archive is.
#[derive(Args, Clone, Debug)]
pub(crate) struct ArchiveArgs {
    /// The archive: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///directory or a directory; of a cluster, of one incarnation of it, or down to one backup.
    #[arg(long, visible_aliases = ["input", "dest", "file"], value_name = "URL")]
    pub(crate) source: Option<String>,
    /// The backup that is meant, by its name (`id` in lists), when the archive is not written down to it.
    #[arg(long, value_name = "NAME")]
    pub(crate) backup_id: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// A copy of the archive (spec.archive.drCopy), at the same endpoint: read for what is missing or damaged.
    #[arg(long, value_name = "URL")]
    pub(crate) copy: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BackupCommand {
    /// Take a backup of the server on this machine, through its internal port.
    Create(CreateArgs),
    /// Print the backups and the WAL segments of the newest incarnation.
    List {
        #[command(flatten)]
        archive: ArchiveArgs,
        /// Print a full backup and those that go on from it: its location, name or index, or nothing for the newest one.
        #[arg(long, value_name = "BACKUP", num_args = 0..=1, default_missing_value = "")]
        chain: Option<String>,
        /// Only backups of this type: full, incremental or differential.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<BackupKind>,
        /// Only backups that were complete before this time.
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
        /// How they are printed: table or json.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Read every object and compare it with what was stored; look for holes. Fails when something is damaged or missing. Of one backup, when it is named: it and
    /// the WAL that it needs.
    Verify {
        #[command(flatten)]
        archive: ArchiveArgs,
        /// Read every object. Both checks are made when none is asked for.
        #[arg(long)]
        check_checksums: bool,
        /// Look for holes, and for backups that cannot be restored, in what is listed.
        #[arg(long)]
        check_consistency: bool,
        /// How the result is printed: table or json.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Restore into a temporary directory, check the result, and run queries on it. Nothing of it is kept.
    TestRestore(crate::test_restore::TestRestoreArgs),
    /// Delete backups and WAL segments that need not be kept any more.
    Cleanup(CleanupArgs),
    /// Rebuild a data directory from an archive: the same as `geode restore`.
    Restore(RestoreArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// The archive: a directory, file:///directory or s3://bucket/prefix. An incremental backup goes where the server's log is archived.
    #[arg(long, visible_alias = "target", value_name = "PLACE")]
    pub(crate) output: String,
    /// full, incremental (goes on from the newest backup) or differential (goes on from the newest full one).
    #[arg(long = "type", value_name = "TYPE", default_value = "full")]
    pub(crate) kind: BackupKind,
    /// The backup to go on from, by its location or name; the newest that fits when absent.
    #[arg(long, value_name = "BACKUP")]
    pub(crate) base_backup: Option<String>,
    /// none, gzip, lz4 or zstd; zstd when absent.
    #[arg(
        long,
        visible_alias = "compression",
        value_name = "KIND",
        num_args = 0..=1,
        default_missing_value = "zstd"
    )]
    pub(crate) compress: Option<Compression>,
    /// Blocks that are compressed at the same time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// Seal it with AES-256-GCM. A key file alone means the same.
    #[arg(long)]
    pub(crate) encrypt: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) server: LocalServerArgs,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct CleanupArgs {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    /// Every moment of this time can be restored afterwards, for example 30d.
    #[arg(long, value_name = "DAYS", value_parser = parse_days)]
    pub(crate) older_than: u32,
    /// So many base backups stay, however old they are.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep_min: u32,
    /// Incremental and differential backups go after this time; `--older-than` when absent.
    #[arg(long, value_name = "DAYS", value_parser = parse_days)]
    pub(crate) incremental_older_than: Option<u32>,
    /// So many incremental and differential backups stay, however old they are.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) keep_min_incremental: u32,
    /// The WAL goes after this time; `--older-than` when absent.
    #[arg(long, value_name = "DAYS", value_parser = parse_days)]
    pub(crate) wal_older_than: Option<u32>,
    /// Print what would be deleted, and delete nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How it is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Objects that a restore reads at the same time when nothing is said.
const RESTORE_PARALLEL: u16 = 4;

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    /// The data directory to make; it must be empty or absent.
    #[arg(long, visible_alias = "data-dir", value_name = "DIR")]
    pub(crate) target: PathBuf,
    #[command(flatten)]
    pub(crate) goal: GoalArgs,
    /// The archive of the log, when `--input` is one backup: then the restore goes on from it. It is the one that the backup lies in.
    #[arg(long, visible_alias = "wal-source", value_name = "URL")]
    pub(crate) wal_archive: Option<String>,
    /// Restore what the backup goes on from, too. That is always done.
    #[arg(long)]
    pub(crate) restore_chain: bool,
    /// With a backup: restore all incremental and differential backups that go on from it, too.
    #[arg(long)]
    pub(crate) include_incrementals: bool,
    /// Go on from an earlier restore. Refused, with what to write instead: a restore begins with the full backup.
    #[arg(long, hide = true)]
    pub(crate) incremental: bool,
    /// Only these graphs are restored; the graph without a name is HOME_GRAPH.
    #[arg(long, visible_alias = "graphs", value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) include_graphs: Vec<String>,
    /// All graphs but these are restored.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        conflicts_with = "include_graphs"
    )]
    pub(crate) exclude_graphs: Vec<String>,
    /// Objects that are read at the same time.
    #[arg(long, value_name = "N", default_value_t = RESTORE_PARALLEL, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl RestoreArgs {
    /// The graphs that are kept.
    pub(crate) fn graphs(&self) -> GraphSelection {
        let names = |given: &[String]| given.iter().map(|name| name.trim().to_owned()).collect();
        if !self.include_graphs.is_empty() {
            GraphSelection::Only(names(&self.include_graphs))
        } else if !self.exclude_graphs.is_empty() {
            GraphSelection::Without(names(&self.exclude_graphs))
        } else {
            GraphSelection::All
        }
    }

    /// The restore that another command is: everything of an archive up to a goal into a directory, and nothing else said.
    pub(crate) fn of(
        source: String,
        store: StoreArgs,
        target: PathBuf,
        goal: GoalArgs,
        format: Format,
    ) -> Self {
        Self {
            archive: ArchiveArgs {
                source: Some(source),
                store,
                copy: None,
                backup_id: None,
            },
            target,
            goal,
            wal_archive: None,
            restore_chain: true,
            include_incrementals: false,
            incremental: false,
            include_graphs: Vec::new(),
            exclude_graphs: Vec::new(),
            parallel: RESTORE_PARALLEL,
            format,
        }
    }
}

/// How far a restore goes; everything that is archived when nothing is said.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub(crate) struct GoalArgs {
    /// The state at this time, for example 2026-01-28T14:30:00Z; UTC when no zone is given.
    #[arg(long, visible_alias = "pitr-timestamp", value_name = "TIME")]
    pub(crate) target_time: Option<String>,
    /// The state with this commit as its last one: the `lsn` of a write, for example 0/12847293.
    #[arg(long, visible_alias = "target-xid", value_name = "LSN")]
    pub(crate) target_lsn: Option<String>,
    /// The state at this checkpoint (CREATE CHECKPOINT 'name').
    #[arg(long, visible_alias = "target-checkpoint", value_name = "NAME")]
    pub(crate) target_name: Option<String>,
}

/// Reads `30d`, `4w`, or a number of days.
fn parse_days(text: &str) -> Result<u32, String> {
    let (number, days_each) = match text.strip_suffix('w') {
        Some(weeks) => (weeks, 7),
        None => (text.strip_suffix('d').unwrap_or(text), 1),
    };
    let days = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(days_each));
    days.filter(|days| (1..=36_500).contains(days))
        .ok_or_else(|| format!("{text:?} is not a time of 1 to 36500 days; write it like 30d or 4w"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_days_or_weeks() {
        assert_eq!(
            (parse_days("30d"), parse_days("4w"), parse_days("7")),
            (Ok(30), Ok(28), Ok(7))
        );
        for bad in ["0d", "30m", "-1d", "d", "9999999w", ""] {
            assert!(parse_days(bad).unwrap_err().contains("30d"), "{bad}");
        }
    }
}
