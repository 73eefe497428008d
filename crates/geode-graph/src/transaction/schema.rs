//! Indexes and constraints in a transaction: finding nodes by them, keeping them, creating and dropping them.
//!
//! Uniqueness is certified: who writes a node reads the values that must be free in the index, so of two that take the same one conflicts.
//! A transaction that writes nodes has read which rules there are, so it conflicts with one that changes them.

use super::overlay::{Undo, Version};
use super::{Savepoint, Transaction};
use crate::catalog::check_name;
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::readset::Touch;
use crate::record::NodeRecord;
use crate::schema::{
    self, BUILD_BATCH, Broken, IndexStatistics, KeyRange, MAX_RULE_KEYS, Rule, RuleId, RuleKind, RuleState,
};
use geode_store::ReadTxn;
use geode_types::NodeId;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The most indexes and constraints of a graph: every commit looks at all of them.
pub const MAX_RULES: usize = 1000;

/// Where a scan of an index goes on.
#[derive(Clone, Debug)]
pub struct IndexCursor(Vec<u8>);

/// An index or a constraint to be created.
#[derive(Clone, Debug)]
pub struct NewRule<'a> {
    /// Its name; without one it is named after what it is about.
    pub name: Option<&'a str>,
    /// The label of the nodes.
    pub label: &'a str,
    /// The property keys.
    pub keys: &'a [&'a str],
    /// What it is.
    pub kind: RuleKind,
    /// Whether one that is there already is as good.
    pub if_not_exists: bool,
}

impl<R: ReadTxn> Transaction<R> {
    /// The indexes and constraints that are there, those included that are still being built.
    pub fn rules(&self) -> Result<Arc<[Rule]>> {
        if let Some(rules) = &*self.rules.borrow() {
            return Ok(rules.clone());
        }
        self.note(|| Touch::Rules);
        let mut rules = schema::rules(self.snapshot.reader())?;
        rules.retain(Rule::is_kept);
        for (id, version) in self.overlay.changed_rules() {
            rules.retain(|rule| rule.id != *id);
            rules.extend(version.now.as_deref().cloned());
        }
        let rules: Arc<[Rule]> = rules.into();
        *self.rules.borrow_mut() = Some(rules.clone());
        Ok(rules)
    }

    /// How many entries an index has in the snapshot: a figure for planning, outside the read set.
    pub fn index_statistics(&self, rule: RuleId) -> Result<IndexStatistics> {
        schema::statistics(self.snapshot.reader(), rule)
    }

    /// Appends nodes with entries in a range of an index, about `limit` of them; where to go on, unless that was all. Nodes come in no
    /// order that means anything, each once.
    pub fn scan_index(
        &self,
        rule: RuleId,
        range: &KeyRange,
        after: Option<IndexCursor>,
        limit: usize,
        out: &mut Vec<NodeId>,
    ) -> Result<Option<IndexCursor>> {
        let (mut from, to) = schema::bounds(rule, range);
        match after {
            None => self.note(|| Touch::IndexRange(rule, range.clone())),
            Some(IndexCursor(last)) => {
                from = last;
                from.push(0);
            }
        }
        if from < to {
            let mut seen = 0;
            for entry in self.snapshot.reader().range(&from, Some(&to))? {
                let (key, _) = entry?;
                let node = entry_node(key)?;
                if self.overlay.node(node).is_none() {
                    out.push(node);
                }
                seen += 1;
                if seen == limit {
                    return Ok(Some(IndexCursor(key.to_vec())));
                }
            }
        }
        out.extend(self.overlay.indexed(rule, range));
        Ok(None)
    }

    /// Creates an index or a constraint; false when there is one already and that is as good. Its first nodes are tested here, so that a
    /// small graph that breaks a constraint says so at once.
    pub fn create_rule(&mut self, new: &NewRule<'_>) -> Result<bool> {
        self.ids()?;
        self.overlay.refuse_data()?;
        if new.keys.is_empty() || new.keys.len() > MAX_RULE_KEYS {
            return Err(GraphError::RuleKeys(new.keys.len()));
        }
        let label = self.define_label(new.label)?;
        let keys = new.keys.iter().map(|key| self.define_key(key));
        let keys = keys.collect::<Result<smallvec::SmallVec<[u32; 2]>>>()?;
        let rules = self.rules()?;
        let is_index = |kind: RuleKind| !matches!(kind, RuleKind::NotNull | RuleKind::Typed(_));
        let alike = |rule: &&Rule| {
            let same_kind = if is_index(new.kind) {
                rule.is_index()
            } else {
                rule.kind == new.kind
            };
            same_kind && rule.label == label && rule.keys == keys
        };
        let name = new.name.map_or_else(|| free_name(new, &rules), str::to_owned);
        check_name(&name)?;
        if let Some(rule) = rules
            .iter()
            .find(|rule| rule.name == name)
            .or_else(|| rules.iter().find(alike))
        {
            return if new.if_not_exists {
                Ok(false)
            } else {
                Err(GraphError::RuleExists(rule.name.clone()))
            };
        }
        if rules.len() >= MAX_RULES {
            return Err(GraphError::TooManyRules);
        }
        let id = RuleId(self.next_rule()?);
        let rule = Rule {
            id,
            name,
            label,
            keys,
            kind: new.kind,
            state: RuleState::Building(NodeId(0)),
        };
        self.check_existing(&rule)?;
        self.put_rule(
            id,
            Version {
                base: None,
                now: Some(Arc::new(rule)),
            },
        );
        Ok(true)
    }

    /// Drops an index or a constraint by its name; whether there was one.
    pub fn drop_rule(&mut self, name: &str) -> Result<bool> {
        self.ids()?;
        self.overlay.refuse_data()?;
        let rules = self.rules()?;
        let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
            return Ok(false);
        };
        let base = match self.overlay.changed_rules().get(&rule.id) {
            Some(version) => version.base.clone(),
            None => Some(Arc::new(rule.clone())),
        };
        self.put_rule(rule.id, Version { base, now: None });
        Ok(true)
    }

    fn put_rule(&mut self, id: RuleId, version: Version<Rule>) {
        let undo = self.overlay.set_rule(id, Some(version));
        self.remember(undo);
        *self.rules.borrow_mut() = None;
    }

    /// A number that no rule has, those being dropped included: their entries may be there yet.
    fn next_rule(&self) -> Result<u32> {
        let stored = schema::rules(self.snapshot.reader())?;
        let last = stored.last().map_or(0, |rule| rule.id.0);
        let own = self
            .overlay
            .changed_rules()
            .last_key_value()
            .map_or(0, |(id, _)| id.0);
        Ok(last.max(own) + 1)
    }

    /// Tests what there is, unless that is much: then building tests it. Outside the read set, as building tests it again.
    fn check_existing(&self, rule: &Rule) -> Result<()> {
        let batch = u64::from(BUILD_BATCH);
        if !rule.is_constraint() || self.snapshot.node_count(GraphId::HOME, Some(rule.label))? > batch {
            return Ok(());
        }
        let mut taken = HashMap::new();
        for node in self
            .snapshot
            .nodes_from(GraphId::HOME, Some(rule.label), NodeId(0))?
        {
            let node = node?;
            let Some(record) = self.snapshot.node(node)? else {
                continue;
            };
            if let Some(broken) = rule.broken_by(&record) {
                return Err(self.broken(rule, node, broken));
            }
            if rule.is_unique()
                && let Some(values) = rule.values(&record)
                && let Some(other) = taken.insert(values, node)
            {
                return Err(self.broken(rule, node, Broken::Taken(other)));
            }
        }
        Ok(())
    }

    /// Tests the nodes that have been written since the savepoint against all constraints. To be called at the end of a statement: within
    /// one a constraint may be broken for a while.
    pub fn check_constraints(&self, since: &Savepoint) -> Result<()> {
        let steps = self
            .undo
            .as_deref()
            .and_then(|undo| undo.get(since.undo..))
            .unwrap_or_default();
        let written: BTreeSet<NodeId> = steps
            .iter()
            .filter_map(|step| {
                if let Undo::Node(id, _) = step {
                    Some(*id).filter(|id| Rule::concerns(*id))
                } else {
                    None
                }
            })
            .collect();
        if written.is_empty() {
            return Ok(());
        }
        let rules = self.rules()?;
        if !rules.iter().any(Rule::is_constraint) {
            return Ok(());
        }
        for id in written {
            let Some(record) = self.overlay.node(id).and_then(|version| version.now.clone()) else {
                continue;
            };
            for rule in rules.iter().filter(|rule| rule.is_constraint()) {
                self.check_node(rule, id, &record)?;
            }
        }
        Ok(())
    }

    fn check_node(&self, rule: &Rule, id: NodeId, record: &NodeRecord) -> Result<()> {
        if let Some(broken) = rule.broken_by(record) {
            return Err(self.broken(rule, id, broken));
        }
        let Some(values) = rule.values(record).filter(|_| rule.is_unique()) else {
            return Ok(());
        };
        let range = KeyRange::beginning(values);
        self.note(|| Touch::IndexRange(rule.id, range.clone()));
        let (from, to) = schema::bounds(rule.id, &range);
        let mut stored = None;
        for entry in self.snapshot.reader().range(&from, Some(&to))? {
            let node = entry_node(entry?.0)?;
            if self.overlay.node(node).is_none() {
                stored = Some(node);
                break;
            }
        }
        let own = self.overlay.indexed(rule.id, &range).find(|node| *node != id);
        match stored.or(own) {
            None => Ok(()),
            Some(other) => Err(self.broken(rule, id, Broken::Taken(other))),
        }
    }

    /// The error that names constraint, node and reason.
    fn broken(&self, rule: &Rule, node: NodeId, broken: Broken) -> GraphError {
        let key_name = |key: u32| {
            self.key_name(key)
                .map_or_else(|_| key.to_string(), |name| name.as_ref().to_owned())
        };
        let keys = || {
            rule.keys
                .iter()
                .map(|key| key_name(*key))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let why = match broken {
            Broken::Missing(key) => format!("node {node} has no property {}", key_name(key)),
            Broken::Mistyped(key) => {
                format!("the property {} of node {node} has another type", key_name(key))
            }
            Broken::Taken(other) => {
                format!("node {other} has the same {} as node {node}", keys())
            }
        };
        GraphError::RuleBroken {
            rule: rule.name.clone(),
            why,
            broken,
        }
    }
}

fn entry_node(key: &[u8]) -> Result<NodeId> {
    schema::node_at(key).ok_or_else(|| GraphError::corrupt("the key of an index entry"))
}

/// A name that says what the rule is about, with a number when it is taken.
fn free_name(new: &NewRule<'_>, rules: &[Rule]) -> String {
    let kind = match new.kind {
        RuleKind::Index => "index",
        RuleKind::Unique => "unique",
        RuleKind::NodeKey => "key",
        RuleKind::NotNull => "not_null",
        RuleKind::Typed(_) => "typed",
    };
    let mut name = format!("{kind}_{}_{}", new.label, new.keys.join("_"));
    // Room for a number, so that long names of labels and keys do not make a name that is too long.
    let most = crate::MAX_NAME_BYTES - 8;
    if name.len() > most {
        let cut = (0..=most)
            .rev()
            .find(|at| name.is_char_boundary(*at))
            .unwrap_or(0);
        name.truncate(cut);
    }
    let taken = |name: &str| rules.iter().any(|rule| rule.name == name);
    if !taken(&name) {
        return name;
    }
    let mut numbered = (2..).map(|number: usize| format!("{name}_{number}"));
    numbered.find(|name| !taken(name)).unwrap_or(name)
}
