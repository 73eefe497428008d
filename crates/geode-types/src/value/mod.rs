//! The values of the property graph (ISO/IEC 39075 clause 4.13), as statements take and return them.
//!
//! Comparison is not defined here: GQL has three of them (equality with three values, ordering, distinctness), and they
//! belong to the query engine. `PartialEq` is Rust's structural one, for tests.

pub(crate) mod codec;
pub(crate) mod json;
pub(crate) mod scalar;
pub mod temporal;

use crate::{EdgeId, FeatureLevel, NodeId};
use rust_decimal::Decimal;
use temporal::Temporal;

/// Names and values, sorted by name, each name once.
pub type Properties = Vec<(String, Value)>;

/// One value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit floating point number.
    Float(f64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// Text.
    String(String),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A date, a time, both or a duration.
    Temporal(Temporal),
    /// A list; elements may differ in type.
    List(Vec<Value>),
    /// A record: names to values.
    Map(Properties),
    /// A node with its labels and properties.
    Node(Box<NodeValue>),
    /// An edge with its type and properties.
    Edge(Box<EdgeValue>),
    /// Nodes joined by edges.
    Path(Box<PathValue>),
}

/// A node as a result shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeValue {
    /// Identity.
    pub id: NodeId,
    /// Labels, sorted.
    pub labels: Vec<String>,
    /// Properties.
    pub properties: Properties,
}

/// An edge as a result shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeValue {
    /// Identity.
    pub id: EdgeId,
    /// The edge's one label.
    pub edge_type: String,
    /// Where it starts.
    pub start: NodeId,
    /// Where it ends.
    pub end: NodeId,
    /// Properties.
    pub properties: Properties,
}

/// A path as a result shows it: always one node more than edges.
#[derive(Clone, Debug, PartialEq)]
pub struct PathValue {
    /// The nodes in order.
    pub nodes: Vec<NodeValue>,
    /// The edges between them.
    pub edges: Vec<EdgeValue>,
}

impl Value {
    /// The lowest level whose members can read it. Every kind is named here, so that a new one cannot come without its level.
    pub fn level(&self) -> FeatureLevel {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::String(_) | Self::Bytes(_) => {
                FeatureLevel::FIRST
            }
            Self::Decimal(_) | Self::Temporal(_) => FeatureLevel::SECOND,
            Self::List(items) => highest(items),
            Self::Map(entries) => highest(entries.iter().map(|(_, value)| value)),
            Self::Node(node) => highest(node.properties.iter().map(|(_, value)| value)),
            Self::Edge(edge) => highest(edge.properties.iter().map(|(_, value)| value)),
            Self::Path(path) => {
                let nodes = path.nodes.iter().flat_map(|node| &node.properties);
                let edges = path.edges.iter().flat_map(|edge| &edge.properties);
                highest(nodes.chain(edges).map(|(_, value)| value))
            }
        }
    }

    /// The name of the value's type, as error messages print it.
    pub fn type_name(&self) -> &'static str {
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

    /// Whether this is the null value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Decimal> for Value {
    fn from(value: Decimal) -> Self {
        Self::Decimal(value)
    }
}

impl From<Temporal> for Value {
    fn from(value: Temporal) -> Self {
        Self::Temporal(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(value)
    }
}

fn highest<'a>(values: impl IntoIterator<Item = &'a Value>) -> FeatureLevel {
    let levels = values.into_iter().map(Value::level);
    levels.max().unwrap_or(FeatureLevel::FIRST)
}
