//! How much a transaction changed, as numbers that go through the log with it.

use crate::codec::{Decoded, put_u64, take_u64};
use serde::{Deserialize, Serialize};

/// How much a transaction changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitSummary {
    /// Nodes created.
    pub nodes_created: u64,
    /// Nodes deleted.
    pub nodes_deleted: u64,
    /// Edges created.
    pub edges_created: u64,
    /// Edges deleted.
    pub edges_deleted: u64,
    /// Properties set or removed, those of new nodes and edges included.
    pub properties_set: u64,
    /// Labels added to nodes, those of new nodes included.
    pub labels_added: u64,
    /// Labels removed from nodes that remain.
    pub labels_removed: u64,
}

impl CommitSummary {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in self.numbers() {
            put_u64(number, out);
        }
    }

    fn numbers(&self) -> [u64; 7] {
        [
            self.nodes_created,
            self.nodes_deleted,
            self.edges_created,
            self.edges_deleted,
            self.properties_set,
            self.labels_added,
            self.labels_removed,
        ]
    }

    pub(crate) fn take(input: &mut &[u8]) -> Decoded<Self> {
        Ok(Self {
            nodes_created: take_u64(input)?,
            nodes_deleted: take_u64(input)?,
            edges_created: take_u64(input)?,
            edges_deleted: take_u64(input)?,
            properties_set: take_u64(input)?,
            labels_added: take_u64(input)?,
            labels_removed: take_u64(input)?,
        })
    }
}
