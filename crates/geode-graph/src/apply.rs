//! The one way a graph changes: applying log entries in order.
//!
//! Everything here follows from the store's content and the entry alone, so every member arrives at the same bytes. An effect
//! that does not fit what is stored stops the member: going on would make replicas differ.

mod objects;

use crate::adjacency::{self, Change, IN, OUT};
use crate::catalog::{self, TokenKind};
use crate::command::{Command, Commit, Effect};
use crate::counters::{self, Sizes, Totals};
use crate::edges::EdgeWriter;
use crate::error::{GraphError, Result};
use crate::graphs::{self, GraphId};
use crate::keys::{self, MAX_ID};
use crate::level;
use crate::position::{LogPosition, position, put_position};
use crate::record::{EdgeRecord, Labels, NodeRecord, PropertyList, take_labels};
use crate::schema::{self, IndexStatistics, Rule, RuleId, RuleState};
use crate::session::{self, RequestState, request_state};
use crate::summary::CommitSummary;
use crate::{checkpoints, roles, users};
use geode_mutation::{Mutation, is_on};
use geode_store::{Reader, WriteTxn};
use geode_types::{EdgeId, LogIndex, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// The graph changed.
    Committed(CommitSummary),
    /// The request had been committed before; nothing changed now.
    AlreadyCommitted {
        /// Where it was committed.
        index: LogIndex,
        /// What it changed then.
        summary: CommitSummary,
    },
    /// The request is older than what its session remembers; nothing changed now, its outcome is unknown.
    RequestTooOld,
    /// Certified in another term, or behind a later commit: void. Nothing changed; the transaction may be run again.
    Fenced,
    /// The segment ends here; nothing changed.
    Cut,
    /// A step of building or dropping an index; whether it was the next one.
    Stepped(bool),
    /// The feature level is at least what the command says.
    Raised,
}

/// Applies a command. On an error the write transaction must be dropped.
pub fn apply(tx: &mut impl WriteTxn, at: LogPosition, command: &Command) -> Result<Applied> {
    let mut now = position(tx)?;
    if at.index <= now.index || at.term < now.term {
        let what = format!(
            "index {} of term {} has been applied already",
            now.index, now.term
        );
        return Err(GraphError::InvalidCommand {
            index: at.index,
            what,
        });
    }
    (now.term, now.index) = (at.term, at.index);
    let applied = match command {
        Command::Cut { .. } => Applied::Cut,
        Command::Step { rule, after, limit } => Applied::Stepped(schema::step(tx, *rule, *after, *limit)?),
        Command::Raise { to } => {
            level::raise(tx, *to)?;
            Applied::Raised
        }
        Command::Commit(commit) => {
            let void = commit.certified_term != at.term || commit.sequence <= now.sequence;
            let known = commit
                .request_id
                .filter(|_| !is_on(Mutation::ApplyTwice))
                .map_or(Ok(RequestState::New), |request| request_state(tx, request))?;
            match known {
                RequestState::Committed { index, summary } => Applied::AlreadyCommitted { index, summary },
                RequestState::TooOld => Applied::RequestTooOld,
                RequestState::New if void => Applied::Fenced,
                RequestState::New => {
                    now.sequence = commit.sequence;
                    apply_commit(tx, at.index, commit)?;
                    Applied::Committed(commit.summary)
                }
            }
        }
    };
    put_position(tx, &now)?;
    Ok(applied)
}

/// Moves the position over an entry that is not about the graph (blank, membership).
pub fn apply_empty(tx: &mut impl WriteTxn, at: LogPosition) -> Result<()> {
    let mut now = position(tx)?;
    if at.index < now.index || at.term < now.term {
        let what = format!(
            "index {} of term {} has been applied already",
            now.index, now.term
        );
        return Err(GraphError::InvalidCommand {
            index: at.index,
            what,
        });
    }
    (now.term, now.index) = (at.term, at.index);
    put_position(tx, &now)
}

fn apply_commit(tx: &mut impl WriteTxn, index: LogIndex, commit: &Commit) -> Result<()> {
    let mut totals = Totals::read(tx)?;
    if let Some(request) = commit.request_id {
        totals.sessions = session::record(tx, request, index, &commit.summary, totals.sessions)?;
    }
    let rules = schema::rules(tx)?
        .into_iter()
        .filter(|rule| rule.is_index() && rule.is_kept());
    let indexes = rules.map(Indexed::read(tx)).collect::<Result<_>>()?;
    let mut applier = Applier {
        tx,
        indexes,
        index,
        at_micros: commit.at_micros,
        sizes: BTreeMap::from([(GraphId::HOME, totals.home())]),
        totals,
        counts: BTreeMap::new(),
        edges: EdgeWriter::default(),
        adjacency: Vec::new(),
        endpoints: Vec::new(),
        deleted: Vec::new(),
        scratch: Vec::new(),
    };
    for effect in &commit.effects {
        applier.effect(effect)?;
    }
    applier.finish()
}

/// An index to keep, and the counts of its entries before and now.
struct Indexed {
    rule: Rule,
    before: IndexStatistics,
    counts: IndexStatistics,
}

impl Indexed {
    fn read(read: &impl Reader) -> impl Fn(Rule) -> Result<Self> {
        move |rule| {
            let before = schema::statistics(read, rule.id)?;
            Ok(Self {
                rule,
                before,
                counts: before,
            })
        }
    }
}

struct Applier<'t, W> {
    tx: &'t mut W,
    indexes: Vec<Indexed>,
    index: LogIndex,
    at_micros: i64,
    totals: Totals,
    /// Of the graphs that change.
    sizes: BTreeMap<GraphId, Sizes>,
    /// Changes of the counts by label and type.
    counts: BTreeMap<(GraphId, TokenKind, u32), i64>,
    edges: EdgeWriter,
    adjacency: Vec<Change>,
    /// Nodes that must exist in the end.
    endpoints: Vec<NodeId>,
    /// Nodes that must have no edges in the end.
    deleted: Vec<NodeId>,
    scratch: Vec<u8>,
}

impl<W: WriteTxn> Applier<'_, W> {
    fn invalid<T>(&self, what: impl Into<String>) -> Result<T> {
        Err(GraphError::InvalidCommand {
            index: self.index,
            what: what.into(),
        })
    }

    fn effect(&mut self, effect: &Effect) -> Result<()> {
        match effect {
            Effect::CreateNode { id, record } => self.create_node(*id, record),
            Effect::UpdateNode { id, record } => self.update_node(*id, record),
            Effect::DeleteNode { id } => self.delete_node(*id),
            Effect::CreateEdge { id, record } => self.create_edge(*id, record),
            Effect::UpdateEdge { id, properties } => self.update_edge(*id, properties),
            Effect::DeleteEdge { id } => self.delete_edge(*id),
            Effect::DefineToken { kind, id, name } => self.define(*kind, *id, name),
            Effect::PutUser(user) => {
                self.put_named(&user.name, &users::key(&user.name), |out| user.encode(out))
            }
            Effect::DropUser { name } => self.drop_named("user", name, &users::key(name)),
            Effect::PutRole(role) => {
                self.put_named(&role.name, &roles::key(&role.name), |out| role.encode(out))
            }
            Effect::DropRole { name } => self.drop_named("role", name, &roles::key(name)),
            Effect::PutCheckpoint { name } => {
                let (index, at_micros) = (self.index, self.at_micros);
                self.put_named(name, &checkpoints::key(name), |out| {
                    checkpoints::encode(index, at_micros, out);
                })
            }
            Effect::DropCheckpoint { name } => self.drop_named("checkpoint", name, &checkpoints::key(name)),
            Effect::PutRule(rule) => self.put_rule(rule),
            Effect::DropRule { id } => self.drop_rule(*id),
            Effect::PutObject { path, object } => self.put_object(path, object),
            Effect::DropObject { kind, path } => self.drop_object(*kind, path),
            Effect::PurgeGraph { graph } => graphs::purge(self.tx, *graph),
        }
    }

    /// Stores what has a name.
    fn put_named(&mut self, name: &str, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        catalog::check_name(name)?;
        self.scratch.clear();
        encode(&mut self.scratch);
        Ok(self.tx.put(key, &self.scratch)?)
    }

    /// Removes what has a name and must be there.
    fn drop_named(&mut self, kind: &str, name: &str, key: &[u8]) -> Result<()> {
        catalog::check_name(name)?;
        if self.tx.delete(key)? {
            Ok(())
        } else {
            self.invalid(format!("no {kind} {name}"))
        }
    }

    fn put_rule(&mut self, rule: &Rule) -> Result<()> {
        catalog::check_name(&rule.name)?;
        let key = schema::key(rule.id);
        if rule.state != RuleState::Building(NodeId(0)) || self.tx.get(&key)?.is_some() {
            return self.invalid(format!("index {} cannot be created", rule.name));
        }
        self.scratch.clear();
        rule.encode(&mut self.scratch);
        self.tx.put(&key, &self.scratch)?;
        schema::step(self.tx, rule.id, NodeId(0), schema::BUILD_BATCH)?;
        Ok(())
    }

    fn drop_rule(&mut self, id: RuleId) -> Result<()> {
        let Some(mut rule) = schema::rule(self.tx, id)? else {
            return self.invalid(format!("no index {}", id.0));
        };
        rule.state = RuleState::Dropping(None);
        self.indexes.retain(|index| index.rule.id != id);
        self.scratch.clear();
        rule.encode(&mut self.scratch);
        self.tx.put(&schema::key(id), &self.scratch)?;
        schema::step(self.tx, id, NodeId(0), schema::BUILD_BATCH)?;
        Ok(())
    }

    /// What a node was, as far as indexes ask: whole when one of them is about its labels.
    fn stored_node(&self, id: NodeId, act: &str) -> Result<NodeRecord> {
        let Some(bytes) = self.tx.get(&keys::node(id))? else {
            return self.invalid(format!("node {id} to be {act} does not exist"));
        };
        let damaged = |error| GraphError::undecodable(format_args!("node {id}"))(error);
        let labels = take_labels(&mut &*bytes).map_err(damaged)?;
        if self.is_indexed(&labels) {
            return NodeRecord::decode(bytes).map_err(damaged);
        }
        Ok(NodeRecord {
            labels,
            properties: PropertyList::new(),
        })
    }

    fn is_indexed(&self, labels: &Labels) -> bool {
        self.indexes
            .iter()
            .any(|index| labels.contains(&index.rule.label))
    }

    /// Brings the entries of a node from what it was to what it is. An index that is being built may lack the old ones.
    fn index(&mut self, id: NodeId, old: Option<&NodeRecord>, new: Option<&NodeRecord>) -> Result<()> {
        if !Rule::concerns(id) {
            return Ok(());
        }
        for index in &mut self.indexes {
            let rule = &index.rule;
            let values = |record: Option<&NodeRecord>| record.and_then(|record| rule.values(record));
            let (before, after) = (values(old), values(new));
            if before == after && rule.state == RuleState::Online {
                continue;
            }
            if let Some(before) = before
                && !schema::remove_entry(self.tx, rule.id, &before, id, &mut index.counts)?
                && rule.state == RuleState::Online
            {
                return Err(GraphError::corrupt(format!(
                    "node {id} lacks its entry in index {}",
                    rule.name
                )));
            }
            if let Some(after) = after {
                schema::put_entry(self.tx, rule.id, &after, id, &mut index.counts)?;
            }
        }
        Ok(())
    }

    fn create_node(&mut self, id: NodeId, record: &NodeRecord) -> Result<()> {
        if id.0 == 0 || id.0 >= MAX_ID || self.tx.get(&keys::node(id))?.is_some() {
            return self.invalid(format!("node {id} cannot be created"));
        }
        self.put_node(id, record)?;
        for label in &record.labels {
            self.label(*label, id, true)?;
        }
        self.index(id, None, Some(record))?;
        let sizes = self.sizes(GraphId::of_node(id))?;
        sizes.next_node = sizes.next_node.max(id.0 + 1);
        sizes.nodes += 1;
        Ok(())
    }

    fn update_node(&mut self, id: NodeId, record: &NodeRecord) -> Result<()> {
        let old = self.stored_node(id, "updated")?;
        for label in old.labels.iter().filter(|label| !record.labels.contains(label)) {
            self.label(*label, id, false)?;
        }
        for label in record.labels.iter().filter(|label| !old.labels.contains(label)) {
            self.label(*label, id, true)?;
        }
        self.index(id, Some(&old), Some(record))?;
        self.put_node(id, record)
    }

    fn delete_node(&mut self, id: NodeId) -> Result<()> {
        let old = self.stored_node(id, "deleted")?;
        for label in &old.labels {
            self.label(*label, id, false)?;
        }
        self.index(id, Some(&old), None)?;
        self.tx.delete(&keys::node(id))?;
        let sizes = self.sizes(GraphId::of_node(id))?;
        let nodes = sizes.nodes.checked_sub(1);
        sizes.nodes = nodes.ok_or_else(|| GraphError::corrupt("the node count"))?;
        self.deleted.push(id);
        Ok(())
    }

    fn put_node(&mut self, id: NodeId, record: &NodeRecord) -> Result<()> {
        self.scratch.clear();
        record.encode(&mut self.scratch);
        Ok(self.tx.put(&keys::node(id), &self.scratch)?)
    }

    fn label(&mut self, label: u32, id: NodeId, add: bool) -> Result<()> {
        let key = keys::label(label, id);
        if add {
            self.tx.put(&key, &[])?;
        } else if !self.tx.delete(&key)? {
            return Err(GraphError::corrupt(format!(
                "node {id} lacks its entry in the index of label {label}"
            )));
        }
        let graph = GraphId::of_node(id);
        *self.counts.entry((graph, TokenKind::Label, label)).or_default() += if add { 1 } else { -1 };
        Ok(())
    }

    fn create_edge(&mut self, id: EdgeId, record: &EdgeRecord) -> Result<()> {
        if id.0 == 0 || id.0 >= MAX_ID || self.edges.get(self.tx, id)?.is_some() {
            return self.invalid(format!("edge {id} cannot be created"));
        }
        self.edges.put(self.tx, id, record)?;
        self.endpoints.extend([record.start, record.end]);
        let sizes = self.sizes(GraphId::of_edge(id))?;
        sizes.next_edge = sizes.next_edge.max(id.0 + 1);
        sizes.edges += 1;
        self.connect(id, record, true);
        Ok(())
    }

    fn update_edge(&mut self, id: EdgeId, properties: &PropertyList) -> Result<()> {
        let mut record = self.stored_edge(id)?;
        record.properties.clone_from(properties);
        self.edges.put(self.tx, id, &record)
    }

    fn delete_edge(&mut self, id: EdgeId) -> Result<()> {
        let record = self.stored_edge(id)?;
        self.edges.remove(self.tx, id)?;
        let sizes = self.sizes(GraphId::of_edge(id))?;
        let edges = sizes.edges.checked_sub(1);
        sizes.edges = edges.ok_or_else(|| GraphError::corrupt("the edge count"))?;
        self.connect(id, &record, false);
        Ok(())
    }

    fn stored_edge(&mut self, id: EdgeId) -> Result<EdgeRecord> {
        match self.edges.get(self.tx, id)? {
            None => self.invalid(format!("edge {id} does not exist")),
            Some(record) => Ok(record),
        }
    }

    fn connect(&mut self, id: EdgeId, record: &EdgeRecord, add: bool) {
        let (start, end, edge_type) = (record.start, record.end, record.edge_type);
        self.adjacency.push(Change {
            node: start,
            direction: OUT,
            edge_type,
            pair: (end.0, id.0),
            add,
        });
        self.adjacency.push(Change {
            node: end,
            direction: IN,
            edge_type,
            pair: (start.0, id.0),
            add,
        });
        let graph = GraphId::of_edge(id);
        *self
            .counts
            .entry((graph, TokenKind::EdgeType, edge_type))
            .or_default() += if add { 1 } else { -1 };
    }

    fn define(&mut self, kind: TokenKind, id: u32, name: &str) -> Result<()> {
        catalog::check_name(name)?;
        let (id_key, name_key) = (catalog::id_key(kind, name), catalog::name_key(kind, id));
        if id == 0 || self.tx.get(&id_key)?.is_some() || self.tx.get(&name_key)?.is_some() {
            return self.invalid(format!("{kind:?} {name} or its number {id} is defined already"));
        }
        self.tx.put(&id_key, &id.to_be_bytes())?;
        self.tx.put(&name_key, name.as_bytes())?;
        let next = &mut self.totals.next_token[usize::from(kind.code())];
        *next = (*next).max(id.saturating_add(1));
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.edges.store(self.tx)?;
        self.adjacency.sort_unstable();
        if let Err(what) = adjacency::change(self.tx, &self.adjacency)? {
            return self.invalid(what);
        }
        self.endpoints.sort_unstable();
        self.endpoints.dedup();
        for node in &self.endpoints {
            if self.tx.get(&keys::node(*node))?.is_none() {
                return self.invalid(format!(
                    "an edge is attached to node {node}, which does not exist"
                ));
            }
        }
        for node in &self.deleted {
            if adjacency::is_connected(self.tx, *node)? {
                return self.invalid(format!("node {node} is deleted but still has edges"));
            }
        }
        for ((graph, kind, id), change) in &self.counts {
            if *change != 0 && counters::add(self.tx, *graph, *kind, *id, *change)?.is_none() {
                return Err(GraphError::corrupt(format!("the count of {kind:?} {id}")));
            }
        }
        for index in &self.indexes {
            schema::store_statistics(self.tx, index.rule.id, index.before, index.counts)?;
        }
        for (graph, sizes) in &self.sizes {
            if graph.is_home() {
                self.totals.set_home(*sizes);
            } else {
                sizes.write(self.tx, *graph)?;
            }
        }
        self.totals.write(self.tx)
    }

    fn sizes(&mut self, graph: GraphId) -> Result<&mut Sizes> {
        let entry = self.sizes.entry(graph);
        Ok(match entry {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Sizes::read(self.tx, graph)?),
        })
    }
}
