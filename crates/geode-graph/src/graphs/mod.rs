//! Several graphs in one database (docs/adr/0017): which graph a node or an edge is of, what the catalog says about graphs, and how a
//! dropped one is emptied.
//!
//! The number of its graph stands in the high bits of an id. So the nodes of a graph, their adjacency lists and their entries in a label's
//! index are one range of keys each, and the home graph, number 0, is stored as if there were no other.

mod graph_type;
mod keep;
mod object;
mod purge;

pub use graph_type::{EdgeTypeRecord, GraphType, NodeTypeRecord, PropertyRecord, ValueType};
pub use keep::{KeepError, keep_graphs};
pub use object::{GraphRecord, Object, ObjectKind, object, objects};
pub use purge::dropped_graphs;

pub(crate) use object::key;
pub(crate) use purge::{mark, purge};

use crate::keys::{EDGES, EDGES_PER_BLOCK, Key};
use geode_types::{EdgeId, NodeId};
use std::ops::Range;

/// Bits of an id below the number of its graph: a million million nodes, and as many edges, a graph.
const LOCAL_BITS: u32 = 40;

/// The number of a graph. It is given once and never again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GraphId(pub u16);

impl GraphId {
    /// The graph that is always there.
    pub const HOME: Self = Self(0);

    /// The graph of a node.
    pub fn of_node(node: NodeId) -> Self {
        Self::of(node.0)
    }

    /// The graph of an edge.
    pub fn of_edge(edge: EdgeId) -> Self {
        Self::of(edge.0)
    }

    fn of(id: u64) -> Self {
        // Ids are below `MAX_ID`, 2^56, so that sixteen bits are left.
        Self((id >> LOCAL_BITS) as u16)
    }

    /// Whether this is the home graph.
    pub fn is_home(self) -> bool {
        self == Self::HOME
    }

    /// The ids of its nodes, and of its edges.
    pub(crate) fn ids(self) -> Range<u64> {
        let start = u64::from(self.0) << LOCAL_BITS;
        start..start + (1 << LOCAL_BITS)
    }

    /// The keys of its blocks of edges.
    pub(crate) fn edge_keys(self) -> (Key, Key) {
        let ids = self.ids();
        let block = |id: u64| Key::new(EDGES).id(id / EDGES_PER_BLOCK);
        (block(ids.start), block(ids.end))
    }

    /// The keys behind a prefix that are followed by the id of one of its nodes.
    pub(crate) fn node_keys(self, prefix: Key) -> (Key, Key) {
        let ids = self.ids();
        (prefix.id(ids.start), prefix.id(ids.end))
    }
}
