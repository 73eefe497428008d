//! Functions of lists, and those that take anything.

use super::{Function, Run, any_type, element_type, first_type, function, int_type, wrong_type};
use crate::datum::Datum;
use crate::error;
use crate::exec::Cx;
use crate::semantics::equals;
use crate::types::{Type, TypeSet};
use geode_types::QueryError;

const LIST: TypeSet = TypeSet::LIST;
const ANY: TypeSet = TypeSet::ANY;

/// How many elements range() makes at most.
const MAX_RANGE: u64 = 10_000_000;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "size",
        &[LIST.or(TypeSet::STRING).or(TypeSet::MAP).or(TypeSet::BYTES)],
        int_type,
        Run::Pure(size),
    )
    .alias(&["cardinality"]),
    function("head", &[LIST], element_type, Run::Pure(head)),
    function("last", &[LIST], element_type, Run::Pure(last)),
    function("tail", &[LIST], first_type, Run::Pure(tail)),
    function(
        "reverse",
        &[LIST.or(TypeSet::STRING)],
        first_type,
        Run::Pure(reverse),
    ),
    // Its arguments are looked at when it runs: the kit wants a wrong type to be an error of that moment.
    function("range", &[ANY, ANY, ANY], ints_type, Run::Graph(range)).optional(2),
    function(
        "coalesce",
        &[ANY],
        joined_type,
        Run::Pure(|arguments| Ok(coalesce(arguments))),
    )
    .variadic()
    .sees_null(),
    function(
        "nullIf",
        &[ANY, ANY],
        any_type,
        Run::Pure(|arguments| Ok(null_if(arguments))),
    )
    .sees_null(),
];

fn ints_type(_arguments: &[Type]) -> Type {
    Type::List(Box::new(Type::Int))
}

fn joined_type(arguments: &[Type]) -> Type {
    arguments.iter().cloned().fold(Type::Null, Type::join)
}

fn size(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::Int(match &arguments[0] {
        Datum::List(items) => items.len(),
        Datum::Map(entries) => entries.len(),
        Datum::String(text) => text.chars().count(),
        Datum::Bytes(bytes) => bytes.len(),
        other => return Err(wrong_type("size", "a list, a string or a record", other)),
    } as i64))
}

fn head(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::List(items) => Ok(items.first().cloned().unwrap_or_default()),
        other => Err(wrong_type("head", "a list", other)),
    }
}

fn last(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::List(items) => Ok(items.last().cloned().unwrap_or_default()),
        other => Err(wrong_type("last", "a list", other)),
    }
}

fn tail(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::List(items) => Ok(Datum::list(items.iter().skip(1).cloned().collect())),
        other => Err(wrong_type("tail", "a list", other)),
    }
}

fn reverse(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::List(items) => Ok(Datum::list(items.iter().rev().cloned().collect())),
        Datum::String(text) => Ok(Datum::string(&text.chars().rev().collect::<String>())),
        other => Err(wrong_type("reverse", "a list or a string", other)),
    }
}

fn range(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    let number = |at: usize| match arguments.get(at) {
        None => Ok(1),
        Some(Datum::Int(number)) => Ok(*number),
        Some(other) => Err(error::argument(
            "InvalidArgumentType",
            format!("range() takes integers, not {}", other.type_name()),
        )),
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    if step == 0 {
        return Err(error::argument(
            "NumberOutOfRange",
            "the step of range() must not be 0",
        ));
    }
    if (step > 0 && start > end) || (step < 0 && start < end) {
        return Ok(Datum::list(Vec::new()));
    }
    let count = start.abs_diff(end) / step.unsigned_abs() + 1;
    if count > MAX_RANGE {
        return Err(error::limit(
            "RangeTooLong",
            format!("range() would make {count} elements; at most {MAX_RANGE} are made"),
        ));
    }
    cx.admit_bytes(count as usize * size_of::<Datum>())?;
    let element = |at: u64| Datum::Int(start.wrapping_add(step.wrapping_mul(at as i64)));
    Ok(Datum::list((0..count).map(element).collect()))
}

fn coalesce(arguments: &[Datum]) -> Datum {
    arguments
        .iter()
        .find(|argument| !argument.is_null())
        .cloned()
        .unwrap_or_default()
}

fn null_if(arguments: &[Datum]) -> Datum {
    if equals(&arguments[0], &arguments[1]) == Some(true) {
        Datum::Null
    } else {
        arguments[0].clone()
    }
}
