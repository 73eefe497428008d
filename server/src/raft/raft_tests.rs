//! Members in one process, connected through memory, on real directories.

use super::*;
use bytes::Bytes;
use geode_graph::{Applied, Command, Commit, CommitSummary, Effect, NodeRecord};
use geode_store::{LmdbOptions, LmdbStore, Store};
use geode_types::{ClusterId, FeatureLevel, Incarnation, LogIndex, MemberId, NodeId, Role, Term};
use geode_wire::client::MemberAddress;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const SOON: Duration = Duration::from_secs(20);

/// Every member's service, by id; a member that is cut off is not reached and reaches nobody.
#[derive(Clone, Default)]
pub(super) struct Net(Arc<Mutex<NetState>>);

#[derive(Default)]
struct NetState {
    services: BTreeMap<MemberId, Arc<dyn RaftService>>,
    cut: BTreeSet<MemberId>,
    snapshots: usize,
    /// How members that are started here elect.
    timing: Option<Timing>,
}

impl Net {
    /// From now on the member reaches nobody, and nobody it.
    pub(super) fn cut(&self, member: MemberId) {
        self.0.lock().unwrap().cut.insert(member);
    }

    /// Returns when a member that was shut down has closed its files.
    pub(super) async fn forget(&self, member: MemberId) {
        self.0.lock().unwrap().services.remove(&member);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

struct End {
    net: Net,
    me: MemberId,
}

impl End {
    fn service(&self, peer: &MemberAddress) -> Result<Arc<dyn RaftService>, TransportError> {
        let net = self.net.0.lock().unwrap();
        let lost = || TransportError::Unreachable("cut off".to_owned());
        if net.cut.contains(&self.me) || net.cut.contains(&peer.id) {
            return Err(lost());
        }
        net.services.get(&peer.id).cloned().ok_or_else(lost)
    }
}

impl PeerTransport for End {
    fn call(
        &self,
        peer: &MemberAddress,
        _: Lane,
        message: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        let service = self.service(peer);
        Box::pin(async move {
            let answer = tokio::time::timeout(timeout, service?.handle(message)).await;
            answer.map_err(|_| TransportError::Broken("timeout".to_owned()))
        })
    }

    fn send_snapshot(
        &self,
        peer: &MemberAddress,
        message: Bytes,
        mut body: SnapshotBody,
        _: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        let service = self.service(peer);
        let net = self.net.clone();
        Box::pin(async move {
            let mut receiver = match service?.begin_snapshot(message) {
                Ok(receiver) => receiver,
                Err(refusal) => return Ok(refusal),
            };
            while let Some(chunk) = body.chunk().unwrap() {
                receiver.chunk(&chunk).unwrap();
            }
            net.0.lock().unwrap().snapshots += 1;
            Ok(receiver.finish().await)
        })
    }

    fn level(&self, _: MemberId) -> Option<FeatureLevel> {
        Some(FeatureLevel::NEWEST)
    }
}

pub(super) fn address(id: u64) -> MemberAddress {
    MemberAddress {
        id: MemberId(id),
        name: format!("m{id}"),
        client: format!("m{id}:1"),
        internal: format!("m{id}:2"),
    }
}

pub(super) fn cluster() -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(99))
}

pub(super) fn small() -> Limits {
    Limits {
        snapshot_entries: 20,
        keep_entries: 10,
        segment_entries: 8,
        wait_max: Duration::from_secs(5),
        ..Limits::default()
    }
}

/// Opens a member with a home directory of its own.
pub(super) async fn open(
    home: &Path,
    address: MemberAddress,
    known: bool,
    transport: Arc<dyn PeerTransport>,
) -> Raft<LmdbStore> {
    open_timed(home, address, known, transport, Timing::DEFAULT).await
}

async fn open_timed(
    home: &Path,
    address: MemberAddress,
    known: bool,
    transport: Arc<dyn PeerTransport>,
    timing: Timing,
) -> Raft<LmdbStore> {
    std::fs::create_dir_all(home).unwrap();
    let settings = RaftSettings {
        timing,
        limits: small(),
        snapshot_directory: home.join("snapshots"),
        wal_directory: home.join("wal"),
        archive_configured: false,
        level: FeatureLevel::NEWEST,
    };
    let identity = RaftIdentity {
        member: address.id,
        cluster: known.then(|| (cluster(), Incarnation(0))),
        adopt: Arc::new(|_, _| Ok(())),
        address,
    };
    let store = Arc::new(LmdbStore::open(&home.join("graph"), LmdbOptions::default()).unwrap());
    Raft::open(settings, identity, store, transport, Environment::default())
        .await
        .unwrap()
}

pub(super) async fn start(net: &Net, directory: &Path, id: u64, known: bool) -> Raft<LmdbStore> {
    let transport = Arc::new(End {
        net: net.clone(),
        me: MemberId(id),
    });
    let timing = net.0.lock().unwrap().timing.unwrap_or(Timing::DEFAULT);
    let home = directory.join(id.to_string());
    let raft = open_timed(&home, address(id), known, transport, timing).await;
    net.0
        .lock()
        .unwrap()
        .services
        .insert(MemberId(id), raft.service());
    raft
}

pub(super) fn command(term: Term, sequence: u64) -> Command {
    let record = NodeRecord {
        labels: Default::default(),
        properties: Vec::new(),
    };
    Command::Commit(Box::new(Commit {
        request_id: None,
        certified_term: term,
        sequence,
        at_micros: 0,
        effects: vec![Effect::CreateNode {
            id: NodeId(sequence),
            record,
        }],
        summary: CommitSummary {
            nodes_created: 1,
            ..CommitSummary::default()
        },
    }))
}

pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

pub(super) async fn leader(members: &[&Raft<LmdbStore>]) -> usize {
    let mut found = None;
    until("an election", || {
        found = members.iter().position(|member| member.leader_term().is_some());
        found.is_some()
    })
    .await;
    found.unwrap()
}

pub(super) async fn write(leader: &Raft<LmdbStore>, sequences: std::ops::Range<u64>) {
    let term = leader.leader_term().unwrap();
    let waiting: Vec<_> = sequences
        .map(|sequence| leader.submit(&command(term, sequence)))
        .collect();
    for committed in futures::future::join_all(waiting).await {
        assert!(matches!(committed.unwrap().applied, Applied::Committed(_)));
    }
}

pub(super) fn hash(member: &Raft<LmdbStore>) -> [u8; 32] {
    geode_graph::state_hash(&member.store().read().unwrap()).unwrap()
}

pub(super) async fn three(net: &Net, directory: &Path) -> [Raft<LmdbStore>; 3] {
    let one = start(net, directory, 1, false).await;
    one.initialize(cluster(), Incarnation(0)).await.unwrap();
    leader(&[&one]).await;
    let others = [
        start(net, directory, 2, false).await,
        start(net, directory, 3, false).await,
    ];
    for id in [2, 3] {
        one.add_learner(address(id)).await.unwrap();
    }
    let at = one.status().membership.index;
    one.change_voters([1, 2, 3].map(MemberId), at).await.unwrap();
    // A majority has it. On a loaded machine the third may be no voter yet, and without the others it could not be elected.
    all_have(&one, &others.each_ref()).await;
    let [two, three] = others;
    [one, two, three]
}

/// Returns when all of these have what the leader has: whoever of them is left can be elected.
pub(super) async fn all_have(leader: &Raft<LmdbStore>, members: &[&Raft<LmdbStore>]) {
    for member in members {
        assert!(
            member.wait_applied(leader.applied(), SOON).await,
            "{:?} did not come so far as the leader",
            member.member()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_member_writes_reads_and_keeps_what_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let one = start(&net, directory.path(), 1, false).await;
    assert_eq!(one.status().role, Role::Joining);
    assert!(matches!(
        one.submit(&command(Term(1), 1)).await,
        Err(ProposeError::NotLeader(None))
    ));
    one.initialize(cluster(), Incarnation(0)).await.unwrap();
    assert_eq!(
        one.initialize(cluster(), Incarnation(0)).await,
        Err(MembershipError::Initialized)
    );
    leader(&[&one]).await;
    write(&one, 1..100).await;
    let index = one.read_index().await.unwrap();
    assert!(index.0 >= 100 && one.applied() >= index);
    until("a purge", || one.status().purged.0 > 50).await;
    let before = hash(&one);
    one.shutdown().await;
    assert!(matches!(
        one.submit(&command(Term(1), 200)).await,
        Err(ProposeError::Unavailable(_))
    ));
    drop(one);
    net.forget(MemberId(1)).await;
    let one = start(&net, directory.path(), 1, true).await;
    leader(&[&one]).await;
    assert_eq!(hash(&one), before);
    write(&one, 200..210).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_learns_from_the_leader_how_far_everything_acknowledged_goes() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let members = three(&net, directory.path()).await;
    write(&members[0], 1..20).await;
    let acknowledged = members[0].applied();
    until("the follower knows its leader", || {
        members[1].status().leader == Some(MemberId(1))
    })
    .await;
    assert!(members[1].leader_index().await.unwrap() >= acknowledged);
    assert!(members[0].leader_index().await.unwrap() >= acknowledged);
    net.cut(MemberId(2));
    assert!(matches!(
        members[1].leader_index().await,
        Err(ReadError::NotLeader(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_replicate_fail_over_and_bring_each_other_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let members = three(&net, directory.path()).await;
    let all: Vec<_> = members.iter().collect();
    write(&members[0], 1..50).await;
    // On a loaded machine a member may be behind what is purged already, and get a snapshot of its own.
    all_have(&members[0], &all[1..]).await;
    let snapshots = net.0.lock().unwrap().snapshots;
    // The leader is cut off: it gives no reads and takes no writes, the others elect and go on.
    net.cut(MemberId(1));
    let next = 1 + leader(&all[1..]).await;
    let next_sequence = 1000;
    write(all[next], next_sequence..next_sequence + 60).await;
    assert!(matches!(
        members[0].read_index().await,
        Err(ReadError::Unavailable(_) | ReadError::NotLeader(_))
    ));
    until("no writes without a quorum", || {
        members[0].status().quorum_age_ms.is_none_or(|age| age > 600)
    })
    .await;
    assert!(matches!(
        members[0].submit(&command(Term(1), 5)).await,
        Err(ProposeError::Unavailable(_))
    ));
    // It comes back far behind what the log still holds, and is brought up by a snapshot.
    until("a purge", || all[next].status().purged.0 > 60).await;
    net.0.lock().unwrap().cut.clear();
    assert!(members[0].wait_applied(all[next].applied(), SOON).await);
    assert!(net.0.lock().unwrap().snapshots > snapshots);
    assert_eq!(hash(&members[0]), hash(all[next]));
    // Leadership moves when asked. On a loaded machine somebody else may be quicker than the one that was named; that is said, and
    // asking again helps.
    let target = all[next]
        .status()
        .membership
        .voters
        .iter()
        .copied()
        .find(|id| *id != all[next].member())
        .unwrap();
    let mut now = next;
    for _ in 0..5 {
        let handed = all[now].transfer_leader(Some(target)).await;
        now = leader(&all).await;
        if handed.is_ok() {
            break;
        }
    }
    assert_eq!(all[now].member(), target);
    write(all[now], 5000..5010).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_and_stale_decisions_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    // Nothing is cut off here, so nobody has to be elected soon; with short leases a loaded machine elects in the middle of the test.
    net.0.lock().unwrap().timing = Some(Timing::WAN);
    let [one, two, three] = three(&net, directory.path()).await;
    write(&one, 1..200).await;
    // A far-behind learner gets a snapshot. So does, on a loaded machine, a voter that the purge left behind: that one is not counted.
    until("a purge", || one.status().purged.0 > 100).await;
    all_have(&one, &[&two, &three]).await;
    let snapshots = net.0.lock().unwrap().snapshots;
    let four = start(&net, directory.path(), 4, false).await;
    let stale = one.status().membership.index;
    one.add_learner(address(4)).await.unwrap();
    one.add_learner(address(4)).await.unwrap();
    assert!(four.wait_applied(one.applied(), SOON).await);
    assert_eq!(net.0.lock().unwrap().snapshots, snapshots + 1);
    assert_eq!((four.status().role, hash(&four)), (Role::Observer, hash(&one)));
    assert!(matches!(
        one.change_voters([1, 2, 4].map(MemberId), stale).await,
        Err(MembershipError::Changed { .. })
    ));
    let now = one.status().membership.index;
    assert!(matches!(
        one.remove_learners([MemberId(2)], now).await,
        Err(MembershipError::Failed(_))
    ));
    one.change_voters([1, 2, 4].map(MemberId), now).await.unwrap();
    let membership = one.status().membership;
    assert_eq!(membership.voters, [1, 2, 4].map(MemberId));
    assert_eq!(
        membership
            .members
            .iter()
            .map(|member| member.id.0)
            .collect::<Vec<_>>(),
        [1, 2, 4]
    );
    assert!(matches!(
        two.add_learner(address(5)).await,
        Err(MembershipError::NotLeader(Some(_)))
    ));
    // A message for a member that is not there any more is refused by whoever has its address now.
    let wrong = End {
        net: net.clone(),
        me: MemberId(1),
    };
    net.0
        .lock()
        .unwrap()
        .services
        .insert(MemberId(9), three.service());
    let reply = wrong
        .call(
            &address(9),
            Lane::Append,
            Bytes::from_static(b"\x01nonsense"),
            SOON,
        )
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&reply).contains("Refused"));
    write(&one, 300..310).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_until_it_is_archived() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let home = directory.path().join("1");
    std::fs::create_dir_all(&home).unwrap();
    let one = start(&net, directory.path(), 1, false).await;
    one.0
        .archive_configured
        .store(true, std::sync::atomic::Ordering::Relaxed);
    one.initialize(cluster(), Incarnation(0)).await.unwrap();
    leader(&[&one]).await;
    write(&one, 1..100).await;
    let segments = one.segments(LogIndex(0));
    assert_eq!((segments[0].first, segments[0].last), (LogIndex(0), LogIndex(7)));
    assert!(
        segments
            .windows(2)
            .all(|pair| pair[1].first.0 == pair[0].last.0 + 1)
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(one.status().purged, LogIndex(0));
    one.set_archived(LogIndex(30));
    until("a purge", || one.status().purged == LogIndex(23)).await;
    let cut = one.submit(&Command::Cut { at_micros: 7 }).await.unwrap();
    assert_eq!(cut.applied, Applied::Cut);
    until("the cut segment", || {
        one.segments(LogIndex(90))
            .last()
            .is_some_and(|last| last.last == cut.index)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_offered_to_the_archive_only_when_all_of_it_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let members = three(&net, directory.path()).await;
    let at = leader(&members.each_ref()).await;
    let first = &members[at];
    write(first, 1..10).await;
    let others = members.iter().filter(|member| member.member() != first.member());
    net.0.lock().unwrap().cut.extend(others.map(Raft::member));
    // What was written may be told as committed a moment later than as applied.
    let committed = || first.status().committed;
    let term = first.leader_term().unwrap();
    // Into its own log, where segments of eight entries end, and no further.
    let waiting: Vec<_> = (10..40)
        .map(|sequence| first.submit(&command(term, sequence)))
        .collect();
    let sealed = || {
        first
            .0
            .log
            .sealed()
            .last()
            .map_or(LogIndex(0), |(_, last, _, _)| *last)
    };
    until("a sealed segment beyond what is committed", || {
        sealed().0 > committed().0 + 8
    })
    .await;
    let offered = first.segments(LogIndex(0));
    assert!(
        offered.iter().all(|segment| segment.last <= committed()),
        "{offered:?}"
    );
    drop(waiting);
}
