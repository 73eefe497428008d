//! The write buffer: for each thing touched what the snapshot has and what it is now, with the secondary views that scans and
//! expansions need. Ordered maps throughout, because the effects are written from them.

use super::accounts::account_effects;
use super::size::{ENTRY_BYTES, edge_bytes, node_bytes, object_bytes};
use super::touch::{touch_edge, touch_node};
use crate::adjacency::{Adjacent, Direction};
use crate::catalog::TokenKind;
use crate::command::Effect;
use crate::error::{GraphError, Result};
use crate::graphs::{GraphId, Object, ObjectKind};
use crate::readset::{Touch, WriteSet};
use crate::record::{EdgeRecord, NodeRecord};
use crate::roles::RoleRecord;
use crate::schema::{KeyRange, Rule, RuleId};
use crate::users::UserRecord;
use geode_types::{EdgeId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A thing in the snapshot and now; `None` where it does not exist.
#[derive(Clone, Debug)]
pub(super) struct Version<T> {
    pub(super) base: Option<Arc<T>>,
    pub(super) now: Option<Arc<T>>,
}

/// An edge as a list of its end holds it: end, outgoing, type, other end, edge.
type ListEntry = (NodeId, bool, u32, NodeId, EdgeId);

/// What a name stands for now, and whether it does for anything in the snapshot.
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    pub(super) stored: bool,
    pub(super) now: Option<T>,
}

/// What a write replaced.
pub(super) enum Undo {
    Node(NodeId, Option<Version<NodeRecord>>),
    Edge(EdgeId, Option<Version<EdgeRecord>>),
    Token(TokenKind, String),
    User(String, Option<Named<UserRecord>>),
    Role(String, Option<Named<RoleRecord>>),
    Checkpoint(String, Option<Named<()>>),
    Rule(RuleId, Option<Version<Rule>>),
    Object(ObjectKind, String, Option<Named<Object>>),
}

#[derive(Default)]
pub(super) struct Overlay {
    nodes: BTreeMap<NodeId, Version<NodeRecord>>,
    edges: BTreeMap<EdgeId, Version<EdgeRecord>>,
    /// Nodes of this overlay by the labels they have now.
    labelled: BTreeSet<(u32, NodeId)>,
    /// New edges by their ends.
    connected: BTreeSet<ListEntry>,
    deleted_edges: usize,
    token_ids: BTreeMap<(TokenKind, String), u32>,
    token_names: BTreeMap<(TokenKind, u32), Arc<str>>,
    pub(super) users: BTreeMap<String, Named<UserRecord>>,
    pub(super) roles: BTreeMap<String, Named<RoleRecord>>,
    checkpoints: BTreeMap<String, Named<()>>,
    /// Indexes and constraints that are created or dropped. Never together with nodes or edges.
    changed_rules: BTreeMap<RuleId, Version<Rule>>,
    /// The indexes that nodes of this overlay have to be found by.
    indexes: Option<Arc<[Rule]>>,
    /// Nodes of this overlay by the values they have now.
    indexed: BTreeSet<(RuleId, Box<[u8]>, NodeId)>,
    objects: BTreeMap<(ObjectKind, String), Named<Object>>,
    purged: BTreeSet<GraphId>,
    pub(super) bytes: usize,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
            && self.edges.is_empty()
            && self.token_ids.is_empty()
            && self.users.is_empty()
            && self.roles.is_empty()
            && self.checkpoints.is_empty()
            && self.changed_rules.is_empty()
            && self.objects.is_empty()
            && self.purged.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Version<NodeRecord>> {
        self.nodes.get(&id)
    }

    pub(super) fn edge(&self, id: EdgeId) -> Option<&Version<EdgeRecord>> {
        self.edges.get(&id)
    }

    pub(super) fn user(&self, name: &str) -> Option<&Named<UserRecord>> {
        self.users.get(name)
    }

    pub(super) fn users(&self) -> impl Iterator<Item = (&String, &Named<UserRecord>)> {
        self.users.iter()
    }

    pub(super) fn checkpoints(&self) -> &BTreeMap<String, Named<()>> {
        &self.checkpoints
    }

    pub(super) fn token_id(&self, kind: TokenKind, name: &str) -> Option<u32> {
        if self.token_ids.is_empty() {
            return None;
        }
        self.token_ids.get(&(kind, name.to_owned())).copied()
    }

    pub(super) fn token_name(&self, kind: TokenKind, id: u32) -> Option<Arc<str>> {
        self.token_names.get(&(kind, id)).cloned()
    }

    pub(super) fn tokens(&self, kind: TokenKind) -> impl Iterator<Item = (u32, Arc<str>)> {
        self.token_names
            .range((kind, 0)..=(kind, u32::MAX))
            .map(|((_, id), name)| (*id, name.clone()))
    }

    pub(super) fn object(&self, kind: ObjectKind, path: &str) -> Option<&Named<Object>> {
        if self.objects.is_empty() {
            return None;
        }
        self.objects.get(&(kind, path.to_owned()))
    }

    pub(super) fn objects(&self, kind: ObjectKind) -> impl Iterator<Item = (&String, &Named<Object>)> {
        let of_kind = self.objects.range((kind, String::new())..);
        let of_kind = of_kind.take_while(move |((other, _), _)| *other == kind);
        of_kind.map(|((_, path), object)| (path, object))
    }

    /// Nodes of the overlay from `from` to `end` that exist now, with the label or all.
    pub(super) fn nodes_from(
        &self,
        label: Option<u32>,
        from: NodeId,
        end: NodeId,
    ) -> Box<dyn Iterator<Item = NodeId> + '_> {
        match label {
            Some(label) => Box::new(
                self.labelled
                    .range((label, from)..(label, end))
                    .map(|(_, node)| *node),
            ),
            None => Box::new(
                self.nodes
                    .range(from..end)
                    .filter(|(_, version)| version.now.is_some())
                    .map(|(node, _)| *node),
            ),
        }
    }

    /// New edges from `from` to `end`.
    pub(super) fn new_edges_from(
        &self,
        from: EdgeId,
        end: EdgeId,
    ) -> impl Iterator<Item = (EdgeId, &EdgeRecord)> {
        self.edges
            .range(from..end)
            .filter(|(_, version)| version.base.is_none())
            .filter_map(|(id, version)| version.now.as_deref().map(|record| (*id, record)))
    }

    pub(super) fn is_edge_deleted(&self, id: EdgeId) -> bool {
        self.deleted_edges > 0 && self.edges.get(&id).is_some_and(|version| version.now.is_none())
    }

    /// New edges of a node. A self loop comes once when both directions are asked for.
    pub(super) fn new_adjacent(
        &self,
        node: NodeId,
        direction: Direction,
        types: Option<&[u32]>,
        mut each: impl FnMut(Adjacent),
    ) {
        if self.connected.is_empty() {
            return;
        }
        let first = (node, false, 0, NodeId(0), EdgeId(0));
        let last = (node, true, u32::MAX, NodeId(u64::MAX), EdgeId(u64::MAX));
        for (_, outgoing, edge_type, other, edge) in self.connected.range(first..=last).copied() {
            let twice = direction == Direction::Both && !outgoing && other == node;
            if direction.includes(outgoing) && !twice && types.is_none_or(|types| types.contains(&edge_type))
            {
                each(Adjacent {
                    edge,
                    edge_type,
                    other,
                    outgoing,
                });
            }
        }
    }

    pub(super) fn changed_rules(&self) -> &BTreeMap<RuleId, Version<Rule>> {
        &self.changed_rules
    }

    /// Indexes and constraints are not changed where nodes or edges are.
    pub(super) fn refuse_data(&self) -> Result<()> {
        if self.nodes.is_empty() && self.edges.is_empty() {
            Ok(())
        } else {
            Err(GraphError::SchemaAndData)
        }
    }

    pub(super) fn refuse_schema(&self) -> Result<()> {
        if self.changed_rules.is_empty() {
            Ok(())
        } else {
            Err(GraphError::SchemaAndData)
        }
    }

    /// The rules that hold while nodes are written; they stay the same from the first node on.
    pub(super) fn keep_rules(&mut self, rules: &Arc<[Rule]>) -> Result<()> {
        self.refuse_schema()?;
        if self.indexes.is_none() && rules.iter().any(Rule::is_index) {
            self.indexes = Some(rules.clone());
        }
        Ok(())
    }

    /// Nodes of the overlay with values in a range of an index.
    pub(super) fn indexed<'o>(
        &'o self,
        rule: RuleId,
        range: &'o KeyRange,
    ) -> impl Iterator<Item = NodeId> + use<'o> {
        self.indexed
            .range((rule, range.from.clone(), NodeId(0))..)
            .take_while(move |(of, values, _)| *of == rule && range.contains(values))
            .map(|(_, _, node)| *node)
    }

    /// Sets what a rule is now (`None` removes the entry) and returns what undoes it.
    pub(super) fn set_rule(&mut self, id: RuleId, version: Option<Version<Rule>>) -> Undo {
        let old = match version {
            Some(version) => self.changed_rules.insert(id, version),
            None => self.changed_rules.remove(&id),
        };
        Undo::Rule(id, old)
    }

    /// Brings the entries of a node in `indexed` from one content to another.
    fn index(&mut self, id: NodeId, old: Option<&NodeRecord>, new: Option<&NodeRecord>) {
        if !Rule::concerns(id) {
            return;
        }
        let Some(rules) = self.indexes.clone() else { return };
        for rule in rules.iter().filter(|rule| rule.is_index()) {
            if let Some(values) = old.and_then(|record| rule.values(record)) {
                self.bytes -= values.len() + ENTRY_BYTES;
                self.indexed.remove(&(rule.id, values.into(), id));
            }
            if let Some(values) = new.and_then(|record| rule.values(record)) {
                self.bytes += values.len() + ENTRY_BYTES;
                self.indexed.insert((rule.id, values.into(), id));
            }
        }
    }

    /// Sets what a node is now (`None` removes the entry) and returns what undoes it.
    pub(super) fn set_node(&mut self, id: NodeId, version: Option<Version<NodeRecord>>) -> Undo {
        if self.indexes.is_some() {
            let now = |version: Option<&Version<NodeRecord>>| version.and_then(|version| version.now.clone());
            let (old, new) = (now(self.nodes.get(&id)), now(version.as_ref()));
            self.index(id, old.as_deref(), new.as_deref());
        }
        if let Some(new) = &version {
            self.bytes += node_bytes(new);
            if let Some(record) = &new.now {
                self.labelled
                    .extend(record.labels.iter().map(|label| (*label, id)));
            }
        }
        let new_labels = version.as_ref().and_then(|new| new.now.clone());
        let old = match version {
            Some(new) => self.nodes.insert(id, new),
            None => self.nodes.remove(&id),
        };
        if let Some(old) = &old {
            self.bytes -= node_bytes(old);
            for label in old.now.iter().flat_map(|record| record.labels.iter()) {
                if new_labels
                    .as_ref()
                    .is_none_or(|record| !record.labels.contains(label))
                {
                    self.labelled.remove(&(*label, id));
                }
            }
        }
        Undo::Node(id, old)
    }

    /// Sets what an edge is now (`None` removes the entry) and returns what undoes it. The ends of an edge never change.
    pub(super) fn set_edge(&mut self, id: EdgeId, version: Option<Version<EdgeRecord>>) -> Undo {
        if let Some(old) = self.edges.remove(&id) {
            self.account_edge(id, &old, false);
            if let Some(new) = version {
                self.account_edge(id, &new, true);
                self.edges.insert(id, new);
            }
            return Undo::Edge(id, Some(old));
        }
        if let Some(new) = version {
            self.account_edge(id, &new, true);
            self.edges.insert(id, new);
        }
        Undo::Edge(id, None)
    }

    fn account_edge(&mut self, id: EdgeId, version: &Version<EdgeRecord>, enters: bool) {
        let bytes = edge_bytes(version);
        if enters {
            self.bytes += bytes;
            self.deleted_edges += usize::from(version.now.is_none());
        } else {
            self.bytes -= bytes;
            self.deleted_edges -= usize::from(version.now.is_none());
        }
        if let (None, Some(record)) = (&version.base, &version.now) {
            for entry in list_entries(id, record) {
                if enters {
                    self.connected.insert(entry);
                } else {
                    self.connected.remove(&entry);
                }
            }
        }
    }

    pub(super) fn define(&mut self, kind: TokenKind, name: &str, id: u32) -> Undo {
        self.bytes += ENTRY_BYTES + name.len();
        self.token_ids.insert((kind, name.to_owned()), id);
        self.token_names.insert((kind, id), name.into());
        Undo::Token(kind, name.to_owned())
    }

    /// Sets whether a checkpoint is there now (`None` removes the entry) and returns what undoes it.
    pub(super) fn set_checkpoint(&mut self, name: &str, checkpoint: Option<Named<()>>) -> Undo {
        let size = name.len() + ENTRY_BYTES;
        let is_set = checkpoint.is_some();
        let old = match checkpoint {
            Some(checkpoint) => self.checkpoints.insert(name.to_owned(), checkpoint),
            None => self.checkpoints.remove(name),
        };
        self.bytes += if is_set { size } else { 0 };
        self.bytes -= if old.is_some() { size } else { 0 };
        Undo::Checkpoint(name.to_owned(), old)
    }

    /// Sets what has a path in the catalog now (`None` removes the entry) and returns what undoes it.
    pub(super) fn set_object(&mut self, kind: ObjectKind, path: &str, object: Option<Named<Object>>) -> Undo {
        self.bytes += object.as_ref().map_or(0, |object| object_bytes(path, object));
        let key = (kind, path.to_owned());
        let old = match object {
            Some(object) => self.objects.insert(key, object),
            None => self.objects.remove(&key),
        };
        self.bytes -= old.as_ref().map_or(0, |object| object_bytes(path, object));
        Undo::Object(kind, path.to_owned(), old)
    }

    pub(super) fn purge(&mut self, graph: GraphId) {
        self.purged.insert(graph);
    }

    pub(super) fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Node(id, old) => drop(self.set_node(id, old)),
            Undo::Edge(id, old) => drop(self.set_edge(id, old)),
            Undo::Token(kind, name) => {
                self.bytes -= ENTRY_BYTES + name.len();
                if let Some(id) = self.token_ids.remove(&(kind, name)) {
                    self.token_names.remove(&(kind, id));
                }
            }
            Undo::User(name, old) => drop(self.set_user(&name, old)),
            Undo::Role(name, old) => drop(self.set_role(&name, old)),
            Undo::Checkpoint(name, old) => drop(self.set_checkpoint(&name, old)),
            Undo::Rule(id, old) => drop(self.set_rule(id, old)),
            Undo::Object(kind, path, old) => drop(self.set_object(kind, &path, old)),
        }
    }

    /// The effects in an order that can be applied: names before their use, edges away before their nodes, nodes there before
    /// their edges.
    pub(super) fn into_effects(self) -> (Vec<Effect>, WriteSet) {
        let mut effects = Vec::with_capacity(self.nodes.len() + self.edges.len() + self.token_ids.len());
        let mut touches = Vec::new();
        for ((kind, id), name) in &self.token_names {
            touches.extend([Touch::Token(*kind, name.to_string()), Touch::Tokens(*kind)]);
            effects.push(Effect::DefineToken {
                kind: *kind,
                id: *id,
                name: name.to_string(),
            });
        }
        for ((kind, path), object) in self.objects {
            touches.extend([Touch::Object(kind, path.clone()), Touch::Objects(kind)]);
            match object.now {
                Some(object) => effects.push(Effect::PutObject { path, object }),
                None if object.stored => effects.push(Effect::DropObject { kind, path }),
                None => {}
            }
        }
        effects.extend(self.purged.into_iter().map(|graph| Effect::PurgeGraph { graph }));
        let mut late = Vec::new();
        for (id, version) in self.edges {
            touch_edge(id, &version, &mut touches);
            match (version.base, version.now) {
                (Some(_), None) => effects.push(Effect::DeleteEdge { id }),
                (None, Some(record)) => late.push(Effect::CreateEdge {
                    id,
                    record: Arc::unwrap_or_clone(record),
                }),
                (Some(_), Some(record)) => {
                    late.push(Effect::UpdateEdge {
                        id,
                        properties: Arc::unwrap_or_clone(record).properties,
                    });
                }
                (None, None) => {}
            }
        }
        let indexes = self.indexes.as_deref().unwrap_or_default();
        for (id, version) in self.nodes {
            touch_node(id, &version, indexes, &mut touches);
            match (version.base, version.now) {
                (Some(_), None) => effects.push(Effect::DeleteNode { id }),
                (None, Some(record)) => effects.push(Effect::CreateNode {
                    id,
                    record: Arc::unwrap_or_clone(record),
                }),
                (Some(_), Some(record)) => effects.push(Effect::UpdateNode {
                    id,
                    record: Arc::unwrap_or_clone(record),
                }),
                (None, None) => {}
            }
        }
        effects.append(&mut late);
        account_effects(self.users, self.roles, &mut effects, &mut touches);
        for (name, checkpoint) in self.checkpoints {
            touches.push(Touch::Checkpoints);
            match checkpoint.now {
                Some(()) => effects.push(Effect::PutCheckpoint { name }),
                None if checkpoint.stored => effects.push(Effect::DropCheckpoint { name }),
                None => {}
            }
        }
        for (id, version) in self.changed_rules {
            touches.push(Touch::Rules);
            match (version.base, version.now) {
                (_, Some(rule)) => effects.push(Effect::PutRule(Arc::unwrap_or_clone(rule))),
                (Some(_), None) => effects.push(Effect::DropRule { id }),
                (None, None) => {}
            }
        }
        (effects, WriteSet::from_touches(touches))
    }
}

fn list_entries(id: EdgeId, record: &EdgeRecord) -> [ListEntry; 2] {
    let (start, end, edge_type) = (record.start, record.end, record.edge_type);
    [
        (start, true, edge_type, end, id),
        (end, false, edge_type, start, id),
    ]
}
