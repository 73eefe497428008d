//! What goes on beside proposals: the status that others watch, syncing the store, snapshot points, purging the log, noticing the end.

use super::handle::{Fatal, Inner};
use super::stall;
use super::state_machine::StateMachine;
use super::types::Types;
use geode_mutation::{Mutation, is_on};
use geode_store::Store;
use geode_types::LogIndex;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, LogId};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The status is renewed at least this often, and not much more often than every [`PAUSE`].
const PERIOD: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(10);
/// How often the store is synced: what was applied since is applied again after a crash, and its pages are not reused before.
const SYNC_PERIOD: Duration = Duration::from_millis(200);

/// What upkeep remembers between rounds.
#[derive(Default)]
struct Memory {
    /// Where the log stood, in bytes ever written as far as it is known, when the last snapshot point was asked for.
    bytes_at_point: u64,
    /// Up to which entry a snapshot point or a purge was asked for, so that it is not asked for twice.
    point_asked: u64,
    purge_asked: Option<u64>,
    /// A disk stalls, and leadership was handed over because of it.
    gave_way: bool,
}

/// Begins; both tasks end with the member.
pub(super) fn start<S: Store, R: AsyncRuntime>(
    inner: &Arc<Inner<S, R>>,
    raft: openraft::Raft<Types<R>, StateMachine<S, R>>,
) {
    drop(Types::<R>::spawn(run(Arc::downgrade(inner), raft)));
    drop(Types::<R>::spawn(sync_store(Arc::downgrade(inner))));
}

/// Works until the member is shut down.
async fn run<S: Store, R: AsyncRuntime>(
    inner: Weak<Inner<S, R>>,
    raft: openraft::Raft<Types<R>, StateMachine<S, R>>,
) {
    let mut metrics = raft.metrics();
    let mut memory = Memory::default();
    loop {
        let ended = matches!(Types::<R>::timeout(PERIOD, metrics.changed()).await, Ok(Err(_)));
        let Some(inner) = inner.upgrade() else { return };
        let status = inner.current_status();
        let failure = metrics.borrow_watched().running_state.clone().err();
        let failure = failure.map(|error| error.to_string());
        let log_failure = inner.log_failure();
        if let Some(reason) = failure
            .or(log_failure)
            .or_else(|| ended.then(|| "consensus has stopped".to_owned()))
        {
            if !inner.progress.closing.load(Ordering::Relaxed) {
                inner.end(Fatal(reason));
            }
            return;
        }
        inner.publish(status.clone());
        memory.gave_way &= !inner.stalls.is_none();
        if let Some(successor) = stall::successor(&status, &inner.stalls, &inner.limits)
            && !memory.gave_way
        {
            memory.gave_way = true;
            tracing::warn!(stalls = ?inner.stalls, %successor, "a disk stalls; another member is to lead");
            let _ = raft.trigger().transfer_leader(successor.0).await;
        }
        let applied = inner.applied();
        let due = inner.snapshot_due(applied, status.snapshot, status.log_bytes, memory.bytes_at_point);
        if due && applied.0 > memory.point_asked {
            memory.point_asked = applied.0;
            memory.bytes_at_point = status.log_bytes;
            let _ = raft.trigger().snapshot().await;
        }
        // Bytes only shrink by purging; what was counted before is gone then.
        memory.bytes_at_point = memory.bytes_at_point.min(status.log_bytes);
        let snapshot = metrics.borrow_watched().snapshot;
        if let Some(upto) = inner.purge_target(snapshot.as_ref().map(LogId::index))
            && memory.purge_asked < Some(upto.0)
        {
            memory.purge_asked = Some(upto.0);
            let _ = raft.trigger().purge_log(upto.0).await;
        }
        drop(inner);
        Types::<R>::sleep(PAUSE).await;
    }
}

/// Syncs the store until the member is shut down. Nobody waits for it.
async fn sync_store<S: Store, R: AsyncRuntime>(inner: Weak<Inner<S, R>>) {
    let mut synced = LogIndex(0);
    loop {
        Types::<R>::sleep(SYNC_PERIOD).await;
        let Some(inner) = inner.upgrade() else { return };
        let applied = inner.applied();
        if applied == synced {
            continue;
        }
        let store = inner.store.clone();
        match inner.blocking.run(move || store.sync()).await {
            Ok(Ok(())) => synced = applied,
            Ok(Err(error)) if error.is_full() => tracing::warn!(%error, "the store is synced later"),
            Ok(Err(error)) => {
                if error.is_corrupt() {
                    inner.progress.damage.note(&error);
                }
                return inner.end(Fatal(error.to_string()));
            }
            Err(error) => return inner.end(Fatal(error.to_string())),
        }
    }
}

/// Whether a snapshot point is due: enough entries or bytes since the last one.
pub(super) fn is_due(
    applied: LogIndex,
    snapshot: LogIndex,
    bytes: u64,
    bytes_before: u64,
    limits: &super::Limits,
) -> bool {
    let entries = applied.0.saturating_sub(snapshot.0);
    entries >= limits.snapshot_entries
        || (entries > 0 && bytes.saturating_sub(bytes_before) >= limits.snapshot_bytes)
}

/// Up to where the log may be purged: what is durably applied, archived if there is an archive, and not among the last `keep` entries.
pub(super) fn purge_limit(snapshot: u64, archived: Option<u64>, applied: u64, keep: u64) -> Option<u64> {
    let kept = applied.checked_sub(keep)?;
    let archived = archived.filter(|_| !is_on(Mutation::PurgeBeforeArchive));
    Some(snapshot.min(kept).min(archived.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_purged_that_is_not_durably_applied_archived_and_old() {
        for (snapshot, archived, applied, keep, expected) in [
            (100, None, 120, 10, Some(100)),
            (100, None, 105, 10, Some(95)),
            (100, Some(40), 120, 10, Some(40)),
            (100, Some(0), 120, 10, Some(0)),
            (100, None, 5, 10, None),
        ] {
            assert_eq!(purge_limit(snapshot, archived, applied, keep), expected);
        }
    }

    #[test]
    fn a_snapshot_point_is_due_after_entries_or_bytes() {
        let limits = super::super::Limits {
            snapshot_entries: 100,
            snapshot_bytes: 1000,
            ..Default::default()
        };
        let due = |applied, snapshot, bytes, before| {
            is_due(LogIndex(applied), LogIndex(snapshot), bytes, before, &limits)
        };
        assert!(due(100, 0, 0, 0));
        assert!(!due(99, 0, 999, 0));
        assert!(due(1, 0, 1000, 0));
        assert!(!due(1, 0, 1500, 600));
        assert!(!due(7, 7, 5000, 0));
    }
}
