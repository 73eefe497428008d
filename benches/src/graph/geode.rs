//! The small graph in Geode.

use super::data::Data;
use super::{Answer, Loaded, Query};
use crate::database::{Database, row};
use anyhow::{Result, bail, ensure};
use geode_client::{ReadMode, Statement};
use geode_tests::members::{Members, Plan};
use geode_types::Value;
use std::time::Instant;

/// Nodes or edges a statement, which is a transaction.
const BATCH: usize = 10_000;
const NODES: &str = "FOR x IN $ids INSERT (n:Person {id: x}) RETURN x, id(n) AS number";
const EDGES: &str =
    "FOR e IN $rows MATCH (a), (b) WHERE id(a) = e[0] AND id(b) = e[1] INSERT (a)-[:KNOWS]->(b)";

pub(crate) struct Geode {
    database: Database,
    /// The database's number of each node.
    numbers: Vec<i64>,
}

/// A load, and the store's size before and after the edges.
pub(crate) struct GeodeLoaded {
    pub(crate) nodes_seconds: f64,
    pub(crate) edges: Loaded,
    pub(crate) live_bytes: f64,
}

impl Geode {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self::of(Database::start()?))
    }

    /// In other circumstances.
    pub(crate) fn planned(plan: &Plan) -> Result<Self> {
        Ok(Self::of(Database::planned(plan)?))
    }

    fn of(database: Database) -> Self {
        Self {
            database,
            numbers: Vec::new(),
        }
    }

    /// Nodes, then edges between them. The seconds are those of the edges.
    pub(crate) fn load(&mut self, data: &Data) -> Result<GeodeLoaded> {
        let nodes_seconds = self.load_nodes(data.nodes)?;
        let before = self.database.size()?;
        let seconds = self.load_edges(&data.edges)?;
        let after = self.database.size()?;
        Ok(GeodeLoaded {
            nodes_seconds,
            edges: Loaded {
                seconds,
                bytes: Some((after.file - before.file) as f64),
            },
            live_bytes: (after.live - before.live) as f64,
        })
    }

    /// Seconds.
    pub(crate) fn load_nodes(&mut self, nodes: u32) -> Result<f64> {
        let begin = Instant::now();
        let mut numbers = vec![-1; nodes as usize];
        let all: Vec<i64> = (0..i64::from(nodes)).collect();
        for batch in all.chunks(BATCH) {
            let ids = batch.iter().map(|id| Value::Int(*id)).collect::<Vec<_>>();
            let (made, _) = self.database.ask(Statement::new(NODES).param("ids", ids))?;
            for row in made.rows {
                let [Value::Int(id), Value::Int(number)] = row.as_slice() else {
                    bail!("a node's number is {row:?}");
                };
                numbers[usize::try_from(*id)?] = *number;
            }
        }
        ensure!(!numbers.contains(&-1), "every node has a number");
        self.numbers = numbers;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Seconds.
    pub(crate) fn load_edges(&self, edges: &[(u32, u32)]) -> Result<f64> {
        let ends = |(start, end): &(u32, u32)| row([*start, *end].map(|node| self.numbers[node as usize]));
        let rows: Vec<Value> = edges.iter().map(ends).collect();
        self.database.load(EDGES, &rows, BATCH)
    }

    /// The processes.
    pub(crate) fn members(&self) -> &Members {
        &self.database.members
    }

    /// `local`: what the member that is asked has applied, instead of everything acknowledged before.
    pub(crate) fn query(&self, query: Query, start: u32, local: bool) -> Result<Answer> {
        let read = if local {
            ReadMode::Local
        } else {
            ReadMode::Linearizable
        };
        let statement = Statement::new(text(query)).param("start", self.numbers[start as usize]);
        let (result, seconds) = self.database.ask(statement.read(read))?;
        match result.rows.first().map(Vec::as_slice) {
            Some([Value::Int(count)]) => Ok(Answer {
                count: *count,
                seconds,
            }),
            other => bail!("{query:?} answers {other:?}"),
        }
    }
}

/// Each hop is a MATCH of its own: within one, the edges of a walk must be different ones.
fn text(query: Query) -> &'static str {
    match query {
        Query::Nothing => "RETURN 1 + 0 * $start AS n",
        Query::Out1 => "MATCH (a)-[:KNOWS]->(b) WHERE id(a) = $start RETURN count(*) AS n",
        Query::Out2 => {
            "MATCH (a)-[:KNOWS]->(b) WHERE id(a) = $start MATCH (b)-[:KNOWS]->(c) RETURN count(*) AS n"
        }
        Query::Out3 => {
            "MATCH (a)-[:KNOWS]->(b) WHERE id(a) = $start MATCH (b)-[:KNOWS]->(c) MATCH (c)-[:KNOWS]->(d) RETURN count(*) AS n"
        }
        Query::In2 => {
            "MATCH (a)<-[:KNOWS]-(b) WHERE id(a) = $start MATCH (b)<-[:KNOWS]-(c) RETURN count(*) AS n"
        }
    }
}
