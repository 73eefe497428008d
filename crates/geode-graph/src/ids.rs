//! Ids for new nodes, edges and names. They are handed out on the leader, from memory; an id that a failed transaction took is
//! not used again in this term.

use crate::catalog::TokenKind;
use crate::counters::{self, Sizes, Totals};
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use geode_mutation::{Mutation, is_on};
use geode_store::Reader;
use geode_types::{EdgeId, NodeId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The leader's allocator, shared by its transactions. Lives for one term.
#[derive(Debug)]
pub struct IdAllocator {
    node: AtomicU64,
    edge: AtomicU64,
    token: [AtomicU32; 3],
    graph: AtomicU32,
    /// The next ids of nodes and edges of the other graphs. One that is not here was created in this term, or has no elements yet.
    others: Mutex<HashMap<GraphId, (u64, u64)>>,
}

impl IdAllocator {
    /// Begins behind everything that has been applied. Call it when the term's first entry has been applied: then no entry
    /// of an earlier term can still bring ids.
    pub fn seed(read: &impl Reader) -> Result<Self> {
        let totals = Totals::read(read)?;
        Ok(Self {
            node: AtomicU64::new(
                totals.next_node - u64::from(is_on(Mutation::ReuseNodeId) && totals.next_node > 1),
            ),
            edge: AtomicU64::new(totals.next_edge),
            token: totals.next_token.map(AtomicU32::new),
            graph: AtomicU32::new(counters::next_graph(read)?),
            others: Mutex::new(
                counters::graphs(read)?
                    .into_iter()
                    .map(|(graph, sizes)| (graph, (sizes.next_node, sizes.next_edge)))
                    .collect(),
            ),
        })
    }

    pub(crate) fn node(&self, graph: GraphId) -> Result<NodeId> {
        let id = if graph.is_home() {
            self.node.fetch_add(1, Ordering::Relaxed)
        } else {
            self.of_other(graph, |(node, _)| node)
        };
        within(graph, id, "node").map(NodeId)
    }

    pub(crate) fn edge(&self, graph: GraphId) -> Result<EdgeId> {
        let id = if graph.is_home() {
            self.edge.fetch_add(1, Ordering::Relaxed)
        } else {
            self.of_other(graph, |(_, edge)| edge)
        };
        within(graph, id, "edge").map(EdgeId)
    }

    fn of_other(&self, graph: GraphId, which: impl FnOnce(&mut (u64, u64)) -> &mut u64) -> u64 {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let next = which(others.entry(graph).or_insert_with(|| {
            let empty = Sizes::empty(graph);
            (empty.next_node, empty.next_edge)
        }));
        let id = *next;
        *next = next.saturating_add(1);
        id
    }

    pub(crate) fn graph(&self) -> Result<GraphId> {
        let number = self.graph.fetch_add(1, Ordering::Relaxed);
        let number = u16::try_from(number).map_err(|_| GraphError::OutOfIds("graph"))?;
        Ok(GraphId(number))
    }

    pub(crate) fn token(&self, kind: TokenKind) -> Result<u32> {
        let id = self.token[usize::from(kind.code())].fetch_add(1, Ordering::Relaxed);
        if id == u32::MAX {
            Err(GraphError::OutOfIds("name"))
        } else {
            Ok(id)
        }
    }
}

/// An id of this graph, or none is left.
fn within(graph: GraphId, id: u64, what: &'static str) -> Result<u64> {
    if graph.ids().contains(&id) {
        Ok(id)
    } else {
        Err(GraphError::OutOfIds(what))
    }
}
