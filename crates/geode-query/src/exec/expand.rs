//! Following edges: from a node to its neighbours, between two known nodes, and from a known edge to its ends.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::columns::SlotNodes;
use super::eval::has_labels;
use super::rows::Rows;
use super::rowwise::RowWise;
use crate::datum::{Datum, EdgeDatum};
use crate::error;
use crate::expr::LabelTest;
use crate::plan::logical::EdgeDirection;
use crate::plan::physical::Expand;
use geode_graph::Adjacent;
use geode_types::{NodeId, QueryError};
use std::ops::Range;

/// How many rows' neighbours are read at once, in order of node id so that the store is read forwards.
const ROWS_AT_ONCE: usize = 256;

/// Neighbours of nodes.
pub(super) struct Expansion<'p> {
    spec: Expand<'p>,
    input: Option<Rows>,
    /// Rows whose neighbours are in `adjacent`.
    window: Range<usize>,
    /// The row under way and the next of its neighbours.
    at: usize,
    next: usize,
    /// For each row of the window its node, as a place in `starts`.
    places: Vec<Option<u32>>,
    /// Where the neighbours of each node begin in `adjacent`, and the end of the last.
    starts: Vec<usize>,
    adjacent: Vec<Adjacent>,
    held: usize,
}

impl<'p> Expansion<'p> {
    pub(super) fn new(spec: Expand<'p>) -> Self {
        Self {
            spec,
            input: None,
            window: 0..0,
            at: 0,
            next: 0,
            places: Vec::new(),
            starts: Vec::new(),
            adjacent: Vec::new(),
            held: 0,
        }
    }

    /// Reads the neighbours of the next rows.
    fn read_window(&mut self, rows: &Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.forget(cx);
        self.window = self.window.end..(self.window.end + ROWS_AT_ONCE).min(rows.len());
        self.at = self.window.start;
        let sources = SlotNodes::in_range(rows, self.spec.from, self.window.clone());
        let types = cx.types(self.spec.types)?;
        let direction = self.spec.direction.of_graph();
        for source in &sources.ids {
            let before = self.adjacent.len();
            self.starts.push(before);
            cx.graph
                .expand(*source, direction, types.as_deref(), &mut self.adjacent)?;
            let found = self.adjacent.len() - before;
            self.held += found * size_of::<Adjacent>();
            cx.hold(0, found * size_of::<Adjacent>())?;
            cx.worked(found)?;
        }
        self.starts.push(self.adjacent.len());
        self.places = sources.places;
        Ok(())
    }

    fn forget(&mut self, cx: &mut Cx<'_>) {
        cx.release(0, std::mem::take(&mut self.held));
        self.starts.clear();
        self.adjacent.clear();
        self.next = 0;
    }
}

impl Operator for Expansion<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => (self.input, self.window, self.at) = (Some(rows), 0..0, 0),
            Input::Pull => {}
            Input::End => {
                self.forget(cx);
                return Ok(Output::End);
            }
        }
        let Some(rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        let mut out = Rows::new(rows.width());
        loop {
            if self.at >= self.window.end {
                if self.window.end >= rows.len() {
                    self.forget(cx);
                    return Ok(if out.is_empty() {
                        Output::NeedInput
                    } else {
                        Output::Rows(out)
                    });
                }
                self.read_window(&rows, cx)?;
            }
            let row = rows.row(self.at);
            let range = match self.places[self.at - self.window.start] {
                Some(place) => self.starts[place as usize]..self.starts[place as usize + 1],
                None => 0..0,
            };
            while range.start + self.next < range.end {
                if out.len() >= cx.batch_rows {
                    self.input = Some(rows);
                    return Ok(Output::Rows(out));
                }
                let adjacent = self.adjacent[range.start + self.next];
                self.next += 1;
                if fits_edge(row, &self.spec.distinct_from, self.spec.test, &adjacent, cx)? {
                    let target = out.push(row);
                    target[self.spec.edge] = edge_datum(&adjacent);
                    target[self.spec.to] = Datum::Node(adjacent.other);
                }
            }
            self.at += 1;
            self.next = 0;
        }
    }
}

/// Whether an edge is none of those in these cells, and passes the test.
pub(super) fn fits_edge(
    row: &[Datum],
    distinct_from: &[usize],
    test: Option<&LabelTest>,
    adjacent: &Adjacent,
    cx: &mut Cx<'_>,
) -> Result<bool, QueryError> {
    if is_taken(row, distinct_from, adjacent.edge.0) {
        return Ok(false);
    }
    match test {
        None => Ok(true),
        Some(test) => Ok(has_labels(&edge_datum(adjacent), test, cx)? == Some(true)),
    }
}

pub(super) fn node_of(datum: &Datum) -> Option<NodeId> {
    if let Datum::Node(id) = datum {
        Some(*id)
    } else {
        None
    }
}

pub(super) fn edge_datum(adjacent: &Adjacent) -> Datum {
    Datum::Edge(EdgeDatum {
        id: adjacent.edge,
        edge_type: adjacent.edge_type,
    })
}

/// Whether one of these cells is the edge, or a chain with it.
pub(super) fn is_taken(row: &[Datum], slots: &[usize], edge: u64) -> bool {
    let is = |datum: &Datum| matches!(datum, Datum::Edge(taken) if taken.id.0 == edge);
    slots.iter().any(|slot| match &row[*slot] {
        Datum::List(chain) => chain.iter().any(is),
        other => is(other),
    })
}

/// Edges between nodes that are both known: each row looks where they would be.
pub(super) fn between(spec: Expand<'_>) -> impl Operator + '_ {
    RowWise(move |rows: Rows, cx: &mut Cx<'_>| {
        let types = cx.types(spec.types)?;
        let direction = spec.direction.of_graph();
        let mut out = Rows::new(rows.width());
        let mut found = Vec::new();
        for row in rows.iter() {
            let (Some(from), Some(to)) = (node_of(&row[spec.from]), node_of(&row[spec.to])) else {
                continue;
            };
            found.clear();
            cx.graph
                .expand_to((from, to), direction, types.as_deref(), &mut found)?;
            for adjacent in &found {
                if fits_edge(row, &spec.distinct_from, spec.test, adjacent, cx)? {
                    out.push(row)[spec.edge] = edge_datum(adjacent);
                }
            }
        }
        Ok(out)
    })
}

/// The ends of edges that are already known, in every way the pattern allows.
pub(super) fn endpoints(spec: Expand<'_>) -> impl Operator + '_ {
    RowWise(move |rows: Rows, cx: &mut Cx<'_>| {
        let types = cx.types(spec.types)?;
        let mut out = Rows::new(rows.width());
        for row in rows.iter() {
            let edge = match &row[spec.edge] {
                Datum::Edge(edge) => *edge,
                Datum::Null => continue,
                other => {
                    let message = format!("a pattern needs an edge here, not {}", other.type_name());
                    return Err(error::type_error("InvalidArgumentType", message));
                }
            };
            let typed = types.as_ref().is_none_or(|types| types.contains(&edge.edge_type));
            if !typed || is_taken(row, &spec.distinct_from, edge.id.0) {
                continue;
            }
            if let Some(test) = spec.test
                && has_labels(&Datum::Edge(edge), test, cx)? != Some(true)
            {
                continue;
            }
            let (start, end) = cx.edge_ends(edge.id)?;
            for (from, to) in orientations(spec.direction, start, end) {
                let fits = |slot: usize, bound: bool, id: NodeId| !bound || node_of(&row[slot]) == Some(id);
                if !fits(spec.from, spec.from_bound, from)
                    || !fits(spec.to, spec.to_bound, to)
                    || (spec.from == spec.to && from != to)
                {
                    continue;
                }
                let target = out.push(row);
                target[spec.from] = Datum::Node(from);
                target[spec.to] = Datum::Node(to);
            }
        }
        Ok(out)
    })
}

fn orientations(direction: EdgeDirection, start: NodeId, end: NodeId) -> Vec<(NodeId, NodeId)> {
    match direction {
        EdgeDirection::Out => vec![(start, end)],
        EdgeDirection::In => vec![(end, start)],
        EdgeDirection::Both if start == end => vec![(start, end)],
        EdgeDirection::Both => vec![(start, end), (end, start)],
    }
}
