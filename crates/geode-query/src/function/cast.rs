//! CAST and IS TYPED (ISO/IEC 39075, 20.8 and 19.6).

use super::convert::{float_in, integer_of, text_of, truth_in};
use crate::datum::Datum;
use crate::error;
use crate::number::Number;
use geode_gql::ast::ValueType;
use geode_types::{Decimal, QueryError, Temporal};

/// `CAST(value AS target)`: what cannot be converted without saying something else is an error.
pub(crate) fn cast(value: &Datum, target: &ValueType) -> Result<Datum, QueryError> {
    if let ValueType::NotNull(inner) = target {
        return match cast(value, inner)? {
            Datum::Null => Err(refused(value, target)),
            converted => Ok(converted),
        };
    }
    if value.is_null() {
        return Ok(Datum::Null);
    }
    if has_type(value, target) {
        return Ok(value.clone());
    }
    if let (ValueType::List(element), Datum::List(items)) = (target, value) {
        let items = items.iter().map(|item| cast(item, element));
        return Ok(Datum::list(items.collect::<Result<_, _>>()?));
    }
    converted(value, target)?.ok_or_else(|| refused(value, target))
}

fn refused(value: &Datum, target: &ValueType) -> QueryError {
    let message = match value {
        Datum::String(text) => {
            let shown: String = text.chars().take(80).collect();
            format!("the string {shown:?} cannot be cast to {target}")
        }
        other => format!("{} cannot be cast to {target}", other.type_name()),
    };
    let mut error = error::type_error("InvalidArgumentValue", message);
    "22018".clone_into(&mut error.gqlstatus);
    error
}

/// `None` when there is no such conversion, or the text says no such value.
fn converted(value: &Datum, target: &ValueType) -> Result<Option<Datum>, QueryError> {
    Ok(match target {
        ValueType::Bool => match value {
            Datum::String(text) => truth_in(text).map(Datum::Bool),
            Datum::Int(number) => Some(Datum::Bool(*number != 0)),
            _ => None,
        },
        ValueType::Int { least, most } => match integer(value)? {
            Some(number) if !(*least..=*most).contains(&number) => {
                let message = format!("{number} is outside of {target}");
                return Err(error::overflow(&message));
            }
            number => number.map(Datum::Int),
        },
        ValueType::Float => match value {
            Datum::String(text) => float_in(text).map(Datum::Float),
            other => Number::of(other).map(|number| Datum::Float(number.float())),
        },
        ValueType::Decimal(shape) => match decimal(value) {
            None => None,
            Some(number) => Some(Datum::Decimal(fitted(number, *shape, target)?)),
        },
        ValueType::String(most) => match (value, text_of(value)) {
            // Too long a text may only lose blanks.
            (_, Some(Datum::String(text))) => {
                let end = most.and_then(|most| text.char_indices().nth(most as usize));
                match end {
                    None => Some(Datum::String(text)),
                    Some((at, _)) if text[at..].trim().is_empty() => Some(Datum::string(&text[..at])),
                    Some(_) => return Err(too_long(target)),
                }
            }
            _ => None,
        },
        ValueType::Bytes(most) => match value {
            Datum::Bytes(bytes) if most.is_some_and(|most| bytes.len() > most as usize) => {
                return Err(too_long(target));
            }
            _ => None,
        },
        ValueType::Temporal(kind) => match value {
            Datum::String(text) => {
                let value = Temporal::parse(*kind, text).map_err(|failure| error::temporal(&failure))?;
                Some(Datum::Temporal(value))
            }
            Datum::Temporal(value) => value.converted(*kind).ok().map(Datum::Temporal),
            _ => None,
        },
        _ => None,
    })
}

fn too_long(target: &ValueType) -> QueryError {
    let mut error = error::argument("StringTooLong", format!("the value is longer than {target}"));
    "22001".clone_into(&mut error.gqlstatus);
    error
}

fn integer(value: &Datum) -> Result<Option<i64>, QueryError> {
    let out_of_range = || error::overflow("the cast");
    Ok(match value {
        Datum::Int(number) => Some(*number),
        Datum::Bool(truth) => Some(i64::from(*truth)),
        Datum::Float(number) => Some(integer_of(*number).ok_or_else(out_of_range)?),
        Datum::Decimal(number) => Some(i64::try_from(number.trunc()).map_err(|_| out_of_range())?),
        Datum::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

fn decimal(value: &Datum) -> Option<Decimal> {
    match value {
        Datum::Int(number) => Some((*number).into()),
        Datum::Decimal(number) => Some(*number),
        // The number as it is written, not its binary expansion.
        Datum::Float(number) => number.to_string().parse().ok(),
        Datum::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Rounded to the digits behind the point; digits before it are never lost.
fn fitted(number: Decimal, shape: Option<(u32, u32)>, target: &ValueType) -> Result<Decimal, QueryError> {
    let Some((precision, scale)) = shape else {
        return Ok(number);
    };
    let rounded = number.round_dp(scale);
    if rounded.trunc().abs() >= Decimal::from_i128_with_scale(10i128.pow(precision - scale), 0) {
        return Err(error::decimal_overflow(&format!("{number} as {target}")));
    }
    Ok(rounded)
}

/// Whether a value belongs to a type; null belongs to all that admit it.
pub(crate) fn has_type(value: &Datum, ty: &ValueType) -> bool {
    match (ty, value) {
        (ValueType::NotNull(inner), _) => !value.is_null() && has_type(value, inner),
        (ValueType::Nothing, _) => false,
        (ValueType::Union(types), _) => types.iter().any(|member| has_type(value, member)),
        (ValueType::Any, _) | (_, Datum::Null) => true,
        (ValueType::Int { least, most }, Datum::Int(number)) => (*least..=*most).contains(number),
        (ValueType::Decimal(shape), Datum::Decimal(number)) => {
            shape.is_none_or(|shape| fitted(*number, Some(shape), ty).is_ok_and(|fitted| fitted == *number))
        }
        (ValueType::String(most), Datum::String(text)) => {
            most.is_none_or(|most| text.chars().nth(most as usize).is_none())
        }
        (ValueType::Bytes(most), Datum::Bytes(bytes)) => most.is_none_or(|most| bytes.len() <= most as usize),
        (ValueType::Temporal(kind), Datum::Temporal(value)) => value.kind() == *kind,
        (ValueType::List(element), Datum::List(items)) => items.iter().all(|item| has_type(item, element)),
        (ValueType::Bool, Datum::Bool(_))
        | (ValueType::Float, Datum::Float(_))
        | (ValueType::Record, Datum::Map(_))
        | (ValueType::Node, Datum::Node(_))
        | (ValueType::Edge, Datum::Edge(_))
        | (ValueType::Path, Datum::Path(_)) => true,
        _ => false,
    }
}
