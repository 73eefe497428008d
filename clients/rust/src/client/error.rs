//! What a caller is told when a statement does not succeed.

use crate::tls::TlsError;
use geode_types::{ErrorClass, Outcome, QueryError};
use std::time::Duration;

/// A place that was tried, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// `host:port`.
    pub endpoint: String,
    /// What went wrong there.
    pub reason: String,
}

/// Why a statement did not succeed. [`ClientError::outcome`] says whether it may have been applied all the same.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client was built with settings that cannot work.
    #[error("{0}")]
    Settings(String),
    /// The CA or the connection's TLS settings are unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No UDP socket.
    #[error("cannot open a UDP socket: {0}")]
    Socket(std::io::Error),
    /// A server answered that it does not believe us.
    #[error("{endpoint} refused user {user:?}: {reason}")]
    Unauthenticated {
        /// Who refused.
        endpoint: String,
        /// The user name that was offered.
        user: String,
        /// What the server said.
        reason: String,
    },
    /// The database answered with an error.
    #[error(transparent)]
    Query(Box<QueryError>),
    /// Nobody gave an answer in time.
    #[error("no answer within {:.1} s; {}", .waited.as_secs_f64(), describe(.tried))]
    Unavailable {
        /// How long was tried.
        waited: Duration,
        /// The newest failure at each place.
        tried: Vec<Tried>,
        /// Whether the statement, if it writes, may have been applied.
        outcome: Outcome,
    },
}

impl ClientError {
    /// Whether a write that ended with this error may have been applied: [`Outcome::Unknown`] when only repeating the same request
    /// tells, [`Outcome::Failed`] when it is certain that nothing was written.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Query(error) => error.outcome.unwrap_or(Outcome::Failed),
            Self::Unavailable { outcome, .. } => *outcome,
            Self::Settings(_) | Self::Tls(_) | Self::Socket(_) | Self::Unauthenticated { .. } => {
                Outcome::Failed
            }
        }
    }

    /// The same error in the form of design.md section 6, as scripts see it.
    pub fn to_query_error(&self) -> QueryError {
        let message = self.to_string();
        match self {
            Self::Query(error) => (**error).clone(),
            Self::Unauthenticated { .. } => QueryError::runtime(
                ErrorClass::SecurityError,
                "AuthenticationFailed",
                "28000",
                message,
            )
            .hint("check the user name and the password")
            .outcome(Outcome::Failed),
            Self::Unavailable { outcome, .. } => {
                QueryError::runtime(ErrorClass::UnavailableError, "ConnectionFailed", "08000", message)
                    .hint("check that the servers run and that this address and UDP port reach them")
                    .outcome(*outcome)
            }
            Self::Settings(_) | Self::Tls(_) | Self::Socket(_) => QueryError::runtime(
                ErrorClass::UnavailableError,
                "ConnectionSettings",
                "08001",
                message,
            )
            .outcome(Outcome::Failed),
        }
    }
}

impl From<QueryError> for ClientError {
    fn from(error: QueryError) -> Self {
        Self::Query(Box::new(error))
    }
}

fn describe(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "no endpoint was tried".to_owned();
    }
    let places: Vec<String> = tried
        .iter()
        .map(|tried| format!("{}: {}", tried.endpoint, tried.reason))
        .collect();
    format!("tried {}", places.join("; "))
}
