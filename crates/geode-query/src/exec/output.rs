//! Rows for the caller: ids become nodes, edges and paths with everything in them.

use super::Cx;
use crate::datum::{Datum, EdgeDatum};
use crate::error;
use geode_types::{EdgeValue, NodeId, NodeValue, PathValue, Properties, QueryError, Value};

/// The value that a caller sees.
pub(super) fn to_value(datum: &Datum, cx: &Cx<'_>) -> Result<Value, QueryError> {
    Ok(match datum {
        Datum::Null => Value::Null,
        Datum::Bool(truth) => Value::Bool(*truth),
        Datum::Int(number) => Value::Int(*number),
        Datum::Float(number) => Value::Float(*number),
        Datum::String(text) => Value::String(text.as_ref().to_owned()),
        Datum::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Datum::Decimal(number) => Value::Decimal(*number),
        Datum::Temporal(value) => Value::Temporal(value.clone()),
        Datum::List(items) => Value::List(
            items
                .iter()
                .map(|item| to_value(item, cx))
                .collect::<Result<_, _>>()?,
        ),
        Datum::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((key.as_ref().to_owned(), to_value(value, cx)?)));
            Value::Map(entries.collect::<Result<Properties, QueryError>>()?)
        }
        Datum::Node(id) => Value::Node(Box::new(node(*id, cx)?)),
        Datum::Edge(datum) => Value::Edge(Box::new(edge(*datum, cx)?)),
        Datum::Path(path) => {
            let nodes = path
                .nodes
                .iter()
                .map(|id| node(*id, cx))
                .collect::<Result<_, _>>()?;
            let edges = path
                .edges
                .iter()
                .map(|datum| edge(*datum, cx))
                .collect::<Result<_, _>>()?;
            Value::Path(Box::new(PathValue { nodes, edges }))
        }
    })
}

fn node(id: NodeId, cx: &Cx<'_>) -> Result<NodeValue, QueryError> {
    let labels = cx
        .node_label_names(id)?
        .iter()
        .map(|label| label.as_ref().to_owned())
        .collect();
    Ok(NodeValue {
        id,
        labels,
        properties: properties(&Datum::Node(id), cx)?,
    })
}

fn edge(datum: EdgeDatum, cx: &Cx<'_>) -> Result<EdgeValue, QueryError> {
    let record = cx
        .graph
        .edge(datum.id)?
        .ok_or_else(|| error::deleted("this edge"))?;
    let edge_type = cx.edge_type_name(record.edge_type)?.as_ref().to_owned();
    let properties = properties(&Datum::Edge(datum), cx)?;
    Ok(EdgeValue {
        id: datum.id,
        edge_type,
        start: record.start,
        end: record.end,
        properties,
    })
}

fn properties(element: &Datum, cx: &Cx<'_>) -> Result<Properties, QueryError> {
    let entries = cx.element_properties(element)?;
    entries
        .iter()
        .map(|(key, value)| Ok((key.as_ref().to_owned(), to_value(value, cx)?)))
        .collect()
}
