//! openraft's own conformance suite, on the log in a real directory and the state machine on LMDB.

use super::blocking::Blocking;
use super::damage::Damage;
use super::log_store::LogStore;
use super::state_machine::{Progress, StateMachine};
use super::types::Types;
use geode_log::{Log, LogOptions, RealDisk, Writer};
use geode_store::{LmdbOptions, LmdbStore};
use geode_types::ClusterId;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{StorageError, TokioRuntime};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

type Config = Types<TokioRuntime>;
type Machine = StateMachine<LmdbStore, TokioRuntime>;

struct Builder;

impl StoreBuilder<Config, LogStore<TokioRuntime>, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore<TokioRuntime>, Machine), StorageError<Config>> {
        let directory = tempfile::tempdir().unwrap();
        let cluster = ClusterId(uuid::Uuid::from_u128(1));
        // A tiny cache and tiny segments, so that the suite reads files and crosses segments.
        let options = LogOptions {
            cluster: Some(cluster),
            segment_entries: 4,
            cache_bytes: 0,
            ..LogOptions::default()
        };
        let log = Log::open(Arc::new(RealDisk), directory.path().join("wal"), options).unwrap();
        let (writer, worker) = Writer::new(log);
        std::thread::spawn(move || worker.run());
        let store = LmdbStore::open(&directory.path().join("graph"), LmdbOptions::default()).unwrap();
        let snapshots = directory.path().join("snapshots");
        std::fs::create_dir(&snapshots).unwrap();
        let machine = StateMachine {
            store: Arc::new(store),
            disk: Arc::new(RealDisk),
            directory: snapshots,
            cluster: Arc::new(OnceLock::from(cluster)),
            progress: Arc::new(Progress::new()),
            blocking: Blocking::Threads,
            apply_entries: 64,
        };
        Ok((
            directory,
            LogStore::new(writer, Blocking::Threads, 1 << 20, Damage::default()),
            machine,
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_store_and_the_state_machine_pass_openrafts_suite() {
    Suite::<Config, LogStore<TokioRuntime>, Machine, Builder, TempDir>::test_all(Builder)
        .await
        .unwrap();
}
