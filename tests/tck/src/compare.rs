//! Answers against tables.

use crate::expected::{Expected, ExpectedEdge};
use geode_types::{EdgeValue, NodeValue, PathValue, Value, to_json};
use std::cmp::Ordering;

/// How strictly the order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness {
    /// Rows come in the order of the table.
    pub rows_in_order: bool,
    /// Elements of lists come in the order of the table.
    pub lists_in_order: bool,
}

/// Whether the rows are those of the table, each as often.
pub fn rows_match(expected: &[Vec<Expected>], actual: &[Vec<Value>], strictness: Strictness) -> bool {
    let row = |expected: &Vec<Expected>, actual: &Vec<Value>| {
        all(expected, actual, |expected, actual| {
            matches(expected, actual, strictness.lists_in_order)
        })
    };
    if strictness.rows_in_order {
        all(expected, actual, row)
    } else {
        in_any_order(expected, actual, row)
    }
}

fn all<E, A>(expected: &[E], actual: &[A], same: impl Fn(&E, &A) -> bool) -> bool {
    expected.len() == actual.len()
        && expected
            .iter()
            .zip(actual)
            .all(|(expected, actual)| same(expected, actual))
}

/// Each expected item takes one actual item. Taking the first that fits is enough, as items that fit the same are alike.
fn in_any_order<E, A>(expected: &[E], actual: &[A], same: impl Fn(&E, &A) -> bool) -> bool {
    let mut left: Vec<&A> = actual.iter().collect();
    expected.len() == actual.len()
        && expected.iter().all(|expected| {
            let found = left.iter().position(|actual| same(expected, actual));
            found.map(|at| left.swap_remove(at)).is_some()
        })
}

fn matches(expected: &Expected, actual: &Value, ordered: bool) -> bool {
    match (expected, actual) {
        (Expected::Null, Value::Null) => true,
        (Expected::Bool(expected), Value::Bool(actual)) => expected == actual,
        (Expected::Int(expected), Value::Int(actual)) => expected == actual,
        (Expected::Float(expected), Value::Float(actual)) => {
            expected.partial_cmp(actual) == Some(Ordering::Equal) || (expected.is_nan() && actual.is_nan())
        }
        (Expected::String(expected), Value::String(actual)) => expected == actual,
        (Expected::String(expected), Value::Temporal(actual)) => *expected == actual.to_string(),
        (Expected::List(expected), Value::List(actual)) if ordered => {
            all(expected, actual, |expected, actual| {
                matches(expected, actual, ordered)
            })
        }
        (Expected::List(expected), Value::List(actual)) => {
            in_any_order(expected, actual, |expected, actual| {
                matches(expected, actual, ordered)
            })
        }
        (Expected::Map(expected), Value::Map(actual)) => same_entries(expected, actual, ordered),
        (Expected::Node { .. }, Value::Node(actual)) => same_node(expected, actual, ordered),
        (Expected::Edge(expected), Value::Edge(actual)) => same_edge(expected, actual, ordered),
        (Expected::Path { nodes, edges }, Value::Path(actual)) => same_path(nodes, edges, actual, ordered),
        (Expected::String(expected), actual) => tagged_text(actual).as_ref() == Some(expected),
        _ => false,
    }
}

/// The text of a value that JSON can only show with its type beside it (`{"$date": "2026-07-01"}`): the kit writes dates, times and
/// durations as texts.
fn tagged_text(value: &Value) -> Option<String> {
    if matches!(value, Value::Map(_) | Value::Float(_)) {
        return None;
    }
    let json = to_json(value);
    let (tag, text) = json
        .as_object()
        .filter(|object| object.len() == 1)?
        .iter()
        .next()?;
    tag.starts_with('$')
        .then(|| text.as_str().map(str::to_owned))
        .flatten()
}

fn same_entries(expected: &[(String, Expected)], actual: &[(String, Value)], ordered: bool) -> bool {
    in_any_order(expected, actual, |(key, expected), (actual_key, actual)| {
        key == actual_key && matches(expected, actual, ordered)
    })
}

fn same_node(expected: &Expected, actual: &NodeValue, ordered: bool) -> bool {
    let Expected::Node { labels, properties } = expected else {
        return false;
    };
    in_any_order(labels, &actual.labels, |expected, actual| expected == actual)
        && same_entries(properties, &actual.properties, ordered)
}

fn same_edge(expected: &ExpectedEdge, actual: &EdgeValue, ordered: bool) -> bool {
    expected.edge_type == actual.edge_type && same_entries(&expected.properties, &actual.properties, ordered)
}

fn same_path(nodes: &[Expected], edges: &[(ExpectedEdge, bool)], actual: &PathValue, ordered: bool) -> bool {
    let forwards = actual.edges.iter().zip(actual.nodes.windows(2));
    let walked: Vec<_> = forwards
        .map(|(edge, ends)| match ends {
            [from, to] if edge.start == edge.end => (edge, from.id == to.id, true),
            [from, _] => (edge, true, edge.start == from.id),
            _ => (edge, false, false),
        })
        .collect();
    all(nodes, &actual.nodes, |expected, actual| {
        same_node(expected, actual, ordered)
    }) && all(edges, &walked, |(expected, forwards), (edge, joined, walked)| {
        *joined && (edge.start == edge.end || forwards == walked) && same_edge(expected, edge, ordered)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::parse;

    const LOOSE: Strictness = Strictness {
        rows_in_order: false,
        lists_in_order: true,
    };

    fn table(cells: &[&str]) -> Vec<Vec<Expected>> {
        cells.iter().map(|cell| vec![parse(cell).expect(cell)]).collect()
    }

    #[test]
    fn rows_are_a_multiset_unless_their_order_counts() {
        let actual = [vec![Value::Int(2)], vec![Value::Int(1)], vec![Value::Int(1)]];
        assert!(rows_match(&table(&["1", "1", "2"]), &actual, LOOSE));
        assert!(!rows_match(&table(&["1", "2", "2"]), &actual, LOOSE));
        assert!(!rows_match(&table(&["1", "2"]), &actual, LOOSE));
        let strict = Strictness {
            rows_in_order: true,
            ..LOOSE
        };
        assert!(!rows_match(&table(&["1", "1", "2"]), &actual, strict));
    }

    #[test]
    fn integers_and_floats_are_told_apart() {
        assert!(!rows_match(&table(&["1"]), &[vec![Value::Float(1.0)]], LOOSE));
        assert!(rows_match(
            &table(&["NaN"]),
            &[vec![Value::Float(f64::NAN)]],
            LOOSE
        ));
    }

    #[test]
    fn the_order_within_lists_can_be_ignored() {
        let actual = [vec![Value::List(vec![Value::Int(2), Value::Int(1)])]];
        assert!(!rows_match(&table(&["[1, 2]"]), &actual, LOOSE));
        let ignoring = Strictness {
            lists_in_order: false,
            ..LOOSE
        };
        assert!(rows_match(&table(&["[1, 2]"]), &actual, ignoring));
    }
}
