//! A database for tests: in-memory store, each statement a transaction of its own, applied as a log entry would be.

use geode_graph::{Command, Commit, IdAllocator, LogPosition, Transaction, apply, position};
use geode_query::{Context, Dialect, Params, SystemTables, execute, prepare};
use geode_store::{MemStore, Store, WriteTxn};
use geode_types::{LogIndex, QueryError, Summary, Term, Value};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a statement answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) summary: Summary,
}

/// One system table, as a server would offer it.
pub(crate) struct Tables;

impl SystemTables for Tables {
    fn names(&self) -> Vec<String> {
        vec!["system.cluster_nodes".to_owned()]
    }

    fn columns(&self, name: &str) -> Option<Vec<String>> {
        (name == "system.cluster_nodes")
            .then(|| vec!["node_id".to_owned(), "role".to_owned(), "lag_ms".to_owned()])
    }

    fn rows(&self, _name: &str) -> Vec<Vec<Value>> {
        vec![
            vec![1.into(), "leader".into(), 0.into()],
            vec![2.into(), "follower".into(), 3.into()],
            vec![3.into(), "follower".into(), Value::Null],
        ]
    }
}

pub(crate) struct Db {
    store: MemStore,
    ids: Arc<IdAllocator>,
    pub(crate) dialect: Dialect,
}

impl Db {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let store = MemStore::new();
        let ids = IdAllocator::seed(&store.read().expect("a snapshot")).expect("an empty store");
        Self {
            store,
            ids: Arc::new(ids),
            dialect,
        }
    }

    /// Runs one statement and commits it.
    pub(crate) fn run(&self, text: &str, params: &Params) -> Result<Answer, QueryError> {
        self.run_in(
            text,
            params,
            &Context {
                system: &Tables,
                ..Context::default()
            },
        )
    }

    pub(crate) fn run_in(
        &self,
        text: &str,
        params: &Params,
        context: &Context<'_>,
    ) -> Result<Answer, QueryError> {
        let prepared = prepare(text, self.dialect, &Tables)?;
        let mut transaction = self.begin();
        let mut rows = Vec::new();
        let summary = execute(&prepared, &mut transaction, params, context, &mut |batch| {
            rows.extend(batch);
            ControlFlow::Continue(())
        })?;
        self.commit(transaction);
        Ok(Answer {
            columns: prepared.columns().to_vec(),
            rows,
            summary,
        })
    }

    pub(crate) fn begin(&self) -> Transaction<<MemStore as Store>::Read> {
        Transaction::begin(self.store.read().expect("a snapshot"), self.ids.clone()).expect("a transaction")
    }

    pub(crate) fn begin_read_only(&self) -> Transaction<<MemStore as Store>::Read> {
        Transaction::read_only(self.store.read().expect("a snapshot")).expect("a transaction")
    }

    pub(crate) fn commit(&self, transaction: Transaction<<MemStore as Store>::Read>) {
        let finished = transaction.finish();
        if finished.effects.is_empty() {
            return;
        }
        let mut write = self.store.write().expect("the writer");
        let now = position(&write).expect("a position");
        let commit = Commit {
            request_id: None,
            certified_term: Term(1),
            sequence: now.sequence + 1,
            at_micros: 0,
            effects: finished.effects,
            summary: finished.summary,
        };
        let at = LogPosition {
            term: Term(1),
            index: LogIndex(now.index.0 + 1),
        };
        apply(&mut write, at, &Command::Commit(Box::new(commit))).expect("an applicable commit");
        write.commit().expect("a commit");
    }
}
