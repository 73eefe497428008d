//! A throw-away graph in this process: the same pipeline and the same sessions on a store in memory, with nobody to replicate to.

use crate::gate::WriteGate;
use crate::pipeline::{
    Announced, Decided, FRAMES_WAITING, Limits, NotNow, Output, Pipeline, Refusal, Replication, SubmitError,
};
use crate::session::Session;
use futures::FutureExt;
use futures::future::BoxFuture;
use geode_client::QueryResult;
use geode_graph::{ADMIN_ROLE, Command, LogPosition, UserRecord, apply, apply_empty};
use geode_query::NoSystemTables;
use geode_store::{MemStore, Store, WriteTxn};
use geode_types::{LogIndex, QueryError, Term, Value, decode_value, encode_value};
use geode_wire::client::{Dialect, Execute, MemberAddress};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TERM: Term = Term(1);
const LIMITS: Limits = Limits {
    query_timeout: Duration::from_secs(60),
    transaction_timeout: Duration::from_secs(30),
    query_memory_bytes: 256 << 20,
    workers: 0,
};

/// A graph that lives as long as this value.
pub struct Ephemeral {
    session: Session<Alone>,
    pipeline: Arc<Pipeline<Alone>>,
    user: Arc<UserRecord>,
}

impl Ephemeral {
    /// An empty graph. Used inside a tokio runtime.
    pub fn new() -> Self {
        let pipeline = Pipeline::new(
            Alone::new(),
            Arc::new(WriteGate::default()),
            Arc::new(NoSystemTables),
            LIMITS,
        );
        let nobody = UserRecord {
            name: String::new(),
            hash: String::new(),
            role: ADMIN_ROLE.to_owned(),
        };
        let (pipeline, user) = (Arc::new(pipeline), Arc::new(nobody));
        Self {
            session: Session::new(pipeline.clone(), user.clone()),
            pipeline,
            user,
        }
    }

    /// Empties the graph; an open transaction is gone.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.session.in_transaction()
    }

    /// Runs one statement. Boxed, so that the pipeline is compiled here and not again in who calls it.
    pub fn execute(
        &mut self,
        text: String,
        params: Vec<(String, Value)>,
        dialect: Dialect,
    ) -> BoxFuture<'_, Result<QueryResult, QueryError>> {
        self.run(text, params, dialect).boxed()
    }

    async fn run(
        &mut self,
        text: String,
        mut params: Vec<(String, Value)>,
        dialect: Dialect,
    ) -> Result<QueryResult, QueryError> {
        params.sort_by(|left, right| left.0.cmp(&right.0));
        let mut bytes = Vec::new();
        encode_value(&Value::Map(params), &mut bytes);
        let execute = Execute {
            text,
            params: bytes.into(),
            dialect,
            ..Execute::default()
        };
        let (out, mut pieces) = mpsc::channel(FRAMES_WAITING);
        let running = async {
            let ended = self.session.execute(execute, &out).await;
            drop(out);
            ended
        };
        let collecting = async {
            let mut result = QueryResult::default();
            while let Some(piece) = pieces.recv().await {
                match piece {
                    Output::Columns(columns) => result.columns = columns,
                    Output::Rows(rows) => {
                        let mut data = rows.data.as_ref();
                        for _ in 0..rows.count {
                            let row: Result<_, _> =
                                result.columns.iter().map(|_| decode_value(&mut data)).collect();
                            result
                                .rows
                                .push(row.expect("the pipeline encodes values as they are decoded"));
                        }
                    }
                }
            }
            result
        };
        let (ended, mut result) = tokio::join!(running, collecting);
        if self.session.is_closed() {
            // The graph stays; who closes the only session gets another one.
            self.session = Session::new(self.pipeline.clone(), self.user.clone());
        }
        let done = ended.map_err(|refusal| match refusal {
            Refusal::Failed(error) => *error,
            Refusal::NotLeader(_) => unreachable!("who is alone leads"),
        })?;
        (result.summary, result.lsn) = (done.summary, done.lsn);
        (result.repeated, result.reads) = (done.repeated, done.reads);
        Ok(result)
    }
}

impl Default for Ephemeral {
    fn default() -> Self {
        Self::new()
    }
}

/// Replication with nobody: a command is committed when it is applied.
struct Alone {
    store: Arc<MemStore>,
    last: Mutex<LogIndex>,
}

impl Alone {
    fn new() -> Self {
        let store = MemStore::new();
        let first = LogPosition {
            term: TERM,
            index: LogIndex(1),
        };
        let begun = store
            .write()
            .map_err(geode_graph::GraphError::from)
            .and_then(|mut tx| {
                apply_empty(&mut tx, first)?;
                Ok(tx.commit()?)
            });
        begun.expect("an empty store in memory takes its first entry");
        Self {
            store: Arc::new(store),
            last: Mutex::new(first.index),
        }
    }

    fn apply(&self, command: &Command) -> geode_graph::Result<Decided> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let index = LogIndex(last.0 + 1);
        let mut tx = self.store.write()?;
        let applied = apply(&mut tx, LogPosition { term: TERM, index }, command)?;
        tx.commit()?;
        *last = index;
        Ok(Decided { index, applied })
    }
}

impl Replication for Alone {
    type Store = MemStore;

    fn store(&self) -> &Arc<MemStore> {
        &self.store
    }

    fn leader_term(&self) -> Option<Term> {
        Some(TERM)
    }

    fn leader(&self) -> Option<MemberAddress> {
        None
    }

    fn last_log(&self) -> LogIndex {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_index(&self) -> Result<LogIndex, NotNow> {
        Ok(self.last_log())
    }

    async fn wait_applied(&self, index: LogIndex, _: Instant) -> bool {
        index <= self.last_log()
    }

    fn submit(
        &self,
        command: &Command,
    ) -> impl Future<Output = Result<Decided, SubmitError>> + Send + 'static + use<> {
        let decided = self
            .apply(command)
            .map_err(|error| SubmitError::Refused(error.to_string()));
        std::future::ready(decided)
    }

    fn announced(&self) -> Vec<Announced> {
        Vec::new()
    }

    fn doubt(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        std::future::pending()
    }
}

#[cfg(test)]
#[path = "ephemeral_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "access_tests.rs"]
mod access_tests;
