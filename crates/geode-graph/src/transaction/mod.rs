//! A transaction: a snapshot, the writes on top of it, and what was read.
//!
//! Reads see the transaction's own writes. Nothing is written to the store here: [`Transaction::finish`] returns the effects,
//! which come back through the log. Reads take `&self` and note themselves in the read set; a transaction moves between
//! threads but is used by one at a time.

mod accounts;
mod graphs;
mod overlay;
mod read;
mod savepoints;
mod schema;
mod size;
mod touch;
mod write;

use crate::catalog::TokenKind;
use crate::command::Effect;
use crate::error::Result;
use crate::graphs::{GraphId, GraphType};
use crate::ids::IdAllocator;
use crate::position::Position;
use crate::readset::{ReadSet, Touch, WriteSet};
use crate::schema::Rule;
use crate::snapshot::Snapshot;
use crate::summary::CommitSummary;
use geode_store::ReadTxn;
use overlay::{Overlay, Undo};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

pub use schema::{IndexCursor, MAX_RULES, NewRule};
pub use write::MAX_VALUE_BYTES;

/// The most that a transaction writes unless [`Transaction::set_limit_bytes`] says otherwise.
pub const DEFAULT_WRITE_LIMIT_BYTES: usize = 64 << 20;

/// A snapshot with a write buffer.
pub struct Transaction<R> {
    snapshot: Snapshot<R>,
    /// `None` for a transaction that only reads; such a one needs no read set: its snapshot is consistent by itself.
    ids: Option<Arc<IdAllocator>>,
    reads: RefCell<ReadSet>,
    names: RefCell<HashMap<(TokenKind, u32), Arc<str>>>,
    /// What [`Transaction::rules`] found.
    rules: RefCell<Option<Arc<[Rule]>>>,
    overlay: Overlay,
    summary: CommitSummary,
    /// How to take back what was written since the first savepoint.
    undo: Option<Vec<Undo>>,
    limit_bytes: usize,
    /// The time of its first statement, microseconds since 1970.
    began_micros: Option<i64>,
    /// The graph that is worked on.
    graph: GraphId,
    /// Closed types of graphs that were looked up.
    types: RefCell<HashMap<GraphId, Option<Arc<GraphType>>>>,
    /// Those that have names, in the order in which they were set.
    savepoints: Vec<(String, Savepoint)>,
}

/// A state of the write buffer to return to.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    undo: usize,
    summary: CommitSummary,
}

/// A transaction that has run.
#[derive(Debug)]
pub struct Finished {
    /// The position of its snapshot.
    pub start: Position,
    /// What it changes, in an order that can be applied.
    pub effects: Vec<Effect>,
    /// What it read.
    pub reads: ReadSet,
    /// What it writes, for the certifier.
    pub writes: WriteSet,
    /// How much it changed.
    pub summary: CommitSummary,
}

impl<R: ReadTxn> Transaction<R> {
    /// A transaction that reads and writes. It has to be certified when it has effects.
    pub fn begin(read: R, ids: Arc<IdAllocator>) -> Result<Self> {
        Self::new(read, Some(ids))
    }

    /// A transaction that only reads: it keeps no read set and needs no certification.
    pub fn read_only(read: R) -> Result<Self> {
        Self::new(read, None)
    }

    fn new(read: R, ids: Option<Arc<IdAllocator>>) -> Result<Self> {
        Ok(Self {
            snapshot: Snapshot::new(read)?,
            ids,
            reads: RefCell::default(),
            names: RefCell::default(),
            rules: RefCell::default(),
            overlay: Overlay::default(),
            summary: CommitSummary::default(),
            undo: None,
            limit_bytes: DEFAULT_WRITE_LIMIT_BYTES,
            began_micros: None,
            graph: GraphId::HOME,
            types: RefCell::default(),
            savepoints: Vec::new(),
        })
    }

    /// A transaction on the same snapshot for another thread. There is none for one that writes or notes what it reads, nor when the store
    /// cannot give the snapshot again.
    pub fn helper(&self) -> Result<Option<Self>> {
        if !self.is_read_only() {
            return Ok(None);
        }
        let Some(read) = self.snapshot.reader().again()? else {
            return Ok(None);
        };
        let mut helper = Self::read_only(read)?;
        (helper.graph, helper.began_micros) = (self.graph, self.began_micros);
        Ok(Some(helper))
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.ids.is_none()
    }

    /// The position of the snapshot.
    pub fn position(&self) -> Position {
        self.snapshot.position()
    }

    /// The snapshot below, without the transaction's writes. What is read there does not enter the read set.
    pub fn snapshot(&self) -> &Snapshot<R> {
        &self.snapshot
    }

    /// Limits the size of the write buffer.
    pub fn set_limit_bytes(&mut self, limit: usize) {
        self.limit_bytes = limit;
    }

    /// The time of the transaction: that of its first statement, which this is if there was none before.
    pub fn began_micros(&mut self, now_micros: i64) -> i64 {
        *self.began_micros.get_or_insert(now_micros)
    }

    /// How much has been changed so far, operation by operation.
    pub fn summary(&self) -> CommitSummary {
        self.summary
    }

    /// Whether anything would be committed.
    pub fn has_writes(&self) -> bool {
        !self.overlay.is_empty()
    }

    /// Marks the state of the write buffer.
    pub fn savepoint(&mut self) -> Savepoint {
        let undo = self.undo.get_or_insert_default().len();
        Savepoint {
            undo,
            summary: self.summary,
        }
    }

    /// Takes back every write since the savepoint. What was read stays read. Later savepoints are void.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) {
        let Some(undo) = &mut self.undo else { return };
        while undo.len() > savepoint.undo {
            if let Some(step) = undo.pop() {
                self.overlay.take_back(step);
            }
        }
        *self.rules.borrow_mut() = None;
        self.types.borrow_mut().clear();
        self.summary = savepoint.summary;
    }

    /// Ends the transaction. Without effects nothing needs to be certified.
    pub fn finish(self) -> Finished {
        let start = self.snapshot.position();
        let (effects, writes) = self.overlay.into_effects();
        Finished {
            start,
            effects,
            reads: self.reads.into_inner(),
            writes,
            summary: self.summary,
        }
    }

    fn note(&self, touch: impl FnOnce() -> Touch) {
        if self.ids.is_some() {
            self.reads.borrow_mut().add(touch());
        }
    }
}
