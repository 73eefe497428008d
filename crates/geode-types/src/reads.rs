//! How a session reads: what a read has seen for certain (`SET CONSISTENCY LEVEL`), who answers it (`SET READ PREFERENCE`) and how old its
//! state may be (`SET READ STALENESS`). None of it is about writes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What a read has seen for certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyLevel {
    /// Everything that was acknowledged before the read began, as a majority confirms.
    #[default]
    Strong,
    /// The same: a majority has every acknowledged write, and a majority is asked.
    Quorum,
    /// Everything that this session has seen or written. All members apply one log in one order, so no session goes back in it.
    Sequential,
    /// The same: what a session has seen includes whatever that followed from.
    Causal,
    /// What the member that answers has applied.
    Eventual,
}

impl ConsistencyLevel {
    /// All of them, from the strongest.
    pub const ALL: [Self; 5] = [
        Self::Strong,
        Self::Quorum,
        Self::Sequential,
        Self::Causal,
        Self::Eventual,
    ];

    /// The word in statements.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strong => "STRONG",
            Self::Quorum => "QUORUM",
            Self::Sequential => "SEQUENTIAL",
            Self::Causal => "CAUSAL",
            Self::Eventual => "EVENTUAL",
        }
    }
}

/// Which member answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadPreference {
    /// The leader.
    Primary,
    /// Rather one that does not lead.
    Replica,
    /// The one that is reached fastest.
    Nearest,
    /// Any.
    Any,
}

impl ReadPreference {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Primary, Self::Replica, Self::Nearest, Self::Any];

    /// The word in statements.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Replica => "REPLICA",
            Self::Nearest => "NEAREST",
            Self::Any => "ANY",
        }
    }
}

/// How a session reads. The default is what a session begins with: the leader answers, and a majority has confirmed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadSettings {
    /// What a read has seen for certain.
    pub level: ConsistencyLevel,
    /// Who answers; when nothing was said, the leader what a majority has to confirm, and any member the rest.
    pub preference: Option<ReadPreference>,
    /// How long ago the state that a read sees may have been the newest one, in milliseconds.
    pub staleness_ms: Option<u64>,
}

impl ReadSettings {
    /// Takes over what a statement says. A bound holds until the next level: behind it, the statement read last would say the opposite.
    pub fn set(&mut self, setting: ReadSetting) {
        match setting {
            ReadSetting::Level(level) => (self.level, self.staleness_ms) = (level, None),
            ReadSetting::Preference(preference) => self.preference = Some(preference),
            ReadSetting::Staleness(bound) => {
                self.staleness_ms = Some(u64::try_from(bound.as_millis()).unwrap_or(u64::MAX));
            }
        }
    }

    /// How old a read's state may be, if a bound was set.
    pub fn staleness(&self) -> Option<Duration> {
        self.staleness_ms.map(Duration::from_millis)
    }

    /// Whether a majority has to confirm each read.
    pub fn is_confirmed(&self) -> bool {
        let strong = matches!(self.level, ConsistencyLevel::Strong | ConsistencyLevel::Quorum);
        strong && self.staleness_ms.is_none()
    }

    /// Whether only the leader answers.
    pub fn needs_leader(&self) -> bool {
        match self.preference {
            Some(preference) => preference == ReadPreference::Primary,
            None => self.is_confirmed(),
        }
    }

    /// Whether a read has seen everything that its session has seen or written, although nobody is asked for it.
    pub fn follows_session(&self) -> bool {
        matches!(
            self.level,
            ConsistencyLevel::Sequential | ConsistencyLevel::Causal
        )
    }
}

/// One statement about reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSetting {
    /// `SET CONSISTENCY LEVEL …`.
    Level(ConsistencyLevel),
    /// `SET READ PREFERENCE …`.
    Preference(ReadPreference),
    /// `SET READ STALENESS …`.
    Staleness(Duration),
}

impl fmt::Display for ReadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => write!(f, "SET CONSISTENCY LEVEL {}", level.name()),
            Self::Preference(preference) => write!(f, "SET READ PREFERENCE {}", preference.name()),
            Self::Staleness(bound) => write!(f, "SET READ STALENESS {} MILLISECONDS", bound.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_that_was_read_last_counts() {
        let mut settings = ReadSettings::default();
        assert!(settings.is_confirmed() && settings.needs_leader());
        settings.set(ReadSetting::Staleness(Duration::from_secs(5)));
        assert_eq!(settings.staleness(), Some(Duration::from_secs(5)));
        assert!(!settings.is_confirmed() && !settings.needs_leader());
        settings.set(ReadSetting::Level(ConsistencyLevel::Strong));
        assert_eq!(settings, ReadSettings::default());
        settings.set(ReadSetting::Level(ConsistencyLevel::Causal));
        settings.set(ReadSetting::Staleness(Duration::ZERO));
        assert!(settings.follows_session() && settings.staleness().is_some());
    }

    #[test]
    fn who_answers_is_no_matter_of_what_was_seen() {
        let mut settings = ReadSettings::default();
        settings.set(ReadSetting::Preference(ReadPreference::Nearest));
        assert!(settings.is_confirmed() && !settings.needs_leader());
        settings.set(ReadSetting::Level(ConsistencyLevel::Eventual));
        assert_eq!(settings.preference, Some(ReadPreference::Nearest));
        settings.set(ReadSetting::Preference(ReadPreference::Primary));
        assert!(!settings.is_confirmed() && settings.needs_leader());
    }

    #[test]
    fn a_setting_prints_as_its_statement() {
        let bound = ReadSetting::Staleness(Duration::from_secs(5));
        assert_eq!(bound.to_string(), "SET READ STALENESS 5000 MILLISECONDS");
        let words = ConsistencyLevel::ALL.map(|level| ReadSetting::Level(level).to_string());
        assert_eq!(words[2], "SET CONSISTENCY LEVEL SEQUENTIAL");
    }
}
