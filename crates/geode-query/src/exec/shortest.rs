//! Shortest chains of edges, by breadth-first search.
//!
//! One shortest path between two known nodes is searched from both of them ([`super::meet`]). Others, or all of them, need each node once: [`Levels`] remembers by which edges it was first reached. More than one length
//! (`SHORTEST 3`), a least length of two, or an undirected way back to the start have no such short cut, because the shortest *trail* is
//! asked for: [`Trails`] lengthens trails level by level. Both account for what they keep.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::repeat::Follow;
use super::rows::{ALLOCATION_BYTES, KEY_BYTES, Rows};
use crate::plan::logical::EdgeDirection;
use crate::plan::physical::Repeat;
use geode_gql::ast::PathSearch;
use geode_graph::Adjacent;
use geode_types::{NodeId, QueryError};
use std::collections::{HashMap, VecDeque};

/// A chain and the node at its end.
type Found = (Vec<Adjacent>, NodeId);

/// Shortest chains from the nodes of the incoming rows.
pub(super) struct Shortest<'p> {
    spec: &'p Repeat<'p>,
    input: Option<Rows>,
    at: usize,
    /// Of the row under way.
    found: Option<(Follow<'p>, VecDeque<Found>)>,
}

impl<'p> Shortest<'p> {
    pub(super) fn new(spec: &'p Repeat<'p>) -> Self {
        Self {
            spec,
            input: None,
            at: 0,
            found: None,
        }
    }
}

impl Operator for Shortest<'_> {
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
            if self.found.is_none()
                && let Some(mut follow) = Follow::new(self.spec, row, cx)?
            {
                let found = search(&mut follow, cx)?;
                self.found = Some((follow, found));
            }
            if let Some((follow, found)) = &mut self.found {
                while let Some((edges, end)) = found.pop_front() {
                    follow.emit(&edges, end, row, &mut out);
                    if out.is_full(cx.batch_rows) {
                        return Ok(Output::Rows(out));
                    }
                }
            }
            self.found = None;
            self.at += 1;
        }
        self.input = None;
        Ok(if out.is_empty() {
            Output::NeedInput
        } else {
            Output::Rows(out)
        })
    }
}

fn search(follow: &mut Follow<'_>, cx: &mut Cx<'_>) -> Result<VecDeque<Found>, QueryError> {
    let Some(start) = follow.start() else {
        return Ok(VecDeque::new());
    };
    if follow.spec.expand.to_bound && follow.target().is_none() {
        return Ok(VecDeque::new());
    }
    let (min, max) = follow.lengths();
    let single = matches!(
        follow.spec.search,
        PathSearch::Shortest(1) | PathSearch::ShortestGroups(1)
    );
    let directed = follow.spec.expand.direction != EdgeDirection::Both;
    let returns = min == 1 && follow.may_end(start);
    let mut held = Held::default();
    let two_ends = match follow.target() {
        Some(target) if target != start && min <= 1 && follow.known.is_none() => Some((start, target)),
        _ => None,
    };
    let found = if let (PathSearch::Shortest(1), Some(ends)) = (follow.spec.search, two_ends) {
        let path = super::meet::shortest(follow, ends, max, &mut held, cx)?;
        path.map(|edges| (edges, ends.1)).into_iter().collect()
    } else if single && follow.known.is_none() && min <= 1 {
        let mut found = Levels::default().run(follow, start, &mut held, cx)?;
        if returns && !directed && !follow.spec.walk {
            // The way back to the start, without which the others are whole.
            found.retain(|(_, end)| *end != start);
            found.extend(Trails::new(follow.spec.search).run(
                follow,
                start,
                (min, max),
                Some(start),
                &mut held,
                cx,
            )?);
        }
        found
    } else {
        let target = follow.target();
        Trails::new(follow.spec.search).run(follow, start, (min, max), target, &mut held, cx)?
    };
    cx.release(0, held.bytes);
    Ok(found)
}

/// Memory that a search has accounted for.
#[derive(Default)]
pub(super) struct Held {
    bytes: usize,
}

impl Held {
    pub(super) fn add(&mut self, bytes: usize, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.bytes += bytes;
        cx.hold(0, bytes)
    }
}

/// Breadth-first search that reaches each node once.
#[derive(Default)]
struct Levels {
    reached: HashMap<NodeId, Reached>,
}

/// How a node was first reached.
struct Reached {
    depth: usize,
    /// The nodes before it and the edges from them.
    by: Vec<(NodeId, Adjacent)>,
}

impl Levels {
    fn run(
        mut self,
        follow: &mut Follow<'_>,
        start: NodeId,
        held: &mut Held,
        cx: &mut Cx<'_>,
    ) -> Result<VecDeque<Found>, QueryError> {
        let (min, max) = follow.lengths();
        let every = matches!(follow.spec.search, PathSearch::ShortestGroups(_));
        if min == 0 {
            self.reached.insert(
                start,
                Reached {
                    depth: 0,
                    by: Vec::new(),
                },
            );
        }
        let mut order = Vec::new();
        let (mut level, mut depth) = (vec![start], 0);
        while depth < max
            && !level.is_empty()
            && follow
                .target()
                .is_none_or(|target| !self.reached.contains_key(&target))
        {
            depth += 1;
            let mut next = Vec::new();
            for node in level {
                for edge in follow.edges(node, depth - 1, cx)? {
                    match self.reached.get_mut(&edge.other) {
                        None => {
                            let bytes = size_of::<Reached>() + size_of::<(NodeId, Adjacent)>() * 2;
                            held.add(bytes + KEY_BYTES, cx)?;
                            let by = vec![(node, edge)];
                            self.reached.insert(edge.other, Reached { depth, by });
                            order.push(edge.other);
                            // The start is gone on from already.
                            if edge.other != start {
                                next.push(edge.other);
                            }
                        }
                        Some(reached) if every && reached.depth == depth => {
                            held.add(size_of::<(NodeId, Adjacent)>(), cx)?;
                            reached.by.push((node, edge));
                        }
                        Some(_) => {}
                    }
                }
            }
            level = next;
        }
        let mut found = VecDeque::new();
        if min == 0 && follow.may_end(start) {
            found.push_back((Vec::new(), start));
        }
        for end in order.into_iter().filter(|end| follow.may_end(*end)) {
            self.paths_to(end, start, &mut found, held, cx)?;
        }
        Ok(found)
    }

    /// Every way back from a node to the start, depth first.
    fn paths_to(
        &self,
        end: NodeId,
        start: NodeId,
        found: &mut VecDeque<Found>,
        held: &mut Held,
        cx: &mut Cx<'_>,
    ) -> Result<(), QueryError> {
        let ways = |node: NodeId| {
            self.reached
                .get(&node)
                .map_or(&[][..], |reached| reached.by.as_slice())
        };
        let mut edges: Vec<Adjacent> = Vec::new();
        let mut open = vec![(ways(end), 0)];
        while let Some((by, next)) = open.last_mut() {
            let Some((before, edge)) = by.get(*next).copied() else {
                open.pop();
                edges.pop();
                continue;
            };
            *next += 1;
            edges.push(edge);
            if before == start {
                held.add(
                    size_of_val(edges.as_slice()) + ALLOCATION_BYTES + size_of::<Found>(),
                    cx,
                )?;
                cx.check()?;
                found.push_back((edges.iter().rev().copied().collect(), end));
                edges.pop();
            } else {
                open.push((ways(before), 0));
            }
        }
        Ok(())
    }
}

/// Trails by length, each kept as its last edge and the trail before.
struct Trails {
    search: PathSearch,
    links: Vec<Link>,
    /// For each end: how many were found, of how many lengths, and the last length.
    ends: HashMap<NodeId, (u64, u64, usize)>,
}

#[derive(Clone, Copy)]
struct Link {
    before: Option<usize>,
    edge: Adjacent,
}

impl Trails {
    fn new(search: PathSearch) -> Self {
        Self {
            search,
            links: Vec::new(),
            ends: HashMap::new(),
        }
    }

    fn run(
        mut self,
        follow: &mut Follow<'_>,
        start: NodeId,
        (min, max): (usize, usize),
        target: Option<NodeId>,
        held: &mut Held,
        cx: &mut Cx<'_>,
    ) -> Result<VecDeque<Found>, QueryError> {
        let mut found = VecDeque::new();
        let wanted = |end: NodeId| target.is_none_or(|target| target == end);
        if min == 0 && wanted(start) && self.takes(start, 0) {
            found.push_back((Vec::new(), start));
        }
        let (mut level, mut depth) = (vec![(None, start)], 0);
        while depth < max && !level.is_empty() {
            depth += 1;
            let mut next = Vec::new();
            for (before, node) in level {
                for edge in follow.edges(node, depth - 1, cx)? {
                    if !follow.spec.walk && self.has(before, edge) {
                        continue;
                    }
                    held.add(size_of::<Link>() + size_of::<(Option<usize>, NodeId)>(), cx)?;
                    self.links.push(Link { before, edge });
                    let trail = self.links.len() - 1;
                    next.push((Some(trail), edge.other));
                    if depth >= min && wanted(edge.other) && self.takes(edge.other, depth) {
                        let edges = self.edges(trail);
                        held.add(
                            size_of_val(edges.as_slice()) + ALLOCATION_BYTES + size_of::<Found>(),
                            cx,
                        )?;
                        found.push_back((edges, edge.other));
                    }
                }
            }
            level = next;
            if target.is_some_and(|target| self.is_complete(target)) {
                break;
            }
        }
        Ok(found)
    }

    fn has(&self, trail: Option<usize>, edge: Adjacent) -> bool {
        let mut at = trail;
        while let Some(link) = at.and_then(|at| self.links.get(at)) {
            if link.edge.edge == edge.edge {
                return true;
            }
            at = link.before;
        }
        false
    }

    fn edges(&self, trail: usize) -> Vec<Adjacent> {
        let mut edges = Vec::new();
        let mut at = Some(trail);
        while let Some(link) = at.and_then(|at| self.links.get(at)) {
            edges.push(link.edge);
            at = link.before;
        }
        edges.reverse();
        edges
    }

    /// Counts a trail of this length to an end; whether it is among those that are asked for.
    fn takes(&mut self, end: NodeId, length: usize) -> bool {
        let (paths, groups, last) = self.ends.entry(end).or_insert((0, 0, 0));
        let new_group = *groups == 0 || *last != length;
        let takes = match self.search {
            PathSearch::Every => true,
            PathSearch::Shortest(most) => *paths < most,
            PathSearch::ShortestGroups(most) => *groups < most || !new_group,
        };
        if takes {
            *paths += 1;
            *groups += u64::from(new_group);
            *last = length;
        }
        takes
    }

    /// Whether longer trails to this end are of no interest.
    fn is_complete(&self, end: NodeId) -> bool {
        self.ends
            .get(&end)
            .is_some_and(|(paths, groups, _)| match self.search {
                PathSearch::Every => false,
                PathSearch::Shortest(most) => *paths >= most,
                PathSearch::ShortestGroups(most) => *groups >= most,
            })
    }
}
