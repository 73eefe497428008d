//! Arithmetic on values: integers stay integers and never wrap, decimals stay exact, floats follow IEEE 754, durations move dates and times,
//! null gives null.

use crate::datum::{Datum, PathDatum};
use crate::error;
use crate::number::Number;
use geode_gql::ast::BinaryOp;
use geode_types::temporal::{Amount, Duration, TemporalError};
use geode_types::{Decimal, QueryError, Temporal};
use std::sync::Arc;

/// `left op right`.
pub(crate) fn binary(op: BinaryOp, left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    if left.is_null() || right.is_null() {
        return Ok(Datum::Null);
    }
    match op {
        BinaryOp::Add => add(left, right),
        BinaryOp::Subtract => match (left, right) {
            (Datum::Temporal(value), Datum::Temporal(Temporal::Duration(duration))) => {
                temporal(duration.negated().and_then(|duration| value.plus(&duration)))
            }
            _ => numeric(op, left, right, &SUBTRACT),
        },
        BinaryOp::Multiply => match (left, right) {
            (Datum::Temporal(Temporal::Duration(duration)), factor)
            | (factor, Datum::Temporal(Temporal::Duration(duration))) => {
                scaled(op, left, right, factor, |amount| duration.times(amount))
            }
            _ => numeric(op, left, right, &MULTIPLY),
        },
        BinaryOp::Divide => divide(left, right),
        BinaryOp::Modulo => modulo(left, right),
        BinaryOp::Power => match (float(left), float(right)) {
            (Some(base), Some(exponent)) => Ok(Datum::Float(base.powf(exponent))),
            _ => Err(mismatch(op, left, right)),
        },
        BinaryOp::Concat => concat(left, right),
    }
}

/// `-operand`.
pub(crate) fn negate(operand: &Datum) -> Result<Datum, QueryError> {
    match operand {
        Datum::Null => Ok(Datum::Null),
        Datum::Int(number) => number
            .checked_neg()
            .map(Datum::Int)
            .ok_or_else(|| error::overflow("the negation")),
        Datum::Float(number) => Ok(Datum::Float(-number)),
        Datum::Decimal(number) => Ok(Datum::Decimal(-*number)),
        Datum::Temporal(Temporal::Duration(duration)) => temporal(duration.negated()),
        other => Err(error::type_error(
            "InvalidArgumentType",
            format!("- needs a number, not {}", other.type_name()),
        )),
    }
}

/// An operation on each type of numbers.
struct Operation {
    integers: fn(i64, i64) -> Option<i64>,
    decimals: fn(Decimal, Decimal) -> Option<Decimal>,
    floats: fn(f64, f64) -> f64,
}

const ADD: Operation = Operation {
    integers: i64::checked_add,
    decimals: Decimal::checked_add,
    floats: |left, right| left + right,
};

const SUBTRACT: Operation = Operation {
    integers: i64::checked_sub,
    decimals: Decimal::checked_sub,
    floats: |left, right| left - right,
};

const MULTIPLY: Operation = Operation {
    integers: i64::checked_mul,
    decimals: Decimal::checked_mul,
    floats: |left, right| left * right,
};

const DIVIDE: Operation = Operation {
    integers: i64::checked_div,
    decimals: Decimal::checked_div,
    floats: |left, right| left / right,
};

const REMAINDER: Operation = Operation {
    integers: |left, right| Some(left.wrapping_rem(right)),
    decimals: Decimal::checked_rem,
    floats: |left, right| left % right,
};

/// Only floats have a result for a division by zero.
fn refuse_zero(left: &Datum, right: &Datum) -> Result<(), QueryError> {
    let zero = match right {
        Datum::Int(number) => *number == 0,
        Datum::Decimal(number) => number.is_zero(),
        _ => false,
    };
    if zero && matches!(left, Datum::Int(_) | Datum::Decimal(_)) {
        return Err(error::division_by_zero());
    }
    Ok(())
}

fn divide(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    if let Datum::Temporal(Temporal::Duration(duration)) = left {
        if Number::of(right).is_some_and(|number| number.float() == 0.0) {
            return Err(error::division_by_zero());
        }
        return scaled(BinaryOp::Divide, left, right, right, |amount| {
            duration.divided(amount)
        });
    }
    refuse_zero(left, right)?;
    numeric(BinaryOp::Divide, left, right, &DIVIDE)
}

/// The remainder, with the sign of the dividend.
pub(crate) fn modulo(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    refuse_zero(left, right)?;
    numeric(BinaryOp::Modulo, left, right, &REMAINDER)
}

fn temporal<T: Into<Temporal>>(result: Result<T, TemporalError>) -> Result<Datum, QueryError> {
    result
        .map(|value| Datum::Temporal(value.into()))
        .map_err(|failure| error::temporal(&failure))
}

/// A duration that is multiplied or divided by a number.
fn scaled(
    op: BinaryOp,
    left: &Datum,
    right: &Datum,
    factor: &Datum,
    scale: impl FnOnce(Amount) -> Result<Duration, TemporalError>,
) -> Result<Datum, QueryError> {
    let amount = match Number::of(factor) {
        Some(Number::Int(number)) => Ok(Amount::from(number)),
        Some(Number::Decimal(number)) => Ok(Amount::from(number)),
        Some(Number::Float(number)) => Amount::try_from(number),
        None => return Err(mismatch(op, left, right)),
    };
    temporal(amount.and_then(scale))
}

fn float(datum: &Datum) -> Option<f64> {
    Number::of(datum).map(Number::float)
}

fn numeric(op: BinaryOp, left: &Datum, right: &Datum, operation: &Operation) -> Result<Datum, QueryError> {
    let exact = |left: Decimal, right: Decimal| {
        let result = (operation.decimals)(left, right).map(Datum::Decimal);
        result.ok_or_else(|| error::decimal_overflow(&format!("{left} {} {right}", op.text())))
    };
    match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(left)), Some(Number::Int(right))) => {
            let result = (operation.integers)(left, right).map(Datum::Int);
            result.ok_or_else(|| error::overflow(&format!("{left} {} {right}", op.text())))
        }
        (Some(Number::Decimal(left)), Some(Number::Decimal(right))) => exact(left, right),
        (Some(Number::Decimal(left)), Some(Number::Int(right))) => exact(left, right.into()),
        (Some(Number::Int(left)), Some(Number::Decimal(right))) => exact(left.into(), right),
        (Some(left), Some(right)) => Ok(Datum::Float((operation.floats)(left.float(), right.float()))),
        _ => Err(mismatch(op, left, right)),
    }
}

fn add(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::String(_) | Datum::List(_), _) | (_, Datum::String(_) | Datum::List(_)) => {
            join(BinaryOp::Add, left, right)
        }
        (Datum::Temporal(value), Datum::Temporal(Temporal::Duration(duration)))
        | (Datum::Temporal(Temporal::Duration(duration)), Datum::Temporal(value)) => {
            temporal(value.plus(duration))
        }
        _ => numeric(BinaryOp::Add, left, right, &ADD),
    }
}

/// `+` on strings and lists: numbers become text beside a string, a single value becomes an element beside a list.
fn join(op: BinaryOp, left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::List(_), Datum::List(_)) | (Datum::String(_), Datum::String(_)) => concat(left, right),
        (Datum::List(items), item) => {
            let mut items = items.to_vec();
            items.push(item.clone());
            Ok(Datum::list(items))
        }
        (item, Datum::List(items)) => {
            let mut all = vec![item.clone()];
            all.extend(items.iter().cloned());
            Ok(Datum::list(all))
        }
        (Datum::String(text), Datum::Int(number)) => Ok(Datum::string(&format!("{text}{number}"))),
        (Datum::Int(number), Datum::String(text)) => Ok(Datum::string(&format!("{number}{text}"))),
        (Datum::String(text), Datum::Float(number)) => Ok(Datum::string(&format!("{text}{number:?}"))),
        (Datum::Float(number), Datum::String(text)) => Ok(Datum::string(&format!("{number:?}{text}"))),
        _ => Err(mismatch(op, left, right)),
    }
}

/// How many elements a list can have that an expression makes.
pub(crate) const MAX_ELEMENTS: usize = 10_000_000;

/// How long text can be that an expression makes.
pub(crate) const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// A few operators can double a value again and again, so its size has a limit of its own.
pub(crate) fn bounded(size: usize, most: usize, what: &str) -> Result<(), QueryError> {
    if size > most {
        let message = format!("an expression makes {size} {what}; at most {most} are made");
        return Err(error::limit("ValueTooLarge", message));
    }
    Ok(())
}

fn concat(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::String(left), Datum::String(right)) => {
            bounded(left.len() + right.len(), MAX_TEXT_BYTES, "bytes in one string")?;
            Ok(Datum::string(&format!("{left}{right}")))
        }
        (Datum::List(left), Datum::List(right)) => {
            bounded(left.len() + right.len(), MAX_ELEMENTS, "elements in one list")?;
            Ok(Datum::list(left.iter().chain(right.iter()).cloned().collect()))
        }
        (Datum::Bytes(left), Datum::Bytes(right)) => {
            bounded(
                left.len() + right.len(),
                MAX_TEXT_BYTES,
                "bytes in one byte string",
            )?;
            Ok(Datum::Bytes([left.as_ref(), right.as_ref()].concat().into()))
        }
        (Datum::Path(left), Datum::Path(right)) if left.nodes.last() == right.nodes.first() => {
            let mut path: PathDatum = left.as_ref().clone();
            path.nodes.extend(right.nodes.iter().skip(1));
            path.edges.extend(&right.edges);
            Ok(Datum::Path(Arc::new(path)))
        }
        (Datum::Path(_), Datum::Path(_)) => Err(error::argument(
            "InvalidArgumentValue",
            "only a path that ends where the next one starts can be joined to it",
        )),
        _ => Err(mismatch(BinaryOp::Concat, left, right)),
    }
}

fn mismatch(op: BinaryOp, left: &Datum, right: &Datum) -> QueryError {
    let message = format!(
        "{} has no meaning between {} and {}",
        op.text(),
        left.type_name(),
        right.type_name()
    );
    error::type_error("InvalidArgumentType", message)
}
