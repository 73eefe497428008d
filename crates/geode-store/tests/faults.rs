//! The faults that the in-memory store injects.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use geode_store::{MemStore, Reader, Store, StoreError, WriteTxn};
use std::io::ErrorKind;

fn put(store: &MemStore, key: &[u8]) -> geode_store::Result<()> {
    let mut tx = store.write()?;
    tx.put(key, b"x")?;
    tx.commit()
}

#[test]
fn a_power_cut_takes_what_was_not_synced() {
    let store = MemStore::new();
    put(&store, b"a").unwrap();
    store.sync().unwrap();
    put(&store, b"b").unwrap();
    put(&store, b"c").unwrap();
    store.lose_power();
    let read = store.read().unwrap();
    assert_eq!(
        (
            read.get(b"a").unwrap().is_some(),
            read.get(b"b").unwrap().is_some()
        ),
        (true, false)
    );
    put(&store, b"c").unwrap();
    store.sync().unwrap();
    store.lose_power();
    assert!(store.read().unwrap().get(b"c").unwrap().is_some());
}

#[test]
fn a_failed_commit_writes_nothing() {
    let store = MemStore::new();
    store.fail_next_commit(ErrorKind::Other);
    assert!(matches!(put(&store, b"a"), Err(StoreError::Io { .. })));
    store.fail_next_commit(ErrorKind::StorageFull);
    assert!(put(&store, b"a").unwrap_err().is_full());
    store.limit_bytes(Some(3));
    put(&store, b"a").unwrap();
    assert!(put(&store, b"b").unwrap_err().is_full());
    assert_eq!(store.size().unwrap().entries, 1);
}
