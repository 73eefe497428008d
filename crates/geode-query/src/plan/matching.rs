//! The order in which a pattern is matched: greedily the step that multiplies rows least, by the counts of labels and types.
//!
//! Known nodes and edges come first; then nodes whose number is given, or a value that no other has; then edges whose two ends are known, then the edge with the
//! fewest expected neighbours; only when nothing is connected to what is known is an index looked into or a label scanned, whichever
//! gives fewer nodes. Every predicate is
//! applied as soon as its variables are filled. Within one MATCH an edge is matched once (openCypher's rule, GQL's DIFFERENT EDGES).

use super::access::{Index, Seek, seek};
use super::logical::{EdgeTerm, Match, NodeTerm, Predicate};
use super::physical::{Expand, LoweredQuery, Op, Repeat, RepeatPath, lower_query};
use super::reads::Reads;
use super::sargs::{Sarg, sargs};
use crate::catalog::GraphChoice;
use crate::expr::{Expr, LabelTest};
use crate::names::NameIndex;
use geode_graph::GraphId;
use geode_types::QueryError;

/// What the planner knows about the graph.
pub(crate) trait Statistics {
    /// Nodes with the label, or all.
    fn nodes(&mut self, label: Option<NameIndex>) -> Result<f64, QueryError>;
    /// Edges of the type, or all.
    fn edges(&mut self, edge_type: Option<NameIndex>) -> Result<f64, QueryError>;
    /// The indexes on nodes with the label; their keys by the given names.
    fn indexes(&mut self, label: NameIndex, keys: &[NameIndex]) -> Result<Vec<Index>, QueryError>;
    /// Whether a scan of so many nodes is shared with idle cores.
    fn shares_scan(&self, nodes: f64) -> bool;
    /// The graph that figures are of.
    fn graph(&self) -> GraphId;
    /// Figures are of this graph from now on.
    fn enter(&mut self, choice: &GraphChoice) -> Result<GraphId, QueryError>;
    /// The same, with its number.
    fn return_to(&mut self, graph: GraphId);
}

/// How much an equality on a property narrows, without statistics on values.
const EQUALITY_SELECTIVITY: f64 = 0.1;

/// How many edges of a chain are counted when it may be longer.
const EXPECTED_CHAIN: usize = 3;

/// The operators that match a pattern on rows where its bound slots are filled.
pub(crate) fn order_match<'p>(
    pattern: &'p Match,
    statistics: &mut dyn Statistics,
) -> Result<Vec<Op<'p>>, QueryError> {
    let mut ordering = Ordering::new(pattern, statistics)?;
    ordering.start();
    while let Some(next) = ordering.next_step() {
        match next {
            Next::Seek(node, id) => ordering.seek(node, id),
            Next::Scan(node) => ordering.scan(node),
            Next::Index(node, seek) => ordering.index(node, seek),
            Next::Edge(edge) => ordering.follow(edge),
        }
    }
    if !pattern.paths.is_empty() {
        ordering.ops.push(Op::Paths(&pattern.paths));
        for (slot, _) in &pattern.paths {
            ordering.pending.retain(|pending| pending != slot);
        }
        ordering.apply_predicates();
    }
    Ok(ordering.ops)
}

enum Next<'p> {
    Seek(usize, &'p Expr),
    Scan(usize),
    Index(usize, Seek<'p>),
    Edge(usize),
}

struct Ordering<'p> {
    pattern: &'p Match,
    ops: Vec<Op<'p>>,
    /// Slots of the pattern that are not filled yet.
    pending: Vec<usize>,
    bound: Vec<bool>,
    done: Vec<bool>,
    applied: Vec<bool>,
    /// Conditions on the edges of a chain that has been followed, which wait for other slots: the chain, its condition.
    waiting: Vec<(usize, &'p Predicate)>,
    /// Expected number of matches of each node term, alone.
    cardinality: Vec<f64>,
    /// The rarest label of each node term.
    scan_label: Vec<Option<NameIndex>>,
    /// Expected edges per node of each edge term.
    degree: Vec<f64>,
    /// The plans of repeated paths, by edge term, until they are used.
    groups: Vec<Option<LoweredQuery<'p>>>,
    all_nodes: f64,
    /// How many nodes a scan of each node term reads.
    scanned: Vec<f64>,
    /// Conditions that indexes answer, and the indexes of each node term.
    sargs: Vec<Sarg<'p>>,
    indexes: Vec<Vec<Index>>,
}

impl<'p> Ordering<'p> {
    fn new(pattern: &'p Match, statistics: &mut dyn Statistics) -> Result<Self, QueryError> {
        let all_nodes = statistics.nodes(None)?.max(1.0);
        let (mut cardinality, mut scan_label, mut scanned) = (Vec::new(), Vec::new(), Vec::new());
        let sargs: Vec<Sarg<'p>> = pattern
            .predicates
            .iter()
            .flat_map(|predicate| sargs(&predicate.expr))
            .collect();
        let mut indexes = Vec::new();
        for node in &pattern.nodes {
            let (mut fewest, mut rarest) = (all_nodes, None);
            for label in node.labels.iter().flat_map(LabelTest::required) {
                let count = statistics.nodes(Some(label))?;
                if rarest.is_none() || count < fewest {
                    (fewest, rarest) = (count, Some(label));
                }
            }
            let equalities = pattern
                .predicates
                .iter()
                .filter(|predicate| predicate.equality_on == Some(node.slot))
                .count();
            cardinality.push(fewest * EQUALITY_SELECTIVITY.powi(equalities as i32));
            scan_label.push(rarest);
            scanned.push(fewest);
            indexes.push(indexes_of(node, &sargs, statistics)?);
        }
        let (mut degree, mut groups) = (Vec::new(), Vec::new());
        for edge in &pattern.edges {
            let mut edges = if edge.types.is_empty() {
                statistics.edges(None)?
            } else {
                0.0
            };
            for edge_type in &edge.types {
                edges += statistics.edges(Some(*edge_type))?;
            }
            let group = edge.repeat.as_ref().and_then(|repeat| repeat.group_of.as_ref());
            groups.push(match group {
                Some(group) => Some(lower_query(&group.query, false, statistics)?),
                None => None,
            });
            let once = edges / all_nodes;
            degree.push(match &edge.repeat {
                None => once,
                // A node has about one chain of each length for each way to go on.
                Some(repeat) => (1.0 + once).powi(repeat.max.min(repeat.min.max(EXPECTED_CHAIN)) as i32),
            });
        }
        let node_slots = pattern
            .nodes
            .iter()
            .filter(|node| !node.bound)
            .map(|node| node.slot);
        let edge_slots = pattern
            .edges
            .iter()
            .filter(|edge| !edge.bound)
            .map(|edge| edge.slot);
        let path_slots = pattern.paths.iter().map(|(slot, _)| *slot);
        let group_slots = pattern.edges.iter().flat_map(EdgeTerm::variables);
        Ok(Self {
            pattern,
            ops: Vec::new(),
            pending: node_slots
                .chain(edge_slots)
                .chain(path_slots)
                .chain(group_slots)
                .collect(),
            bound: vec![false; pattern.nodes.len()],
            done: vec![false; pattern.edges.len()],
            applied: vec![false; pattern.predicates.len()],
            waiting: Vec::new(),
            cardinality,
            scan_label,
            degree,
            groups,
            all_nodes,
            scanned,
            sargs,
            indexes,
        })
    }

    /// What earlier steps have filled.
    fn start(&mut self) {
        for (at, node) in self
            .pattern
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.bound)
        {
            self.ops.push(Op::CheckNode { slot: node.slot });
            self.fill_node(at, None);
        }
        self.apply_predicates();
    }

    fn next_step(&self) -> Option<Next<'p>> {
        if let Some((node, id)) = self.seekable() {
            return Some(Next::Seek(node, id));
        }
        if let Some((node, seek)) = self.unique() {
            return Some(Next::Index(node, seek));
        }
        let edges = self
            .pattern
            .edges
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.done[*at]);
        let costed = edges.filter_map(|(at, edge)| self.edge_cost(at, edge).map(|cost| (cost, at)));
        if let Some((_, edge)) = costed.min_by(|left, right| left.0.total_cmp(&right.0)) {
            return Some(Next::Edge(edge));
        }
        let nodes = (0..self.pattern.nodes.len()).filter(|at| !self.bound[*at]);
        let costed = nodes.map(|at| self.start_at(at));
        costed
            .min_by(|left, right| left.0.total_cmp(&right.0))
            .map(|(_, next)| next)
    }

    /// A node that is not known yet but of which an index has one at most: known ends make edges cheap.
    fn unique(&self) -> Option<(usize, Seek<'p>)> {
        let nodes = (0..self.pattern.nodes.len()).filter(|at| !self.bound[*at]);
        let mut seeks = nodes.filter_map(|at| match self.start_at(at) {
            (_, Next::Index(at, seek)) => Some((at, seek)),
            _ => None,
        });
        seeks.find(|(_, seek)| seek.is_unique())
    }

    /// How a node is found when nothing leads to it, and what that costs: the nodes read, and those that go on.
    fn start_at(&self, at: usize) -> (f64, Next<'p>) {
        let slot = self.pattern.nodes[at].slot;
        let sargs: Vec<Sarg<'p>> = self
            .sargs
            .iter()
            .filter(|sarg| sarg.slot == slot)
            .copied()
            .collect();
        let known = |value: &Expr| value.slots().iter().all(|slot| !self.pending.contains(slot));
        let seeks = self.indexes[at]
            .iter()
            .filter_map(|index| seek(index, &sargs, &known));
        let best = seeks.min_by(|left, right| left.1.total_cmp(&right.1));
        match best {
            Some((seek, rows)) if rows < self.scanned[at] => {
                (rows + rows.min(self.cardinality[at]), Next::Index(at, seek))
            }
            _ => (self.scanned[at] + self.cardinality[at], Next::Scan(at)),
        }
    }

    /// A node that is not known yet but whose number is.
    fn seekable(&self) -> Option<(usize, &'p Expr)> {
        let pattern = self.pattern;
        let nodes = pattern.nodes.iter().enumerate();
        nodes.filter(|(at, _)| !self.bound[*at]).find_map(|(at, node)| {
            let given = pattern.predicates.iter().filter_map(|other| other.id_of.as_ref());
            let mut given = given.filter(|(slot, _)| *slot == node.slot);
            let (_, id) = given.find(|(_, id)| id.slots().iter().all(|slot| !self.pending.contains(slot)))?;
            Some((at, id))
        })
    }

    /// By how much following the edge multiplies the rows; none when neither end is known.
    fn edge_cost(&self, at: usize, edge: &EdgeTerm) -> Option<f64> {
        let chain = edge.repeat.is_some();
        if let Some(group) = edge.repeat.as_ref().and_then(|repeat| repeat.group_of.as_ref()) {
            // A repeated path is walked from its start, when what its conditions use is known.
            let mut used = group.imports.iter().flat_map(Expr::slots);
            if !self.bound[edge.from] || used.any(|slot| self.pending.contains(&slot)) {
                return None;
            }
        }
        if edge.bound && !chain {
            return Some(-1.0);
        }
        match (self.bound[edge.from], self.bound[edge.to]) {
            (false, false) => None,
            (true, true) if chain => Some(self.degree[at]),
            (true, true) => Some(0.0),
            (true, false) => Some(self.degree[at] * self.cardinality[edge.to] / self.all_nodes),
            (false, true) => Some(self.degree[at] * self.cardinality[edge.from] / self.all_nodes),
        }
    }

    fn seek(&mut self, node: usize, id: &'p Expr) {
        let slot = self.pattern.nodes[node].slot;
        self.ops.push(Op::Seek { slot, id });
        self.fill_node(node, None);
        // The predicate itself is applied, too: the number may be no number at all.
        self.apply_predicates();
    }

    fn scan(&mut self, node: usize) {
        self.ops.push(Op::Scan {
            slot: self.pattern.nodes[node].slot,
            label: self.scan_label[node],
            reads: Reads::default(),
            reach: 0,
        });
        self.fill_node(node, self.scan_label[node]);
        self.apply_predicates();
    }

    fn index(&mut self, node: usize, seek: Seek<'p>) {
        let slot = self.pattern.nodes[node].slot;
        let required = self.pattern.nodes[node]
            .labels
            .iter()
            .flat_map(LabelTest::required);
        // The index has nodes with its label only; of several labels it is not known here which one that is.
        let label = Some(required.collect::<Vec<_>>()).filter(|labels| labels.len() == 1);
        self.ops.push(Op::IndexSeek { slot, seek });
        self.fill_node(node, label.map(|labels| labels[0]));
        self.apply_predicates();
    }

    fn follow(&mut self, at: usize) {
        let edge = &self.pattern.edges[at];
        let walked = !edge.bound || edge.repeat.is_some();
        let backwards = walked && !self.bound[edge.from];
        let (from, to) = if backwards {
            (edge.to, edge.from)
        } else {
            (edge.from, edge.to)
        };
        let distinct_from = self.pattern.edges.iter().enumerate();
        let repeatable = self.pattern.repeatable;
        let must_differ = |term: &EdgeTerm| !repeatable || (edge.trail && term.path == edge.path);
        let distinct_from = distinct_from
            .filter(|(other, term)| self.done[*other] && must_differ(term) && may_coincide(edge, term));
        let expand = Expand {
            from: self.pattern.nodes[from].slot,
            edge: edge.slot,
            to: self.pattern.nodes[to].slot,
            direction: if backwards {
                edge.direction.reversed()
            } else {
                edge.direction
            },
            types: &edge.types,
            test: edge.test.as_ref(),
            from_bound: self.bound[from],
            to_bound: self.bound[to],
            distinct_from: distinct_from.map(|(_, term)| term.slot).collect(),
        };
        let op = match &edge.repeat {
            None if edge.bound => Op::Endpoints(expand),
            None => Op::Expand(expand),
            Some(repeat) => match (&repeat.group_of, self.groups[at].take()) {
                (Some(group), Some(query)) => Op::RepeatPath(RepeatPath {
                    expand,
                    min: repeat.min,
                    max: repeat.max,
                    walk: repeat.walk,
                    group,
                    query,
                }),
                _ => self.chain(edge, expand, backwards),
            },
        };
        self.ops.push(op);
        self.done[at] = true;
        let group: Vec<usize> = edge.variables().collect();
        self.pending
            .retain(|pending| *pending != edge.slot && !group.contains(pending));
        for node in [from, to] {
            if !self.bound[node] {
                self.fill_node(node, None);
            }
        }
        self.apply_predicates();
    }

    /// Follows a chain of edges. Conditions that look at nothing unknown are asked on the way, the others when they can be.
    fn chain(&mut self, edge: &'p EdgeTerm, expand: Expand<'p>, backwards: bool) -> Op<'p> {
        let Some(repeat) = edge.repeat.as_deref() else {
            return Op::Expand(expand);
        };
        let mut conditions = Vec::new();
        for condition in &repeat.conditions {
            let mut others = condition.slots.iter().filter(|slot| **slot != repeat.element);
            if others.all(|slot| !self.pending.contains(slot)) {
                conditions.push(&condition.expr);
            } else {
                self.waiting.push((edge.slot, condition));
            }
        }
        Op::Repeat(Repeat {
            expand,
            min: repeat.min,
            max: repeat.max,
            group: repeat.group,
            walk: repeat.walk,
            search: repeat.search,
            backwards,
            edges_bound: edge.bound,
            element: repeat.element,
            conditions,
        })
    }

    /// Marks a node as known and tests its labels, except the one that a scan has just looked up.
    fn fill_node(&mut self, at: usize, scanned: Option<NameIndex>) {
        let node = &self.pattern.nodes[at];
        self.bound[at] = true;
        self.pending.retain(|pending| *pending != node.slot);
        let is_scanned =
            |test: &LabelTest| matches!(test, LabelTest::Name { label, .. } if Some(*label) == scanned);
        if let Some(test) = node.labels.as_ref().filter(|test| !is_scanned(test)) {
            self.ops.push(Op::Labels {
                slot: node.slot,
                test,
                reads: Reads::default(),
            });
        }
    }

    fn apply_predicates(&mut self) {
        let mut conditions = Vec::new();
        for (at, predicate) in self.pattern.predicates.iter().enumerate() {
            if !self.applied[at] && predicate.slots.iter().all(|slot| !self.pending.contains(slot)) {
                self.applied[at] = true;
                conditions.push(&predicate.expr);
            }
        }
        if !conditions.is_empty() {
            self.ops.push(Op::Filter(conditions));
        }
        let (pattern, pending, ops) = (self.pattern, &self.pending, &mut self.ops);
        self.waiting.retain(|(slot, condition)| {
            let element = pattern
                .edges
                .iter()
                .find(|edge| edge.slot == *slot)
                .and_then(|edge| edge.repeat.as_ref())
                .map_or(*slot, |repeat| repeat.element);
            let ready = condition
                .slots
                .iter()
                .all(|other| *other == element || !pending.contains(other));
            if ready {
                ops.push(Op::EachEdge {
                    slot: *slot,
                    element,
                    condition: &condition.expr,
                });
            }
            !ready
        });
    }
}

/// The indexes of a node's labels, if any condition could use one.
fn indexes_of(
    node: &NodeTerm,
    sargs: &[Sarg<'_>],
    statistics: &mut dyn Statistics,
) -> Result<Vec<Index>, QueryError> {
    let keys: Vec<NameIndex> = sargs
        .iter()
        .filter(|sarg| sarg.slot == node.slot)
        .map(|sarg| sarg.key)
        .collect();
    if keys.is_empty() || node.bound {
        return Ok(Vec::new());
    }
    let mut indexes = Vec::new();
    for label in node.labels.iter().flat_map(LabelTest::required) {
        indexes.extend(statistics.indexes(label, &keys)?);
    }
    Ok(indexes)
}

/// Edges of disjoint types are different without asking.
fn may_coincide(left: &EdgeTerm, right: &EdgeTerm) -> bool {
    left.types.is_empty()
        || right.types.is_empty()
        || left.types.iter().any(|name| right.types.contains(name))
}
