//! Applying a batch of entries in one transaction of the store.

use super::types::{Member, Reply, Types, encode_stored, position};
use geode_graph::{Command, GraphError, LogPosition};
use geode_log::Position;
use geode_store::{Store, StoreError, WriteTxn};
use openraft::alias::{EntryOf, StoredMembershipOf};
use openraft::impls::EntryPayload;
use openraft::{AsyncRuntime, Membership};
use std::io;

/// Where the membership stands in the store, with the entry that set it.
pub(super) const META_MEMBERSHIP: &str = "raft-membership";
/// Present once entry 0 is applied: a position of 0 alone does not tell.
pub(super) const META_BEGUN: &str = "raft-begun";

/// What an entry does to the store.
pub(super) enum Act {
    Command(Command),
    Membership(Membership<u64, Member>),
    Blank,
}

/// An entry that is ready to be applied.
pub(super) struct Item {
    pub(super) position: Position,
    /// Size of its command.
    pub(super) bytes: usize,
    pub(super) act: Act,
}

/// Why a batch was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// There is no room; it can be tried again.
    #[error("the data volume is full: {0}")]
    Full(String),
    /// The member must stop.
    #[error("could not apply entry {index}: {reason}")]
    Failed {
        /// Which entry.
        index: u64,
        /// Why.
        reason: String,
    },
    /// The member must stop: what it has stored is damaged.
    #[error("could not apply entry {index}: {reason}")]
    Damaged {
        /// Which entry.
        index: u64,
        /// What was found.
        reason: String,
    },
}

impl ApplyError {
    fn new(index: u64, error: GraphError) -> Self {
        match error {
            GraphError::Store(error) => Self::store(index, error),
            other => Self::final_one(index, other.is_corrupt(), other.to_string()),
        }
    }

    fn store(index: u64, error: StoreError) -> Self {
        if error.is_full() {
            return Self::Full(error.to_string());
        }
        Self::final_one(index, error.is_corrupt(), error.to_string())
    }

    fn final_one(index: u64, damaged: bool, reason: String) -> Self {
        if damaged {
            Self::Damaged { index, reason }
        } else {
            Self::Failed { index, reason }
        }
    }
}

/// Decodes an entry.
pub(super) fn item<R: AsyncRuntime>(entry: EntryOf<Types<R>>) -> io::Result<Item> {
    let position = position::<R>(&entry.log_id);
    let bytes = match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.command.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    let act = match entry.payload {
        EntryPayload::Blank => Act::Blank,
        EntryPayload::Membership(membership) => Act::Membership(membership),
        EntryPayload::Normal(proposal) => {
            Act::Command(Command::decode(&proposal.command).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "the command of entry {} cannot be read: {error}; was it written by a newer version?",
                        position.index
                    ),
                )
            })?)
        }
    };
    Ok(Item { position, bytes, act })
}

/// Applies all of `items` or nothing; calls `step` after each.
pub(super) fn apply_batch<R: AsyncRuntime, S: Store>(
    store: &S,
    items: &[Item],
    step: impl Fn(),
) -> Result<Vec<Reply>, ApplyError> {
    let Some(first) = items.first() else {
        return Ok(Vec::new());
    };
    let begin = first.position.index.0;
    let mut tx = store.write().map_err(|error| ApplyError::store(begin, error))?;
    let mut replies = Vec::with_capacity(items.len());
    for item in items {
        let index = item.position.index.0;
        let at = LogPosition {
            term: item.position.term,
            index: item.position.index,
        };
        let failed = |error| ApplyError::new(index, error);
        if index == 0 {
            geode_graph::put_meta(&mut tx, META_BEGUN, &[1]).map_err(failed)?;
        }
        let applied = match &item.act {
            Act::Command(command) => Some(geode_graph::apply(&mut tx, at, command).map_err(failed)?),
            Act::Blank => {
                geode_graph::apply_empty(&mut tx, at).map_err(failed)?;
                None
            }
            Act::Membership(membership) => {
                geode_graph::apply_empty(&mut tx, at).map_err(failed)?;
                let id = super::types::log_id::<R>(item.position);
                let stored = StoredMembershipOf::<Types<R>>::new(Some(id), membership.clone());
                let bytes = encode_stored::<R>(&stored).map_err(|error| ApplyError::Failed {
                    index,
                    reason: error.to_string(),
                })?;
                geode_graph::put_meta(&mut tx, META_MEMBERSHIP, &bytes).map_err(failed)?;
                None
            }
        };
        replies.push(Reply(applied));
        step();
    }
    tx.commit().map_err(|error| ApplyError::store(begin, error))?;
    Ok(replies)
}
