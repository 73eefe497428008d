//! Commands of sessions and of the catalog as s-expressions.

use super::{expression_to_sexpr, join};
use crate::ast::{
    CatalogCommand, CatalogName, EdgeType, EndpointType, GraphRef, GraphTypeBody, GraphTypeSource, IfThere,
    Name, NodeType, PropertyDefinition, SchemaRef, SessionCommand, SessionReset, SessionSetting,
    TransactionCommand,
};
use geode_types::ReadSetting;

pub(super) fn transaction(command: &TransactionCommand) -> String {
    match command {
        TransactionCommand::Begin { read_only: true } => "(begin read-only)".to_owned(),
        TransactionCommand::Begin { read_only: false } => "(begin)".to_owned(),
        TransactionCommand::Commit => "(commit)".to_owned(),
        TransactionCommand::Rollback => "(rollback)".to_owned(),
        TransactionCommand::Savepoint(name) => format!("(savepoint {name})"),
        TransactionCommand::RollbackTo(name) => format!("(rollback-to {name})"),
        TransactionCommand::Release(name) => format!("(release {name})"),
    }
}

pub(super) fn session(command: &SessionCommand) -> String {
    match command {
        SessionCommand::Close => "(close)".to_owned(),
        SessionCommand::Set(setting) => format!("(set {})", self::setting(setting)),
        SessionCommand::Reset(reset) => format!("(reset {})", self::reset(reset)),
    }
}

pub(super) fn reads(setting: ReadSetting) -> String {
    match setting {
        ReadSetting::Level(level) => format!("(consistency {})", level.name()),
        ReadSetting::Preference(preference) => format!("(read-preference {})", preference.name()),
        ReadSetting::Staleness(bound) => format!("(read-staleness {bound:?})"),
    }
}

fn setting(setting: &SessionSetting) -> String {
    match setting {
        SessionSetting::Schema(schema) => format!("schema {}", self::schema(schema)),
        SessionSetting::Graph(graph) => format!("graph {}", self::graph(graph)),
        SessionSetting::TimeZone { zone, .. } => format!("time-zone {zone:?}"),
        SessionSetting::Value {
            name,
            if_not_exists,
            value,
        } => {
            let keep = if *if_not_exists { "if-not-exists " } else { "" };
            format!("value {keep}${} {}", name.text, expression_to_sexpr(value))
        }
        SessionSetting::Limit { limit, value } => format!("{} {}", limit.name(), expression_to_sexpr(value)),
    }
}

fn reset(reset: &SessionReset) -> String {
    match reset {
        SessionReset::Everything => "everything".to_owned(),
        SessionReset::Parameters => "parameters".to_owned(),
        SessionReset::Parameter(name) => format!("${name}"),
        SessionReset::Schema => "schema".to_owned(),
        SessionReset::Graph => "graph".to_owned(),
        SessionReset::TimeZone => "time-zone".to_owned(),
        SessionReset::Limit(limit) => limit.name().to_owned(),
    }
}

fn names(names: &[Name], between: &str) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
    names.join(between)
}

/// The path of a schema.
pub(super) fn schema(schema: &SchemaRef) -> String {
    match schema {
        SchemaRef::Home => "HOME_SCHEMA".to_owned(),
        SchemaRef::Current => "CURRENT_SCHEMA".to_owned(),
        SchemaRef::Absolute(path) => format!("/{}", names(path, "/")),
        SchemaRef::Relative { up, down } => {
            let mut parts = vec![".."; *up];
            parts.extend(down.iter().map(|name| name.text.as_str()));
            parts.join("/")
        }
    }
}

fn named(name: &CatalogName) -> String {
    match &name.schema {
        None => name.name.text.clone(),
        Some(parent) => format!("{}/{}", schema(parent).trim_end_matches('/'), name.name.text),
    }
}

/// A graph.
pub(super) fn graph(graph: &GraphRef) -> String {
    match graph {
        GraphRef::Home => "HOME_GRAPH".to_owned(),
        GraphRef::Current => "CURRENT_GRAPH".to_owned(),
        GraphRef::Named(name) => named(name),
    }
}

fn mode(if_there: IfThere) -> &'static str {
    match if_there {
        IfThere::Fail => "",
        IfThere::Keep => " if-not-exists",
        IfThere::Replace => " or-replace",
    }
}

pub(super) fn catalog(command: &CatalogCommand) -> String {
    let exists = |if_exists: &bool| if *if_exists { " if-exists" } else { "" };
    match command {
        CatalogCommand::CreateSchema { schema, keep, .. } => {
            let keep = if *keep { " if-not-exists" } else { "" };
            format!("(create-schema{keep} {})", self::schema(schema))
        }
        CatalogCommand::DropSchema {
            schema, if_exists, ..
        } => {
            format!("(drop-schema{} {})", exists(if_exists), self::schema(schema))
        }
        CatalogCommand::CreateGraph {
            name,
            if_there,
            graph_type,
            copy_of,
        } => {
            let copy = copy_of
                .as_ref()
                .map_or_else(String::new, |of| format!(" (copy-of {})", graph(of)));
            let mode = mode(*if_there);
            format!(
                "(create-graph{mode} {} {}{copy})",
                named(name),
                source(graph_type)
            )
        }
        CatalogCommand::DropGraph { name, if_exists } => {
            format!("(drop-graph{} {})", exists(if_exists), named(name))
        }
        CatalogCommand::CreateGraphType {
            name,
            if_there,
            source: from,
        } => format!(
            "(create-graph-type{} {} {})",
            mode(*if_there),
            named(name),
            source(from)
        ),
        CatalogCommand::DropGraphType { name, if_exists } => {
            format!("(drop-graph-type{} {})", exists(if_exists), named(name))
        }
    }
}

fn source(source: &GraphTypeSource) -> String {
    match source {
        GraphTypeSource::Open => "any".to_owned(),
        GraphTypeSource::Named(name) => format!("(typed {})", named(name)),
        GraphTypeSource::Like(of) => format!("(like {})", graph(of)),
        GraphTypeSource::Closed(body) => graph_type(body),
    }
}

fn graph_type(body: &GraphTypeBody) -> String {
    let nodes = body.nodes.iter().map(node_type);
    format!("({})", join(nodes.chain(body.edges.iter().map(edge_type))))
}

fn node_type(node: &NodeType) -> String {
    let mut parts = vec!["node".to_owned()];
    parts.extend(node.name.iter().map(|name| format!("type={}", name.text)));
    parts.extend(node.alias.iter().map(|name| name.text.clone()));
    parts.push(format!(":{}", names(&node.labels, "&")));
    parts.extend(node.properties.iter().map(property));
    format!("({})", parts.join(" "))
}

fn edge_type(edge: &EdgeType) -> String {
    let mut parts = vec!["edge".to_owned()];
    parts.extend(edge.name.iter().map(|name| format!("type={}", name.text)));
    parts.push(endpoint(&edge.source));
    parts.push(format!(":{}", edge.label.text));
    parts.push(endpoint(&edge.target));
    parts.extend(edge.properties.iter().map(property));
    format!("({})", parts.join(" "))
}

fn endpoint(end: &EndpointType) -> String {
    match end {
        EndpointType::Named(name) => name.text.clone(),
        EndpointType::Labels(labels, _) => format!(":{}", names(labels, "&")),
    }
}

fn property(property: &PropertyDefinition) -> String {
    format!("({} {})", property.name.text, property.value_type)
}
