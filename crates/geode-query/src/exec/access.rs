//! Steps into values: `.key`, `[index]`, `[from..to]`.

use super::Cx;
use crate::datum::{Datum, Entries};
use crate::error;
use crate::names::NameIndex;
use geode_types::temporal::ComponentValue;
use geode_types::{QueryError, Temporal};

pub(super) fn key(value: &Datum, key: NameIndex, cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    match value {
        Datum::Null => Ok(Datum::Null),
        Datum::Node(_) | Datum::Edge(_) => cx.property(value, key),
        Datum::Map(entries) => Ok(entry(entries, &cx.name(key))),
        Datum::Temporal(value) => component(value, &cx.name(key)),
        other => {
            let message = format!("{} has no properties", other.type_name());
            Err(error::type_error("InvalidArgumentType", message).hint("nodes, edges and records have them"))
        }
    }
}

/// A component of a temporal value. One that it does not have is an error, as a misspelt one would otherwise read as null.
fn component(value: &Temporal, name: &str) -> Result<Datum, QueryError> {
    match value.component(name) {
        Some(ComponentValue::Int(number)) => Ok(Datum::Int(number)),
        Some(ComponentValue::Text(text)) => Ok(Datum::string(&text)),
        None => {
            let message = format!("a {} has no component {name}", value.kind().type_name());
            Err(error::argument("InvalidArgumentValue", message))
        }
    }
}

fn entry(entries: &Entries, key: &str) -> Datum {
    let found = entries.binary_search_by(|(known, _)| known.as_ref().cmp(key));
    found.map_or(Datum::Null, |at| entries[at].1.clone())
}

pub(super) fn index(value: &Datum, index: &Datum, cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    match (value, index) {
        (Datum::Null, _)
        | (
            Datum::List(_) | Datum::Map(_) | Datum::Node(_) | Datum::Edge(_) | Datum::Temporal(_),
            Datum::Null,
        ) => Ok(Datum::Null),
        (Datum::List(items), Datum::Int(at)) => Ok(place(*at, items.len())
            .and_then(|at| items.get(at))
            .cloned()
            .unwrap_or_default()),
        (Datum::List(_), other) => {
            let message = format!("a list is indexed by an integer, not by {}", other.type_name());
            Err(error::type_error("ListElementAccessByNonInteger", message))
        }
        (Datum::Map(entries), Datum::String(key)) => Ok(entry(entries, key)),
        (Datum::Temporal(value), Datum::String(name)) => component(value, name),
        (Datum::Node(_) | Datum::Edge(_), Datum::String(key)) => cx.property_by_name(value, key),
        (Datum::Map(_) | Datum::Node(_) | Datum::Edge(_) | Datum::Temporal(_), other) => {
            let message = format!("a property is named by a string, not by {}", other.type_name());
            Err(error::type_error("MapElementAccessByNonString", message))
        }
        (other, _) => Err(error::type_error(
            "InvalidArgumentType",
            format!("{} has no elements", other.type_name()),
        )),
    }
}

/// Negative places count from the end.
fn place(at: i64, length: usize) -> Option<usize> {
    let length = length as i64;
    let at = if at < 0 { at.checked_add(length)? } else { at };
    usize::try_from(at).ok().filter(|at| (*at as i64) < length)
}

pub(super) fn slice(value: &Datum, from: Option<&Datum>, to: Option<&Datum>) -> Result<Datum, QueryError> {
    let items = match value {
        Datum::Null => return Ok(Datum::Null),
        Datum::List(items) => items,
        other => {
            return Err(error::type_error(
                "InvalidArgumentType",
                format!("{} has no elements", other.type_name()),
            ));
        }
    };
    let length = items.len() as i64;
    let bound = |bound: Option<&Datum>, missing: i64| match bound {
        None => Ok(Some(missing)),
        Some(Datum::Null) => Ok(None),
        Some(Datum::Int(at)) => Ok(Some(
            if *at < 0 { at.saturating_add(length) } else { *at }.clamp(0, length),
        )),
        Some(other) => {
            let message = format!("the bounds of a slice are integers, not {}", other.type_name());
            Err(error::type_error("ListElementAccessByNonInteger", message))
        }
    };
    let (Some(from), Some(to)) = (bound(from, 0)?, bound(to, length)?) else {
        return Ok(Datum::Null);
    };
    Ok(Datum::list(
        items.get(from as usize..to as usize).unwrap_or_default().to_vec(),
    ))
}
