//! How a statement ends when it does not end well.

use super::Announced;
use geode_types::{ErrorClass, FeatureLevel, Outcome, QueryError};
use geode_wire::client::MemberAddress;

/// Detail of the error while nobody leads or the leader has no quorum.
const NO_LEADER: &str = "NoLeader";
/// Detail of the error for writes while the member takes none.
const READ_ONLY: &str = "ReadOnly";
/// Detail of the error when a position is not applied in time.
const LSN_NOT_REACHED: &str = "LsnNotReached";
/// Detail of the error for what an older member would not understand.
const FEATURE_LEVEL: &str = "FeatureLevel";
/// Detail of the error when nobody knows yet whether a write was committed.
const COMMIT_UNKNOWN: &str = "CommitUnknown";
/// Detail of the error for COMMIT and ROLLBACK outside a transaction.
const NO_TRANSACTION: &str = "NoTransaction";

/// Why a statement has no answer here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// Only the leader does this; nothing was done.
    NotLeader(Option<MemberAddress>),
    /// The statement failed.
    Failed(Box<QueryError>),
}

impl Refusal {
    /// For the error of a write of which nothing was written.
    pub(crate) fn nothing_written(self) -> Self {
        match self {
            Self::Failed(error) if error.outcome.is_none() => error.outcome(Outcome::Failed).into(),
            other => other,
        }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<geode_graph::GraphError> for Refusal {
    fn from(error: geode_graph::GraphError) -> Self {
        QueryError::from(error).into()
    }
}

pub(crate) fn no_leader(reason: impl std::fmt::Display) -> QueryError {
    unavailable(
        NO_LEADER,
        "5GU01",
        format!("the cluster cannot answer now: {reason}"),
    )
    .hint("wait until a majority of the members is up and connected")
}

pub(crate) fn read_only(reason: &str) -> QueryError {
    unavailable(
        READ_ONLY,
        "5GU02",
        format!("the cluster takes no writes now: {reason}"),
    )
    .outcome(Outcome::Failed)
}

pub(crate) fn lsn_not_reached(wanted: geode_types::LogIndex) -> QueryError {
    unavailable(LSN_NOT_REACHED, "5GU04", format!("this member has not applied index {wanted} in time"))
        .hint("check that the LSN is one of this cluster and that the member keeps up (geode cluster lag), or read from the leader")
}

/// A statement would write what a member does not understand yet. It can be sent again when that member has been upgraded.
pub(crate) fn behind(needed: FeatureLevel, member: &Announced) -> QueryError {
    let name = &member.name;
    let why = match member.level {
        Some(level) => format!("{name} understands level {level}"),
        None => format!("{name} has not been heard since this leader started"),
    };
    unavailable(
        FEATURE_LEVEL,
        "5GU05",
        format!("the statement needs feature level {needed}, and {why}"),
    )
    .hint("finish the upgrade, or take that member out of the cluster, and run the statement again")
    .outcome(Outcome::Failed)
}

pub(crate) fn commit_unknown(reason: impl std::fmt::Display) -> QueryError {
    unavailable(
        COMMIT_UNKNOWN,
        "40003",
        format!("it is not known whether the write is committed: {reason}"),
    )
    .hint("send the same request with the same request id again; it is applied at most once")
    .outcome(Outcome::Unknown)
}

pub(crate) fn too_old() -> QueryError {
    QueryError::runtime(
        ErrorClass::LimitError,
        "RequestTooOld",
        "5GL20",
        "the request is so old that its session has forgotten whether it was committed",
    )
    .hint("look for what it writes; keep fewer requests of a session in flight")
    .outcome(Outcome::Unknown)
}

pub(crate) fn no_transaction() -> QueryError {
    let message = "no transaction is open in this session";
    QueryError::runtime(ErrorClass::SemanticError, NO_TRANSACTION, "2D000", message)
        .hint("begin one with START TRANSACTION")
        .outcome(Outcome::Failed)
}

pub(crate) fn transaction_open() -> QueryError {
    let message = "a transaction is already open in this session";
    QueryError::runtime(ErrorClass::SemanticError, "TransactionActive", "25G01", message)
        .hint("end it with COMMIT or ROLLBACK; transactions do not nest")
}

pub(crate) fn transaction_over(detail: &str, reason: &str) -> QueryError {
    let message = format!("the transaction is over and nothing of it was written: {reason}");
    QueryError::runtime(ErrorClass::ConflictError, detail, "40000", message)
        .hint("run the whole transaction again")
        .outcome(Outcome::Failed)
}

/// Somebody who had logged in is no user any more.
pub(crate) fn dropped(user: &str) -> QueryError {
    let message = format!("the user {user:?} has been dropped");
    QueryError::runtime(ErrorClass::SecurityError, "UserDropped", "28000", message)
        .hint("log in as another user")
        .outcome(Outcome::Failed)
}

pub(crate) fn too_slow(what: &str) -> QueryError {
    QueryError::runtime(
        ErrorClass::LimitError,
        "DeadlineExceeded",
        "5GL10",
        what.to_owned(),
    )
    .hint("try again, or raise the statement's timeout")
}

pub(crate) fn internal(what: impl Into<String>) -> QueryError {
    QueryError::runtime(ErrorClass::InternalError, "InternalError", "5GI00", what)
}

fn unavailable(detail: &str, gqlstatus: &str, message: String) -> QueryError {
    QueryError::runtime(ErrorClass::UnavailableError, detail, gqlstatus, message)
}
