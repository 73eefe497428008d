//! System tables about the catalog, users and the language. They are read in the statement's transaction, so they show what it has changed.

use crate::exec::Graph;
use crate::needs::Access;
use crate::users;
use geode_gql::conformance;
use geode_graph::{GraphId, GraphType, Object, ObjectKind};
use geode_types::{QueryError, Value};

const SCHEMAS: &str = "system.schemas";
const GRAPHS: &str = "system.graphs";
const GRAPH_TYPES: &str = "system.graph_types";
const FEATURES: &str = "system.gql_features";
const USERS: &str = "system.users";
const ROLES: &str = "system.roles";
const GRANTS: &str = "system.grants";

/// Their names.
pub(crate) const NAMES: [&str; 7] = [SCHEMAS, GRAPHS, GRAPH_TYPES, FEATURES, USERS, ROLES, GRANTS];

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
        USERS => &["name", "role"],
        ROLES => &["name", "built_in"],
        GRANTS => &["grantee", "kind", "graph", "action"],
        _ => return None,
    })
}

/// The rows of a table that somebody may see, or none when there is none of this name.
pub(crate) fn rows(
    name: &str,
    graph: &mut dyn Graph,
    access: &Access,
) -> Result<Option<Vec<Vec<Value>>>, QueryError> {
    Ok(Some(match name {
        SCHEMAS => {
            let schemas = graph.objects(ObjectKind::Schema)?.into_keys();
            let root = std::iter::once(super::paths::ROOT.to_owned());
            root.chain(schemas).map(|path| vec![path.into()]).collect()
        }
        GRAPHS => graphs(graph, access)?,
        GRAPH_TYPES => {
            let types = graph.objects(ObjectKind::GraphType)?.into_iter();
            types
                .filter_map(|(path, object)| graph_type(path, &object))
                .collect()
        }
        FEATURES => conformance::FEATURES.iter().map(feature).collect(),
        USERS => users::user_rows(graph, access)?,
        ROLES => users::role_rows(graph)?,
        GRANTS => users::grant_rows(graph, access)?,
        _ => return Ok(None),
    }))
}

fn number(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn graphs(graph: &mut dyn Graph, access: &Access) -> Result<Vec<Vec<Value>>, QueryError> {
    let before = graph.graph();
    let mut rows = vec![listed(graph, Value::Null, false, GraphId::HOME, access)?];
    for (path, object) in graph.objects(ObjectKind::Graph)? {
        if let Object::Graph(record) = object {
            let is_closed = record.graph_type.is_some();
            rows.push(listed(graph, path.into(), is_closed, record.id, access)?);
        }
    }
    graph.use_graph(before);
    Ok(rows)
}

/// A graph and its committed size, which who may not read the graph may not know.
fn listed(
    graph: &mut dyn Graph,
    path: Value,
    closed: bool,
    id: GraphId,
    access: &Access,
) -> Result<Vec<Value>, QueryError> {
    if !access.may_read(id) {
        return Ok(vec![path, closed.into(), Value::Null, Value::Null]);
    }
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
