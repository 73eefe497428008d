//! Conditions that are tested where nodes are stored, and properties that rows carry on, against the same questions in a form that is
//! evaluated row by row.

use crate::support::Db;
use geode_query::{Context, Dialect, Limits, Params};
use geode_types::Value;

/// Values of every kind; what is missing is null.
const VALUES: [&str; 16] = [
    "1",
    "2",
    "1.0",
    "1.5",
    "-0.0",
    "0.0 / 0.0",
    "1.0m",
    "9223372036854775807",
    "'a'",
    "'b'",
    "''",
    "true",
    "false",
    "[1, 2]",
    "DATE '2026-01-01'",
    "null",
];

const RETURNED: [&str; 2] = [
    "n.at AS at, n.x AS x, n.y AS y ORDER BY at, x",
    "n.x AS x, count(*) AS c, sum(n.at) AS s ORDER BY x, c, s",
];

const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

fn filled() -> Db {
    let db = Db::new(Dialect::Gql);
    for (at, value) in VALUES.iter().enumerate() {
        let even = if at % 2 == 0 { "&Even" } else { "" };
        let text = format!(
            "INSERT (:N{even} {{at: {at}, x: {value}, y: {at}}})-[:T]->(:M {{x: {value}, at: {at}}})"
        );
        run(&db, &text, None);
    }
    db
}

fn run(db: &Db, text: &str, param: Option<&Value>) -> Vec<Vec<Value>> {
    let params: Params = param
        .map(|value| ("p".to_owned(), value.clone()))
        .into_iter()
        .collect();
    let answer = db.run(text, &params);
    answer
        .unwrap_or_else(|error| panic!("{text}: {}", error.message))
        .rows
}

const PATTERNS: [&str; 7] = [
    "MATCH (n:N)",
    "MATCH (n:N&Even)",
    "MATCH (n)",
    "MATCH (m:M)<-[:T]-(n:N&Even)",
    "MATCH (m:M)<-[:T]-(n:Even|Odd)",
    "UNWIND [1, 2] AS i MATCH (n:N)",
    "MATCH (m:M) OPTIONAL MATCH (m)<-[:T]-(n:N)",
];

/// Compares both forms of each comparison, each over one of the patterns in turn.
fn check(db: &Db) {
    let mut turn = 0;
    for value in VALUES {
        let param = run(db, &format!("RETURN {value} AS v"), None)[0][0].clone();
        for operator in OPERATORS {
            for comparison in [
                format!("n.x {operator} {value}"),
                format!("n.x {operator} $p"),
                format!("$p {operator} n.x"),
                format!("n.y < 12 AND $p {operator} n.x AND n.at >= 0"),
                format!("n.nothing {operator} $p"),
            ] {
                turn += 1;
                let (pattern, returned) = (PATTERNS[turn % PATTERNS.len()], RETURNED[turn % RETURNED.len()]);
                let ask = |condition: &str| {
                    let text = format!("{pattern} WHERE {condition} RETURN {returned}");
                    // As text, because NaN is not equal to itself.
                    format!("{:?}", run(db, &text, Some(&param)))
                };
                let (tested, asked) = (ask(&comparison), ask(&format!("({comparison}) = true")));
                assert_eq!(tested, asked, "{pattern} {comparison} {value}");
            }
        }
    }
}

#[test]
fn a_condition_that_is_tested_while_nodes_are_read_is_what_it_is_row_by_row() {
    check(&filled());
}

#[test]
fn own_writes_are_seen_by_conditions_that_are_tested_while_nodes_are_read() {
    let db = filled();
    run(&db, "START TRANSACTION", None);
    run(&db, "MATCH (n:N {at: 3}) SET n.x = 7", None);
    run(&db, "MATCH (n:N {at: 4}) DETACH DELETE n", None);
    run(&db, "MATCH (n:N {at: 6}) REMOVE n:Even", None);
    run(&db, "INSERT (:N&Even {at: 99, x: 1, y: 3})", None);
    check(&db);
    let seen = run(
        &db,
        "MATCH (n:N&Even) WHERE n.x = 1 RETURN n.at AS at ORDER BY at",
        None,
    );
    assert_eq!(seen, [[Value::Int(0)], [Value::Int(2)], [Value::Int(99)]]);
}

#[test]
fn what_a_statement_writes_is_not_hidden_by_what_it_has_read() {
    let db = filled();
    let text = "MATCH (n:N) WHERE n.y < 8 SET n.y = n.y + 100 RETURN n.y AS y ORDER BY y";
    let expected: Vec<_> = (100..108).map(|y| vec![Value::Int(y)]).collect();
    assert_eq!(run(&db, text, None), expected);
    let text =
        "MATCH (n:N) WHERE n.y >= 100 SET n.y = 0 WITH n WHERE n.y = 0 RETURN count(*) AS c, sum(n.y) AS s";
    assert_eq!(run(&db, text, None), [[Value::Int(8), Value::Int(0)]]);
}

/// A condition in front of a test may fail, and does so for the rows that the test would drop.
#[test]
fn a_condition_that_can_fail_is_asked_first_when_it_stands_first() {
    let db = Db::new(Dialect::Gql);
    run(&db, "INSERT (:N {d: 0, x: 1}), (:N {d: 1, x: 2})", None);
    let fails = db.run(
        "MATCH (n:N) WHERE 1 / n.d = 1 AND n.x > 1 RETURN n.x AS x",
        &Params::new(),
    );
    assert!(fails.is_err());
    let text = "MATCH (n:N) WHERE n.x > 1 AND 1 / n.d = 1 RETURN n.x AS x";
    assert_eq!(run(&db, text, None), [[Value::Int(2)]]);
}

#[test]
fn groups_of_equal_numbers_are_one_group_whatever_their_type() {
    let db = Db::new(Dialect::Gql);
    run(
        &db,
        "INSERT (:N {k: 1, v: 1}), (:N {k: 1.0, v: 2}), (:N {k: 1.0m, v: 3}), (:N {k: 'x', v: 4}), (:N {v: 5}), (:N {v: 6}), (:N {k: 'x', v: 7})",
        None,
    );
    let text = "MATCH (n:N) RETURN n.k AS k, count(*) AS c, sum(n.v) AS s, avg(n.v) AS a, collect_list(n.v) AS vs ORDER BY s";
    let rows = run(&db, text, None);
    let sums: Vec<&Value> = rows.iter().map(|row| &row[2]).collect();
    assert_eq!(sums, [&Value::Int(6), &Value::Int(11), &Value::Int(11)]);
    let text = "MATCH (n:N) RETURN n.k AS k, n.v > 3 AS big, count(*) AS c ORDER BY c DESC, k";
    assert_eq!(run(&db, text, None).len(), 3);
}

#[test]
fn a_plan_says_what_is_tested_while_nodes_are_read() {
    let db = filled();
    let text = "EXPLAIN MATCH (n:N) WHERE n.x > 1 AND n.y = $p AND n.x + 1 > 2 RETURN count(*) AS c";
    let plan = format!("{:?}", run(&db, text, Some(&Value::Int(1))));
    assert!(
        plan.contains("LabelScan 0:N by x, y") && plan.contains("Filter"),
        "{plan}"
    );
}

/// Neighbours that lie far apart are looked up one by one where reads are noted, and read into a table in a transaction that only reads,
/// unless that has too little memory.
#[test]
fn nodes_that_are_read_into_a_table_are_what_they_are_one_by_one() {
    let db = Db::new(Dialect::Gql);
    for text in [
        "FOR i IN range(0, 999) INSERT (:P {k: i, v: i % 10})",
        "FOR i IN range(0, 19) INSERT (:H {k: i})",
        "MATCH (h:H), (p:P) WHERE p.k % 20 = h.k INSERT (h)-[:T]->(p)",
        "MATCH (h:H) INSERT (h)-[:T]->(:R {k: h.k, v: 9})",
        "MATCH (p:P) WHERE p.k % 3 = 0 REMOVE p.v",
    ] {
        run(&db, text, None);
    }
    let ask = |text: &str, max_memory_bytes: usize| {
        let limits = Limits {
            batch_rows: 32,
            max_memory_bytes,
            ..Limits::default()
        };
        let context = Context {
            limits,
            ..Context::default()
        };
        db.run_in(text, &Params::new(), &context).unwrap().rows
    };
    let little = 200_000;
    for condition in [
        "p.v > 5",
        "p.v > 5 AND p.k < 700",
        "p.v <> 3 AND p.k % 2 = 1",
        "true",
    ] {
        let text = format!(
            "MATCH (h:H) OPTIONAL MATCH (h)-[:T]->(p:P) WHERE {condition}
             RETURN h.k AS h, count(p) AS c, sum(p.k) AS k, sum(p.v) AS v, collect_list(p.v) AS vs ORDER BY h"
        );
        run(&db, "START TRANSACTION READ WRITE", None);
        let expected = ask(&text, usize::MAX);
        run(&db, "COMMIT", None);
        run(&db, "START TRANSACTION READ ONLY", None);
        assert_eq!(ask(&text, usize::MAX), expected, "{condition}");
        assert_eq!(ask(&text, little), expected, "{condition}");
        run(&db, "COMMIT", None);
    }
}
