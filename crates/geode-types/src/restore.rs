//! A fetched backup: the directory that the archive side (`geode_archive::fetch`, run by the sidecar or `geode restore`) leaves and
//! that the server side replays. It is described by [`RESTORE_FILE`] in it, which is written last.

use crate::{ClusterId, Incarnation, LogIndex, Term};
use serde::{Deserialize, Serialize};

/// Name of the file that describes a fetched backup. A directory without it is not a complete one.
pub const RESTORE_FILE: &str = "restore.json";
/// The file of a data directory that a server writes again and again while it replays a backup, when it answers nobody yet: for its probes.
pub const RESTORE_PROGRESS_FILE: &str = "restore-progress";
/// The version of that file.
pub const RESTORE_FORMAT: u32 = 1;

/// How far a restore goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTarget {
    /// Everything that is archived.
    #[default]
    Latest,
    /// Up to and with this entry.
    Index(LogIndex),
    /// Up to and with the last commit at or before this time, microseconds since the epoch.
    TimeMicros(i64),
}

/// What somebody asks a restore for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreGoal {
    /// A place in the history.
    Target(RestoreTarget),
    /// The moment that has this name; the archive says which it is.
    Checkpoint(String),
}

/// Which graphs of a database a restore keeps; the home graph is called `HOME_GRAPH`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraphSelection {
    /// All of them.
    #[default]
    All,
    /// Those with these names.
    Only(Vec<String>),
    /// Those without these names.
    Without(Vec<String>),
}

impl GraphSelection {
    /// The graphs that are named.
    pub fn names(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Only(names) | Self::Without(names) => names,
        }
    }

    /// Whether a graph is kept that is named, or is not.
    pub fn keeps(&self, is_named: bool) -> bool {
        match self {
            Self::All => true,
            Self::Only(_) => is_named,
            Self::Without(_) => !is_named,
        }
    }
}

impl From<RestoreTarget> for RestoreGoal {
    fn from(target: RestoreTarget) -> Self {
        Self::Target(target)
    }
}

/// A named moment of a database (`CREATE CHECKPOINT 'name'`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its name.
    pub name: String,
    /// The entry that created it: the last one that a restore to it applies.
    pub index: LogIndex,
    /// When, microseconds since the epoch.
    pub at_micros: i64,
}

/// What stands in [`RESTORE_FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedBackup {
    /// [`RESTORE_FORMAT`].
    pub format: u32,
    /// URL it was fetched from.
    pub source: String,
    /// The cluster whose history it is.
    pub cluster_id: ClusterId,
    /// The incarnation of that history; the restored cluster is the next one.
    pub incarnation: Incarnation,
    /// The graph to begin with; absent when the segments begin with the first entry of all.
    pub base: Option<FetchedBase>,
    /// The log after it, in order, without a hole.
    pub segments: Vec<FetchedSegment>,
    /// How far to go.
    pub target: RestoreTarget,
    /// The archive has segments beyond a hole: first and last missing entry. The target must lie before it.
    pub hole: Option<(LogIndex, LogIndex)>,
    /// Hash of the graph at the target, hexadecimal, when the archive has it: the target is the end of a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_hash: Option<String>,
}

/// A base backup in a fetched backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedBase {
    /// Name of the file: a snapshot stream, compressed with zstd.
    pub file: String,
    /// The last entry it contains.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Hash of the graph, hexadecimal, when it was known for exactly this index.
    pub state_hash: Option<String>,
}

/// A log segment in a fetched backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedSegment {
    /// Name of the file.
    pub file: String,
    /// First entry.
    pub first: LogIndex,
    /// Last entry.
    pub last: LogIndex,
}
