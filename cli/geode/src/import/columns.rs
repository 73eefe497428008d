//! What a column of a CSV file is, and a cell as a value. Pure.

use geode_types::temporal::{Temporal, TemporalKind};
use geode_types::{Value, from_json};
use std::str::FromStr;

/// A column's name and the type of its cells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Decimal,
    Temporal(TemporalKind),
    Json,
}

/// The types as a header names them.
const KINDS: [(&str, Kind); 12] = [
    ("string", Kind::Text),
    ("int", Kind::Int),
    ("float", Kind::Float),
    ("bool", Kind::Bool),
    ("decimal", Kind::Decimal),
    ("date", Kind::Temporal(TemporalKind::Date)),
    ("time", Kind::Temporal(TemporalKind::Time)),
    ("localtime", Kind::Temporal(TemporalKind::LocalTime)),
    ("datetime", Kind::Temporal(TemporalKind::DateTime)),
    ("localdatetime", Kind::Temporal(TemporalKind::LocalDateTime)),
    ("duration", Kind::Temporal(TemporalKind::Duration)),
    ("json", Kind::Json),
];

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, kind) = match text.rsplit_once(':') {
            None => (text, Kind::Text),
            Some((name, wanted)) => {
                let known = KINDS.iter().find(|(known, _)| wanted.eq_ignore_ascii_case(known));
                let (_, kind) = known.ok_or_else(|| {
                    let names = KINDS.map(|(name, _)| name).join(", ");
                    format!("column {text:?}: {wanted:?} is not a type; types are {names}")
                })?;
                (name, *kind)
            }
        };
        if name.is_empty() {
            return Err(format!("column {text:?} has no name"));
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
        })
    }
}

impl Column {
    /// The value of a cell; nothing for an empty one.
    pub(super) fn value(&self, cell: &str) -> Result<Option<Value>, String> {
        if cell.is_empty() {
            return Ok(None);
        }
        let wrong = |what: &str| format!("column {}: {cell:?} is not {what}", self.name);
        let value = match self.kind {
            Kind::Text => Value::String(cell.to_owned()),
            Kind::Int => Value::Int(cell.parse().map_err(|_| wrong("an integer of 64 bits"))?),
            Kind::Float => Value::Float(cell.parse().map_err(|_| wrong("a number"))?),
            Kind::Bool => match cell.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return Err(wrong("true or false")),
            },
            Kind::Decimal => Value::Decimal(cell.parse().map_err(|_| wrong("a decimal number"))?),
            Kind::Temporal(kind) => Temporal::parse(kind, cell)
                .map(Value::Temporal)
                .map_err(|error| format!("column {}: {error}", self.name))?,
            Kind::Json => serde_json::from_str(cell)
                .map_err(|error| wrong(&format!("JSON: {error}")))
                .and_then(|json| {
                    from_json(&json).map_err(|error| format!("column {}: {error}", self.name))
                })?,
        };
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(column: &str, cell: &str) -> Result<Option<Value>, String> {
        column.parse::<Column>()?.value(cell)
    }

    #[test]
    fn cells_have_the_type_of_their_column_and_an_empty_one_is_no_value() {
        assert_eq!(value("name", "7"), Ok(Some(Value::String("7".into()))));
        assert_eq!(value("age:int", "-7"), Ok(Some(Value::Int(-7))));
        assert_eq!(value("x:float", "1e3"), Ok(Some(Value::Float(1000.0))));
        assert_eq!(value("b:BOOL", "True"), Ok(Some(Value::Bool(true))));
        assert_eq!(value("age:int", ""), Ok(None));
        assert_eq!(
            value("tags:json", "[1, \"a\"]"),
            Ok(Some(Value::List(vec![Value::Int(1), Value::String("a".into())])))
        );
        let born = value("born:date", "1990-03-14").unwrap().unwrap();
        assert!(matches!(born, Value::Temporal(Temporal::Date(_))), "{born:?}");
        // A name may have a colon when a type stands behind it.
        assert_eq!("a:b:int".parse::<Column>().unwrap().name, "a:b");
    }

    #[test]
    fn a_wrong_cell_or_header_says_which_column_and_what_was_wanted() {
        for (column, cell, says) in [
            ("age:int", "x", "column age: \"x\" is not an integer"),
            ("age:int", "9223372036854775808", "64 bits"),
            ("b:bool", "yes", "true or false"),
            ("born:date", "1990-13-01", "column born"),
            ("t:json", "{", "column t"),
            ("age:integer", "1", "types are string, int"),
            (":int", "1", "has no name"),
        ] {
            let error = value(column, cell).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
