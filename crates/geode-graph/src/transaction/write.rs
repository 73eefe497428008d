//! Writing in a transaction: into the buffer, after a check against what is there now.

use super::Transaction;
use super::overlay::{Named, Undo, Version};
use super::size::value_bytes;
use crate::adjacency::Direction;
use crate::catalog::{TokenKind, check_name};
use crate::checkpoints::{self, MAX_CHECKPOINTS};
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::ids::IdAllocator;
use crate::readset::Touch;
use crate::record::{EdgeRecord, Labels, NodeRecord, PropertyList};
use crate::users::UserRecord;
use geode_store::ReadTxn;
use geode_types::{EdgeId, MAX_VALUE_DEPTH, NodeId, Value};
use std::sync::Arc;

/// The largest value of a property.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

impl<R: ReadTxn> Transaction<R> {
    /// The number of a label, defined now if it has none.
    pub fn define_label(&mut self, name: &str) -> Result<u32> {
        self.define(TokenKind::Label, name)
    }

    /// The number of an edge type, defined now if it has none.
    pub fn define_type(&mut self, name: &str) -> Result<u32> {
        self.define(TokenKind::EdgeType, name)
    }

    /// The number of a property key, defined now if it has none.
    pub fn define_key(&mut self, name: &str) -> Result<u32> {
        self.define(TokenKind::PropertyKey, name)
    }

    /// The number of a name, defined now if it has none.
    pub fn define(&mut self, kind: TokenKind, name: &str) -> Result<u32> {
        check_name(name)?;
        if let Some(id) = self.token_id(kind, name)? {
            return Ok(id);
        }
        let id = self.ids()?.token(kind)?;
        let undo = self.overlay.define(kind, name, id);
        self.remember(undo);
        Ok(id)
    }

    /// A new node in the graph that is worked on. Null properties are left out; of a repeated key the last value counts.
    pub fn create_node(&mut self, labels: &[u32], properties: PropertyList) -> Result<NodeId> {
        let properties = normalised(properties)?;
        let mut labels = Labels::from_slice(labels);
        labels.sort_unstable();
        labels.dedup();
        let id = self.ids()?.node(self.graph)?;
        let (properties_set, labels_added) = (properties.len() as u64, labels.len() as u64);
        self.put_node(id, None, Some(NodeRecord { labels, properties }))?;
        self.summary.nodes_created += 1;
        self.summary.properties_set += properties_set;
        self.summary.labels_added += labels_added;
        Ok(id)
    }

    /// A new edge between nodes that exist, of one graph, which is the edge's too. Null properties are left out.
    pub fn create_edge(
        &mut self,
        edge_type: u32,
        start: NodeId,
        end: NodeId,
        properties: PropertyList,
    ) -> Result<EdgeId> {
        let properties = normalised(properties)?;
        for node in [start, end] {
            if !self.node_exists(node)? {
                return Err(GraphError::NodeNotFound(node));
            }
        }
        let graph = GraphId::of_node(start);
        if graph != GraphId::of_node(end) {
            return Err(GraphError::BetweenGraphs);
        }
        let id = self.ids()?.edge(graph)?;
        let properties_set = properties.len() as u64;
        self.put_edge(
            id,
            None,
            Some(EdgeRecord {
                edge_type,
                start,
                end,
                properties,
            }),
        )?;
        self.summary.edges_created += 1;
        self.summary.properties_set += properties_set;
        Ok(id)
    }

    /// Sets a property of a node; null removes it.
    pub fn set_node_property(&mut self, id: NodeId, key: u32, value: Value) -> Result<()> {
        if value.is_null() {
            return self.remove_node_property(id, key).map(drop);
        }
        check_value(&value)?;
        self.change_node(id, |record| set(&mut record.properties, key, value))?;
        self.summary.properties_set += 1;
        Ok(())
    }

    /// Removes a property of a node; whether it was there.
    pub fn remove_node_property(&mut self, id: NodeId, key: u32) -> Result<bool> {
        self.ids()?;
        if self.node_property(id, key)?.is_none() {
            return if self.node_exists(id)? {
                Ok(false)
            } else {
                Err(GraphError::NodeNotFound(id))
            };
        }
        self.change_node(id, |record| record.properties.retain(|(other, _)| *other != key))?;
        self.summary.properties_set += 1;
        Ok(true)
    }

    /// Replaces all properties of a node. Null properties are left out.
    pub fn replace_node_properties(&mut self, id: NodeId, properties: PropertyList) -> Result<()> {
        let properties = normalised(properties)?;
        let mut changed = 0;
        self.change_node(id, |record| {
            changed = differences(&record.properties, &properties);
            record.properties = properties;
        })?;
        self.summary.properties_set += changed;
        Ok(())
    }

    /// Adds a label to a node; whether it lacked it.
    pub fn add_label(&mut self, id: NodeId, label: u32) -> Result<bool> {
        self.set_label(id, label, true)
    }

    /// Removes a label from a node; whether it had it.
    pub fn remove_label(&mut self, id: NodeId, label: u32) -> Result<bool> {
        self.set_label(id, label, false)
    }

    fn set_label(&mut self, id: NodeId, label: u32, add: bool) -> Result<bool> {
        self.ids()?;
        let labels = self.node_labels(id)?.ok_or(GraphError::NodeNotFound(id))?;
        if labels.contains(&label) == add {
            return Ok(false);
        }
        self.change_node(id, |record| match record.labels.binary_search(&label) {
            Ok(place) => drop(record.labels.remove(place)),
            Err(place) => record.labels.insert(place, label),
        })?;
        let counter = if add {
            &mut self.summary.labels_added
        } else {
            &mut self.summary.labels_removed
        };
        *counter += 1;
        Ok(true)
    }

    /// Sets a property of an edge; null removes it.
    pub fn set_edge_property(&mut self, id: EdgeId, key: u32, value: Value) -> Result<()> {
        if value.is_null() {
            return self.remove_edge_property(id, key).map(drop);
        }
        check_value(&value)?;
        self.change_edge(id, |record| set(&mut record.properties, key, value))?;
        self.summary.properties_set += 1;
        Ok(())
    }

    /// Removes a property of an edge; whether it was there.
    pub fn remove_edge_property(&mut self, id: EdgeId, key: u32) -> Result<bool> {
        self.ids()?;
        if self.edge_property(id, key)?.is_none() {
            return if self.edge(id)?.is_some() {
                Ok(false)
            } else {
                Err(GraphError::EdgeNotFound(id))
            };
        }
        self.change_edge(id, |record| record.properties.retain(|(other, _)| *other != key))?;
        self.summary.properties_set += 1;
        Ok(true)
    }

    /// Replaces all properties of an edge. Null properties are left out.
    pub fn replace_edge_properties(&mut self, id: EdgeId, properties: PropertyList) -> Result<()> {
        let properties = normalised(properties)?;
        let mut changed = 0;
        self.change_edge(id, |record| {
            changed = differences(&record.properties, &properties);
            record.properties = properties;
        })?;
        self.summary.properties_set += changed;
        Ok(())
    }

    /// Deletes an edge.
    pub fn delete_edge(&mut self, id: EdgeId) -> Result<()> {
        self.ids()?;
        let (base, _) = self.current_edge(id)?;
        self.put_edge(id, base, None)?;
        self.summary.edges_deleted += 1;
        Ok(())
    }

    /// Deletes a node. With `detach` its edges go first, otherwise there must be none.
    pub fn delete_node(&mut self, id: NodeId, detach: bool) -> Result<()> {
        self.ids()?;
        let (base, _) = self.current_node(id)?;
        let mut edges = Vec::new();
        self.expand(id, Direction::Both, None, &mut edges)?;
        if !edges.is_empty() && !detach {
            return Err(GraphError::NodeHasEdges(id));
        }
        for adjacent in edges {
            self.delete_edge(adjacent.edge)?;
        }
        self.put_node(id, base, None)?;
        self.summary.nodes_deleted += 1;
        Ok(())
    }

    /// Creates a user or replaces the one of this name.
    pub fn put_user(&mut self, user: UserRecord) -> Result<()> {
        self.ids()?;
        check_name(&user.name)?;
        self.user(&user.name)?;
        self.set_user(&user.name.clone(), Some(user))
    }

    /// Removes a user; whether there was one.
    pub fn drop_user(&mut self, name: &str) -> Result<bool> {
        self.ids()?;
        let known = self.user(name)?.is_some();
        if known {
            self.set_user(name, None)?;
        }
        Ok(known)
    }

    fn set_user(&mut self, name: &str, now: Option<UserRecord>) -> Result<()> {
        let stored = match self.overlay.user(name) {
            Some(user) => user.stored,
            None => crate::users::user(self.snapshot.reader(), name)?.is_some(),
        };
        let undo = self.overlay.set_user(name, Some(Named { stored, now }));
        self.remember(undo);
        self.check_limit()
    }

    /// Names the moment of this transaction's commit.
    pub fn create_checkpoint(&mut self, name: &str) -> Result<()> {
        self.ids()?;
        check_name(name)?;
        let there = self.checkpoints()?;
        if there.contains(name) {
            return Err(GraphError::CheckpointExists(name.to_owned()));
        }
        if there.len() >= MAX_CHECKPOINTS {
            return Err(GraphError::TooManyCheckpoints);
        }
        self.set_checkpoint(name, Some(()))
    }

    /// Removes the name of a moment; whether there was one.
    pub fn drop_checkpoint(&mut self, name: &str) -> Result<bool> {
        self.ids()?;
        let known = self.checkpoints()?.contains(name);
        if known {
            self.set_checkpoint(name, None)?;
        }
        Ok(known)
    }

    fn set_checkpoint(&mut self, name: &str, now: Option<()>) -> Result<()> {
        let stored = self.snapshot.reader().get(&checkpoints::key(name))?.is_some();
        let undo = self.overlay.set_checkpoint(name, Some(Named { stored, now }));
        self.remember(undo);
        self.check_limit()
    }

    pub(super) fn ids(&self) -> Result<&IdAllocator> {
        self.ids.as_deref().ok_or(GraphError::ReadOnly)
    }

    pub(super) fn remember(&mut self, step: Undo) {
        if let Some(undo) = &mut self.undo {
            undo.push(step);
        }
    }

    pub(super) fn check_limit(&self) -> Result<()> {
        if self.overlay.bytes() > self.limit_bytes {
            return Err(GraphError::WriteSetTooLarge {
                limit: self.limit_bytes,
            });
        }
        Ok(())
    }

    /// What the snapshot has and what the node is now.
    fn current_node(&self, id: NodeId) -> Result<(Option<Arc<NodeRecord>>, Arc<NodeRecord>)> {
        self.note(|| Touch::Node(id));
        let (base, now) = match self.overlay.node(id) {
            Some(version) => (version.base.clone(), version.now.clone()),
            None => {
                let stored = self.snapshot.node(id)?.map(Arc::new);
                (stored.clone(), stored)
            }
        };
        now.map(|now| (base, now)).ok_or(GraphError::NodeNotFound(id))
    }

    fn current_edge(&self, id: EdgeId) -> Result<(Option<Arc<EdgeRecord>>, Arc<EdgeRecord>)> {
        self.note(|| Touch::Edge(id));
        let (base, now) = match self.overlay.edge(id) {
            Some(version) => (version.base.clone(), version.now.clone()),
            None => {
                let stored = self.snapshot.edge(id)?.map(Arc::new);
                (stored.clone(), stored)
            }
        };
        now.map(|now| (base, now)).ok_or(GraphError::EdgeNotFound(id))
    }

    fn change_node(&mut self, id: NodeId, change: impl FnOnce(&mut NodeRecord)) -> Result<()> {
        self.ids()?;
        let (base, now) = self.current_node(id)?;
        let mut record = Arc::unwrap_or_clone(now);
        change(&mut record);
        self.put_node(id, base, Some(record))
    }

    fn change_edge(&mut self, id: EdgeId, change: impl FnOnce(&mut EdgeRecord)) -> Result<()> {
        self.ids()?;
        let (base, now) = self.current_edge(id)?;
        let mut record = Arc::unwrap_or_clone(now);
        change(&mut record);
        self.put_edge(id, base, Some(record))
    }

    fn put_node(&mut self, id: NodeId, base: Option<Arc<NodeRecord>>, now: Option<NodeRecord>) -> Result<()> {
        let rules = self.rules()?;
        self.overlay.keep_rules(&rules)?;
        let undo = self.overlay.set_node(
            id,
            Some(Version {
                base,
                now: now.map(Arc::new),
            }),
        );
        self.remember(undo);
        self.check_limit()
    }

    fn put_edge(&mut self, id: EdgeId, base: Option<Arc<EdgeRecord>>, now: Option<EdgeRecord>) -> Result<()> {
        self.overlay.refuse_schema()?;
        let undo = self.overlay.set_edge(
            id,
            Some(Version {
                base,
                now: now.map(Arc::new),
            }),
        );
        self.remember(undo);
        self.check_limit()
    }
}

fn set(properties: &mut PropertyList, key: u32, value: Value) {
    match properties.binary_search_by_key(&key, |(id, _)| *id) {
        Ok(place) => properties[place].1 = value,
        Err(place) => properties.insert(place, (key, value)),
    }
}

/// Sorted, without nulls; of a repeated key the last value counts.
fn normalised(mut properties: PropertyList) -> Result<PropertyList> {
    for (_, value) in &properties {
        check_value(value)?;
    }
    properties.sort_by_key(|(key, _)| *key);
    properties.reverse();
    properties.dedup_by_key(|(key, _)| *key);
    properties.reverse();
    properties.retain(|(_, value)| !value.is_null());
    Ok(properties)
}

/// How many properties are set or removed when one list replaces the other.
fn differences(old: &PropertyList, new: &PropertyList) -> u64 {
    let removed = old
        .iter()
        .filter(|(key, _)| new.iter().all(|(other, _)| other != key))
        .count();
    (new.len() + removed) as u64
}

/// A property holds plain values: no graph elements, and not nested deeper than it can be read back.
fn check_value(value: &Value) -> Result<()> {
    fn check(value: &Value, depth: usize) -> Result<()> {
        if depth > MAX_VALUE_DEPTH {
            return Err(GraphError::NotStorable("a value nested that deep"));
        }
        match value {
            Value::Node(_) => Err(GraphError::NotStorable("a node")),
            Value::Edge(_) => Err(GraphError::NotStorable("an edge")),
            Value::Path(_) => Err(GraphError::NotStorable("a path")),
            Value::List(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
            Value::Map(entries) => entries.iter().try_for_each(|(_, item)| check(item, depth + 1)),
            _ => Ok(()),
        }
    }
    if value_bytes(value) > MAX_VALUE_BYTES {
        return Err(GraphError::NotStorable("a value larger than 16 MiB"));
    }
    check(value, 0)
}
