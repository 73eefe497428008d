//! Commands of a session: its transaction (ISO/IEC 39075 clause 8), its settings (clause 7) and the statements of others.

use super::{Expr, GraphRef, Name, SchemaRef};
use crate::Span;

/// Steers the session's transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionCommand {
    /// `START TRANSACTION [READ ONLY | READ WRITE]` or `BEGIN`.
    Begin {
        /// Writes are refused.
        read_only: bool,
    },
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SAVEPOINT name`: the transaction can return to here. Of SQL (ISO/IEC 9075-2, 17.4), as the two below are.
    Savepoint(String),
    /// `ROLLBACK TO [SAVEPOINT] name`: takes back what was written since; the savepoint stays.
    RollbackTo(String),
    /// `RELEASE [SAVEPOINT] name`: forgets it and those behind it; what was written stays.
    Release(String),
}

/// Steers the session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionCommand {
    /// `SESSION SET …`.
    Set(SessionSetting),
    /// `SESSION RESET …`.
    Reset(SessionReset),
    /// `SESSION CLOSE`.
    Close,
}

/// What `SESSION SET` sets.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionSetting {
    /// `SCHEMA reference`.
    Schema(SchemaRef),
    /// `[PROPERTY] GRAPH reference`.
    Graph(GraphRef),
    /// `TIME ZONE 'name or offset'`.
    TimeZone {
        /// What was written.
        zone: String,
        /// Where.
        span: Span,
    },
    /// `VALUE [IF NOT EXISTS] $name = expression`.
    Value {
        /// The parameter, without its `$`.
        name: Name,
        /// One that is there stays.
        if_not_exists: bool,
        /// Its value.
        value: Expr,
    },
    /// `name = expression`: a limit of this session's statements, an extension.
    Limit {
        /// Which.
        limit: SessionLimit,
        /// How much.
        value: Expr,
    },
}

/// The limits that a session may lower for its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLimit {
    /// How long a statement may run.
    QueryTimeout,
    /// How long a transaction may be open.
    TransactionTimeout,
    /// How much memory a statement may use.
    MaxQueryMemory,
}

impl SessionLimit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::QueryTimeout, Self::TransactionTimeout, Self::MaxQueryMemory];

    /// Its name in statements and in `geode.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueryTimeout => "query_timeout",
            Self::TransactionTimeout => "transaction_timeout",
            Self::MaxQueryMemory => "max_query_memory",
        }
    }
}

/// What `SESSION RESET` brings back to what it was when the session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionReset {
    /// `[ALL CHARACTERISTICS]`: everything.
    Everything,
    /// `[ALL] PARAMETERS`.
    Parameters,
    /// `[PARAMETER] $name`.
    Parameter(String),
    /// `SCHEMA`.
    Schema,
    /// `[PROPERTY] GRAPH`.
    Graph,
    /// `TIME ZONE`.
    TimeZone,
    /// A limit, an extension.
    Limit(SessionLimit),
}
