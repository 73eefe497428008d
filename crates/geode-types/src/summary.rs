//! What a statement changed.

use serde::{Deserialize, Serialize};

/// Counts of changes; a zero is left out of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Nodes created.
    #[serde(skip_serializing_if = "is_zero")]
    pub nodes_created: u64,
    /// Nodes deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub nodes_deleted: u64,
    /// Edges created.
    #[serde(skip_serializing_if = "is_zero")]
    pub edges_created: u64,
    /// Edges deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub edges_deleted: u64,
    /// Properties set or removed.
    #[serde(skip_serializing_if = "is_zero")]
    pub properties_set: u64,
    /// Labels added to nodes.
    #[serde(skip_serializing_if = "is_zero")]
    pub labels_added: u64,
    /// Labels removed from nodes.
    #[serde(skip_serializing_if = "is_zero")]
    pub labels_removed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.nodes_created += other.nodes_created;
        self.nodes_deleted += other.nodes_deleted;
        self.edges_created += other.edges_created;
        self.edges_deleted += other.edges_deleted;
        self.properties_set += other.properties_set;
        self.labels_added += other.labels_added;
        self.labels_removed += other.labels_removed;
    }
}
