//! Answers the internal API: status, membership, archive and tasks, snapshots of the graph.

use super::ApiService;
use crate::fence;
use crate::gate::space;
use crate::member::Member;
use crate::pending::{self, Order};
use crate::pipeline::now_micros;
use crate::raft::{BoxFuture, MembershipError, ProposeError};
use geode_graph::{Command, export, position, state_hash};
use geode_store::{LmdbStore, Store};
use geode_types::LogIndex;
use geode_wire::internal::{
    ArchiveReport, InternalReply, InternalRequest, SegmentInfo, Task, TaskKind, TaskReport, TaskState,
};
use geode_wire::{WireError, encode, write_frame};
use quinn::SendStream;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Segments in one answer.
const SEGMENTS_PAGE: usize = 256;
/// Chunks of a snapshot that wait for the network.
const SNAPSHOT_CHUNKS: usize = 4;
/// Size of such a chunk, bytes.
const SNAPSHOT_CHUNK: usize = 256 * 1024;

/// The internal API of a member.
pub(crate) struct Api(pub(crate) Arc<Member>);

impl ApiService for Api {
    fn answer(
        &self,
        request: InternalRequest,
        mut send: SendStream,
    ) -> BoxFuture<'static, Result<(), WireError>> {
        let member = self.0.clone();
        Box::pin(async move {
            if matches!(request, InternalRequest::Snapshot) {
                return send_snapshot(&member, send).await;
            }
            let reply = match answer(&member, request).await {
                Ok(reply) => reply,
                Err(MembershipError::NotLeader(leader)) => InternalReply::NotLeader { leader },
                Err(error) => InternalReply::Failed(error.to_string()),
            };
            write_frame(&mut send, &encode(&reply)).await?;
            send.finish()
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
        })
    }
}

async fn answer(member: &Arc<Member>, request: InternalRequest) -> Result<InternalReply, MembershipError> {
    let raft = &member.raft;
    match request {
        InternalRequest::Status => return Ok(InternalReply::Status(Box::new(member.status()))),
        InternalRequest::Initialize { cluster_id } => member.initialize(cluster_id).await?,
        InternalRequest::AddLearner { member } => raft.add_learner(member).await?,
        InternalRequest::ChangeVoters { voters, expected } => raft.change_voters(voters, expected).await?,
        InternalRequest::RemoveLearners { members, expected } => {
            raft.remove_learners(members, expected).await?;
        }
        InternalRequest::TransferLeader { to } => member.hand_over(to).await?,
        InternalRequest::Join {
            member: joiner,
            level,
        } => member.join(joiner, level).await?,
        InternalRequest::Segments { after } => return Ok(InternalReply::Segments(segments(member, after))),
        InternalRequest::ArchiveReport(report) => {
            return Ok(InternalReply::Tasks(take_report(member, report)));
        }
        InternalRequest::File(task) => file(member, task)?,
        InternalRequest::ReportTask(report) => report_task(member, report)?,
        InternalRequest::StateHash => return hash(member).await,
        InternalRequest::Checkpoints => return checkpoints(member).map_err(MembershipError::Failed),
        InternalRequest::Snapshot => {
            return Err(MembershipError::Failed("a snapshot is a stream".to_owned()));
        }
        InternalRequest::Fence { fenced } => fence(member, fenced)?,
        InternalRequest::Cut => cut(member).await?,
    }
    Ok(InternalReply::Ok)
}

fn segments(member: &Member, after: LogIndex) -> Vec<SegmentInfo> {
    let mut segments = member.raft.segments(after);
    segments.truncate(SEGMENTS_PAGE);
    segments
}

fn take_report(member: &Member, report: ArchiveReport) -> Vec<Task> {
    member.raft.set_archived(report.archived_up_to);
    member.board.keep_archive(report);
    member.board.open_tasks()
}

fn file(member: &Member, task: Task) -> Result<(), MembershipError> {
    if matches!(task.kind, TaskKind::Restore { .. }) && member.raft.status().initialized {
        let reason =
            "this member has data, so nothing can be restored into it; restore into a new cluster".to_owned();
        return Err(MembershipError::Failed(reason));
    }
    member.board.file(task);
    Ok(())
}

/// A fetched backup is left for the next process, which replays it before anything is open.
fn report_task(member: &Member, report: TaskReport) -> Result<(), MembershipError> {
    if let (
        TaskKind::Restore {
            cluster_id, graphs, ..
        },
        TaskState::Done(result),
    ) = (&report.task.kind, &report.state)
    {
        let data_dir = &member.config.storage.data_dir;
        let order = Order {
            from: result.location.clone().into(),
            cluster: *cluster_id,
            graphs: graphs.clone(),
        };
        pending::leave(data_dir, &order).map_err(|error| MembershipError::Failed(error.to_string()))?;
        let free = space(data_dir).map_or(0, |space| space.free) >> 20;
        tracing::info!(free_mib = free, "a backup is fetched; restarting to replay it");
        member.restart.send_replace(true);
    }
    member.board.report(report);
    Ok(())
}

/// The order is durable before the process ends; the next one is held by it.
fn fence(member: &Member, fenced: bool) -> Result<(), MembershipError> {
    if fenced {
        let left = fence::leave(&member.config.storage.data_dir);
        left.map_err(|error| {
            MembershipError::Failed(format!("the order to be fenced cannot be kept: {error}"))
        })?;
        tracing::warn!("fenced: this process ends, and the next one takes no part");
        member.restart.send_replace(true);
    }
    Ok(())
}

async fn cut(member: &Member) -> Result<(), MembershipError> {
    if member.raft.unsealed().is_none() {
        return Ok(());
    }
    let command = Command::Cut {
        at_micros: now_micros(),
    };
    let ended = member.raft.submit(&command).await;
    ended.map(drop).map_err(|error| match error {
        ProposeError::NotLeader(leader) => MembershipError::NotLeader(leader),
        other => MembershipError::Failed(other.to_string()),
    })
}

async fn hash(member: &Member) -> Result<InternalReply, MembershipError> {
    let store = member.raft.store().clone();
    let hashed = tokio::task::spawn_blocking(move || state_hash_at(&store)).await;
    let (applied, hash) = hashed
        .map_err(|error| error.to_string())
        .and_then(|hashed| hashed)
        .map_err(MembershipError::Failed)?;
    Ok(InternalReply::StateHash { applied, hash })
}

fn checkpoints(member: &Member) -> Result<InternalReply, String> {
    let read = member.raft.store().read().map_err(|error| error.to_string())?;
    let at = position(&read).map_err(|error| error.to_string())?;
    let checkpoints = geode_graph::checkpoints(&read).map_err(|error| error.to_string())?;
    Ok(InternalReply::Checkpoints {
        applied: at.index,
        checkpoints,
    })
}

/// The hash of the graph, hexadecimal, and the index it belongs to.
pub(crate) fn state_hash_at(store: &LmdbStore) -> Result<(LogIndex, String), String> {
    let read = store.read().map_err(|error| error.to_string())?;
    let at = position(&read).map_err(|error| error.to_string())?;
    let hash = state_hash(&read).map_err(|error| error.to_string())?;
    Ok((at.index, geode_types::hex(&hash)))
}

async fn send_snapshot(member: &Member, mut send: SendStream) -> Result<(), WireError> {
    let opened = member.raft.store().read().map_err(|error| error.to_string());
    let opened = opened.and_then(|read| Ok((position(&read).map_err(|error| error.to_string())?, read)));
    let (at, read, cluster) = match (opened, member.raft.cluster()) {
        (Ok((at, read)), Some(cluster)) => (at, read, cluster),
        (Err(reason), _) => return refuse(send, reason).await,
        (Ok(_), None) => return refuse(send, "this member belongs to no cluster".to_owned()).await,
    };
    write_frame(
        &mut send,
        &encode(&InternalReply::Snapshot {
            applied: at.index,
            term: at.term.0,
        }),
    )
    .await?;
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(SNAPSHOT_CHUNKS);
    let exporting = tokio::task::spawn_blocking(move || {
        let mut sink = Chunks {
            sender,
            filled: Vec::with_capacity(SNAPSHOT_CHUNK),
        };
        export(&read, cluster, &mut sink).map_err(|error| error.to_string())?;
        sink.flush().map_err(|error| error.to_string())
    });
    while let Some(chunk) = receiver.recv().await {
        send.write_all(&chunk).await.map_err(io::Error::from)?;
    }
    match exporting.await {
        Ok(Ok(())) => send
            .finish()
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into()),
        Ok(Err(reason)) => Err(fail_stream(&mut send, reason)),
        Err(error) => Err(fail_stream(&mut send, error.to_string())),
    }
}

async fn refuse(mut send: SendStream, reason: String) -> Result<(), WireError> {
    write_frame(&mut send, &encode(&InternalReply::Failed(reason))).await?;
    send.finish()
        .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
}

/// The reader must not take what came for the whole: the stream is reset, not finished.
fn fail_stream(send: &mut SendStream, reason: String) -> WireError {
    tracing::error!(reason, "a snapshot could not be sent");
    let _ = send.reset(geode_wire::close_code::MALFORMED.into());
    io::Error::other(reason).into()
}

/// Hands what is written on, chunk by chunk; writing waits while the network is slower.
struct Chunks {
    sender: mpsc::Sender<Vec<u8>>,
    filled: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.filled.extend_from_slice(bytes);
        if self.filled.len() >= SNAPSHOT_CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filled.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.filled, Vec::with_capacity(SNAPSHOT_CHUNK));
        self.sender
            .blocking_send(chunk)
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
