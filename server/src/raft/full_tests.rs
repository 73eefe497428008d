//! A full data volume is waited out, whatever it is that needs the room.

use super::snapshot::{SnapshotData, live};
use super::state_machine::{Progress, StateMachine};
use super::types::Types;
use super::*;
use geode_graph::{Command, Commit, CommitSummary, Effect, LogPosition, NodeRecord, position, state_hash};
use geode_log::disk::MemoryDisk;
use geode_store::{MemRead, MemStore, Store, WriteTxn};
use geode_types::{ClusterId, LogIndex, NodeId, Term};
use openraft::TokioRuntime;
use openraft::alias::SnapshotOf;
use openraft::storage::RaftStateMachine;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn machine(store: &MemStore) -> StateMachine<MemStore, TokioRuntime> {
    let cluster = OnceLock::new();
    cluster.set(ClusterId(uuid::Uuid::from_u128(7))).unwrap();
    StateMachine {
        store: Arc::new(store.clone()),
        disk: Arc::new(MemoryDisk::new()),
        directory: PathBuf::from("/snapshots"),
        cluster: Arc::new(cluster),
        progress: Arc::new(Progress::new()),
        blocking: Blocking::Threads,
        apply_entries: 10,
    }
}

/// A store with one node, as another member would send it.
fn other() -> (MemStore, SnapshotOf<Types<TokioRuntime>, SnapshotData<MemRead>>) {
    let store = MemStore::new();
    let mut tx = store.write().unwrap();
    let at = LogPosition {
        term: Term(1),
        index: LogIndex(4),
    };
    let record = NodeRecord::default();
    let commit = Commit {
        request_id: None,
        certified_term: Term(1),
        sequence: 1,
        at_micros: 0,
        effects: vec![Effect::CreateNode {
            id: NodeId(1),
            record,
        }],
        summary: CommitSummary::default(),
    };
    geode_graph::apply(&mut tx, at, &Command::Commit(Box::new(commit))).unwrap();
    tx.commit().unwrap();
    let snapshot = live::<TokioRuntime, MemStore>(&store).unwrap();
    (store, snapshot)
}

#[tokio::test]
async fn a_snapshot_waits_for_room() {
    let (source, snapshot) = other();
    let target = MemStore::new();
    let mut machine = machine(&target);
    let progress = machine.progress.clone();
    target.limit_bytes(Some(10));
    let installing =
        tokio::spawn(async move { machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await });
    while progress.full().is_none() {
        assert!(!installing.is_finished(), "{:?}", installing.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(position(&target.read().unwrap()).unwrap().index, LogIndex(0));
    target.limit_bytes(None);
    installing.await.unwrap().unwrap();
    assert_eq!(progress.full(), None);
    let hash = |store: &MemStore| state_hash(&store.read().unwrap()).unwrap();
    assert_eq!(hash(&target), hash(&source));
}
