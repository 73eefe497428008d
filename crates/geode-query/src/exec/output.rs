//! Rows for the caller: ids become nodes, edges and paths with everything in them, which is accounted for until the caller has it.

use super::Cx;
use crate::datum::{Datum, EdgeDatum};
use crate::error;
use geode_types::{EdgeValue, NodeId, NodeValue, PathValue, Properties, QueryError, Value};
use std::ops::ControlFlow;

/// After so many bytes rows go to the caller, however few they are.
const ROWS_BYTES: usize = 1 << 20;

/// Values on their way to the caller.
#[derive(Default)]
pub(super) struct Output {
    rows: Vec<Vec<Value>>,
    held: usize,
}

impl Output {
    /// Takes a row; whether it is time to hand rows on.
    pub(super) fn push(&mut self, row: &[Datum], cx: &mut Cx<'_>) -> Result<bool, QueryError> {
        let mut values = Vec::with_capacity(row.len());
        for cell in row {
            values.push(self.value(cell, cx)?);
        }
        self.rows.push(values);
        Ok(self.held >= ROWS_BYTES)
    }

    /// Hands the rows to the caller; they are no business of the statement any more.
    pub(super) fn hand_on(
        &mut self,
        sink: &mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
        cx: &mut Cx<'_>,
    ) -> ControlFlow<()> {
        let flow = sink(std::mem::take(&mut self.rows));
        cx.release(0, std::mem::take(&mut self.held));
        flow
    }

    fn hold(&mut self, bytes: usize, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let bytes = size_of::<Value>() + bytes;
        self.held += bytes;
        cx.hold(0, bytes)
    }

    /// The value that a caller sees.
    fn value(&mut self, datum: &Datum, cx: &mut Cx<'_>) -> Result<Value, QueryError> {
        let bytes = match datum {
            Datum::String(text) => text.len(),
            Datum::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.hold(bytes, cx)?;
        cx.worked(1)?;
        Ok(match datum {
            Datum::Null => Value::Null,
            Datum::Bool(truth) => Value::Bool(*truth),
            Datum::Int(number) => Value::Int(*number),
            Datum::Float(number) => Value::Float(*number),
            Datum::String(text) => Value::String(text.as_ref().to_owned()),
            Datum::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Datum::Decimal(number) => Value::Decimal(*number),
            Datum::Temporal(value) => Value::Temporal(value.clone()),
            Datum::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items.iter() {
                    values.push(self.value(item, cx)?);
                }
                Value::List(values)
            }
            Datum::Map(entries) => Value::Map(self.entries(entries, cx)?),
            Datum::Node(id) => Value::Node(Box::new(self.node(*id, cx)?)),
            Datum::Edge(datum) => Value::Edge(Box::new(self.edge(*datum, cx)?)),
            Datum::Path(path) => {
                let mut nodes = Vec::with_capacity(path.nodes.len());
                for id in &path.nodes {
                    nodes.push(self.node(*id, cx)?);
                }
                let mut edges = Vec::with_capacity(path.edges.len());
                for edge in &path.edges {
                    edges.push(self.edge(*edge, cx)?);
                }
                Value::Path(Box::new(PathValue { nodes, edges }))
            }
        })
    }

    fn entries(
        &mut self,
        entries: &[(std::sync::Arc<str>, Datum)],
        cx: &mut Cx<'_>,
    ) -> Result<Properties, QueryError> {
        let mut properties = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            self.hold(key.len(), cx)?;
            properties.push((key.as_ref().to_owned(), self.value(value, cx)?));
        }
        Ok(properties)
    }

    fn node(&mut self, id: NodeId, cx: &mut Cx<'_>) -> Result<NodeValue, QueryError> {
        let labels = cx.node_label_names(id)?;
        let bytes: usize = labels.iter().map(|label| size_of::<String>() + label.len()).sum();
        self.hold(size_of::<NodeValue>() + bytes, cx)?;
        let properties = cx.element_properties(&Datum::Node(id))?;
        Ok(NodeValue {
            id,
            labels: labels.iter().map(|label| label.as_ref().to_owned()).collect(),
            properties: self.entries(&properties, cx)?,
        })
    }

    fn edge(&mut self, datum: EdgeDatum, cx: &mut Cx<'_>) -> Result<EdgeValue, QueryError> {
        let record = cx
            .graph
            .edge(datum.id)?
            .ok_or_else(|| error::deleted("this edge"))?;
        let edge_type = cx.edge_type_name(record.edge_type)?.as_ref().to_owned();
        self.hold(size_of::<EdgeValue>() + edge_type.len(), cx)?;
        let properties = cx.element_properties(&Datum::Edge(datum))?;
        Ok(EdgeValue {
            id: datum.id,
            edge_type,
            start: record.start,
            end: record.end,
            properties: self.entries(&properties, cx)?,
        })
    }
}

/// The value that a procedure is called with.
pub(super) fn to_value(datum: &Datum, cx: &mut Cx<'_>) -> Result<Value, QueryError> {
    let mut output = Output::default();
    let value = output.value(datum, cx)?;
    cx.release(0, output.held);
    Ok(value)
}
