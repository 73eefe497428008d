//! Feature levels: what of the log, and of what follows from it, a version understands.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number for everything that may stand in the log and in the store. Each level has all of the one below it. A member announces the highest
/// that it understands, and a cluster uses the highest that all of its members understand (ADR 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureLevel(pub u8);

impl FeatureLevel {
    /// What every version understands. Members that announce nothing are of it.
    pub const FIRST: Self = Self(1);
    /// On top of the first, indexes, constraints, schemas, graphs and graph types, and temporal and decimal values.
    pub const SECOND: Self = Self(2);
    /// On top of the second, roles and rights: users who may not do everything.
    pub const THIRD: Self = Self(3);
    /// What this version understands.
    pub const NEWEST: Self = Self::THIRD;
}

/// What is not said is said by a version that knows no levels.
impl Default for FeatureLevel {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for FeatureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
