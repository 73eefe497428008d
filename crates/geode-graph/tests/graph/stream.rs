//! Snapshots, the state hash and fsck.

use crate::support::{Rig, lmdb, memory};
use geode_graph::{
    LogPosition, StreamError, apply, apply_empty, export, fsck, import, meta, position, put_meta, state_hash,
};
use geode_store::{LmdbOptions, LmdbStore, MemStore, Reader, Store, StoreError, WriteTxn};
use geode_types::{ClusterId, NodeId, RequestId};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use uuid::Uuid;

fn cluster(number: u128) -> ClusterId {
    ClusterId(Uuid::from_u128(number))
}

/// A graph with some of everything; `rounds` grows it.
fn fill<S: Store>(rig: &mut Rig<S>, rounds: u64) {
    let mut hub = NodeId(0);
    for round in 0..rounds {
        let mut tx = rig.begin();
        let (label, kind, key) = (
            tx.define_label("L").unwrap(),
            tx.define_type("T").unwrap(),
            tx.define_key("k").unwrap(),
        );
        let nodes: Vec<NodeId> = (0..200)
            .map(|number: i64| tx.create_node(&[label], vec![(key, number.into())]).unwrap())
            .collect();
        hub = if round == 0 { nodes[0] } else { hub };
        for node in &nodes {
            tx.create_edge(kind, hub, *node, vec![(key, "x".into())]).unwrap();
        }
        tx.put_user(geode_graph::UserRecord {
            name: "u".into(),
            hash: "h".into(),
            role: "reader".into(),
        })
        .unwrap();
        let request = RequestId {
            session: Uuid::from_u128(7),
            sequence: rig.log.len() as u64,
        };
        let command = rig.certify(tx.finish(), Some(request)).unwrap();
        assert!(matches!(
            rig.apply(1, &command),
            geode_graph::Applied::Committed(_)
        ));
        if round % 3 == 2 {
            rig.write(|tx| tx.delete_node(nodes[5], true).unwrap());
        }
    }
}

fn bytes_of<S: Store>(rig: &Rig<S>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let info = export(&rig.store.read().unwrap(), cluster(1), &mut bytes).unwrap();
    assert_eq!(info.bytes, bytes.len() as u64);
    bytes
}

fn hash(store: &impl Store) -> [u8; 32] {
    state_hash(&store.read().unwrap()).unwrap()
}

#[test]
fn a_snapshot_carries_the_whole_graph_between_stores() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = lmdb(&directory);
    fill(&mut rig, 30);
    let mut tx = rig.store.write().unwrap();
    put_meta(&mut tx, "vote", b"mine").unwrap();
    tx.commit().unwrap();
    let bytes = bytes_of(&rig);

    let target = MemStore::new();
    let mut tx = target.write().unwrap();
    put_meta(&mut tx, "old", b"x").unwrap();
    tx.commit().unwrap();
    let info = import(
        &target,
        &mut bytes.as_slice(),
        Some(cluster(1)),
        &[("b", b"2"), ("a", b"1")],
    )
    .unwrap();
    let read = target.read().unwrap();
    assert_eq!(hash(&target), hash(&rig.store));
    assert_eq!(position(&read).unwrap(), info.header.position);
    assert_eq!(
        info.header.position,
        position(&rig.store.read().unwrap()).unwrap()
    );
    for (name, expected) in [
        ("a", Some(&b"1"[..])),
        ("b", Some(&b"2"[..])),
        ("old", None),
        ("vote", None),
    ] {
        assert_eq!(meta(&read, name).unwrap().as_deref(), expected, "{name}");
    }
    assert!(fsck(&read).unwrap().is_clean());
    let copy = Rig {
        store: target,
        ids: rig.ids.clone(),
        certifier: geode_graph::Certifier::new(geode_types::Term(1), &info.header.position),
        log: rig.log.clone(),
    };
    assert_eq!(bytes_of(&copy), bytes);
}

#[test]
fn a_damaged_snapshot_is_refused_and_the_store_keeps_what_it_had() {
    let mut source = memory();
    fill(&mut source, 3);
    let bytes = bytes_of(&source);
    let directory = tempfile::tempdir().unwrap();
    let mut target = lmdb(&directory);
    fill(&mut target, 1);
    let before = hash(&target.store);
    let step = bytes.len() / 97;
    for cut in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
        let result = import(&target.store, &mut &bytes[..cut], None, &[]);
        assert!(
            matches!(result, Err(StreamError::Damaged(_))),
            "cut at {cut}: {result:?}"
        );
        assert!(geode_graph::check(&mut &bytes[..cut]).is_err(), "cut at {cut}");
    }
    for flip in (0..bytes.len())
        .step_by(step)
        .chain(bytes.len() - 40..bytes.len())
    {
        let mut damaged = bytes.clone();
        damaged[flip] ^= 0x10;
        let result = import(&target.store, &mut damaged.as_slice(), None, &[]);
        assert!(result.is_err(), "flip at {flip}: {result:?}");
        let checked = geode_graph::check(&mut damaged.as_slice());
        assert!(checked.is_err(), "flip at {flip}: {checked:?}");
    }
    let other = import(&target.store, &mut bytes.as_slice(), Some(cluster(2)), &[]);
    assert!(matches!(other, Err(StreamError::OtherCluster { .. })));
    assert_eq!(hash(&target.store), before);
    geode_graph::check(&mut bytes.as_slice()).unwrap();
    import(&target.store, &mut bytes.as_slice(), Some(cluster(1)), &[]).unwrap();
    assert_eq!(hash(&target.store), hash(&source.store));
}

#[test]
fn a_store_that_fails_during_the_switch_keeps_what_it_had() {
    let mut source = memory();
    fill(&mut source, 2);
    let bytes = bytes_of(&source);
    let target = MemStore::new();
    let before = hash(&target);
    target.fail_next_commit(ErrorKind::StorageFull);
    let result = import(&target, &mut bytes.as_slice(), None, &[]);
    assert!(matches!(
        result,
        Err(StreamError::Graph(geode_graph::GraphError::Store(
            StoreError::Full { .. }
        )))
    ));
    assert_eq!(hash(&target), before);
}

/// Replays a log in batches of this many entries a store transaction.
fn replay<S: Store>(store: &S, log: &[(LogPosition, Option<geode_graph::Command>)], batch: usize) {
    for entries in log.chunks(batch) {
        let mut tx = store.write().unwrap();
        for (at, command) in entries {
            match command {
                Some(command) => drop(apply(&mut tx, *at, command).unwrap()),
                None => apply_empty(&mut tx, *at).unwrap(),
            }
        }
        tx.commit().unwrap();
    }
}

#[test]
fn members_that_applied_the_same_log_have_the_same_hash_however_they_came_there() {
    let mut rig = memory();
    fill(&mut rig, 10);
    let snapshot = bytes_of(&rig);
    let at = rig.log.len();
    fill(&mut rig, 7);
    rig.elect(2);
    for batch in [1, 3, 1000] {
        let store = MemStore::new();
        replay(&store, &rig.log, batch);
        assert_eq!(hash(&store), hash(&rig.store), "batches of {batch}");
    }
    let directory = tempfile::tempdir().unwrap();
    let restored = LmdbStore::open(directory.path(), LmdbOptions::default()).unwrap();
    import(&restored, &mut snapshot.as_slice(), None, &[]).unwrap();
    replay(&restored, &rig.log[at..], 4);
    assert_eq!(hash(&restored), hash(&rig.store));
    assert_eq!(
        position(&restored.read().unwrap()).unwrap(),
        position(&rig.store.read().unwrap()).unwrap()
    );
    rig.write(|tx| {
        tx.create_node(&[], vec![]).unwrap();
    });
    assert_ne!(hash(&restored), hash(&rig.store));
}

#[test]
fn fsck_finds_whatever_single_entry_is_missing_or_changed() {
    let mut rig = memory();
    fill(&mut rig, 4);
    rig.check();
    let read = rig.store.read().unwrap();
    // Of each kind of entry some; users and requests stand for themselves and have nothing to disagree with.
    let mut kinds: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
    for entry in read.range(&[0x10], None).unwrap() {
        let key = entry.unwrap().0.to_vec();
        kinds.entry(key[0]).or_default().push(key);
    }
    assert_eq!(kinds.len(), 11, "a kind of entry is not in the sample");
    for (kind, keys) in kinds.iter().filter(|(kind, _)| ![0x13, 0x16].contains(*kind)) {
        for key in keys.iter().step_by(keys.len().div_ceil(4)) {
            let mut tx = rig.store.write().unwrap();
            tx.delete(key).unwrap();
            assert!(
                !fsck(&tx).unwrap().is_clean(),
                "entry {key:02x?} of space {kind:#x} is gone and nobody notices"
            );
        }
    }
}
