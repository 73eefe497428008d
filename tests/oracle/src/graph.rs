//! The evaluator's graph: lists of nodes, edges and constraints. What is deleted leaves a hole, so that places stay what they are.

use crate::value::{Val, same_row};
use geode_types::{EdgeId, EdgeValue, NodeId, NodeValue, PathValue, Properties, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) labels: BTreeSet<String>,
    pub(crate) properties: BTreeMap<String, Val>,
}

/// An edge.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) kind: String,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) properties: BTreeMap<String, Val>,
}

/// A constraint on the nodes with a label.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) label: String,
    pub(crate) keys: Vec<String>,
    /// No two nodes have the same values in all keys.
    pub(crate) is_unique: bool,
    /// Every node has all keys.
    pub(crate) is_present: bool,
}

impl Rule {
    /// Whether there cannot be both.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.label == other.label && self.keys == other.keys && self.is_unique == other.is_unique
    }

    fn is_broken_by(&self, nodes: &[Option<Node>]) -> bool {
        let mut known: Vec<Vec<Val>> = Vec::new();
        for node in nodes.iter().flatten() {
            if !node.labels.contains(&self.label) {
                continue;
            }
            let values = self.keys.iter().map(|key| node.properties.get(key).cloned());
            let Some(values) = values.collect::<Option<Vec<Val>>>() else {
                if self.is_present {
                    return true;
                }
                continue;
            };
            if self.is_unique && known.iter().any(|other| same_row(other, &values)) {
                return true;
            }
            known.push(values);
        }
        false
    }
}

/// A graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) edges: Vec<Option<Edge>>,
    pub(crate) rules: Vec<Rule>,
}

impl Graph {
    pub(crate) fn node_places(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|at| self.nodes[*at].is_some())
            .collect()
    }

    pub(crate) fn edge_places(&self) -> Vec<usize> {
        (0..self.edges.len())
            .filter(|at| self.edges[*at].is_some())
            .collect()
    }

    /// Whether a constraint does not hold.
    pub(crate) fn is_broken(&self) -> bool {
        self.rules.iter().any(|rule| rule.is_broken_by(&self.nodes))
    }

    /// Everything in it, in an order of its own.
    pub(crate) fn dump(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for at in self.node_places() {
            all.push(show(&[self.value(&Val::Node(at))]));
        }
        for at in self.edge_places() {
            if let Some(edge) = &self.edges[at] {
                let row = [Val::Node(edge.from), Val::Edge(at), Val::Node(edge.to)];
                all.push(show(&row.map(|value| self.value(&value))));
            }
        }
        all.sort();
        all
    }

    /// The value as a result shows it.
    pub(crate) fn value(&self, value: &Val) -> Value {
        match value {
            Val::Null => Value::Null,
            Val::Bool(truth) => Value::Bool(*truth),
            Val::Int(number) => Value::Int(*number),
            Val::Float(number) => Value::Float(*number),
            Val::Decimal(number) => Value::Decimal(*number),
            Val::Str(text) => Value::String(text.clone()),
            Val::Temporal(value) => Value::Temporal(value.clone()),
            Val::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Val::Map(entries) => Value::Map(self.properties(entries)),
            Val::Node(at) => Value::Node(Box::new(self.node_value(*at))),
            Val::Edge(at) => Value::Edge(Box::new(self.edge_value(*at))),
            Val::Path(nodes, edges) => Value::Path(Box::new(PathValue {
                nodes: nodes.iter().map(|at| self.node_value(*at)).collect(),
                edges: edges.iter().map(|at| self.edge_value(*at)).collect(),
            })),
        }
    }

    fn properties(&self, entries: &BTreeMap<String, Val>) -> Properties {
        let entries = entries.iter();
        entries
            .map(|(key, value)| (key.clone(), self.value(value)))
            .collect()
    }

    fn node_value(&self, at: usize) -> NodeValue {
        let node = self.nodes[at].clone().unwrap_or_default();
        NodeValue {
            id: NodeId(at as u64),
            labels: node.labels.iter().cloned().collect(),
            properties: self.properties(&node.properties),
        }
    }

    fn edge_value(&self, at: usize) -> EdgeValue {
        let edge = self.edges[at].as_ref();
        let end = |end: fn(&Edge) -> usize| NodeId(edge.map_or(0, end) as u64);
        EdgeValue {
            id: EdgeId(at as u64),
            edge_type: edge.map(|edge| edge.kind.clone()).unwrap_or_default(),
            start: end(|edge| edge.from),
            end: end(|edge| edge.to),
            properties: edge
                .map(|edge| self.properties(&edge.properties))
                .unwrap_or_default(),
        }
    }
}

/// A row as text. Ids are left out: each side gives its own.
pub(crate) fn show(row: &[Value]) -> String {
    row.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Node(node) => format!("({} {})", node.labels.join(":"), entries(&node.properties)),
        Value::Edge(edge) => format!("[{} {}]", edge.edge_type, entries(&edge.properties)),
        Value::Path(path) => {
            let nodes = path
                .nodes
                .iter()
                .map(|node| cell(&Value::Node(Box::new(node.clone()))));
            let edges = path
                .edges
                .iter()
                .map(|edge| cell(&Value::Edge(Box::new(edge.clone()))));
            format!("<{} / {}>", nodes.collect::<String>(), edges.collect::<String>())
        }
        Value::List(items) => format!("[{}]", items.iter().map(cell).collect::<Vec<_>>().join(", ")),
        Value::Map(properties) => entries(properties),
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Decimal(number) => format!("{number}M"),
        Value::Temporal(value) => format!("{} {value}", value.kind().name()),
        other => format!("{other:?}"),
    }
}

fn entries(properties: &Properties) -> String {
    let entries = properties
        .iter()
        .map(|(key, value)| format!("{key}: {}", cell(value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}
