//! One shortest path, which is searched from both ends, is as long as all of them, which are searched from one.

use crate::support::Db;
use geode_query::{Dialect, Params};
use geode_types::Value;
use proptest::prelude::*;

fn lengths(db: &Db, search: &str, arrow: &str, from: i64, to: i64) -> Vec<i64> {
    let text = format!(
        "MATCH p = {search} (a:N {{id: $from}}){arrow}(b:N {{id: $to}}) RETURN length(p) AS n, [e IN relationships(p) | id(e)] AS edges"
    );
    let params: Params = [("from", from), ("to", to)]
        .map(|(name, id)| (name.to_owned(), id.into()))
        .into();
    let rows = db.run(&text, &params).unwrap().rows;
    let length = |row: &Vec<Value>| match row.as_slice() {
        [Value::Int(length), Value::List(edges)] => {
            assert_eq!(*length, edges.len() as i64);
            *length
        }
        other => panic!("{other:?}"),
    };
    rows.iter().map(length).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_shortest_path_is_as_long_as_all_of_them(
        edges in prop::collection::vec((0i64..8, 0i64..8, any::<bool>()), 0..24),
        ends in prop::collection::vec((0i64..8, 0i64..8), 1..6),
    ) {
        let db = Db::new(Dialect::Gql);
        db.run("FOR i IN range(0, 7) INSERT (:N {id: i})", &Params::new()).unwrap();
        for (from, to, other) in edges {
            let kind = if other { "S" } else { "T" };
            let text = format!("MATCH (a:N {{id: {from}}}), (b:N {{id: {to}}}) INSERT (a)-[:{kind} {{w: {from}}}]->(b)");
            db.run(&text, &Params::new()).unwrap();
        }
        for (from, to) in ends {
            for arrow in ["-[:T]->{1,4}", "<-[:T]-{1,4}", "-[:T]-{1,3}", "-[]->{0,5}", "-[e WHERE e.w < 5]->{1,4}"] {
                let one = lengths(&db, "ANY SHORTEST", arrow, from, to);
                let all = lengths(&db, "ALL SHORTEST", arrow, from, to);
                prop_assert!(one.len() <= 1, "{} {} {}", arrow, from, to);
                prop_assert_eq!(one.first(), all.first(), "{} {} {}", arrow, from, to);
            }
        }
    }
}
