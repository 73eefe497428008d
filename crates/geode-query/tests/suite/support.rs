//! A database for tests: in-memory store, one session, each statement a transaction of its own unless one is open, applied as a log
//! entry would be.

use geode_graph::{Command, Commit, IdAllocator, LogPosition, Transaction, apply, position};
use geode_query::{
    Access, Context, Dialect, Kind, Params, Prepared, SessionState, SystemTables, TransactionCommand,
    execute, prepare, savepoint, session_change,
};
use geode_store::{MemStore, Store, WriteTxn};
use geode_types::temporal::{Duration, TimeZone};
use geode_types::{ErrorClass, LogIndex, QueryError, Summary, Temporal, TemporalKind, Term, Value};
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

/// System tables, with the columns of a server's that the guides ask for.
pub(crate) struct Tables;

const TABLES: [(&str, &[&str]); 6] = [
    (
        "system.cluster_nodes",
        &["node_id", "role", "lag_ms", "status", "lag", "last_heartbeat"],
    ),
    ("system.checkpoints", &["name", "timestamp", "wal_position"]),
    (
        "system.wal_archiving_status",
        &[
            "current_wal_file",
            "last_archived_file",
            "archive_lag_bytes",
            "archive_lag_seconds",
            "failed_archive_count",
            "archive_failures_24h",
        ],
    ),
    (
        "system.backup_status",
        &[
            "backup_type",
            "last_backup_time",
            "last_backup_size_mb",
            "last_backup_duration_seconds",
            "backup_count_24h",
            "oldest_backup_time",
        ],
    ),
    (
        "system.cluster_metrics",
        &[
            "timestamp",
            "node_id",
            "cpu_utilization",
            "memory_utilization",
            "disk_utilization",
            "query_latency_p99",
        ],
    ),
    (
        "system.queries",
        &[
            "id",
            "query",
            "user",
            "state",
            "duration",
            "memory_bytes",
            "graph",
        ],
    ),
];

impl SystemTables for Tables {
    fn names(&self) -> Vec<String> {
        TABLES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn columns(&self, name: &str) -> Option<Vec<String>> {
        let (_, columns) = TABLES.iter().find(|(known, _)| *known == name)?;
        Some(columns.iter().map(|column| (*column).to_owned()).collect())
    }

    fn rows(&self, name: &str) -> Vec<Vec<Value>> {
        match name {
            "system.cluster_nodes" => cluster_nodes(),
            "system.checkpoints" => vec![
                vec!["nightly".into(), days(-1), "0/7".into()],
                vec!["pre-migration-checkpoint".into(), days(0), "0/12".into()],
            ],
            "system.wal_archiving_status" => vec![vec![
                "00000000000000000009.open".into(),
                "00000000000000000001-00000000000000000008.seg".into(),
                4096.into(),
                12.into(),
                1.into(),
                0.into(),
            ]],
            "system.backup_status" => vec![vec![
                "full".into(),
                days(-1),
                12.5.into(),
                847.0.into(),
                1.into(),
                days(-31),
            ]],
            "system.cluster_metrics" => cluster_metrics(),
            _ => queries(),
        }
    }
}

/// So many days after 1970, which is when tests run.
fn days(days: i64) -> Value {
    let micros = days * 86_400_000_000;
    let at = Temporal::now(TemporalKind::DateTime, micros, TimeZone::UTC);
    Value::Temporal(at.expect("a time"))
}

fn seconds(seconds: i64) -> Value {
    let amount = Duration::new(0, 0, seconds, 0).expect("a duration");
    Value::Temporal(amount.into())
}

fn cluster_nodes() -> Vec<Vec<Value>> {
    let node = |id: i64, role: &str, lag: Option<i64>| {
        let status = if lag.is_some() { "healthy" } else { "unreachable" };
        vec![
            id.into(),
            role.into(),
            lag.map_or(Value::Null, Value::from),
            status.into(),
            lag.map_or(Value::Null, |_| seconds(0)),
            lag.map_or(Value::Null, |_| days(0)),
        ]
    };
    vec![
        node(1, "leader", Some(0)),
        node(2, "follower", Some(3)),
        node(3, "follower", None),
    ]
}

fn cluster_metrics() -> Vec<Vec<Value>> {
    let sample = |at: i64, cpu: f64, memory: f64, disk: f64, p99: Option<f64>| {
        let p99 = p99.map_or(Value::Null, Value::from);
        vec![
            days(at),
            "geode-0".into(),
            cpu.into(),
            memory.into(),
            disk.into(),
            p99,
        ]
    };
    vec![
        sample(-30, 99.0, 29.0, 19.0, Some(1.0)),
        sample(0, 71.5, 31.0, 20.5, Some(12.5)),
        sample(-6, 40.0, 30.0, 20.0, None),
    ]
}

fn queries() -> Vec<Vec<Value>> {
    let query = |id: &str, text: &str, took: i64| {
        vec![
            id.into(),
            text.into(),
            "admin".into(),
            "running".into(),
            seconds(took),
            1_048_576.into(),
            Value::Null,
        ]
    };
    vec![
        query("7f3a-2", "MATCH (a), (b), (c) RETURN count(*)", 25),
        query("7f3a-9", "MATCH (n) RETURN n LIMIT 10", 0),
    ]
}

pub(crate) struct Db {
    store: MemStore,
    ids: Arc<IdAllocator>,
    pub(crate) dialect: Dialect,
    session: RefCell<SessionState>,
    open: RefCell<Option<Open>>,
    closed: Cell<bool>,
    /// Who runs the statements; nobody in particular may do everything.
    user: RefCell<String>,
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
            user: RefCell::default(),
        }
    }

    /// From here on this user runs the statements.
    pub(crate) fn act_as(&self, user: &str) {
        user.clone_into(&mut self.user.borrow_mut());
    }

    /// The user's rights as they are now.
    fn access(&self) -> Access {
        let user = self.user.borrow().clone();
        if user.is_empty() {
            return Access::EVERYTHING;
        }
        let read = self.store.read().expect("a snapshot");
        let record = geode_graph::user(&read, &user).expect("users");
        let rights = geode_graph::rights(&read, &record.expect("a user")).expect("rights");
        Access { user, rights }
    }

    /// Runs one statement of the session. Outside of a transaction it is committed.
    pub(crate) fn run(&self, text: &str, params: &Params) -> Result<Answer, QueryError> {
        let (session, access) = (self.session.borrow().clone(), self.access());
        self.run_in(
            text,
            params,
            &Context {
                system: &Tables,
                session: &session,
                access: &access,
                hash_password: |password| Ok(format!("hash of {password}")),
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
            // There is no replica here.
            Kind::Reads(_) => return Ok(Answer::default()),
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

    /// Runs a statement that only reads, and drops its rows as they come.
    pub(crate) fn run_unseen(&self, text: &str, context: &Context<'_>) -> Result<(), QueryError> {
        let prepared = prepare(text, self.dialect, &Tables)?;
        let mut transaction = self.begin_read_only();
        let sink = &mut |_rows| ControlFlow::Continue(());
        execute(&prepared, &mut transaction, &Params::new(), context, sink).map(|_| ())
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
