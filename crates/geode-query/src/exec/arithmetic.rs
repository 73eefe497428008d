//! Arithmetic on values: integers stay integers and never wrap, floats follow IEEE 754, null gives null.

use crate::datum::{Datum, PathDatum};
use crate::error;
use geode_gql::ast::BinaryOp;
use geode_types::QueryError;
use std::sync::Arc;

/// `left op right`.
pub(crate) fn binary(op: BinaryOp, left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    if left.is_null() || right.is_null() {
        return Ok(Datum::Null);
    }
    match op {
        BinaryOp::Add => add(left, right),
        BinaryOp::Subtract => numeric(op, left, right, i64::checked_sub, |left, right| left - right),
        BinaryOp::Multiply => numeric(op, left, right, i64::checked_mul, |left, right| left * right),
        BinaryOp::Divide => match (left, right) {
            (Datum::Int(_), Datum::Int(0)) => Err(error::division_by_zero()),
            _ => numeric(op, left, right, i64::checked_div, |left, right| left / right),
        },
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
        other => Err(error::type_error(
            "InvalidArgumentType",
            format!("- needs a number, not {}", other.type_name()),
        )),
    }
}

/// The remainder, with the sign of the dividend.
pub(crate) fn modulo(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::Int(_), Datum::Int(0)) => Err(error::division_by_zero()),
        _ => numeric(
            BinaryOp::Modulo,
            left,
            right,
            |left, right| Some(left.wrapping_rem(right)),
            |left, right| left % right,
        ),
    }
}

fn float(datum: &Datum) -> Option<f64> {
    match datum {
        Datum::Int(number) => Some(*number as f64),
        Datum::Float(number) => Some(*number),
        _ => None,
    }
}

fn numeric(
    op: BinaryOp,
    left: &Datum,
    right: &Datum,
    integers: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Result<Datum, QueryError> {
    if let (Datum::Int(left), Datum::Int(right)) = (left, right) {
        let result = integers(*left, *right).map(Datum::Int);
        return result.ok_or_else(|| error::overflow(&format!("{left} {} {right}", op.text())));
    }
    match (float(left), float(right)) {
        (Some(left), Some(right)) => Ok(Datum::Float(floats(left, right))),
        _ => Err(mismatch(op, left, right)),
    }
}

fn add(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::String(_) | Datum::List(_), _) | (_, Datum::String(_) | Datum::List(_)) => {
            join(BinaryOp::Add, left, right)
        }
        _ => numeric(BinaryOp::Add, left, right, i64::checked_add, |left, right| {
            left + right
        }),
    }
}

/// `+` on strings and lists: numbers become text beside a string, a single value becomes an element beside a list.
fn join(op: BinaryOp, left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::List(_), Datum::List(_)) | (Datum::String(_), Datum::String(_)) => concat(left, right),
        (Datum::List(items), item) => {
            let mut items = items.as_ref().clone();
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

fn concat(left: &Datum, right: &Datum) -> Result<Datum, QueryError> {
    match (left, right) {
        (Datum::String(left), Datum::String(right)) => Ok(Datum::string(&format!("{left}{right}"))),
        (Datum::List(left), Datum::List(right)) => {
            Ok(Datum::list(left.iter().chain(right.iter()).cloned().collect()))
        }
        (Datum::Bytes(left), Datum::Bytes(right)) => {
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
