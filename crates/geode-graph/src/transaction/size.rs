//! How much the write buffer takes, about: what the limit of a transaction is compared with.

use super::overlay::{Named, Version};
use crate::graphs::Object;
use crate::record::{EdgeRecord, NodeRecord};
use crate::users::UserRecord;
use geode_types::Value;

/// What each buffered thing costs beyond its content.
pub(super) const ENTRY_BYTES: usize = 24;

/// About how much a node in the write buffer takes.
pub(super) fn node_bytes(version: &Version<NodeRecord>) -> usize {
    let content = version.now.as_ref().map_or(0, |record| {
        record.labels.len() * 4
            + record
                .properties
                .iter()
                .map(|(_, value)| 4 + value_bytes(value))
                .sum::<usize>()
    });
    ENTRY_BYTES + content
}

/// The same for an edge.
pub(super) fn edge_bytes(version: &Version<EdgeRecord>) -> usize {
    let content = version.now.as_ref().map_or(0, |record| {
        record
            .properties
            .iter()
            .map(|(_, value)| 4 + value_bytes(value))
            .sum::<usize>()
    });
    2 * ENTRY_BYTES + content
}

/// About how much a schema, graph or graph type in the write buffer takes.
pub(super) fn object_bytes(path: &str, object: &Named<Object>) -> usize {
    let mut content = Vec::new();
    object.now.iter().for_each(|object| object.encode(&mut content));
    ENTRY_BYTES + path.len() + content.len()
}

/// The same for a user.
pub(super) fn user_bytes(user: &Named<UserRecord>) -> usize {
    ENTRY_BYTES
        + user
            .now
            .as_ref()
            .map_or(0, |user| user.name.len() + user.hash.len() + user.role.len())
}

/// About how long a value is when it is encoded.
pub(super) fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Bytes(bytes) => bytes.len() + 2,
        Value::List(items) => 2 + items.iter().map(value_bytes).sum::<usize>(),
        Value::Map(entries) => {
            2 + entries
                .iter()
                .map(|(name, value)| name.len() + 1 + value_bytes(value))
                .sum::<usize>()
        }
        Value::Temporal(_) | Value::Decimal(_) => 24,
        _ => 9,
    }
}
