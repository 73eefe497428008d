//! Kinds of backups.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a backup begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// Nothing: it has the whole graph.
    #[default]
    Full,
    /// The newest backup of any kind.
    Incremental,
    /// The newest full backup.
    Differential,
}

impl BackupKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Full, Self::Incremental, Self::Differential];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Differential => "differential",
        }
    }

    /// It is the kind that is meant when none is said.
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

impl fmt::Display for BackupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of backup; there are full, incremental and differential")]
pub struct BackupKindError(String);

impl FromStr for BackupKind {
    type Err = BackupKindError;

    fn from_str(text: &str) -> Result<Self, BackupKindError> {
        let found = Self::ALL.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| BackupKindError(text.chars().take(40).collect()))
    }
}
