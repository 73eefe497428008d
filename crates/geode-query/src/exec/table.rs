//! Nodes that an operator looks up in no order, one by one, are read all at once as soon as that is less work: those of a label that pass
//! its tests, in one pass, into a table that lasts as long as the statement.

use super::Cx;
use super::columns::{Column, SlotNodes};
use super::profile::place;
use super::reading::Reading;
use super::rows::{Rows, row_bytes};
use super::seen::IdHasher;
use crate::datum::Datum;
use crate::expr::LabelTest;
use crate::plan::reads::Reads;
use geode_graph::{GraphId, NodeScan};
use geode_types::{NodeId, QueryError};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// To look up a node takes as long as to pass so many.
const PASSED_MEANWHILE: u64 = 4;
/// Nodes that lie closer together than that are read in one pass anyway.
const SPARSE: u64 = 8;
/// The part of the memory that is left which a table may take.
const SHARE: usize = 8;
/// About what a node takes besides its properties: a number and a place in a hash table that grows.
const ENTRY_BYTES: usize = 2 * (size_of::<u64>() + size_of::<usize>());

/// What an operator has looked up.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    nodes: u64,
    table: Option<Arc<NodeTable>>,
    /// Whether a table would have been too large.
    is_too_large: bool,
}

/// The nodes of a graph that pass.
#[derive(Debug)]
pub(super) struct NodeTable {
    graph: GraphId,
    places: HashMap<u64, usize, BuildHasherDefault<IdHasher>>,
    columns: Vec<Column>,
}

impl NodeTable {
    /// For each row the place of its node, or nothing when it does not pass; nothing at all when a node is of another graph.
    pub(super) fn places(&self, rows: &Rows, slot: usize) -> Option<Vec<Option<usize>>> {
        let place = |row: &[Datum]| match row[slot] {
            Datum::Node(id) if GraphId::of_node(id) == self.graph => Some(self.places.get(&id.0).copied()),
            _ => None,
        };
        rows.iter().map(place).collect()
    }

    /// The properties of those that pass, by place.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

/// The table of an operator, if it has one.
pub(super) fn table(reads: &Reads<'_>, cx: &Cx<'_>) -> Option<Arc<NodeTable>> {
    cx.lookups.get(&place(reads))?.table.clone()
}

/// Notes that nodes are to be looked up, and makes a table when enough were. Not where reads are noted: a transaction that writes would
/// be in the way of others because of nodes that it did not need.
pub(super) fn prepare(
    slot: usize,
    labels: Option<&LabelTest>,
    reads: &Reads<'_>,
    nodes: &SlotNodes,
    cx: &mut Cx<'_>,
) -> Result<Option<Arc<NodeTable>>, QueryError> {
    let (Some(LabelTest::Name { label, .. }), Some(first), Some(last)) =
        (labels, nodes.ids.first(), nodes.ids.last())
    else {
        return Ok(None);
    };
    let count = nodes.ids.len() as u64;
    if (last.0 - first.0) / count < SPARSE || cx.graph.notes_reads() {
        return Ok(None);
    }
    let Some(label) = cx.resolve(*label)? else {
        return Ok(None);
    };
    let lookups = cx.lookups.entry(place(reads)).or_default();
    lookups.nodes += count;
    if lookups.is_too_large || lookups.nodes * PASSED_MEANWHILE < cx.graph.node_count(Some(label))? {
        return Ok(None);
    }
    let table = read(slot, label, reads, cx)?.map(Arc::new);
    let lookups = cx.lookups.entry(place(reads)).or_default();
    lookups.is_too_large = table.is_none();
    lookups.table.clone_from(&table);
    Ok(table)
}

/// Reads the nodes of a label that pass, unless they take too much memory. What they take is held until the statement ends.
fn read(
    slot: usize,
    label: u32,
    reads: &Reads<'_>,
    cx: &mut Cx<'_>,
) -> Result<Option<NodeTable>, QueryError> {
    let most = cx.context.limits.max_memory_bytes.saturating_sub(cx.memory()) / SHARE;
    let (mut scan, mut places, mut columns) = (NodeScan::default(), HashMap::default(), Vec::<Column>::new());
    let mut held = 0;
    loop {
        let mut reading = Reading::new(None, reads, cx)?;
        let mut found: Vec<NodeId> = Vec::new();
        let is_done = cx
            .graph
            .visit_scan(Some(label), &mut scan, cx.batch_rows, &mut |id, node| {
                if reading.take(&node)? {
                    found.push(id);
                }
                Ok(())
            })?;
        let page = reading.finish(slot)?;
        let values: usize = page.iter().map(|column| 2 * row_bytes(&column.values)).sum();
        let bytes = found.len() * ENTRY_BYTES + values;
        if held + bytes > most {
            cx.release(0, held);
            return Ok(None);
        }
        held += bytes;
        cx.hold(0, bytes)?;
        for id in found {
            places.insert(id.0, places.len());
        }
        if columns.is_empty() {
            columns = page;
        } else {
            for (all, page) in columns.iter_mut().zip(page) {
                all.values.extend(page.values);
            }
        }
        if is_done {
            break;
        }
        cx.check()?;
    }
    cx.keep(held);
    let graph = cx.graph.graph();
    Ok(Some(NodeTable {
        graph,
        places,
        columns,
    }))
}
