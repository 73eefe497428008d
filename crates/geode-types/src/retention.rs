//! How long an archive keeps what it has.

use serde::{Deserialize, Serialize};

/// What must not be deleted; see `geode_archive::cleanup_plan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Every moment of so many days can be restored.
    pub days: u32,
    /// So many base backups stay, however old; 0 is as 1.
    pub min_count: u32,
    /// For the log, when it goes sooner or later than base backups; what is older can be restored at the moments of base backups only.
    pub wal_days: Option<u32>,
    /// For incremental and differential backups, when they go sooner or later than full ones; those that stay keep their full backup and the log that leads from it to them.
    #[serde(default)]
    pub incremental_days: Option<u32>,
    /// So many incremental and differential backups stay, however old.
    #[serde(default)]
    pub incremental_min_count: u32,
}

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanedUp {
    /// Base backups deleted.
    pub bases: u64,
    /// Segments deleted.
    pub segments: u64,
    /// Their size.
    pub bytes: u64,
    /// The last entry of the oldest base backup that is left.
    pub oldest: crate::LogIndex,
    /// Incremental and differential backups deleted.
    #[serde(default)]
    pub increments: u64,
    /// Those that end before this entry are gone.
    #[serde(default)]
    pub oldest_increment: crate::LogIndex,
}
