//! Triangles: neighbours that two known nodes share. The two lists are ordered by neighbour, so the shorter one is walked and the longer one
//! searched in growing steps (galloping, Bentley and Yao 1976), instead of following every edge of one and testing it.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::expand::{edge_datum, fits_edge, node_of};
use super::rows::Rows;
use super::seen::IdHasher;
use crate::datum::Datum;
use crate::plan::physical::{Arm, Intersect};
use geode_graph::Adjacent;
use geode_types::{NodeId, QueryError};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;

/// Lists are kept while they have no more entries than this together: those of hubs are needed again and again.
const KEPT_ENTRIES: usize = 1 << 20;

/// Joins two edges at their common, still unknown end.
pub(super) struct Intersection<'p> {
    spec: &'p Intersect<'p>,
    lists: [Lists; 2],
    input: Option<Rows>,
    at: usize,
    /// Matches of the row under way that did not fit the batch before, the last first.
    matches: Vec<(Adjacent, Adjacent)>,
}

impl<'p> Intersection<'p> {
    pub(super) fn new(spec: &'p Intersect<'p>) -> Self {
        Self {
            spec,
            lists: [Lists::default(), Lists::default()],
            input: None,
            at: 0,
            matches: Vec::new(),
        }
    }

    /// All pairs of edges that meet, for one row.
    fn meet(&mut self, row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let spec = self.spec;
        let (Some(left), Some(right)) = (node_of(&row[spec.left.from]), node_of(&row[spec.right.from]))
        else {
            return Ok(());
        };
        let ranges = [
            self.lists[0].of(left, &spec.left, cx)?,
            self.lists[1].of(right, &spec.right, cx)?,
        ];
        let (left, right) = (
            &self.lists[0].entries[ranges[0].clone()],
            &self.lists[1].entries[ranges[1].clone()],
        );
        let matches = &mut self.matches;
        if left.len() <= right.len() {
            join(left, right, |left, right| matches.push((*left, *right)));
        } else {
            join(right, left, |right, left| matches.push((*left, *right)));
        }
        Ok(())
    }

    fn fits(
        &self,
        row: &[Datum],
        (left, right): &(Adjacent, Adjacent),
        cx: &mut Cx<'_>,
    ) -> Result<bool, QueryError> {
        let spec = self.spec;
        Ok(!(spec.are_different && left.edge == right.edge)
            && fits_edge(row, &spec.left.distinct_from, spec.left.test, left, cx)?
            && fits_edge(row, &spec.right.distinct_from, spec.right.test, right, cx)?)
    }
}

impl Operator for Intersection<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => (self.input, self.at) = (Some(rows), 0),
            Input::Pull => {}
            Input::End => {
                self.lists.iter_mut().for_each(|lists| lists.forget(cx));
                return Ok(Output::End);
            }
        }
        let Some(rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        let mut out = Rows::new(rows.width());
        loop {
            while let Some(pair) = self.matches.pop() {
                let row = rows.row(self.at - 1);
                if self.fits(row, &pair, cx)? {
                    let target = out.push(row);
                    target[self.spec.left.edge] = edge_datum(&pair.0);
                    target[self.spec.right.edge] = edge_datum(&pair.1);
                    target[self.spec.to] = Datum::Node(pair.0.other);
                }
                if out.len() >= cx.batch_rows {
                    self.input = Some(rows);
                    return Ok(Output::Rows(out));
                }
            }
            if self.at >= rows.len() {
                break;
            }
            self.meet(rows.row(self.at), cx)?;
            self.at += 1;
        }
        Ok(if out.is_empty() {
            Output::NeedInput
        } else {
            Output::Rows(out)
        })
    }
}

/// The neighbours of nodes on one side, each list ascending by neighbour.
#[derive(Default)]
struct Lists {
    ranges: HashMap<NodeId, Range<usize>, BuildHasherDefault<IdHasher>>,
    /// Rows come in runs of the same node.
    last: Option<(NodeId, Range<usize>)>,
    entries: Vec<Adjacent>,
    /// The numbers of the arm's types, once they are looked up.
    types: Option<Vec<u32>>,
    knows_types: bool,
    held: usize,
}

impl Lists {
    fn of(&mut self, node: NodeId, arm: &Arm<'_>, cx: &mut Cx<'_>) -> Result<Range<usize>, QueryError> {
        if let Some((last, range)) = &self.last
            && *last == node
        {
            return Ok(range.clone());
        }
        if let Some(known) = self.ranges.get(&node) {
            self.last = Some((node, known.clone()));
            return Ok(known.clone());
        }
        if self.entries.len() > KEPT_ENTRIES {
            self.forget(cx);
        }
        if !self.knows_types {
            (self.types, self.knows_types) = (cx.types(arm.types)?, true);
        }
        let types = self.types.as_deref();
        let start = self.entries.len();
        cx.graph
            .expand(node, arm.direction.of_graph(), types, &mut self.entries)?;
        // One list is in this order already; several lists, and edges of this transaction, stand one behind the other.
        let added = &mut self.entries[start..];
        if !added.is_sorted_by_key(|entry| entry.other) {
            added.sort_unstable_by_key(|entry| (entry.other, entry.edge));
        }
        let range = start..self.entries.len();
        let bytes = range.len() * size_of::<Adjacent>() + 2 * size_of::<(NodeId, Range<usize>)>();
        self.held += bytes;
        cx.hold(0, bytes)?;
        self.ranges.insert(node, range.clone());
        self.last = Some((node, range.clone()));
        Ok(range)
    }

    fn forget(&mut self, cx: &mut Cx<'_>) {
        cx.release(0, std::mem::take(&mut self.held));
        self.ranges.clear();
        self.last = None;
        self.entries.clear();
    }
}

/// Calls `each` for all pairs of entries with the same neighbour.
fn join(short: &[Adjacent], long: &[Adjacent], mut each: impl FnMut(&Adjacent, &Adjacent)) {
    let mut rest = long;
    for entry in short {
        rest = &rest[first_from(rest, entry.other)..];
        // Parallel edges: the next entry of the short list may have the same neighbour, so these stay in `rest`.
        for found in rest.iter().take_while(|found| found.other == entry.other) {
            each(entry, found);
        }
    }
}

/// The place of the first entry whose neighbour is not below this one.
fn first_from(list: &[Adjacent], wanted: NodeId) -> usize {
    let mut step = 1;
    while step < list.len() && list[step - 1].other < wanted {
        step *= 2;
    }
    let (from, to) = (step / 2, step.min(list.len()));
    from + list[from..to].partition_point(|entry| entry.other < wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::EdgeId;
    use std::collections::BTreeSet;

    fn list(others: &[u64], first_edge: u64) -> Vec<Adjacent> {
        let entries = others.iter().enumerate().map(|(at, other)| Adjacent {
            edge: EdgeId(first_edge + at as u64),
            edge_type: 1,
            other: NodeId(*other),
            outgoing: true,
        });
        entries.collect()
    }

    #[test]
    fn lists_meet_where_they_have_the_same_neighbours_each_pair_once() {
        let long: Vec<u64> = (0..200)
            .flat_map(|id| vec![id * 3; 1 + id as usize % 3])
            .collect();
        for short in [
            vec![],
            vec![0],
            vec![597],
            vec![5, 6, 6, 9, 300, 301, 597, 900],
            vec![1000],
        ] {
            let (short, long) = (list(&short, 0), list(&long, 1000));
            let mut found = Vec::new();
            join(&short, &long, |left, right| found.push((left.edge, right.edge)));
            let mut wanted = Vec::new();
            for left in &short {
                wanted.extend(
                    long.iter()
                        .filter(|right| right.other == left.other)
                        .map(|right| (left.edge, right.edge)),
                );
            }
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
            assert_eq!(found, wanted);
        }
    }
}
