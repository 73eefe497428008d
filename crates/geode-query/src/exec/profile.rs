//! What each operator of one execution did: rows, accesses to the graph, time and memory.
//!
//! Operators are told apart by where their part of the physical plan is in memory, so that one that is started again for each batch, within
//! OPTIONAL MATCH or a subquery, has one account. What an operator starts within itself counts for it, too.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::graph::Graph;
use geode_graph::{
    Adjacent, Direction, EdgeRecord, GraphId, IndexCursor, IndexStatistics, KeyRange, NodeRecord, NodeScan,
    NodeView, Object, ObjectKind, PropertyList, RoleRecord, Rule, RuleId, TokenKind, UserRecord,
};
use geode_types::{EdgeId, NodeId, QueryError, Summary, Value};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The account of one operator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// Rows that it gave.
    pub rows: u64,
    /// Nodes, edges, lists and entries of indexes that it asked the graph for.
    pub hits: u64,
    pub time: Duration,
    /// Bytes that it held at once, at most.
    pub memory: usize,
    /// Threads that it ran on at once, at most, if there were others than the statement's.
    pub threads: usize,
    held: isize,
}

/// The accounts of one execution.
#[derive(Debug, Default)]
pub(crate) struct Profile(HashMap<usize, Account>);

impl Profile {
    /// The account of the operator at this place of the plan; empty when it was never started.
    pub(crate) fn of<T>(&self, op: &T) -> Account {
        self.0.get(&place(op)).copied().unwrap_or_default()
    }

    /// Adds what operators did in other threads at the same time. Their times are those of processors then.
    pub(super) fn add(&mut self, others: &[Self]) {
        let mut threads: HashMap<usize, usize> = HashMap::new();
        for (place, theirs) in others.iter().flat_map(|other| &other.0) {
            let account = self.0.entry(*place).or_default();
            account.rows += theirs.rows;
            account.hits += theirs.hits;
            account.time += theirs.time;
            account.memory = account.memory.max(theirs.memory);
            let threads = threads.entry(*place).or_insert(1);
            *threads += 1;
            account.threads = account.threads.max(*threads);
        }
    }
}

/// Where something is in memory.
pub(super) fn place<T>(op: &T) -> usize {
    std::ptr::from_ref(op).addr()
}

/// Runs an operator, on its account if there is one.
pub(super) fn run(
    operator: &mut dyn Operator,
    place: usize,
    input: Input,
    cx: &mut Cx<'_>,
) -> Result<Output, QueryError> {
    if cx.profile.is_none() {
        return operator.run(input, cx);
    }
    let (start, hits, memory) = (Instant::now(), cx.graph.hits(), cx.memory());
    let output = operator.run(input, cx);
    let (hits, now) = (cx.graph.hits() - hits, cx.memory());
    let account = cx.profile.get_or_insert_default().0.entry(place).or_default();
    account.time += start.elapsed();
    account.hits += hits;
    account.held += now as isize - memory as isize;
    account.memory = account.memory.max(account.held.max(0) as usize);
    if let Ok(Output::Rows(rows)) = &output {
        account.rows += rows.len() as u64;
    }
    output
}

/// A graph that counts how often it is asked.
pub(super) struct Counted<'g> {
    graph: &'g mut dyn Graph,
    hits: Cell<u64>,
}

impl<'g> Counted<'g> {
    pub(super) fn new(graph: &'g mut dyn Graph) -> Self {
        Self {
            graph,
            hits: Cell::new(0),
        }
    }

    fn hit(&self, times: usize) -> &dyn Graph {
        self.hits.set(self.hits.get() + times as u64);
        &*self.graph
    }

    fn change(&mut self) -> &mut dyn Graph {
        self.hits.set(self.hits.get() + 1);
        &mut *self.graph
    }
}

type Asked<T> = Result<T, QueryError>;

impl Graph for Counted<'_> {
    fn helper(&self) -> Asked<Option<Box<dyn Graph + Send>>> {
        self.graph.helper()
    }

    fn hits(&self) -> u64 {
        self.hits.get()
    }

    fn graph(&self) -> GraphId {
        self.graph.graph()
    }

    fn use_graph(&mut self, graph: GraphId) {
        self.graph.use_graph(graph);
    }

    fn graph_named(&self, path: &str) -> Asked<GraphId> {
        self.graph.graph_named(path)
    }

    fn objects(&self, kind: ObjectKind) -> Asked<BTreeMap<String, Object>> {
        self.graph.objects(kind)
    }

    fn users(&self) -> Asked<Vec<UserRecord>> {
        self.graph.users()
    }

    fn roles(&self) -> Asked<Vec<RoleRecord>> {
        self.graph.roles()
    }

    fn token_id(&self, kind: TokenKind, name: &str) -> Asked<Option<u32>> {
        self.graph.token_id(kind, name)
    }

    fn token_name(&self, kind: TokenKind, id: u32) -> Asked<Arc<str>> {
        self.graph.token_name(kind, id)
    }

    fn define(&mut self, kind: TokenKind, name: &str) -> Asked<u32> {
        self.graph.define(kind, name)
    }

    fn began_micros(&mut self, now_micros: i64) -> i64 {
        self.graph.began_micros(now_micros)
    }

    fn notes_reads(&self) -> bool {
        self.graph.notes_reads()
    }

    fn has_writes(&self) -> bool {
        self.graph.has_writes()
    }

    fn node(&self, id: NodeId) -> Asked<Option<NodeRecord>> {
        self.hit(1).node(id)
    }

    fn node_exists(&self, id: NodeId) -> Asked<bool> {
        self.hit(1).node_exists(id)
    }

    fn node_labels(&self, id: NodeId) -> Asked<Option<Vec<u32>>> {
        self.hit(1).node_labels(id)
    }

    fn node_property(&self, id: NodeId, key: u32) -> Asked<Option<Value>> {
        self.hit(1).node_property(id, key)
    }

    fn visit_nodes(
        &self,
        ids: &[NodeId],
        each: &mut dyn FnMut(usize, NodeView<'_>) -> geode_graph::Result<()>,
    ) -> Asked<()> {
        self.hit(ids.len()).visit_nodes(ids, each)
    }

    fn edge(&self, id: EdgeId) -> Asked<Option<EdgeRecord>> {
        self.hit(1).edge(id)
    }

    fn edge_property(&self, id: EdgeId, key: u32) -> Asked<Option<Value>> {
        self.hit(1).edge_property(id, key)
    }

    fn expand(
        &self,
        node: NodeId,
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Asked<()> {
        let before = out.len();
        self.hit(1).expand(node, direction, types, out)?;
        self.hit(out.len() - before);
        Ok(())
    }

    fn expand_to(
        &self,
        ends: (NodeId, NodeId),
        direction: Direction,
        types: Option<&[u32]>,
        out: &mut Vec<Adjacent>,
    ) -> Asked<()> {
        self.hit(1).expand_to(ends, direction, types, out)
    }

    fn degrees(&self, nodes: &[NodeId], direction: Direction, types: Option<&[u32]>) -> Asked<Vec<u64>> {
        self.hit(nodes.len()).degrees(nodes, direction, types)
    }

    fn visit_scan(
        &self,
        label: Option<u32>,
        scan: &mut NodeScan,
        limit: usize,
        each: &mut dyn FnMut(NodeId, NodeView<'_>) -> geode_graph::Result<()>,
    ) -> Asked<bool> {
        let mut hits = 0;
        let done = self.graph.visit_scan(label, scan, limit, &mut |id, node| {
            hits += 1;
            each(id, node)
        })?;
        self.hit(hits);
        Ok(done)
    }

    fn scan_nodes(
        &self,
        label: Option<u32>,
        after: Option<NodeId>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Asked<()> {
        let before = out.len();
        self.graph.scan_nodes(label, after, limit, out)?;
        self.hit(out.len() - before);
        Ok(())
    }

    fn last_node(&self, label: Option<u32>) -> Asked<Option<NodeId>> {
        self.hit(1).last_node(label)
    }

    fn rules(&self) -> Asked<Arc<[Rule]>> {
        self.graph.rules()
    }

    fn index_statistics(&self, rule: RuleId) -> Asked<IndexStatistics> {
        self.graph.index_statistics(rule)
    }

    fn scan_index(
        &self,
        rule: RuleId,
        range: &KeyRange,
        after: Option<IndexCursor>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Asked<Option<IndexCursor>> {
        let before = out.len();
        let cursor = self.hit(1).scan_index(rule, range, after, limit, out)?;
        self.hit(out.len() - before);
        Ok(cursor)
    }

    fn node_count(&self, label: Option<u32>) -> Asked<u64> {
        self.graph.node_count(label)
    }

    fn edge_count(&self, edge_type: Option<u32>) -> Asked<u64> {
        self.graph.edge_count(edge_type)
    }

    fn create_node(&mut self, labels: &[u32], properties: PropertyList) -> Asked<NodeId> {
        self.change().create_node(labels, properties)
    }

    fn create_edge(
        &mut self,
        edge_type: u32,
        start: NodeId,
        end: NodeId,
        properties: PropertyList,
    ) -> Asked<EdgeId> {
        self.change().create_edge(edge_type, start, end, properties)
    }

    fn set_node_property(&mut self, id: NodeId, key: u32, value: Value) -> Asked<()> {
        self.change().set_node_property(id, key, value)
    }

    fn set_edge_property(&mut self, id: EdgeId, key: u32, value: Value) -> Asked<()> {
        self.change().set_edge_property(id, key, value)
    }

    fn replace_node_properties(&mut self, id: NodeId, properties: PropertyList) -> Asked<()> {
        self.change().replace_node_properties(id, properties)
    }

    fn replace_edge_properties(&mut self, id: EdgeId, properties: PropertyList) -> Asked<()> {
        self.change().replace_edge_properties(id, properties)
    }

    fn set_label(&mut self, id: NodeId, label: u32, add: bool) -> Asked<()> {
        self.change().set_label(id, label, add)
    }

    fn delete_node(&mut self, id: NodeId, detach: bool) -> Asked<()> {
        self.change().delete_node(id, detach)
    }

    fn delete_edge(&mut self, id: EdgeId) -> Asked<()> {
        self.change().delete_edge(id)
    }

    fn summary(&self) -> Summary {
        self.graph.summary()
    }
}
