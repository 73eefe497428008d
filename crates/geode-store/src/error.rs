//! What can go wrong in a store. Callers tell three cases apart: room is short (stop writing, keep serving reads), the
//! device failed (end the process), the file is damaged (quarantine the member).

use std::io;

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room is left: the disk, a quota or the map's limit.
    #[error("{act}: the store is full ({detail}); free or add disk space, or raise storage.map_size")]
    Full {
        /// What was being done.
        act: &'static str,
        /// Which limit.
        detail: String,
    },
    /// The operating system refused. After a failed sync nothing may be assumed of the file: the process has to end.
    #[error("{act}: {source}")]
    Io {
        /// What was being done.
        act: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The file is damaged. Of another version's file, and of what may be a passing failure, this is never said.
    #[error(
        "{act}: the store is damaged ({detail}); remove this member's data and WAL directories and let it join again, or restore"
    )]
    Corrupt {
        /// What was being done.
        act: &'static str,
        /// What was found.
        detail: String,
    },
    /// Too many snapshots are open at once.
    #[error("too many read transactions are open; close some, or raise the store's reader limit")]
    TooManyReaders,
    /// The key is empty or longer than [`crate::MAX_KEY_BYTES`].
    #[error("a key of {0} bytes is not between 1 and {max}", max = crate::MAX_KEY_BYTES)]
    KeyLength(usize),
    /// A loader was given a key that is not greater than the one before.
    #[error("entries must be loaded in ascending order of their keys")]
    NotAscending,
}

impl StoreError {
    /// Whether the store ran out of room (reads go on).
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the file is certainly damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// An injected or system I/O error.
    pub fn io(act: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                act,
                detail: source.to_string(),
            },
            io::ErrorKind::InvalidData => Self::Corrupt {
                act,
                detail: source.to_string(),
            },
            _ => Self::Io { act, source },
        }
    }

    pub(crate) fn from_heed(act: &'static str, error: heed::Error) -> Self {
        use heed::MdbError;
        match error {
            heed::Error::Io(source) => Self::io(act, source),
            heed::Error::Mdb(MdbError::MapFull) => Self::Full {
                act,
                detail: "the memory map's limit".to_owned(),
            },
            heed::Error::Mdb(MdbError::ReadersFull) => Self::TooManyReaders,
            heed::Error::Mdb(MdbError::KeyExist) => Self::NotAscending,
            heed::Error::EnvAlreadyOpened => Self::Io {
                act,
                source: io::Error::new(io::ErrorKind::ResourceBusy, "it is already open in this process"),
            },
            heed::Error::Mdb(error @ (MdbError::PageNotFound | MdbError::Corrupted | MdbError::Invalid)) => {
                Self::Corrupt {
                    act,
                    detail: error.to_string(),
                }
            }
            // Most of these follow an error before, or a mistake of ours: they say nothing about the file.
            other => Self::Io {
                act,
                source: io::Error::other(other.to_string()),
            },
        }
    }
}
