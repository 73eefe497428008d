//! From a fetched backup to a data directory ([`replay`]), and the proof that a data directory is sound ([`verify`]).
//!
//! Both work on directories that no server uses. What is fetched comes from `geode_archive::fetch` (by `geode restore` or the sidecar); this
//! module knows nothing of object stores. A replayed directory is a new cluster of one voter, the next incarnation of the history that
//! was restored: the same graph, index and users, another identity.

mod replay;
mod segments;
mod verify;

pub use replay::{ReplayOptions, Restored, replay, replay_arriving};
pub use verify::{VerifyError, VerifyReport, verify};

use geode_graph::{GraphError, KeepError, StreamError};
use geode_log::{LogError, segment::SegmentError};
use geode_store::StoreError;
use geode_types::{ClusterId, LogIndex};
use std::io;
use std::path::PathBuf;

/// A backup cannot be replayed. The data directory is not usable then, and `replay` may be run on it again.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file cannot be read or written.
    #[error("cannot {act} {path}: {source}")]
    Io {
        /// Verb.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory has no complete backup.
    #[error("{0} holds no complete backup (restore.json is missing); fetch it again")]
    Incomplete(PathBuf),
    /// It is replayed as it comes, and no more came.
    #[error("the fetch ended before {0} was there")]
    Unfinished(String),
    /// `restore.json` is not what this version writes.
    #[error("{path} cannot be used: {reason}")]
    Description {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The data directory belongs to a member.
    #[error("{path} belongs to a member of cluster {cluster}; restore into a new directory")]
    Taken {
        /// Where.
        path: PathBuf,
        /// Whose.
        cluster: ClusterId,
    },
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityError),
    /// The base backup is damaged or not the one that is described.
    #[error("the base backup {path}: {source}")]
    Base {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        source: StreamError,
    },
    /// The base backup is not the one that is described.
    #[error("the base backup {path} is not what its manifest says: {reason}")]
    WrongBase {
        /// Where.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// The graph at the end of the restore is another one than was backed up.
    #[error(
        "the graph at index {index} has the state hash {found}, but the backup that ends there recorded {expected}; nothing was restored. \
         Restore to another moment, and keep the archive for whoever looks into this"
    )]
    WrongEnd {
        /// Where.
        index: LogIndex,
        /// What came out.
        found: String,
        /// What was recorded.
        expected: String,
    },
    /// A segment is damaged.
    #[error("the segment {path}: {source}")]
    Segment {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        source: SegmentError,
    },
    /// A segment does not follow the one before.
    #[error("the segment {path} does not continue the history: {reason}")]
    Chain {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An entry cannot be applied.
    #[error("the entry {index} cannot be applied: {reason}")]
    Apply {
        /// Which.
        index: LogIndex,
        /// Why.
        reason: String,
    },
    /// Graphs were asked for that are not there, or could not be kept alone.
    #[error("{0}")]
    Graphs(#[from] KeepError),
    /// The target lies where the archive has nothing.
    #[error("{0}")]
    Target(String),
    /// The new graph.
    #[error("the graph: {0}")]
    Graph(#[from] GraphError),
    /// The new store.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// The new log.
    #[error("the new log: {0}")]
    Log(#[from] LogError),
}
