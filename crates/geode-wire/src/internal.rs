//! The internal protocol: members, sidecars and the operator, all with certificates of the cluster's CA that carry
//! [`crate::INTERNAL_DNS_NAME`].
//!
//! The first byte of a bidirectional stream names the service on it ([`StreamKind`]). `Api` streams carry [`InternalRequest`] frames, each
//! answered by one [`InternalReply`] frame; after `Snapshot` raw snapshot bytes follow until the stream ends. `Raft` streams belong to
//! `server::raft`; a `Hello` stream carries one [`Hello`] frame.

use crate::client::MemberAddress;
use geode_types::{
    BackupKind, Checkpoint, CleanedUp, ClusterId, FeatureLevel, GraphSelection, Incarnation, LogIndex,
    MemberId, RestoreGoal, Retention, Role,
};
use serde::{Deserialize, Serialize};

/// The first byte of a stream on the internal port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamKind {
    /// Requests of this module.
    Api = 1,
    /// Raft messages.
    Raft = 2,
    /// One frame, a [`Hello`], without an answer.
    Hello = 3,
}

impl StreamKind {
    /// Reads the byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Api),
            2 => Some(Self::Raft),
            3 => Some(Self::Hello),
            _ => None,
        }
    }
}

/// How a member introduces itself on a connection that it has made to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who calls.
    pub member: MemberId,
    /// Drawn at random when its process began.
    pub run: u64,
    /// The highest feature level that it understands.
    #[serde(default)]
    pub level: FeatureLevel,
}

/// What members, sidecars and the operator ask of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InternalRequest {
    /// Answered by `Status`. Works in every state of the server, without quorum.
    Status,
    /// Makes this empty member the first voter of a new cluster. Refused when it has data or belongs to a cluster.
    Initialize {
        /// The new cluster's identity.
        cluster_id: ClusterId,
    },
    /// Leader only: adds a member without a vote.
    AddLearner {
        /// Who.
        member: MemberAddress,
    },
    /// Leader only: makes exactly these members the voters; members that drop out leave the cluster, learners stay.
    ChangeVoters {
        /// The new set; every one must already be a member.
        voters: Vec<MemberId>,
        /// Index of the membership this was decided on; refused when it has changed since.
        expected: LogIndex,
    },
    /// Leader only: removes learners.
    RemoveLearners {
        /// Who.
        members: Vec<MemberId>,
        /// As in `ChangeVoters`.
        expected: LogIndex,
    },
    /// Leader only: hands leadership to a caught-up voter.
    TransferLeader {
        /// Who; the most caught-up voter when absent.
        to: Option<MemberId>,
    },
    /// From a server started with `--join`, to any member: add me as a learner and give me a vote when I have caught up.
    Join {
        /// Who asks.
        member: MemberAddress,
        /// The highest feature level that it understands.
        #[serde(default)]
        level: FeatureLevel,
    },
    /// Sealed and committed segments that end after this index, oldest first, at most a page. Answered by `Segments`.
    Segments {
        /// Segments that end at or before it are left out.
        after: LogIndex,
    },
    /// The sidecar's report about the archive. Answered by `Tasks`.
    ArchiveReport(ArchiveReport),
    /// The operator files a task for this server's sidecar; the same name again changes nothing.
    File(Task),
    /// The sidecar reports on a task.
    ReportTask(TaskReport),
    /// The logical snapshot of the graph as it is applied now. Answered by `Snapshot`, then raw bytes.
    Snapshot,
    /// The hash of the graph at the applied index. Answered by `StateHash`.
    StateHash,
    /// The checkpoints of the graph at the applied index. Answered by `Checkpoints`.
    Checkpoints,
    /// The member is to take no part, or to take part again: its process ends, and the next one goes by this. Works in every state, without quorum.
    Fence {
        /// To take no part.
        fenced: bool,
    },
    /// Leader only: ends the open segment, so that everything committed can be archived.
    Cut,
}

/// Answers of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InternalReply {
    /// The member's own account of itself.
    Status(Box<MemberStatus>),
    /// Done.
    Ok,
    /// Segments to archive.
    Segments(Vec<SegmentInfo>),
    /// What the sidecar should do.
    Tasks(Vec<Task>),
    /// A snapshot follows on the stream.
    Snapshot {
        /// The last entry it contains.
        applied: LogIndex,
        /// Its term.
        term: u64,
    },
    /// A hash of the graph.
    StateHash {
        /// The applied index it belongs to.
        applied: LogIndex,
        /// Hexadecimal.
        hash: String,
    },
    /// The checkpoints of the graph.
    Checkpoints {
        /// The applied index they belong to.
        applied: LogIndex,
        /// Oldest first.
        checkpoints: Vec<Checkpoint>,
    },
    /// Only the leader does this.
    NotLeader {
        /// Where to go, when known.
        leader: Option<MemberAddress>,
    },
    /// Refused or failed, with the reason.
    Failed(String),
}

/// Where a member is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Empty, in no cluster.
    Empty,
    /// Waits for its sidecar to fetch a backup, or replays it.
    Restoring,
    /// Takes part in a cluster.
    Running,
    /// Takes no part, as it was told: neither log nor graph is open.
    Fenced,
}

/// A member's account of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Identity, name, addresses.
    pub address: MemberAddress,
    /// Version of the server.
    pub version: String,
    /// Where it is in its life.
    pub state: MemberState,
    /// The cluster it belongs to.
    pub cluster_id: Option<ClusterId>,
    /// The lineage of its history.
    pub incarnation: Incarnation,
    /// What it does.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// The leader it follows.
    pub leader: Option<MemberId>,
    /// Last log entry it has.
    pub last_log: LogIndex,
    /// Last entry it knows to be committed.
    pub committed: LogIndex,
    /// Last entry applied to the graph.
    pub applied: LogIndex,
    /// Last entry its newest snapshot contains.
    pub snapshot: LogIndex,
    /// Everything up to here is gone from its log.
    pub purged: LogIndex,
    /// Whether it answers queries now, and if not, why.
    pub not_ready: Option<String>,
    /// Why it refuses writes although it may lead (a full disk, an archive that lags too far).
    pub read_only: Option<String>,
    /// The membership as it knows it.
    pub membership: Membership,
    /// Leader only: how far each member is.
    pub replication: Vec<ReplicationStatus>,
    /// Leader only: milliseconds since a quorum last acknowledged it.
    pub quorum_age_ms: Option<u64>,
    /// What its sidecar reported last.
    pub archive: Option<ArchiveReport>,
    /// Tasks filed with it and how they stand.
    pub tasks: Vec<TaskReport>,
}

/// Who votes and who listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Index of the entry that set it.
    pub index: LogIndex,
    /// Two voter sets are in force: a change is under way.
    pub joint: bool,
    /// Voters.
    pub voters: Vec<MemberId>,
    /// Everyone, voters and learners.
    pub members: Vec<MemberAddress>,
}

/// How far a member is, as the leader sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplicationStatus {
    /// Who.
    pub member: MemberId,
    /// Last entry it acknowledged.
    pub matched: LogIndex,
    /// Milliseconds since its last acknowledgement; `None` when there was none.
    pub heard_ms: Option<u64>,
}

/// A sealed segment of the log on the WAL volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// First entry.
    pub first: LogIndex,
    /// Last entry.
    pub last: LogIndex,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Name of the file in the WAL directory.
    pub file: String,
}

/// How the archive stands, as a sidecar sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchiveReport {
    /// Everything up to here is in the object store.
    pub archived_up_to: LogIndex,
    /// Time of the last change to it, microseconds since the epoch.
    pub archived_at_micros: i64,
    /// Uploads that failed since the sidecar started.
    pub failures_total: u64,
    /// Why it does not get on, when it does not.
    pub failing: Option<ArchiveFailure>,
    /// The name of the newest segment that is known to be in the object store.
    #[serde(default)]
    pub last_archived: String,
    /// Uploads that failed in the last 24 hours, of this sidecar's life.
    #[serde(default)]
    pub failures_24h: u64,
    /// Entries that are missing in the object store.
    #[serde(default)]
    pub gap: Option<ArchiveGap>,
    /// The backups in the object store, by kind.
    #[serde(default)]
    pub backups: Vec<BackupFacts>,
}

/// Entries in the middle of the archive that are missing, and that no base backup covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveGap {
    /// The first of them.
    pub first: LogIndex,
    /// The last of them: a base backup that contains it closes the gap.
    pub last: LogIndex,
    /// How many there are.
    pub entries: u64,
}

/// What is known of the backups of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// As the guides call it: `full`.
    pub kind: String,
    /// When the newest one was complete, microseconds since the epoch.
    pub last_at_micros: Option<i64>,
    /// Its size as stored, bytes.
    pub last_bytes: u64,
    /// How long it took, milliseconds.
    pub last_took_ms: u64,
    /// How many were completed in the last 24 hours.
    pub count_24h: u64,
    /// When the oldest one was complete, microseconds since the epoch.
    pub oldest_at_micros: Option<i64>,
}

/// Why archiving does not get on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFailure {
    /// A reason of the condition catalogue: `ArchiveUnreachable`, `ArchiveDenied`, `ArchiveConflict`, `ArchiveGap`.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// Something a sidecar does for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Unique; filing it twice is filing it once.
    pub name: String,
    /// What.
    pub kind: TaskKind,
}

/// What a sidecar can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Take a backup into the cluster's archive, and then delete what need not be kept.
    Backup {
        /// What to keep; everything when absent.
        retention: Option<Retention>,
        /// Of which kind; a full one is taken instead when there is none to go on from.
        #[serde(default)]
        kind: BackupKind,
    },
    /// Fetch a base backup and its segments for this empty member, which replays them and becomes the first voter of the cluster.
    Restore {
        /// `s3://bucket/prefix` of the source cluster's archive, or of one incarnation of it.
        source: String,
        /// How far to go.
        goal: RestoreGoal,
        /// Identity of the cluster to start.
        cluster_id: ClusterId,
        /// The graphs that it keeps.
        #[serde(default)]
        graphs: GraphSelection,
    },
    /// Look what a restore would take, and touch nothing. Any member's sidecar can.
    PlanRestore {
        /// As in `Restore`.
        source: String,
        /// As in `Restore`.
        goal: RestoreGoal,
    },
    /// Look whether anything was ever archived under a source, and which life archived last. Any member's sidecar can.
    FindHistory {
        /// As in `Restore`.
        source: String,
    },
}

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Which.
    pub task: Task,
    /// How far.
    pub state: TaskState,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// No sidecar has taken it.
    Waiting,
    /// Under way; a line about how far.
    Running(String),
    /// It will not succeed; one sentence says why.
    Failed(String),
    /// Done.
    Done(TaskResult),
}

/// What came of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Backup: its location. Restore: the directory that the server is to replay. Plan of one: where it would begin.
    /// History: its URL, empty when nothing is archived.
    pub location: String,
    /// The last entry it contains.
    pub index: LogIndex,
    /// Size as stored, bytes.
    pub bytes: u64,
    /// Hash of the graph in it, hexadecimal.
    pub state_hash: String,
    /// Backup with a retention: what was deleted, or why nothing could be.
    pub cleaned_up: Option<Result<CleanedUp, String>>,
    /// Backup: of which kind it is.
    #[serde(default)]
    pub kind: BackupKind,
    /// Backup that is not full: the backup that it goes on from.
    #[serde(default)]
    pub parent: String,
}
