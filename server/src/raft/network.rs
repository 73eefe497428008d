//! From openraft to peers, over whatever carries bytes.

use super::blocking::Blocking;
use super::snapshot::{SnapshotData, SnapshotFile, export_to_file};
use super::state_machine::Progress;
use super::types::{Member, Types, encode_stored};
use super::wire::{self, Request, RequestBody, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use geode_log::{Disk, DiskFile};
use geode_store::{ReadTxn, Store};
use geode_types::{ClusterId, FeatureLevel, Incarnation, MemberId};
use geode_wire::client::MemberAddress;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::async_runtime::Select2;
use openraft::base::BoxStream;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, OptionalSend};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How much of a snapshot is read and sent at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// The slowest line that a member may be behind, bytes a second: a large message gets time on top for its size, or a member behind a thin
/// line would be sent the same entries for ever, and never have them all in time. Whether the peer lives is for the connection to know.
const RATE_MIN: usize = 64 * 1024;

/// How long a message that only tells what is committed waits for entries to go with: the next write of a client that writes one after the
/// other is here by then, and each message wakes a process at both ends.
const COMMIT_WAIT: Duration = Duration::from_millis(2);

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What peers answer to appended entries.
type Answers<'a, R> = BoxStream<'a, Result<StreamAppendResult<Types<R>>, RPCError<Types<R>>>>;

/// Which of the connections to a peer carries a message, so that none waits behind another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Heartbeats and votes.
    Heartbeat,
    /// Log entries.
    Append,
    /// Snapshots.
    Snapshot,
}

/// A message did not arrive, or its answer did not.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// There is no connection. Trying again at once is useless.
    #[error("{0}")]
    Unreachable(String),
    /// The connection was there, the answer was not.
    #[error("{0}")]
    Broken(String),
}

/// Carries messages to peers.
pub trait PeerTransport: Send + Sync + 'static {
    /// Sends a message; its answer, within `timeout`.
    fn call(
        &self,
        peer: &MemberAddress,
        lane: Lane,
        message: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>>;

    /// Sends a message and a snapshot behind it; the answer. `idle` bounds every step.
    fn send_snapshot(
        &self,
        peer: &MemberAddress,
        message: Bytes,
        body: SnapshotBody,
        idle: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>>;

    /// The highest feature level that a peer understands, as it said last; nothing when it was never heard.
    fn level(&self, peer: MemberId) -> Option<FeatureLevel>;
}

/// The content of a snapshot, chunk by chunk.
pub struct SnapshotBody {
    file: Box<dyn DiskFile>,
    offset: u64,
    _kept: SnapshotFile,
}

impl SnapshotBody {
    /// The next chunk; `None` at the end.
    pub fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut bytes = vec![0; CHUNK_BYTES];
        let read = self.file.read_at(&mut bytes, self.offset)?;
        bytes.truncate(read);
        self.offset += read as u64;
        Ok((read > 0).then(|| bytes.into()))
    }
}

/// What every connection needs.
pub(super) struct NetworkContext<R: AsyncRuntime> {
    pub(super) transport: Arc<dyn PeerTransport>,
    pub(super) me: MemberId,
    pub(super) cluster: Arc<OnceLock<ClusterId>>,
    pub(super) incarnation: Arc<OnceLock<Incarnation>>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) progress: Arc<Progress<R>>,
    pub(super) blocking: Blocking,
    pub(super) retry: Duration,
    /// How long an answer to entries may take at least.
    pub(super) append_patience: Duration,
}

/// Makes the connections that openraft asks for.
pub(super) struct NetworkFactory<S, R: AsyncRuntime> {
    pub(super) context: Arc<NetworkContext<R>>,
    pub(super) store: PhantomData<fn() -> S>,
}

/// A connection to one peer.
pub(super) struct Network<S, R: AsyncRuntime> {
    context: Arc<NetworkContext<R>>,
    target: u64,
    address: MemberAddress,
    lane: Lane,
    store: PhantomData<fn() -> S>,
}

impl<S: Store, R: AsyncRuntime> NetworkFactory<S, R> {
    fn network(&self, target: u64, node: &Member, lane: Lane) -> Network<S, R> {
        Network {
            context: self.context.clone(),
            target,
            address: node.0.clone(),
            lane,
            store: PhantomData,
        }
    }
}

impl<S: Store, R: AsyncRuntime> RaftNetworkFactory<Types<R>> for NetworkFactory<S, R> {
    type Network = Network<S, R>;

    async fn new_client(&mut self, target: u64, node: &Member) -> Self::Network {
        self.network(target, node, Lane::Append)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Self::Network {
        self.network(target, node, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Self::Network {
        self.network(target, node, Lane::Snapshot)
    }
}

impl<S: Store, R: AsyncRuntime> Network<S, R> {
    fn message(&self, body: RequestBody) -> Result<Bytes, RPCError<Types<R>>> {
        let cluster = self.context.cluster.get().copied();
        let cluster =
            cluster.ok_or_else(|| Unreachable::from_string("this member belongs to no cluster yet"))?;
        let request = Request {
            cluster,
            incarnation: self.context.incarnation.get().copied().unwrap_or_default(),
            from: self.context.me,
            to: MemberId(self.target),
            body,
        };
        wire::encode(&request).map_err(|error| NetworkError::new(&error).into())
    }

    async fn call(
        &self,
        body: RequestBody,
        lane: Lane,
        patience: Duration,
    ) -> Result<Response, RPCError<Types<R>>> {
        let message = self.message(body)?;
        let timeout = time_for(patience, message.len());
        let answer = self
            .context
            .transport
            .call(&self.address, lane, message, timeout)
            .await;
        self.response(answer)
    }

    fn response(&self, answer: Result<Bytes, TransportError>) -> Result<Response, RPCError<Types<R>>> {
        let bytes = answer.map_err(|error| match error {
            TransportError::Unreachable(_) => RPCError::Unreachable(Unreachable::from_string(error)),
            TransportError::Broken(_) => RPCError::Network(NetworkError::from_string(error)),
        })?;
        match wire::decode(&bytes) {
            Ok(Response::Refused(reason)) => {
                let text = format!("member {} refuses: {reason}", self.target);
                Err(Unreachable::from_string(text).into())
            }
            Ok(response) => Ok(response),
            Err(error) => Err(NetworkError::new(&error).into()),
        }
    }

    fn unexpected(&self) -> RPCError<Types<R>> {
        NetworkError::from_string(format!(
            "member {} answered with another kind of message",
            self.target
        ))
        .into()
    }

    async fn ballot(
        &self,
        body: RequestBody,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        match self.call(body, Lane::Heartbeat, option.soft_ttl()).await? {
            Response::Vote { vote, granted, last } => Ok(VoteResponse::new(
                wire::to_vote::<R>(vote),
                last.map(wire::to_id::<R>),
                granted,
            )),
            _ => Err(self.unexpected()),
        }
    }

    /// The content as a file, so that the read transaction lives as long as the local disk needs, not as long as the peer does.
    async fn spool(&self, data: SnapshotData<S::Read>) -> io::Result<SnapshotBody> {
        let disk = self.context.disk.clone();
        let path = self.context.progress.file(&self.context.directory, "send");
        let cluster = *self
            .context
            .cluster
            .get()
            .ok_or_else(|| io::Error::other("no cluster"))?;
        let write = move || -> io::Result<SnapshotBody> {
            let kept = match data {
                SnapshotData::File(file) => file,
                SnapshotData::Live(read) => {
                    let file = SnapshotFile { disk, path };
                    export_to_file(&*file.disk, &file.path, &read, cluster)?;
                    file
                }
            };
            let file = kept.disk.open(&kept.path)?;
            Ok(SnapshotBody {
                file,
                offset: 0,
                _kept: kept,
            })
        };
        self.context.blocking.run(write).await?
    }

    async fn send_snapshot(
        &self,
        message: Bytes,
        data: SnapshotData<S::Read>,
        idle: Duration,
    ) -> Result<Response, RPCError<Types<R>>> {
        let body = self.spool(data).await.map_err(NetworkError::from_string)?;
        let answer = self
            .context
            .transport
            .send_snapshot(&self.address, message, body, idle)
            .await;
        self.response(answer)
    }
}

impl<S: Store, R: AsyncRuntime> RaftNetworkV2<Types<R>> for Network<S, R>
where
    S::Read: ReadTxn,
{
    type SnapshotData = SnapshotData<S::Read>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<R>>, RPCError<Types<R>>> {
        let body = wire::append::<R>(rpc).map_err(|error| NetworkError::new(&error))?;
        // An answer to entries waits for the peer's disk. Whether the peer lives is for heartbeats to find out.
        let patience = match self.lane {
            Lane::Append => option.soft_ttl().max(self.context.append_patience),
            Lane::Heartbeat | Lane::Snapshot => option.soft_ttl(),
        };
        match self.call(body, self.lane, patience).await? {
            Response::Append(appended) => Ok(wire::to_appended::<R>(appended)),
            _ => Err(self.unexpected()),
        }
    }

    /// One message after the other: what comes while one is under way goes together in the next.
    fn stream_append<Q>(
        &mut self,
        input: Q,
        option: RPCOption,
    ) -> BoxFuture<'_, Result<Answers<'_, R>, RPCError<Types<R>>>>
    where
        Q: Stream<Item = AppendEntriesRequest<Types<R>>> + OptionalSend + Unpin + 'static,
    {
        stream_append_sequential(self, gathered::<R>(input), option)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        self.ballot(RequestBody::Vote(wire::ballot::<R>(&rpc)), option)
            .await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        self.ballot(RequestBody::PreVote(wire::ballot::<R>(&rpc)), option)
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types<R>>,
        snapshot: SnapshotOf<Types<R>, Self::SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types<R>>, StreamingError<Types<R>>> {
        let membership =
            encode_stored::<R>(&snapshot.meta.last_membership).map_err(|error| NetworkError::new(&error))?;
        let body = RequestBody::Snapshot {
            vote: wire::vote::<R>(&vote),
            last: snapshot.meta.last_log_id.as_ref().map(wire::id::<R>),
            membership: membership.into(),
        };
        let message = self.message(body)?;
        let sent = self.send_snapshot(message, snapshot.snapshot, option.soft_ttl());
        match Types::<R>::select2(sent, cancel).await {
            Select2::First(Ok(Response::Snapshot { vote })) => {
                Ok(SnapshotResponse::new(wire::to_vote::<R>(vote)))
            }
            Select2::First(Ok(_)) => Err(self.unexpected().into()),
            Select2::First(Err(error)) => Err(error.into()),
            Select2::Second(closed) => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<R>>, RPCError<Types<R>>> {
        let body = RequestBody::TransferLeader {
            vote: wire::vote::<R>(request.from_leader()),
            successor: MemberId(*request.to_node_id()),
            last: request.last_log_id().map(wire::id::<R>),
        };
        match self.call(body, Lane::Heartbeat, option.soft_ttl()).await? {
            Response::TransferLeader => Ok(Ok(())),
            _ => Err(self.unexpected()),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(self.context.retry)))
    }
}

/// The same messages, but for those that only tell what is committed when another one that tells it too comes soon. The answer to the later one
/// is an answer to both.
fn gathered<R: AsyncRuntime>(
    input: impl Stream<Item = AppendEntriesRequest<Types<R>>> + OptionalSend + Unpin + 'static,
) -> impl Stream<Item = AppendEntriesRequest<Types<R>>> + OptionalSend + Unpin + 'static {
    Box::pin(stream::unfold(input.fuse(), |mut input| async move {
        let mut message = input.next().await?;
        if message.entries.is_empty()
            && let Ok(Some(next)) = Types::<R>::timeout(COMMIT_WAIT, input.next()).await
        {
            message = next;
        }
        Some((message, input))
    }))
}

/// How long a message of this size may take.
fn time_for(small: Duration, bytes: usize) -> Duration {
    small + Duration::from_secs_f64(bytes as f64 / RATE_MIN as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_message_has_time_on_a_line_of_one_mbit_and_a_heartbeat_has_no_more_than_before() {
        let small = Duration::from_millis(75);
        assert!(
            time_for(small, geode_wire::FRAME_BYTES_MAX) > Duration::from_secs(16 * 1024 * 1024 / 125_000)
        );
        assert!(time_for(small, 100) < small + Duration::from_millis(5));
    }
}
