//! The engine under test: a store, transactions on it, the certifier, and commits that are applied as log entries would be.

use crate::graph::show;
use geode_graph::{
    Applied, Certifier, Command, Commit, IdAllocator, LogPosition, Position, ReadSet, Transaction, apply,
    apply_empty, fsck, position,
};
use geode_query::{Context, Dialect, Kind, Limits, Params, Prepared, execute, prepare};
use geode_store::{Store, WriteTxn};
use geode_types::{ErrorClass, LogIndex, QueryError, Term};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The rows of a result as text, in their order.
pub(crate) type Rows = Vec<String>;

/// A database of one member.
pub(crate) struct Database<S: Store> {
    store: S,
    dialect: Dialect,
    batch_rows: usize,
    /// What only reads runs in a transaction that only reads, which looks things up in other ways than one that notes what it has read.
    pub(crate) reads_apart: bool,
    ids: Arc<IdAllocator>,
    certifier: Certifier,
    index: u64,
}

/// An open transaction.
pub(crate) type Open<S> = Transaction<<S as Store>::Read>;

fn internal(error: impl Display) -> QueryError {
    QueryError::runtime(ErrorClass::InternalError, "Store", "5GI00", error.to_string())
}

/// The position of an entry of the one term that there is.
fn at(index: u64) -> LogPosition {
    LogPosition {
        term: Term(1),
        index: LogIndex(index),
    }
}

impl<S: Store> Database<S> {
    /// An empty database whose operators hand on so many rows at a time.
    pub(crate) fn new(store: S, dialect: Dialect, batch_rows: usize) -> Result<Self, QueryError> {
        let mut write = store.write().map_err(internal)?;
        apply_empty(&mut write, at(1)).map_err(internal)?;
        write.commit().map_err(internal)?;
        let read = store.read().map_err(internal)?;
        let ids = Arc::new(IdAllocator::seed(&read).map_err(internal)?);
        let applied: Position = position(&read).map_err(internal)?;
        drop(read);
        Ok(Self {
            store,
            dialect,
            batch_rows,
            reads_apart: false,
            ids,
            certifier: Certifier::new(Term(1), &applied),
            index: 1,
        })
    }

    pub(crate) fn begin(&self) -> Result<Open<S>, QueryError> {
        Transaction::begin(self.store.read().map_err(internal)?, self.ids.clone()).map_err(internal)
    }

    /// Runs one statement in a transaction.
    pub(crate) fn run_in(&self, transaction: &mut Open<S>, text: &str) -> Result<Rows, QueryError> {
        let prepared = self.prepare(text)?;
        self.run_prepared(transaction, &prepared)
    }

    fn prepare(&self, text: &str) -> Result<Prepared, QueryError> {
        prepare(text, self.dialect, &geode_query::NoSystemTables)
    }

    fn run_prepared(&self, transaction: &mut Open<S>, prepared: &Prepared) -> Result<Rows, QueryError> {
        let deadline = Some(Instant::now() + TIME_LIMIT);
        let limits = Limits {
            deadline,
            batch_rows: self.batch_rows,
            // Scans of few nodes are shared, too.
            parallel_nodes: 2,
            ..Limits::default()
        };
        let context = Context {
            limits,
            ..Context::default()
        };
        let mut rows = Vec::new();
        execute(prepared, transaction, &Params::new(), &context, &mut |batch| {
            rows.extend(batch.iter().map(|row| show(row)));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Commits, unless the certifier objects; whether it did. Without certification nobody asks what was read.
    pub(crate) fn commit(&mut self, transaction: Open<S>, certified: bool) -> Result<bool, QueryError> {
        let finished = transaction.finish();
        if finished.effects.is_empty() {
            return Ok(true);
        }
        let nothing = ReadSet::default();
        let reads = if certified { &finished.reads } else { &nothing };
        let Ok(sequence) = self.certifier.certify(finished.start, reads, &finished.writes) else {
            return Ok(false);
        };
        let commit = Commit {
            request_id: None,
            certified_term: Term(1),
            sequence,
            at_micros: 0,
            effects: finished.effects,
            summary: finished.summary,
        };
        self.index += 1;
        let mut write = self.store.write().map_err(internal)?;
        let applied =
            apply(&mut write, at(self.index), &Command::Commit(Box::new(commit))).map_err(internal)?;
        write.commit().map_err(internal)?;
        match applied {
            Applied::Committed(_) => Ok(true),
            other => Err(internal(format!("{other:?}"))),
        }
    }

    /// Runs one statement in a transaction of its own. That commits when the statement has failed, too: of it nothing may be left.
    pub(crate) fn run(&mut self, text: &str) -> Result<Rows, QueryError> {
        let prepared = self.prepare(text)?;
        if self.reads_apart && prepared.kind() == Kind::Read {
            let read = self.store.read().map_err(internal)?;
            let mut transaction = Transaction::read_only(read).map_err(internal)?;
            return self.run_prepared(&mut transaction, &prepared);
        }
        let mut transaction = self.begin()?;
        let rows = self.run_prepared(&mut transaction, &prepared);
        if self.commit(transaction, true)? {
            rows
        } else {
            Err(internal("a conflict with nobody"))
        }
    }

    /// Everything in the graph, sorted.
    pub(crate) fn dump(&self) -> Result<Rows, QueryError> {
        let mut transaction = self.begin()?;
        let mut all = self.run_in(&mut transaction, "MATCH (n) RETURN n")?;
        all.extend(self.run_in(&mut transaction, "MATCH (a)-[e]->(b) RETURN a, e, b")?);
        all.sort();
        Ok(all)
    }

    /// What the check of the store's own rules finds wrong.
    pub(crate) fn damage(&self) -> Result<Option<String>, QueryError> {
        let report = fsck(&self.store.read().map_err(internal)?).map_err(internal)?;
        Ok((!report.is_clean()).then(|| format!("{report:?}")))
    }
}
