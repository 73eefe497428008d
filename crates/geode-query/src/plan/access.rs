//! How a node can be found by an index, and about how many nodes that gives.

use super::sargs::{Sarg, Test};
use crate::expr::Expr;
use crate::names::NameIndex;
use geode_graph::{IndexStatistics, Rule};

/// An index as the planner sees it: its keys by the names of the plan, where the plan names them.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub rule: Rule,
    pub keys: Vec<Option<NameIndex>>,
    pub statistics: IndexStatistics,
}

/// A look into an index: equality on the first keys, something on the next one.
#[derive(Clone, Debug)]
pub(crate) struct Seek<'p> {
    pub rule: Rule,
    /// Values of the first keys; with `true` any of a list.
    pub equal: Vec<(&'p Expr, bool)>,
    pub last: LastKey<'p>,
}

impl Seek<'_> {
    /// Whether it gives one node at most.
    pub(crate) fn is_unique(&self) -> bool {
        self.rule.is_unique()
            && self.equal.len() == self.rule.keys.len()
            && self.equal.iter().all(|(_, is_list)| !is_list)
    }
}

/// What is asked of the key behind those.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LastKey<'p> {
    Any,
    Prefix(&'p Expr),
    Between(Option<&'p Expr>, Option<&'p Expr>),
}

/// What shares of the entries are taken for, where nothing is known of the values (System R's guesses, smaller).
const EQUAL_SHARE: f64 = 0.05;
const PREFIX_SHARE: f64 = 0.02;
const RANGE_SHARE: f64 = 0.3;
const INTERVAL_SHARE: f64 = 0.1;
/// How many elements a list has of which nothing is known.
const LIST_LENGTH: f64 = 8.0;

/// The best look into one index, with the expected number of nodes. `sargs` are all conditions on the node; `known` tells whether a
/// value can be computed already.
pub(crate) fn seek<'p>(
    index: &Index,
    sargs: &[Sarg<'p>],
    known: &dyn Fn(&Expr) -> bool,
) -> Option<(Seek<'p>, f64)> {
    let of_key = |key: &Option<NameIndex>| {
        let key = *key;
        sargs.iter().filter(move |sarg| Some(sarg.key) == key)
    };
    // A node that lacks one of the keys is not in the index, so each has to be asked for.
    if !index.keys.iter().all(|key| of_key(key).next().is_some()) {
        return None;
    }
    let usable = |sarg: &&Sarg<'p>| sarg.test.value().is_none_or(known);
    let mut equal = Vec::new();
    let mut times = 1.0;
    let mut last = LastKey::Any;
    for key in &index.keys {
        let tests = || of_key(key).filter(usable).map(|sarg| sarg.test);
        let mut exact = tests().filter_map(|test| {
            if let Test::Equal(value) = test {
                Some(value)
            } else {
                None
            }
        });
        if let Some(value) = exact.next() {
            equal.push((value, false));
            continue;
        }
        let mut lists = tests().filter_map(|test| {
            if let Test::In(list) = test {
                Some(list)
            } else {
                None
            }
        });
        if let Some(list) = lists.next() {
            times *= list_length(list);
            equal.push((list, true));
            continue;
        }
        let (mut from, mut to) = (None, None);
        for test in tests() {
            match test {
                Test::Prefix(prefix) => last = LastKey::Prefix(prefix),
                Test::From(bound) => from = Some(bound),
                Test::To(bound) => to = Some(bound),
                Test::Equal(_) | Test::In(_) | Test::Present => {}
            }
        }
        if matches!(last, LastKey::Any) && (from.is_some() || to.is_some()) {
            last = LastKey::Between(from, to);
        }
        break;
    }
    let rows = expected(index, &equal, times, &last);
    let rule = index.rule.clone();
    Some((Seek { rule, equal, last }, rows))
}

fn expected(index: &Index, equal: &[(&Expr, bool)], times: f64, last: &LastKey<'_>) -> f64 {
    let entries = index.statistics.entries as f64;
    let share = match last {
        LastKey::Any => 1.0,
        LastKey::Prefix(_) => PREFIX_SHARE,
        LastKey::Between(Some(_), Some(_)) => INTERVAL_SHARE,
        LastKey::Between(..) => RANGE_SHARE,
    };
    let one = if equal.len() == index.keys.len() {
        entries / (index.statistics.distinct as f64).max(1.0)
    } else {
        entries * EQUAL_SHARE.powi(equal.len() as i32) * share
    };
    (one * times).min(entries)
}

fn list_length(list: &Expr) -> f64 {
    match list {
        Expr::List(items) => items.len() as f64,
        _ => LIST_LENGTH,
    }
}
