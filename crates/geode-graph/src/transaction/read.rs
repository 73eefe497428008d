//! Reading in a transaction: the snapshot with the transaction's own writes on top, each read noted in the read set.

use super::Transaction;
use crate::adjacency::{Adjacent, Direction};
use crate::catalog::TokenKind;
use crate::checkpoints;
use crate::error::{GraphError, Result};
use crate::readset::Touch;
use crate::record::{EdgeRecord, EdgeRef, Labels, NodeRecord, property_in};
use crate::scan::NodeScan;
use crate::users::{self, UserRecord};
use crate::view::NodeView;
use geode_store::ReadTxn;
use geode_types::{EdgeId, NodeId, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl<R: ReadTxn> Transaction<R> {
    /// The number of a label.
    pub fn label_id(&self, name: &str) -> Result<Option<u32>> {
        self.token_id(TokenKind::Label, name)
    }

    /// The number of an edge type.
    pub fn type_id(&self, name: &str) -> Result<Option<u32>> {
        self.token_id(TokenKind::EdgeType, name)
    }

    /// The number of a property key.
    pub fn key_id(&self, name: &str) -> Result<Option<u32>> {
        self.token_id(TokenKind::PropertyKey, name)
    }

    /// The name of a label.
    pub fn label_name(&self, id: u32) -> Result<Arc<str>> {
        self.token_name(TokenKind::Label, id)
    }

    /// The name of an edge type.
    pub fn type_name(&self, id: u32) -> Result<Arc<str>> {
        self.token_name(TokenKind::EdgeType, id)
    }

    /// The name of a property key.
    pub fn key_name(&self, id: u32) -> Result<Arc<str>> {
        self.token_name(TokenKind::PropertyKey, id)
    }

    /// All labels, ascending by number.
    pub fn labels(&self) -> Result<Vec<(u32, Arc<str>)>> {
        self.tokens(TokenKind::Label)
    }

    /// All edge types, ascending by number.
    pub fn types(&self) -> Result<Vec<(u32, Arc<str>)>> {
        self.tokens(TokenKind::EdgeType)
    }

    /// All property keys, ascending by number.
    pub fn keys(&self) -> Result<Vec<(u32, Arc<str>)>> {
        self.tokens(TokenKind::PropertyKey)
    }

    /// The number of a name. That a name has none is a read that others can invalidate; a number never changes.
    pub fn token_id(&self, kind: TokenKind, name: &str) -> Result<Option<u32>> {
        if let Some(id) = self.overlay.token_id(kind, name) {
            return Ok(Some(id));
        }
        let id = self.snapshot.token_id(kind, name)?;
        if id.is_none() {
            self.note(|| Touch::Token(kind, name.to_owned()));
        }
        Ok(id)
    }

    /// The name of a number.
    pub fn token_name(&self, kind: TokenKind, id: u32) -> Result<Arc<str>> {
        if let Some(name) = self.overlay.token_name(kind, id) {
            return Ok(name);
        }
        if let Some(name) = self.names.borrow().get(&(kind, id)) {
            return Ok(name.clone());
        }
        let name = self.snapshot.token_name(kind, id)?;
        let name = name.ok_or_else(|| GraphError::corrupt(format!("{kind:?} {id} has no name")))?;
        self.names.borrow_mut().insert((kind, id), name.clone());
        Ok(name)
    }

    fn tokens(&self, kind: TokenKind) -> Result<Vec<(u32, Arc<str>)>> {
        self.note(|| Touch::Tokens(kind));
        let mut tokens = self.snapshot.tokens(kind)?;
        tokens.extend(self.overlay.tokens(kind));
        tokens.sort_unstable_by_key(|(id, _)| *id);
        Ok(tokens)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Result<Option<NodeRecord>> {
        self.note(|| Touch::Node(id));
        match self.overlay.node(id) {
            Some(version) => Ok(version.now.as_deref().cloned()),
            None => self.snapshot.node(id),
        }
    }

    /// Whether a node is there. Does not conflict with changes of its content.
    pub fn node_exists(&self, id: NodeId) -> Result<bool> {
        self.note(|| Touch::Existence(id));
        match self.overlay.node(id) {
            Some(version) => Ok(version.now.is_some()),
            None => self.snapshot.node_exists(id),
        }
    }

    /// The labels of a node.
    pub fn node_labels(&self, id: NodeId) -> Result<Option<Labels>> {
        self.note(|| Touch::Node(id));
        match self.overlay.node(id) {
            Some(version) => Ok(version.now.as_ref().map(|record| record.labels.clone())),
            None => self.snapshot.node_labels(id),
        }
    }

    /// Whether a node is there and has the label.
    pub fn node_has_label(&self, id: NodeId, label: u32) -> Result<bool> {
        Ok(self
            .node_labels(id)?
            .is_some_and(|labels| labels.contains(&label)))
    }

    /// One property of a node; `None` when the node or the property is not there.
    pub fn node_property(&self, id: NodeId, key: u32) -> Result<Option<Value>> {
        self.note(|| Touch::Node(id));
        match self.overlay.node(id) {
            Some(version) => Ok(version
                .now
                .as_ref()
                .and_then(|record| property_in(&record.properties, key).cloned())),
            None => self.snapshot.node_property(id, key),
        }
    }

    /// Shows nodes, ascending and each once, to `each` with their places; those that are not there are left out.
    pub fn visit_nodes(
        &self,
        ids: &[NodeId],
        mut each: impl FnMut(usize, NodeView<'_>) -> Result<()>,
    ) -> Result<()> {
        for id in ids {
            self.note(|| Touch::Node(*id));
        }
        if !self.overlay.has_nodes() {
            return self.snapshot.visit_nodes(ids, each);
        }
        for (place, id) in ids.iter().enumerate() {
            match self.overlay.node(*id) {
                Some(version) => {
                    if let Some(record) = version.now.as_deref() {
                        each(place, NodeView::record(record))?;
                    }
                }
                None => self.snapshot.visit_nodes(&[*id], |_, node| each(place, node))?,
            }
        }
        Ok(())
    }

    /// An edge.
    pub fn edge(&self, id: EdgeId) -> Result<Option<EdgeRecord>> {
        self.note(|| Touch::Edge(id));
        match self.overlay.edge(id) {
            Some(version) => Ok(version.now.as_deref().cloned()),
            None => self.snapshot.edge(id),
        }
    }

    /// One property of an edge; `None` when the edge or the property is not there.
    pub fn edge_property(&self, id: EdgeId, key: u32) -> Result<Option<Value>> {
        self.note(|| Touch::Edge(id));
        match self.overlay.edge(id) {
            Some(version) => Ok(version
                .now
                .as_ref()
                .and_then(|record| property_in(&record.properties, key).cloned())),
            None => self.snapshot.edge_property(id, key),
        }
    }

    /// Appends the edges of a node, of these types or of all. A self loop comes once when both directions are asked for. The
    /// order is by direction, type, other node, then the transaction's own new edges.
    pub fn expand(
        &self,
        node: NodeId,
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Result<()> {
        self.note_adjacency(node, direction, types);
        self.snapshot.visit_adjacent(node, direction, types, |adjacent| {
            if !self.overlay.is_edge_deleted(adjacent.edge) {
                out.push(adjacent);
            }
        })?;
        self.overlay
            .new_adjacent(node, direction, types, |adjacent| out.push(adjacent));
        Ok(())
    }

    /// Appends those edges that [`Transaction::expand`] would append and that lead to the other node. With types given, only the place where
    /// they would be is read.
    pub fn expand_to(
        &self,
        (node, other): (NodeId, NodeId),
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Result<()> {
        let Some(listed) = types else {
            let start = out.len();
            self.expand(node, direction, None, out)?;
            let mut at = 0;
            out.retain(|adjacent| {
                at += 1;
                at <= start || adjacent.other == other
            });
            return Ok(());
        };
        self.note_adjacency(node, direction, types);
        self.snapshot
            .visit_between((node, other), direction, listed, |adjacent| {
                if !self.overlay.is_edge_deleted(adjacent.edge) {
                    out.push(adjacent);
                }
            })?;
        self.overlay.new_adjacent(node, direction, types, |adjacent| {
            if adjacent.other == other {
                out.push(adjacent);
            }
        });
        Ok(())
    }

    /// The number of edges that [`Transaction::expand`] would append.
    pub fn degree(&self, node: NodeId, direction: Direction, types: Option<&[u32]>) -> Result<u64> {
        if self.overlay.is_empty() && direction != Direction::Both {
            self.note_adjacency(node, direction, types);
            return self.snapshot.degree(node, direction, types);
        }
        let mut edges = Vec::new();
        self.expand(node, direction, types, &mut edges)?;
        Ok(edges.len() as u64)
    }

    /// For nodes, ascending and each once, the number of edges that [`Transaction::expand`] would append.
    pub fn degrees(&self, nodes: &[NodeId], direction: Direction, types: Option<&[u32]>) -> Result<Vec<u64>> {
        let edge_type = match types {
            None => Some(None),
            Some([edge_type]) => Some(Some(*edge_type)),
            Some(_) => None,
        };
        if let Some(edge_type) = edge_type
            && direction != Direction::Both
            && self.overlay.is_empty()
        {
            for node in nodes {
                self.note_adjacency(*node, direction, types);
            }
            let outgoing = direction == Direction::Out;
            return self.snapshot.degrees(nodes, outgoing, edge_type);
        }
        nodes
            .iter()
            .map(|node| self.degree(*node, direction, types))
            .collect()
    }

    fn note_adjacency(&self, node: NodeId, direction: Direction, types: Option<&[u32]>) {
        for outgoing in [true, false] {
            if !direction.includes(outgoing) {
                continue;
            }
            match types {
                None => self.note(|| Touch::Adjacency(node, outgoing, None)),
                Some(types) => {
                    for edge_type in types {
                        self.note(|| Touch::Adjacency(node, outgoing, Some(*edge_type)));
                    }
                }
            }
        }
    }

    /// Appends up to `limit` nodes of the graph behind `after`, ascending, with the label or all. Fewer than `limit` means the end. Nodes
    /// that the transaction creates between two calls are seen by the second: who writes while scanning has to collect first.
    pub fn scan_nodes(
        &self,
        label: Option<u32>,
        after: Option<NodeId>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Result<()> {
        self.note(|| label.map_or(Touch::AllNodes, Touch::Label));
        let ids = self.graph.ids();
        let from = NodeId(after.map_or(ids.start, |after| after.0.saturating_add(1)));
        let mut own = self.overlay.nodes_from(label, from, NodeId(ids.end)).peekable();
        let end = out.len().saturating_add(limit);
        for id in self.snapshot.nodes_from(self.graph, label, from)? {
            let id = id?;
            while out.len() < end && own.peek().is_some_and(|own| *own < id) {
                out.extend(own.next());
            }
            if out.len() >= end {
                return Ok(());
            }
            if self.overlay.node(id).is_none() {
                out.push(id);
            }
        }
        out.extend(own.take(end - out.len()));
        Ok(())
    }

    /// Shows up to `limit` nodes of the graph behind those that the scan has shown, ascending, with the label or all; `true` at the end. It
    /// reads what [`Transaction::scan_nodes`] and [`Transaction::visit_nodes`] read, in one pass where the nodes lie close together.
    pub fn visit_scan(
        &self,
        label: Option<u32>,
        scan: &mut NodeScan,
        limit: usize,
        mut each: impl FnMut(NodeId, NodeView<'_>) -> Result<()>,
    ) -> Result<bool> {
        if self.overlay.has_nodes() {
            let mut ids = Vec::new();
            self.scan_nodes(label, scan.after, limit, &mut ids)?;
            ids.retain(|id| scan.is_before_end(*id));
            scan.found(&ids);
            self.visit_nodes(&ids, |place, node| each(ids[place], node))?;
            return Ok(ids.len() < limit);
        }
        self.note(|| label.map_or(Touch::AllNodes, Touch::Label));
        self.snapshot.scan(self.graph, label, scan, limit, |id, node| {
            self.note(|| Touch::Node(id));
            each(id, node)
        })
    }

    /// Appends up to `limit` edges of the graph behind `after`, ascending, of the type or all. Fewer than `limit` means the end.
    pub fn scan_edges(
        &self,
        edge_type: Option<u32>,
        after: Option<EdgeId>,
        limit: usize,
        out: &mut Vec<EdgeRef>,
    ) -> Result<()> {
        self.note(|| edge_type.map_or(Touch::AllEdges, Touch::EdgesOfType));
        let wanted = |edge: &EdgeRef| edge_type.is_none_or(|wanted| wanted == edge.edge_type);
        let ids = self.graph.ids();
        let from = EdgeId(after.map_or(ids.start, |after| after.0.saturating_add(1)));
        let own = self
            .overlay
            .new_edges_from(from, EdgeId(ids.end))
            .map(|(id, record)| record.as_ref(id));
        let mut own = own.filter(wanted).peekable();
        let end = out.len().saturating_add(limit);
        for edge in self.snapshot.edges_from(self.graph, from)? {
            let edge = edge?;
            while out.len() < end && own.peek().is_some_and(|own| own.edge < edge.edge) {
                out.extend(own.next());
            }
            if out.len() >= end {
                return Ok(());
            }
            if wanted(&edge) && !self.overlay.is_edge_deleted(edge.edge) {
                out.push(edge);
            }
        }
        out.extend(own.take(end - out.len()));
        Ok(())
    }

    /// How many nodes the graph has in the snapshot, with this label or at all: a figure for planning, without the transaction's own writes
    /// and outside the read set.
    pub fn node_count(&self, label: Option<u32>) -> Result<u64> {
        self.snapshot.node_count(self.graph, label)
    }

    /// How many edges the graph has in the snapshot, of this type or at all: a figure for planning, like [`Transaction::node_count`].
    pub fn edge_count(&self, edge_type: Option<u32>) -> Result<u64> {
        self.snapshot.edge_count(self.graph, edge_type)
    }

    /// The user of this name.
    pub fn user(&self, name: &str) -> Result<Option<UserRecord>> {
        self.note(|| Touch::User(name.to_owned()));
        match self.overlay.user(name) {
            Some(user) => Ok(user.now.clone()),
            None => users::user(self.snapshot.reader(), name),
        }
    }

    /// The names of all checkpoints.
    pub(super) fn checkpoints(&self) -> Result<BTreeSet<String>> {
        self.note(|| Touch::Checkpoints);
        let stored = checkpoints::checkpoints(self.snapshot.reader())?;
        let mut names: BTreeSet<String> = stored.into_iter().map(|checkpoint| checkpoint.name).collect();
        for (name, checkpoint) in self.overlay.checkpoints() {
            match checkpoint.now {
                Some(()) => names.insert(name.clone()),
                None => names.remove(name),
            };
        }
        Ok(names)
    }

    /// All users, by name.
    pub fn users(&self) -> Result<Vec<UserRecord>> {
        self.note(|| Touch::Users);
        let stored = users::users(self.snapshot.reader())?;
        let mut all: BTreeMap<String, UserRecord> =
            stored.into_iter().map(|user| (user.name.clone(), user)).collect();
        for (name, user) in self.overlay.users() {
            match &user.now {
                Some(user) => all.insert(name.clone(), user.clone()),
                None => all.remove(name),
            };
        }
        Ok(all.into_values().collect())
    }
}
