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
mod index;
mod intersect;
mod meet;
mod merge;
mod optional;
mod output;
mod procedure;
pub(crate) mod profile;
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
mod write;

pub(crate) use cx::Cx;
pub(crate) use graph::Graph;
pub(crate) use run::{explain, profile, run, summary};
pub(crate) use seen::Seen;

use crate::system::{NoSystemTables, SystemTables};
use geode_types::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Values of a statement's `$parameters`, by name.
pub type Params = BTreeMap<String, Value>;

/// Rows held back by sorting, grouping and writing, unless [`Limits`] says otherwise.
pub const DEFAULT_MAX_ROWS_BUFFERED: usize = 10_000_000;

/// Memory for rows held back, unless [`Limits`] says otherwise.
pub const DEFAULT_MAX_MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// What one statement may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows that operators hold back at once.
    pub max_rows_buffered: usize,
    /// Memory for them, estimated.
    pub max_memory_bytes: usize,
    /// When the statement must have ended.
    pub deadline: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rows_buffered: DEFAULT_MAX_ROWS_BUFFERED,
            max_memory_bytes: DEFAULT_MAX_MEMORY_BYTES,
            deadline: None,
        }
    }
}

/// Stops a running statement from another thread. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the statement to stop; it does so before its next batch.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
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
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self {
            now_micros: 0,
            system: &NoSystemTables,
            limits: Limits::default(),
            cancel: Cancel::default(),
        }
    }
}
