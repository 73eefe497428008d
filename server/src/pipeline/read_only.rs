//! The administrator's switch: while it is on, nothing changes the graph. Checkpoints, users and roles still may be written, so that a planned
//! change of sites can end with a checkpoint.
//!
//! The switch is replicated, so it holds over a change of leaders and is in every backup. It is the record of a user that nobody can be:
//! a member of a version that knows no switch applies it all the same.

use super::refusal::read_only;
use super::{Pipeline, ReadOf, Refusal, Replication, now_micros};
use geode_graph::{Effect, Finished, Transaction, UserRecord};
use geode_store::Reader;
use geode_types::Lsn;

/// Nobody can be this user: it has no password.
const RECORD: &str = "\u{1}read-only";

/// Why nothing changes the graph now, if the switch is on.
pub(crate) fn switched_on(read: &impl Reader) -> geode_graph::Result<Option<String>> {
    Ok(geode_graph::user(read, RECORD)?.map(|record| sentence(&record)))
}

fn sentence(record: &UserRecord) -> String {
    format!(
        "the database is read-only, set {}; geode admin set-read-only false ends that",
        record.role
    )
}

fn changes_graph(effect: &Effect) -> bool {
    !matches!(
        effect,
        Effect::PutUser(_)
            | Effect::DropUser { .. }
            | Effect::PutRole(_)
            | Effect::DropRole { .. }
            | Effect::PutCheckpoint { .. }
            | Effect::DropCheckpoint { .. }
    )
}

/// Ends a client's transaction. That the switch is off becomes a part of what it read: whoever turns it on in the meantime is before it
/// or in conflict with it.
pub(crate) fn finish<R: geode_store::ReadTxn>(transaction: Transaction<R>) -> Result<Finished, Refusal> {
    let record = transaction.user(RECORD)?;
    let finished = transaction.finish();
    match record {
        Some(record) if finished.effects.iter().any(changes_graph) => {
            Err(read_only(&sentence(&record)).into())
        }
        _ => Ok(finished),
    }
}

impl<R: Replication> Pipeline<R> {
    /// Turns the switch. What was written before the LSN of that stands, and nothing comes after it.
    pub(crate) async fn set_read_only(&self, on: bool, user: &str) -> Result<Lsn, Refusal> {
        let at = jiff::Timestamp::from_microsecond(now_micros()).unwrap_or_default();
        self.write(|transaction: &mut Transaction<ReadOf<R>>| {
            if on {
                transaction.put_user(UserRecord {
                    name: RECORD.to_owned(),
                    hash: String::new(),
                    role: format!("by {user} at {at:.0}"),
                })?;
            } else {
                transaction.drop_user(RECORD)?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_and_users_may_be_written_while_the_graph_may_not() {
        let name = || "x".to_owned();
        assert!(!changes_graph(&Effect::PutCheckpoint { name: name() }));
        assert!(!changes_graph(&Effect::DropUser { name: name() }));
        assert!(changes_graph(&Effect::DeleteNode {
            id: geode_types::NodeId(1)
        }));
        let record = UserRecord {
            name: RECORD.into(),
            hash: String::new(),
            role: "by ada at 2026-01-28T14:30:00Z".into(),
        };
        assert!(sentence(&record).contains("set by ada at 2026-01-28T14:30:00Z"));
    }
}
