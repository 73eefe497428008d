//! Ids for new nodes, edges and names. They are handed out on the leader, from memory; an id that a failed transaction took is
//! not used again in this term.

use crate::catalog::TokenKind;
use crate::counters::Totals;
use crate::error::{GraphError, Result};
use crate::keys::MAX_ID;
use geode_mutation::{Mutation, is_on};
use geode_store::Reader;
use geode_types::{EdgeId, NodeId};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The leader's allocator, shared by its transactions. Lives for one term.
#[derive(Debug)]
pub struct IdAllocator {
    node: AtomicU64,
    edge: AtomicU64,
    token: [AtomicU32; 3],
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
        })
    }

    pub(crate) fn node(&self) -> Result<NodeId> {
        next(&self.node, "node").map(NodeId)
    }

    pub(crate) fn edge(&self) -> Result<EdgeId> {
        next(&self.edge, "edge").map(EdgeId)
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

fn next(counter: &AtomicU64, what: &'static str) -> Result<u64> {
    let id = counter.fetch_add(1, Ordering::Relaxed);
    if id < MAX_ID {
        Ok(id)
    } else {
        Err(GraphError::OutOfIds(what))
    }
}
