//! From segments and snapshots to objects and back, with the faults of real life.

use crate::history::{lineage, range};
use crate::{history, s3};
use geode_archive::layout::MANIFEST;
use geode_archive::{
    Arrived, BaseBackup, Checks, Codec, DirectoryStore, ErrorKind, FailingStore, Fault, Fetch, FetchError,
    Lineage, MemoryStore, ObjectStore, Operation, Progress, RestoreGap, SnapshotFacts, SoundSegment,
    UploadError, checkpoints, fetch, get_small, inventory, list_all, resolve, upload_segment, verify_archive,
    verify_segment, write_base_backup, write_checkpoints,
};
use geode_types::{
    Checkpoint, FetchedBackup, GroupId, LogIndex, RESTORE_FILE, RestoreGoal, RestoreTarget, Term,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn facts(index: u64) -> SnapshotFacts {
    SnapshotFacts {
        lineage: lineage(),
        index: LogIndex(index),
        term: Term(1),
        server_version: "0.1.0".to_owned(),
        parallel: 2,
    }
}

pub(crate) async fn back_up(store: &dyn ObjectStore, index: u64, snapshot: &[u8]) -> BaseBackup {
    write_base_backup(store, &Codec::default(), facts(index), snapshot, || async {
        Some("abcd".to_owned())
    })
    .await
    .unwrap()
}

pub(crate) async fn upload(store: &dyn ObjectStore, dir: &Path, segments: &[(u64, u64)]) {
    for (first, last) in segments {
        let range = range(*first, *last);
        let path = history::write(dir, lineage(), range);
        let segment = SoundSegment::check(lineage(), range, path).await.unwrap();
        upload_segment(store, &Codec::default(), &segment).await.unwrap();
    }
}

/// Archives a file as the entries 0 to 9.
async fn upload_file(store: &dyn ObjectStore, path: &Path) -> Result<(), UploadError> {
    let segment = SoundSegment::check(lineage(), range(0, 9), path.to_owned()).await?;
    upload_segment(store, &Codec::default(), &segment).await.map(drop)
}

async fn verify_file(store: &dyn ObjectStore, path: &Path) -> Result<bool, UploadError> {
    let segment = SoundSegment::check(lineage(), range(0, 9), path.to_owned()).await?;
    verify_segment(store, &Codec::default(), &segment).await
}

pub(crate) async fn fetched(
    store: &dyn ObjectStore,
    target: RestoreTarget,
    into: &Path,
) -> Result<FetchedBackup, FetchError> {
    let codec = Codec::default();
    a_fetch(store, &codec, target, into).whole().await
}

fn a_fetch<'a>(
    store: &'a dyn ObjectStore,
    codec: &'a Codec,
    target: RestoreTarget,
    into: &'a Path,
) -> Fetch<'a> {
    Fetch {
        store,
        codec,
        lineage: lineage(),
        target,
        into,
        parallel: 2,
        progress: &|_| {},
    }
}

#[tokio::test]
async fn what_was_archived_is_fetched_byte_for_byte() {
    let (store, dir, into) = (
        MemoryStore::new(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let snapshot: Vec<u8> = (0..2_000_000u32).map(|i| (i / 1000) as u8).collect();
    upload(&store, dir.path(), &[(0, 9), (10, 19), (20, 29)]).await;
    let base = back_up(&store, 14, &snapshot).await;
    assert!(
        base.manifest.stored_bytes < base.manifest.snapshot_bytes / 10,
        "{base:?}"
    );

    let found = fetched(&store, RestoreTarget::Latest, into.path()).await.unwrap();
    let stored = std::fs::read(into.path().join(&found.base.as_ref().unwrap().file)).unwrap();
    assert!(zstd::decode_all(stored.as_slice()).unwrap() == snapshot);
    assert_eq!(found.base.as_ref().unwrap().state_hash.as_deref(), Some("abcd"));
    for (segment, due) in found.segments.iter().zip([range(10, 19), range(20, 29)]) {
        assert_eq!((segment.first, segment.last), (due.first, due.last));
        assert!(std::fs::read(into.path().join(&segment.file)).unwrap() == history::segment(lineage(), due));
    }
    let text = std::fs::read(into.path().join(RESTORE_FILE)).unwrap();
    assert_eq!(serde_json::from_slice::<FetchedBackup>(&text).unwrap(), found);
    let again = fetched(&store, RestoreTarget::Latest, into.path()).await;
    assert!(
        matches!(again, Err(FetchError::NotEmpty(_))),
        "a fetched backup is not overwritten"
    );
}

#[tokio::test]
async fn what_is_taken_up_as_it_comes_is_told_in_order_and_given_up_when_nobody_takes_it() {
    let (store, dir, into) = (
        MemoryStore::new(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    upload(&store, dir.path(), &[(0, 9), (10, 19), (20, 29)]).await;
    back_up(&store, 14, b"graph").await;
    let codec = Codec::default();
    let (taker, taken) = std::sync::mpsc::channel();
    let fetch = a_fetch(&store, &codec, RestoreTarget::Latest, into.path());
    let fetched = fetch.arriving(&taker).await.unwrap();
    drop(taker);
    let told: Vec<Arrived> = taken.into_iter().collect();
    let plan = Arrived::Plan(Box::new(fetched.clone()));
    assert_eq!(told, [plan, Arrived::Segment, Arrived::Segment]);
    let base = fetched.base.map(|base| base.file);
    for file in fetched.segments.iter().map(|segment| &segment.file).chain(&base) {
        assert!(into.path().join(file).exists(), "{file}");
    }
    assert!(!into.path().join(RESTORE_FILE).exists(), "it is not for later");

    let (taker, taken) = std::sync::mpsc::channel();
    drop(taken);
    let ended = fetch.arriving(&taker).await;
    assert!(matches!(ended, Err(FetchError::NotTaken)), "{ended:?}");
}

#[tokio::test]
async fn a_lost_answer_is_a_success_and_other_bytes_are_a_conflict() {
    let memory = Arc::new(MemoryStore::new());
    let store = FailingStore::new(memory.clone());
    let dir = tempfile::tempdir().unwrap();
    let path = history::write(dir.path(), lineage(), range(0, 9));
    store.fail(Operation::Put, Fault::AnswerLost, 1);
    let lost = upload_file(&store, &path).await.unwrap_err();
    assert!(matches!(lost, UploadError::Store(error) if error.kind == ErrorKind::Unavailable));
    upload_file(&store, &path).await.unwrap();
    assert!(verify_file(&store, &path).await.unwrap());

    let key = memory.list("", "").await.unwrap()[0].key.clone();
    let mut other = history::segment(lineage(), range(0, 9));
    other[100] ^= 1;
    memory.tamper(&key, other.clone());
    for outcome in [
        upload_file(&store, &path).await,
        verify_file(&store, &path).await.map(|_| ()),
    ] {
        assert!(
            matches!(outcome, Err(UploadError::Conflict { .. })),
            "{outcome:?}"
        );
    }
    let stored = geode_archive::get_small(&*memory, &key, 1 << 20).await.unwrap();
    assert!(stored == other, "what is stored was left alone");
}

#[tokio::test]
async fn a_damaged_or_foreign_local_segment_is_never_sent() {
    let (store, dir) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let path = history::write(dir.path(), lineage(), range(0, 9));
    let sound = std::fs::read(&path).unwrap();
    let other = Lineage {
        cluster_id: geode_types::ClusterId(uuid::Uuid::from_u128(9)),
        ..lineage()
    };
    let mut flipped = sound.clone();
    flipped[200] ^= 1;
    for bytes in [
        flipped,
        sound[..sound.len() - 1].to_vec(),
        history::segment(other, range(0, 9)),
        history::segment(lineage(), range(0, 8)),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let refused = upload_file(&store, &path).await;
        assert!(matches!(refused, Err(UploadError::Damaged { .. })), "{refused:?}");
    }
    assert!(store.list("", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_backup_without_manifest_does_not_exist() {
    let memory = Arc::new(MemoryStore::new());
    let store = FailingStore::new(memory.clone());
    let mut cut = tokio_util::io::StreamReader::new(futures::stream::iter([
        Ok(bytes::Bytes::from_static(b"abc")),
        Err(std::io::Error::other("the server died")),
    ]));
    let broken = write_base_backup(&store, &Codec::default(), facts(5), &mut cut, || async { None })
        .await
        .unwrap_err();
    assert!(broken.to_string().contains("the server died"), "{broken}");
    assert!(memory.list("", "").await.unwrap().is_empty());

    store.fail(Operation::Put, Fault::Denied, 1);
    let denied = write_base_backup(&store, &Codec::default(), facts(5), b"abc".as_slice(), || async {
        None
    })
    .await
    .unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert!(
        memory.list("", "").await.unwrap().is_empty(),
        "the snapshot is removed when its manifest cannot be written"
    );
    assert!(inventory(&store, lineage()).await.unwrap().bases.is_empty());
}

#[tokio::test]
async fn a_broken_download_goes_on_and_a_truncated_object_is_named() {
    let memory = Arc::new(MemoryStore::new());
    let store = FailingStore::new(memory.clone());
    let dir = tempfile::tempdir().unwrap();
    upload(&store, dir.path(), &[(0, 99)]).await;
    store.fail(Operation::List, Fault::Unavailable, 2);
    store.fail(Operation::Get, Fault::BreaksAfter(1000), 2);
    store.fail(Operation::Get, Fault::Unavailable, 1);
    let into = tempfile::tempdir().unwrap();
    fetched(&store, RestoreTarget::Latest, into.path()).await.unwrap();

    let key = memory.list("", "").await.unwrap()[0].key.clone();
    let whole = history::segment(lineage(), range(0, 99));
    memory.tamper(&key, whole[..whole.len() / 2].to_vec());
    let into = tempfile::tempdir().unwrap();
    let error = fetched(&store, RestoreTarget::Latest, into.path())
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&key), "{error}");
    assert!(!into.path().join(RESTORE_FILE).exists());
    memory.tamper(&key, whole);
    fetched(&store, RestoreTarget::Latest, into.path())
        .await
        .expect("what a broken fetch left is replaced");
}

#[tokio::test]
async fn a_damaged_base_backup_is_passed_over_for_an_older_one() {
    let (store, dir, into) = (
        MemoryStore::new(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    upload(&store, dir.path(), &[(0, 9), (10, 19)]).await;
    back_up(&store, 4, b"older").await;
    let newer = back_up(&store, 14, b"newer").await;
    store.tamper(&newer.snapshot(), "rot");
    let found = fetched(&store, RestoreTarget::Latest, into.path()).await.unwrap();
    assert_eq!(found.base.unwrap().index, LogIndex(4));
    assert_eq!(found.segments.len(), 2);
}

#[tokio::test]
async fn a_restore_that_a_clean_up_overtakes_begins_with_a_newer_backup_or_says_what_is_missing() {
    let (store, elsewhere) = (MemoryStore::new(), MemoryStore::new());
    let (dir, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    upload(&store, dir.path(), &[(0, 9), (10, 19), (20, 29)]).await;
    let old = back_up(&store, 9, b"old").await;
    back_up(&elsewhere, 19, b"new").await;
    let mut new = Vec::new();
    for entry in list_all(&elsewhere, "", "").await.unwrap() {
        new.push((
            entry.key.clone(),
            get_small(&elsewhere, &entry.key, 1 << 20).await.unwrap(),
        ));
    }
    let gone = [
        old.snapshot(),
        format!("{}{MANIFEST}", old.folder),
        lineage().segment(GroupId(0), range(10, 19)),
    ];
    // When the old backup is there and its log is asked for, both go: a newer backup has taken their place.
    let is_over = AtomicBool::new(false);
    let overtaken = |progress: Progress| {
        if progress.step == "downloading segments" && !is_over.swap(true, Ordering::Relaxed) {
            for (key, bytes) in &new {
                store.tamper(key, bytes.clone());
            }
            for key in &gone {
                futures::executor::block_on(store.delete(key)).unwrap();
            }
        }
    };
    let codec = Codec::default();
    let fetch = Fetch {
        parallel: 1,
        progress: &overtaken,
        ..a_fetch(&store, &codec, RestoreTarget::Latest, into.path())
    };
    let ended = fetch.whole().await.unwrap();
    assert_eq!(
        (ended.base.unwrap().index, ended.segments.len()),
        (LogIndex(19), 1)
    );
    // What was promised for the old backup alone cannot be reached any more.
    let into = tempfile::tempdir().unwrap();
    let early = fetched(&store, RestoreTarget::Index(LogIndex(12)), into.path()).await;
    assert!(matches!(early, Err(FetchError::Gap { .. })), "{early:?}");
}

#[tokio::test]
async fn a_missing_segment_is_named_and_the_future_is_refused() {
    let (store, dir, into) = (
        MemoryStore::new(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    upload(&store, dir.path(), &[(0, 9), (20, 29)]).await;
    let gap = fetched(&store, RestoreTarget::Latest, into.path())
        .await
        .unwrap_err();
    assert!(
        matches!(&gap, FetchError::Gap { gap: RestoreGap::Missing { missing, .. }, .. } if *missing == range(10, 19))
    );
    assert!(gap.to_string().contains("10 to 19"), "{gap}");
    let tomorrow = jiff::Timestamp::now().as_microsecond() + 86_400_000_000;
    let future = fetched(&store, RestoreTarget::TimeMicros(tomorrow), into.path())
        .await
        .unwrap_err();
    assert!(matches!(future, FetchError::Future(_)), "{future}");
    fetched(&store, RestoreTarget::Index(LogIndex(7)), into.path())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_checkpoint_is_the_index_that_the_newest_list_names() {
    let store = MemoryStore::new();
    let goal = |name: &str| RestoreGoal::Checkpoint(name.to_owned());
    let none = resolve(&store, &Codec::default(), lineage(), &goal("a"))
        .await
        .unwrap_err()
        .to_string();
    assert!(none.contains("no checkpoint \"a\"; it has none"), "{none}");
    let checkpoint = |name: &str, index| Checkpoint {
        name: name.to_owned(),
        index: LogIndex(index),
        at_micros: 5,
    };
    // "a" was dropped and named anew; index 9 comes before 10 in the order of keys.
    let newest = vec![checkpoint("b", 6), checkpoint("a", 10)];
    for (applied, list) in [(9, vec![checkpoint("a", 5)]), (10, newest.clone())] {
        for _twice in 0..2 {
            write_checkpoints(
                &store,
                &Codec::default(),
                lineage(),
                LogIndex(applied),
                list.clone(),
            )
            .await
            .unwrap();
        }
    }
    assert_eq!(
        checkpoints(&store, &Codec::default(), lineage()).await.unwrap(),
        newest
    );
    for (name, index) in [("a", 10), ("b", 6)] {
        let target = resolve(&store, &Codec::default(), lineage(), &goal(name))
            .await
            .unwrap();
        assert_eq!(target, RestoreTarget::Index(LogIndex(index)));
    }
    let unknown = resolve(&store, &Codec::default(), lineage(), &goal("c"))
        .await
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("the newest it has: a, b"), "{unknown}");
    let other = write_checkpoints(&store, &Codec::default(), lineage(), LogIndex(10), Vec::new()).await;
    assert!(other.is_err(), "what is written stays");
}

#[tokio::test]
async fn a_verification_reads_everything_and_names_what_is_damaged_or_missing() {
    let (store, dir, scratch) = (
        MemoryStore::new(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    upload(&store, dir.path(), &[(0, 9), (10, 19), (30, 39)]).await;
    let old = back_up(&store, 14, b"old snapshot").await;
    back_up(&store, 29, b"new snapshot").await;
    let codec = Codec::default();
    let verify = || verify_archive(&store, &codec, lineage(), Checks::ALL, scratch.path(), &|_| {});
    let holed = verify().await.unwrap();
    assert_eq!((holed.bases, holed.segments), (2, 3));
    assert_eq!(
        holed.problems,
        ["the entries 20 to 29 are missing: only base backups after them lead on"]
    );
    upload(&store, dir.path(), &[(20, 29)]).await;
    assert!(verify().await.unwrap().problems.is_empty());
    assert!(std::fs::read_dir(scratch.path()).unwrap().next().is_none());

    let replace = async |key: String, bytes: &'static str| {
        store.delete(&key).await.unwrap();
        let content = geode_archive::Content::from_bytes(bytes);
        store.put_if_absent(&key, &content).await.unwrap();
    };
    replace(old.snapshot(), "rubbish").await;
    replace(
        lineage().segment(geode_types::GroupId(0), range(10, 19)),
        "rubbish",
    )
    .await;
    let damaged = verify().await.unwrap().problems;
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    assert!(
        damaged[0].contains("snapshot.obj") && damaged[1].contains("0010-"),
        "{damaged:?}"
    );
    assert!(std::fs::read_dir(scratch.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_directory_with_other_files_is_not_touched() {
    let (store, dir, into) = (
        MemoryStore::new(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    upload(&store, dir.path(), &[(0, 9)]).await;
    std::fs::write(into.path().join("thesis.tex"), "x").unwrap();
    let refused = fetched(&store, RestoreTarget::Latest, into.path()).await;
    assert!(matches!(refused, Err(FetchError::NotEmpty(_))));
    assert!(into.path().join("thesis.tex").exists());
}

/// The whole way by URL, as `geode restore` goes it.
async fn there_and_back(store: &dyn ObjectStore, url: &str, access: &geode_archive::Access) {
    let (dir, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    upload(store, dir.path(), &[(0, 9), (10, 19)]).await;
    back_up(store, 12, b"snapshot").await;
    let steps = std::sync::Mutex::new(Vec::new());
    let progress = |progress: geode_archive::Progress| steps.lock().unwrap().push(progress);
    let found = fetch(url, access, &RestoreTarget::Latest.into(), into.path(), &progress)
        .await
        .unwrap();
    assert_eq!(
        (found.cluster_id, found.incarnation),
        (lineage().cluster_id, lineage().incarnation)
    );
    assert_eq!(
        (found.base.unwrap().index, found.segments.len()),
        (LogIndex(12), 1)
    );
    let steps = steps.into_inner().unwrap();
    let last = steps.last().unwrap();
    assert!(
        last.done_bytes == last.total_bytes && last.total_bytes > 0,
        "{steps:?}"
    );
}

#[tokio::test]
async fn a_directory_archive_is_fetched_by_its_url() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirectoryStore::new(dir.path());
    there_and_back(
        &store,
        &format!("file://{}", dir.path().display()),
        &geode_archive::Access::default(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_archive_is_fetched_by_its_url() {
    let server = s3::Server::start("wal");
    let store = server.store("wal", "prod/social").await;
    let access = geode_archive::Access {
        endpoint: Some(server.endpoint()),
        region: None,
        credentials_dir: Some(server.credentials_dir()),
        ..geode_archive::Access::default()
    };
    there_and_back(&store, "s3://wal/prod/social", &access).await;
}
