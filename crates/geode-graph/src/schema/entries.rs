//! The entries of an index in the store: `space | rule | values | node | bytes of the node (1)`, without a value, and how many there are.
//!
//! The last byte finds the node at the end of a key whose values have no length of their own.

use super::range::KeyRange;
use super::rule::{Rule, RuleId, RuleState};
use super::{key, rule, rules};
use crate::codec::{Decoded, end_of, put_u64, take_u64};
use crate::command::Command;
use crate::counters;
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::keys::{self, INDEX, Key};
use crate::record::NodeRecord;
use geode_store::{Reader, WriteTxn};
use geode_types::NodeId;

/// How many nodes or entries one step of building or dropping an index takes: some ten milliseconds.
pub const BUILD_BATCH: u32 = 10_000;

/// How many entries an index has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStatistics {
    /// Entries, which are nodes.
    pub entries: u64,
    /// Different values, of all keys together.
    pub distinct: u64,
}

/// What the keys of a rule begin with.
pub(crate) fn prefix(rule: RuleId) -> Key {
    Key::new(INDEX).id(u64::from(rule.0))
}

/// The key of an entry.
fn entry(rule: RuleId, values: &[u8], node: NodeId) -> Vec<u8> {
    let mut out = with_values(rule, values);
    let before = out.len();
    out.extend_from_slice(&Key::new(INDEX).id(node.0)[keys::HEAD..]);
    out.push((out.len() - before) as u8);
    out
}

fn with_values(rule: RuleId, values: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() + 16);
    out.extend_from_slice(&prefix(rule));
    out.extend_from_slice(values);
    out
}

/// Where the node begins in a key.
fn node_start(key: &[u8]) -> Option<usize> {
    let length = usize::from(*key.last()?);
    key.len().checked_sub(1 + length)
}

/// The node of an entry's key.
pub(crate) fn node_at(key: &[u8]) -> Option<NodeId> {
    let start = node_start(key)?;
    keys::id_at(key.get(..key.len() - 1)?, start).map(NodeId)
}

/// The values in an entry's key.
pub(crate) fn values_at(rule: RuleId, key: &[u8]) -> Option<&[u8]> {
    key.get(prefix(rule).len()..node_start(key)?)
}

/// The ends of a range among the store's keys.
pub(crate) fn bounds(rule: RuleId, range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
    let to = match &range.to {
        Some(to) => with_values(rule, to),
        None => prefix(rule).end().to_vec(),
    };
    (with_values(rule, &range.from), to)
}

fn counter_key(rule: RuleId) -> Key {
    counters::rule_key(rule.0)
}

/// How many entries an index has.
pub fn statistics(read: &impl Reader, rule: RuleId) -> Result<IndexStatistics> {
    let Some(mut bytes) = read.get(&counter_key(rule))? else {
        return Ok(IndexStatistics::default());
    };
    let mut decode = || -> Decoded<IndexStatistics> {
        let (entries, distinct) = (take_u64(&mut bytes)?, take_u64(&mut bytes)?);
        end_of(bytes).map(|()| IndexStatistics { entries, distinct })
    };
    decode().map_err(GraphError::undecodable("the counts of an index"))
}

fn put_statistics(tx: &mut impl WriteTxn, rule: RuleId, now: IndexStatistics) -> Result<()> {
    if now.entries == 0 {
        return forget_statistics(tx, rule);
    }
    let mut bytes = Vec::with_capacity(12);
    put_u64(now.entries, &mut bytes);
    put_u64(now.distinct, &mut bytes);
    Ok(tx.put(&counter_key(rule), &bytes)?)
}

fn forget_statistics(tx: &mut impl WriteTxn, rule: RuleId) -> Result<()> {
    tx.delete(&counter_key(rule))?;
    Ok(())
}

/// Some node with these values.
fn holder(read: &impl Reader, rule: RuleId, values: &[u8]) -> Result<Option<NodeId>> {
    let (from, to) = bounds(rule, &KeyRange::beginning(values.to_vec()));
    let Some((key, _)) = read.range(&from, Some(&to))?.next().transpose()? else {
        return Ok(None);
    };
    node_at(key)
        .map(Some)
        .ok_or_else(|| GraphError::corrupt("the key of an index entry"))
}

/// Adds an entry unless it is there; the node that had these values before, if there is one.
pub(crate) fn put_entry(
    tx: &mut impl WriteTxn,
    rule: RuleId,
    values: &[u8],
    node: NodeId,
    counts: &mut IndexStatistics,
) -> Result<Option<NodeId>> {
    let before = holder(tx, rule, values)?;
    let key = entry(rule, values, node);
    if before.is_some() && tx.get(&key)?.is_some() {
        return Ok(before);
    }
    tx.put(&key, &[])?;
    counts.entries += 1;
    counts.distinct += u64::from(before.is_none());
    Ok(before)
}

/// Removes an entry, if it is there.
pub(crate) fn remove_entry(
    tx: &mut impl WriteTxn,
    rule: RuleId,
    values: &[u8],
    node: NodeId,
    counts: &mut IndexStatistics,
) -> Result<bool> {
    if !tx.delete(&entry(rule, values, node))? {
        return Ok(false);
    }
    let last = holder(tx, rule, values)?.is_none();
    counts.entries = counts.entries.saturating_sub(1);
    counts.distinct = counts.distinct.saturating_sub(u64::from(last));
    Ok(true)
}

/// Whether a node has its entry.
pub(crate) fn check_entry(read: &impl Reader, rule: RuleId, values: &[u8], node: NodeId) -> Result<bool> {
    Ok(read.get(&entry(rule, values, node))?.is_some())
}

/// Writes the counts of an index when they have changed.
pub(crate) fn store_statistics(
    tx: &mut impl WriteTxn,
    rule: RuleId,
    before: IndexStatistics,
    now: IndexStatistics,
) -> Result<()> {
    if before == now {
        return Ok(());
    }
    put_statistics(tx, rule, now)
}

/// The command that carries on with a rule that is being built or dropped, if there is one. To be proposed by the leader; proposed twice it
/// does nothing the second time.
pub fn next_step(read: &impl Reader) -> Result<Option<Command>> {
    let open = rules(read)?
        .into_iter()
        .find(|rule| rule.state != RuleState::Online);
    Ok(open.map(|rule| Command::Step {
        rule: rule.id,
        after: match rule.state {
            RuleState::Building(after) => after,
            RuleState::Online | RuleState::Dropping(_) => NodeId(0),
        },
        limit: BUILD_BATCH,
    }))
}

/// Carries on with a rule from where it is. Whether anything was done: not when it is online, gone, or elsewhere than `after`.
pub(crate) fn step(tx: &mut impl WriteTxn, id: RuleId, after: NodeId, limit: u32) -> Result<bool> {
    let Some(mut rule) = rule(tx, id)? else {
        return Ok(false);
    };
    match rule.state {
        RuleState::Online => Ok(false),
        RuleState::Building(at) if at != after => Ok(false),
        RuleState::Building(_) => {
            rule.state = build(tx, &rule, after, limit as usize)?;
            let mut bytes = Vec::new();
            rule.encode(&mut bytes);
            tx.put(&key(id), &bytes)?;
            Ok(true)
        }
        RuleState::Dropping(_) => {
            clear(tx, id, limit as usize)?;
            Ok(true)
        }
    }
}

/// Adds the entries of the next nodes, and tests whether they keep the rule.
fn build(tx: &mut impl WriteTxn, rule: &Rule, after: NodeId, limit: usize) -> Result<RuleState> {
    let labelled = keys::labelled(rule.label);
    let mut nodes = Vec::new();
    let from = labelled.id(after.0.saturating_add(1));
    let (_, end) = GraphId::HOME.node_keys(labelled);
    for entry in tx.range(&from, Some(&end))?.take(limit) {
        let id = keys::id_at(entry?.0, labelled.len());
        nodes.push(NodeId(
            id.ok_or_else(|| GraphError::corrupt("the key of a label"))?,
        ));
    }
    let before = statistics(tx, rule.id)?;
    let mut counts = before;
    let mut broken = None;
    for node in &nodes {
        let bytes = tx
            .get(&keys::node(*node))?
            .ok_or_else(|| GraphError::corrupt(format!("node {node} has a label and is not there")))?;
        let record =
            NodeRecord::decode(bytes).map_err(GraphError::undecodable(format_args!("node {node}")))?;
        if rule.broken_by(&record).is_some() {
            broken = Some(*node);
            break;
        }
        if let Some(values) = rule.values(&record).filter(|_| rule.is_index()) {
            let other = put_entry(tx, rule.id, &values, *node, &mut counts)?;
            if rule.is_unique() && other.is_some_and(|other| other != *node) {
                broken = Some(*node);
                break;
            }
        }
    }
    store_statistics(tx, rule.id, before, counts)?;
    Ok(match (broken, nodes.last()) {
        (Some(node), _) => RuleState::Dropping(Some(node)),
        (None, Some(last)) if nodes.len() == limit => RuleState::Building(*last),
        _ => RuleState::Online,
    })
}

/// Removes entries, and the rule with the last ones.
fn clear(tx: &mut impl WriteTxn, id: RuleId, limit: usize) -> Result<()> {
    let start = prefix(id);
    let mut found = Vec::new();
    for entry in tx.range(&start, Some(&start.end()))?.take(limit) {
        found.push(entry?.0.to_vec());
    }
    for key in &found {
        tx.delete(key)?;
    }
    if found.len() < limit {
        forget_statistics(tx, id)?;
        tx.delete(&key(id))?;
    }
    Ok(())
}
