//! Why something is not a temporal value.

/// Why something is not a temporal value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemporalError {
    /// A component, or the result of arithmetic, outside of its range.
    #[error("{what} is out of range: {value}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The value that does not fit.
        value: String,
    },
    /// Text that has none of the forms of ISO 8601.
    #[error("{text:?} cannot be read as a {kind}")]
    Text {
        /// What it should have been.
        kind: &'static str,
        /// What was given.
        text: String,
    },
    /// Components that do not belong together or are missing.
    #[error("{0}")]
    Components(String),
    /// A zone that is not in the time zone database.
    #[error("there is no time zone {0:?}")]
    Zone(String),
}

impl TemporalError {
    pub(super) fn range(what: &'static str, value: impl ToString) -> Self {
        Self::OutOfRange {
            what,
            value: value.to_string(),
        }
    }

    pub(super) fn text(kind: &'static str, text: &str) -> Self {
        Self::Text {
            kind,
            text: text.chars().take(80).collect(),
        }
    }

    /// ISO/IEC 39075 clause 23: field overflow, invalid format, invalid displacement.
    pub fn gqlstatus(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => "22008",
            Self::Text { kind: "duration", .. } => "22G0H",
            Self::Text { .. } | Self::Components(_) => "22007",
            Self::Zone(_) => "22009",
        }
    }
}
