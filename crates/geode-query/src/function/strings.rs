//! Functions of strings. Places and lengths count characters.

use super::{Function, Run, function, int_type, string_type, strings_type, wrong_type};
use crate::datum::Datum;
use crate::error;
use crate::types::TypeSet;
use geode_types::QueryError;

const STRING: TypeSet = TypeSet::STRING;
const INT: TypeSet = TypeSet::INT;

pub(super) const FUNCTIONS: &[Function] = &[
    function("toUpper", &[STRING], string_type, Run::Pure(upper)).alias(&["upper"]),
    function("toLower", &[STRING], string_type, Run::Pure(lower)).alias(&["lower"]),
    function(
        "trim",
        &[STRING],
        string_type,
        Run::Pure(|arguments| map("trim", arguments, str::trim)),
    )
    .alias(&["btrim"]),
    function(
        "lTrim",
        &[STRING],
        string_type,
        Run::Pure(|arguments| map("lTrim", arguments, str::trim_start)),
    ),
    function(
        "rTrim",
        &[STRING],
        string_type,
        Run::Pure(|arguments| map("rTrim", arguments, str::trim_end)),
    ),
    function("left", &[STRING, INT], string_type, Run::Pure(left)),
    function("right", &[STRING, INT], string_type, Run::Pure(right)),
    function(
        "substring",
        &[STRING, INT, INT],
        string_type,
        Run::Pure(substring),
    )
    .optional(2),
    function(
        "replace",
        &[STRING, STRING, STRING],
        string_type,
        Run::Pure(replace),
    ),
    function("split", &[STRING, STRING], strings_type, Run::Pure(split)),
    function("char_length", &[STRING], int_type, Run::Pure(char_length)).alias(&["character_length"]),
];

fn text<'a>(function: &str, datum: &'a Datum) -> Result<&'a str, QueryError> {
    match datum {
        Datum::String(text) => Ok(text),
        other => Err(wrong_type(function, "a string", other)),
    }
}

fn length(function: &str, datum: &Datum) -> Result<usize, QueryError> {
    match datum {
        Datum::Int(number) => usize::try_from(*number).map_err(|_| {
            error::argument(
                "NumberOutOfRange",
                format!("{function}() takes a place or length that is not negative, not {number}"),
            )
        }),
        other => Err(wrong_type(function, "an integer", other)),
    }
}

fn map(function: &str, arguments: &[Datum], change: fn(&str) -> &str) -> Result<Datum, QueryError> {
    Ok(Datum::string(change(text(function, &arguments[0])?)))
}

fn upper(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::string(&text("toUpper", &arguments[0])?.to_uppercase()))
}

fn lower(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::string(&text("toLower", &arguments[0])?.to_lowercase()))
}

fn left(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let count = length("left", &arguments[1])?;
    Ok(Datum::string(
        &text("left", &arguments[0])?
            .chars()
            .take(count)
            .collect::<String>(),
    ))
}

fn right(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let count = length("right", &arguments[1])?;
    let text = text("right", &arguments[0])?;
    let skipped = text.chars().count().saturating_sub(count);
    Ok(Datum::string(&text.chars().skip(skipped).collect::<String>()))
}

fn substring(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let from = length("substring", &arguments[1])?;
    let count = arguments
        .get(2)
        .map_or(Ok(usize::MAX), |count| length("substring", count))?;
    Ok(Datum::string(
        &text("substring", &arguments[0])?
            .chars()
            .skip(from)
            .take(count)
            .collect::<String>(),
    ))
}

fn replace(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let (from, to) = (text("replace", &arguments[1])?, text("replace", &arguments[2])?);
    let original = text("replace", &arguments[0])?;
    // An empty search string is found nowhere, rather than between all characters.
    Ok(Datum::string(&if from.is_empty() {
        original.to_owned()
    } else {
        original.replace(from, to)
    }))
}

fn split(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let (text_to_split, separator) = (text("split", &arguments[0])?, text("split", &arguments[1])?);
    let parts: Vec<Datum> = if separator.is_empty() {
        text_to_split
            .chars()
            .map(|c| Datum::string(c.encode_utf8(&mut [0; 4])))
            .collect()
    } else {
        text_to_split.split(separator).map(Datum::string).collect()
    };
    Ok(Datum::list(parts))
}

fn char_length(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::Int(
        text("char_length", &arguments[0])?.chars().count() as i64
    ))
}
