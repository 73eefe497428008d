//! Geode as users have it: members over TLS, every write synced by a majority, a client over QUIC.

use crate::{pages, program};
use anyhow::{Context, Result, ensure};
use geode_client::{Client, QueryResult, Statement};
use geode_tests::members::{Members, Plan};
use geode_types::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::runtime::Runtime;

/// Statements of a load at a time: while one waits for disks, the next one runs.
const IN_FLIGHT: usize = 3;

pub(crate) struct Database {
    pub(crate) members: Members,
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
}

impl Database {
    /// Three members.
    pub(crate) fn start() -> Result<Self> {
        Self::planned(&Plan {
            members: 3,
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
        })
    }

    /// The answer, and the seconds that it took.
    pub(crate) fn ask(&self, statement: impl Into<Statement>) -> Result<(QueryResult, f64)> {
        let statement = statement.into();
        let begin = Instant::now();
        let result = self.runtime.block_on(self.client.execute(statement))?;
        Ok((result, begin.elapsed().as_secs_f64()))
    }

    /// Runs a statement that makes a node or an edge of each of `$rows`, so many rows a transaction. Returns seconds.
    pub(crate) fn load(&self, text: &'static str, rows: &[Value], batch: usize) -> Result<f64> {
        let begin = Instant::now();
        let batches: Arc<Vec<Vec<Value>>> = Arc::new(rows.chunks(batch).map(<[Value]>::to_vec).collect());
        let next = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..IN_FLIGHT)
            .map(|_| {
                let write = write(self.client.clone(), text, batches.clone(), next.clone());
                self.runtime.spawn(write)
            })
            .collect();
        for worker in workers {
            self.runtime.block_on(worker)??;
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    /// The leader's store.
    pub(crate) fn size(&self) -> Result<pages::Size> {
        let folder = self.members.data(self.members.leader());
        let found = pages::find(folder, "data.mdb")?;
        pages::size(&found.with_context(|| format!("no data.mdb below {}", folder.display()))?)
    }
}

async fn write(
    client: Client,
    text: &'static str,
    batches: Arc<Vec<Vec<Value>>>,
    next: Arc<AtomicUsize>,
) -> Result<()> {
    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        let made = client
            .execute(Statement::new(text).param("rows", batch.clone()))
            .await?;
        let count = made.summary.edges_created + made.summary.nodes_created;
        ensure!(
            made.repeated || count == batch.len() as u64,
            "{count} of {} were made by {text}",
            batch.len()
        );
    }
    Ok(())
}

/// A row of `$rows`.
pub(crate) fn row(values: impl IntoIterator<Item = impl Into<Value>>) -> Value {
    Value::List(values.into_iter().map(Into::into).collect())
}
