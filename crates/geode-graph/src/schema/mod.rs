//! Indexes and constraints: [`Rule`] is what one is, [`value_key`] how values become keys, [`entries`] what stands in the store, and
//! [`range`] what is looked for there.
//!
//! A rule on few nodes is in force with its commit. Any other one is built by commands of their own, a batch of nodes each, which every
//! member applies alike; from its commit on it is kept by every write, but found by no query until it is online.

mod entries;
mod range;
mod rule;
pub(crate) mod value_key;

pub use entries::{BUILD_BATCH, IndexStatistics, next_step, statistics};
pub(crate) use entries::{
    bounds, check_entry, node_at, prefix, put_entry, remove_entry, step, store_statistics, values_at,
};
pub use range::{KeyRange, Last, Probe};
pub use rule::{Broken, MAX_RULE_KEYS, PropertyType, Rule, RuleId, RuleKind, RuleState};
pub use value_key::index_key;

use crate::error::{GraphError, Result};
use crate::keys::{self, HEAD, Key, RULES};
use geode_store::Reader;

pub(crate) fn key(id: RuleId) -> Key {
    Key::new(RULES).u32(id.0)
}

/// All rules, ascending by number, those included that are being dropped.
pub fn rules(read: &impl Reader) -> Result<Vec<Rule>> {
    let start = Key::new(RULES);
    let mut rules = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let id = keys::u32_at(key, HEAD).ok_or_else(|| GraphError::corrupt("the number of an index"))?;
        rules.push(
            Rule::decode(RuleId(id), bytes).map_err(GraphError::undecodable(format_args!("index {id}")))?,
        );
    }
    Ok(rules)
}

/// One rule.
pub(crate) fn rule(read: &impl Reader, id: RuleId) -> Result<Option<Rule>> {
    let Some(bytes) = read.get(&key(id))? else {
        return Ok(None);
    };
    Rule::decode(id, bytes)
        .map(Some)
        .map_err(GraphError::undecodable(format_args!("index {}", id.0)))
}
