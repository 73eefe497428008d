//! Scans that read nodes while they look for them: one pass over the nodes where most of them have the label, and by the label's index
//! where few have.

use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::keys::{self, HEAD, Key, NODES};
use crate::snapshot::Snapshot;
use crate::view::NodeView;
use geode_store::Reader;
use geode_types::NodeId;

/// With fewer than one node in so many that has the label, the index is faster than a pass over all of them.
const SPARSE: u64 = 2;
/// A pass may meet so many nodes without the label, besides as many as it is to show.
const SPARE: usize = 16;

/// Where a scan goes on, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeScan {
    /// The last node that it has looked at.
    pub after: Option<NodeId>,
    /// The node before which it ends, if it is a part of one.
    until: Option<NodeId>,
    /// Whether the last page has shown that nodes with the label lie close together. It begins with the index: what a pass over the
    /// nodes would meet is not known.
    pub(crate) is_dense: bool,
}

impl NodeScan {
    /// The part of a scan that looks at the nodes from one on and ends before another.
    pub fn part(from: NodeId, until: NodeId) -> Self {
        Self {
            after: from.0.checked_sub(1).map(NodeId),
            until: Some(until),
            is_dense: false,
        }
    }

    /// Whether a node lies before its end.
    pub fn is_before_end(&self, id: NodeId) -> bool {
        self.until.is_none_or(|until| id < until)
    }

    /// From which node on a page looks.
    pub(crate) fn from(&self, graph: GraphId) -> NodeId {
        NodeId(
            self.after
                .map_or(graph.ids().start, |after| after.0.saturating_add(1)),
        )
    }

    /// Notes what a page found by the index.
    pub(crate) fn found(&mut self, ids: &[NodeId]) {
        if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
            self.after = Some(*last);
            self.is_dense = (last.0 - first.0) / SPARSE < ids.len() as u64;
        }
    }
}

impl<R: Reader> Snapshot<R> {
    /// Shows up to `limit` nodes of a graph behind those that the scan has shown, ascending, with the label or all; `true` at the end.
    pub fn scan(
        &self,
        graph: GraphId,
        label: Option<u32>,
        scan: &mut NodeScan,
        limit: usize,
        mut each: impl FnMut(NodeId, NodeView<'_>) -> Result<()>,
    ) -> Result<bool> {
        if label.is_none() || scan.is_dense {
            return self.pass(graph, label, scan, limit, each);
        }
        let ids = self.nodes_from(graph, label, scan.from(graph))?;
        let ids = ids.take_while(|id| id.as_ref().map_or(true, |id| scan.is_before_end(*id)));
        let ids: Vec<NodeId> = ids.take(limit).collect::<Result<_>>()?;
        scan.found(&ids);
        self.visit_nodes(&ids, |place, node| each(ids[place], node))?;
        Ok(ids.len() < limit)
    }

    /// A pass over all nodes, which ends early when too few have the label.
    fn pass(
        &self,
        graph: GraphId,
        label: Option<u32>,
        scan: &mut NodeScan,
        limit: usize,
        mut each: impl FnMut(NodeId, NodeView<'_>) -> Result<()>,
    ) -> Result<bool> {
        let from = keys::node(scan.from(graph));
        let (mut shown, mut others) = (0, 0);
        let end = graph.ids().end;
        let end = Key::new(NODES).id(scan.until.map_or(end, |until| end.min(until.0)));
        for entry in self.reader().range(&from, Some(&end))? {
            let (key, bytes) = entry?;
            let id = keys::id_at(key, HEAD).ok_or_else(|| GraphError::corrupt("the key of a node"))?;
            let (id, node) = (NodeId(id), NodeView::stored(bytes));
            scan.after = Some(id);
            if label.map_or(Ok(true), |label| node.has_label(label))? {
                each(id, node)?;
                shown += 1;
            } else {
                others += 1;
            }
            if shown >= limit {
                return Ok(false);
            }
            if others > limit.saturating_add(SPARE) {
                scan.is_dense = false;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
