//! The social network in Geode.

use super::data::{Choice, Data};
use super::query::{MIXED, QUERIES, Query, parameters};
use crate::database::{Database, row};
use anyhow::Result;
use geode_client::Statement;
use geode_types::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nodes or edges a statement, which is a transaction.
const BATCH: usize = 5_000;
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

pub(crate) struct Geode(Database);

/// A load: its seconds, and bytes of pages with data.
pub(crate) struct Loaded {
    pub(crate) seconds: f64,
    pub(crate) live_bytes: f64,
}

impl Geode {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self(Database::start()?))
    }

    pub(crate) fn load(&self, data: &Data) -> Result<Loaded> {
        let begin = Instant::now();
        for statement in SCHEMA {
            self.0.ask(statement)?;
        }
        let named = |count: u64, letter: &str| {
            let row = |id: u64| row([Value::Int(id as i64), format!("{letter}{id}").into()]);
            (0..count).map(row).collect::<Vec<_>>()
        };
        let people = data.people.iter().enumerate();
        let person = |(id, person): (usize, &super::data::Person)| {
            row([
                Value::Int(id as i64),
                format!("p{id}").into(),
                person.age.into(),
                person.city.into(),
            ])
        };
        let lives_in = |(id, person): (usize, &super::data::Person)| row([id as i64, person.city]);
        let rows: [(&str, Vec<Value>); 6] = [
            (PEOPLE, people.clone().map(person).collect()),
            (CITIES, named(data.cities, "c")),
            (POSTS, named(data.posts, "t")),
            (KNOWS, data.knows.iter().copied().map(row).collect()),
            (LIKES, data.likes.iter().copied().map(row).collect()),
            (LIVES_IN, people.map(lives_in).collect()),
        ];
        for (text, rows) in rows {
            self.0.load(text, &rows, BATCH)?;
        }
        Ok(Loaded {
            seconds: begin.elapsed().as_secs_f64(),
            live_bytes: self.0.size()?.live as f64,
        })
    }

    /// The rows, and the seconds that they took.
    pub(crate) fn query(&self, query: &Query, choice: &Choice) -> Result<(Vec<Vec<Value>>, f64)> {
        let (result, seconds) = self.0.ask(statement(query, choice))?;
        Ok((result.rows, seconds))
    }

    /// Statements a second of so many clients.
    pub(crate) fn mixed(&self, clients: usize, seconds: f64, choices: &[Choice]) -> Result<f64> {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let choices = Arc::new(choices.to_vec());
        let begin = Instant::now();
        let workers: Vec<_> = (0..clients)
            .map(|worker| {
                let (client, choices) = (self.0.client.clone(), choices.clone());
                self.0.runtime.spawn(async move {
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
            all += self.0.runtime.block_on(worker)??;
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
