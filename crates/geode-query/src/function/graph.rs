//! Functions of nodes, edges and paths.

use super::{
    Function, Run, any_type, bool_type, function, int_type, map_type, string_type, strings_type, wrong_type,
};
use crate::datum::Datum;
use crate::exec::Cx;
use crate::semantics::{Key, equivalent};
use crate::types::{Type, TypeSet};
use geode_types::QueryError;
use std::collections::HashSet;

const NODE: TypeSet = TypeSet::NODE;
const ELEMENT: TypeSet = TypeSet::NODE.or(TypeSet::EDGE);
const WITH_PROPERTIES: TypeSet = ELEMENT.or(TypeSet::MAP);

pub(super) const FUNCTIONS: &[Function] = &[
    function("id", &[ELEMENT], int_type, Run::Pure(id)),
    function("elementId", &[ELEMENT], string_type, Run::Pure(element_id)).alias(&["element_id"]),
    function("labels", &[NODE], strings_type, Run::Graph(labels)),
    function("type", &[TypeSet::EDGE], string_type, Run::Graph(edge_type)),
    function("keys", &[WITH_PROPERTIES], strings_type, Run::Graph(keys)).alias(&["property_names"]),
    function("properties", &[WITH_PROPERTIES], map_type, Run::Graph(properties)),
    function("startNode", &[TypeSet::EDGE], node_type, Run::Graph(start_node)).alias(&["start_node"]),
    function("endNode", &[TypeSet::EDGE], node_type, Run::Graph(end_node)).alias(&["end_node"]),
    function("nodes", &[TypeSet::PATH], nodes_type, Run::Pure(nodes)),
    function("relationships", &[TypeSet::PATH], edges_type, Run::Pure(edges)).alias(&["edges"]),
    function("same", &[ELEMENT, ELEMENT], bool_type, Run::Pure(same)).variadic(),
    function(
        "all_different",
        &[ELEMENT, ELEMENT],
        bool_type,
        Run::Pure(all_different),
    )
    .variadic(),
    function(
        "property_exists",
        &[WITH_PROPERTIES, TypeSet::STRING],
        bool_type,
        Run::Graph(property_exists),
    ),
    function("elements", &[TypeSet::PATH], any_type, Run::Pure(elements)),
    function("length", &[TypeSet::PATH], int_type, Run::Pure(length)).alias(&["path_length"]),
    function(
        "rand",
        &[],
        super::float_type,
        Run::Graph(|cx, _| Ok(Datum::Float(cx.random()))),
    )
    .alias(&["random"]),
    function(
        "exists",
        &[TypeSet::ANY],
        super::bool_type,
        Run::Pure(|arguments| Ok(exists(arguments))),
    )
    .sees_null(),
];

/// Not to be called by name: what SIMPLE asks of a path.
pub(crate) static IS_SIMPLE: Function = function(
    "is_simple",
    &[TypeSet::PATH],
    super::bool_type,
    Run::Pure(|arguments| Ok(repeats_no_node(&arguments[0], true))),
);

/// Not to be called by name: what ACYCLIC asks of a path.
pub(crate) static IS_ACYCLIC: Function = function(
    "is_acyclic",
    &[TypeSet::PATH],
    super::bool_type,
    Run::Pure(|arguments| Ok(repeats_no_node(&arguments[0], false))),
);

/// Not to be called by name: a map of what the base has (when the second argument says so) and of further entries.
pub(crate) static MAP_PROJECTION: Function = function(
    "map_projection",
    &[WITH_PROPERTIES, TypeSet::BOOL, TypeSet::MAP],
    map_type,
    Run::Graph(map_projection),
)
.sees_null();

fn map_projection(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    let [base, all, Datum::Map(entries)] = arguments else {
        return Ok(Datum::Null);
    };
    let mut projected = match base {
        Datum::Null => return Ok(Datum::Null),
        _ if !matches!(all, Datum::Bool(true)) => Vec::new(),
        Datum::Map(known) => known.to_vec(),
        element @ (Datum::Node(_) | Datum::Edge(_)) => cx.element_properties(element)?,
        other => {
            return Err(wrong_type(
                "a map projection",
                "a node, an edge or a record",
                other,
            ));
        }
    };
    projected.extend(entries.iter().cloned());
    Ok(Datum::map(projected))
}

/// Whether a path comes to no node twice; `closed` allows it to end where it began.
fn repeats_no_node(path: &Datum, closed: bool) -> Datum {
    let Datum::Path(path) = path else {
        return Datum::Null;
    };
    let nodes = match path.nodes.as_slice() {
        [first, middle @ .., last] if closed && first == last => [&[*first], middle].concat(),
        nodes => nodes.to_vec(),
    };
    let mut seen = HashSet::new();
    Datum::Bool(nodes.into_iter().all(|node| seen.insert(node)))
}

fn node_type(_arguments: &[Type]) -> Type {
    Type::Node
}

fn nodes_type(_arguments: &[Type]) -> Type {
    Type::List(Box::new(Type::Node))
}

fn edges_type(_arguments: &[Type]) -> Type {
    Type::List(Box::new(Type::Edge))
}

/// Whether all are one and the same element (ISO/IEC 39075, 19.12).
fn same(arguments: &[Datum]) -> Result<Datum, QueryError> {
    check_elements("same", arguments)?;
    let all = arguments.windows(2).all(|pair| equivalent(&pair[0], &pair[1]));
    Ok(Datum::Bool(all))
}

/// Whether no element comes twice (ISO/IEC 39075, 19.11).
fn all_different(arguments: &[Datum]) -> Result<Datum, QueryError> {
    check_elements("all_different", arguments)?;
    let mut seen = HashSet::new();
    let new = |element: &Datum| seen.insert(Key(Box::new([element.clone()])));
    Ok(Datum::Bool(arguments.iter().all(new)))
}

fn check_elements(function: &str, arguments: &[Datum]) -> Result<(), QueryError> {
    match arguments
        .iter()
        .find(|element| !matches!(element, Datum::Node(_) | Datum::Edge(_)))
    {
        Some(other) => Err(wrong_type(function, "nodes or edges", other)),
        None => Ok(()),
    }
}

fn property_exists(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    match arguments {
        [element @ (Datum::Node(_) | Datum::Edge(_)), Datum::String(key)] => {
            Ok(Datum::Bool(!cx.property_by_name(element, key)?.is_null()))
        }
        [Datum::Map(entries), Datum::String(key)] => {
            let found = entries.iter().find(|(known, _)| known == key);
            Ok(Datum::Bool(found.is_some_and(|(_, value)| !value.is_null())))
        }
        _ => Err(wrong_type(
            "property_exists",
            "a node, an edge or a record, and a name",
            &arguments[0],
        )),
    }
}

fn id(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Node(id) => Ok(Datum::Int(id.0 as i64)),
        Datum::Edge(edge) => Ok(Datum::Int(edge.id.0 as i64)),
        other => Err(wrong_type("id", "a node or an edge", other)),
    }
}

/// Node and edge numbers have counters of their own, so the letter tells them apart.
fn element_id(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Node(id) => Ok(Datum::string(&format!("n{id}"))),
        Datum::Edge(edge) => Ok(Datum::string(&format!("e{}", edge.id))),
        other => Err(wrong_type("elementId", "a node or an edge", other)),
    }
}

fn labels(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Node(id) => {
            let labels = cx.node_label_names(*id)?;
            Ok(Datum::list(labels.into_iter().map(Datum::String).collect()))
        }
        other => Err(wrong_type("labels", "a node", other)),
    }
}

fn edge_type(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Edge(edge) => Ok(Datum::String(cx.edge_type_name(edge.edge_type)?)),
        other => Err(wrong_type("type", "an edge", other)),
    }
}

fn keys(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    let entries = match &arguments[0] {
        Datum::Map(entries) => entries.to_vec(),
        element @ (Datum::Node(_) | Datum::Edge(_)) => cx.element_properties(element)?,
        other => return Err(wrong_type("keys", "a node, an edge or a record", other)),
    };
    Ok(Datum::list(
        entries.into_iter().map(|(key, _)| Datum::String(key)).collect(),
    ))
}

fn properties(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        map @ Datum::Map(_) => Ok(map.clone()),
        element @ (Datum::Node(_) | Datum::Edge(_)) => Ok(Datum::map(cx.element_properties(element)?)),
        other => Err(wrong_type("properties", "a node, an edge or a record", other)),
    }
}

fn start_node(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Edge(edge) => Ok(Datum::Node(cx.edge_ends(edge.id)?.0)),
        other => Err(wrong_type("startNode", "an edge", other)),
    }
}

fn end_node(cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Edge(edge) => Ok(Datum::Node(cx.edge_ends(edge.id)?.1)),
        other => Err(wrong_type("endNode", "an edge", other)),
    }
}

fn nodes(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Path(path) => Ok(Datum::list(path.nodes.iter().copied().map(Datum::Node).collect())),
        other => Err(wrong_type("nodes", "a path", other)),
    }
}

fn edges(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Path(path) => Ok(Datum::list(path.edges.iter().copied().map(Datum::Edge).collect())),
        other => Err(wrong_type("relationships", "a path", other)),
    }
}

fn elements(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Path(path) => {
            let mut all = Vec::with_capacity(path.nodes.len() + path.edges.len());
            for (at, node) in path.nodes.iter().enumerate() {
                all.push(Datum::Node(*node));
                all.extend(path.edges.get(at).copied().map(Datum::Edge));
            }
            Ok(Datum::list(all))
        }
        other => Err(wrong_type("elements", "a path", other)),
    }
}

fn length(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Path(path) => Ok(Datum::Int(path.edges.len() as i64)),
        other => Err(wrong_type("length", "a path", other)),
    }
}

/// `exists(n.name)`: Cypher's older spelling of IS NOT NULL.
fn exists(arguments: &[Datum]) -> Datum {
    Datum::Bool(!arguments[0].is_null())
}
