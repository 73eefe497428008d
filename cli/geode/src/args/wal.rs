//! The flags of `geode wal-archive`, `wal-restore` and `wal-replay`.

use super::backup::{LocalServerArgs, StoreArgs};
use super::{ArchiveArgs, Format, GoalArgs};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct WalArchiveArgs {
    /// The archive: a directory, file:///directory or s3://bucket/prefix.
    #[arg(long, visible_alias = "target", value_name = "PLACE")]
    pub(crate) output: String,
    /// Leave out what the newest base backup in that archive contains.
    #[arg(long)]
    pub(crate) since_checkpoint: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) server: LocalServerArgs,
    /// Directory of the server's log, when it is not in its data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) wal_dir: Option<PathBuf>,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct WalRestoreArgs {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    /// The segment, FIRST-LAST.seg: see geode backup list.
    #[arg(value_name = "SEGMENT")]
    pub(crate) segment: String,
    /// The file to write.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct WalReplayArgs {
    /// The archive with the log and the base backup that it goes on from.
    #[arg(long, visible_alias = "source", value_name = "URL")]
    pub(crate) wal_archive: String,
    /// The data directory to make; it must be empty or absent.
    #[arg(long, visible_alias = "target", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) goal: GoalArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}
