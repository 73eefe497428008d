//! The JSON form of a value (design.md section 6): plain JSON where it is unambiguous, `{"$kind": …}` where it is not.

use super::temporal::{Temporal, TemporalKind};
use super::{EdgeValue, NodeValue, PathValue, Properties, Value};
use crate::{EdgeId, MAX_VALUE_DEPTH, NodeId};
use serde_json::{Map, Number, Value as Json, json};

/// The JSON is not a value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    /// An integer outside 64 bits.
    #[error("{0} does not fit a signed 64-bit integer; write it with a decimal point for a float")]
    IntegerTooLarge(String),
    /// A `$kind` that is not known or whose content is wrong.
    #[error(
        "{{\"{0}\": …}} is not a value; known kinds are $float, $decimal, $map, $bytes, $date, $time, $localtime, $datetime, $localdatetime, $duration, $node, $rel, $path"
    )]
    BadKind(String),
    /// Nested deeper than [`MAX_VALUE_DEPTH`].
    #[error("the value is nested deeper than {MAX_VALUE_DEPTH}")]
    TooDeep,
}

/// The JSON form of a value.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => json!(number),
        Value::Float(number) => match Number::from_f64(*number) {
            Some(finite) => Json::Number(finite),
            None if number.is_nan() => json!({"$float": "NaN"}),
            None => json!({"$float": if *number > 0.0 { "Infinity" } else { "-Infinity" }}),
        },
        Value::String(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => json!({"$bytes": hex(bytes)}),
        Value::Decimal(number) => json!({"$decimal": number.to_string()}),
        Value::Temporal(value) => {
            json!({ temporal_kind(value.kind()): value.to_string() })
        }
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) if entries.iter().any(|(name, _)| name.starts_with('$')) => {
            let pairs: Vec<Json> = entries
                .iter()
                .map(|(name, value)| json!([name, to_json(value)]))
                .collect();
            json!({ "$map": pairs })
        }
        Value::Map(entries) => Json::Object(object(entries)),
        Value::Node(node) => json!({"$node": node_json(node)}),
        Value::Edge(edge) => json!({"$rel": edge_json(edge)}),
        Value::Path(path) => {
            let nodes: Vec<Json> = path
                .nodes
                .iter()
                .map(|node| json!({"$node": node_json(node)}))
                .collect();
            let rels: Vec<Json> = path
                .edges
                .iter()
                .map(|edge| json!({"$rel": edge_json(edge)}))
                .collect();
            json!({"$path": {"nodes": nodes, "rels": rels}})
        }
    }
}

/// The `$kind` of a temporal value.
fn temporal_kind(kind: TemporalKind) -> &'static str {
    match kind {
        TemporalKind::Date => "$date",
        TemporalKind::LocalTime => "$localtime",
        TemporalKind::Time => "$time",
        TemporalKind::LocalDateTime => "$localdatetime",
        TemporalKind::DateTime => "$datetime",
        TemporalKind::Duration => "$duration",
    }
}

fn read_temporal(kind: &str, content: &Json) -> Option<Value> {
    let kinds = [
        TemporalKind::Date,
        TemporalKind::LocalTime,
        TemporalKind::Time,
        TemporalKind::LocalDateTime,
        TemporalKind::DateTime,
        TemporalKind::Duration,
    ];
    let kind = kinds.into_iter().find(|known| temporal_kind(*known) == kind)?;
    Temporal::parse(kind, content.as_str()?).ok().map(Value::Temporal)
}

/// Reads a value from JSON. Numbers without point or exponent are integers.
pub fn from_json(json: &Json) -> Result<Value, JsonError> {
    read(json, 0)
}

fn object(entries: &Properties) -> Map<String, Json> {
    entries
        .iter()
        .map(|(name, value)| (name.clone(), to_json(value)))
        .collect()
}

fn node_json(node: &NodeValue) -> Json {
    json!({"id": node.id.to_string(), "labels": node.labels, "properties": object(&node.properties)})
}

fn edge_json(edge: &EdgeValue) -> Json {
    json!({
        "id": edge.id.to_string(), "type": edge.edge_type, "start": edge.start.to_string(), "end": edge.end.to_string(),
        "properties": object(&edge.properties),
    })
}

fn read(json: &Json, depth: usize) -> Result<Value, JsonError> {
    if depth > MAX_VALUE_DEPTH {
        return Err(JsonError::TooDeep);
    }
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => read_number(number)?,
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::List(
            items
                .iter()
                .map(|item| read(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(fields) => match fields.iter().next() {
            Some((kind, content)) if fields.len() == 1 && kind.starts_with('$') => {
                read_kind(kind, content, depth)?.ok_or_else(|| JsonError::BadKind(kind.clone()))?
            }
            _ => Value::Map(read_fields(fields, depth)?),
        },
    })
}

fn read_number(number: &Number) -> Result<Value, JsonError> {
    if let Some(integer) = number.as_i64() {
        return Ok(Value::Int(integer));
    }
    if number.is_u64() {
        return Err(JsonError::IntegerTooLarge(number.to_string()));
    }
    number
        .as_f64()
        .map(Value::Float)
        .ok_or_else(|| JsonError::IntegerTooLarge(number.to_string()))
}

fn read_fields(fields: &Map<String, Json>, depth: usize) -> Result<Properties, JsonError> {
    let mut entries = fields
        .iter()
        .map(|(name, value)| Ok((name.clone(), read(value, depth + 1)?)))
        .collect::<Result<Properties, JsonError>>()?;
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(entries)
}

/// `None` when the kind is unknown or its content is malformed.
fn read_kind(kind: &str, content: &Json, depth: usize) -> Result<Option<Value>, JsonError> {
    Ok(match kind {
        "$float" => match content {
            Json::String(text) => match text.as_str() {
                "NaN" => Some(Value::Float(f64::NAN)),
                "Infinity" => Some(Value::Float(f64::INFINITY)),
                "-Infinity" => Some(Value::Float(f64::NEG_INFINITY)),
                _ => None,
            },
            Json::Number(number) => number.as_f64().map(Value::Float),
            _ => None,
        },
        "$bytes" => content.as_str().and_then(unhex).map(Value::Bytes),
        "$map" => {
            let Some(pairs) = content.as_array() else {
                return Ok(None);
            };
            let mut entries = Properties::with_capacity(pairs.len());
            for pair in pairs {
                let Some([Json::String(name), value]) = pair.as_array().map(Vec::as_slice) else {
                    return Ok(None);
                };
                entries.push((name.clone(), read(value, depth + 1)?));
            }
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            Some(Value::Map(entries))
        }
        "$node" => read_node(content, depth)?.map(|node| Value::Node(Box::new(node))),
        "$rel" => read_edge(content, depth)?.map(|edge| Value::Edge(Box::new(edge))),
        "$path" => read_path(content, depth)?.map(|path| Value::Path(Box::new(path))),
        "$decimal" => content
            .as_str()
            .and_then(|text| text.parse().ok())
            .map(Value::Decimal),
        _ => read_temporal(kind, content),
    })
}

fn id(content: &Json, field: &str) -> Option<u64> {
    content.get(field)?.as_str()?.parse().ok()
}

fn read_properties(content: &Json, depth: usize) -> Result<Option<Properties>, JsonError> {
    content
        .get("properties")
        .and_then(Json::as_object)
        .map(|fields| read_fields(fields, depth))
        .transpose()
}

fn read_node(content: &Json, depth: usize) -> Result<Option<NodeValue>, JsonError> {
    let labels = content.get("labels").and_then(Json::as_array).map(|labels| {
        labels
            .iter()
            .filter_map(|label| label.as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    });
    let (Some(id), Some(labels), Some(properties)) =
        (id(content, "id"), labels, read_properties(content, depth)?)
    else {
        return Ok(None);
    };
    Ok(Some(NodeValue {
        id: NodeId(id),
        labels,
        properties,
    }))
}

fn read_edge(content: &Json, depth: usize) -> Result<Option<EdgeValue>, JsonError> {
    let edge_type = content.get("type").and_then(Json::as_str).map(str::to_owned);
    let (Some(edge_id), Some(edge_type), Some(start), Some(end), Some(properties)) = (
        id(content, "id"),
        edge_type,
        id(content, "start"),
        id(content, "end"),
        read_properties(content, depth)?,
    ) else {
        return Ok(None);
    };
    Ok(Some(EdgeValue {
        id: EdgeId(edge_id),
        edge_type,
        start: NodeId(start),
        end: NodeId(end),
        properties,
    }))
}

fn read_path(content: &Json, depth: usize) -> Result<Option<PathValue>, JsonError> {
    let (Some(nodes), Some(rels)) = (
        content.get("nodes").and_then(Json::as_array),
        content.get("rels").and_then(Json::as_array),
    ) else {
        return Ok(None);
    };
    let mut path = PathValue {
        nodes: Vec::new(),
        edges: Vec::new(),
    };
    for node in nodes {
        let Some(Value::Node(node)) = Some(read(node, depth + 1)?) else {
            return Ok(None);
        };
        path.nodes.push(*node);
    }
    for rel in rels {
        let Some(Value::Edge(edge)) = Some(read(rel, depth + 1)?) else {
            return Ok(None);
        };
        path.edges.push(*edge);
    }
    Ok((path.nodes.len() == path.edges.len() + 1).then_some(path))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    digits
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .filter(|p| p.len() == 2)
                .and_then(|p| u8::from_str_radix(p, 16).ok())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    #[test]
    fn what_json_can_say_is_said_plainly_and_the_rest_with_a_kind() {
        let cases = [
            (Value::Int(5), "5"),
            (Value::Float(5.0), "5.0"),
            (Value::Float(f64::NAN), r#"{"$float":"NaN"}"#),
            (Value::Map(vec![("a".into(), 1.into())]), r#"{"a":1}"#),
            (
                Value::Map(vec![("$a".into(), 1.into())]),
                r#"{"$map":[["$a",1]]}"#,
            ),
            (Decimal::new(150, 2).into(), r#"{"$decimal":"1.50"}"#),
            (
                Temporal::parse(TemporalKind::DateTime, "2015-07-21T21:40:32Z")
                    .unwrap()
                    .into(),
                r#"{"$datetime":"2015-07-21T21:40:32Z"}"#,
            ),
            (
                Temporal::parse(TemporalKind::Duration, "P1D").unwrap().into(),
                r#"{"$duration":"P1D"}"#,
            ),
            (Value::Bytes(vec![1, 255]), r#"{"$bytes":"01ff"}"#),
            (
                Value::Node(Box::new(NodeValue {
                    id: NodeId(1),
                    labels: vec!["L".into()],
                    properties: vec![],
                })),
                r#"{"$node":{"id":"1","labels":["L"],"properties":{}}}"#,
            ),
        ];
        for (value, text) in cases {
            assert_eq!(to_json(&value).to_string(), text);
            let back = from_json(&serde_json::from_str(text).unwrap()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }
    }

    #[test]
    fn a_path_survives_the_round_trip() {
        let node = |id| NodeValue {
            id: NodeId(id),
            labels: vec![],
            properties: vec![],
        };
        let edge = EdgeValue {
            id: EdgeId(3),
            edge_type: "T".into(),
            start: NodeId(1),
            end: NodeId(2),
            properties: vec![],
        };
        let path = Value::Path(Box::new(PathValue {
            nodes: vec![node(1), node(2)],
            edges: vec![edge],
        }));
        assert_eq!(from_json(&to_json(&path)), Ok(path));
    }

    #[test]
    fn malformed_kinds_and_oversized_integers_are_refused() {
        for bad in [
            r#"{"$nonsense":1}"#,
            r#"{"$node":{}}"#,
            r#"{"$bytes":"zz"}"#,
            r#"{"$date":"2015-02-29"}"#,
            r#"{"$decimal":"1e"}"#,
            "18446744073709551615",
        ] {
            assert!(from_json(&serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
