//! Backups in the archive that cannot be read.

use super::*;

/// A manifest as a newer version may write it, and one that somebody cut off.
fn spoil(store: &MemoryStore) {
    for (index, text) in [
        (3, r#"{"format": 9, "place": "elsewhere"}"#),
        (5, r#"{"format": 2, "clus"#),
    ] {
        let key = format!("{}manifest.json", lineage().base(LogIndex(index), 7));
        store.tamper(&key, text);
    }
    store.tamper(&lineage().backup(&lineage().backup_name(LogIndex(7), 1)), "{}");
}

#[tokio::test]
async fn a_backup_that_cannot_be_read_stops_neither_the_start_nor_the_audit() {
    let store = Arc::new(MemoryStore::new());
    spoil(&store);
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19)]);
    leader.attempt(0).await;
    leader.attempt(1).await;
    assert_eq!((leader.up_to(), leader.failing()), (19, None));
    assert_eq!(leader.archiver.unreadable.len(), 3);
    leader.restart(store.clone());
    leader.attempt(120).await;
    assert_eq!((leader.up_to(), leader.failing()), (19, None));
}

#[tokio::test]
async fn a_base_backup_that_cannot_be_read_is_as_good_as_none() {
    let store = Arc::new(MemoryStore::new());
    spoil(&store);
    let mut late = Member::new(store.clone(), &[(20, 29)]);
    late.attempt(0).await;
    late.attempt(20).await;
    assert!(late.shared.wants_base() && late.up_to() == 29);
}
