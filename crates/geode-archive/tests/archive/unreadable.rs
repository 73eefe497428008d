//! Manifests and entries that cannot be read: each hides its own backup and no other one.

use crate::history::lineage;
use crate::journeys::{back_up, fetched, upload};
use geode_archive::layout::MANIFEST;
use geode_archive::{
    Checks, Codec, FailingStore, Fault, MemoryStore, Operation, PairedStore, get_small, inventory, list_all,
    verify_archive, verify_backup,
};
use geode_types::{LogIndex, RestoreTarget};
use std::sync::Arc;

/// Two full backups, of which the newer one's manifest is cut off, and an entry of a newer version; the key of the manifest.
async fn archive(store: &MemoryStore) -> String {
    let dir = tempfile::tempdir().unwrap();
    upload(store, dir.path(), &[(0, 9), (10, 19)]).await;
    back_up(store, 4, b"older").await;
    let newer = back_up(store, 14, b"newer").await;
    let key = format!("{}{MANIFEST}", newer.folder);
    store.tamper(&key, r#"{"format": 2, "clus"#);
    let entry = lineage().backup(&lineage().backup_name(LogIndex(17), 1));
    store.tamper(&entry, r#"{"format": 9}"#);
    key
}

#[tokio::test]
async fn a_restore_passes_over_a_manifest_that_cannot_be_read_for_an_older_backup() {
    let (store, into) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let key = archive(&store).await;
    let found = fetched(&store, RestoreTarget::Latest, into.path()).await.unwrap();
    assert_eq!(found.base.unwrap().index, LogIndex(4));
    assert_eq!(found.segments.len(), 2);
    let listed = inventory(&store, lineage()).await.unwrap();
    assert_eq!((listed.bases.len(), listed.unreadable.len()), (1, 2));
    assert_eq!(listed.unreadable[0].key, key);
}

#[tokio::test]
async fn a_verification_names_what_cannot_be_read() {
    let (store, scratch) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let key = archive(&store).await;
    for checks in [
        Checks::ALL,
        Checks {
            checksums: true,
            consistency: false,
        },
    ] {
        let codec = Codec::default();
        let report = verify_archive(&store, &codec, lineage(), checks, scratch.path(), &|_| {}).await;
        let problems = report.unwrap().problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains(&key), "{problems:?}");
        assert!(
            problems[1].contains("its format 9 is newer than 1"),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn when_nothing_readable_leads_to_the_target_the_refusal_names_what_cannot_be_read_and_the_way_out() {
    let (store, into) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let dir = tempfile::tempdir().unwrap();
    upload(&store, dir.path(), &[(10, 19)]).await;
    let only = back_up(&store, 14, b"snapshot").await;
    let key = format!("{}{MANIFEST}", only.folder);
    store.tamper(&key, "rot");
    let refused = fetched(&store, RestoreTarget::Latest, into.path()).await;
    let refused = refused.unwrap_err().to_string();
    for part in ["no base backup", key.as_str(), "--copy"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_whole_in_the_copy_is_read_there_and_a_store_that_fails_is_an_error() {
    let (first, second) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    back_up(&*first, 14, b"snapshot").await;
    for entry in list_all(&*first, "", "").await.unwrap() {
        let bytes = get_small(&*first, &entry.key, 1 << 20).await.unwrap();
        second.tamper(&entry.key, bytes);
        if entry.key.ends_with(MANIFEST) {
            first.tamper(&entry.key, "rot");
        }
    }
    let paired = PairedStore::new(first.clone(), second);
    let found = inventory(&paired, lineage()).await.unwrap();
    assert_eq!((found.bases.len(), found.unreadable.len()), (1, 0));
    let failing = FailingStore::new(first);
    failing.fail(Operation::Get, Fault::Unavailable, 1);
    inventory(&failing, lineage()).await.unwrap_err();
}

#[tokio::test]
async fn a_verification_of_one_backup_judges_it_alone_and_refuses_a_name_that_is_not_there() {
    let (store, scratch) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let key = archive(&store).await;
    let listed = inventory(&store, lineage()).await.unwrap();
    let verify = async |name: &str| {
        let codec = Codec::default();
        let what = (lineage(), name);
        verify_backup(&store, &codec, what, Checks::ALL, scratch.path(), &|_| {}).await
    };
    let sound = verify(listed.bases[0].name()).await.unwrap();
    assert_eq!((sound.bases, sound.segments, sound.problems), (1, 0, Vec::new()));
    let hidden = verify(listed.unreadable[0].name()).await.unwrap();
    assert!(
        hidden.problems.len() == 1 && hidden.problems[0].contains(&key),
        "{hidden:?}"
    );
    let refused = verify("other").await.unwrap_err().to_string();
    assert!(
        refused.contains("has no backup other; the newest it has:")
            && refused.contains(listed.bases[0].name()),
        "{refused}"
    );
}
