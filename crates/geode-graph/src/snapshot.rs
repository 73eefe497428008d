//! The graph as one committed state shows it. Knows nothing of transactions.

use crate::adjacency::{self, Adjacent, Direction};
use crate::catalog::{self, TokenKind};
use crate::counters::{self, Sizes};
use crate::degrees;
use crate::edges;
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::keys::{self, HEAD, Key, NODES};
use crate::position::{Position, position};
use crate::record::{EdgeRecord, EdgeRef, Labels, NodeRecord, find_property, take_labels};
use crate::view::NodeView;
use geode_store::Reader;
use geode_types::{EdgeId, NodeId, Value};
use std::sync::Arc;

/// Of so many ids one is wanted: then nodes are looked up one by one.
const SPARSE: u64 = 8;

/// A read view of the graph in a store.
#[derive(Debug)]
pub struct Snapshot<R> {
    read: R,
    position: Position,
}

impl<R: Reader> Snapshot<R> {
    /// The graph that this reader sees.
    pub fn new(read: R) -> Result<Self> {
        let position = position(&read)?;
        Ok(Self { read, position })
    }

    /// How far the log has been applied in it.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The reader below.
    pub fn reader(&self) -> &R {
        &self.read
    }

    /// The number of a name.
    pub fn token_id(&self, kind: TokenKind, name: &str) -> Result<Option<u32>> {
        catalog::id(&self.read, kind, name)
    }

    /// The name of a number.
    pub fn token_name(&self, kind: TokenKind, id: u32) -> Result<Option<Arc<str>>> {
        catalog::name(&self.read, kind, id)
    }

    /// All names of a kind, ascending by number.
    pub fn tokens(&self, kind: TokenKind) -> Result<Vec<(u32, Arc<str>)>> {
        catalog::all(&self.read, kind)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Result<Option<NodeRecord>> {
        let Some(bytes) = self.read.get(&keys::node(id))? else {
            return Ok(None);
        };
        NodeRecord::decode(bytes)
            .map(Some)
            .map_err(GraphError::undecodable(format_args!("node {id}")))
    }

    /// Whether a node is there.
    pub fn node_exists(&self, id: NodeId) -> Result<bool> {
        Ok(self.read.get(&keys::node(id))?.is_some())
    }

    /// The labels of a node.
    pub fn node_labels(&self, id: NodeId) -> Result<Option<Labels>> {
        let Some(mut bytes) = self.read.get(&keys::node(id))? else {
            return Ok(None);
        };
        take_labels(&mut bytes)
            .map(Some)
            .map_err(GraphError::undecodable(format_args!("node {id}")))
    }

    /// One property of a node; `None` when the node or the property is not there.
    pub fn node_property(&self, id: NodeId, key: u32) -> Result<Option<Value>> {
        let Some(mut bytes) = self.read.get(&keys::node(id))? else {
            return Ok(None);
        };
        let found = take_labels(&mut bytes).and_then(|_| find_property(bytes, key));
        found.map_err(GraphError::undecodable(format_args!("node {id}")))
    }

    /// Shows nodes, ascending and each once, to `each` with their places; those that are not there are left out. Nodes that lie close
    /// together are read in one pass, which takes a fraction of looking each of them up.
    pub fn visit_nodes(
        &self,
        ids: &[NodeId],
        mut each: impl FnMut(usize, NodeView<'_>) -> Result<()>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
            return Ok(());
        };
        let span = last.0 - first.0;
        if span / ids.len() as u64 >= SPARSE {
            for (place, id) in ids.iter().enumerate() {
                if let Some(bytes) = self.read.get(&keys::node(*id))? {
                    each(place, NodeView::stored(bytes))?;
                }
            }
            return Ok(());
        }
        let mut wanted = ids.iter().enumerate().peekable();
        let end = Key::new(NODES).id(last.0 + 1);
        for entry in self.read.range(&keys::node(*first), Some(&end))? {
            let (key, bytes) = entry?;
            let id = keys::id_at(key, HEAD).ok_or_else(|| GraphError::corrupt("the key of a node"))?;
            while wanted.next_if(|(_, other)| other.0 < id).is_some() {}
            if let Some((place, _)) = wanted.next_if(|(_, other)| other.0 == id) {
                each(place, NodeView::stored(bytes))?;
            }
        }
        Ok(())
    }

    /// An edge.
    pub fn edge(&self, id: EdgeId) -> Result<Option<EdgeRecord>> {
        edges::find(&self.read, id)?
            .map(|stored| stored.record())
            .transpose()
    }

    /// One property of an edge; `None` when the edge or the property is not there.
    pub fn edge_property(&self, id: EdgeId, key: u32) -> Result<Option<Value>> {
        edges::find(&self.read, id)?.map_or(Ok(None), |stored| stored.property(key))
    }

    /// Calls `each` with the edges of a node. A self loop is seen once when both directions are asked for.
    pub fn visit_adjacent(
        &self,
        node: NodeId,
        direction: Direction,
        types: Option<&[u32]>,
        each: impl FnMut(Adjacent),
    ) -> Result<()> {
        adjacency::visit(&self.read, node, direction, types, each)
    }

    /// Calls `each` with the edges of these types between two nodes, as the first one has them.
    pub fn visit_between(
        &self,
        ends: (NodeId, NodeId),
        direction: Direction,
        types: &[u32],
        each: impl FnMut(Adjacent),
    ) -> Result<()> {
        adjacency::between(&self.read, ends, direction, types, each)
    }

    /// The number of edges of a node; for both directions a self loop counts twice.
    pub fn degree(&self, node: NodeId, direction: Direction, types: Option<&[u32]>) -> Result<u64> {
        adjacency::degree(&self.read, node, direction, types)
    }

    /// For nodes, ascending and each once, how many edges they have in one direction, of a type or of all.
    pub fn degrees(&self, nodes: &[NodeId], outgoing: bool, edge_type: Option<u32>) -> Result<Vec<u64>> {
        degrees::count(&self.read, nodes, outgoing, edge_type)
    }

    /// Nodes of a graph with a label, or all, ascending from `from`.
    pub fn nodes_from(
        &self,
        graph: GraphId,
        label: Option<u32>,
        from: NodeId,
    ) -> Result<impl Iterator<Item = Result<NodeId>>> {
        let prefix = label.map_or_else(|| Key::new(NODES), keys::labelled);
        let (start, end) = graph.node_keys(prefix);
        let start = if from.0 > graph.ids().start {
            prefix.id(from.0)
        } else {
            start
        };
        let range = self.read.range(&start, Some(&end))?;
        Ok(range.map(move |entry| {
            let (key, _) = entry?;
            keys::id_at(key, prefix.len())
                .map(NodeId)
                .ok_or_else(|| GraphError::corrupt("the key of a node"))
        }))
    }

    /// The last node of a graph with a label, or at all.
    pub fn last_node(&self, graph: GraphId, label: Option<u32>) -> Result<Option<NodeId>> {
        let prefix = label.map_or_else(|| Key::new(NODES), keys::labelled);
        let (start, end) = graph.node_keys(prefix);
        let Some((key, _)) = self.read.last(&start, &end)? else {
            return Ok(None);
        };
        let id = keys::id_at(key, prefix.len()).ok_or_else(|| GraphError::corrupt("the key of a node"))?;
        Ok(Some(NodeId(id)))
    }

    /// Edges of a graph, ascending from `from`.
    pub fn edges_from(&self, graph: GraphId, from: EdgeId) -> Result<impl Iterator<Item = Result<EdgeRef>>> {
        let ids = graph.ids();
        let found = edges::from(&self.read, EdgeId(from.0.max(ids.start)))?.map(|stored| Ok(stored?.edge));
        Ok(found.take_while(move |edge: &Result<EdgeRef>| {
            edge.as_ref().map_or(true, |edge| edge.edge.0 < ids.end)
        }))
    }

    /// How many nodes a graph has, with this label or at all.
    pub fn node_count(&self, graph: GraphId, label: Option<u32>) -> Result<u64> {
        match label {
            None => Ok(Sizes::read(&self.read, graph)?.nodes),
            Some(label) => counters::count(&self.read, graph, TokenKind::Label, label),
        }
    }

    /// How many edges a graph has, of this type or at all.
    pub fn edge_count(&self, graph: GraphId, edge_type: Option<u32>) -> Result<u64> {
        match edge_type {
            None => Ok(Sizes::read(&self.read, graph)?.edges),
            Some(edge_type) => counters::count(&self.read, graph, TokenKind::EdgeType, edge_type),
        }
    }
}
