//! `AS COPY OF`: what is in one graph, again in another one. It is a write like any other, so the limit of a transaction holds.

use crate::exec::Context;
use geode_graph::{GraphId, Transaction};
use geode_store::ReadTxn;
use geode_types::{EdgeId, NodeId, QueryError};
use std::collections::HashMap;

const BATCH: usize = 1024;

pub(super) fn copy<R: ReadTxn>(
    transaction: &mut Transaction<R>,
    from: GraphId,
    to: GraphId,
    context: &Context<'_>,
) -> Result<(), QueryError> {
    let before = transaction.graph();
    let copied =
        nodes(transaction, from, to, context).and_then(|ids| edges(transaction, from, &ids, context));
    transaction.use_graph(before);
    copied
}

fn nodes<R: ReadTxn>(
    transaction: &mut Transaction<R>,
    from: GraphId,
    to: GraphId,
    context: &Context<'_>,
) -> Result<HashMap<NodeId, NodeId>, QueryError> {
    let mut ids = HashMap::new();
    let mut after: Option<NodeId> = None;
    loop {
        context.check()?;
        let mut page = Vec::new();
        transaction.use_graph(from);
        transaction.scan_nodes(None, after, BATCH, &mut page)?;
        transaction.use_graph(to);
        for id in &page {
            if let Some(node) = transaction.node(*id)? {
                ids.insert(*id, transaction.create_node(&node.labels, node.properties)?);
            }
        }
        after = page.last().copied();
        if page.len() < BATCH {
            return Ok(ids);
        }
    }
}

fn edges<R: ReadTxn>(
    transaction: &mut Transaction<R>,
    from: GraphId,
    ids: &HashMap<NodeId, NodeId>,
    context: &Context<'_>,
) -> Result<(), QueryError> {
    transaction.use_graph(from);
    let mut after: Option<EdgeId> = None;
    loop {
        context.check()?;
        let mut page = Vec::new();
        transaction.scan_edges(None, after, BATCH, &mut page)?;
        for edge in &page {
            let ends = (ids.get(&edge.start), ids.get(&edge.end));
            if let ((Some(start), Some(end)), Some(record)) = (ends, transaction.edge(edge.edge)?) {
                transaction.create_edge(edge.edge_type, *start, *end, record.properties)?;
            }
        }
        after = page.last().map(|edge| edge.edge);
        if page.len() < BATCH {
            return Ok(());
        }
    }
}
