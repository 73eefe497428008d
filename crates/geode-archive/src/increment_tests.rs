use super::*;
use crate::content::Sha256;
use crate::inventory::{MANIFEST_FORMAT, Manifest};
use crate::store::MemoryStore;
use geode_types::{GroupId, Term};

fn lineage() -> Lineage {
    Lineage {
        cluster_id: ClusterId(uuid::Uuid::nil()),
        incarnation: Incarnation(1),
    }
}

async fn put(store: &MemoryStore, key: &str, bytes: Vec<u8>) {
    store
        .put_if_absent(key, &Content::from_bytes(bytes))
        .await
        .unwrap();
}

async fn full(store: &MemoryStore, index: u64) -> String {
    let folder = lineage().base(LogIndex(index), 1);
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        cluster_id: lineage().cluster_id,
        incarnation: lineage().incarnation,
        group: GroupId(0),
        index: LogIndex(index),
        term: Term(1),
        state_hash: None,
        started_at: Timestamp::UNIX_EPOCH,
        finished_at: Timestamp::UNIX_EPOCH,
        stored_bytes: 5,
        stored_sha256: Sha256([0; 32]),
        snapshot_bytes: 1,
        snapshot_sha256: Sha256([0; 32]),
        compression: None,
        key: None,
        server_version: String::new(),
    };
    put(
        store,
        &format!("{folder}manifest.json"),
        serde_json::to_vec(&manifest).unwrap(),
    )
    .await;
    BaseBackup { folder, manifest }.name().to_owned()
}

/// Ten entries a segment, ten bytes each.
async fn log(store: &MemoryStore, segments: std::ops::Range<u64>) {
    for number in segments {
        let range = SegmentRange {
            first: LogIndex(10 * number),
            last: LogIndex(10 * number + 9),
        };
        put(store, &lineage().segment(GroupId(0), range), vec![7; 10]).await;
    }
}

fn facts(kind: BackupKind, index: u64, parent: Option<&str>) -> IncrementFacts {
    IncrementFacts {
        lineage: lineage(),
        kind,
        parent: parent.map(str::to_owned),
        index: LogIndex(index),
        state_hash: format!("hash {index}"),
        server_version: "0.1.0".to_owned(),
        patience: Duration::ZERO,
    }
}

async fn taken(store: &MemoryStore, kind: BackupKind, index: u64) -> Increment {
    write_increment(store, facts(kind, index, None), drop)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_incremental_backup_goes_on_from_the_newest_and_a_differential_one_from_the_newest_full() {
    use BackupKind::{Differential, Incremental};
    let store = MemoryStore::new();
    log(&store, 0..10).await;
    let (_, new) = (full(&store, 14).await, full(&store, 24).await);
    let first = taken(&store, Incremental, 35).await;
    assert_eq!(
        (first.base.as_str(), first.parent.as_str()),
        (new.as_str(), new.as_str())
    );
    // The entries 25 to 35 lie in the segments 20 to 29 and 30 to 39.
    assert_eq!(
        (first.after, first.index, first.bytes),
        (LogIndex(24), LogIndex(35), 20)
    );
    let second = taken(&store, Incremental, 49).await;
    assert_eq!(
        (second.base.as_str(), second.parent.as_str(), second.bytes),
        (new.as_str(), first.name.as_str(), 20)
    );
    let third = taken(&store, Differential, 49).await;
    assert_eq!(
        (third.parent.as_str(), third.after, third.bytes),
        (new.as_str(), LogIndex(24), 30)
    );
    let idle = taken(&store, Incremental, 49).await;
    assert_eq!(
        (idle.after, idle.bytes),
        (LogIndex(49), 0),
        "nothing was written since"
    );
    let found = inventory(&store, lineage()).await.unwrap();
    assert_eq!(found.increments.len(), 4);
    assert!(broken_increments(&found).is_empty());
}

#[tokio::test]
async fn an_increment_alone_is_its_full_backup_and_the_log_from_there_to_its_end() {
    let store = MemoryStore::new();
    log(&store, 0..10).await;
    let (_, new) = (full(&store, 14).await, full(&store, 24).await);
    let taken = taken(&store, BackupKind::Incremental, 45).await;
    let found = inventory(&store, lineage()).await.unwrap();
    let only = found.only(&taken.name, "here").unwrap();
    assert_eq!((only.bases.len(), only.bases[0].name()), (1, new.as_str()));
    assert_eq!(only.increments, [taken]);
    let firsts: Vec<u64> = only
        .segments
        .iter()
        .map(|segment| segment.range.first.0)
        .collect();
    assert_eq!(firsts, [20, 30, 40]);
    assert!(found.only(&new, "here").unwrap().segments.is_empty());
}

#[tokio::test]
async fn an_increment_begins_with_the_backup_that_was_named_or_says_which_there_are() {
    use BackupKind::{Differential, Incremental};
    let store = MemoryStore::new();
    log(&store, 0..10).await;
    let refused = write_increment(&store, facts(Incremental, 30, None), drop)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("take a full one first"), "{refused}");
    let old = full(&store, 14).await;
    full(&store, 24).await;
    let named = write_increment(&store, facts(Differential, 35, Some(&old)), drop)
        .await
        .unwrap();
    assert_eq!((named.base.as_str(), named.after), (old.as_str(), LogIndex(14)));
    let wrong = write_increment(&store, facts(Differential, 35, Some(&named.name)), drop)
        .await
        .unwrap_err();
    assert!(
        wrong.to_string().contains(&old) && !wrong.to_string().contains("or increment"),
        "{wrong}"
    );
    let next = write_increment(&store, facts(Incremental, 45, Some(&named.name)), drop)
        .await
        .unwrap();
    assert_eq!(
        (next.base.as_str(), next.parent.as_str()),
        (old.as_str(), named.name.as_str())
    );
}

#[tokio::test]
async fn an_increment_is_written_only_when_the_log_leads_to_its_end() {
    let store = MemoryStore::new();
    full(&store, 14).await;
    log(&store, 0..3).await;
    log(&store, 5..6).await;
    let hole = write_increment(&store, facts(BackupKind::Incremental, 45, None), drop)
        .await
        .unwrap_err();
    assert!(hole.to_string().contains("the entries 30 to 49"), "{hole}");
    taken(&store, BackupKind::Incremental, 29).await;
    log(&store, 3..5).await;
    let late = write_increment(&store, facts(BackupKind::Incremental, 60, None), drop)
        .await
        .unwrap_err();
    assert!(late.to_string().contains("it ends with 59"), "{late}");
    assert_eq!(inventory(&store, lineage()).await.unwrap().increments.len(), 1);
    let mut patient = facts(BackupKind::Incremental, 60, None);
    patient.patience = Duration::from_secs(60);
    let waiting = write_increment(&store, patient, drop);
    let arriving = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        log(&store, 6..7).await;
    };
    let (written, ()) = tokio::join!(waiting, arriving);
    assert_eq!(written.unwrap().index, LogIndex(60));
}

#[tokio::test]
async fn an_increment_whose_log_or_full_backup_is_gone_is_named() {
    let store = MemoryStore::new();
    let base = full(&store, 14).await;
    log(&store, 0..5).await;
    let taken = taken(&store, BackupKind::Incremental, 42).await;
    let range = SegmentRange {
        first: LogIndex(20),
        last: LogIndex(29),
    };
    store.delete(&lineage().segment(GroupId(0), range)).await.unwrap();
    let said = broken_increments(&inventory(&store, lineage()).await.unwrap());
    assert!(
        said[0].contains(&taken.name) && said[0].contains("20 to 29"),
        "{said:?}"
    );
    store
        .delete(&format!("{}{base}/manifest.json", lineage().bases()))
        .await
        .unwrap();
    let said = broken_increments(&inventory(&store, lineage()).await.unwrap());
    assert!(
        said[0].contains("its full backup") && said[0].contains(&base),
        "{said:?}"
    );
}
