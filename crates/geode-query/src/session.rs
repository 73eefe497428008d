//! What a session remembers between its statements (ISO/IEC 39075 clauses 4.5 and 7): the schema and graph that it works on, its time
//! zone, parameters, and limits that it has lowered for itself.

use crate::catalog::{graph_path, schema_path};
use crate::exec::{Context, Params};
use geode_gql::Source;
use geode_gql::ast::{SessionCommand, SessionLimit, SessionReset, SessionSetting};
use geode_graph::{GraphError, ObjectKind, Transaction};
use geode_store::ReadTxn;
use geode_types::temporal::TimeZone;
use geode_types::{ErrorClass, QueryError, Value};
use std::time::Duration;

/// The most session parameters.
const MAX_PARAMETERS: usize = 1024;

/// The state of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    schema: String,
    graph: Option<String>,
    time_zone: Option<TimeZone>,
    params: Params,
    query_timeout: Option<Duration>,
    transaction_timeout: Option<Duration>,
    max_query_memory: Option<u64>,
}

impl Default for SessionState {
    fn default() -> Self {
        Self::NEW
    }
}

/// A change of a session's state, decided: nothing in it can fail any more.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionChange {
    /// Another schema.
    Schema(String),
    /// Another graph; `None` is the home graph.
    Graph(Option<String>),
    /// Another time zone.
    TimeZone(TimeZone),
    /// A parameter.
    Value(String, Value),
    /// How long statements may run.
    QueryTimeout(Duration),
    /// How long transactions may be open.
    TransactionTimeout(Duration),
    /// How much memory statements may use, in bytes.
    MaxQueryMemory(u64),
    /// Back to what it was in the beginning.
    Reset(SessionReset),
    /// Nothing.
    None,
    /// The session ends.
    Close,
}

impl SessionState {
    /// The state of a session that has just begun.
    pub const NEW: Self = Self {
        schema: String::new(),
        graph: None,
        time_zone: None,
        params: Params::new(),
        query_timeout: None,
        transaction_timeout: None,
        max_query_memory: None,
    };

    /// The path of the current schema.
    pub fn schema(&self) -> &str {
        if self.schema.is_empty() { "/" } else { &self.schema }
    }

    /// The path of the current graph; none for the home graph.
    pub fn graph(&self) -> Option<&str> {
        self.graph.as_deref()
    }

    /// The time zone of times that name none.
    pub fn time_zone(&self) -> TimeZone {
        self.time_zone.unwrap_or(TimeZone::UTC)
    }

    /// The session's parameters. A statement's own ones of the same names come first.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// How long a statement may run.
    pub fn query_timeout(&self) -> Option<Duration> {
        self.query_timeout
    }

    /// How long a transaction may be open.
    pub fn transaction_timeout(&self) -> Option<Duration> {
        self.transaction_timeout
    }

    /// How much memory a statement may use, in bytes.
    pub fn max_query_memory(&self) -> Option<u64> {
        self.max_query_memory
    }

    /// Changes the state; whether the session goes on.
    pub fn apply(&mut self, change: SessionChange) -> bool {
        match change {
            SessionChange::Schema(path) => self.schema = path,
            SessionChange::Graph(path) => self.graph = path,
            SessionChange::TimeZone(zone) => self.time_zone = Some(zone),
            SessionChange::Value(name, value) => drop(self.params.insert(name, value)),
            SessionChange::QueryTimeout(time) => self.query_timeout = Some(time),
            SessionChange::TransactionTimeout(time) => self.transaction_timeout = Some(time),
            SessionChange::MaxQueryMemory(bytes) => self.max_query_memory = Some(bytes),
            SessionChange::Reset(reset) => self.reset(&reset),
            SessionChange::None => {}
            SessionChange::Close => return false,
        }
        true
    }

    fn reset(&mut self, reset: &SessionReset) {
        match reset {
            SessionReset::Everything => *self = Self::NEW,
            SessionReset::Parameters => self.params.clear(),
            SessionReset::Parameter(name) => drop(self.params.remove(name)),
            SessionReset::Schema => self.schema.clear(),
            SessionReset::Graph => self.graph = None,
            SessionReset::TimeZone => self.time_zone = None,
            SessionReset::Limit(SessionLimit::QueryTimeout) => self.query_timeout = None,
            SessionReset::Limit(SessionLimit::TransactionTimeout) => self.transaction_timeout = None,
            SessionReset::Limit(SessionLimit::MaxQueryMemory) => self.max_query_memory = None,
        }
    }
}

/// What a command changes. `value` is what its expression came to.
pub(crate) fn change<R: ReadTxn>(
    command: &SessionCommand,
    text: &str,
    value: Option<Value>,
    transaction: &Transaction<R>,
    context: &Context<'_>,
) -> Result<SessionChange, QueryError> {
    let source = Source::new(text);
    let state = context.session;
    match command {
        SessionCommand::Close => Ok(SessionChange::Close),
        SessionCommand::Reset(reset) => Ok(SessionChange::Reset(reset.clone())),
        SessionCommand::Set(SessionSetting::Schema(schema)) => {
            let path = schema_path(schema, state.schema(), source, geode_gql::Span::default())?;
            let kind = ObjectKind::Schema;
            if path != "/" && transaction.object(kind, &path)?.is_none() {
                return Err(GraphError::ObjectNotFound { kind, path }.into());
            }
            Ok(SessionChange::Schema(path))
        }
        SessionCommand::Set(SessionSetting::Graph(graph)) => {
            let path = graph_path(graph, state.schema(), state.graph(), source)?;
            if let Some(path) = &path {
                transaction.graph_named(path)?;
            }
            Ok(SessionChange::Graph(path))
        }
        SessionCommand::Set(SessionSetting::TimeZone { zone, span }) => match TimeZone::parse(zone) {
            Ok(zone) => Ok(SessionChange::TimeZone(zone)),
            Err(_) => {
                let message = format!("{zone:?} is no time zone");
                // 22009: invalid time zone displacement value.
                Err(
                    QueryError::runtime(ErrorClass::ArgumentError, "InvalidTimeZone", "22009", message)
                        .at(source.position(*span))
                        .hint("name a region, such as 'Europe/Warsaw', or an offset, such as '+02:00'"),
                )
            }
        },
        SessionCommand::Set(SessionSetting::Value {
            name, if_not_exists, ..
        }) => {
            let known = state.params.contains_key(&name.text);
            if known && *if_not_exists {
                return Ok(SessionChange::None);
            }
            if !known && state.params.len() >= MAX_PARAMETERS {
                let message = format!("a session has at most {MAX_PARAMETERS} parameters");
                return Err(crate::error::limit("TooManyParameters", message)
                    .hint("forget some: SESSION RESET PARAMETER $name"));
            }
            Ok(SessionChange::Value(name.text.clone(), value.unwrap_or_default()))
        }
        SessionCommand::Set(SessionSetting::Limit {
            limit,
            value: written,
        }) => {
            let changed = self::limit(*limit, &value.unwrap_or_default());
            changed.ok_or_else(|| {
                let message = format!("{} cannot be that", limit.name());
                let error = QueryError::runtime(ErrorClass::ArgumentError, "InvalidLimit", "22000", message);
                error.at(source.position(written.span)).hint(match limit {
                    SessionLimit::MaxQueryMemory => "write a size, such as '64MB', or a number of bytes",
                    _ => "write a time, such as '10s' or '500ms', or a number of seconds",
                })
            })
        }
    }
}

fn limit(limit: SessionLimit, value: &Value) -> Option<SessionChange> {
    match limit {
        SessionLimit::QueryTimeout => time(value).map(SessionChange::QueryTimeout),
        SessionLimit::TransactionTimeout => time(value).map(SessionChange::TransactionTimeout),
        SessionLimit::MaxQueryMemory => size(value).map(SessionChange::MaxQueryMemory),
    }
}

/// A number and its unit.
fn quantity(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok().filter(|number| *number > 0)?, unit.trim()))
}

fn time(value: &Value) -> Option<Duration> {
    match value {
        Value::Int(seconds) if *seconds > 0 => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::String(text) => {
            let (number, unit) = quantity(text)?;
            let milliseconds = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            number.checked_mul(milliseconds).map(Duration::from_millis)
        }
        _ => None,
    }
}

fn size(value: &Value) -> Option<u64> {
    match value {
        Value::Int(bytes) if *bytes > 0 => u64::try_from(*bytes).ok(),
        Value::String(text) => {
            let (number, unit) = quantity(text)?;
            let bytes = match unit {
                "B" => 1,
                "KB" | "KiB" => 1 << 10,
                "MB" | "MiB" => 1 << 20,
                "GB" | "GiB" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(bytes)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units() {
        assert_eq!(time(&"10s".into()), Some(Duration::from_secs(10)));
        assert_eq!(time(&"500 ms".into()), Some(Duration::from_millis(500)));
        assert_eq!(time(&Value::Int(3)), Some(Duration::from_secs(3)));
        assert_eq!(size(&"64MB".into()), Some(64 << 20));
        for wrong in [
            "",
            "10",
            "s",
            "0s",
            "10 parsecs",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(time(&wrong.into()), None, "{wrong}");
        }
        assert_eq!((time(&Value::Int(0)), size(&Value::Null)), (None, None));
    }

    #[test]
    fn a_reset_session_is_a_new_one() {
        let mut state = SessionState::default();
        assert!(state.apply(SessionChange::Schema("/a".to_owned())));
        state.apply(SessionChange::Graph(Some("/a/g".to_owned())));
        state.apply(SessionChange::Value("x".to_owned(), Value::Int(1)));
        state.apply(SessionChange::QueryTimeout(Duration::from_secs(1)));
        assert_eq!((state.schema(), state.graph()), ("/a", Some("/a/g")));
        state.apply(SessionChange::Reset(SessionReset::Schema));
        assert_eq!(state.schema(), "/");
        state.apply(SessionChange::Reset(SessionReset::Everything));
        assert_eq!(state, SessionState::default());
        assert!(!state.apply(SessionChange::Close));
    }
}
