//! Values while a statement runs: graph elements are ids whose contents are read when they are asked for, everything long is shared.

use crate::error;
use geode_types::{Decimal, EdgeId, NodeId, QueryError, Temporal, Value};
use std::ops::Deref;
use std::sync::Arc;

/// One value in a row. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) enum Datum {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    Temporal(Temporal),
    List(Arc<List>),
    Map(Arc<Map>),
    Node(NodeId),
    Edge(EdgeDatum),
    Path(Arc<PathDatum>),
}

/// The entries of a map, sorted by key, each key once.
pub(crate) type Entries = Vec<(Arc<str>, Datum)>;

/// What a list or a map holds, and what that amounts to. Values are shared, so a short expression can name a value that is far larger than
/// what it allocates, or nests deeper than a stack can follow: its size and depth are known without looking into it.
#[derive(Debug)]
pub(crate) struct Container<T> {
    items: Vec<T>,
    bytes: usize,
    depth: usize,
}

/// The elements of a list.
pub(crate) type List = Container<Datum>;

/// The entries of a map.
pub(crate) type Map = Container<(Arc<str>, Datum)>;

impl<T> Deref for Container<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> Default for Container<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            depth: 1,
        }
    }
}

impl List {
    pub(crate) fn new(items: Vec<Datum>) -> Self {
        let own = items.len() * size_of::<Datum>();
        let bytes = items
            .iter()
            .map(Datum::heap_bytes)
            .fold(own, usize::saturating_add);
        let depth = 1 + items.iter().map(Datum::depth).max().unwrap_or(0);
        Self { items, bytes, depth }
    }
}

impl Map {
    fn new(items: Entries) -> Self {
        let own = items.len() * size_of::<Datum>() * 2;
        let bytes = items
            .iter()
            .map(|(key, value)| key.len() + value.heap_bytes())
            .fold(own, usize::saturating_add);
        let depth = 1 + items.iter().map(|(_, value)| value.depth()).max().unwrap_or(0);
        Self { items, bytes, depth }
    }
}

/// An edge: its identity, and its type so that `type(e)` needs no read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EdgeDatum {
    pub id: EdgeId,
    pub edge_type: u32,
}

/// A path: always one node more than edges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathDatum {
    pub nodes: Vec<NodeId>,
    pub edges: Vec<EdgeDatum>,
}

impl Datum {
    pub(crate) fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(List::new(items)))
    }

    /// A map from entries in any order; the last of equal keys wins.
    pub(crate) fn map(mut entries: Entries) -> Self {
        entries.reverse();
        entries.sort_by(|left, right| left.0.cmp(&right.0));
        entries.dedup_by(|left, right| left.0 == right.0);
        Self::Map(Arc::new(Map::new(entries)))
    }

    /// How deep lists and maps nest in it.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(items) => items.depth,
            Self::Map(entries) => entries.depth,
            _ => 0,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The name of the type, as messages print it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "BOOL",
            Self::Int(_) => "INT",
            Self::Float(_) => "FLOAT",
            Self::Decimal(_) => "DECIMAL",
            Self::String(_) => "STRING",
            Self::Bytes(_) => "BYTES",
            Self::Temporal(value) => value.kind().type_name(),
            Self::List(_) => "LIST",
            Self::Map(_) => "RECORD",
            Self::Node(_) => "NODE",
            Self::Edge(_) => "EDGE",
            Self::Path(_) => "PATH",
        }
    }

    /// About how many bytes the value keeps alive besides its own cell.
    pub(crate) fn heap_bytes(&self) -> usize {
        // Two counts, and what the allocator adds and rounds up; a container is an allocation with another one in it.
        const SHARED: usize = 32;
        const CONTAINER: usize = 2 * SHARED + size_of::<List>();
        match self {
            Self::String(text) => SHARED + text.len(),
            Self::Bytes(bytes) => SHARED + bytes.len(),
            Self::List(items) => CONTAINER.saturating_add(items.bytes),
            Self::Map(entries) => CONTAINER.saturating_add(entries.bytes),
            Self::Path(path) => {
                CONTAINER + SHARED + (path.nodes.len() + path.edges.len()) * size_of::<Self>()
            }
            Self::Temporal(Temporal::DateTime(value)) => SHARED + size_of_val(value.as_ref()),
            Self::Temporal(Temporal::Duration(value)) => SHARED + size_of_val(value.as_ref()),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Decimal(_)
            | Self::Temporal(_)
            | Self::Node(_)
            | Self::Edge(_) => 0,
        }
    }

    /// The same when nothing else keeps the value alive, else nothing.
    pub(crate) fn own_bytes(&self) -> usize {
        let is_own = match self {
            Self::String(text) => Arc::strong_count(text) == 1,
            Self::Bytes(bytes) => Arc::strong_count(bytes) == 1,
            Self::List(items) => Arc::strong_count(items) == 1,
            Self::Map(entries) => Arc::strong_count(entries) == 1,
            Self::Path(path) => Arc::strong_count(path) == 1,
            _ => false,
        };
        if is_own { self.heap_bytes() } else { 0 }
    }

    /// A stored property or a parameter as a datum. Graph elements cannot be either.
    pub(crate) fn from_value(value: Value) -> Result<Self, QueryError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Int(number) => Self::Int(number),
            Value::Float(number) => Self::Float(number),
            Value::String(text) => Self::String(text.into()),
            Value::Bytes(bytes) => Self::Bytes(bytes.into()),
            Value::Decimal(number) => Self::Decimal(number),
            Value::Temporal(value) => Self::Temporal(value),
            Value::List(items) => Self::list(
                items
                    .into_iter()
                    .map(Self::from_value)
                    .collect::<Result<_, _>>()?,
            ),
            Value::Map(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| Ok((key.into(), Self::from_value(value)?)));
                Self::map(entries.collect::<Result<_, QueryError>>()?)
            }
            Value::Node(_) | Value::Edge(_) | Value::Path(_) => {
                return Err(error::argument(
                    "InvalidParameterValue",
                    "a node, an edge or a path cannot be passed as a parameter",
                )
                .hint("pass an identifying property and MATCH it"));
            }
        })
    }

    /// The value to store as a property.
    pub(crate) fn to_property(&self) -> Result<Value, QueryError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::String(text) => Value::String(text.as_ref().to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Decimal(number) => Value::Decimal(*number),
            Self::Temporal(value) => Value::Temporal(value.clone()),
            Self::List(items) => {
                if items
                    .iter()
                    .any(|item| matches!(item, Self::Map(_) | Self::List(_) | Self::Null))
                {
                    return Err(unstorable("a list of lists, records or nulls"));
                }
                Value::List(items.iter().map(Self::to_property).collect::<Result<_, _>>()?)
            }
            Self::Map(_) => return Err(unstorable("a record")),
            Self::Node(_) => return Err(unstorable("a node")),
            Self::Edge(_) => return Err(unstorable("an edge")),
            Self::Path(_) => return Err(unstorable("a path")),
        })
    }
}

fn unstorable(what: &str) -> QueryError {
    error::type_error(
        "InvalidPropertyType",
        format!("{what} cannot be stored as a property"),
    )
    .hint("properties hold booleans, numbers, strings, byte strings, dates and times, durations, and lists of these")
}
