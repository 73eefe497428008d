//! From peers to openraft: what a transport gives every message to.

use super::blocking::Blocking;
use super::contact::Contact;
use super::network::BoxFuture;
use super::propose::confirmed_index;
use super::settings::Adopt;
use super::snapshot::{SnapshotData, SnapshotFile};
use super::state_machine::{Progress, StateMachine};
use super::types::{Types, decode_stored};
use super::wire::{self, Request, RequestBody, Response, WireError};
use bytes::Bytes;
use geode_log::disk::{FileSink, FileSource};
use geode_log::{Disk, Writer};
use geode_store::Store;
use geode_types::{ClusterId, Incarnation, MemberId};
use openraft::AsyncRuntime;
use openraft::alias::{SnapshotMetaOf, SnapshotOf, VoteOf};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest};
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How much of a received snapshot is read at once to check it.
const CHECK_BYTES: usize = 256 * 1024;

/// The receiving end of a transport.
pub trait RaftService: Send + Sync + 'static {
    /// Answers a message.
    fn handle(&self, message: Bytes) -> BoxFuture<'static, Bytes>;

    /// Begins to take in a snapshot that follows its message; or the refusal to answer with.
    fn begin_snapshot(&self, message: Bytes) -> Result<Box<dyn SnapshotReceiver>, Bytes>;
}

/// Takes in a snapshot. Dropped before [`SnapshotReceiver::finish`], it leaves no trace.
pub trait SnapshotReceiver: Send {
    /// The next part of its content.
    fn chunk(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// All of it is here: it is verified and installed. The answer.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Bytes>;
}

/// Which cluster this member belongs to, and how it becomes part of one.
pub(super) struct Belonging {
    pub(super) me: MemberId,
    pub(super) cluster: Arc<OnceLock<ClusterId>>,
    pub(super) incarnation: Arc<OnceLock<Incarnation>>,
    pub(super) adopt: Adopt,
    pub(super) writer: Writer,
    /// Held while a cluster is adopted.
    pub(super) adopting: Mutex<()>,
}

impl Belonging {
    /// Becomes part of a cluster, durably, before anything of it is stored. Calling it again for the same one changes nothing.
    pub(super) fn adopt(&self, cluster: ClusterId, incarnation: Incarnation) -> io::Result<()> {
        let _guard = self.adopting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = self.cluster.get() {
            if *mine == cluster {
                return Ok(());
            }
            return Err(io::Error::other(format!("this member belongs to cluster {mine}")));
        }
        (self.adopt)(cluster, incarnation)?;
        self.writer.set_cluster(cluster).map_err(io::Error::other)?;
        let _ = self.incarnation.set(incarnation);
        let _ = self.cluster.set(cluster);
        Ok(())
    }

    /// Whether a message is meant for this member. An empty member joins the cluster that knows its id: ids are random and never
    /// reused, so only a leader that was told to add it can know it.
    fn check(&self, request: &Request) -> Result<(), String> {
        if request.to != self.me {
            return Err(format!("this is member {}, not {}", self.me, request.to));
        }
        if let Some(mine) = self.cluster.get() {
            if *mine != request.cluster {
                return Err(format!(
                    "this member belongs to cluster {mine}, not to {}",
                    request.cluster
                ));
            }
            let lineage = self.incarnation.get().copied().unwrap_or_default();
            if lineage != request.incarnation {
                return Err(format!(
                    "this member is of incarnation {lineage}, not of {}",
                    request.incarnation
                ));
            }
            return Ok(());
        }
        self.adopt(request.cluster, request.incarnation)
            .map_err(|error| error.to_string())
    }
}

/// openraft behind [`RaftService`].
pub(super) struct Inbound<S: Store, R: AsyncRuntime> {
    pub(super) raft: openraft::Raft<Types<R>, StateMachine<S, R>>,
    pub(super) belonging: Arc<Belonging>,
    pub(super) contact: Arc<Contact<R>>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) progress: Arc<Progress<R>>,
    pub(super) blocking: Blocking,
}

fn answer(response: &Response) -> Bytes {
    wire::encode(response).unwrap_or_default()
}

fn refuse(reason: impl ToString) -> Bytes {
    answer(&Response::Refused(reason.to_string()))
}

impl<S: Store, R: AsyncRuntime> Inbound<S, R> {
    fn open(&self, message: &[u8]) -> Result<Request, String> {
        let request: Request = wire::decode(message).map_err(|error| error.to_string())?;
        self.belonging.check(&request)?;
        Ok(request)
    }
}

async fn dispatch<S: Store, R: AsyncRuntime>(
    raft: openraft::Raft<Types<R>, StateMachine<S, R>>,
    contact: &Contact<R>,
    body: RequestBody,
) -> Result<Response, String> {
    let text = |error: WireError| error.to_string();
    match body {
        RequestBody::Append {
            vote,
            previous,
            entries,
            commit,
        } => {
            let entries = entries
                .into_iter()
                .map(wire::to_entry::<R>)
                .collect::<Result<_, _>>()
                .map_err(text)?;
            let request = AppendEntriesRequest {
                vote: wire::to_vote::<R>(vote),
                prev_log_id: previous.map(wire::to_id::<R>),
                entries,
                leader_commit: commit.map(wire::to_id::<R>),
            };
            let response = raft
                .append_entries(request)
                .await
                .map_err(|error| error.to_string())?;
            if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                contact.heard();
            }
            Ok(Response::Append(wire::appended::<R>(&response)))
        }
        RequestBody::Vote(ballot) => {
            let response = raft
                .vote(wire::to_ballot::<R>(ballot))
                .await
                .map_err(|error| error.to_string())?;
            Ok(wire::voted::<R>(&response))
        }
        RequestBody::PreVote(ballot) => {
            let response = raft
                .pre_vote(wire::to_ballot::<R>(ballot))
                .await
                .map_err(|error| error.to_string())?;
            Ok(wire::voted::<R>(&response))
        }
        RequestBody::TransferLeader {
            vote,
            successor,
            last,
        } => {
            let request =
                TransferLeaderRequest::new(wire::to_vote::<R>(vote), successor.0, last.map(wire::to_id::<R>));
            let response = raft
                .handle_transfer_leader(request)
                .await
                .map_err(|error| error.to_string())?;
            response
                .map(|()| Response::TransferLeader)
                .map_err(|error| error.to_string())
        }
        RequestBody::Snapshot { .. } => Err("a snapshot must be sent with its content".to_owned()),
        RequestBody::ReadIndex => {
            let confirmed = confirmed_index(&raft).await;
            confirmed
                .map(Response::ReadIndex)
                .map_err(|error| error.to_string())
        }
    }
}

impl<S: Store, R: AsyncRuntime> RaftService for Inbound<S, R> {
    fn handle(&self, message: Bytes) -> BoxFuture<'static, Bytes> {
        let opened = self.open(&message);
        let (raft, contact) = (self.raft.clone(), self.contact.clone());
        Box::pin(async move {
            match opened {
                Ok(request) => match dispatch(raft, &contact, request.body).await {
                    Ok(response) => answer(&response),
                    Err(reason) => refuse(reason),
                },
                Err(reason) => refuse(reason),
            }
        })
    }

    fn begin_snapshot(&self, message: Bytes) -> Result<Box<dyn SnapshotReceiver>, Bytes> {
        let request = self.open(&message).map_err(refuse)?;
        let RequestBody::Snapshot {
            vote,
            last,
            membership,
        } = request.body
        else {
            return Err(refuse("only a snapshot has content"));
        };
        let last_membership = decode_stored::<R>(&membership).map_err(refuse)?;
        let path = self.progress.file(&self.directory, "receive");
        let file = self.disk.create(&path).map_err(refuse)?;
        Ok(Box::new(Receiving {
            raft: self.raft.clone(),
            blocking: self.blocking,
            vote: wire::to_vote::<R>(vote),
            meta: SnapshotMetaOf::<Types<R>> {
                last_log_id: last.map(wire::to_id::<R>),
                last_membership,
            },
            received: Some((
                FileSink::new(file),
                SnapshotFile {
                    disk: self.disk.clone(),
                    path,
                },
            )),
        }))
    }
}

struct Receiving<S: Store, R: AsyncRuntime> {
    raft: openraft::Raft<Types<R>, StateMachine<S, R>>,
    blocking: Blocking,
    vote: VoteOf<Types<R>>,
    meta: SnapshotMetaOf<Types<R>>,
    received: Option<(FileSink, SnapshotFile)>,
}

impl<S: Store, R: AsyncRuntime> Receiving<S, R> {
    async fn install(&mut self) -> Result<Response, String> {
        let (sink, file) = self.received.take().ok_or("the snapshot was received already")?;
        // openraft takes a snapshot that cannot be installed for a broken disk, and ends. What a peer sent is its affair, not ours.
        let received = self.blocking.run(move || -> Result<SnapshotFile, String> {
            sink.finish().map_err(|error| error.to_string())?;
            let source = file.disk.open(&file.path).map_err(|error| error.to_string())?;
            let mut source = BufReader::with_capacity(CHECK_BYTES, FileSource::new(source, 0));
            geode_graph::check(&mut source).map_err(|error| error.to_string())?;
            Ok(file)
        });
        let file = received.await.map_err(|error| error.to_string())??;
        let snapshot = SnapshotOf::<Types<R>, _> {
            meta: self.meta.clone(),
            snapshot: SnapshotData::File(file),
        };
        let response = self
            .raft
            .install_full_snapshot(self.vote, snapshot)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Response::Snapshot {
            vote: wire::vote::<R>(&response.vote),
        })
    }
}

impl<S: Store, R: AsyncRuntime> SnapshotReceiver for Receiving<S, R> {
    fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.received {
            Some((sink, _)) => sink.write_all(bytes),
            None => Err(io::Error::other("the snapshot was received already")),
        }
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Bytes> {
        Box::pin(async move {
            match self.install().await {
                Ok(response) => answer(&response),
                Err(reason) => refuse(reason),
            }
        })
    }
}
