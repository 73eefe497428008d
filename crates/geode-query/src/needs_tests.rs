//! Each kind of statement needs what it does, where it does it.

use super::*;
use crate::{Dialect, NoSystemTables, prepare};

/// `session: SELECT; named: INSERT`, or what administration it is.
fn needs(text: &str) -> String {
    let prepared = prepare(text, Dialect::Gql, &NoSystemTables).unwrap();
    if let Some(administration) = &prepared.needs.administration {
        return administration.what.to_owned();
    }
    let graphs = prepared.needs.graphs.iter().map(|(place, actions)| {
        let place = match place {
            Place::Session => "session".to_owned(),
            Place::Named(choice) => choice.graph.to_string(),
        };
        format!("{place}: {}", actions.names().collect::<Vec<_>>().join(" "))
    });
    graphs.collect::<Vec<_>>().join("; ")
}

fn check(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        assert_eq!(needs(text), *wanted, "{text}");
    }
}

#[test]
fn a_statement_needs_what_it_does() {
    check(&[
        ("RETURN 1 AS x", ""),
        ("MATCH (n) RETURN n", "session: SELECT"),
        ("INSERT (:A)-[:T]->(:B)", "session: INSERT"),
        ("INSERT (n:A) SET n.x = 1", "session: INSERT UPDATE"),
        ("MATCH (n) SET n.x = 1", "session: SELECT UPDATE"),
        ("MATCH (n) REMOVE n:A", "session: SELECT UPDATE"),
        ("MATCH (n) DETACH DELETE n", "session: SELECT DELETE"),
        ("MERGE (n:A {x: 1})", "session: SELECT INSERT"),
        (
            "MERGE (n:A) ON MATCH SET n.x = 1",
            "session: SELECT INSERT UPDATE",
        ),
        ("RETURN EXISTS { (a)-->(b) } AS e", "session: SELECT"),
        (
            "FOR x IN [1] CALL (x) { INSERT (:A {x: x}) } FINISH",
            "session: INSERT",
        ),
        ("EXPLAIN MATCH (n) DELETE n", "session: SELECT DELETE"),
        (
            "SESSION SET VALUE $n = COUNT { MATCH (n) RETURN n }",
            "session: SELECT",
        ),
        ("SESSION SET GRAPH g", ""),
        ("SELECT * FROM system.graphs", ""),
        ("COMMIT", ""),
    ]);
}

#[test]
fn a_statement_needs_it_where_it_does_it() {
    check(&[
        ("USE g MATCH (n) RETURN n", "g: SELECT"),
        ("USE g RETURN EXISTS { (a)-->(b) } AS e", "g: SELECT"),
        (
            "MATCH (n) USE g INSERT (:Copy {of: n.x})",
            "session: SELECT; g: INSERT",
        ),
        (
            "USE g MATCH (n) RETURN n UNION MATCH (n) RETURN n",
            "g: SELECT; session: SELECT",
        ),
        (
            "USE a MATCH (n) RETURN n NEXT USE b MATCH (m) RETURN m",
            "a: SELECT; b: SELECT",
        ),
        // An element is changed in its own graph, wherever the clause stands.
        (
            "MATCH (n) USE g MATCH (m) SET n.x = 1",
            "session: SELECT UPDATE; g: SELECT UPDATE",
        ),
        ("MATCH (n) USE g DELETE n", "session: SELECT DELETE; g: DELETE"),
        // And so is an edge between nodes that were there.
        (
            "MATCH (n), (m) USE g INSERT (n)-[:T]->(m)",
            "session: SELECT INSERT; g: INSERT",
        ),
    ]);
}

#[test]
fn what_is_about_the_whole_database_is_administration() {
    check(&[
        (
            "CREATE INDEX FOR (n:A) ON (n.x)",
            "create or drop indexes and constraints",
        ),
        (
            "CREATE GRAPH g ANY",
            "create or drop schemas, graphs and graph types",
        ),
        ("DROP CHECKPOINT 'c'", "create or drop checkpoints"),
        ("DROP USER ada", "change users, roles and rights"),
    ]);
    let own = prepare("ALTER USER ada SET PASSWORD 'x'", Dialect::Gql, &NoSystemTables).unwrap();
    let administration = own.needs.administration.as_ref().unwrap();
    assert_eq!(administration.own.as_deref(), Some("ada"));
}
