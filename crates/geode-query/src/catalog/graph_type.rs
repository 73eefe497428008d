//! The written form of a closed graph type → the stored one: ends of edge types become the labels of node types.

use geode_gql::ast::{self, EndpointType, GraphTypeBody, Name, NodeType, PropertyDefinition};
use geode_gql::{Source, not_supported};
use geode_graph::{EdgeTypeRecord, GraphType, NodeTypeRecord, PropertyRecord, ValueType};
use geode_types::{ErrorClass, QueryError, nearest};

pub(super) fn graph_type(body: &GraphTypeBody, source: Source<'_>) -> Result<GraphType, QueryError> {
    let mut known: Vec<(&Name, Vec<String>)> = Vec::new();
    let mut graph_type = GraphType::default();
    for node in &body.nodes {
        let labels = label_set(&node.labels);
        for name in names(node) {
            if known.iter().any(|(other, _)| other.text == name.text) {
                let message = format!("two node types are called {}", name.text);
                return Err(wrong("DuplicateNodeType", message, name, source));
            }
            known.push((name, labels.clone()));
        }
        graph_type.nodes.push(NodeTypeRecord {
            labels,
            properties: properties(&node.properties, source)?,
        });
    }
    for edge in &body.edges {
        let source_labels = end(&edge.source, &known, &graph_type, source)?;
        let target = end(&edge.target, &known, &graph_type, source)?;
        graph_type.edges.push(EdgeTypeRecord {
            label: edge.label.text.clone(),
            properties: properties(&edge.properties, source)?,
            source: source_labels,
            target,
        });
    }
    Ok(graph_type)
}

/// The names under which edge types may refer to a node type. An alias that repeats the type's name is one name.
fn names(node: &NodeType) -> impl Iterator<Item = &Name> {
    let alias = node.alias.as_ref();
    let name = node
        .name
        .as_ref()
        .filter(|name| alias.is_none_or(|alias| alias.text != name.text));
    alias.into_iter().chain(name)
}

fn wrong(detail: &str, message: String, name: &Name, source: Source<'_>) -> QueryError {
    QueryError::compile(ErrorClass::SyntaxError, detail, "42002", message).at(source.position(name.span))
}

fn label_set(labels: &[Name]) -> Vec<String> {
    let mut set: Vec<String> = labels.iter().map(|label| label.text.clone()).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// The labels at an end of an edge type: those of a node type of the same graph type.
fn end(
    end: &EndpointType,
    known: &[(&Name, Vec<String>)],
    graph_type: &GraphType,
    source: Source<'_>,
) -> Result<Vec<String>, QueryError> {
    match end {
        EndpointType::Named(name) => {
            if let Some((_, labels)) = known.iter().find(|(other, _)| other.text == name.text) {
                return Ok(labels.clone());
            }
            let message = format!("no node type is called {}", name.text);
            let error = wrong("UnknownNodeType", message, name, source);
            Err(
                match nearest(&name.text, known.iter().map(|(other, _)| other.text.as_str())) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint(
                        "name a node type: (p:Person), (p)-[:KNOWS]->(p); or say its labels: (:Person)",
                    ),
                },
            )
        }
        EndpointType::Labels(labels, span) => {
            let set = label_set(labels);
            if graph_type.nodes.iter().any(|node| node.labels == set) {
                return Ok(set);
            }
            let message = format!("no node type has the labels ({})", set.join(" and "));
            Err(
                QueryError::compile(ErrorClass::SyntaxError, "UnknownNodeType", "42002", message)
                    .at(source.position(*span))
                    .hint("define the node type in front of the edge type"),
            )
        }
    }
}

fn properties(
    definitions: &[PropertyDefinition],
    source: Source<'_>,
) -> Result<Vec<PropertyRecord>, QueryError> {
    let record = |definition: &PropertyDefinition| {
        let (written, required) = match &definition.value_type {
            ast::ValueType::NotNull(inner) => (inner.as_ref(), true),
            other => (other, false),
        };
        let Some(value_type) = value_type(written) else {
            let what = format!("the property type {}", definition.value_type);
            let instead = "leave lengths, precisions, ranges and unions away";
            return Err(not_supported(source, definition.span, &what, instead));
        };
        Ok(PropertyRecord {
            name: definition.name.text.clone(),
            value_type,
            required,
        })
    };
    definitions.iter().map(record).collect()
}

/// The stored form of a type; none when it asks for more than the kind of a value.
fn value_type(mut written: &ast::ValueType) -> Option<ValueType> {
    let mut lists = 0_u8;
    while let ast::ValueType::List(element) = written {
        lists = lists.checked_add(1)?;
        written = element;
    }
    let plain = match written {
        ast::ValueType::Any
        | ast::ValueType::Bool
        | ast::ValueType::Float
        | ast::ValueType::Decimal(None)
        | ast::ValueType::String(None)
        | ast::ValueType::Bytes(None)
        | ast::ValueType::Temporal(_)
        | ast::ValueType::Record => true,
        other => *other == ast::ValueType::INT,
    };
    plain.then(|| ValueType {
        base: written.to_string(),
        lists,
    })
}
