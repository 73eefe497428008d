//! The seam between executor and transaction: what a running statement asks of the graph, without the store's type.

use geode_graph::{
    Adjacent, Direction, EdgeRecord, GraphId, IndexCursor, IndexStatistics, KeyRange, NodeRecord, NodeScan,
    NodeView, Object, ObjectKind, PropertyList, RoleRecord, Rule, RuleId, TokenKind, Transaction, UserRecord,
};
use geode_store::ReadTxn;
use geode_types::{EdgeId, NodeId, QueryError, Summary, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

/// A [`Transaction`] over any store.
pub(crate) trait Graph {
    fn token_id(&self, kind: TokenKind, name: &str) -> Result<Option<u32>>;
    fn token_name(&self, kind: TokenKind, id: u32) -> Result<Arc<str>>;
    fn define(&mut self, kind: TokenKind, name: &str) -> Result<u32>;
    fn has_writes(&self) -> bool;
    /// Whether what is read counts when the transaction is certified.
    fn notes_reads(&self) -> bool;
    /// The same graph for another thread, if this transaction only reads and there can be a second one on its snapshot.
    fn helper(&self) -> Result<Option<Box<dyn Graph + Send>>>;
    /// How often it was asked, if it counts that.
    fn hits(&self) -> u64 {
        0
    }

    /// The graph that scans read, that new nodes go to, and that counts are of.
    fn graph(&self) -> GraphId;
    fn use_graph(&mut self, graph: GraphId);
    fn graph_named(&self, path: &str) -> Result<GraphId>;
    fn objects(&self, kind: ObjectKind) -> Result<BTreeMap<String, Object>>;
    /// Those that somebody can be.
    fn users(&self) -> Result<Vec<UserRecord>>;
    fn roles(&self) -> Result<Vec<RoleRecord>>;

    fn node(&self, id: NodeId) -> Result<Option<NodeRecord>>;
    fn node_exists(&self, id: NodeId) -> Result<bool>;
    fn node_labels(&self, id: NodeId) -> Result<Option<Vec<u32>>>;
    fn node_property(&self, id: NodeId, key: u32) -> Result<Option<Value>>;
    fn visit_nodes(
        &self,
        ids: &[NodeId],
        each: &mut dyn FnMut(usize, NodeView<'_>) -> geode_graph::Result<()>,
    ) -> Result<()>;
    fn edge(&self, id: EdgeId) -> Result<Option<EdgeRecord>>;
    fn edge_property(&self, id: EdgeId, key: u32) -> Result<Option<Value>>;
    fn expand(
        &self,
        node: NodeId,
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Result<()>;
    fn expand_to(
        &self,
        ends: (NodeId, NodeId),
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Result<()>;
    fn degrees(&self, nodes: &[NodeId], direction: Direction, types: Option<&[u32]>) -> Result<Vec<u64>>;
    fn visit_scan(
        &self,
        label: Option<u32>,
        scan: &mut NodeScan,
        limit: usize,
        each: &mut dyn FnMut(NodeId, NodeView<'_>) -> geode_graph::Result<()>,
    ) -> Result<bool>;
    fn scan_nodes(
        &self,
        label: Option<u32>,
        after: Option<NodeId>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Result<()>;
    /// The last node of the graph that is worked on, with a label or at all, without what the transaction has written.
    fn last_node(&self, label: Option<u32>) -> Result<Option<NodeId>>;
    fn rules(&self) -> Result<Arc<[Rule]>>;
    fn index_statistics(&self, rule: RuleId) -> Result<IndexStatistics>;
    fn scan_index(
        &self,
        rule: RuleId,
        range: &KeyRange,
        after: Option<IndexCursor>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Result<Option<IndexCursor>>;
    fn node_count(&self, label: Option<u32>) -> Result<u64>;
    fn edge_count(&self, edge_type: Option<u32>) -> Result<u64>;

    fn create_node(&mut self, labels: &[u32], properties: PropertyList) -> Result<NodeId>;
    fn create_edge(
        &mut self,
        edge_type: u32,
        start: NodeId,
        end: NodeId,
        properties: PropertyList,
    ) -> Result<EdgeId>;
    fn set_node_property(&mut self, id: NodeId, key: u32, value: Value) -> Result<()>;
    fn set_edge_property(&mut self, id: EdgeId, key: u32, value: Value) -> Result<()>;
    fn replace_node_properties(&mut self, id: NodeId, properties: PropertyList) -> Result<()>;
    fn replace_edge_properties(&mut self, id: EdgeId, properties: PropertyList) -> Result<()>;
    fn set_label(&mut self, id: NodeId, label: u32, add: bool) -> Result<()>;
    fn delete_node(&mut self, id: NodeId, detach: bool) -> Result<()>;
    fn delete_edge(&mut self, id: EdgeId) -> Result<()>;
    fn summary(&self) -> Summary;
    /// The time of the transaction, given that of the statement.
    fn began_micros(&mut self, now_micros: i64) -> i64;
}

impl<R: ReadTxn> Graph for Transaction<R> {
    fn token_id(&self, kind: TokenKind, name: &str) -> Result<Option<u32>> {
        Ok(self.token_id(kind, name)?)
    }

    fn token_name(&self, kind: TokenKind, id: u32) -> Result<Arc<str>> {
        Ok(self.token_name(kind, id)?)
    }

    fn define(&mut self, kind: TokenKind, name: &str) -> Result<u32> {
        Ok(self.define(kind, name)?)
    }

    fn has_writes(&self) -> bool {
        self.has_writes()
    }

    fn notes_reads(&self) -> bool {
        !self.is_read_only()
    }

    fn helper(&self) -> Result<Option<Box<dyn Graph + Send>>> {
        let helper = self.helper()?;
        Ok(helper.map(|helper| Box::new(helper) as Box<dyn Graph + Send>))
    }

    fn graph(&self) -> GraphId {
        self.graph()
    }

    fn use_graph(&mut self, graph: GraphId) {
        self.use_graph(graph);
    }

    fn graph_named(&self, path: &str) -> Result<GraphId> {
        Ok(self.graph_named(path)?.id)
    }

    fn objects(&self, kind: ObjectKind) -> Result<BTreeMap<String, Object>> {
        Ok(self.objects(kind)?)
    }

    fn users(&self) -> Result<Vec<UserRecord>> {
        let users = self.users()?.into_iter();
        Ok(users.filter(UserRecord::is_person).collect())
    }

    fn roles(&self) -> Result<Vec<RoleRecord>> {
        Ok(self.roles()?)
    }

    fn node(&self, id: NodeId) -> Result<Option<NodeRecord>> {
        Ok(self.node(id)?)
    }

    fn node_exists(&self, id: NodeId) -> Result<bool> {
        Ok(self.node_exists(id)?)
    }

    fn node_labels(&self, id: NodeId) -> Result<Option<Vec<u32>>> {
        Ok(self.node_labels(id)?.map(|labels| labels.to_vec()))
    }

    fn node_property(&self, id: NodeId, key: u32) -> Result<Option<Value>> {
        Ok(self.node_property(id, key)?)
    }

    fn visit_nodes(
        &self,
        ids: &[NodeId],
        each: &mut dyn FnMut(usize, NodeView<'_>) -> geode_graph::Result<()>,
    ) -> Result<()> {
        Ok(self.visit_nodes(ids, each)?)
    }

    fn edge(&self, id: EdgeId) -> Result<Option<EdgeRecord>> {
        Ok(self.edge(id)?)
    }

    fn edge_property(&self, id: EdgeId, key: u32) -> Result<Option<Value>> {
        Ok(self.edge_property(id, key)?)
    }

    fn expand(
        &self,
        node: NodeId,
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Result<()> {
        Ok(self.expand(node, direction, types, out)?)
    }

    fn scan_nodes(
        &self,
        label: Option<u32>,
        after: Option<NodeId>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Result<()> {
        Ok(self.scan_nodes(label, after, limit, out)?)
    }

    fn expand_to(
        &self,
        ends: (NodeId, NodeId),
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Result<()> {
        Ok(self.expand_to(ends, direction, types, out)?)
    }

    fn degrees(&self, nodes: &[NodeId], direction: Direction, types: Option<&[u32]>) -> Result<Vec<u64>> {
        Ok(self.degrees(nodes, direction, types)?)
    }

    fn visit_scan(
        &self,
        label: Option<u32>,
        scan: &mut NodeScan,
        limit: usize,
        each: &mut dyn FnMut(NodeId, NodeView<'_>) -> geode_graph::Result<()>,
    ) -> Result<bool> {
        Ok(self.visit_scan(label, scan, limit, each)?)
    }

    fn last_node(&self, label: Option<u32>) -> Result<Option<NodeId>> {
        Ok(self.snapshot().last_node(self.graph(), label)?)
    }

    fn rules(&self) -> Result<Arc<[Rule]>> {
        Ok(self.rules()?)
    }

    fn index_statistics(&self, rule: RuleId) -> Result<IndexStatistics> {
        Ok(self.index_statistics(rule)?)
    }

    fn scan_index(
        &self,
        rule: RuleId,
        range: &KeyRange,
        after: Option<IndexCursor>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Result<Option<IndexCursor>> {
        Ok(self.scan_index(rule, range, after, limit, out)?)
    }

    fn node_count(&self, label: Option<u32>) -> Result<u64> {
        Ok(self.node_count(label)?)
    }

    fn edge_count(&self, edge_type: Option<u32>) -> Result<u64> {
        Ok(self.edge_count(edge_type)?)
    }

    fn create_node(&mut self, labels: &[u32], properties: PropertyList) -> Result<NodeId> {
        Ok(self.create_node(labels, properties)?)
    }

    fn create_edge(
        &mut self,
        edge_type: u32,
        start: NodeId,
        end: NodeId,
        properties: PropertyList,
    ) -> Result<EdgeId> {
        Ok(self.create_edge(edge_type, start, end, properties)?)
    }

    fn set_node_property(&mut self, id: NodeId, key: u32, value: Value) -> Result<()> {
        Ok(self.set_node_property(id, key, value)?)
    }

    fn set_edge_property(&mut self, id: EdgeId, key: u32, value: Value) -> Result<()> {
        Ok(self.set_edge_property(id, key, value)?)
    }

    fn replace_node_properties(&mut self, id: NodeId, properties: PropertyList) -> Result<()> {
        Ok(self.replace_node_properties(id, properties)?)
    }

    fn replace_edge_properties(&mut self, id: EdgeId, properties: PropertyList) -> Result<()> {
        Ok(self.replace_edge_properties(id, properties)?)
    }

    fn set_label(&mut self, id: NodeId, label: u32, add: bool) -> Result<()> {
        if add {
            self.add_label(id, label)?
        } else {
            self.remove_label(id, label)?
        };
        Ok(())
    }

    fn delete_node(&mut self, id: NodeId, detach: bool) -> Result<()> {
        Ok(self.delete_node(id, detach)?)
    }

    fn delete_edge(&mut self, id: EdgeId) -> Result<()> {
        Ok(self.delete_edge(id)?)
    }

    fn began_micros(&mut self, now_micros: i64) -> i64 {
        self.began_micros(now_micros)
    }

    fn summary(&self) -> Summary {
        let summary = self.summary();
        Summary {
            nodes_created: summary.nodes_created,
            nodes_deleted: summary.nodes_deleted,
            edges_created: summary.edges_created,
            edges_deleted: summary.edges_deleted,
            properties_set: summary.properties_set,
            labels_added: summary.labels_added,
            labels_removed: summary.labels_removed,
        }
    }
}
