//! Scans that are shared among threads, against the same questions on one thread.

use crate::support::Db;
use geode_query::{Cancel, Context, Dialect, Helpers, Limits, Params};
use geode_types::{QueryError, Value};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Labels with and without gaps, values of several types, and nodes that are gone.
fn filled() -> Db {
    let db = Db::new(Dialect::Gql);
    for text in [
        "FOR i IN range(0, 1999) INSERT (:P {k: i, v: i % 7, f: i / 3.0})",
        "FOR i IN range(0, 299) INSERT (:Q&P {k: 10000 + i, s: 'text'})",
        "MATCH (p:P) WHERE p.k % 5 = 0 SET p:Five",
        "MATCH (p:P) WHERE p.k % 11 = 3 SET p.v = 'eleven'",
        "MATCH (p:P) WHERE p.k % 13 = 3 REMOVE p.v",
        "MATCH (p:P) WHERE p.k >= 400 AND p.k < 700 DELETE p",
        "MATCH (a:Five), (b:Q) WHERE b.k = 10000 + a.k % 300 INSERT (a)-[:T]->(b)",
    ] {
        let answer = db.run(text, &Params::new());
        answer.unwrap_or_else(|error| panic!("{text}: {}", error.message));
    }
    db.run("START TRANSACTION READ ONLY", &Params::new()).unwrap();
    db
}

/// The rows that a statement gives, or why it gives none.
fn ask(db: &Db, text: &str, helpers: &Helpers, limits: Limits) -> Result<Vec<Vec<Value>>, QueryError> {
    let context = Context {
        limits,
        helpers,
        ..Context::default()
    };
    Ok(db.run_in(text, &Params::new(), &context)?.rows)
}

/// Values as texts: NaN shall equal itself, and floats shall be equal to the last digit.
fn shown(answer: Result<Vec<Vec<Value>>, QueryError>) -> Result<Vec<String>, String> {
    match answer {
        Ok(rows) => Ok(rows.iter().map(|row| format!("{row:?}")).collect()),
        Err(error) => Err(format!("{error:?}")),
    }
}

fn alone() -> Limits {
    Limits {
        parallel_nodes: u64::MAX,
        ..Limits::default()
    }
}

fn shared(parallel_nodes: u64, batch_rows: usize) -> Limits {
    Limits {
        parallel_nodes,
        batch_rows,
        ..Limits::default()
    }
}

const QUESTIONS: [&str; 18] = [
    "MATCH (p:P) RETURN p.k AS k, p.v AS v",
    "MATCH (p:P) WHERE p.v > 3 RETURN p.k AS k",
    "MATCH (p:P) WHERE p.v > 3 AND p.k % 2 = 1 RETURN p.k AS k, p.f AS f",
    "MATCH (p:Five) RETURN p.k AS k",
    "MATCH (p) RETURN count(*) AS c, sum(p.f) AS s",
    "MATCH (p:Q) WHERE p.s = 'text' RETURN count(*) AS c, min(p.k) AS k",
    "MATCH (p:P) WHERE p.k < 0 RETURN count(p) AS c, avg(p.k) AS a",
    "MATCH (p:P) RETURN p.v AS v, count(*) AS c, avg(p.f) AS a, sum(p.f) AS s",
    "MATCH (p:P) RETURN p.k % 3 AS r, collect_list(p.k) AS ks",
    "MATCH (p:P) RETURN DISTINCT p.v AS v",
    "MATCH (p:P) RETURN p.k AS k, p.v AS v ORDER BY v DESC, k LIMIT 17",
    "MATCH (p:P) RETURN p.k AS k LIMIT 40",
    "MATCH (p:P) WHERE p.v = 2 RETURN p.k AS k OFFSET 30 LIMIT 40",
    "MATCH (p:Five)-[:T]->(q) RETURN p.k AS k, count(*) AS c ORDER BY c DESC, k LIMIT 10",
    "MATCH (p:Five)-[:T]->(q:Q) WHERE p.v > 2 RETURN q.k AS q, count(p) AS c",
    "MATCH (p:P) WHERE EXISTS { MATCH (p)-[:T]->(:Q) } RETURN p.k AS k",
    "MATCH (p:Q) RETURN p.k AS k UNION ALL MATCH (p:Five) RETURN p.k AS k",
    "MATCH (p:P) RETURN p.k AS k NEXT RETURN count(k) AS c",
];

const FAILING: [&str; 3] = [
    "MATCH (p:P) RETURN 100 / (p.k - 1500) AS x",
    "MATCH (p:P) WHERE 1 / (p.k - 1999) < 2 RETURN count(*) AS c",
    "MATCH (p:P) RETURN sum(p.v) AS s",
];

#[test]
fn answers_are_the_same_for_every_number_of_workers_and_size_of_batches() {
    let db = filled();
    for text in QUESTIONS.iter().chain(&FAILING) {
        let expected = shown(ask(&db, text, &Helpers::new(0), alone()));
        assert_eq!(expected.is_err(), FAILING.contains(text), "{text}: {expected:?}");
        // So many workers, the statement's own thread among them.
        for workers in [1, 2, 5] {
            let helpers = Helpers::new(workers - 1);
            for batch_rows in [1, 7, 1024] {
                for parallel_nodes in [1, 250] {
                    assert_eq!(
                        shown(ask(&db, text, &helpers, shared(parallel_nodes, batch_rows))),
                        expected,
                        "{text}: {workers} workers, batches of {batch_rows}, from {parallel_nodes} nodes on"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_filter_gives_the_same_rows_in_the_same_order(
        gone in prop::collection::vec((0..900i64, 1..200i64), 0..4),
        conditions in prop::collection::vec((2..40i64, 0..5i64), 1..6),
        batch_rows in 1..70usize,
        parallel_nodes in 1..300u64,
    ) {
        let db = Db::new(Dialect::Gql);
        db.run("FOR i IN range(0, 999) INSERT (:P {k: i, f: i / 7.0})", &Params::new()).unwrap();
        for (from, count) in gone {
            let text = format!("MATCH (p:P) WHERE p.k >= {from} AND p.k < {} DELETE p", from + count);
            db.run(&text, &Params::new()).unwrap();
        }
        db.run("START TRANSACTION READ ONLY", &Params::new()).unwrap();
        for (divisor, rest) in conditions {
            for text in [
                format!("MATCH (p:P) WHERE p.k % {divisor} > {rest} RETURN p.k AS k"),
                format!("MATCH (p:P) RETURN p.k % {divisor} AS r, sum(p.f) AS s, collect_list(p.k) AS ks"),
            ] {
                let expected = shown(ask(&db, &text, &Helpers::new(0), alone()));
                for workers in [1, 2, 5] {
                    let helpers = Helpers::new(workers - 1);
                    let found = shown(ask(&db, &text, &helpers, shared(parallel_nodes, batch_rows)));
                    prop_assert_eq!(&found, &expected, "{} workers: {}", workers, text);
                }
            }
        }
    }
}

/// With little memory rounds are given up, and the scan goes on without help.
#[test]
fn little_memory_changes_no_answer() {
    let db = filled();
    let text = "MATCH (p:P) WHERE p.k % 2 = 0 RETURN count(p.k) AS c, sum(p.f) AS s";
    let expected = shown(ask(&db, text, &Helpers::new(0), alone()));
    for max_memory_bytes in [20_000, 100_000, 1_000_000] {
        let limits = Limits {
            max_memory_bytes,
            ..shared(400, 64)
        };
        let found = shown(ask(&db, text, &Helpers::new(4), limits));
        assert_eq!(found, expected, "{max_memory_bytes}");
    }
}

#[test]
fn a_deadline_and_a_cancelled_statement_end_all_threads() {
    let db = filled();
    let helpers = Helpers::new(4);
    let text = "MATCH (p:P) WHERE p.k % 2 = 0 RETURN count(p.k) AS c";
    let limits = Limits {
        deadline: Some(Instant::now().checked_sub(Duration::from_millis(1)).unwrap()),
        ..shared(40, 7)
    };
    let error = ask(&db, text, &helpers, limits).unwrap_err();
    assert_eq!(error.detail, "DeadlineExceeded");
    let cancel = Cancel::default();
    cancel.cancel();
    let context = Context {
        limits: shared(40, 7),
        helpers: &helpers,
        cancel,
        ..Context::default()
    };
    let error = db.run_in(text, &Params::new(), &context).unwrap_err();
    assert_eq!(error.detail, "Cancelled");
    // And the helpers are there for the next one.
    assert!(ask(&db, text, &helpers, shared(40, 7)).is_ok());
}

#[test]
fn the_plan_tells_what_is_done_in_parallel() {
    let db = filled();
    let plan = |text: &str, limits| {
        let rows = ask(&db, text, &Helpers::new(2), limits).unwrap();
        let lines = rows.iter().map(|row| format!("{:?}", row[0]));
        lines.collect::<Vec<_>>().join("\n")
    };
    let text = "MATCH (p:P) WHERE p.k > 5 RETURN count(*) AS c";
    for word in ["EXPLAIN", "PROFILE"] {
        let text = format!("{word} {text}");
        assert!(plan(&text, shared(400, 64)).contains("in parallel"), "{text}");
        assert!(!plan(&text, alone()).contains("in parallel"), "{text}");
    }
    // A page needs few rows, and soon.
    let paged = "EXPLAIN MATCH (p:P) RETURN p.k AS k LIMIT 3";
    assert!(!plan(paged, shared(400, 64)).contains("in parallel"));
    // What a transaction that can write has read counts when it is certified.
    db.run("COMMIT", &Params::new()).unwrap();
    db.run("START TRANSACTION READ WRITE", &Params::new()).unwrap();
    assert!(!plan(&format!("EXPLAIN {text}"), shared(400, 64)).contains("in parallel"));
}
