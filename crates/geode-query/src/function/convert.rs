//! Conversions: toInteger() and its kin give null for text that cannot be read and fail for values that are never convertible; their
//! `…OrNull` twins give null for those too, their `…List` twins convert every element.

use super::{
    Function, Run, bool_type, float_type, function, int_type, string_type, strings_type, wrong_type,
};
use crate::datum::Datum;
use crate::number::Number;
use crate::types::{Type, TypeSet};
use geode_types::QueryError;

type Evaluated = Result<Datum, QueryError>;

const ANY: &[TypeSet] = &[TypeSet::ANY];
const LIST: &[TypeSet] = &[TypeSet::LIST];

pub(super) const FUNCTIONS: &[Function] = &[
    function("toInteger", ANY, int_type, Run::Pure(to_integer)),
    function("toFloat", ANY, float_type, Run::Pure(to_float)),
    function("toString", ANY, string_type, Run::Pure(to_string)),
    function("toBoolean", ANY, bool_type, Run::Pure(to_boolean)),
    function(
        "toIntegerOrNull",
        ANY,
        int_type,
        Run::Pure(|arguments| Ok(or_null(to_integer(arguments)))),
    ),
    function(
        "toFloatOrNull",
        ANY,
        float_type,
        Run::Pure(|arguments| Ok(or_null(to_float(arguments)))),
    ),
    function(
        "toStringOrNull",
        ANY,
        string_type,
        Run::Pure(|arguments| Ok(or_null(to_string(arguments)))),
    ),
    function(
        "toBooleanOrNull",
        ANY,
        bool_type,
        Run::Pure(|arguments| Ok(or_null(to_boolean(arguments)))),
    ),
    function(
        "toIntegerList",
        LIST,
        |_| Type::List(Box::new(Type::Int)),
        Run::Pure(|arguments| each("toIntegerList", arguments, to_integer)),
    ),
    function(
        "toFloatList",
        LIST,
        |_| Type::List(Box::new(Type::Float)),
        Run::Pure(|arguments| each("toFloatList", arguments, to_float)),
    ),
    function(
        "toStringList",
        LIST,
        strings_type,
        Run::Pure(|arguments| each("toStringList", arguments, to_string)),
    ),
    function(
        "toBooleanList",
        LIST,
        |_| Type::List(Box::new(Type::Bool)),
        Run::Pure(|arguments| each("toBooleanList", arguments, to_boolean)),
    ),
];

fn or_null(converted: Evaluated) -> Datum {
    converted.unwrap_or_default()
}

fn each(function: &str, arguments: &[Datum], convert: fn(&[Datum]) -> Evaluated) -> Evaluated {
    let Datum::List(items) = &arguments[0] else {
        return Err(wrong_type(function, "a list", &arguments[0]));
    };
    let items = items
        .iter()
        .map(|item| or_null(convert(std::slice::from_ref(item))));
    Ok(Datum::list(items.collect()))
}

fn to_integer(arguments: &[Datum]) -> Evaluated {
    Ok(match &arguments[0] {
        number @ Datum::Int(_) => number.clone(),
        Datum::Float(number) => integer_of(*number).map_or(Datum::Null, Datum::Int),
        Datum::Decimal(number) => i64::try_from(number.trunc()).map_or(Datum::Null, Datum::Int),
        Datum::Bool(truth) => Datum::Int(i64::from(*truth)),
        Datum::String(text) => integer_in(text).map_or(Datum::Null, Datum::Int),
        other => return Err(wrong_type("toInteger", "a number, a boolean or a string", other)),
    })
}

fn to_float(arguments: &[Datum]) -> Evaluated {
    if let Some(number) = Number::of(&arguments[0]) {
        return Ok(Datum::Float(number.float()));
    }
    match &arguments[0] {
        Datum::String(text) => Ok(float_in(text).map_or(Datum::Null, Datum::Float)),
        other => Err(wrong_type("toFloat", "a number or a string", other)),
    }
}

fn to_string(arguments: &[Datum]) -> Evaluated {
    text_of(&arguments[0]).ok_or_else(|| {
        let wanted = "a number, a boolean, a string or a temporal value";
        wrong_type("toString", wanted, &arguments[0])
    })
}

fn to_boolean(arguments: &[Datum]) -> Evaluated {
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

/// The text of a value that has one.
pub(super) fn text_of(value: &Datum) -> Option<Datum> {
    Some(match value {
        text @ Datum::String(_) => text.clone(),
        Datum::Bool(truth) => Datum::string(if *truth { "true" } else { "false" }),
        Datum::Int(number) => Datum::string(&number.to_string()),
        Datum::Float(number) => Datum::string(&format!("{number:?}")),
        Datum::Decimal(number) => Datum::string(&number.to_string()),
        Datum::Temporal(value) => Datum::string(&value.to_string()),
        _ => return None,
    })
}

pub(super) fn truth_in(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Towards zero; none outside 64 bits.
pub(super) fn integer_of(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

fn integer_in(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| float_in(text).and_then(integer_of))
}

/// Rust also reads words such as `inf`, which GQL does not.
pub(super) fn float_in(text: &str) -> Option<f64> {
    let text = text.trim();
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if numeric { text.parse().ok() } else { None }
}
