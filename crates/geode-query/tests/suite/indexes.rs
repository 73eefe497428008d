//! With and without indexes every statement has the same answer; and which statements use them.

use crate::support::Db;
use geode_query::{Dialect, Params, explain, prepare};
use geode_types::Value;
use proptest::prelude::*;

fn params(entries: &[(&str, Value)]) -> Params {
    entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn plan(db: &Db, text: &str) -> String {
    let prepared = prepare(text, db.dialect, &geode_query::NoSystemTables).unwrap();
    let given = prepared.parameters().map(|name| (name.to_owned(), Value::Int(1)));
    explain(&prepared, &mut db.begin_read_only(), &given.collect()).unwrap()
}

fn people(schema: &[&str]) -> Db {
    let db = Db::new(Dialect::Gql);
    for statement in schema {
        db.run(statement, &Params::new()).unwrap();
    }
    let text = "UNWIND range(1, 200) AS i INSERT (:Person {id: i, age: i % 50, name: 'p' + toString(i)})";
    db.run(text, &Params::new()).unwrap();
    db
}

#[test]
fn statements_that_name_an_indexed_value_look_it_up() {
    let db = people(&[
        "CREATE CONSTRAINT by_id FOR (n:Person) REQUIRE n.id IS UNIQUE",
        "CREATE INDEX by_age FOR (n:Person) ON (n.age)",
        "CREATE INDEX by_both FOR (n:Person) ON (n.age, n.name)",
    ]);
    let seeks = |text: &str, index: &str| {
        let plan = plan(&db, text);
        assert!(plan.contains(&format!("IndexSeek 0 {index}\n")), "{text}\n{plan}");
    };
    seeks("MATCH (n:Person {id: $id}) RETURN n.name", "by_id");
    seeks(
        "MATCH (n:Person) WHERE $id = n.id AND n.age > 1 RETURN n",
        "by_id",
    );
    seeks("MATCH (n:Person) WHERE n.id IN [1, 2, 3] RETURN n", "by_id");
    seeks("MATCH (n:Person) WHERE n.age < 3 RETURN n", "by_age");
    seeks(
        "MATCH (n:Person) WHERE n.age = 3 AND n.name = 'p3' RETURN n",
        "by_both",
    );
    for text in [
        "MATCH (n:Person) WHERE n.name = 'p3' RETURN n",
        "MATCH (n {id: 1}) RETURN n",
        "MATCH (n:Person) WHERE n.id <> 1 RETURN n",
        "MATCH (n:Person) WHERE n.id = n.age RETURN n",
        "MATCH (n:Person) WHERE n.id = 1 OR n.name = 'p3' RETURN n",
    ] {
        assert!(!plan(&db, text).contains("IndexSeek"), "{text}");
    }
}

#[test]
fn a_value_of_an_earlier_row_is_looked_up_too() {
    let db = people(&["CREATE CONSTRAINT by_id FOR (n:Person) REQUIRE n.id IS UNIQUE"]);
    let text = "UNWIND $rows AS r MATCH (a:Person {id: r.a}), (b:Person {id: r.b}) INSERT (a)-[:KNOWS]->(b)";
    let plan = plan(&db, text);
    assert_eq!(plan.matches("IndexSeek").count(), 2, "{plan}");
    let row = |a: i64, b: i64| Value::Map(vec![("a".to_owned(), a.into()), ("b".to_owned(), b.into())]);
    let rows = Value::List(vec![row(1, 2), row(3, 4), row(5, 1000)]);
    let answer = db.run(text, &params(&[("rows", rows)])).unwrap();
    assert_eq!(answer.summary.edges_created, 2);
}

#[test]
fn only_one_of_two_statements_that_merge_the_same_node_creates_it() {
    let db = people(&["CREATE CONSTRAINT by_id FOR (n:Person) REQUIRE n.id IS UNIQUE"]);
    let text = "MERGE (n:Person {id: 1}) RETURN id(n)";
    let first = db.run(text, &Params::new()).unwrap();
    assert_eq!((first.summary.nodes_created, first.rows.len()), (0, 1));
}

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0",
        "1",
        "2",
        "-1",
        "1.0",
        "0.5",
        "2.5",
        "-0.0",
        "9007199254740993",
        "9007199254740992.0",
        "'a'",
        "'ab'",
        "'b'",
        "''",
        "true",
        "false",
        "null",
        "DECIMAL '0.5'",
        "date('2024-01-01')",
        "date('2024-02-01')",
        "duration('P1D')",
        "datetime('2024-01-01T00:00Z')",
        "datetime('2024-01-01T01:00+01:00')",
        "time('10:00+01:00')",
        "[1]",
        "[1, 2]",
        "['a']",
        "0.0/0.0",
    ])
}

fn condition() -> impl Strategy<Value = String> {
    let compared = (
        prop::sample::select(vec!["n.v", "n.w"]),
        prop::sample::select(vec!["=", "<", "<=", ">", ">=", "<>", "STARTS WITH"]),
        value(),
    );
    prop_oneof![
        compared.prop_map(|(key, op, value)| format!("{key} {op} {value}")),
        (value(), value()).prop_map(|(from, to)| format!("{from} <= n.v < {to}")),
        (value(), value(), value()).prop_map(|(a, b, c)| format!("n.v IN [{a}, {b}, {c}]")),
        Just("n.w IS NOT NULL".to_owned()),
        (value(), value()).prop_map(|(v, w)| format!("n.v = {v} AND n.w = {w}")),
    ]
}

fn answer(db: &Db, text: &str) -> Result<Vec<String>, String> {
    let answer = db.run(text, &Params::new()).map_err(|error| error.detail)?;
    let mut rows: Vec<String> = answer.rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    Ok(rows)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_with_and_without_indexes_are_equal(
        nodes in prop::collection::vec((value(), value(), any::<bool>()), 0..12),
        changes in prop::collection::vec((0usize..12, value()), 0..4),
        conditions in prop::collection::vec((condition(), condition()), 1..5),
    ) {
        let plain = Db::new(Dialect::Gql);
        let indexed = Db::new(Dialect::Gql);
        let mut statements = vec!["CREATE INDEX FOR (n:P) ON (n.v)".to_owned(), "CREATE INDEX FOR (n:P) ON (n.v, n.w)".to_owned()];
        for statement in &statements {
            indexed.run(statement, &Params::new()).unwrap();
        }
        statements.clear();
        for (at, (v, w, labelled)) in nodes.iter().enumerate() {
            let label = if *labelled { ":P" } else { ":Q" };
            statements.push(format!("INSERT ({label} {{at: {at}, v: {v}, w: {w}}})"));
        }
        for (at, v) in &changes {
            statements.push(format!("MATCH (n:P {{at: {at}}}) SET n.v = {v}"));
        }
        for statement in &statements {
            prop_assert_eq!(answer(&plain, statement), answer(&indexed, statement), "{}", statement);
        }
        for (left, right) in &conditions {
            for text in [
                format!("MATCH (n:P) WHERE {left} RETURN n.at"),
                format!("MATCH (n:P) WHERE {left} AND {right} RETURN n.at"),
                format!("MATCH (m:Q) MATCH (n:P) WHERE n.v = m.v AND {right} RETURN m.at, n.at"),
                format!("MATCH (m:Q) OPTIONAL MATCH (n:P) WHERE n.v >= m.v AND {left} RETURN m.at, n.at"),
            ] {
                prop_assert_eq!(answer(&plain, &text), answer(&indexed, &text), "{}", text);
            }
        }
    }
}

#[test]
fn a_profile_says_how_many_rows_each_operator_gave() {
    let db = people(&["CREATE INDEX by_age FOR (n:Person) ON (n.age)"]);
    let text =
        "PROFILE MATCH (n:Person {age: 7}) OPTIONAL MATCH (n)-->(m) RETURN n.name AS name, m ORDER BY name";
    let answer = db.run(text, &Params::new()).unwrap();
    assert_eq!(
        answer.columns,
        ["operator", "rows", "hits", "time_us", "memory_bytes"]
    );
    let row = |operator: &str| {
        let mut rows = answer.rows.iter();
        rows.find(|row| row[0] == Value::from(operator))
            .unwrap_or_else(|| panic!("{operator}: {:?}", answer.rows))
    };
    assert_eq!(row("IndexSeek 0 by_age")[1], Value::Int(4));
    assert_eq!(row("Optional")[1], Value::Int(4));
    assert!(matches!(row("Sort")[4], Value::Int(held) if held > 0));
    assert!(matches!(row("  Expand 0-[2]->1")[2], Value::Int(hits) if hits >= 4));
    let json = db
        .run(&text.replace("PROFILE", "PROFILE JSON"), &Params::new())
        .unwrap();
    assert!(matches!(&json.rows[0][0], Value::String(text) if text.contains("\"children\":[")));
}

#[test]
fn a_common_neighbour_of_two_looked_up_nodes_is_found_from_both_sides() {
    let db = people(&["CREATE CONSTRAINT by_id FOR (n:Person) REQUIRE n.id IS UNIQUE"]);
    let edges =
        "MATCH (a:Person), (b:Person) WHERE b.id = a.id % 7 OR b.id = a.id % 3 + 1 INSERT (a)-[:KNOWS]->(b)";
    db.run(edges, &Params::new()).unwrap();
    let text =
        "MATCH (a:Person {id: 9})-[:KNOWS]->(x)<-[:KNOWS]-(b:Person {id: 16}) RETURN x.id AS id ORDER BY id";
    let plan = plan(&db, text);
    assert!(plan.contains("Intersect"), "{plan}");
    let apart = "MATCH (a:Person {id: 9})-[:KNOWS]->(x) MATCH (x)<-[:KNOWS]-(b:Person) WHERE b.id + 0 = 16 RETURN x.id AS id ORDER BY id";
    let rows = |text: &str| db.run(text, &Params::new()).unwrap().rows;
    assert_eq!(rows(text), rows(apart));
    assert_eq!(rows(text), [[Value::Int(2)]]);
}
