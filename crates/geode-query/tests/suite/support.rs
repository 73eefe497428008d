//! A database for tests: in-memory store, one session, each statement a transaction of its own unless one is open, applied as a log
//! entry would be.

use geode_graph::{Command, Commit, IdAllocator, LogPosition, Transaction, apply, position};
use geode_query::{
    Context, Dialect, Kind, Params, Prepared, SessionState, SystemTables, TransactionCommand, execute,
    prepare, savepoint, session_change,
};
use geode_store::{MemStore, Store, WriteTxn};
use geode_types::{ErrorClass, LogIndex, QueryError, Summary, Term, Value};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a statement answered.
#[derive(Debug, Default)]
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
    session: RefCell<SessionState>,
    open: RefCell<Option<Open>>,
    closed: Cell<bool>,
}

type Open = Transaction<<MemStore as Store>::Read>;

impl Db {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let store = MemStore::new();
        let ids = IdAllocator::seed(&store.read().expect("a snapshot")).expect("an empty store");
        Self {
            store,
            ids: Arc::new(ids),
            dialect,
            session: RefCell::default(),
            open: RefCell::default(),
            closed: Cell::new(false),
        }
    }

    /// Runs one statement of the session. Outside of a transaction it is committed.
    pub(crate) fn run(&self, text: &str, params: &Params) -> Result<Answer, QueryError> {
        let session = self.session.borrow().clone();
        self.run_in(
            text,
            params,
            &Context {
                system: &Tables,
                session: &session,
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
        assert!(!self.closed.get(), "the session is closed");
        let prepared = prepare(text, self.dialect, &Tables)?;
        let mut open = self.open.borrow_mut();
        match prepared.kind() {
            Kind::TransactionControl(command) => {
                return self.control(&command, &mut open).map(|()| Answer::default());
            }
            Kind::Session => {
                let mut alone = self.begin_read_only();
                let transaction = open.as_mut().unwrap_or(&mut alone);
                let change = session_change(&prepared, transaction, params, context)?;
                self.closed.set(!self.session.borrow_mut().apply(change));
                return Ok(Answer::default());
            }
            _ => {}
        }
        if let Some(transaction) = open.as_mut() {
            return Self::execute(&prepared, transaction, params, context);
        }
        let mut transaction = self.begin();
        let answer = Self::execute(&prepared, &mut transaction, params, context)?;
        self.commit(transaction);
        Ok(answer)
    }

    fn control(&self, command: &TransactionCommand, open: &mut Option<Open>) -> Result<(), QueryError> {
        let misplaced = |detail, gqlstatus| {
            QueryError::runtime(ErrorClass::SemanticError, detail, gqlstatus, "misplaced")
        };
        match (command, open.as_mut()) {
            (TransactionCommand::Begin { read_only }, None) => {
                *open = Some(if *read_only {
                    self.begin_read_only()
                } else {
                    self.begin()
                });
            }
            (TransactionCommand::Begin { .. }, Some(_)) => {
                return Err(misplaced("TransactionActive", "25G01"));
            }
            (_, None) => return Err(misplaced("NoTransaction", "2D000")),
            (TransactionCommand::Commit, Some(_)) => {
                open.take().into_iter().for_each(|open| self.commit(open));
            }
            (TransactionCommand::Rollback, Some(_)) => *open = None,
            (command, Some(open)) => savepoint(command, open)?,
        }
        Ok(())
    }

    fn execute(
        prepared: &Prepared,
        transaction: &mut Open,
        params: &Params,
        context: &Context<'_>,
    ) -> Result<Answer, QueryError> {
        let mut rows = Vec::new();
        let summary = execute(prepared, transaction, params, context, &mut |batch| {
            rows.extend(batch);
            ControlFlow::Continue(())
        })?;
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
