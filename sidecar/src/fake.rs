//! A server for tests: hands out what it was given and remembers what it was told.

use crate::link::{Reply, Server, SnapshotStream};
use bytes::Bytes;
use geode_client::InternalError;
use geode_log::segment::{Footer, Header};
use geode_log::{Position, Record, RecordKind, SegmentName};
use geode_types::{Checkpoint, ClusterId, GroupId, Incarnation, LogIndex, MemberId, Role, Term};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{
    ArchiveReport, MemberState, MemberStatus, Membership, SegmentInfo, Task, TaskReport, TaskState,
};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Entries a page.
const PAGE: usize = 2;

#[derive(Default)]
pub(crate) struct FakeServer {
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) reports: Vec<TaskReport>,
    pub(crate) archive: Option<ArchiveReport>,
    pub(crate) snapshot: Vec<u8>,
    pub(crate) applied: LogIndex,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The last sealed entry is not applied yet.
    pub(crate) behind: bool,
    pub(crate) down: bool,
    /// How long it needs to say how it is.
    pub(crate) late: Duration,
}

impl FakeServer {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn answer<T: Send + 'static>(&self, read: impl FnOnce(&mut State) -> T) -> Reply<'_, T> {
        let mut state = self.state();
        let answer = if state.down {
            Err(InternalError::TimedOut("fake".into()).into())
        } else {
            Ok(read(&mut state))
        };
        Box::pin(async move { answer })
    }
}

impl Server for FakeServer {
    fn status(&self) -> Reply<'_, MemberStatus> {
        let late = self.state().late;
        let answer = self.answer(|_| status());
        Box::pin(async move {
            if !late.is_zero() {
                tokio::time::sleep(late).await;
            }
            answer.await
        })
    }

    fn segments(&self, after: LogIndex) -> Reply<'_, Vec<SegmentInfo>> {
        self.answer(|state| {
            let due = state.segments.iter().filter(|segment| segment.last > after);
            due.take(PAGE).cloned().collect()
        })
    }

    fn report(&self, report: ArchiveReport) -> Reply<'_, Vec<Task>> {
        self.answer(|state| {
            state.archive = Some(report);
            let finished = |task: &Task| {
                let mut reports = state.reports.iter().filter(|report| report.task == *task);
                reports.any(|report| matches!(report.state, TaskState::Done(_) | TaskState::Failed(_)))
            };
            state
                .tasks
                .iter()
                .filter(|task| !finished(task))
                .cloned()
                .collect()
        })
    }

    fn report_task(&self, report: TaskReport) -> Reply<'_, ()> {
        self.answer(|state| state.reports.push(report))
    }

    fn snapshot(&self) -> Reply<'_, SnapshotStream> {
        self.answer(|state| SnapshotStream {
            applied: state.applied,
            term: 1,
            bytes: Box::new(std::io::Cursor::new(state.snapshot.clone())),
        })
    }

    fn state_hash(&self) -> Reply<'_, (LogIndex, String)> {
        self.answer(|state| (state.applied, "beef".to_owned()))
    }

    fn checkpoints(&self) -> Reply<'_, (LogIndex, Vec<Checkpoint>)> {
        self.answer(|state| {
            let last = state.segments.last().map_or(0, |segment| segment.last.0);
            let applied = LogIndex(last.saturating_sub(state.behind.into()));
            (applied, state.checkpoints.clone())
        })
    }
}

pub(crate) fn cluster_id() -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(0xabc))
}

/// A leader without problems.
pub(crate) fn status() -> MemberStatus {
    MemberStatus {
        address: MemberAddress {
            id: MemberId(1),
            name: "geode-0".into(),
            client: "localhost:3141".into(),
            internal: "localhost:3142".into(),
        },
        version: "0.1.0".into(),
        state: MemberState::Running,
        cluster_id: Some(cluster_id()),
        incarnation: Incarnation(1),
        role: Role::Leader,
        term: 1,
        leader: Some(MemberId(1)),
        last_log: LogIndex(0),
        committed: LogIndex(0),
        applied: LogIndex(0),
        snapshot: LogIndex(0),
        purged: LogIndex(0),
        not_ready: None,
        read_only: None,
        membership: Membership::default(),
        replication: Vec::new(),
        quorum_age_ms: None,
        archive: None,
        tasks: Vec::new(),
    }
}

/// A sealed segment of the fake cluster, written to `directory`.
pub(crate) fn seal(directory: &Path, first: u64, last: u64) -> SegmentInfo {
    let header = Header {
        cluster: cluster_id(),
        group: GroupId(0),
        first: LogIndex(first),
        previous_term: Term(u64::from(first > 0)),
    };
    let mut bytes = header.encode().to_vec();
    let position = |index| Position {
        term: Term(1),
        index: LogIndex(index),
    };
    for index in first..=last {
        let payload = Bytes::from(format!("entry {index}"));
        Record {
            position: position(index),
            kind: RecordKind::Command,
            payload,
        }
        .encode(&mut bytes);
    }
    let footer = Footer {
        count: last - first + 1,
        last: position(last),
        content_hash: xxhash_rust::xxh3::xxh3_64(&bytes),
    };
    bytes.extend_from_slice(&footer.encode());
    let file = SegmentName::Sealed(LogIndex(first), LogIndex(last)).to_string();
    std::fs::write(directory.join(&file), &bytes).unwrap();
    SegmentInfo {
        first: LogIndex(first),
        last: LogIndex(last),
        bytes: bytes.len() as u64,
        file,
    }
}
