//! One shortest path between two known nodes, searched from both ends at once (Pohl 1971): of two half as deep searches each sees far fewer
//! nodes than one whole search.
//!
//! Level by level the smaller side goes on. Before the sides meet, their depths together are less than the path is long, as every shorter
//! path would have been met; so the first node at which they do meet lies on a shortest path. Between different nodes such a path repeats
//! no edge.

use super::Cx;
use super::repeat::Follow;
use super::seen::IdHasher;
use super::shortest::Held;
use geode_graph::Adjacent;
use geode_types::{NodeId, QueryError};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// One of the two searches.
struct Side {
    /// For each node that was reached the one it was reached from, and the edge.
    reached: HashMap<NodeId, Option<(NodeId, Adjacent)>, BuildHasherDefault<IdHasher>>,
    level: Vec<NodeId>,
    /// Whether it walks against the direction of the chain.
    backwards: bool,
}

impl Side {
    fn new(from: NodeId, backwards: bool) -> Self {
        let mut reached = HashMap::default();
        reached.insert(from, None);
        Self {
            reached,
            level: vec![from],
            backwards,
        }
    }

    /// Goes one level on; the first node that the other side has reached, too.
    fn step(
        &mut self,
        other: &Self,
        follow: &mut Follow<'_>,
        held: &mut Held,
        cx: &mut Cx<'_>,
    ) -> Result<Option<NodeId>, QueryError> {
        let mut next = Vec::new();
        for node in std::mem::take(&mut self.level) {
            for edge in follow.edges_of(node, self.backwards, cx)? {
                if self.reached.contains_key(&edge.other) {
                    continue;
                }
                held.add(2 * size_of::<(NodeId, Option<(NodeId, Adjacent)>)>(), cx)?;
                self.reached.insert(edge.other, Some((node, edge)));
                if other.reached.contains_key(&edge.other) {
                    return Ok(Some(edge.other));
                }
                next.push(edge.other);
            }
        }
        self.level = next;
        Ok(None)
    }

    /// The edges from a node back to where this side began.
    fn edges(&self, from: NodeId) -> Vec<Adjacent> {
        let mut edges = Vec::new();
        let mut at = from;
        while let Some(Some((before, edge))) = self.reached.get(&at) {
            edges.push(*edge);
            at = *before;
        }
        edges
    }
}

/// The edges of a shortest path of at most `max` edges between two different nodes, if there is one.
pub(super) fn shortest(
    follow: &mut Follow<'_>,
    (start, target): (NodeId, NodeId),
    max: usize,
    held: &mut Held,
    cx: &mut Cx<'_>,
) -> Result<Option<Vec<Adjacent>>, QueryError> {
    let (mut ahead, mut back) = (Side::new(start, false), Side::new(target, true));
    for _ in 0..max {
        if ahead.level.is_empty() || back.level.is_empty() {
            break;
        }
        let met = if ahead.level.len() <= back.level.len() {
            ahead.step(&back, follow, held, cx)?
        } else {
            back.step(&ahead, follow, held, cx)?
        };
        if let Some(node) = met {
            let mut edges = ahead.edges(node);
            edges.reverse();
            edges.extend(back.edges(node));
            return Ok(Some(edges));
        }
    }
    Ok(None)
}
