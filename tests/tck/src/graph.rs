//! A graph for one scenario: a store in memory, each statement a transaction of its own, applied as a log entry would be.

use crate::procedures::Procedures;
use geode_graph::{Command, Commit, IdAllocator, LogPosition, Transaction, apply, position};
use geode_query::{Context, Dialect, Limits, Params, execute, prepare};
use geode_store::{MemStore, Store, WriteTxn};
use geode_types::{ErrorClass, LogIndex, QueryError, Term, Value};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What a statement answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

/// A graph.
pub struct Graph {
    /// The procedures that there are.
    pub procedures: Procedures,
    store: MemStore,
    ids: Arc<IdAllocator>,
}

/// What a graph consists of, for the difference that a statement makes.
#[derive(Debug, Default)]
pub struct Contents {
    nodes: BTreeSet<u64>,
    edges: BTreeSet<u64>,
    labels: BTreeSet<String>,
    /// Element, key and value.
    properties: BTreeSet<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Result<Self, QueryError> {
        let store = MemStore::new();
        let ids = IdAllocator::seed(&store.read().map_err(internal)?).map_err(internal)?;
        Ok(Self {
            procedures: Procedures::default(),
            store,
            ids: Arc::new(ids),
        })
    }

    /// Runs one statement and commits it.
    pub fn run(&self, text: &str, params: &Params) -> Result<Answer, QueryError> {
        let prepared = prepare(text, Dialect::Cypher, &self.procedures)?;
        let snapshot = self.store.read().map_err(internal)?;
        let mut transaction = Transaction::begin(snapshot, self.ids.clone()).map_err(internal)?;
        let context = Context {
            system: &self.procedures,
            limits: Limits {
                deadline: Some(Instant::now() + TIME_LIMIT),
                ..Limits::default()
            },
            ..Context::default()
        };
        let mut rows = Vec::new();
        execute(&prepared, &mut transaction, params, &context, &mut |batch| {
            rows.extend(batch);
            ControlFlow::Continue(())
        })?;
        self.commit(transaction)?;
        Ok(Answer {
            columns: prepared.columns().to_vec(),
            rows,
        })
    }

    fn commit(&self, transaction: Transaction<<MemStore as Store>::Read>) -> Result<(), QueryError> {
        let finished = transaction.finish();
        if finished.effects.is_empty() {
            return Ok(());
        }
        let mut write = self.store.write().map_err(internal)?;
        let now = position(&write).map_err(internal)?;
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
        apply(&mut write, at, &Command::Commit(Box::new(commit))).map_err(internal)?;
        write.commit().map_err(internal)
    }

    /// Everything in the graph.
    pub fn contents(&self) -> Result<Contents, QueryError> {
        let mut contents = Contents::default();
        for text in ["MATCH (n) RETURN n", "MATCH ()-[e]->() RETURN e"] {
            for value in self.run(text, &Params::new())?.rows.into_iter().flatten() {
                contents.add(value);
            }
        }
        Ok(contents)
    }
}

impl Contents {
    fn add(&mut self, value: Value) {
        let (element, properties) = match value {
            Value::Node(node) => {
                self.nodes.insert(node.id.0);
                self.labels.extend(node.labels);
                (format!("n{}", node.id), node.properties)
            }
            Value::Edge(edge) => {
                self.edges.insert(edge.id.0);
                (format!("e{}", edge.id), edge.properties)
            }
            _ => return,
        };
        let properties = properties.into_iter();
        self.properties
            .extend(properties.map(|(key, value)| format!("{element} {key} {value:?}")));
    }

    /// What the kit calls side effects: how much is there that was not (`+nodes`), and how much is there no more (`-nodes`). A changed
    /// property is one of each; labels count once however many nodes bear them. Zeros are left out.
    pub fn effects_since(&self, before: &Self) -> Vec<(String, usize)> {
        fn sides<T: Ord>(name: &str, before: &BTreeSet<T>, after: &BTreeSet<T>) -> [(String, usize); 2] {
            [
                (format!("+{name}"), after.difference(before).count()),
                (format!("-{name}"), before.difference(after).count()),
            ]
        }
        let all = [
            sides("nodes", &before.nodes, &self.nodes),
            sides("relationships", &before.edges, &self.edges),
            sides("labels", &before.labels, &self.labels),
            sides("properties", &before.properties, &self.properties),
        ];
        all.into_iter()
            .flatten()
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

fn internal(error: impl Display) -> QueryError {
    QueryError::runtime(ErrorClass::InternalError, "Store", "5GI00", error.to_string())
}
