//! What can go wrong in the log. Callers tell four cases apart: no room (wait, refuse writes), a failed device (end the process), a
//! damaged file (quarantine the member), a mistake of the caller.

use crate::segment::SegmentError;
use std::io;
use std::path::PathBuf;

/// An operation of the log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No room on the WAL volume. Nothing was acknowledged; the same operation may be tried again.
    #[error("the WAL volume is full: could not {act} {path}; free or add space, writing then goes on")]
    Full {
        /// What was being done.
        act: &'static str,
        /// To which file.
        path: PathBuf,
    },
    /// The device failed. What reached it is unknown, so the process must end and recover from what is on disk.
    #[error("could not {act} {path}: {source}")]
    Io {
        /// What was being done.
        act: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is damaged. It is never skipped or repaired.
    #[error(
        "{path} is damaged at byte {offset}: {reason}; remove this member's data and WAL directories and let it join again, or restore"
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A segment is of another format. That may be a newer version's, so it is no damage.
    #[error("{path}: {source}")]
    Version {
        /// Which file.
        path: PathBuf,
        /// Which format.
        source: SegmentError,
    },
    /// The directory belongs to another cluster.
    #[error(
        "{path} belongs to cluster {found}, not to {expected}; point the member at its own WAL directory"
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// The cluster it belongs to.
        found: String,
        /// The cluster that was expected.
        expected: String,
    },
    /// Records must follow each other without a gap.
    #[error("record {found} cannot follow: the log ends before {expected}")]
    Gap {
        /// Index of the record.
        found: u64,
        /// Index that was due.
        expected: u64,
    },
    /// A record is larger than [`crate::segment::RECORD_BYTES_MAX`].
    #[error("record {index} of {bytes} bytes is larger than a record may be ({max})", max = crate::segment::RECORD_BYTES_MAX)]
    TooLarge {
        /// Index of the record.
        index: u64,
        /// Size of its payload.
        bytes: usize,
    },
    /// A record that was asked for is purged or not written.
    #[error("record {0} is not in the log")]
    Absent(u64),
    /// The log was opened without a cluster id and has not been told one.
    #[error("the log belongs to no cluster yet")]
    NoCluster,
    /// An earlier failure ended the log; the process must end.
    #[error("the log has failed: {0}")]
    Failed(String),
    /// The worker is gone.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// An I/O error, with a full volume told apart.
    pub(crate) fn io(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { act, path }
            }
            _ => Self::Io { act, path, source },
        }
    }

    /// A failed `fsync`: whatever the reason, the kernel may have dropped the dirty pages, so it is never tried again.
    pub(crate) fn sync(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            act: "sync",
            path: path.into(),
            source,
        }
    }

    pub(crate) fn segment(path: impl Into<PathBuf>, error: SegmentError) -> Self {
        let path = path.into();
        match error {
            SegmentError::Io(source) => Self::Io {
                act: "read",
                path,
                source,
            },
            SegmentError::Damaged { offset, reason } => Self::Corrupt { path, offset, reason },
            source @ SegmentError::Version { .. } => Self::Version { path, source },
        }
    }

    /// Whether a file of the log is certainly damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether the operation can be tried again when there is room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
