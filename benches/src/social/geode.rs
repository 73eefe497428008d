//! Geode as users have it: three members, TLS, every write synced by a majority, a client over QUIC.

use super::data::{Choice, Data};
use super::query::{MIXED, QUERIES, Query, parameters};
use crate::graph::pages;
use crate::program;
use anyhow::{Context, Result, ensure};
use geode_client::{Client, Statement};
use geode_tests::members::{Members, Plan};
use geode_types::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const MEMBERS: usize = 3;
/// Nodes or edges a statement, which is a transaction.
const BATCH: usize = 5_000;
/// Statements at a time: while one waits for disks, the next one runs.
const IN_FLIGHT: usize = 3;
const SCHEMA: [&str; 3] = [
    "CREATE CONSTRAINT FOR (n:Person) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT FOR (n:City) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT FOR (n:Post) REQUIRE n.id IS UNIQUE",
];
const PEOPLE: &str = "UNWIND $rows AS r INSERT (:Person {id: r[0], name: r[1], age: r[2], city: r[3]})";
const CITIES: &str = "UNWIND $rows AS r INSERT (:City {id: r[0], name: r[1]})";
const POSTS: &str = "UNWIND $rows AS r INSERT (:Post {id: r[0], name: r[1]})";
const KNOWS: &str = "UNWIND $rows AS r MATCH (a:Person {id: r[0]}), (b:Person {id: r[1]}) INSERT (a)-[:KNOWS {since: r[2]}]->(b)";
const LIKES: &str =
    "UNWIND $rows AS r MATCH (a:Person {id: r[0]}), (b:Post {id: r[1]}) INSERT (a)-[:LIKES]->(b)";
const LIVES_IN: &str =
    "UNWIND $rows AS r MATCH (a:Person {id: r[0]}), (b:City {id: r[1]}) INSERT (a)-[:LIVES_IN]->(b)";

pub(crate) struct Geode {
    members: Members,
    runtime: Runtime,
    client: Client,
}

/// A load: its seconds, and bytes of pages with data.
pub(crate) struct Loaded {
    pub(crate) seconds: f64,
    pub(crate) live_bytes: f64,
}

impl Geode {
    pub(crate) fn start() -> Result<Self> {
        let members = Members::planned(
            &program("GEODE")?,
            &Plan {
                members: MEMBERS,
                timing: "default",
                ..Plan::default()
            },
        );
        let runtime = Runtime::new()?;
        let password = std::fs::read_to_string(members.password_file())?;
        let builder = Client::builder()
            .endpoints((0..MEMBERS).map(|member| members.address(member).to_owned()))
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

    pub(crate) fn load(&self, data: &Data) -> Result<Loaded> {
        let begin = Instant::now();
        for statement in SCHEMA {
            self.runtime
                .block_on(self.client.execute(Statement::new(statement)))?;
        }
        let named = |count: u64, letter: &str| {
            let row = |id: u64| row(&[Value::Int(id as i64), format!("{letter}{id}").into()]);
            (0..count).map(row).collect::<Vec<_>>()
        };
        let people = data.people.iter().enumerate();
        let person = |(id, person): (usize, &super::data::Person)| {
            row(&[
                (id as i64).into(),
                format!("p{id}").into(),
                person.age.into(),
                person.city.into(),
            ])
        };
        self.insert(PEOPLE, people.clone().map(person).collect())?;
        self.insert(CITIES, named(data.cities, "c"))?;
        self.insert(POSTS, named(data.posts, "t"))?;
        self.insert(KNOWS, data.knows.iter().map(|edge| numbers(edge)).collect())?;
        self.insert(LIKES, data.likes.iter().map(|edge| numbers(edge)).collect())?;
        self.insert(
            LIVES_IN,
            people
                .map(|(id, person)| numbers(&[id as i64, person.city]))
                .collect(),
        )?;
        let seconds = begin.elapsed().as_secs_f64();
        let folder = self.members.data(self.members.leader());
        let found = pages::find(folder, "data.mdb")?;
        let size = pages::size(&found.with_context(|| format!("no data.mdb below {}", folder.display()))?)?;
        Ok(Loaded {
            seconds,
            live_bytes: size.live as f64,
        })
    }

    fn insert(&self, text: &'static str, rows: Vec<Value>) -> Result<()> {
        let batches: Arc<Vec<Vec<Value>>> = Arc::new(rows.chunks(BATCH).map(<[Value]>::to_vec).collect());
        let next = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..IN_FLIGHT)
            .map(|_| {
                self.runtime
                    .spawn(insert(self.client.clone(), text, batches.clone(), next.clone()))
            })
            .collect();
        for worker in workers {
            self.runtime.block_on(worker)??;
        }
        Ok(())
    }

    /// The rows, and the seconds that they took.
    pub(crate) fn query(&self, query: &Query, choice: &Choice) -> Result<(Vec<Vec<Value>>, f64)> {
        let begin = Instant::now();
        let result = self
            .runtime
            .block_on(self.client.execute(statement(query, choice)))?;
        Ok((result.rows, begin.elapsed().as_secs_f64()))
    }

    /// Statements a second of so many clients.
    pub(crate) fn mixed(&self, clients: usize, seconds: f64, choices: &[Choice]) -> Result<f64> {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let choices = Arc::new(choices.to_vec());
        let begin = Instant::now();
        let workers: Vec<_> = (0..clients)
            .map(|worker| {
                let (client, choices) = (self.client.clone(), choices.clone());
                self.runtime.spawn(async move {
                    let mut done = worker;
                    while Instant::now() < until {
                        let query = &QUERIES[MIXED[done % MIXED.len()]];
                        client
                            .execute(statement(query, &choices[done % choices.len()]))
                            .await?;
                        done += 1;
                    }
                    anyhow::Ok(done - worker)
                })
            })
            .collect();
        let mut all = 0;
        for worker in workers {
            all += self.runtime.block_on(worker)??;
        }
        Ok(all as f64 / begin.elapsed().as_secs_f64())
    }
}

fn statement(query: &Query, choice: &Choice) -> Statement {
    let given = parameters(choice).into_iter();
    // A parameter that the text does not name is one too many.
    let used = given.filter(|(name, _)| query.text.contains(&format!("${name}")));
    used.fold(Statement::new(query.text), |statement, (name, value)| {
        statement.param(name, value)
    })
}

async fn insert(
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

fn row(values: &[Value]) -> Value {
    Value::List(values.to_vec())
}

fn numbers(values: &[i64]) -> Value {
    Value::List(values.iter().map(|number| Value::Int(*number)).collect())
}
