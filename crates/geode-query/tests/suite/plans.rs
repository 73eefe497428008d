//! The physical plans that counts and bound variables lead to.

use crate::support::Db;
use geode_query::{Dialect, Params};

/// Ten people, one city, one country; everyone lives in the city.
fn social() -> Db {
    let db = Db::new(Dialect::Gql);
    db.run("FOR i IN range(1, 10) INSERT (:Person {id: i})", &Params::new())
        .expect("people");
    db.run("INSERT (:City {name: 'Oslo'})-[:IN]->(:Country)", &Params::new())
        .expect("a city");
    db.run(
        "MATCH (p:Person), (c:City) INSERT (p)-[:LIVES_IN]->(c)",
        &Params::new(),
    )
    .expect("edges");
    db.run(
        "MATCH (p:Person), (q:Person) WHERE p.id < q.id INSERT (p)-[:KNOWS]->(q)",
        &Params::new(),
    )
    .expect("edges");
    db
}

fn check(db: &Db, text: &str, wanted: &[&str]) {
    let plan = db.explain(text);
    assert_eq!(plan.lines().collect::<Vec<_>>(), wanted, "{text}");
}

#[test]
fn the_rarest_label_is_scanned_and_the_rest_is_reached_from_there() {
    let db = social();
    check(
        &db,
        "MATCH (p:Person)-[:LIVES_IN]->(c:City) RETURN p.id",
        &[
            "Unit",
            "LabelScan 2:City",
            "Labels 2",
            "Expand 2<-[1:LIVES_IN]-0",
            "Labels 0",
            "Extend",
            "Compact",
        ],
    );
}

#[test]
fn a_known_node_is_the_start_and_a_known_pair_is_only_joined() {
    let db = social();
    check(
        &db,
        "MATCH (c:City) MATCH (p)-[:LIVES_IN]->(c) RETURN p",
        &[
            "Unit",
            "LabelScan 0:City",
            "Labels 0",
            "CheckNode 0",
            "Expand 0<-[2:LIVES_IN]-1",
            "Compact",
        ],
    );
    check(
        &db,
        "MATCH (p:Person {id: 1})-[:LIVES_IN]->(c)<-[:LIVES_IN]-(q), (p)-[:KNOWS]->(q) RETURN q",
        &[
            "Unit",
            "LabelScan 0:Person",
            "Labels 0",
            "Filter",
            "Expand 0-[1:LIVES_IN]->2",
            "Expand 2<-[3:LIVES_IN]-4",
            "ExpandInto 0-[5:KNOWS]->4",
            "Compact",
        ],
    );
}

#[test]
fn a_predicate_is_applied_where_its_variables_are_known() {
    let db = social();
    check(
        &db,
        "MATCH (c:City)<-[:LIVES_IN]-(p:Person) WHERE p.id > 3 AND c.name = 'Oslo' RETURN p",
        &[
            "Unit",
            "LabelScan 0:City",
            "Labels 0",
            "Filter",
            "Expand 0<-[1:LIVES_IN]-2",
            "Labels 2",
            "Filter",
            "Compact",
        ],
    );
}

#[test]
fn a_known_edge_gives_its_ends_without_a_scan() {
    let db = social();
    check(
        &db,
        "MATCH ()-[e:IN]->() WITH e MATCH (a)-[e]->(b) RETURN a",
        &[
            "Unit",
            "AllNodesScan 0",
            "Expand 0-[1:IN]->2",
            "Compact",
            "Endpoints 1-[0]->2",
            "Compact",
        ],
    );
}

#[test]
fn order_with_a_page_keeps_only_the_top() {
    let db = social();
    check(
        &db,
        "MATCH (p:Person) RETURN p.id AS id ORDER BY id LIMIT 3",
        &[
            "Unit",
            "LabelScan 0:Person",
            "Labels 0",
            "Extend",
            "Top",
            "Page",
            "Compact",
        ],
    );
}

#[test]
fn optional_matches_and_merges_have_plans_of_their_own() {
    let db = social();
    check(
        &db,
        "MATCH (p:Person) OPTIONAL MATCH (p)-[:KNOWS]->(q) RETURN q",
        &[
            "Unit",
            "LabelScan 0:Person",
            "Labels 0",
            "Optional",
            "  Argument",
            "  CheckNode 0",
            "  Expand 0-[1:KNOWS]->2",
            "Compact",
        ],
    );
    check(
        &db,
        "MATCH (p:City) MERGE (p)-[:NEAR]->(q:City)",
        &[
            "Unit",
            "LabelScan 0:City",
            "Labels 0",
            "Merge",
            "  Argument",
            "  CheckNode 0",
            "  Expand 0-[1:NEAR]->2",
            "  Labels 2",
            "Discard",
        ],
    );
}

/// The order of a pattern's parts is the planner's business: every way of writing it gives the same rows.
#[test]
fn the_same_pattern_in_any_order_gives_the_same_rows() {
    let db = social();
    let forms = [
        "MATCH (p:Person)-[:LIVES_IN]->(c:City), (p)-[k:KNOWS]->(q:Person) RETURN p.id, q.id",
        "MATCH (q:Person)<-[k:KNOWS]-(p:Person), (c:City)<-[:LIVES_IN]-(p) RETURN p.id, q.id",
        "MATCH (p)-[k:KNOWS]->(q) MATCH (p:Person)-[:LIVES_IN]->(c:City) WHERE q:Person RETURN p.id, q.id",
        "MATCH (q) MATCH (c:City) MATCH (p:Person)-[:LIVES_IN]->(c), (q)<-[:KNOWS]-(p) RETURN p.id, q.id",
    ];
    let answers: Vec<Vec<String>> = forms
        .iter()
        .map(|text| {
            let answer = db.run(text, &Params::new()).expect("rows");
            let mut rows: Vec<String> = answer.rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort();
            rows
        })
        .collect();
    assert_eq!(answers[0].len(), 45);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}
