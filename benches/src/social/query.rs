//! What is asked, as Geode is asked it.

use super::data::Choice;
use geode_types::Value;

/// A query of the benchmark.
#[derive(Clone, Copy)]
pub(crate) struct Query {
    /// As peers know it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) writes: bool,
    /// How often every choice is asked in a round; once for those that look at the whole graph.
    pub(crate) is_small: bool,
}

const fn query(name: &'static str, title: &'static str, is_small: bool, text: &'static str) -> Query {
    Query {
        name,
        title,
        text,
        writes: false,
        is_small,
    }
}

/// Each hop is a MATCH of its own, so that edges may repeat, as they may in some peers.
pub(crate) const QUERIES: [Query; 12] = [
    query(
        "q1",
        "point",
        true,
        "MATCH (p:Person {id: $a}) RETURN p.name AS name, p.age AS age",
    ),
    query(
        "q2",
        "1-hop count",
        true,
        "MATCH (p:Person {id: $a})-[:KNOWS]->(f) RETURN count(*) AS n",
    ),
    query(
        "q3",
        "2-hop distinct",
        true,
        "MATCH (p:Person {id: $a})-[:KNOWS]->(x) MATCH (x)-[:KNOWS]->(f) RETURN count(DISTINCT f) AS n",
    ),
    query(
        "q4",
        "3-hop distinct",
        true,
        "MATCH (p:Person {id: $a})-[:KNOWS]->(x) MATCH (x)-[:KNOWS]->(y) MATCH (y)-[:KNOWS]->(f) RETURN count(DISTINCT f) AS n",
    ),
    query(
        "q5",
        "group and mean over a scan",
        false,
        "MATCH (p:Person) RETURN p.city AS city, count(*) AS n, avg(p.age) AS age ORDER BY n DESC, city LIMIT 10",
    ),
    query(
        "q6",
        "filter over a scan",
        false,
        "MATCH (p:Person) WHERE p.age > 60 AND p.city = $city RETURN count(*) AS n",
    ),
    query(
        "q7",
        "top degrees",
        false,
        "MATCH (p:Person)<-[:KNOWS]-() RETURN p.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
    ),
    query(
        "q8",
        "triangles",
        false,
        "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person)-[:KNOWS]->(a) RETURN count(*) AS n",
    ),
    query(
        "q9",
        "shortest path",
        true,
        "MATCH p = ANY SHORTEST (a:Person {id: $a})-[:KNOWS]->{1,15}(b:Person {id: $b}) RETURN length(p) AS n",
    ),
    Query {
        writes: true,
        ..query(
            "q10",
            "set a property",
            true,
            "MATCH (p:Person {id: $a}) SET p.age = $age",
        )
    },
    Query {
        writes: true,
        ..query(
            "q11",
            "create an edge",
            true,
            "MATCH (a:Person {id: $a}), (b:Person {id: $b}) INSERT (a)-[:KNOWS {since: 2026}]->(b)",
        )
    },
    query(
        "q12",
        "optional and aggregate",
        false,
        "MATCH (c:City) OPTIONAL MATCH (c)<-[:LIVES_IN]-(p:Person) WHERE p.age > 60 RETURN c.id AS id, count(p) AS n, avg(p.age) AS age ORDER BY n DESC, id LIMIT 10",
    ),
];

/// The mix of eight clients: of ten statements, eight read (the first four queries in turns) and two write.
pub(crate) const MIXED: [usize; 10] = [0, 1, 2, 3, 9, 0, 1, 2, 3, 10];

/// What any of them is asked with.
pub(crate) fn parameters(choice: &Choice) -> [(&'static str, i64); 4] {
    [
        ("a", choice.a),
        ("b", choice.b),
        ("age", choice.age),
        ("city", choice.city),
    ]
}

/// Whether two answers are the same; sums of floats may be added up in any order.
pub(crate) fn are_equal(left: &[Vec<Value>], right: &[Vec<Value>]) -> bool {
    let float = |value: &Value| match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let same = |left: &Value, right: &Value| match (float(left), float(right)) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(1.0),
        _ => left == right,
    };
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        })
}
