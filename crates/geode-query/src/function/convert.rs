//! Conversions: toInteger() and its kin give null for what cannot be read, CAST fails.

use super::{Function, Run, bool_type, float_type, function, int_type, string_type, wrong_type};
use crate::datum::Datum;
use crate::error;
use crate::types::TypeSet;
use geode_gql::ast::TargetType;
use geode_types::QueryError;

pub(super) const FUNCTIONS: &[Function] = &[
    function("toInteger", &[TypeSet::ANY], int_type, Run::Pure(to_integer)),
    function("toFloat", &[TypeSet::ANY], float_type, Run::Pure(to_float)),
    function("toString", &[TypeSet::ANY], string_type, Run::Pure(to_string)),
    function("toBoolean", &[TypeSet::ANY], bool_type, Run::Pure(to_boolean)),
];

fn to_integer(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(match &arguments[0] {
        number @ Datum::Int(_) => number.clone(),
        Datum::Float(number) => integer_of(*number).map_or(Datum::Null, Datum::Int),
        Datum::Bool(truth) => Datum::Int(i64::from(*truth)),
        Datum::String(text) => integer_in(text).map_or(Datum::Null, Datum::Int),
        other => return Err(wrong_type("toInteger", "a number, a boolean or a string", other)),
    })
}

fn to_float(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(match &arguments[0] {
        Datum::Int(number) => Datum::Float(*number as f64),
        number @ Datum::Float(_) => number.clone(),
        Datum::String(text) => float_in(text).map_or(Datum::Null, Datum::Float),
        other => return Err(wrong_type("toFloat", "a number or a string", other)),
    })
}

fn to_string(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match text_of(&arguments[0]) {
        Some(text) => Ok(text),
        None => Err(wrong_type(
            "toString",
            "a number, a boolean or a string",
            &arguments[0],
        )),
    }
}

fn to_boolean(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(match &arguments[0] {
        truth @ Datum::Bool(_) => truth.clone(),
        Datum::Int(number) => Datum::Bool(*number != 0),
        Datum::String(text) => truth_in(text).map_or(Datum::Null, Datum::Bool),
        other => {
            return Err(wrong_type(
                "toBoolean",
                "a boolean, an integer or a string",
                other,
            ));
        }
    })
}

/// CAST(value AS target).
pub(crate) fn cast(value: &Datum, target: TargetType) -> Result<Datum, QueryError> {
    let converted = match (target, value) {
        (_, Datum::Null) => Some(Datum::Null),
        (TargetType::Bool, Datum::Bool(_))
        | (TargetType::Int, Datum::Int(_))
        | (TargetType::Float, Datum::Float(_)) => Some(value.clone()),
        (TargetType::Bool, Datum::String(text)) => truth_in(text).map(Datum::Bool),
        (TargetType::Bool, Datum::Int(number)) => Some(Datum::Bool(*number != 0)),
        (TargetType::Int, Datum::Float(number)) => Some(Datum::Int(
            integer_of(*number).ok_or_else(|| error::overflow("the cast"))?,
        )),
        (TargetType::Int, Datum::String(text)) => text.trim().parse().ok().map(Datum::Int),
        (TargetType::Int, Datum::Bool(truth)) => Some(Datum::Int(i64::from(*truth))),
        (TargetType::Float, Datum::Int(number)) => Some(Datum::Float(*number as f64)),
        (TargetType::Float, Datum::String(text)) => float_in(text).map(Datum::Float),
        (TargetType::String, value) => text_of(value),
        _ => None,
    };
    converted.ok_or_else(|| {
        let target = format!("{target:?}").to_uppercase();
        let message = match value {
            Datum::String(text) => format!("the string {text:?} cannot be cast to {target}"),
            other => format!("{} cannot be cast to {target}", other.type_name()),
        };
        let mut error = error::type_error("InvalidArgumentValue", message);
        "22018".clone_into(&mut error.gqlstatus);
        error
    })
}

fn text_of(value: &Datum) -> Option<Datum> {
    Some(match value {
        text @ Datum::String(_) => text.clone(),
        Datum::Bool(truth) => Datum::string(if *truth { "true" } else { "false" }),
        Datum::Int(number) => Datum::string(&number.to_string()),
        Datum::Float(number) => Datum::string(&format!("{number:?}")),
        _ => return None,
    })
}

fn truth_in(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Towards zero; none outside 64 bits.
fn integer_of(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

fn integer_in(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| float_in(text).and_then(integer_of))
}

/// Rust also reads words such as `inf`, which GQL does not.
fn float_in(text: &str) -> Option<f64> {
    let text = text.trim();
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if numeric { text.parse().ok() } else { None }
}
