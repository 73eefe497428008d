//! Geode as users have it: three members, TLS, every write synced by a majority, a client over QUIC.

use super::data::Data;
use super::pages;
use super::{Answer, Loaded, Query};
use crate::program;
use anyhow::{Context, Result, ensure};
use geode_client::{Client, ReadMode, Statement};
use geode_tests::members::{Members, Plan};
use geode_types::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::runtime::Runtime;

const MEMBERS: usize = 3;
/// Nodes or edges a statement, which is a transaction.
const BATCH: usize = 10_000;
/// Statements at a time: while one waits for disks, the next one runs.
const IN_FLIGHT: usize = 3;
const NODES: &str = "FOR x IN $ids INSERT (n:Person {id: x}) RETURN x, id(n) AS number";
const EDGES: &str =
    "FOR e IN $edges MATCH (a), (b) WHERE id(a) = e[0] AND id(b) = e[1] INSERT (a)-[:KNOWS]->(b)";

pub(crate) struct Geode {
    members: Members,
    runtime: Runtime,
    client: Client,
    /// The database's number of each node.
    numbers: Arc<[i64]>,
}

/// A load, and the store's size before and after the edges.
pub(crate) struct GeodeLoaded {
    pub(crate) nodes_seconds: f64,
    pub(crate) edges: Loaded,
    pub(crate) live_bytes: f64,
}

impl Geode {
    pub(crate) fn start() -> Result<Self> {
        Self::planned(&Plan {
            members: MEMBERS,
            timing: "default",
            ..Plan::default()
        })
    }

    /// In other circumstances.
    pub(crate) fn planned(plan: &Plan) -> Result<Self> {
        let members = Members::planned(&program("GEODE")?, plan);
        let runtime = Runtime::new()?;
        let password = std::fs::read_to_string(members.password_file())?;
        let builder = Client::builder()
            .endpoints((0..plan.members).map(|member| members.address(member).to_owned()))
            .user("admin")
            .password(password.trim_end())
            .ca_pem(std::fs::read(members.ca_file())?);
        let client = runtime.block_on(async { builder.build() })?;
        Ok(Self {
            members,
            runtime,
            client,
            numbers: Arc::default(),
        })
    }

    /// Nodes, then edges between them. The seconds are those of the edges.
    pub(crate) fn load(&mut self, data: &Data) -> Result<GeodeLoaded> {
        let nodes_seconds = self.load_nodes(data.nodes)?;
        let before = self.size()?;
        let seconds = self.load_edges(&data.edges)?;
        let after = self.size()?;
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
            let made = self.client.execute(Statement::new(NODES).param("ids", ids));
            for row in self.runtime.block_on(made)?.rows {
                let [Value::Int(id), Value::Int(number)] = row.as_slice() else {
                    anyhow::bail!("a node's number is {row:?}");
                };
                numbers[usize::try_from(*id)?] = *number;
            }
        }
        ensure!(!numbers.contains(&-1), "every node has a number");
        self.numbers = numbers.into();
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Seconds.
    pub(crate) fn load_edges(&self, edges: &[(u32, u32)]) -> Result<f64> {
        let begin = Instant::now();
        let batches: Arc<Vec<Vec<(u32, u32)>>> = Arc::new(edges.chunks(BATCH).map(<[_]>::to_vec).collect());
        let next = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..IN_FLIGHT)
            .map(|_| {
                let (client, numbers) = (self.client.clone(), self.numbers.clone());
                self.runtime
                    .spawn(insert(client, numbers, batches.clone(), next.clone()))
            })
            .collect();
        for worker in workers {
            self.runtime.block_on(worker)??;
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    /// The processes.
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// The leader's store.
    fn size(&self) -> Result<pages::Size> {
        let folder = self.members.data(self.members.leader());
        let found = pages::find(folder, "data.mdb")?;
        pages::size(&found.with_context(|| format!("no data.mdb below {}", folder.display()))?)
    }

    /// `local`: what the member that is asked has applied, instead of everything acknowledged before.
    pub(crate) fn query(&self, query: Query, start: u32, local: bool) -> Result<Answer> {
        let read = if local {
            ReadMode::Local
        } else {
            ReadMode::Linearizable
        };
        let statement = Statement::new(text(query)).param("start", self.numbers[start as usize]);
        let statement = statement.read(read);
        let begin = Instant::now();
        let result = self.runtime.block_on(self.client.execute(statement))?;
        let seconds = begin.elapsed().as_secs_f64();
        match result.rows.as_slice() {
            [row] if matches!(row.as_slice(), [Value::Int(_)]) => {
                let [Value::Int(count)] = row.as_slice() else {
                    unreachable!("just matched")
                };
                Ok(Answer {
                    count: *count,
                    seconds,
                })
            }
            other => anyhow::bail!("{query:?} answers {other:?}"),
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

async fn insert(
    client: Client,
    numbers: Arc<[i64]>,
    batches: Arc<Vec<Vec<(u32, u32)>>>,
    next: Arc<AtomicUsize>,
) -> Result<()> {
    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        let number = |node: u32| Value::Int(numbers[node as usize]);
        let pair = |(start, end): &(u32, u32)| Value::List(vec![number(*start), number(*end)]);
        let edges: Vec<Value> = batch.iter().map(pair).collect();
        let made = client
            .execute(Statement::new(EDGES).param("edges", edges))
            .await?;
        ensure!(
            made.repeated || made.summary.edges_created == batch.len() as u64,
            "{} edges of {} were made",
            made.summary.edges_created,
            batch.len()
        );
    }
    Ok(())
}
