//! The three comparisons of GQL: equality and order with three truth values, the total order of ORDER BY, and the equivalence of
//! DISTINCT and grouping.
//!
//! Ascending order (openCypher's, extended by byte strings): records, nodes, edges, lists, paths, datetimes, local datetimes, dates, times,
//! local times, durations, byte strings, strings, booleans, numbers (NaN the largest), null. So nulls come last ascending and first descending.

use crate::datum::Datum;
use crate::number::Number;
use geode_types::{Temporal, TemporalKind};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// `left = right`; `None` is unknown.
pub(crate) fn equals(left: &Datum, right: &Datum) -> Option<bool> {
    match (left, right) {
        (Datum::Null, _) | (_, Datum::Null) => None,
        (Datum::List(left), Datum::List(right)) => {
            if left.len() != right.len() {
                return Some(false);
            }
            all_equal(left.iter().zip(right.iter()))
        }
        (Datum::Map(left), Datum::Map(right)) => {
            let same_keys = left.len() == right.len()
                && left
                    .iter()
                    .zip(right.iter())
                    .all(|(left, right)| left.0 == right.0);
            if !same_keys {
                return Some(false);
            }
            all_equal(
                left.iter()
                    .zip(right.iter())
                    .map(|(left, right)| (&left.1, &right.1)),
            )
        }
        _ if is_number(left) && is_number(right) => Some(numeric_order(left, right) == Some(Ordering::Equal)),
        _ => Some(equivalent(left, right)),
    }
}

fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Datum, &'a Datum)>) -> Option<bool> {
    let mut result = Some(true);
    for (left, right) in pairs {
        match equals(left, right) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    result
}

/// How two values stand to each other for `<` and its kin.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    Ordered(Ordering),
    /// NaN is in no order with any number: every comparison is false.
    Unordered,
    /// Null is involved, or the types have no common order.
    Unknown,
}

/// The order of two values where GQL defines one.
pub(crate) fn compare(left: &Datum, right: &Datum) -> Comparison {
    match (left, right) {
        _ if is_number(left) && is_number(right) => {
            numeric_order(left, right).map_or(Comparison::Unordered, Comparison::Ordered)
        }
        (Datum::String(left), Datum::String(right)) => Comparison::Ordered(left.cmp(right)),
        (Datum::Bytes(left), Datum::Bytes(right)) => Comparison::Ordered(left.cmp(right)),
        (Datum::Bool(left), Datum::Bool(right)) => Comparison::Ordered(left.cmp(right)),
        (Datum::Temporal(left), Datum::Temporal(right)) => temporal_order(left, right),
        (Datum::List(left), Datum::List(right)) => {
            for (left, right) in left.iter().zip(right.iter()) {
                match compare(left, right) {
                    Comparison::Ordered(Ordering::Equal) => {}
                    decided => return decided,
                }
            }
            Comparison::Ordered(left.len().cmp(&right.len()))
        }
        _ => Comparison::Unknown,
    }
}

fn numeric_order(left: &Datum, right: &Datum) -> Option<Ordering> {
    Number::of(left)?.order(Number::of(right)?)
}

/// Values of one temporal kind are ordered in time. Durations are ordered when all their parts agree about it: how many days a month has
/// depends on the month.
fn temporal_order(left: &Temporal, right: &Temporal) -> Comparison {
    match (left, right) {
        (Temporal::Duration(left), Temporal::Duration(right)) => left
            .order_of_all_parts(right)
            .map_or(Comparison::Unknown, Comparison::Ordered),
        _ if left.kind() == right.kind() => Comparison::Ordered(left.cmp(right)),
        _ => Comparison::Unknown,
    }
}

fn is_number(datum: &Datum) -> bool {
    matches!(datum, Datum::Int(_) | Datum::Float(_) | Datum::Decimal(_))
}

fn rank(datum: &Datum) -> u8 {
    match datum {
        Datum::Map(_) => 0,
        Datum::Node(_) => 1,
        Datum::Edge(_) => 2,
        Datum::List(_) => 3,
        Datum::Path(_) => 4,
        Datum::Temporal(value) => match value.kind() {
            TemporalKind::DateTime => 5,
            TemporalKind::LocalDateTime => 6,
            TemporalKind::Date => 7,
            TemporalKind::Time => 8,
            TemporalKind::LocalTime => 9,
            TemporalKind::Duration => 10,
        },
        Datum::Bytes(_) => 11,
        Datum::String(_) => 12,
        Datum::Bool(_) => 13,
        Datum::Int(_) | Datum::Float(_) | Datum::Decimal(_) => 14,
        Datum::Null => 15,
    }
}

/// The total order of ORDER BY, min() and max().
pub(crate) fn total_order(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        _ if is_number(left) && is_number(right) => {
            numeric_order(left, right).unwrap_or_else(|| is_nan(left).cmp(&is_nan(right)))
        }
        (Datum::String(left), Datum::String(right)) => left.cmp(right),
        (Datum::Bytes(left), Datum::Bytes(right)) => left.cmp(right),
        (Datum::Bool(left), Datum::Bool(right)) => left.cmp(right),
        (Datum::Temporal(left), Datum::Temporal(right)) if left.kind() == right.kind() => left.cmp(right),
        (Datum::Node(left), Datum::Node(right)) => left.cmp(right),
        (Datum::Edge(left), Datum::Edge(right)) => left.id.cmp(&right.id),
        (Datum::Path(left), Datum::Path(right)) => {
            let edges =
                |path: &crate::datum::PathDatum| path.edges.iter().map(|edge| edge.id).collect::<Vec<_>>();
            left.nodes
                .cmp(&right.nodes)
                .then_with(|| edges(left).cmp(&edges(right)))
        }
        (Datum::List(left), Datum::List(right)) => {
            lexicographic(left.iter().zip(right.iter())).then_with(|| left.len().cmp(&right.len()))
        }
        (Datum::Map(left), Datum::Map(right)) => {
            let keys = left
                .iter()
                .map(|(key, _)| key)
                .cmp(right.iter().map(|(key, _)| key));
            keys.then_with(|| {
                lexicographic(
                    left.iter()
                        .zip(right.iter())
                        .map(|(left, right)| (&left.1, &right.1)),
                )
            })
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn lexicographic<'a>(pairs: impl Iterator<Item = (&'a Datum, &'a Datum)>) -> Ordering {
    pairs
        .map(|(left, right)| total_order(left, right))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn is_nan(datum: &Datum) -> bool {
    matches!(datum, Datum::Float(number) if number.is_nan())
}

/// Whether DISTINCT and grouping take two values for the same: null is null, NaN is NaN, 1 is 1.0.
pub(crate) fn equivalent(left: &Datum, right: &Datum) -> bool {
    // The commonest keys.
    if let (Datum::Int(left), Datum::Int(right)) = (left, right) {
        return left == right;
    }
    total_order(left, right).is_eq()
}

/// A row, or part of one, under [`equivalent`]: the key of hash tables.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub Box<[Datum]>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(left, right)| equivalent(left, right))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_all(&self.0, state);
    }
}

/// Hashes values so that equivalent ones agree.
pub(crate) fn hash_all<H: Hasher>(values: &[Datum], state: &mut H) {
    for value in values {
        hash(value, state);
    }
}

/// Hashes a value so that equivalent ones agree.
pub(crate) fn hash<H: Hasher>(datum: &Datum, state: &mut H) {
    rank(datum).hash(state);
    match datum {
        Datum::Null => {}
        Datum::Bool(truth) => truth.hash(state),
        Datum::Int(number) => number.hash(state),
        Datum::Float(number) => hash_float(*number, state),
        // What equals an integer or a float hashes like it.
        Datum::Decimal(number) => match Number::Decimal(*number).integer() {
            Some(number) => number.hash(state),
            None => hash_float(Number::Decimal(*number).float(), state),
        },
        Datum::Temporal(value) => value.hash(state),
        Datum::String(text) => text.hash(state),
        Datum::Bytes(bytes) => bytes.hash(state),
        Datum::List(items) => items.iter().for_each(|item| hash(item, state)),
        Datum::Map(entries) => entries.iter().for_each(|(key, value)| {
            key.hash(state);
            hash(value, state);
        }),
        Datum::Node(id) => id.hash(state),
        Datum::Edge(edge) => edge.id.hash(state),
        Datum::Path(path) => path.nodes.hash(state),
    }
}

/// A float that equals an integer must hash like it.
fn hash_float<H: Hasher>(number: f64, state: &mut H) {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.is_nan() {
        f64::NAN.to_bits().hash(state);
    } else if number.fract().abs() < f64::MIN_POSITIVE && (-LIMIT..LIMIT).contains(&number) {
        (number as i64).hash(state);
    } else {
        number.to_bits().hash(state);
    }
}

#[cfg(test)]
#[path = "semantics_tests.rs"]
mod tests;
