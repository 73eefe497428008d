use super::*;
use crate::node::{ServeOptions, Server};
use crate::restore::{VerifyError, verify};
use bytes::Bytes;
use geode_graph::{Commit, CommitSummary, EdgeRecord, Effect, NodeRecord, TokenKind, export, state_hash};
use geode_log::SegmentName;
use geode_log::segment::{Footer, Header};
use geode_store::MemStore;
use geode_types::{EdgeId, FetchedSegment, NodeId};
use std::time::Duration;

const MAP_SIZE: u64 = 1 << 26;
/// Entries a segment.
const SEGMENT: u64 = 10;
/// The history ends with this entry.
const LAST: u64 = 39;

fn source() -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(1))
}

fn target() -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(2))
}

/// Commit `i` was certified at `i` milliseconds.
fn time_of(index: u64) -> i64 {
    index as i64 * 1000
}

/// An entry of a history with two terms: a membership, blanks, commits that add a node and an edge to the one before, and cuts.
fn record(index: u64) -> Record {
    let term = if index == 0 { 0 } else { 1 + u64::from(index >= 15) };
    let position = Position {
        term: Term(term),
        index: LogIndex(index),
    };
    let at_micros = time_of(index);
    let (kind, payload) = match index {
        0 => (RecordKind::Membership, b"of the source cluster".to_vec()),
        1 | 15 => (RecordKind::Blank, Vec::new()),
        _ if index % SEGMENT == SEGMENT - 1 => (RecordKind::Cut, Command::Cut { at_micros }.encode()),
        _ => (RecordKind::Command, commit(index, term, at_micros).encode()),
    };
    Record {
        position,
        kind,
        payload: Bytes::from(payload),
    }
}

fn commit(index: u64, term: u64, at_micros: i64) -> Command {
    let token = |kind, name: &str| Effect::DefineToken {
        kind,
        id: 1,
        name: name.to_owned(),
    };
    let mut effects = Vec::new();
    if index == 2 {
        effects = vec![
            token(TokenKind::Label, "Person"),
            token(TokenKind::EdgeType, "KNOWS"),
        ];
    }
    let labels = std::iter::once(1).collect();
    let node = NodeId(index);
    effects.push(Effect::CreateNode {
        id: node,
        record: NodeRecord {
            labels,
            properties: Vec::new(),
        },
    });
    if index > 2 {
        let record = EdgeRecord {
            edge_type: 1,
            start: NodeId(2),
            end: node,
            properties: Vec::new(),
        };
        effects.push(Effect::CreateEdge {
            id: EdgeId(index),
            record,
        });
    }
    Command::Commit(Box::new(Commit {
        request_id: None,
        certified_term: Term(term),
        sequence: index,
        at_micros,
        effects,
        summary: CommitSummary::default(),
    }))
}

/// The graph after entry `last`, by nothing but `apply`.
fn graph_at(last: u64) -> MemStore {
    let store = MemStore::default();
    for index in 0..=last {
        let record = record(index);
        let at = LogPosition {
            term: record.position.term,
            index: record.position.index,
        };
        let mut tx = store.write().unwrap();
        match record.kind {
            RecordKind::Blank | RecordKind::Membership => geode_graph::apply_empty(&mut tx, at).unwrap(),
            RecordKind::Command | RecordKind::Cut => {
                geode_graph::apply(&mut tx, at, &Command::decode(&record.payload).unwrap()).unwrap();
            }
        }
        tx.commit().unwrap();
    }
    store
}

fn hash_at(last: u64) -> String {
    geode_types::hex(&state_hash(&graph_at(last).read().unwrap()).unwrap())
}

fn segment(cluster: ClusterId, first: u64) -> Vec<u8> {
    let records: Vec<_> = (first..first + SEGMENT).map(record).collect();
    let previous_term = if first == 0 {
        Term(0)
    } else {
        record(first - 1).position.term
    };
    let mut bytes = Header {
        cluster,
        group: GroupId(0),
        first: LogIndex(first),
        previous_term,
    }
    .encode()
    .to_vec();
    for record in &records {
        record.encode(&mut bytes);
    }
    let footer = Footer {
        count: SEGMENT,
        last: records.last().unwrap().position,
        content_hash: xxhash_rust::xxh3::xxh3_64(&bytes),
    };
    bytes.extend_from_slice(&footer.encode());
    bytes
}

/// A fetched backup and an empty place to replay it into.
struct Scene {
    from: tempfile::TempDir,
    data: tempfile::TempDir,
    fetched: FetchedBackup,
    graphs: GraphSelection,
}

impl Scene {
    /// A base backup of entry `base`, and the segments from entry `first` to the end.
    fn new(base: Option<u64>, first: u64) -> Self {
        let (from, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let segments = (first..=LAST).step_by(SEGMENT as usize).map(|first| {
            let last = first + SEGMENT - 1;
            let file = SegmentName::Sealed(LogIndex(first), LogIndex(last)).to_string();
            fs::write(from.path().join(&file), segment(source(), first)).unwrap();
            FetchedSegment {
                file,
                first: LogIndex(first),
                last: LogIndex(last),
            }
        });
        let base = base.map(|index| {
            let mut stream = Vec::new();
            export(&graph_at(index).read().unwrap(), source(), &mut stream).unwrap();
            fs::write(
                from.path().join("snapshot.zst"),
                zstd::encode_all(stream.as_slice(), 3).unwrap(),
            )
            .unwrap();
            FetchedBase {
                file: "snapshot.zst".to_owned(),
                index: LogIndex(index),
                term: record(index).position.term,
                state_hash: Some(hash_at(index)),
            }
        });
        let fetched = FetchedBackup {
            format: RESTORE_FORMAT,
            source: "memory:".to_owned(),
            cluster_id: source(),
            incarnation: Incarnation(3),
            base,
            segments: segments.collect(),
            target: RestoreTarget::Latest,
            hole: None,
            state_hash: None,
        };
        Self {
            from,
            data,
            fetched,
            graphs: GraphSelection::All,
        }
    }

    fn wal_dir(&self) -> PathBuf {
        self.data.path().join("wal")
    }

    fn replay(&self) -> Result<Restored, RestoreError> {
        fs::write(
            self.from.path().join(RESTORE_FILE),
            serde_json::to_vec(&self.fetched).unwrap(),
        )
        .unwrap();
        replay(&ReplayOptions {
            from: self.from.path(),
            data_dir: self.data.path(),
            wal_dir: &self.wal_dir(),
            map_size: MAP_SIZE,
            cluster_id: target(),
            graphs: &self.graphs,
            name: "geode-0",
            client_address: "localhost:3141",
            internal_address: "localhost:3142",
            progress: &|_| {},
        })
    }

    fn change(&self, segment: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.from.path().join(&self.fetched.segments[segment].file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_restore_keeps_the_graphs_that_were_asked_for_and_refuses_others_before_it_is_a_database() {
    let mut scene = Scene::new(Some(14), 10);
    scene.graphs = GraphSelection::Only(vec!["social".to_owned()]);
    let refused = scene.replay().unwrap_err().to_string();
    assert_eq!(refused, "there is no graph /social; there are HOME_GRAPH");
    scene.graphs = GraphSelection::Without(vec!["HOME_GRAPH".to_owned()]);
    let restored = scene.replay().unwrap();
    assert_ne!(restored.state_hash, hash_at(LAST));
    let report = verify(scene.data.path(), &scene.wal_dir(), MAP_SIZE).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.identity.cluster, Some(target()));
}

#[test]
fn every_way_to_the_end_gives_the_same_graph_as_the_source() {
    // From nothing; from the middle of a segment; from its end; from the end of all; with a segment more than needed.
    for (base, first) in [
        (None, 0),
        (Some(14), 10),
        (Some(19), 20),
        (Some(LAST), LAST + 1),
        (Some(25), 10),
    ] {
        let scene = Scene::new(base, first);
        let restored = scene.replay().unwrap();
        assert_eq!(
            (restored.index, restored.term),
            (LogIndex(LAST), Term(2)),
            "{base:?} {first}"
        );
        assert_eq!(
            (restored.state_hash, restored.incarnation),
            (hash_at(LAST), Incarnation(4)),
            "{base:?} {first}"
        );
        let report = verify(scene.data.path(), &scene.wal_dir(), MAP_SIZE).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(
            (report.identity.cluster, report.applied),
            (Some(target()), LogIndex(LAST))
        );
    }
}

#[test]
fn a_target_is_met_exactly() {
    for (restore_to, index) in [
        (RestoreTarget::Index(LogIndex(22)), 22),
        (RestoreTarget::Index(LogIndex(LAST)), LAST),
        (RestoreTarget::TimeMicros(time_of(22)), 22),
        (RestoreTarget::TimeMicros(time_of(22) - 1), 21),
        // Cuts and blanks carry no change, so they come along with the commit before them.
        (RestoreTarget::TimeMicros(time_of(28)), 29),
        (RestoreTarget::TimeMicros(time_of(1_000_000)), LAST),
    ] {
        let mut scene = Scene::new(Some(14), 10);
        scene.fetched.target = restore_to;
        let restored = scene.replay().unwrap();
        assert_eq!(
            (restored.index.0, restored.state_hash),
            (index, hash_at(index)),
            "{restore_to:?}"
        );
    }
}

#[test]
fn a_target_behind_a_hole_or_the_end_is_refused() {
    let mut holed = Scene::new(Some(14), 10);
    holed.fetched.segments.truncate(2);
    holed.fetched.hole = Some((LogIndex(30), LogIndex(39)));
    holed.fetched.target = RestoreTarget::TimeMicros(time_of(35));
    let refused = holed.replay().unwrap_err();
    assert!(
        matches!(&refused, RestoreError::Target(reason) if reason.contains("30 to 39")),
        "{refused}"
    );
    holed.fetched.target = RestoreTarget::TimeMicros(time_of(20));
    assert_eq!(
        holed.replay().unwrap().index,
        LogIndex(20),
        "the same directory, after a failure"
    );

    let mut beyond = Scene::new(Some(14), 10);
    beyond.fetched.target = RestoreTarget::Index(LogIndex(LAST + 1));
    assert!(matches!(beyond.replay(), Err(RestoreError::Target(_))));
}

#[test]
fn what_is_damaged_missing_or_foreign_is_named() {
    let scene = Scene::new(Some(14), 10);
    let sound = fs::read(scene.from.path().join(&scene.fetched.segments[1].file)).unwrap();
    scene.change(1, |bytes| bytes[300] ^= 1);
    let damaged = scene.replay().unwrap_err();
    assert!(
        matches!(damaged, RestoreError::Segment { .. })
            && damaged.to_string().contains(&scene.fetched.segments[1].file)
    );
    scene.change(1, |bytes| {
        *bytes = segment(ClusterId(uuid::Uuid::from_u128(9)), 20);
    });
    assert!(matches!(scene.replay(), Err(RestoreError::Chain { .. })));
    scene.change(1, |bytes| *bytes = sound);
    scene.replay().unwrap();
    assert!(
        matches!(scene.replay(), Err(RestoreError::Taken { cluster, .. }) if cluster == target()),
        "not into a member's directory"
    );

    let mut gap = Scene::new(Some(14), 10);
    gap.fetched.segments.remove(1);
    assert!(matches!(gap.replay(), Err(RestoreError::Chain { .. })));

    let mut other_term = Scene::new(Some(14), 10);
    other_term.fetched.base.as_mut().unwrap().term = Term(7);
    assert!(matches!(other_term.replay(), Err(RestoreError::WrongBase { .. })));
    let mut other_graph = Scene::new(Some(14), 10);
    other_graph.fetched.base.as_mut().unwrap().state_hash = Some("00".repeat(32));
    assert!(matches!(
        other_graph.replay(),
        Err(RestoreError::WrongBase { .. })
    ));

    let mut other_end = Scene::new(Some(14), 10);
    other_end.fetched.state_hash = Some("00".repeat(32));
    let wrong = other_end.replay().unwrap_err();
    assert!(wrong.to_string().contains("nothing was restored"), "{wrong}");

    let escaping = {
        let mut scene = Scene::new(Some(14), 10);
        scene.fetched.segments[0].file = "../segment".to_owned();
        scene
    };
    assert!(matches!(escaping.replay(), Err(RestoreError::Description { .. })));
    let empty = tempfile::tempdir().unwrap();
    fs::remove_dir_all(scene.data.path()).unwrap();
    let without = Scene { from: empty, ..scene };
    assert!(matches!(
        describe(without.from.path()),
        Err(RestoreError::Incomplete(_))
    ));
}

#[test]
fn verify_finds_what_is_wrong_and_refuses_what_is_no_data_directory() {
    let scene = Scene::new(Some(14), 10);
    scene.replay().unwrap();
    let log = scene.wal_dir().join(group_directory(GroupId(0)));
    let name = SegmentName::Sealed(LogIndex(LAST + 1), LogIndex(LAST + SEGMENT));
    let problems = |bytes: Vec<u8>| {
        fs::write(log.join(name.to_string()), bytes).unwrap();
        verify(scene.data.path(), &scene.wal_dir(), MAP_SIZE)
            .unwrap()
            .problems
    };
    let sound = segment(target(), LAST + 1);
    assert_eq!(problems(sound.clone()), Vec::<String>::new());
    let mut flipped = sound.clone();
    flipped[200] ^= 4;
    for wrong in [
        flipped,
        sound[..100].to_vec(),
        segment(source(), LAST + 1),
        segment(target(), LAST - 9),
    ] {
        let found = problems(wrong);
        assert!(
            found.iter().any(|problem| problem.contains(&name.to_string())),
            "{found:?}"
        );
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        verify(empty.path(), empty.path(), MAP_SIZE),
        Err(VerifyError::NotOne(..))
    ));
    assert_eq!(
        fs::read_dir(empty.path()).unwrap().count(),
        0,
        "it leaves no trace"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_on_it_leads_alone_and_goes_on_after_its_index() {
    let scene = Scene::new(Some(14), 10);
    let restored = scene.replay().unwrap();
    let mut config = geode_config::Config::default();
    config.storage.data_dir = scene.data.path().to_owned();
    config.storage.map_size = geode_config::Bytes::mebi(64);
    config.server.listen = "127.0.0.1:0".to_owned();
    config.server.metrics_listen = String::new();
    for start in 1..=2 {
        let server = Server::start(ServeOptions {
            config: config.clone(),
            ..ServeOptions::default()
        })
        .await
        .unwrap();
        let raft = &server.member.raft;
        let mut status = raft.watch();
        let leads =
            status.wait_for(|status| status.leader == Some(restored.member) && status.term > restored.term.0);
        tokio::time::timeout(Duration::from_secs(20), leads)
            .await
            .expect("no leader")
            .unwrap();
        let index = raft.read_index().await.unwrap();
        assert!(index > restored.index, "the history goes on after the backup");
        let cut = Command::Cut { at_micros: 0 };
        raft.submit(&cut).await.unwrap();
        let status = server.member.status();
        assert_eq!(
            (status.cluster_id, status.incarnation),
            (Some(target()), restored.incarnation)
        );
        assert_eq!(status.membership.voters, [restored.member]);
        if start == 1 {
            assert_eq!(
                status.purged, restored.index,
                "so that a sidecar sees where the archive begins"
            );
            assert_eq!(
                raft.segments(LogIndex(0)).first().map(|info| info.first),
                Some(LogIndex(LAST + 1))
            );
        }
        server.shutdown().await;
    }
    let report = verify(scene.data.path(), &scene.wal_dir(), MAP_SIZE).unwrap();
    assert!(report.is_clean() && report.records > 0, "{report:?}");
}

#[test]
fn a_long_base_backup_tells_how_far_it_is() {
    let told = std::cell::RefCell::new(Vec::new());
    let mut content = Counted {
        content: io::Read::take(io::repeat(7), PROGRESS_BYTES * 2 + 5),
        bytes: 0,
        progress: &|bytes| told.borrow_mut().push(bytes / PROGRESS_BYTES),
    };
    io::copy(&mut content, &mut io::sink()).unwrap();
    assert_eq!(*told.borrow(), [1, 2]);
}
