//! Functions of strings. Places and lengths count characters.

use super::{
    Function, Run, bool_type, first_type, function, int_type, string_type, strings_type, wrong_type,
};
use crate::datum::Datum;
use crate::error;
use crate::exec::arithmetic;
use crate::types::TypeSet;
use geode_gql::ast::NormalForm;
use geode_types::QueryError;
use unicode_normalization::UnicodeNormalization;

const STRING: TypeSet = TypeSet::STRING;
const INT: TypeSet = TypeSet::INT;

pub(super) const FUNCTIONS: &[Function] = &[
    function("toUpper", &[STRING], string_type, Run::Pure(upper)).alias(&["upper"]),
    function("toLower", &[STRING], string_type, Run::Pure(lower)).alias(&["lower"]),
    function(
        "trim",
        &[STRING.or(TypeSet::LIST), STRING.or(INT)],
        first_type,
        Run::Pure(trim_both),
    )
    .optional(1)
    .alias(&["btrim"]),
    function("lTrim", &[STRING, STRING], string_type, Run::Pure(trim_start)).optional(1),
    function("rTrim", &[STRING, STRING], string_type, Run::Pure(trim_end)).optional(1),
    function("normalize", &[STRING, STRING], string_type, Run::Pure(normalize)).optional(1),
    function(
        "byte_length",
        &[STRING.or(TypeSet::BYTES)],
        int_type,
        Run::Pure(byte_length),
    )
    .alias(&["octet_length"]),
    function(
        "isEmpty",
        &[STRING.or(TypeSet::LIST).or(TypeSet::MAP).or(TypeSet::BYTES)],
        bool_type,
        Run::Pure(is_empty),
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

/// What trimming takes away: the characters of the second argument, or blanks.
fn trimmed(function: &str, arguments: &[Datum], at_start: bool, at_end: bool) -> Result<Datum, QueryError> {
    let text = text(function, &arguments[0])?;
    let unwanted = match arguments.get(1) {
        None => None,
        Some(characters) => Some(self::text(function, characters)?),
    };
    let goes = |c: char| unwanted.map_or(c.is_whitespace(), |unwanted| unwanted.contains(c));
    let text = if at_start {
        text.trim_start_matches(goes)
    } else {
        text
    };
    Ok(Datum::string(if at_end {
        text.trim_end_matches(goes)
    } else {
        text
    }))
}

/// Of a list, `TRIM(list, n)` takes the last elements away (ISO/IEC 39075, 20.16).
fn trim_both(arguments: &[Datum]) -> Result<Datum, QueryError> {
    if let [Datum::List(items), count] = arguments {
        let count = length("trim", count)?;
        let kept = items.len().checked_sub(count).ok_or_else(|| {
            let message = format!("{count} elements cannot be taken from a list of {}", items.len());
            let mut error = error::argument("NumberOutOfRange", message);
            "22G0C".clone_into(&mut error.gqlstatus);
            error
        })?;
        return Ok(Datum::list(items.iter().take(kept).cloned().collect()));
    }
    trimmed("trim", arguments, true, true)
}

fn trim_start(arguments: &[Datum]) -> Result<Datum, QueryError> {
    trimmed("lTrim", arguments, true, false)
}

fn trim_end(arguments: &[Datum]) -> Result<Datum, QueryError> {
    trimmed("rTrim", arguments, false, true)
}

fn in_form(text: &str, form: NormalForm) -> String {
    match form {
        NormalForm::Nfc => text.nfc().collect(),
        NormalForm::Nfd => text.nfd().collect(),
        NormalForm::Nfkc => text.nfkc().collect(),
        NormalForm::Nfkd => text.nfkd().collect(),
    }
}

fn normalize(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let form = match arguments.get(1) {
        None => NormalForm::Nfc,
        Some(name) => NormalForm::named(text("normalize", name)?).ok_or_else(|| {
            let message = "normalize() knows the forms NFC, NFD, NFKC and NFKD";
            error::argument("InvalidArgumentValue", message)
        })?,
    };
    Ok(Datum::string(&in_form(text("normalize", &arguments[0])?, form)))
}

/// `IS NORMALIZED`; none for null.
pub(crate) fn is_normalized(value: &Datum, form: NormalForm) -> Result<Option<bool>, QueryError> {
    match value {
        Datum::Null => Ok(None),
        Datum::String(text) => Ok(Some(in_form(text, form) == **text)),
        other => {
            let message = format!("IS NORMALIZED needs a string, not {}", other.type_name());
            Err(error::type_error("InvalidArgumentType", message))
        }
    }
}

fn byte_length(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::String(text) => Ok(Datum::Int(text.len() as i64)),
        Datum::Bytes(bytes) => Ok(Datum::Int(bytes.len() as i64)),
        other => Err(wrong_type("byte_length", "a string or a byte string", other)),
    }
}

fn is_empty(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::Bool(match &arguments[0] {
        Datum::String(text) => text.is_empty(),
        Datum::Bytes(bytes) => bytes.is_empty(),
        Datum::List(items) => items.is_empty(),
        Datum::Map(entries) => entries.is_empty(),
        other => return Err(wrong_type("isEmpty", "a string, a list or a record", other)),
    }))
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
    if to.len() > from.len() && !from.is_empty() {
        let growth = original.matches(from).count() * (to.len() - from.len());
        arithmetic::bounded(
            original.len() + growth,
            arithmetic::MAX_TEXT_BYTES,
            "bytes in one string",
        )?;
    }
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
