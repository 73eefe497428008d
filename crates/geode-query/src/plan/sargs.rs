//! Which conditions an index can answer: comparisons of a property with something that is known before ("search arguments", Selinger
//! 1979). None of them is true of null, so each says that the property is there.

use super::reads::property_of;
use crate::expr::Expr;
use crate::names::NameIndex;
use geode_gql::ast::{CompareOp, StringOp};

/// A condition on a property of a slot's element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sarg<'p> {
    pub slot: usize,
    pub key: NameIndex,
    pub test: Test<'p>,
}

/// What is asked of the property.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test<'p> {
    Equal(&'p Expr),
    In(&'p Expr),
    Prefix(&'p Expr),
    /// Not less than.
    From(&'p Expr),
    /// Not greater than.
    To(&'p Expr),
    Present,
}

impl<'p> Test<'p> {
    /// What the property is compared with.
    pub(crate) fn value(&self) -> Option<&'p Expr> {
        match self {
            Self::Equal(value)
            | Self::In(value)
            | Self::Prefix(value)
            | Self::From(value)
            | Self::To(value) => Some(value),
            Self::Present => None,
        }
    }
}

/// The search arguments of a conjunct.
pub(crate) fn sargs(expr: &Expr) -> Vec<Sarg<'_>> {
    let of = |property: &Expr, test: Test<'_>| {
        property_of(property).map(|(slot, key)| {
            (
                slot,
                key,
                test.value().is_none_or(|value| !value.slots().contains(&slot)),
            )
        })
    };
    let sarg = |property, test| match of(property, test) {
        Some((slot, key, true)) => Some(Sarg { slot, key, test }),
        _ => None,
    };
    match expr {
        Expr::Compare(first, rest) => {
            let mut left = first.as_ref();
            let mut found = Vec::new();
            for (op, right) in rest {
                let tests = match op {
                    CompareOp::Equal => Some((Test::Equal(right), Test::Equal(left))),
                    CompareOp::Less | CompareOp::LessEqual => Some((Test::To(right), Test::From(left))),
                    CompareOp::Greater | CompareOp::GreaterEqual => Some((Test::From(right), Test::To(left))),
                    CompareOp::NotEqual => None,
                };
                if let Some((of_left, of_right)) = tests {
                    found.extend(sarg(left, of_left));
                    found.extend(sarg(right, of_right));
                }
                left = right;
            }
            found
        }
        Expr::In(needle, list) => sarg(needle, Test::In(list)).into_iter().collect(),
        Expr::StringMatch(StringOp::StartsWith, text, prefix) => {
            sarg(text, Test::Prefix(prefix)).into_iter().collect()
        }
        Expr::IsNull(operand, true) => sarg(operand, Test::Present).into_iter().collect(),
        _ => Vec::new(),
    }
}
