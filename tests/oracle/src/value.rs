//! Values of the reference evaluator and their three comparisons, written once more so that no mistake of the engine's is shared.
//!
//! Graph elements are places in the evaluator's graph. NaN is not among the values: no query of the generator makes it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Val>),
    Map(BTreeMap<String, Val>),
    Node(usize),
    Edge(usize),
    /// Nodes, and the edges between them.
    Path(Vec<usize>, Vec<usize>),
}

impl Val {
    pub(crate) fn text(text: &str) -> Self {
        Self::Str(text.to_owned())
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A truth value of the three: `None` is unknown.
    pub(crate) fn of_truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }
}

fn numeric(left: &Val, right: &Val) -> Option<Ordering> {
    match (left, right) {
        (Val::Int(left), Val::Int(right)) => Some(left.cmp(right)),
        _ => left.number()?.partial_cmp(&right.number()?),
    }
}

/// `left = right` (openCypher 9, "Equality"): unknown as soon as a null decides.
pub(crate) fn equals(left: &Val, right: &Val) -> Option<bool> {
    match (left, right) {
        (Val::Null, _) | (_, Val::Null) => None,
        (Val::List(left), Val::List(right)) if left.len() == right.len() => {
            every(left.iter().zip(right).map(|(left, right)| equals(left, right)))
        }
        (Val::Map(left), Val::Map(right)) if left.keys().eq(right.keys()) => every(
            left.values()
                .zip(right.values())
                .map(|(left, right)| equals(left, right)),
        ),
        (Val::List(_), Val::List(_)) | (Val::Map(_), Val::Map(_)) => Some(false),
        _ if left.number().is_some() && right.number().is_some() => {
            Some(numeric(left, right) == Some(Ordering::Equal))
        }
        _ => Some(left == right),
    }
}

/// Conjunction of truth values.
pub(crate) fn every(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

/// Disjunction of truth values.
pub(crate) fn any(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    every(truths.into_iter().map(|truth| truth.map(|truth| !truth))).map(|truth| !truth)
}

/// The order for `<` and its kin (openCypher 9, "Comparability"): none between values of different types.
pub(crate) fn compare(left: &Val, right: &Val) -> Option<Ordering> {
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => Some(left.cmp(right)),
        (Val::Bool(left), Val::Bool(right)) => Some(left.cmp(right)),
        (Val::List(left), Val::List(right)) => {
            for (left, right) in left.iter().zip(right) {
                match compare(left, right) {
                    Some(Ordering::Equal) => {}
                    decided => return decided,
                }
            }
            Some(left.len().cmp(&right.len()))
        }
        _ => numeric(left, right),
    }
}

fn rank(value: &Val) -> u8 {
    match value {
        Val::Map(_) => 0,
        Val::Node(_) => 1,
        Val::Edge(_) => 2,
        Val::List(_) => 3,
        Val::Path(..) => 4,
        Val::Str(_) => 5,
        Val::Bool(_) => 6,
        Val::Int(_) | Val::Float(_) => 7,
        Val::Null => 8,
    }
}

/// The order of ORDER BY, min() and max() (openCypher 9, "Orderability").
pub(crate) fn order(left: &Val, right: &Val) -> Ordering {
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => left.cmp(right),
        (Val::Bool(left), Val::Bool(right)) => left.cmp(right),
        (Val::Node(left), Val::Node(right)) | (Val::Edge(left), Val::Edge(right)) => left.cmp(right),
        (Val::Path(nodes, edges), Val::Path(other_nodes, other_edges)) => {
            nodes.cmp(other_nodes).then_with(|| edges.cmp(other_edges))
        }
        (Val::List(left), Val::List(right)) => {
            first_difference(left.iter().zip(right)).then_with(|| left.len().cmp(&right.len()))
        }
        (Val::Map(left), Val::Map(right)) => {
            let keys = left.keys().cmp(right.keys());
            keys.then_with(|| first_difference(left.values().zip(right.values())))
        }
        _ => numeric(left, right).unwrap_or_else(|| rank(left).cmp(&rank(right))),
    }
}

fn first_difference<'v>(pairs: impl Iterator<Item = (&'v Val, &'v Val)>) -> Ordering {
    let mut orders = pairs.map(|(left, right)| order(left, right));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whether DISTINCT and grouping take two values for one (openCypher 9, "Equivalence").
pub(crate) fn same(left: &Val, right: &Val) -> bool {
    order(left, right).is_eq()
}

/// The same of rows.
pub(crate) fn same_row(left: &[Val], right: &[Val]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}
