//! Chains of edges: every trail from a node, depth first, with as much memory as the trail under way.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::eval::{has_labels, holds};
use super::expand::{edge_datum, is_taken, node_of};
use super::rows::Rows;
use super::rowwise::RowWise;
use super::rowwise::keep;
use super::shortest::Shortest;
use crate::datum::{Datum, EdgeDatum, PathDatum};
use crate::error;
use crate::expr::Expr;
use crate::plan::logical::EdgeDirection;
use crate::plan::physical::Repeat;
use geode_gql::ast::PathSearch;
use geode_graph::Adjacent;
use geode_types::{EdgeId, NodeId, QueryError};
use std::collections::HashSet;
use std::sync::Arc;

/// After so many edges the limits are looked at, even when no row comes of them.
pub(super) const EDGES_BETWEEN_CHECKS: usize = 1024;

/// Up to this length a trail is searched edge by edge.
const SHORT_TRAIL: usize = 32;

/// The operator for a chain of edges.
pub(super) fn repeat<'p>(spec: &'p Repeat<'p>) -> Box<dyn Operator + 'p> {
    match spec.search {
        PathSearch::Every => Box::new(Trails::new(spec)),
        PathSearch::Shortest(_) | PathSearch::ShortestGroups(_) => Box::new(Shortest::new(spec)),
    }
}

/// Rows in which a condition holds of every edge of a chain.
pub(super) fn each_edge<'p>(slot: usize, element: usize, condition: &'p Expr) -> Box<dyn Operator + 'p> {
    Box::new(RowWise(move |rows, cx: &mut Cx<'_>| {
        keep(rows, |row| {
            let mut scratch = row.to_vec();
            let single = [row[slot].clone()];
            let edges = match &row[slot] {
                Datum::List(edges) => edges.as_slice(),
                Datum::Null => &[],
                _ => &single,
            };
            for edge in edges {
                scratch[element] = edge.clone();
                if !holds(condition, &scratch, cx)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }))
}

/// Which edges a chain may take from a row.
pub(super) struct Follow<'p> {
    pub spec: &'p Repeat<'p>,
    types: Option<Vec<u32>>,
    row: Vec<Datum>,
    /// The edges that it must take, when they are known.
    pub known: Option<Vec<EdgeId>>,
    since_check: usize,
}

impl<'p> Follow<'p> {
    /// None when the row has no chain at all.
    pub(super) fn new(
        spec: &'p Repeat<'p>,
        row: &[Datum],
        cx: &mut Cx<'_>,
    ) -> Result<Option<Self>, QueryError> {
        let known = if spec.edges_bound {
            match known_edges(&row[spec.expand.edge])? {
                None => return Ok(None),
                Some(mut edges) => {
                    if spec.backwards {
                        edges.reverse();
                    }
                    if !(spec.min..=spec.max).contains(&edges.len()) {
                        return Ok(None);
                    }
                    Some(edges)
                }
            }
        } else {
            None
        };
        Ok(Some(Self {
            spec,
            types: cx.types(spec.expand.types)?,
            row: row.to_vec(),
            known,
            since_check: 0,
        }))
    }

    /// How many edges a chain has at least and at most.
    pub(super) fn lengths(&self) -> (usize, usize) {
        self.known
            .as_ref()
            .map_or((self.spec.min, self.spec.max), |known| (known.len(), known.len()))
    }

    /// Where the chain starts.
    pub(super) fn start(&self) -> Option<NodeId> {
        node_of(&self.row[self.spec.expand.from])
    }

    /// The node at which it must end, when that is known.
    pub(super) fn target(&self) -> Option<NodeId> {
        node_of(&self.row[self.spec.expand.to]).filter(|_| self.spec.expand.to_bound)
    }

    /// Whether the chain may end at a node.
    pub(super) fn may_end(&self, node: NodeId) -> bool {
        !self.spec.expand.to_bound || self.target() == Some(node)
    }

    /// The edges that a chain of `taken` edges may go on with, without looking at which it has.
    pub(super) fn edges(
        &mut self,
        node: NodeId,
        taken: usize,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<Adjacent>, QueryError> {
        self.read(node, taken, self.spec.expand.direction, cx)
    }

    /// The edges that a chain may have at a node, in its direction or against it, when no edge is known.
    pub(super) fn edges_of(
        &mut self,
        node: NodeId,
        backwards: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<Adjacent>, QueryError> {
        let direction = self.spec.expand.direction;
        self.read(
            node,
            0,
            if backwards {
                direction.reversed()
            } else {
                direction
            },
            cx,
        )
    }

    fn read(
        &mut self,
        node: NodeId,
        taken: usize,
        direction: EdgeDirection,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<Adjacent>, QueryError> {
        let mut edges = Vec::new();
        cx.graph
            .expand(node, direction.of_graph(), self.types.as_deref(), &mut edges)?;
        self.since_check += edges.len() + 1;
        if self.since_check >= EDGES_BETWEEN_CHECKS {
            self.since_check = 0;
            cx.check()?;
        }
        let mut kept = Vec::with_capacity(edges.len());
        for edge in edges {
            if self.fits(&edge, taken, cx)? {
                kept.push(edge);
            }
        }
        Ok(kept)
    }

    fn fits(&mut self, edge: &Adjacent, taken: usize, cx: &mut Cx<'_>) -> Result<bool, QueryError> {
        if let Some(known) = &self.known
            && known.get(taken) != Some(&edge.edge)
        {
            return Ok(false);
        }
        if is_taken(&self.row, &self.spec.expand.distinct_from, edge.edge.0) {
            return Ok(false);
        }
        if let Some(test) = self.spec.expand.test
            && has_labels(&edge_datum(edge), test, cx)? != Some(true)
        {
            return Ok(false);
        }
        for condition in &self.spec.conditions {
            self.row[self.spec.element] = edge_datum(edge);
            if !holds(condition, &self.row, cx)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends the row with a chain, which is in the order in which it was walked.
    pub(super) fn emit(&self, edges: &[Adjacent], end: NodeId, row: &[Datum], out: &mut Rows) {
        out.add_weight(size_of_val(edges));
        let target = out.push(row);
        let mut chain: Vec<Datum> = edges.iter().map(edge_datum).collect();
        if self.spec.backwards {
            chain.reverse();
        }
        target[self.spec.expand.edge] = if self.spec.group {
            Datum::list(chain)
        } else {
            chain.pop().unwrap_or_default()
        };
        target[self.spec.expand.to] = Datum::Node(end);
    }
}

fn known_edges(datum: &Datum) -> Result<Option<Vec<EdgeId>>, QueryError> {
    let edge = |datum: &Datum| match datum {
        Datum::Edge(edge) => Ok(edge.id),
        other => {
            let message = format!("a pattern needs edges here, not {}", other.type_name());
            Err(error::type_error("InvalidArgumentType", message))
        }
    };
    match datum {
        Datum::Null => Ok(None),
        Datum::List(edges) => edges.iter().map(edge).collect::<Result<_, _>>().map(Some),
        other => Ok(Some(vec![edge(other)?])),
    }
}

/// The edges of a trail, each once.
#[derive(Default)]
struct Trail {
    edges: Vec<Adjacent>,
    /// Those beyond a short trail.
    rest: HashSet<EdgeId>,
}

impl Trail {
    fn has(&self, edge: EdgeId) -> bool {
        let mut first = self.edges.iter().take(SHORT_TRAIL);
        first.any(|taken| taken.edge == edge) || self.rest.contains(&edge)
    }

    fn push(&mut self, edge: Adjacent) {
        if self.edges.len() >= SHORT_TRAIL {
            self.rest.insert(edge.edge);
        }
        self.edges.push(edge);
    }

    fn pop(&mut self) {
        if let Some(edge) = self.edges.pop() {
            self.rest.remove(&edge.edge);
        }
    }
}

/// The trails of one row.
struct Search<'p> {
    follow: Follow<'p>,
    trail: Trail,
    /// For each node of the trail that is gone on from: its edges and the next of them.
    levels: Vec<(Vec<Adjacent>, usize)>,
    held: usize,
}

impl<'p> Search<'p> {
    /// Begins at the row's node; a chain without edges is emitted at once.
    fn begin(
        spec: &'p Repeat<'p>,
        row: &[Datum],
        out: &mut Rows,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Self>, QueryError> {
        let Some(follow) = Follow::new(spec, row, cx)? else {
            return Ok(None);
        };
        let Some(start) = follow.start() else {
            return Ok(None);
        };
        let mut search = Self {
            follow,
            trail: Trail::default(),
            levels: Vec::new(),
            held: 0,
        };
        let (min, max) = search.follow.lengths();
        if min == 0 && search.follow.may_end(start) {
            search.follow.emit(&[], start, row, out);
        }
        if max > 0 {
            search.descend(start, cx)?;
        }
        Ok(Some(search))
    }

    fn descend(&mut self, node: NodeId, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let edges = self.follow.edges(node, self.trail.edges.len(), cx)?;
        let bytes = edges.capacity() * size_of::<Adjacent>();
        self.held += bytes;
        cx.hold(0, bytes)?;
        self.levels.push((edges, 0));
        Ok(())
    }

    fn ascend(&mut self, cx: &mut Cx<'_>) {
        if let Some((edges, _)) = self.levels.pop() {
            let bytes = edges.capacity() * size_of::<Adjacent>();
            self.held -= bytes;
            cx.release(0, bytes);
        }
        self.trail.pop();
    }

    /// Goes on until the batch is full; whether that was the end.
    fn run(&mut self, row: &[Datum], out: &mut Rows, cx: &mut Cx<'_>) -> Result<bool, QueryError> {
        let (min, max) = self.follow.lengths();
        while let Some((edges, next)) = self.levels.last_mut() {
            if out.is_full(cx.batch_rows) {
                return Ok(false);
            }
            let Some(edge) = edges.get(*next).copied() else {
                self.ascend(cx);
                continue;
            };
            *next += 1;
            if !self.follow.spec.walk && self.trail.has(edge.edge) {
                continue;
            }
            self.trail.push(edge);
            let length = self.trail.edges.len();
            if length >= min && self.follow.may_end(edge.other) {
                self.follow.emit(&self.trail.edges, edge.other, row, out);
            }
            if length < max {
                self.descend(edge.other, cx)?;
            } else {
                self.trail.pop();
            }
        }
        Ok(true)
    }
}

/// Every trail from the nodes of the incoming rows.
struct Trails<'p> {
    spec: &'p Repeat<'p>,
    input: Option<Rows>,
    at: usize,
    search: Option<Search<'p>>,
}

impl<'p> Trails<'p> {
    fn new(spec: &'p Repeat<'p>) -> Self {
        Self {
            spec,
            input: None,
            at: 0,
            search: None,
        }
    }
}

impl Operator for Trails<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => (self.input, self.at) = (Some(rows), 0),
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        let Some(rows) = &self.input else {
            return Ok(Output::NeedInput);
        };
        let mut out = Rows::new(rows.width());
        while self.at < rows.len() {
            let row = rows.row(self.at);
            if self.search.is_none() {
                self.search = Search::begin(self.spec, row, &mut out, cx)?;
            }
            let ended = match &mut self.search {
                None => true,
                Some(search) => search.run(row, &mut out, cx)?,
            };
            if ended {
                self.search = None;
                self.at += 1;
            }
            if out.is_full(cx.batch_rows) {
                return Ok(Output::Rows(out));
            }
        }
        self.input = None;
        Ok(if out.is_empty() {
            Output::NeedInput
        } else {
            Output::Rows(out)
        })
    }
}

/// The path through a pattern's elements, whose edges may be chains. Null when an element is null, as under OPTIONAL MATCH.
pub(super) fn path(
    nodes: &[usize],
    edges: &[usize],
    row: &[Datum],
    cx: &mut Cx<'_>,
) -> Result<Datum, QueryError> {
    let Some(mut at) = nodes.first().and_then(|slot| node_of(&row[*slot])) else {
        return Ok(Datum::Null);
    };
    let mut path = PathDatum {
        nodes: vec![at],
        edges: Vec::with_capacity(edges.len()),
    };
    for (slot, end) in edges.iter().zip(nodes.iter().skip(1)) {
        let Some(end) = node_of(&row[*end]) else {
            return Ok(Datum::Null);
        };
        match &row[*slot] {
            Datum::Edge(edge) => {
                path.edges.push(*edge);
                path.nodes.push(end);
            }
            Datum::List(chain) => {
                for edge in chain.iter() {
                    let Datum::Edge(edge) = edge else {
                        return Ok(Datum::Null);
                    };
                    at = other_end(*edge, at, cx)?;
                    path.edges.push(*edge);
                    path.nodes.push(at);
                }
            }
            // An edge that may be left out, and is.
            Datum::Null if at == end => {}
            _ => return Ok(Datum::Null),
        }
        at = end;
    }
    Ok(Datum::Path(Arc::new(path)))
}

fn other_end(edge: EdgeDatum, node: NodeId, cx: &Cx<'_>) -> Result<NodeId, QueryError> {
    let (start, end) = cx.edge_ends(edge.id)?;
    Ok(if start == node { end } else { start })
}
