//! Runs physical plans: operators in a chain, batches of rows between them, one transaction below.

mod access;
mod apply;
pub(crate) mod arithmetic;
mod build;
mod chain;
mod collect;
mod columns;
mod composite;
mod cx;
mod degree;
mod eval;
mod expand;
mod graph;
mod helpers;
mod index;
mod intersect;
mod meet;
mod merge;
mod optional;
mod output;
mod parallel;
mod procedure;
pub(crate) mod profile;
mod reading;
mod repeat;
mod repeat_path;
mod rows;
mod rowwise;
mod run;
mod scan;
mod seen;
mod shortest;
mod sort;
mod source;
mod subquery;
mod table;
mod write;

pub(crate) use cx::{Cx, missing_parameter};
pub(crate) use graph::Graph;
pub use helpers::Helpers;
pub(crate) use run::{explain, profile, run, summary};
pub(crate) use seen::Seen;

use crate::needs::Access;
use crate::session::SessionState;
use crate::system::{NoSystemTables, SystemTables};
use geode_types::{ErrorClass, QueryError, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Instant;

/// Values of a statement's `$parameters`, by name.
pub type Params = BTreeMap<String, Value>;

/// Rows held back by sorting, grouping and writing, unless [`Limits`] says otherwise.
pub const DEFAULT_MAX_ROWS_BUFFERED: usize = 10_000_000;

/// Memory for rows held back, unless [`Limits`] says otherwise.
pub const DEFAULT_MAX_MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// Rows in a batch, unless [`Limits`] says otherwise.
pub const DEFAULT_BATCH_ROWS: usize = 1024;

/// Nodes from which on a scan is shared with idle cores, unless [`Limits`] says otherwise: well above what it takes to start a thread.
pub const DEFAULT_PARALLEL_NODES: u64 = 16 * 1024;

/// What one statement may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows that operators hold back at once.
    pub max_rows_buffered: usize,
    /// Memory for them, estimated.
    pub max_memory_bytes: usize,
    /// When the statement must have ended.
    pub deadline: Option<Instant>,
    /// How many rows an operator hands on at a time: it changes no answer, only how soon its parts come.
    pub batch_rows: usize,
    /// From how many nodes on a scan is shared with idle cores: it changes no answer either.
    pub parallel_nodes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rows_buffered: DEFAULT_MAX_ROWS_BUFFERED,
            max_memory_bytes: DEFAULT_MAX_MEMORY_BYTES,
            deadline: None,
            batch_rows: DEFAULT_BATCH_ROWS,
            parallel_nodes: DEFAULT_PARALLEL_NODES,
        }
    }
}

/// Stops a running statement from another thread. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

/// The values of a [`Cancel`].
const CANCELLED: u8 = 1;
const KILLED: u8 = 2;

impl Cancel {
    /// Asks the statement to stop; it does so before its next batch.
    pub fn cancel(&self) {
        self.0.fetch_or(CANCELLED, Ordering::Relaxed);
    }

    /// The same, because somebody wants it to.
    pub fn kill(&self) {
        self.0.fetch_or(KILLED, Ordering::Relaxed);
    }

    /// Whether the statement is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether that is because of [`Cancel::kill`].
    pub fn is_killed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & KILLED != 0
    }
}

/// How much memory a running statement holds, read from another thread. Clones share one figure.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// Bytes, estimated.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// What surrounds one execution. Clock values are fixed by the caller, so that a retry on the same snapshot gives the same effects.
pub struct Context<'a> {
    /// The time of the statement, microseconds since 1970.
    pub now_micros: i64,
    /// Tables beside the graph.
    pub system: &'a dyn SystemTables,
    /// What it may use.
    pub limits: Limits,
    /// How to stop it.
    pub cancel: Cancel,
    /// Where it says how much memory it holds.
    pub meter: Meter,
    /// The threads that may help it.
    pub helpers: &'a Helpers,
    /// The session that it belongs to.
    pub session: &'a SessionState,
    /// Who runs it.
    pub access: &'a Access,
    /// Makes of a password what is stored.
    pub hash_password: fn(&str) -> Result<String, QueryError>,
}

/// The session of who has none.
static NO_SESSION: SessionState = SessionState::NEW;

/// Whoever has the whole database.
static EVERYTHING: Access = Access::EVERYTHING;

/// Where there is no server there is no login.
fn no_passwords(_: &str) -> Result<String, QueryError> {
    let (message, status) = ("there are no passwords here", geode_gql::NOT_SUPPORTED);
    Err(QueryError::runtime(
        ErrorClass::SemanticError,
        "UnsupportedFeature",
        status,
        message,
    ))
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self {
            now_micros: 0,
            system: &NoSystemTables,
            limits: Limits::default(),
            cancel: Cancel::default(),
            meter: Meter::default(),
            helpers: Helpers::of_process(),
            session: &NO_SESSION,
            access: &EVERYTHING,
            hash_password: no_passwords,
        }
    }
}

impl Context<'_> {
    /// Stops the statement when it was cancelled or has run for too long. Called once per batch and operator.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancel.is_killed() {
            return Err(killed());
        }
        if self.cancel.is_cancelled() {
            let message = "the statement was cancelled";
            return Err(QueryError::runtime(
                ErrorClass::UnavailableError,
                "Cancelled",
                "5GC01",
                message,
            ));
        }
        if self
            .limits
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline)
        {
            return Err(
                crate::error::limit("DeadlineExceeded", "the statement ran longer than it may")
                    .hint("restrict the pattern, add LIMIT, or raise the statement timeout"),
            );
        }
        Ok(())
    }
}

/// The error of a statement that somebody has stopped.
pub fn killed() -> QueryError {
    let message = "the statement was stopped by KILL QUERY";
    QueryError::runtime(ErrorClass::UnavailableError, "Killed", "5GC02", message)
}
