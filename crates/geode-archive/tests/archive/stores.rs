//! One suite for every object store, and what only a real S3 server shows.

use crate::s3;
use geode_archive::{
    Content, DirectoryStore, ErrorKind, FailingStore, Fault, MemoryStore, ObjectStore, Operation,
    PairedStore, Put, S3Store, Sha256, list_all,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

async fn read(store: &dyn ObjectStore, key: &str, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    store
        .get(key, offset)
        .await
        .unwrap()
        .read_to_end(&mut bytes)
        .await
        .unwrap();
    bytes
}

async fn keys(store: &dyn ObjectStore, prefix: &str, after: &str) -> Vec<String> {
    list_all(store, prefix, after)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.key)
        .collect()
}

/// Every promise of the trait. `store` is empty.
pub(crate) async fn conforms(store: &dyn ObjectStore) {
    an_object_is_stored_once_and_never_replaced(store).await;
    a_file_is_stored_like_its_bytes(store).await;
    what_is_not_there_is_said(store).await;
    a_listing_is_sorted_bounded_and_starts_after(store).await;
    a_stream_is_stored_whole_or_not_at_all(store).await;
    of_many_writers_one_creates(store).await;
}

async fn an_object_is_stored_once_and_never_replaced(store: &dyn ObjectStore) {
    let (hello, other) = (Content::from_bytes("hello"), Content::from_bytes("olleh"));
    assert_eq!(store.put_if_absent("once/a", &hello).await.unwrap(), Put::Created);
    assert_eq!(
        store.put_if_absent("once/a", &hello).await.unwrap(),
        Put::SameContent
    );
    assert_eq!(
        store.put_if_absent("once/a", &other).await.unwrap(),
        Put::Conflict
    );
    assert_eq!(
        store
            .put_if_absent("once/a", &Content::from_bytes("longer text"))
            .await
            .unwrap(),
        Put::Conflict
    );
    assert_eq!(read(store, "once/a", 0).await, b"hello");
    assert_eq!(read(store, "once/a", 3).await, b"lo");
    let info = store.head("once/a").await.unwrap().unwrap();
    assert_eq!((info.bytes, info.sha256), (5, Some(hello.sha256())));
    assert_eq!(
        store
            .put_if_absent("once/empty", &Content::from_bytes(""))
            .await
            .unwrap(),
        Put::Created
    );
    assert_eq!(read(store, "once/empty", 0).await, b"");
}

async fn a_file_is_stored_like_its_bytes(store: &dyn ObjectStore) {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(dir.path().join("f"), &bytes).unwrap();
    let file = Content::from_file(dir.path().join("f")).await.unwrap();
    assert_eq!(store.put_if_absent("file/f", &file).await.unwrap(), Put::Created);
    assert_eq!(
        store
            .put_if_absent("file/f", &Content::from_bytes(bytes.clone()))
            .await
            .unwrap(),
        Put::SameContent
    );
    assert!(read(store, "file/f", 0).await == bytes);
}

async fn what_is_not_there_is_said(store: &dyn ObjectStore) {
    assert_eq!(store.head("none").await.unwrap(), None);
    let Err(error) = store.get("none", 0).await else {
        panic!("an object out of nothing")
    };
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    store.delete("none").await.unwrap();
    store
        .put_if_absent("gone", &Content::from_bytes("x"))
        .await
        .unwrap();
    store.delete("gone").await.unwrap();
    assert_eq!(store.head("gone").await.unwrap(), None);
    assert_eq!(
        store
            .put_if_absent("gone", &Content::from_bytes("y"))
            .await
            .unwrap(),
        Put::Created
    );
}

async fn a_listing_is_sorted_bounded_and_starts_after(store: &dyn ObjectStore) {
    let names: Vec<_> = (0..7).map(|number| format!("list/wal/0/{number:020}")).collect();
    for name in names.iter().rev() {
        store
            .put_if_absent(name, &Content::from_bytes("12345"))
            .await
            .unwrap();
    }
    store
        .put_if_absent("list/base/x", &Content::from_bytes("1"))
        .await
        .unwrap();
    store
        .put_if_absent("list/wall", &Content::from_bytes("1"))
        .await
        .unwrap();
    assert_eq!(keys(store, "list/wal/", "").await, names);
    assert_eq!(keys(store, "list/wal/", &names[3]).await, names[4..]);
    assert_eq!(
        keys(store, "list/wal/", "list/wal/0/00000000000000000002~").await,
        names[3..]
    );
    assert_eq!(
        keys(store, "list/wal/", "list/wal/0/~").await,
        Vec::<String>::new()
    );
    assert_eq!(keys(store, "list/none/", "").await, Vec::<String>::new());
    assert_eq!(keys(store, "list/", "").await.len(), names.len() + 2);
    assert_eq!(store.list("list/wal/", "").await.unwrap()[0].bytes, 5);
}

async fn a_stream_is_stored_whole_or_not_at_all(store: &dyn ObjectStore) {
    // More than two parts of a multipart upload.
    let bytes: Vec<u8> = (0..40u32 << 20).map(|i| (i ^ (i >> 9)) as u8).collect();
    for (key, bytes) in [
        ("stream/big", &bytes[..]),
        ("stream/exact", &bytes[..16 << 20]),
        ("stream/small", b"abc"),
        ("stream/empty", b""),
    ] {
        let mut body = bytes;
        let stored = store.put_stream(key, &mut body).await.unwrap();
        assert_eq!(
            (stored.bytes, stored.sha256),
            (bytes.len() as u64, Sha256::of(bytes)),
            "{key}"
        );
        assert!(read(store, key, 0).await == bytes, "{key}");
    }
    for length in [3, 20 << 20] {
        let mut broken = bytes[..length].chain(Broken);
        assert!(store.put_stream("stream/broken", &mut broken).await.is_err());
        assert_eq!(store.head("stream/broken").await.unwrap(), None, "{length}");
    }
}

async fn of_many_writers_one_creates(store: &dyn ObjectStore) {
    let contents: Vec<_> = (0..8)
        .map(|writer| Content::from_bytes(format!("writer {}", writer % 2)))
        .collect();
    let puts = contents
        .iter()
        .map(|content| store.put_if_absent("race", content));
    let puts: Vec<_> = futures::future::join_all(puts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let count = |kind| puts.iter().filter(|put| **put == kind).count();
    assert_eq!(
        (count(Put::Created), count(Put::SameContent), count(Put::Conflict)),
        (1, 3, 4)
    );
}

struct Broken;

impl tokio::io::AsyncRead for Broken {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Err(std::io::Error::other("the source broke")))
    }
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    conforms(&MemoryStore::new()).await;
}

#[tokio::test]
async fn the_store_in_a_directory_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&DirectoryStore::new(dir.path().join("archive"))).await;
    let leftovers = std::fs::read_dir(dir.path().join("archive/.unfinished"))
        .unwrap()
        .count();
    assert_eq!(leftovers, 0, "unfinished files stay behind");
}

#[tokio::test]
async fn a_failing_store_without_faults_conforms() {
    conforms(&FailingStore::new(Arc::new(MemoryStore::new()))).await;
}

#[tokio::test]
async fn an_archive_with_a_copy_conforms() {
    conforms(&PairedStore::new(
        Arc::new(MemoryStore::new()),
        Arc::new(MemoryStore::new()),
    ))
    .await;
}

#[tokio::test]
async fn what_an_archive_lacks_or_does_not_give_is_read_from_its_copy() {
    let first = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let second = Arc::new(MemoryStore::new());
    for number in 0..2500 {
        let key = format!("k/{number:05}");
        let content = Content::from_bytes(key.clone());
        if number % 3 != 0 {
            first.put_if_absent(&key, &content).await.unwrap();
        }
        if number % 3 != 1 {
            second.put_if_absent(&key, &content).await.unwrap();
        }
    }
    let paired = PairedStore::new(first.clone(), second);
    let all = keys(&paired, "k/", "").await;
    assert_eq!(all.len(), 2500);
    assert!(all.is_sorted());
    assert_eq!(read(&paired, "k/00003", 0).await, b"k/00003");
    for fault in [Fault::Unavailable, Fault::Denied] {
        first.fail(Operation::Get, fault, 1);
        assert_eq!(read(&paired, "k/00002", 2).await, b"00002");
        first.fail(Operation::List, fault, 1);
        assert!(!paired.list("k/", "").await.unwrap().is_empty());
    }
    first.fail(Operation::Get, Fault::Denied, 1);
    let nowhere = paired.get("k/00001", 0).await.err().unwrap();
    assert_eq!(
        nowhere.kind,
        ErrorKind::Denied,
        "the archive's own failure is told"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_on_a_real_s3_server_conforms() {
    let server = s3::Server::start("wal");
    conforms(&server.store("wal", "deep/prefix").await).await;
    conforms(&server.store("wal", "").await).await;
}

#[tokio::test]
async fn faults_hit_in_order_and_then_it_works() {
    let store = FailingStore::new(Arc::new(MemoryStore::new()));
    store.fail(Operation::Put, Fault::Unavailable, 2);
    store.fail(Operation::Put, Fault::Denied, 1);
    store.fail(Operation::Put, Fault::AnswerLost, 1);
    let content = Content::from_bytes("x");
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Unavailable,
        ErrorKind::Denied,
        ErrorKind::Unavailable,
    ] {
        assert_eq!(store.put_if_absent("k", &content).await.unwrap_err().kind, kind);
    }
    assert_eq!(
        store.put_if_absent("k", &content).await.unwrap(),
        Put::SameContent,
        "the lost answer was a success"
    );
    assert_eq!(store.calls(Operation::Put), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_denied_and_new_ones_work_without_a_restart() {
    let server = s3::Server::start("wal");
    let store: S3Store = server.store("wal", "p").await;
    let content = Content::from_bytes("x");
    server.write_credentials(s3::ACCESS_KEY, "wrong");
    let error = store.put_if_absent("k", &content).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason()),
        (ErrorKind::Denied, "ArchiveDenied"),
        "{error}"
    );
    assert!(error.to_string().contains("s3://wal/p/k"), "{error}");
    server.write_credentials("nobody", s3::SECRET_KEY);
    let error = store.list("", "").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    server.write_credentials(s3::ACCESS_KEY, s3::SECRET_KEY);
    assert_eq!(store.put_if_absent("k", &content).await.unwrap(), Put::Created);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_or_bucket_that_is_not_there_is_worth_another_try() {
    let server = s3::Server::start("wal");
    let no_bucket = server.store("other", "").await;
    let error = no_bucket
        .put_if_absent("k", &Content::from_bytes("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.detail.contains("NoSuchBucket"), "{error}");
    assert_eq!(
        no_bucket.list("", "").await.unwrap_err().kind,
        ErrorKind::Unavailable
    );

    let mut options = server.options("wal", "");
    drop(server);
    options.credentials_dir = Some(tempfile::tempdir().unwrap().path().to_owned());
    let missing = S3Store::new(options.clone()).await.head("k").await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Denied, "{missing}");

    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("access-key"), "a").unwrap();
    std::fs::write(credentials.path().join("secret-key"), "b").unwrap();
    options.credentials_dir = Some(credentials.path().to_owned());
    let refused = S3Store::new(options).await.head("k").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_a_dead_sidecar_left_are_aborted() {
    let server = s3::Server::start("wal");
    let mut options = server.options("wal", "p");
    options.stale_upload_age = Duration::ZERO;
    let store = S3Store::new(options).await;
    let big = vec![1; 17 << 20];
    // The upload's future is dropped after its first part, as when the process is killed.
    let mut stuck = big.as_slice().chain(Stuck);
    let begun = async {
        while server.unfinished_uploads("wal") == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = begun => {}
        ended = store.put_stream("c/base/1/snapshot.zst", &mut stuck) => panic!("the source never ends: {ended:?}"),
    }
    assert_eq!(server.unfinished_uploads("wal"), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    store
        .put_stream("c/base/2/snapshot.zst", &mut big.as_slice())
        .await
        .unwrap();
    assert_eq!(server.unfinished_uploads("wal"), 0);
    assert_eq!(store.head("c/base/1/snapshot.zst").await.unwrap(), None);
}

struct Stuck;

impl tokio::io::AsyncRead for Stuck {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }
}
