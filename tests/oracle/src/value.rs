//! Values of the reference evaluator and their three comparisons, written once more so that no mistake of the engine's is shared.
//!
//! Graph elements are places in the evaluator's graph.

use crate::temporal;
use geode_types::{Decimal, Temporal};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Its digits are all that is asked of it.
    Decimal(Decimal),
    Str(String),
    /// Its text and its kind are all that is asked of it.
    Temporal(Temporal),
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

    /// An operand of arithmetic, which the generator does without decimals.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Float(_) | Self::Decimal(_))
    }

    fn is_nan(&self) -> bool {
        matches!(self, Self::Float(number) if number.is_nan())
    }

    /// A truth value of the three: `None` is unknown.
    pub(crate) fn of_truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }
}

/// A finite number as it is written in full: digits before the point without zeros in front, and behind it without zeros at the end.
struct Digits {
    is_negative: bool,
    whole: String,
    fraction: String,
}

impl Digits {
    fn of(value: &Val) -> Self {
        let text = match value {
            Val::Int(number) => number.to_string(),
            Val::Decimal(number) => number.to_string(),
            // No float has more digits behind the point.
            Val::Float(number) => format!("{number:.1074}"),
            _ => String::new(),
        };
        let magnitude = text.trim_start_matches('-');
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        Self {
            is_negative: text.starts_with('-') && !(whole.is_empty() && fraction.is_empty()),
            whole: whole.to_owned(),
            fraction: fraction.to_owned(),
        }
    }

    fn magnitude(&self) -> (usize, &str, &str) {
        (self.whole.len(), self.whole.as_str(), self.fraction.as_str())
    }
}

/// On which side of all finite numbers a number lies; none of NaN.
fn beyond(value: &Val) -> Option<i8> {
    match value {
        Val::Float(number) if number.is_nan() => None,
        Val::Float(number) if number.is_infinite() => Some(if *number > 0.0 { 1 } else { -1 }),
        _ => Some(0),
    }
}

/// An integer that is a float without rounding, or a float.
fn exact_float(value: &Val) -> Option<f64> {
    match value {
        Val::Int(number) if number.unsigned_abs() < 1 << 53 => Some(*number as f64),
        Val::Float(number) => Some(*number),
        _ => None,
    }
}

/// The order of two numbers of any type, exact; none when one is NaN or no number.
fn numeric(left: &Val, right: &Val) -> Option<Ordering> {
    if !left.is_number() || !right.is_number() {
        return None;
    }
    if let (Val::Int(left), Val::Int(right)) = (left, right) {
        return Some(left.cmp(right));
    }
    // The rest goes by its digits, of which a float has up to a thousand: too slow for every pair of rows.
    if let (Some(left), Some(right)) = (exact_float(left), exact_float(right)) {
        return left.partial_cmp(&right);
    }
    let (of_left, of_right) = (beyond(left)?, beyond(right)?);
    if of_left != 0 || of_right != 0 {
        return Some(of_left.cmp(&of_right));
    }
    let (left, right) = (Digits::of(left), Digits::of(right));
    Some(match (left.is_negative, right.is_negative) {
        (false, false) => left.magnitude().cmp(&right.magnitude()),
        (true, true) => right.magnitude().cmp(&left.magnitude()),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

/// `left = right` (openCypher 9, "Equality"): unknown as soon as a null decides. NaN equals nothing.
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
        (Val::Temporal(left), Val::Temporal(right)) => Some(temporal::equal(left, right)),
        _ if left.is_number() && right.is_number() => Some(numeric(left, right) == Some(Ordering::Equal)),
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

/// What `<` and its kin find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    Ordered(Ordering),
    /// NaN is among two numbers: nothing is true of them.
    Never,
    /// Null, or values of different types.
    Unknown,
}

/// The order for `<` and its kin (openCypher 9, "Comparability"): none between values of different types.
pub(crate) fn compare(left: &Val, right: &Val) -> Compared {
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => Compared::Ordered(left.cmp(right)),
        (Val::Bool(left), Val::Bool(right)) => Compared::Ordered(left.cmp(right)),
        (Val::Temporal(left), Val::Temporal(right)) => {
            temporal::compare(left, right).map_or(Compared::Unknown, Compared::Ordered)
        }
        (Val::List(left), Val::List(right)) => {
            for (left, right) in left.iter().zip(right) {
                match compare(left, right) {
                    Compared::Ordered(Ordering::Equal) => {}
                    decided => return decided,
                }
            }
            Compared::Ordered(left.len().cmp(&right.len()))
        }
        _ if left.is_number() && right.is_number() => {
            numeric(left, right).map_or(Compared::Never, Compared::Ordered)
        }
        _ => Compared::Unknown,
    }
}

fn rank(value: &Val) -> u8 {
    match value {
        Val::Map(_) => 0,
        Val::Node(_) => 1,
        Val::Edge(_) => 2,
        Val::List(_) => 3,
        Val::Path(..) => 4,
        Val::Temporal(value) => 5 + temporal::rank(value),
        Val::Str(_) => 11,
        Val::Bool(_) => 12,
        Val::Int(_) | Val::Float(_) | Val::Decimal(_) => 13,
        Val::Null => 14,
    }
}

/// The order of ORDER BY, min() and max() (openCypher 9, "Orderability"). NaN is the largest number.
pub(crate) fn order(left: &Val, right: &Val) -> Ordering {
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => left.cmp(right),
        (Val::Bool(left), Val::Bool(right)) => left.cmp(right),
        (Val::Temporal(left), Val::Temporal(right)) if left.kind() == right.kind() => {
            temporal::order(left, right)
        }
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
        _ if left.is_number() && right.is_number() => {
            numeric(left, right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn first_difference<'v>(pairs: impl Iterator<Item = (&'v Val, &'v Val)>) -> Ordering {
    let mut orders = pairs.map(|(left, right)| order(left, right));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whether DISTINCT, grouping and uniqueness take two values for one (openCypher 9, "Equivalence").
fn same(left: &Val, right: &Val) -> bool {
    order(left, right).is_eq()
}

/// The same of rows.
pub(crate) fn same_row(left: &[Val], right: &[Val]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}
