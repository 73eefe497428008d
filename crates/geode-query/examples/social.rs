//! The queries of the social benchmark on an LMDB store in this process, without a server: what `perf record` looks at.
//!
//! `cargo run --release -p geode-query --example social -- [nodes] [only q3,q7] [seconds a query]`
//!
//! Instructions of a query, which a busy machine does not change: `valgrind --tool=callgrind target/release/examples/social 10000 q5 0` runs it
//! three times; what the same takes with `none` for `q5` is to be taken off.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a tool that fails by panicking"
)]

use geode_graph::{Command, Commit, IdAllocator, LogPosition, Transaction, apply, position};
use geode_query::{Context, Dialect, NoSystemTables, Params, execute, explain, prepare};
use geode_store::{LmdbOptions, LmdbStore, Store, WriteTxn};
use geode_types::{LogIndex, Term, Value};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Small numbers more often: `bound · u²`.
    fn skewed(&mut self, bound: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((bound as f64 * unit * unit) as u64).min(bound - 1)
    }
}

const QUERIES: [(&str, &str); 12] = [
    (
        "q1",
        "MATCH (p:Person {id: $a}) RETURN p.name AS name, p.age AS age",
    ),
    (
        "q2",
        "MATCH (p:Person {id: $a})-[:KNOWS]->(f) RETURN count(*) AS n",
    ),
    (
        "q3",
        "MATCH (p:Person {id: $a})-[:KNOWS]->()-[:KNOWS]->(f) RETURN count(DISTINCT f) AS n",
    ),
    (
        "q4",
        "MATCH (p:Person {id: $a})-[:KNOWS]->()-[:KNOWS]->()-[:KNOWS]->(f) RETURN count(DISTINCT f) AS n",
    ),
    (
        "q5",
        "MATCH (p:Person) RETURN p.city AS city, count(*) AS n, avg(p.age) AS age ORDER BY n DESC, city LIMIT 10",
    ),
    (
        "q6",
        "MATCH (p:Person) WHERE p.age > 60 AND p.city = $city RETURN count(*) AS n",
    ),
    (
        "q7",
        "MATCH (p:Person)<-[:KNOWS]-() RETURN p.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
    ),
    (
        "q8",
        "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person)-[:KNOWS]->(a) RETURN count(*) AS n",
    ),
    (
        "q9",
        "MATCH p = shortestPath((a:Person {id: $a})-[:KNOWS*..6]->(b:Person {id: $b})) RETURN length(p) AS n",
    ),
    ("q10", "MATCH (p:Person {id: $a}) SET p.age = $age"),
    (
        "q11",
        "MATCH (a:Person {id: $a}), (b:Person {id: $b}) CREATE (a)-[:KNOWS {since: 2024}]->(b)",
    ),
    (
        "q12",
        "MATCH (c:City) OPTIONAL MATCH (c)<-[:LIVES_IN]-(p:Person) WHERE p.age > 60 RETURN c.id AS id, count(p) AS n, avg(p.age) AS age ORDER BY n DESC, id LIMIT 10",
    ),
];

struct Db {
    store: LmdbStore,
    ids: Arc<IdAllocator>,
}

impl Db {
    fn commit(&self, transaction: Transaction<<LmdbStore as Store>::Read>) {
        let finished = transaction.finish();
        let mut write = self.store.write().unwrap();
        let now = position(&write).unwrap();
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
        apply(&mut write, at, &Command::Commit(Box::new(commit))).unwrap();
        write.commit().unwrap();
    }

    fn run(&self, text: &str, params: &Params) -> Vec<Vec<Value>> {
        let prepared = prepare(text, Dialect::Gql, &NoSystemTables).unwrap();
        let writes = prepared.kind() == geode_query::Kind::Write;
        let read = self.store.read().unwrap();
        let mut transaction = if writes {
            Transaction::begin(read, self.ids.clone()).unwrap()
        } else {
            Transaction::read_only(read).unwrap()
        };
        transaction.set_limit_bytes(1 << 30);
        let mut rows = Vec::new();
        execute(
            &prepared,
            &mut transaction,
            params,
            &Context::default(),
            &mut |batch| {
                rows.extend(batch);
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        if writes {
            self.commit(transaction);
        }
        rows
    }

    fn load(&self, nodes: u64) {
        let mut random = Random(42);
        let (persons, posts, cities) = sizes(nodes);
        for statement in [
            "CREATE CONSTRAINT FOR (n:Person) REQUIRE n.id IS UNIQUE",
            "CREATE CONSTRAINT FOR (n:City) REQUIRE n.id IS UNIQUE",
            "CREATE CONSTRAINT FOR (n:Post) REQUIRE n.id IS UNIQUE",
        ] {
            self.run(statement, &Params::new());
        }
        let made = |label: &str, count: u64, random: &mut Random| {
            let mut all = Vec::new();
            for from in (0..count).step_by(20_000) {
                let mut tx = Transaction::begin(self.store.read().unwrap(), self.ids.clone()).unwrap();
                let token = tx.define_label(label).unwrap();
                let keys = ["id", "name", "age", "city"].map(|key| tx.define_key(key).unwrap());
                for id in from..(from + 20_000).min(count) {
                    let mut properties = vec![
                        (keys[0], Value::Int(id as i64)),
                        (keys[1], Value::String(format!("{label}-{id}"))),
                    ];
                    if label == "Person" {
                        properties.push((keys[2], Value::Int(18 + random.below(60) as i64)));
                        properties.push((keys[3], Value::Int(random.skewed(cities) as i64)));
                    }
                    all.push(tx.create_node(&[token], properties).unwrap());
                }
                self.commit(tx);
            }
            all
        };
        let (person, post, city) = (
            made("Person", persons, &mut random),
            made("Post", posts, &mut random),
            made("City", cities, &mut random),
        );
        let knows = nodes * 10 * 7 / 10;
        let likes = nodes * 10 - knows - persons;
        for (name, count) in [("KNOWS", knows), ("LIKES", likes), ("LIVES_IN", persons)] {
            for from in (0..count).step_by(20_000) {
                let mut tx = Transaction::begin(self.store.read().unwrap(), self.ids.clone()).unwrap();
                tx.set_limit_bytes(1 << 30);
                let token = tx.define_type(name).unwrap();
                let since = tx.define_key("since").unwrap();
                for at in from..(from + 20_000).min(count) {
                    let (start, end, properties) = match name {
                        "KNOWS" => (
                            person[random.below(persons) as usize],
                            person[random.skewed(persons) as usize],
                            vec![(since, Value::Int(2000 + random.below(25) as i64))],
                        ),
                        "LIKES" => (
                            person[random.below(persons) as usize],
                            post[random.skewed(posts) as usize],
                            Vec::new(),
                        ),
                        _ => (
                            person[at as usize],
                            city[random.skewed(cities) as usize],
                            Vec::new(),
                        ),
                    };
                    tx.create_edge(token, start, end, properties).unwrap();
                }
                self.commit(tx);
            }
        }
    }
}

fn sizes(nodes: u64) -> (u64, u64, u64) {
    let (posts, cities) = (nodes * 19 / 100, nodes / 100);
    (nodes - posts - cities, posts, cities)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let nodes: u64 = arguments.first().map_or(10_000, |nodes| nodes.parse().unwrap());
    let only: Vec<&str> = arguments.get(1).map_or(Vec::new(), |only| {
        only.split(',').filter(|only| *only != "all").collect()
    });
    let seconds: f64 = arguments.get(2).map_or(1.0, |seconds| seconds.parse().unwrap());
    let folder = PathBuf::from(format!("/tmp/geode-social-{nodes}"));
    let is_new = !folder.exists();
    std::fs::create_dir_all(&folder).unwrap();
    let options = LmdbOptions {
        // Valgrind maps no terabyte.
        map_size: 8 << 30,
        ..LmdbOptions::default()
    };
    let store = LmdbStore::open(&folder, options).unwrap();
    let ids = Arc::new(IdAllocator::seed(&store.read().unwrap()).unwrap());
    let db = Db { store, ids };
    if is_new {
        let start = Instant::now();
        db.load(nodes);
        db.store.sync().unwrap();
        let size = db.store.size().unwrap().used_bytes;
        println!(
            "loaded in {:.1} s, {:.1} bytes an edge, all files",
            start.elapsed().as_secs_f64(),
            size as f64 / (nodes as f64 * 10.0)
        );
    }
    let (persons, _, cities) = sizes(nodes);
    for (name, text) in QUERIES {
        if !(only.is_empty() || only.contains(&name)) {
            continue;
        }
        let prepared = match prepare(text, Dialect::Gql, &NoSystemTables) {
            Ok(prepared) => prepared,
            Err(error) => {
                println!("{name:4} {}", error.message);
                continue;
            }
        };
        let mut random = Random(7);
        let mut times = Vec::new();
        let mut sum = 0usize;
        let mut first = None;
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        while (Instant::now() < until || times.len() < 3) && times.len() < 2000 {
            let params: Params = [
                ("a", Value::Int(random.below(persons) as i64)),
                ("b", Value::Int(random.skewed(persons) as i64)),
                ("age", Value::Int(random.below(90) as i64)),
                ("city", Value::Int(random.below(cities) as i64)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
            let start = Instant::now();
            let read = db.store.read().unwrap();
            let writes = prepared.kind() == geode_query::Kind::Write;
            let mut tx = if writes {
                Transaction::begin(read, db.ids.clone()).unwrap()
            } else {
                Transaction::read_only(read).unwrap()
            };
            let mut rows = Vec::new();
            execute(&prepared, &mut tx, &params, &Context::default(), &mut |batch| {
                rows.extend(batch);
                ControlFlow::Continue(())
            })
            .unwrap();
            times.push(start.elapsed());
            if first.is_none() {
                if std::env::var_os("EXPLAIN").is_some() {
                    println!("{}", explain(&prepared, &mut tx, &params).unwrap());
                }
                first = Some(format!("{:?}", rows.first()));
            }
            sum += rows.len();
        }
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{name:4} least {:9.4} ms  p50 {:9.4} ms  p99 {:9.4} ms  {:5} runs  {sum} rows  {}",
            at(0.0),
            at(0.5),
            at(0.99),
            times.len(),
            first.unwrap_or_default()
        );
    }
}
