//! Completion in the shell: keywords, and labels, types and property names that answers have shown.

use geode_types::{Properties, Value};
use rustyline::completion::Completer;
use rustyline::{Context, Helper as RustylineHelper, Highlighter, Hinter, Result, Validator};
use std::collections::BTreeSet;

/// More names than this are not kept.
const NAMES_MAX: usize = 10_000;

const KEYWORDS: &[&str] = &[
    "ALTER",
    "AND",
    "AS",
    "ASC",
    "BY",
    "CASE",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DESC",
    "DETACH",
    "DISTINCT",
    "ELSE",
    "END",
    "EXISTS",
    "FALSE",
    "FOR",
    "FROM",
    "GRANT",
    "IN",
    "INSERT",
    "IS",
    "LIMIT",
    "MATCH",
    "MERGE",
    "NOT",
    "NULL",
    "OFFSET",
    "OPTIONAL",
    "OR",
    "ORDER",
    "READ",
    "REMOVE",
    "RETURN",
    "REVOKE",
    "ROLLBACK",
    "SELECT",
    "SET",
    "SHOW",
    "SKIP",
    "START",
    "THEN",
    "TRANSACTION",
    "TRUE",
    "UNWIND",
    "WHEN",
    "WHERE",
    "WITH",
    "XOR",
    "avg(",
    "coalesce(",
    "collect(",
    "count(",
    "max(",
    "min(",
    "sum(",
];

/// What rustyline asks while a line is typed.
#[derive(Default, RustylineHelper, Highlighter, Hinter, Validator)]
pub(crate) struct Helper {
    names: BTreeSet<String>,
}

impl Helper {
    /// Takes up the names that values show.
    pub(crate) fn learn<'a>(&mut self, values: impl Iterator<Item = &'a Value>) {
        for value in values {
            match value {
                Value::Node(node) => {
                    self.names.extend(node.labels.iter().cloned());
                    self.learn_properties(&node.properties);
                }
                Value::Edge(edge) => {
                    self.names.insert(edge.edge_type.clone());
                    self.learn_properties(&edge.properties);
                }
                _ => {}
            }
            if self.names.len() > NAMES_MAX {
                return;
            }
        }
    }

    fn learn_properties(&mut self, entries: &Properties) {
        self.names.extend(entries.iter().map(|(name, _)| name.clone()));
    }

    fn candidates(&self, word: &str) -> Vec<String> {
        let starts = |candidate: &str| {
            candidate
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
                && candidate.len() > word.len()
        };
        let keywords = KEYWORDS
            .iter()
            .filter(|keyword| starts(keyword))
            .map(ToString::to_string);
        keywords
            .chain(self.names.iter().filter(|name| starts(name)).cloned())
            .collect()
    }
}

impl Completer for Helper {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        let before = line.get(..at).unwrap_or(line);
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |index| {
                index + before[index..].chars().next().map_or(1, char::len_utf8)
            });
        let word = &before[start..];
        let candidates = if word.is_empty() {
            Vec::new()
        } else {
            self.candidates(word)
        };
        Ok((start, candidates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::{NodeId, NodeValue};

    #[test]
    fn keywords_and_names_that_were_seen_are_completed() {
        let mut helper = Helper::default();
        let node = NodeValue {
            id: NodeId(1),
            labels: vec!["Person".into()],
            properties: vec![("Übername".into(), Value::Null)],
        };
        helper.learn([Value::Node(Box::new(node))].iter());
        assert_eq!(helper.candidates("mat"), ["MATCH"]);
        assert_eq!(helper.candidates("per"), ["Person"]);
        assert_eq!(helper.candidates("Übe"), ["Übername"]);
        assert!(helper.candidates("MATCH").is_empty());
    }
}
