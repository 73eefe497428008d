//! Operators that write. Each is a barrier: it takes in all its rows, then changes the graph, then hands the rows on, so that
//! nothing read for a clause sees what the clause writes.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::eval::eval;
use super::rows::Rows;
use crate::datum::{Datum, EdgeDatum, Entries};
use crate::error;
use crate::expr::Expr;
use crate::plan::logical::{CreateElement, Properties, SetAction};
use geode_graph::{Direction, PropertyList};
use geode_types::{EdgeId, ErrorClass, NodeId, QueryError, Value};
use std::collections::BTreeSet;

/// Collects all rows, lets `write` work on them, hands them on.
pub(super) struct Barrier<F> {
    write: F,
    rows: Vec<Rows>,
    held: (usize, usize),
    out: Option<std::vec::IntoIter<Rows>>,
}

impl<F: FnMut(&mut [Rows], &mut Cx<'_>) -> Result<(), QueryError>> Barrier<F> {
    pub(super) fn new(write: F) -> Self {
        Self {
            write,
            rows: Vec::new(),
            held: (0, 0),
            out: None,
        }
    }
}

impl<F: FnMut(&mut [Rows], &mut Cx<'_>) -> Result<(), QueryError>> Operator for Barrier<F> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                let (count, bytes) = (rows.len(), rows.bytes());
                self.held = (self.held.0 + count, self.held.1 + bytes);
                cx.hold(count, bytes)?;
                self.rows.push(rows);
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.out.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => {
                (self.write)(&mut self.rows, cx)?;
                self.out = Some(std::mem::take(&mut self.rows).into_iter());
            }
        }
        match self.out.as_mut().and_then(Iterator::next) {
            Some(rows) => Ok(Output::Rows(rows)),
            None => {
                let (rows, bytes) = std::mem::take(&mut self.held);
                cx.release(rows, bytes);
                Ok(Output::End)
            }
        }
    }
}

/// INSERT.
pub(super) fn insert<'p>(elements: &'p [CreateElement]) -> Box<dyn Operator + 'p> {
    Box::new(Barrier::new(move |batches: &mut [Rows], cx: &mut Cx<'_>| {
        for rows in batches {
            cx.check()?;
            for at in 0..rows.len() {
                create(elements, rows.row_mut(at), false, cx)?;
            }
        }
        Ok(())
    }))
}

/// Creates the elements for a row and fills their cells. MERGE refuses null properties, since it could never match them.
pub(super) fn create(
    elements: &[CreateElement],
    row: &mut [Datum],
    refuse_null: bool,
    cx: &mut Cx<'_>,
) -> Result<(), QueryError> {
    for element in elements {
        match element {
            CreateElement::Node {
                slot,
                labels,
                properties,
            } => {
                let labels = labels
                    .iter()
                    .map(|label| cx.define(*label))
                    .collect::<Result<Vec<_>, _>>()?;
                let properties = property_list(properties, row, refuse_null, cx)?;
                row[*slot] = Datum::Node(cx.graph.create_node(&labels, properties)?);
            }
            CreateElement::Edge {
                slot,
                edge_type,
                start,
                end,
                properties,
            } => {
                let (start, end) = (end_of_edge(&row[*start])?, end_of_edge(&row[*end])?);
                let edge_type = cx.define(*edge_type)?;
                let properties = property_list(properties, row, refuse_null, cx)?;
                let id = cx.graph.create_edge(edge_type, start, end, properties)?;
                row[*slot] = Datum::Edge(EdgeDatum { id, edge_type });
            }
            CreateElement::Path { slot, path } => row[*slot] = eval(path, row, cx)?,
        }
    }
    Ok(())
}

fn end_of_edge(datum: &Datum) -> Result<NodeId, QueryError> {
    match datum {
        Datum::Node(id) => Ok(*id),
        other => {
            let message = format!(
                "an edge needs nodes at both ends, and one of them is {}",
                other.type_name()
            );
            Err(error::type_error("InvalidArgumentType", message)
                .hint("filter out nulls before: WHERE n IS NOT NULL"))
        }
    }
}

fn property_list(
    properties: &Properties,
    row: &[Datum],
    refuse_null: bool,
    cx: &mut Cx<'_>,
) -> Result<PropertyList, QueryError> {
    let mut list = PropertyList::new();
    match properties {
        Properties::Entries(entries) => {
            for (key, value) in entries {
                let value = eval(value, row, cx)?;
                if value.is_null() {
                    if refuse_null {
                        return Err(merge_on_null(&cx.name(*key)));
                    }
                    continue;
                }
                let value = value.to_property()?;
                list.push((cx.define(*key)?, value));
            }
        }
        Properties::Dynamic(map) => {
            for (key, value) in entries_of(&eval(map, row, cx)?, cx)? {
                if !value.is_null() {
                    list.push((cx.define_key(&key)?, value.to_property()?));
                }
            }
        }
    }
    Ok(list)
}

pub(super) fn merge_on_null(key: &str) -> QueryError {
    let message = format!("MERGE cannot match the property {key} against null");
    QueryError::runtime(ErrorClass::SemanticError, "MergeReadOwnWrites", "22004", message)
        .hint("leave the property away, or use coalesce() to give it a value")
}

/// The entries of a record, or the properties of a node or edge.
fn entries_of(value: &Datum, cx: &Cx<'_>) -> Result<Entries, QueryError> {
    match value {
        Datum::Map(entries) => Ok(entries.to_vec()),
        Datum::Node(_) | Datum::Edge(_) => cx.element_properties(value),
        other => {
            let message = format!(
                "properties come from a record, a node or an edge, not from {}",
                other.type_name()
            );
            Err(error::type_error("InvalidArgumentType", message))
        }
    }
}

/// One decided change.
enum Change {
    Property(Datum, u32, Value),
    Replace(Datum, PropertyList),
    Label(NodeId, u32, bool),
}

/// SET and REMOVE: all values are computed before the first change.
pub(super) fn set<'p>(actions: &'p [SetAction]) -> Box<dyn Operator + 'p> {
    Box::new(Barrier::new(move |batches: &mut [Rows], cx: &mut Cx<'_>| {
        let mut changes = Vec::new();
        for rows in batches.iter() {
            cx.check()?;
            for row in rows.iter() {
                for action in actions {
                    decide(action, row, &mut changes, cx)?;
                }
            }
        }
        let bytes = changes.len() * size_of::<Change>();
        cx.hold(changes.len(), bytes)?;
        let count = changes.len();
        changes.into_iter().try_for_each(|change| apply(change, cx))?;
        cx.release(count, bytes);
        Ok(())
    }))
}

/// SET for one row at once, as MERGE needs it.
pub(super) fn set_now(actions: &[SetAction], row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
    let mut changes = Vec::new();
    for action in actions {
        decide(action, row, &mut changes, cx)?;
    }
    changes.into_iter().try_for_each(|change| apply(change, cx))
}

fn decide(
    action: &SetAction,
    row: &[Datum],
    changes: &mut Vec<Change>,
    cx: &mut Cx<'_>,
) -> Result<(), QueryError> {
    match action {
        SetAction::Property { target, key, value } => {
            let Some(target) = element(eval(target, row, cx)?)? else {
                return Ok(());
            };
            let value = eval(value, row, cx)?.to_property()?;
            // A key that nothing bears yet need not be defined to be removed.
            let key = if value.is_null() {
                cx.resolve(*key)?
            } else {
                Some(cx.define(*key)?)
            };
            changes.extend(key.map(|key| Change::Property(target, key, value)));
        }
        SetAction::Properties { slot, value, merge } => {
            let Some(target) = element(row[*slot].clone())? else {
                return Ok(());
            };
            let value = eval(value, row, cx)?;
            let mut list = PropertyList::new();
            for (key, value) in entries_of(&value, cx)? {
                let value = value.to_property()?;
                list.push((cx.define_key(&key)?, value));
            }
            if *merge {
                changes.extend(
                    list.into_iter()
                        .map(|(key, value)| Change::Property(target.clone(), key, value)),
                );
            } else {
                changes.push(Change::Replace(target, list));
            }
        }
        SetAction::Labels { slot, labels, add } => {
            let node = match &row[*slot] {
                Datum::Node(id) => *id,
                Datum::Null => return Ok(()),
                other => {
                    let message = format!("only nodes have labels to change, not {}", other.type_name());
                    return Err(error::type_error("InvalidArgumentType", message));
                }
            };
            for label in labels {
                let label = if *add {
                    Some(cx.define(*label)?)
                } else {
                    cx.resolve(*label)?
                };
                changes.extend(label.map(|label| Change::Label(node, label, *add)));
            }
        }
    }
    Ok(())
}

/// What has properties to set; null is passed over.
fn element(target: Datum) -> Result<Option<Datum>, QueryError> {
    match target {
        Datum::Null => Ok(None),
        element @ (Datum::Node(_) | Datum::Edge(_)) => Ok(Some(element)),
        other => {
            let message = format!(
                "only nodes and edges have properties to change, not {}",
                other.type_name()
            );
            Err(error::type_error("InvalidArgumentType", message))
        }
    }
}

fn apply(change: Change, cx: &mut Cx<'_>) -> Result<(), QueryError> {
    match change {
        Change::Property(Datum::Node(id), key, value) => cx.graph.set_node_property(id, key, value),
        Change::Property(Datum::Edge(edge), key, value) => cx.graph.set_edge_property(edge.id, key, value),
        Change::Replace(Datum::Node(id), list) => cx.graph.replace_node_properties(id, list),
        Change::Replace(Datum::Edge(edge), list) => cx.graph.replace_edge_properties(edge.id, list),
        Change::Label(id, label, add) => cx.graph.set_label(id, label, add),
        Change::Property(..) | Change::Replace(..) => Ok(()),
    }
}

/// DELETE: edges first, so that the order of targets does not matter.
pub(super) fn delete<'p>(detach: bool, targets: &'p [Expr]) -> Box<dyn Operator + 'p> {
    Box::new(Barrier::new(move |batches: &mut [Rows], cx: &mut Cx<'_>| {
        let (mut nodes, mut edges) = (BTreeSet::new(), BTreeSet::new());
        for rows in batches.iter() {
            cx.check()?;
            for row in rows.iter() {
                for target in targets {
                    collect(eval(target, row, cx)?, &mut nodes, &mut edges)?;
                }
            }
        }
        for edge in edges {
            if cx.graph.edge(edge)?.is_some() {
                cx.graph.delete_edge(edge)?;
            }
        }
        for node in nodes {
            delete_node(node, detach, cx)?;
        }
        Ok(())
    }))
}

fn collect(
    target: Datum,
    nodes: &mut BTreeSet<NodeId>,
    edges: &mut BTreeSet<EdgeId>,
) -> Result<(), QueryError> {
    match target {
        Datum::Null => {}
        Datum::Node(id) => drop(nodes.insert(id)),
        Datum::Edge(edge) => drop(edges.insert(edge.id)),
        Datum::Path(path) => {
            nodes.extend(&path.nodes);
            edges.extend(path.edges.iter().map(|edge| edge.id));
        }
        other => {
            let message = format!("DELETE takes nodes, edges and paths, not {}", other.type_name());
            return Err(error::type_error("InvalidArgumentType", message));
        }
    }
    Ok(())
}

fn delete_node(node: NodeId, detach: bool, cx: &mut Cx<'_>) -> Result<(), QueryError> {
    if !cx.graph.node_exists(node)? {
        return Ok(());
    }
    if !detach {
        let mut adjacent = Vec::new();
        cx.graph.expand(node, Direction::Both, None, &mut adjacent)?;
        if !adjacent.is_empty() {
            let message = format!(
                "node {node} cannot be deleted, because it still has {} edges",
                adjacent.len()
            );
            let class = ErrorClass::ConstraintVerificationFailed;
            return Err(
                QueryError::runtime(class, "DeleteConnectedNode", "G1001", message)
                    .hint("delete its edges too, or write DETACH DELETE"),
            );
        }
    }
    cx.graph.delete_node(node, detach)
}
