//! Sealed and compressed archives, from objects to a fetched backup; and archives of older versions.

use crate::history::{lineage, range};
use crate::journeys::{facts, fetched};
use crate::{history, s3};
use geode_archive::{
    Checks, Codec, Copier, DirectoryStore, FailingStore, Fault, MemoryStore, ObjectStore, Operation,
    SoundSegment, copy_object, fetch, upload_segment, verify_archive, verify_segment, write_base_backup,
    write_checkpoints,
};
use geode_types::{Checkpoint, LogIndex, RESTORE_FILE, RestoreGoal, RestoreTarget};
use std::path::Path;
use std::sync::Arc;

/// A key of one repeated digit.
fn key_file(path: &Path, keys: &[(&str, &str)]) {
    let lines: Vec<String> = keys
        .iter()
        .map(|(id, digit)| format!("{id} {}", digit.repeat(64)))
        .collect();
    std::fs::write(path, lines.join("\n")).unwrap();
}

/// Half of the archive is sealed with one key, the other half with the next one; then one is lost.
async fn sealed_there_and_back(store: &dyn ObjectStore, url: &str, access: &geode_archive::Access) {
    let (dir, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = keys.path().join("keys");
    let codec = Codec {
        compression: Some(geode_types::Compression::Lz4),
        keys: Some(keys.clone()),
    };
    let access = geode_archive::Access {
        keys: Some(keys.clone()),
        ..access.clone()
    };
    let archive = async |first: u64, last: u64| {
        let path = history::write(dir.path(), lineage(), range(first, last));
        let segment = SoundSegment::check(lineage(), range(first, last), path)
            .await
            .unwrap();
        for _a_lost_answer in 0..2 {
            upload_segment(store, &codec, &segment).await.unwrap();
        }
        assert!(verify_segment(store, &codec, &segment).await.unwrap());
    };
    let snapshot: Vec<u8> = (0..40_000_000u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    key_file(&keys, &[("old", "a")]);
    archive(0, 9).await;
    archive(10, 1999).await;
    let base = write_base_backup(store, &codec, facts(12), snapshot.as_slice(), || async { None })
        .await
        .unwrap();
    assert_eq!(base.manifest.key.as_deref(), Some("old"));
    key_file(&keys, &[("new", "b"), ("old", "a")]);
    archive(2000, 2009).await;
    let named = vec![Checkpoint {
        name: "a name that is nobody's business".to_owned(),
        index: LogIndex(15),
        at_micros: 5,
    }];
    write_checkpoints(store, &codec, lineage(), LogIndex(15), named.clone())
        .await
        .unwrap();

    let into = tempfile::tempdir().unwrap();
    let goal = RestoreGoal::Checkpoint(named[0].name.clone());
    let found = fetch(url, &access, &goal, into.path(), &|_| {}).await.unwrap();
    assert_eq!(found.target, RestoreTarget::Index(LogIndex(15)));
    let into = tempfile::tempdir().unwrap();
    let found = fetch(url, &access, &RestoreTarget::Latest.into(), into.path(), &|_| {})
        .await
        .unwrap();
    let stored = std::fs::read(into.path().join(&found.base.unwrap().file)).unwrap();
    assert!(zstd::decode_all(stored.as_slice()).unwrap() == snapshot);
    assert_eq!(found.segments.len(), 2);
    for segment in &found.segments {
        let plain = history::segment(lineage(), range(segment.first.0, segment.last.0));
        assert!(std::fs::read(into.path().join(&segment.file)).unwrap() == plain);
    }
    let scratch = tempfile::tempdir().unwrap();
    let report = verify_archive(store, &codec, lineage(), Checks::ALL, scratch.path(), &|_| {})
        .await
        .unwrap();
    assert_eq!((report.segments, report.problems), (3, Vec::new()));

    key_file(&keys, &[("new", "b")]);
    let into = tempfile::tempdir().unwrap();
    let lost = fetch(url, &access, &RestoreTarget::Latest.into(), into.path(), &|_| {})
        .await
        .unwrap_err();
    assert!(!lost.is_transient());
    let lost = lost.to_string();
    assert!(
        lost.contains("sealed with the key old (") && lost.contains("there are: new ("),
        "{lost}"
    );
    assert!(!into.path().join(RESTORE_FILE).exists());
    let report = verify_archive(store, &codec, lineage(), Checks::ALL, scratch.path(), &|_| {}).await;
    assert!(report.is_err(), "a key that is missing is no damage");
}

#[tokio::test]
async fn a_sealed_archive_in_a_directory_is_restored_with_rotated_keys() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    sealed_there_and_back(
        &DirectoryStore::new(dir.path()),
        &url,
        &geode_archive::Access::default(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_archive_on_a_real_s3_server_is_restored_with_rotated_keys() {
    let server = s3::Server::start("wal");
    let store = server.store("wal", "prod/social").await;
    let access = geode_archive::Access {
        endpoint: Some(server.endpoint()),
        region: None,
        credentials_dir: Some(server.credentials_dir()),
        ..geode_archive::Access::default()
    };
    sealed_there_and_back(&store, "s3://wal/prod/social", &access).await;
}

#[tokio::test]
async fn a_sealed_download_that_breaks_goes_on_where_it_broke() {
    let store = FailingStore::new(Arc::new(MemoryStore::new()));
    let codec = Codec {
        compression: Some(geode_types::Compression::Gzip),
        ..Codec::default()
    };
    let snapshot: Vec<u8> = (0..3_000_000u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    write_base_backup(&store, &codec, facts(12), snapshot.as_slice(), || async { None })
        .await
        .unwrap();
    store.fail(Operation::Get, Fault::BreaksAfter(u64::MAX), 1);
    store.fail(Operation::Get, Fault::BreaksAfter(500_000), 2);
    let into = tempfile::tempdir().unwrap();
    let found = fetched(&store, RestoreTarget::Latest, into.path()).await.unwrap();
    let stored = std::fs::read(into.path().join(&found.base.unwrap().file)).unwrap();
    assert!(zstd::decode_all(stored.as_slice()).unwrap() == snapshot);
}

#[tokio::test]
async fn an_archive_of_an_older_version_is_restored() {
    let (store, into) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let stream = zstd::encode_all(b"snapshot".as_slice(), 3).unwrap();
    let folder = lineage().base(LogIndex(12), 7);
    let manifest = serde_json::json!({
        "format": 1, "cluster_id": lineage().cluster_id, "incarnation": 1, "group": 0, "index": 12, "term": 1,
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z", "stored_bytes": stream.len(),
        "stored_sha256": geode_archive::Sha256::of(&stream), "snapshot_bytes": 8,
        "snapshot_sha256": geode_archive::Sha256::of(b"snapshot"), "server_version": "0.1.0",
    });
    for (name, bytes) in [
        ("snapshot.zst", stream.clone()),
        ("manifest.json", manifest.to_string().into_bytes()),
    ] {
        let content = geode_archive::Content::from_bytes(bytes);
        store
            .put_if_absent(&format!("{folder}{name}"), &content)
            .await
            .unwrap();
    }
    let found = fetched(&store, RestoreTarget::Latest, into.path()).await.unwrap();
    assert_eq!(
        std::fs::read(into.path().join(&found.base.unwrap().file)).unwrap(),
        stream
    );
    let newer = manifest.to_string().replace("\"format\":1", "\"format\":9");
    store.tamper(&format!("{folder}manifest.json"), newer);
    let into = tempfile::tempdir().unwrap();
    let refused = fetched(&store, RestoreTarget::Latest, into.path())
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("its format 9 is newer than 2"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_takes_from_the_copy_what_is_missing_or_damaged_in_the_archive() {
    let server = s3::Server::start("wal");
    let (store, dir) = (server.store("wal", "p").await, tempfile::tempdir().unwrap());
    let codec = Codec {
        compression: Some(geode_types::Compression::Zstd),
        keys: None,
    };
    for (first, last) in [(0, 9), (10, 999), (1000, 1009)] {
        let path = history::write(dir.path(), lineage(), range(first, last));
        let segment = SoundSegment::check(lineage(), range(first, last), path)
            .await
            .unwrap();
        upload_segment(&store, &codec, &segment).await.unwrap();
    }
    let snapshot: Vec<u8> = (0..20_000_000u32)
        .map(|i| (i.wrapping_mul(i) >> 9) as u8)
        .collect();
    let base = write_base_backup(&store, &codec, facts(12), snapshot.as_slice(), || async { None })
        .await
        .unwrap();
    let copy = tempfile::tempdir().unwrap();
    let second = DirectoryStore::new(copy.path());
    let missing = Copier::new(lineage()).missing(&store, &second).await.unwrap();
    assert_eq!(missing.len(), 5);
    for object in &missing {
        copy_object(&store, &second, object).await.unwrap();
    }
    assert!(
        Copier::new(lineage())
            .missing(&store, &second)
            .await
            .unwrap()
            .is_empty()
    );

    let segment = |first, last| lineage().segment(geode_types::GroupId(0), range(first, last));
    store.delete(&segment(10, 999)).await.unwrap();
    for key in [segment(1000, 1009), base.snapshot()] {
        store.delete(&key).await.unwrap();
        let rot = geode_archive::Content::from_bytes("rot");
        store.put_if_absent(&key, &rot).await.unwrap();
    }
    let alone = geode_archive::Access {
        endpoint: Some(server.endpoint()),
        credentials_dir: Some(server.credentials_dir()),
        ..geode_archive::Access::default()
    };
    let into = tempfile::tempdir().unwrap();
    let latest = RestoreTarget::Latest.into();
    fetch("s3://wal/p", &alone, &latest, into.path(), &|_| {})
        .await
        .unwrap_err();
    let url = format!("file://{}", copy.path().display());
    let both = geode_archive::Access {
        copy: Some(Box::new((url, geode_archive::Access::default()))),
        ..alone
    };
    let into = tempfile::tempdir().unwrap();
    let found = fetch("s3://wal/p", &both, &latest, into.path(), &|_| {})
        .await
        .unwrap();
    let stored = std::fs::read(into.path().join(&found.base.unwrap().file)).unwrap();
    assert!(zstd::decode_all(stored.as_slice()).unwrap() == snapshot);
    assert_eq!(found.segments.len(), 2);
}
