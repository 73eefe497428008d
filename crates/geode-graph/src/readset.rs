//! What a transaction read and what it wrote, in the terms in which the certifier compares them.

use crate::catalog::TokenKind;
use crate::graphs::ObjectKind;
use crate::schema::{KeyRange, RuleId};
use geode_mutation::{Mutation, is_on};
use geode_types::{EdgeId, NodeId};
use std::collections::HashSet;

/// When a read set has more points of a kind than this, they become one coarse entry ("any node", …): memory stays bounded
/// and such a transaction conflicts with more.
pub const MAX_POINT_READS: usize = 1 << 16;

/// Something that can be read and written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touch {
    /// A node's labels and properties.
    Node(NodeId),
    /// That a node is there.
    Existence(NodeId),
    /// An edge.
    Edge(EdgeId),
    /// The edges of a node in one direction, of one type or of all.
    Adjacency(NodeId, bool, Option<u32>),
    /// Which nodes have a label.
    Label(u32),
    /// Which edges have a type.
    EdgesOfType(u32),
    /// Which nodes exist.
    AllNodes,
    /// Which edges exist.
    AllEdges,
    /// The content of any node.
    AnyNode,
    /// The content of any edge.
    AnyEdge,
    /// The edges of any node.
    AnyAdjacency,
    /// The number of a name.
    Token(TokenKind, String),
    /// Which names of a kind there are.
    Tokens(TokenKind),
    /// A user or a role: they have one space of names.
    User(String),
    /// Which users and roles there are.
    Users,
    /// Which checkpoints there are.
    Checkpoints,
    /// Which indexes and constraints there are.
    Rules,
    /// Which nodes have values in a range of an index. Only read.
    IndexRange(RuleId, KeyRange),
    /// Which nodes have these values in an index. Only written; it changes every range that contains the values.
    IndexEntry(RuleId, Box<[u8]>),
    /// Which nodes have what values in any index.
    AnyIndexEntry,
    /// A schema, a graph or a graph type.
    Object(ObjectKind, String),
    /// Which of a kind there are.
    Objects(ObjectKind),
}

/// What a transaction read.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    touches: HashSet<Touch>,
    /// Points by kind: nodes, existences, edges, adjacency lists, ranges of indexes.
    points: [usize; 5],
    last: Option<Touch>,
}

/// What a transaction writes, ascending and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSet(pub(crate) Vec<Touch>);

impl ReadSet {
    /// All of it, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.touches.iter()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.touches.is_empty()
    }

    pub(crate) fn add(&mut self, touch: Touch) {
        if is_on(Mutation::MissingReadSetRange) && coarser(&touch).is_none() {
            return;
        }
        // Consecutive reads of the same thing (properties of one node) are common and need no hashing.
        if self.last.as_ref() == Some(&touch) {
            return;
        }
        if let Some((kind, coarse)) = coarser(&touch) {
            if self.points[kind] > MAX_POINT_READS {
                return;
            }
            if self.touches.insert(touch.clone()) {
                self.points[kind] += 1;
                if self.points[kind] > MAX_POINT_READS {
                    self.touches
                        .retain(|point| coarser(point).is_none_or(|(other, _)| other != kind));
                    self.touches.insert(coarse);
                }
            }
        } else {
            self.touches.insert(touch.clone());
        }
        self.last = Some(touch);
    }
}

/// The kind of a point and what stands for all points of its kind.
fn coarser(touch: &Touch) -> Option<(usize, Touch)> {
    match touch {
        Touch::Node(_) => Some((0, Touch::AnyNode)),
        Touch::Existence(_) => Some((1, Touch::AllNodes)),
        Touch::Edge(_) => Some((2, Touch::AnyEdge)),
        Touch::Adjacency(..) => Some((3, Touch::AnyAdjacency)),
        Touch::IndexRange(..) => Some((4, Touch::AnyIndexEntry)),
        _ => None,
    }
}

impl WriteSet {
    /// All of it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.0.iter()
    }

    pub(crate) fn from_touches(mut touches: Vec<Touch>) -> Self {
        touches.sort_unstable();
        touches.dedup();
        Self(touches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_read_set_becomes_coarse_and_stays_small() {
        let mut reads = ReadSet::default();
        reads.add(Touch::Label(1));
        for id in 0..2 * MAX_POINT_READS as u64 {
            reads.add(Touch::Node(NodeId(id)));
            reads.add(Touch::Existence(NodeId(id % 10)));
        }
        let mut all: Vec<_> = reads.iter().cloned().collect();
        all.sort();
        let mut expected: Vec<_> = (0..10).map(|id| Touch::Existence(NodeId(id))).collect();
        expected.extend([Touch::Label(1), Touch::AnyNode]);
        assert_eq!(all, expected);
    }
}
