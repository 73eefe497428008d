//! The promises of `Store`, kept by every implementation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use geode_store::{
    Entry, LmdbOptions, LmdbStore, Loader, MAX_KEY_BYTES, MemStore, ReadTxn, Reader, Result, Store,
    StoreError, WriteTxn,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

macro_rules! promises {
    ($($name:ident)*) => {
        mod lmdb {
            $(#[test]
            fn $name() {
                let directory = tempfile::tempdir().unwrap();
                super::$name(&super::LmdbStore::open(directory.path(), super::LmdbOptions::default()).unwrap());
            })*
        }
        mod memory {
            $(#[test]
            fn $name() {
                super::$name(&super::MemStore::new());
            })*
        }
    };
}

promises! {
    a_snapshot_keeps_what_it_saw
    a_dropped_writer_leaves_no_trace
    ranges_are_ordered_and_half_open
    the_last_entry_before_a_key_is_found
    a_writer_reads_its_own_writes
    keys_outside_the_limits_are_refused
    a_loader_replaces_everything_at_once
    an_abandoned_loader_changes_nothing
    a_loader_refuses_disorder
    random_histories_equal_a_sorted_map
    a_snapshot_moves_between_threads
    another_snapshot_of_a_state_is_of_no_other
}

fn put(store: &impl Store, entries: &[(&str, &str)]) {
    let mut tx = store.write().unwrap();
    for (key, value) in entries {
        tx.put(key.as_bytes(), value.as_bytes()).unwrap();
    }
    tx.commit().unwrap();
}

fn text(entry: Result<Entry<'_>>) -> (String, String) {
    let (key, value) = entry.unwrap();
    (
        String::from_utf8(key.to_vec()).unwrap(),
        String::from_utf8(value.to_vec()).unwrap(),
    )
}

fn keys(read: &impl Reader, from: &str, to: Option<&str>) -> Vec<String> {
    read.range(from.as_bytes(), to.map(str::as_bytes))
        .unwrap()
        .map(|entry| text(entry).0)
        .collect()
}

fn a_snapshot_keeps_what_it_saw(store: &impl Store) {
    put(store, &[("a", "1"), ("b", "1")]);
    let before = store.read().unwrap();
    let mut tx = store.write().unwrap();
    tx.put(b"a", b"2").unwrap();
    assert!(tx.delete(b"b").unwrap());
    assert!(!tx.delete(b"b").unwrap());
    let during = store.read().unwrap();
    tx.commit().unwrap();
    let after = store.read().unwrap();
    for old in [&before, &during] {
        assert_eq!(
            (old.get(b"a").unwrap(), old.get(b"b").unwrap()),
            (Some(&b"1"[..]), Some(&b"1"[..]))
        );
    }
    assert_eq!(
        (after.get(b"a").unwrap(), after.get(b"b").unwrap()),
        (Some(&b"2"[..]), None)
    );
    assert_eq!(store.size().unwrap().entries, 1);
}

fn a_dropped_writer_leaves_no_trace(store: &impl Store) {
    put(store, &[("a", "1")]);
    let mut tx = store.write().unwrap();
    tx.put(b"a", b"2").unwrap();
    drop(tx);
    assert_eq!(store.read().unwrap().get(b"a").unwrap(), Some(&b"1"[..]));
    store.sync().unwrap();
}

fn ranges_are_ordered_and_half_open(store: &impl Store) {
    put(store, &[("c", ""), ("a", ""), ("b", ""), ("ab", "")]);
    let read = store.read().unwrap();
    assert_eq!(keys(&read, "a", None), ["a", "ab", "b", "c"]);
    assert_eq!(keys(&read, "aa", Some("c")), ["ab", "b"]);
    assert_eq!(keys(&read, "b", Some("b")), [""; 0]);
    assert_eq!(keys(&read, "d", None), [""; 0]);
}

fn the_last_entry_before_a_key_is_found(store: &impl Store) {
    put(store, &[("a", "1"), ("b", "2"), ("d", "4")]);
    let read = store.read().unwrap();
    let last = |from: &str, to: &str| {
        read.last(from.as_bytes(), to.as_bytes())
            .unwrap()
            .map(|entry| text(Ok(entry)).0)
    };
    assert_eq!(last("a", "z").as_deref(), Some("d"));
    assert_eq!(last("a", "d").as_deref(), Some("b"));
    assert_eq!(last("c", "d"), None);
    assert_eq!(last("a", "a"), None);
}

fn a_writer_reads_its_own_writes(store: &impl Store) {
    put(store, &[("a", "1"), ("c", "1")]);
    let mut tx = store.write().unwrap();
    tx.put(b"b", b"").unwrap();
    tx.delete(b"a").unwrap();
    assert_eq!(keys(&tx, "a", None), ["b", "c"]);
    assert_eq!(tx.get(b"b").unwrap(), Some(&b""[..]));
    assert_eq!(tx.last(b"a", b"c").unwrap(), Some((&b"b"[..], &b""[..])));
}

fn keys_outside_the_limits_are_refused(store: &impl Store) {
    let mut tx = store.write().unwrap();
    tx.put(&[7; MAX_KEY_BYTES], &vec![1; 100_000]).unwrap();
    for bad in [vec![], vec![7; MAX_KEY_BYTES + 1]] {
        assert!(matches!(tx.put(&bad, b""), Err(StoreError::KeyLength(_))));
    }
}

fn a_loader_replaces_everything_at_once(store: &impl Store) {
    put(store, &[("a", "old"), ("z", "old")]);
    let before = store.read().unwrap();
    for round in ["first", "second", "third"] {
        let mut loader = store.load().unwrap();
        for number in 0..2000 {
            loader
                .put(format!("k{number:05}").as_bytes(), &vec![b'x'; 20_000])
                .unwrap();
        }
        loader.put(b"l", round.as_bytes()).unwrap();
        loader.finish().unwrap();
        let read = store.read().unwrap();
        assert_eq!(read.get(b"l").unwrap(), Some(round.as_bytes()));
        assert_eq!(
            (read.get(b"a").unwrap(), store.size().unwrap().entries),
            (None, 2001)
        );
    }
    assert_eq!(keys(&before, "a", None), ["a", "z"]);
}

fn an_abandoned_loader_changes_nothing(store: &impl Store) {
    put(store, &[("a", "1")]);
    let mut loader = store.load().unwrap();
    for number in 0..1000 {
        loader
            .put(format!("k{number:05}").as_bytes(), &vec![b'x'; 20_000])
            .unwrap();
    }
    drop(loader);
    assert_eq!(keys(&store.read().unwrap(), "a", None), ["a"]);
    put(store, &[("b", "2")]);
    store.load().unwrap().finish().unwrap();
    assert_eq!(store.size().unwrap().entries, 0);
}

fn a_loader_refuses_disorder(store: &impl Store) {
    let mut loader = store.load().unwrap();
    loader.put(b"b", b"").unwrap();
    assert!(matches!(loader.put(b"a", b""), Err(StoreError::NotAscending)));
}

fn a_snapshot_moves_between_threads(store: &impl Store) {
    put(store, &[("a", "1")]);
    let read = store.read().unwrap();
    std::thread::spawn(move || assert_eq!(read.get(b"a").unwrap(), Some(&b"1"[..])))
        .join()
        .unwrap();
}

fn another_snapshot_of_a_state_is_of_no_other(store: &impl Store) {
    put(store, &[("a", "1"), ("b", "1")]);
    let read = store.read().unwrap();
    let same = read.again().unwrap().expect("nothing was committed since");
    let elsewhere = std::thread::spawn(move || keys(&same, "a", None));
    assert_eq!(keys(&read, "a", None), elsewhere.join().unwrap());
    put(store, &[("a", "2"), ("c", "1")]);
    if let Some(same) = read.again().unwrap() {
        assert_eq!(same.get(b"a").unwrap(), Some(&b"1"[..]));
        assert_eq!(keys(&same, "a", None), keys(&read, "a", None));
    }
    let mut loader = store.load().unwrap();
    loader.put(b"z", b"1").unwrap();
    loader.finish().unwrap();
    if let Some(same) = read.again().unwrap() {
        assert_eq!(keys(&same, "a", None), ["a", "b"]);
    }
    let newest = store.read().unwrap();
    let same = newest.again().unwrap().expect("nothing was committed since");
    assert_eq!(keys(&same, "a", None), ["z"]);
    // An open writer is none that has committed.
    let mut tx = store.write().unwrap();
    tx.put(b"z", b"2").unwrap();
    let same = newest.again().unwrap().expect("nothing was committed since");
    assert_eq!(same.get(b"z").unwrap(), Some(&b"1"[..]));
}

fn random_histories_equal_a_sorted_map(store: &impl Store) {
    let table = prop::sample::select(vec![0, 1, 0x1f, 0x20, 0x21, 0x27, 0x28, 0xff]);
    let key = (table, prop::collection::vec(0u8..4, 0..5));
    let key = key.prop_map(|(table, rest)| [vec![table], rest].concat());
    let operation = (key, prop::option::of(prop::collection::vec(any::<u8>(), 0..300)));
    let batches = prop::collection::vec((prop::collection::vec(operation, 0..120), any::<bool>()), 0..8);
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(batches in batches)| {
        store.load().unwrap().finish().unwrap();
        let mut model = BTreeMap::new();
        for (batch, commit) in batches {
            let old = store.read().unwrap();
            let expected: Vec<_> = model.clone().into_iter().collect();
            let mut tx = store.write().unwrap();
            let mut next = model.clone();
            for (key, value) in batch {
                match value {
                    Some(value) => {
                        tx.put(&key, &value).unwrap();
                        next.insert(key, value);
                    }
                    None => prop_assert_eq!(tx.delete(&key).unwrap(), next.remove(&key).is_some()),
                }
            }
            prop_assert_eq!(&all(&tx), &next.clone().into_iter().collect::<Vec<_>>());
            if commit {
                tx.commit().unwrap();
                model = next;
            } else {
                drop(tx);
            }
            prop_assert_eq!(all(&old), expected);
            let read = store.read().unwrap();
            for probe in [vec![1], vec![0x1f, 2], vec![0x20, 3, 3], vec![0x25], vec![0x27, 1], vec![0x90]] {
                let before = model.range(..probe.clone()).next_back().map(|(key, _)| key.clone());
                prop_assert_eq!(read.last(&[0], &probe).unwrap().map(|(key, _)| key.to_vec()), before);
                let from = read.range(&probe, Some(&[0x28])).unwrap().map(|entry| entry.unwrap().0.to_vec());
                let upper = vec![0x28].max(probe.clone());
                let wanted = model.range(probe..upper).map(|(key, _)| key.clone());
                prop_assert!(from.eq(wanted));
            }
        }
    });
}

fn all(read: &impl Reader) -> Vec<(Vec<u8>, Vec<u8>)> {
    read.range(&[0], None)
        .unwrap()
        .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
        .collect()
}
