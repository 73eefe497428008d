//! What is asked and what comes back.

use bytes::Bytes;
use geode_types::{Lsn, ReadSettings, RequestId, Summary, Value, encode_value};
use geode_wire::client::{Dialect, Execute, ReadMode, SessionReads};
use std::time::Duration;

/// One statement with its parameters and its wishes.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    text: String,
    params: Vec<(String, Value)>,
    dialect: Dialect,
    read: ReadMode,
    timeout: Option<Duration>,
    reads: Option<SessionReads>,
}

impl Statement {
    /// A statement in GQL, without parameters, that sees everything acknowledged before.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Gives `$name` a value; the last one given counts.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.params.retain(|(known, _)| *known != name);
        self.params.push((name, value));
        self
    }

    /// Reads the text as this dialect.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// What a read must have seen. Anything but [`ReadMode::Linearizable`] allows a member that does not lead to answer.
    pub fn read(mut self, read: ReadMode) -> Self {
        self.read = read;
        self
    }

    /// Ends the statement on the server after this long, and stops trying to reach one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How its session reads.
    pub(crate) fn in_session(mut self, reads: SessionReads) -> Self {
        self.reads = Some(reads);
        self
    }

    /// Whether a session keeps how it reads, so that no server has to.
    pub(crate) fn has_session(&self) -> bool {
        self.reads.is_some()
    }

    pub(crate) fn read_mode(&self) -> ReadMode {
        self.read
    }

    pub(crate) fn timeout_wanted(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The message to send.
    pub(crate) fn to_wire(&self, request_id: Option<RequestId>) -> Execute {
        let params = if self.params.is_empty() {
            Bytes::new()
        } else {
            let mut entries = self.params.clone();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            let mut bytes = Vec::new();
            encode_value(&Value::Map(entries), &mut bytes);
            bytes.into()
        };
        Execute {
            text: self.text.clone(),
            params,
            dialect: self.dialect,
            request_id,
            read: self.read,
            timeout_ms: self
                .timeout
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            reads: self.reads,
        }
    }
}

impl From<&str> for Statement {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Statement {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// The answer to a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with one value a column.
    pub rows: Vec<Vec<Value>>,
    /// What the statement changed.
    pub summary: Summary,
    /// For a committed write its LSN; for a read the position it saw.
    pub lsn: Option<Lsn>,
    /// The write had been committed by an earlier attempt: the summary is the recorded one and the rows are not repeated.
    pub repeated: bool,
    /// The statement has set how its session reads.
    pub reads: Option<ReadSettings>,
}

/// What a statement does to the transaction of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Begin,
    Commit,
    Rollback,
    None,
}

/// What the first word of a statement does to the transaction.
pub(crate) fn control_of(text: &str) -> Control {
    match first_word(text).to_ascii_uppercase().as_str() {
        "START" | "BEGIN" => Control::Begin,
        "COMMIT" => Control::Commit,
        "ROLLBACK" => Control::Rollback,
        _ => Control::None,
    }
}

/// Whether a statement is one of SESSION SET, RESET and CLOSE.
pub(crate) fn is_of_session(text: &str) -> bool {
    ["SESSION", "RESET", "CLOSE"]
        .iter()
        .any(|word| first_word(text).eq_ignore_ascii_case(word))
}

/// Whether a statement is SESSION CLOSE.
pub(crate) fn closes_session(text: &str) -> bool {
    let is_close = |word: &str| word.eq_ignore_ascii_case("CLOSE");
    let (first, rest) = split_word(text);
    is_close(first) || first.eq_ignore_ascii_case("SESSION") && is_close(first_word(rest))
}

fn first_word(text: &str) -> &str {
    split_word(text).0
}

/// The first word of a statement, past white space and comments, and what follows it.
fn split_word(text: &str) -> (&str, &str) {
    let mut rest = text.trim_start();
    loop {
        let after = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
        rest = after.trim_start();
    }
    let end = rest
        .find(|character: char| !character.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    rest.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_session_is_recognised_by_its_words() {
        for (text, is_of, closes) in [
            ("SESSION SET GRAPH g", true, false),
            ("/* now */ session // really\n close", true, true),
            ("SESSION RESET", true, false),
            ("CLOSE", true, true),
            ("MATCH (session) RETURN session", false, false),
        ] {
            assert_eq!(
                (is_of_session(text), closes_session(text)),
                (is_of, closes),
                "{text}"
            );
        }
    }

    #[test]
    fn transaction_control_is_recognised_by_its_first_word() {
        let cases = [
            ("START TRANSACTION", Control::Begin),
            ("  begin", Control::Begin),
            ("/* now */ // really\n commit;", Control::Commit),
            ("rollback", Control::Rollback),
            ("MATCH (commit) RETURN commit", Control::None),
            ("COMMITTED", Control::None),
            ("/* never closed", Control::None),
            ("", Control::None),
        ];
        for (text, expected) in cases {
            assert_eq!(control_of(text), expected, "{text}");
        }
        assert!(!is_of_session("SET READ PREFERENCE ANY"));
        assert!(is_of_session("/* here */ session set GRAPH g") && is_of_session("RESET"));
    }

    #[test]
    fn parameters_travel_sorted_and_the_last_value_of_a_name_counts() {
        let wire = Statement::new("RETURN $a")
            .param("b", 1)
            .param("a", 2)
            .param("b", 3)
            .to_wire(None);
        let params = geode_types::decode_value(&mut wire.params.as_ref()).unwrap();
        assert_eq!(
            params,
            Value::Map(vec![("a".into(), 2.into()), ("b".into(), 3.into())])
        );
    }
}
