//! The functions that the generator calls. Null in, null out, unless said otherwise.

use super::{Evaluator, Outcome, error, unknown};
use crate::value::{Val, equals};

impl Evaluator {
    pub(super) fn call(&self, name: &str, arguments: &[Val]) -> Outcome<Val> {
        let name = name.to_lowercase();
        match name.as_str() {
            "coalesce" => {
                let known = arguments.iter().find(|argument| **argument != Val::Null);
                return Ok(known.cloned().unwrap_or(Val::Null));
            }
            "nullif" => {
                let [value, other] = arguments else {
                    return error("arguments");
                };
                let equal = equals(value, other) == Some(true);
                return Ok(if equal { Val::Null } else { value.clone() });
            }
            _ => {}
        }
        if arguments.contains(&Val::Null) {
            return Ok(Val::Null);
        }
        match arguments {
            [only] => self.of_one(&name, only),
            [Val::Str(text), rest @ ..] => of_text(&name, text, rest),
            [Val::Int(from), Val::Int(to)] if name == "range" => {
                Ok(Val::List((*from..=*to).map(Val::Int).collect()))
            }
            _ => unknown(&format!("{name}() of these")),
        }
    }

    fn of_one(&self, name: &str, value: &Val) -> Outcome<Val> {
        Ok(match (name, value) {
            ("size", Val::List(items)) => Val::Int(items.len() as i64),
            ("size", Val::Str(text)) => Val::Int(text.chars().count() as i64),
            ("size", Val::Map(entries)) => Val::Int(entries.len() as i64),
            ("head", Val::List(items)) => items.first().cloned().unwrap_or(Val::Null),
            ("last", Val::List(items)) => items.last().cloned().unwrap_or(Val::Null),
            ("tail", Val::List(items)) => Val::List(items.iter().skip(1).cloned().collect()),
            ("reverse", Val::List(items)) => Val::List(items.iter().rev().cloned().collect()),
            ("reverse", Val::Str(text)) => Val::Str(text.chars().rev().collect()),
            ("toupper", Val::Str(text)) => Val::Str(text.to_uppercase()),
            ("tolower", Val::Str(text)) => Val::Str(text.to_lowercase()),
            ("abs", Val::Int(number)) => number
                .checked_abs()
                .map_or_else(|| error("overflow"), |n| Ok(Val::Int(n)))?,
            ("abs", Val::Float(number)) => Val::Float(number.abs()),
            ("sign", Val::Int(number)) => Val::Int(number.signum()),
            ("tostring", Val::Int(number)) => Val::Str(number.to_string()),
            ("tostring", Val::Bool(truth)) => Val::Str(truth.to_string()),
            ("tostring", Val::Str(text)) => Val::Str(text.clone()),
            ("tointeger", Val::Int(number)) => Val::Int(*number),
            ("tofloat", Val::Int(number)) => Val::Float(*number as f64),
            ("properties", element) => Val::Map(self.properties(element)?),
            ("keys", element) => Val::List(self.properties(element)?.into_keys().map(Val::Str).collect()),
            ("labels", Val::Node(at)) => match &self.graph.nodes[*at] {
                Some(node) => Val::List(node.labels.iter().cloned().map(Val::Str).collect()),
                None => return error("a deleted node"),
            },
            ("type" | "startnode" | "endnode", Val::Edge(at)) => match (&self.graph.edges[*at], name) {
                (None, _) => return error("a deleted edge"),
                (Some(edge), "type") => Val::text(&edge.kind),
                (Some(edge), "startnode") => Val::Node(edge.from),
                (Some(edge), _) => Val::Node(edge.to),
            },
            ("length", Val::Path(_, edges)) => Val::Int(edges.len() as i64),
            ("nodes", Val::Path(nodes, _)) => Val::List(nodes.iter().copied().map(Val::Node).collect()),
            ("relationships", Val::Path(_, edges)) => {
                Val::List(edges.iter().copied().map(Val::Edge).collect())
            }
            _ => return unknown(&format!("{name}() of {value:?}")),
        })
    }
}

fn of_text(name: &str, text: &str, arguments: &[Val]) -> Outcome<Val> {
    let part = |from: i64, count: i64| -> Outcome<Val> {
        if from < 0 || count < 0 {
            return error("a negative length");
        }
        Ok(Val::Str(
            text.chars().skip(from as usize).take(count as usize).collect(),
        ))
    };
    match (name, arguments) {
        ("substring", [Val::Int(from)]) => part(*from, i64::MAX),
        ("substring", [Val::Int(from), Val::Int(count)]) => part(*from, *count),
        ("left", [Val::Int(count)]) => part(0, *count),
        ("right", [Val::Int(count)]) if *count < 0 => error("a negative length"),
        ("right", [Val::Int(count)]) => part((text.chars().count() as i64 - count).max(0), *count),
        ("replace", [Val::Str(from), Val::Str(to)]) if !from.is_empty() => {
            Ok(Val::Str(text.replace(from, to)))
        }
        ("split", [Val::Str(separator)]) if !separator.is_empty() => {
            Ok(Val::List(text.split(separator.as_str()).map(Val::text).collect()))
        }
        _ => unknown(&format!("{name}() of these")),
    }
}
