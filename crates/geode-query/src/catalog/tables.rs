//! System tables about the catalog and the language. They are read in the statement's transaction, so they show what it has changed.

use crate::exec::Graph;
use geode_gql::conformance;
use geode_graph::{GraphId, GraphType, Object, ObjectKind};
use geode_types::{QueryError, Value};

const SCHEMAS: &str = "system.schemas";
const GRAPHS: &str = "system.graphs";
const GRAPH_TYPES: &str = "system.graph_types";
const FEATURES: &str = "system.gql_features";

/// Their names.
pub(crate) const NAMES: [&str; 4] = [SCHEMAS, GRAPHS, GRAPH_TYPES, FEATURES];

/// The columns of a table, or none when there is none of this name.
pub(crate) fn columns(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        SCHEMAS => &["path"],
        GRAPHS => &["path", "closed", "nodes", "edges"],
        GRAPH_TYPES => &["path", "node_types", "edge_types"],
        FEATURES => &[
            "id",
            "title",
            "mandatory",
            "claimed",
            "accepted",
            "refused",
            "results",
        ],
        _ => return None,
    })
}

/// The rows of a table, or none when there is none of this name.
pub(crate) fn rows(name: &str, graph: &mut dyn Graph) -> Result<Option<Vec<Vec<Value>>>, QueryError> {
    Ok(Some(match name {
        SCHEMAS => {
            let schemas = graph.objects(ObjectKind::Schema)?.into_keys();
            let root = std::iter::once(super::paths::ROOT.to_owned());
            root.chain(schemas).map(|path| vec![path.into()]).collect()
        }
        GRAPHS => graphs(graph)?,
        GRAPH_TYPES => {
            let types = graph.objects(ObjectKind::GraphType)?.into_iter();
            types
                .filter_map(|(path, object)| graph_type(path, &object))
                .collect()
        }
        FEATURES => conformance::FEATURES.iter().map(feature).collect(),
        _ => return Ok(None),
    }))
}

fn number(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn graphs(graph: &mut dyn Graph) -> Result<Vec<Vec<Value>>, QueryError> {
    let before = graph.graph();
    let mut rows = vec![size(graph, Value::Null, false, GraphId::HOME)?];
    for (path, object) in graph.objects(ObjectKind::Graph)? {
        if let Object::Graph(record) = object {
            rows.push(size(graph, path.into(), record.graph_type.is_some(), record.id)?);
        }
    }
    graph.use_graph(before);
    Ok(rows)
}

/// A graph and its committed size.
fn size(graph: &mut dyn Graph, path: Value, closed: bool, id: GraphId) -> Result<Vec<Value>, QueryError> {
    graph.use_graph(id);
    let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let (nodes, edges) = (graph.node_count(None)?, graph.edge_count(None)?);
    Ok(vec![path, closed.into(), count(nodes), count(edges)])
}

fn graph_type(path: String, object: &Object) -> Option<Vec<Value>> {
    let Object::GraphType(GraphType { nodes, edges }) = object else {
        return None;
    };
    Some(vec![path.into(), number(nodes.len()), number(edges.len())])
}

fn feature(feature: &conformance::Feature) -> Vec<Value> {
    let [accepted, refused, results] = feature.cases();
    vec![
        feature.id.into(),
        feature.title.into(),
        feature.is_mandatory().into(),
        feature.claim().name().into(),
        number(accepted),
        number(refused),
        number(results),
    ]
}
