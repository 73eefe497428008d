mod followers;
mod gaps;
mod unreadable;

use super::*;
use crate::fake::{FakeServer, cluster_id, seal, status};
use geode_archive::{
    Codec, Content, FailingStore, Fault, MemoryStore, Operation, SnapshotFacts, get_small, write_base_backup,
};
use geode_types::{Incarnation, Term};

/// A member with its log, and the store that its archiver writes to.
struct Member {
    server: Arc<FakeServer>,
    shared: Arc<Shared>,
    wal: tempfile::TempDir,
    archiver: Archiver,
    status: MemberStatus,
    start: Instant,
}

impl Member {
    fn new(store: Arc<dyn ObjectStore>, segments: &[(u64, u64)]) -> Self {
        let (server, wal) = (Arc::new(FakeServer::default()), tempfile::tempdir().unwrap());
        let sealed = segments
            .iter()
            .map(|(first, last)| seal(wal.path(), *first, *last));
        server.state().segments = sealed.collect();
        let shared = Arc::new(Shared::default());
        let archiver = Archiver::new(
            store,
            Codec::default(),
            server.clone(),
            wal.path().to_owned(),
            shared.clone(),
            Metrics::new(),
        );
        let mut status = status();
        status.committed = LogIndex(segments.last().map_or(0, |(_, last)| *last));
        Self {
            server,
            shared,
            wal,
            archiver,
            status,
            start: Instant::now(),
        }
    }

    fn follows(mut self) -> Self {
        self.status.role = Role::Follower;
        self
    }

    fn seal(&self, first: u64, last: u64) {
        let sealed = seal(self.wal.path(), first, last);
        self.server.state().segments.push(sealed);
    }

    /// One attempt of the loop, `second` after the start; the pause it asks for.
    async fn attempt(&mut self, second: u64) -> Duration {
        let now = self.start + Duration::from_secs(second);
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        self.archiver.attempt(&self.status, now, &mut backoff).await
    }

    fn up_to(&self) -> u64 {
        self.shared.report().archived_up_to.0
    }

    fn failing(&self) -> Option<String> {
        self.shared.report().failing.map(|failure| failure.reason)
    }

    /// The sidecar's process ends and another one begins.
    fn restart(&mut self, store: Arc<dyn ObjectStore>) {
        self.shared = Arc::new(Shared::default());
        let (server, wal) = (self.server.clone(), self.wal.path().to_owned());
        self.archiver = Archiver::new(
            store,
            Codec::default(),
            server,
            wal,
            self.shared.clone(),
            Metrics::new(),
        );
    }
}

fn lineage() -> Lineage {
    Lineage {
        cluster_id: cluster_id(),
        incarnation: Incarnation(1),
    }
}

async fn archived(store: &dyn ObjectStore) -> Vec<(u64, u64)> {
    let found = segments(store, lineage(), LogIndex(0)).await.unwrap();
    found
        .iter()
        .map(|segment| (segment.range.first.0, segment.range.last.0))
        .collect()
}

async fn back_up(store: &dyn ObjectStore, index: u64) {
    let facts = SnapshotFacts {
        lineage: lineage(),
        index: LogIndex(index),
        term: Term(1),
        server_version: "x".into(),
        parallel: 2,
    };
    write_base_backup(store, &Codec::default(), facts, b"graph".as_slice(), || async {
        None
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_leaders_sidecar_archives_page_after_page_and_says_how_far() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19), (20, 24)]);
    leader.attempt(0).await;
    leader.attempt(1).await;
    assert_eq!(archived(&*store).await, [(0, 9), (10, 19), (20, 24)]);
    assert_eq!((leader.up_to(), leader.failing()), (24, None));
    leader.seal(25, 29);
    leader.attempt(2).await;
    assert_eq!(leader.up_to(), 29);
    assert!(
        !leader.shared.wants_base(),
        "a history from the first entry on needs no base backup"
    );
    let report = leader.shared.report();
    assert!(report.archived_at_micros > 0 && report.failures_total == 0);
}

#[tokio::test]
async fn checkpoints_are_archived_before_the_segments_that_create_them() {
    let memory = Arc::new(MemoryStore::new());
    let store = Arc::new(FailingStore::new(memory.clone()));
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.attempt(0).await;
    let known = || async {
        geode_archive::checkpoints(&*memory, &Codec::default(), lineage())
            .await
            .unwrap()
    };
    assert!(known().await.is_empty());
    let named = |name: &str, index| Checkpoint {
        name: name.to_owned(),
        index: LogIndex(index),
        at_micros: 1,
    };
    leader.server.state().checkpoints = vec![named("a", 12)];
    leader.seal(10, 19);
    store.fail(Operation::Put, Fault::AnswerLost, 1);
    leader.attempt(1).await;
    assert_eq!(archived(&*memory).await, [(0, 9)]);
    assert_eq!(known().await, [named("a", 12)]);
    leader.attempt(2).await;
    assert_eq!(archived(&*memory).await, [(0, 9), (10, 19)]);
    // Dropped: the newest list counts, and one that has not changed is not written again.
    leader.server.state().checkpoints.clear();
    for (first, second) in [(20, 3), (30, 4)] {
        leader.seal(first, first + 9);
        leader.attempt(second).await;
    }
    assert!(known().await.is_empty());
    let lists = geode_archive::list_all(&*memory, &lineage().checkpoints(), "")
        .await
        .unwrap();
    assert_eq!(lists.len(), 2, "{lists:?}");
    // What the graph has not applied may hold a checkpoint that nobody knows yet.
    leader.server.state().behind = true;
    leader.seal(40, 49);
    leader.attempt(5).await;
    assert_eq!(leader.up_to(), 39);
    leader.server.state().behind = false;
    leader.attempt(6).await;
    assert_eq!((leader.up_to(), leader.failing()), (49, None));
}

#[tokio::test]
async fn a_store_that_is_down_loses_nothing_and_is_said() {
    let memory = Arc::new(MemoryStore::new());
    let store = Arc::new(FailingStore::new(memory.clone()));
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19)]);
    store.fail(Operation::Put, Fault::Unavailable, 3);
    for failures in 1..=3 {
        leader.attempt(failures).await;
        assert_eq!(leader.failing().as_deref(), Some("ArchiveUnreachable"));
        assert_eq!(leader.shared.report().failures_total, failures);
        assert_eq!(leader.up_to(), 0);
    }
    leader.attempt(4).await;
    assert_eq!((leader.up_to(), leader.failing()), (19, None));

    leader.seal(20, 29);
    leader.seal(30, 39);
    store.fail(Operation::Head, Fault::Unavailable, 1);
    leader.attempt(5).await;
    assert_eq!(
        leader.failing().as_deref(),
        Some("ArchiveUnreachable"),
        "stored, but not verified"
    );
    store.fail(Operation::List, Fault::Unavailable, 1);
    leader.attempt(6).await;
    assert_eq!(leader.up_to(), 19);
    leader.attempt(7).await;
    assert_eq!((leader.up_to(), leader.failing()), (39, None));
    assert_eq!(archived(&*memory).await.len(), 4);
}

#[tokio::test]
async fn what_waits_is_measured_even_while_the_store_is_down_from_the_start() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    store.fail(Operation::Put, Fault::Unavailable, 1);
    std::thread::sleep(Duration::from_millis(20));
    leader.attempt(0).await;
    let bytes = leader.server.state().segments[0].bytes as i64;
    assert_eq!(leader.archiver.metrics.lag_bytes.get(), bytes);
    assert!(leader.archiver.metrics.lag_seconds.get() >= 0.02);
    leader.attempt(1).await;
    leader.attempt(2).await;
    assert_eq!(leader.archiver.metrics.lag_bytes.get(), 0);
    assert!(leader.archiver.metrics.lag_seconds.get() == 0.0);
}

#[tokio::test]
async fn pauses_grow_while_a_store_is_down() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    store.fail(Operation::Put, Fault::Unavailable, 20);
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        pauses.push(
            leader
                .archiver
                .attempt(&leader.status, leader.start, &mut backoff)
                .await,
        );
    }
    assert!(
        pauses[0] <= PAUSE_FIRST && pauses[11] >= PAUSE_MAX / 2 && pauses[11] <= PAUSE_MAX,
        "{pauses:?}"
    );
}

#[tokio::test]
async fn a_stored_segment_whose_answer_was_lost_is_archived() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.attempt(0).await;
    leader.seal(10, 19);
    store.fail(Operation::Put, Fault::AnswerLost, 1);
    leader.attempt(1).await;
    assert_eq!(leader.failing().as_deref(), Some("ArchiveUnreachable"));
    leader.attempt(2).await;
    assert_eq!((leader.up_to(), leader.failing()), (19, None));
}

#[tokio::test]
async fn refused_credentials_are_said_and_good_ones_go_on() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    store.fail(Operation::Put, Fault::Denied, 1);
    leader.attempt(0).await;
    assert_eq!(leader.failing().as_deref(), Some("ArchiveDenied"));
    leader.attempt(1).await;
    assert_eq!((leader.up_to(), leader.failing()), (9, None));
}

#[tokio::test]
async fn a_missing_key_stops_archiving_and_nothing_is_stored_unsealed() {
    let store = Arc::new(MemoryStore::new());
    let keys = tempfile::tempdir().unwrap();
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.archiver.codec.keys = Some(keys.path().to_owned());
    leader.attempt(0).await;
    assert_eq!(leader.failing().as_deref(), Some("ArchiveKeyMissing"));
    assert_eq!(archived(&*store).await, []);
    let key = |id: &str, digit: &str| std::fs::write(keys.path().join(id), digit.repeat(64)).unwrap();
    key("2025", "a");
    leader.attempt(1).await;
    assert_eq!((leader.up_to(), leader.failing()), (9, None), "without a restart");

    // Another member compares what is there, sealed with a key that is not the current one any more.
    key("2026", "b");
    std::fs::write(keys.path().join("current"), "2026").unwrap();
    let mut follower = Member::new(store.clone(), &[(0, 9)]).follows();
    follower.archiver.codec.keys = Some(keys.path().to_owned());
    follower.attempt(2).await;
    assert_eq!((follower.up_to(), follower.failing()), (9, None));
    leader.seal(10, 19);
    leader.attempt(3).await;
    std::fs::remove_file(keys.path().join("2025")).unwrap();
    follower.restart(store.clone());
    follower.archiver.codec.keys = Some(keys.path().to_owned());
    follower.attempt(4).await;
    assert_eq!(follower.failing().as_deref(), Some("ArchiveKeyMissing"));
    let range = SegmentRange {
        first: LogIndex(10),
        last: LogIndex(19),
    };
    let stored = get_small(
        &*store,
        &lineage().segment(geode_types::GroupId(0), range),
        1 << 20,
    )
    .await
    .unwrap();
    assert!(stored.starts_with(b"GEODEOBJ") && stored.windows(4).any(|id| id == b"2026"));
}

#[tokio::test]
async fn members_with_other_settings_agree_on_what_is_archived() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19)]);
    leader.archiver.codec.compression = Some(geode_types::Compression::Zstd);
    leader.attempt(0).await;
    for compression in [None, Some(geode_types::Compression::Lz4)] {
        let mut follower = Member::new(store.clone(), &[(0, 9), (10, 19)]).follows();
        follower.archiver.codec.compression = compression;
        follower.attempt(1).await;
        assert_eq!((follower.up_to(), follower.failing()), (19, None));
    }
}

#[tokio::test]
async fn other_content_under_a_name_stops_archiving_and_is_never_overwritten() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.attempt(0).await;
    let key = lineage().segment(
        geode_types::GroupId(0),
        SegmentRange {
            first: LogIndex(10),
            last: LogIndex(19),
        },
    );
    store.tamper(&key, "other");
    leader.seal(10, 19);
    leader.seal(20, 29);
    for second in 1..4 {
        assert_eq!(leader.attempt(second).await, PAUSE_STOPPED);
        assert_eq!(
            (leader.up_to(), leader.failing().as_deref()),
            (9, Some("ArchiveConflict"))
        );
    }
    leader.restart(store.clone());
    leader.attempt(5).await;
    assert_eq!(
        leader.failing().as_deref(),
        Some("ArchiveConflict"),
        "a restart does not forget it"
    );
    assert_eq!(
        archived(&*store).await,
        [(0, 9), (10, 19)],
        "nothing after it either"
    );
    assert_eq!(get_small(&*store, &key, 100).await.unwrap(), b"other");

    store.delete(&key).await.unwrap();
    leader.attempt(40).await;
    leader.attempt(41).await;
    assert_eq!(
        (leader.up_to(), leader.failing()),
        (29, None),
        "someone removed it"
    );
}

#[tokio::test]
async fn a_cluster_that_begins_anew_under_the_same_prefix_leaves_what_is_there_alone() {
    let store = Arc::new(MemoryStore::new());
    let former = format!("{}/00000000/wal/0/former.seg", uuid::Uuid::from_u128(1));
    store
        .put_if_absent(&former, &Content::from_bytes("former"))
        .await
        .unwrap();
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.attempt(0).await;
    assert_eq!((leader.up_to(), leader.failing()), (9, None));
    assert_eq!(get_small(&*store, &former, 100).await.unwrap(), b"former");
}

#[tokio::test]
async fn what_nobody_has_any_more_is_said_and_covered_by_a_base_backup() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.attempt(0).await;
    leader.server.state().segments.clear();
    leader.seal(20, 29);
    leader.attempt(1).await;
    assert_eq!(leader.failing(), None, "another member may still bring it");
    leader.attempt(1 + HOLE_PATIENCE.as_secs()).await;
    assert_eq!(leader.failing().as_deref(), Some("ArchiveGap"));
    assert!(leader.shared.wants_base() && leader.up_to() == 9);
    back_up(&*store, 25).await;
    for second in 2..4 {
        leader.attempt(second + HOLE_PATIENCE.as_secs()).await;
    }
    assert_eq!((leader.up_to(), leader.failing()), (29, None));
    leader.restart(store.clone());
    leader.attempt(0).await;
    assert_eq!(leader.up_to(), 29, "a restart comes to the same");
}

#[tokio::test]
async fn a_history_that_begins_later_gets_a_base_backup_by_itself() {
    let store = Arc::new(MemoryStore::new());
    let mut restored = Member::new(store.clone(), &[]);
    restored.status.purged = LogIndex(41);
    restored.attempt(0).await;
    assert!(
        restored.shared.wants_base(),
        "nothing is archived yet, but the log begins at 42"
    );
    restored.shared.base_taken();
    back_up(&*store, 45).await;
    restored.attempt(60).await;
    assert!(!restored.shared.wants_base());

    let mut late = Member::new(Arc::new(MemoryStore::new()), &[(20, 29)]);
    late.attempt(0).await;
    late.attempt(20).await;
    assert!(late.shared.wants_base() && late.up_to() == 29);
    let mut follower = Member::new(Arc::new(MemoryStore::new()), &[(20, 29)]).follows();
    follower.attempt(0).await;
    assert!(!follower.shared.wants_base());
}

#[tokio::test]
async fn a_damaged_segment_is_not_sent_and_said() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    let path = leader.wal.path().join(&leader.server.state().segments[0].file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    leader.attempt(0).await;
    assert_eq!(leader.failing().as_deref(), Some("ArchiveLagging"));
    assert!(archived(&*store).await.is_empty());
}

#[tokio::test]
async fn a_silent_server_or_an_empty_member_is_no_failure_of_the_archive() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9)]);
    leader.server.state().down = true;
    leader.attempt(0).await;
    assert_eq!(
        (leader.failing(), leader.shared.report().failures_total),
        (None, 0)
    );
    leader.server.state().down = false;
    leader.status.state = MemberState::Empty;
    leader.status.cluster_id = None;
    leader.attempt(1).await;
    assert_eq!(leader.up_to(), 0);
    leader.status = status();
    leader.attempt(2).await;
    assert_eq!(leader.up_to(), 9);
}
