//! Chains, repeated paths and shortest paths against the same questions asked edge by edge, on random graphs.

use crate::support::Db;
use geode_query::{Dialect, Params};
use geode_types::Value;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A few nodes and edges between them: loops, edges side by side, ways back.
fn graph() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1usize..5).prop_flat_map(|nodes| (Just(nodes), prop::collection::vec((0..nodes, 0..nodes), 0..7)))
}

fn filled(nodes: usize, edges: &[(usize, usize)]) -> Db {
    let db = Db::new(Dialect::Gql);
    let named = (0..nodes).map(|node| format!("(n{node}:N {{n: {node}}})"));
    let joined = edges.iter().enumerate();
    let joined = joined.map(|(at, (from, to))| format!("(n{from})-[:T {{x: {at}}}]->(n{to})"));
    let text = format!("INSERT {}", named.chain(joined).collect::<Vec<_>>().join(", "));
    db.run(&text, &Params::new()).expect("the graph");
    db
}

/// The rows as a multiset.
fn rows(db: &Db, text: &str) -> BTreeMap<String, usize> {
    let answer = db.run(text, &Params::new()).expect(text);
    let mut rows = BTreeMap::new();
    for row in answer.rows {
        *rows.entry(format!("{row:?}")).or_default() += 1;
    }
    rows
}

/// The pattern of so many edges, with the list of their numbers.
fn written_out(edge: (&str, &str), length: usize) -> String {
    let (left, right) = edge;
    let steps: Vec<String> = (0..length).map(|at| format!("{left}[e{at}]{right}")).collect();
    let numbers: Vec<String> = (0..length).map(|at| format!("e{at}.x")).collect();
    let path = match steps.join("()").as_str() {
        "" => "(a:N) FILTER true LET b = a".to_owned(),
        steps => format!("(a:N){steps}(b)"),
    };
    format!(
        "MATCH {path} RETURN a.n AS a, b.n AS b, [{}] AS xs",
        numbers.join(", ")
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_chain_is_what_its_edges_are((nodes, edges) in graph(), least in 0usize..3, more in 0usize..3) {
        let db = filled(nodes, &edges);
        for edge in [("-", "->"), ("<-", "-"), ("-", "-")] {
            let lengths = least..=least + more;
            let parts: Vec<String> = lengths.map(|length| written_out(edge, length)).collect();
            let expected = rows(&db, &parts.join(" UNION ALL "));
            let ((left, right), most) = (edge, least + more);
            let returned = "RETURN a.n AS a, b.n AS b, [v IN e | v.x] AS xs";
            let chains = [
                format!("MATCH (a:N){left}[e]{right}{{{least},{most}}}(b) {returned}"),
                // Walked from the other end, or between two known nodes.
                format!("MATCH (b:N) MATCH (a){left}[e]{right}{{{least},{most}}}(b) {returned}"),
                format!("MATCH (a:N), (b:N) MATCH (a){left}[e]{right}{{{least},{most}}}(b) {returned}"),
                format!("MATCH (a:N) ((){left}[e]{right}()){{{least},{most}}} (b) {returned}"),
                format!("MATCH (b:N) MATCH (a) ((){left}[e]{right}()){{{least},{most}}} (b) {returned}"),
                format!("MATCH (a:N) CALL (a) {{ MATCH (a){left}[e]{right}{{{least},{most}}}(b) RETURN b, e }} {returned}"),
            ];
            for chain in chains {
                prop_assert_eq!(&rows(&db, &chain), &expected, "{}", chain);
            }
        }
    }

    #[test]
    fn shortest_paths_are_the_shortest_of_all((nodes, edges) in graph(), least in 0usize..3) {
        let db = filled(nodes, &edges);
        for (left, right) in [("-", "->"), ("<-", "-"), ("-", "-")] {
            let all = format!("MATCH (a:N){left}[e]{right}{{{least},}}(b) RETURN a.n AS a, b.n AS b, size(e) AS l");
            let mut lengths: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
            for row in db.run(&all, &Params::new()).expect("all").rows {
                if let [a, b, Value::Int(length)] = row.as_slice() {
                    lengths.entry((format!("{a:?}"), format!("{b:?}"))).or_default().push(*length);
                }
            }
            for lengths in lengths.values_mut() {
                lengths.sort_unstable();
            }
            let expected = |taken: &dyn Fn(&[i64]) -> Vec<i64>| {
                let mut rows: BTreeMap<String, usize> = BTreeMap::new();
                for ((a, b), lengths) in &lengths {
                    for length in taken(lengths) {
                        *rows.entry(format!("[{a}, {b}, Int({length})]")).or_default() += 1;
                    }
                }
                rows
            };
            let groups = |lengths: &[i64], most: usize| {
                let mut distinct = lengths.to_vec();
                distinct.dedup();
                let last = distinct.into_iter().take(most).next_back().unwrap_or(-1);
                lengths.iter().copied().filter(|length| *length <= last).collect::<Vec<_>>()
            };
            let cases: [(&str, BTreeMap<String, usize>); 4] = [
                ("ANY SHORTEST", expected(&|lengths| lengths.iter().take(1).copied().collect())),
                ("ALL SHORTEST", expected(&|lengths| groups(lengths, 1))),
                ("SHORTEST 2", expected(&|lengths| lengths.iter().take(2).copied().collect())),
                ("SHORTEST 2 GROUPS", expected(&|lengths| groups(lengths, 2))),
            ];
            for (search, expected) in cases {
                let edge = format!("{left}[e]{right}{{{least},}}");
                for text in [
                    format!("MATCH {search} (a:N){edge}(b) RETURN a.n AS a, b.n AS b, size(e) AS l"),
                    format!("MATCH (a:N), (b:N) MATCH {search} (a){edge}(b) RETURN a.n AS a, b.n AS b, size(e) AS l"),
                    format!("MATCH (b:N) MATCH {search} (a){edge}(b) RETURN a.n AS a, b.n AS b, size(e) AS l"),
                ] {
                    prop_assert_eq!(&rows(&db, &text), &expected, "{}", text);
                }
            }
        }
    }
}
