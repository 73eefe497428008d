//! A session on a QUIC stream: frames in, frames out.
//!
//! A peer that sends what is no message, or too large, or too slowly loses its connection, with a code that says why; the server goes on.

use super::{Session, SessionMetrics};
use crate::pipeline::{FRAMES_WAITING, Output, Pipeline, Refusal, Replication};
use geode_graph::UserRecord;
use geode_query::forbidden;
use geode_types::{ErrorClass, QueryError};
use geode_wire::client::{ClientReply, ClientRequest, ClusterView, Done, Execute, MemberAddress};
use geode_wire::{FRAME_BYTES_MAX, WireError, append_frame, close_code, decode, encode, read_frame};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};

/// How long a frame may take from its first byte to its last.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a frame may wait for a client that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server that shuts down waits for a client to have its last answer: some round trips.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// Pieces of an answer that are there at the same time are sent together, up to this size.
const TOGETHER_BYTES: usize = 32 << 10;

/// What sessions ask of the member as a whole.
pub(crate) trait ClusterAccess: Send + Sync + 'static {
    /// The cluster as this member sees it.
    fn view(&self) -> ClusterView;

    /// Moves leadership to the member with this name, or to the best one; returns when another member leads.
    fn transfer_leader(
        &self,
        to: Option<String>,
    ) -> Pin<Box<dyn Future<Output = Result<(), TransferRefused>> + Send + '_>>;
}

/// Why leadership did not move.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum TransferRefused {
    /// Only the leader gives it away.
    #[error("this member does not lead")]
    NotLeader(Option<MemberAddress>),
    /// It stays where it is, for this reason.
    #[error("{0}")]
    Refused(String),
}

/// What all sessions of a server share.
pub(crate) struct Service<R: Replication> {
    /// Runs statements.
    pub pipeline: Arc<Pipeline<R>>,
    /// The member as a whole.
    pub member: Arc<dyn ClusterAccess>,
    /// Where statements are counted.
    pub metrics: SessionMetrics,
    /// True once the server is shutting down.
    pub closing: watch::Receiver<bool>,
}

/// Why a session's connection has to be closed.
#[derive(Debug)]
pub(crate) struct Offence {
    pub(crate) code: u32,
    pub(crate) reason: String,
}

/// Serves a session until its peer ends it, or until it is idle and the server is shutting down.
pub(crate) async fn serve<R: Replication>(
    service: Arc<Service<R>>,
    connection: Connection,
    user: Arc<UserRecord>,
    send: SendStream,
    recv: RecvStream,
) {
    let mut stream = Stream {
        session: Session::new(service.pipeline.clone(), user.clone()),
        service: &service,
        user: &user,
        send,
        recv,
    };
    let ended = stream.run().await;
    if *service.closing.borrow() && stream.send.finish().is_ok() {
        // A connection that is closed forgets what its peer has not read yet.
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, stream.send.stopped()).await;
    }
    if let Err(offence) = ended {
        tracing::info!(peer = %connection.remote_address(), user = user.name, reason = offence.reason, "a connection is closed");
        connection.close(VarInt::from_u32(offence.code), offence.reason.as_bytes());
    }
}

struct Stream<'a, R: Replication> {
    session: Session<R>,
    service: &'a Service<R>,
    user: &'a UserRecord,
    send: SendStream,
    recv: RecvStream,
}

impl<R: Replication> Stream<'_, R> {
    async fn run(&mut self) -> Result<(), Offence> {
        while let Some(request) = self.next_request().await? {
            let going_on = match request {
                ClientRequest::Execute(execute) => self.execute(execute).await?,
                ClientRequest::Ping => self.reply(&ClientReply::Pong).await?,
                ClientRequest::Cluster => {
                    self.reply(&ClientReply::Cluster(self.service.member.view()))
                        .await?
                }
                ClientRequest::TransferLeader { to } => self.transfer_leader(to).await?,
                ClientRequest::SetReadOnly { on } => self.set_read_only(on).await?,
                ClientRequest::Hello(_) => return Err(malformed("a second greeting")),
            };
            if !going_on {
                break;
            }
        }
        Ok(())
    }

    /// The next request; `None` when the peer has finished, or when the server is closing and the session is idle.
    async fn next_request(&mut self) -> Result<Option<ClientRequest>, Offence> {
        let mut first = [0];
        loop {
            let expires = self.session.expires();
            let mut closing = self.service.closing.clone();
            tokio::select! {
                read = self.recv.read(&mut first) => match read {
                    Ok(Some(_)) => break,
                    Ok(None) | Err(_) => return Ok(None),
                },
                () = until(expires) => self.expire(),
                _ = closing.wait_for(|closing| *closing), if expires.is_none() => return Ok(None),
            }
        }
        let mut rest = first.as_slice().chain(&mut self.recv);
        match tokio::time::timeout(FRAME_TIMEOUT, read_frame(&mut rest, FRAME_BYTES_MAX)).await {
            Ok(Ok(Some(frame))) => decode(&frame)
                .map(Some)
                .map_err(|error| malformed(&error.to_string())),
            Ok(Ok(None) | Err(WireError::Io(_))) => Ok(None),
            Ok(Err(WireError::TooLarge { announced, limit })) => Err(Offence {
                code: close_code::TOO_LARGE,
                reason: format!("a frame of {announced} bytes passes {limit}"),
            }),
            Ok(Err(error)) => Err(malformed(&error.to_string())),
            Err(_) => Err(Offence {
                code: close_code::TOO_SLOW,
                reason: "a frame was not finished in time".to_owned(),
            }),
        }
    }

    fn expire(&mut self) {
        if let Some(ended) = self.session.transaction() {
            self.service.metrics.transaction(ended.began.elapsed());
        }
        self.session.expire();
    }

    /// Runs a statement; false when the peer is gone or has closed the session.
    async fn execute(&mut self, execute: Execute) -> Result<bool, Offence> {
        let start = Instant::now();
        let before = self.session.transaction();
        let (out, mut pieces) = mpsc::channel(FRAMES_WAITING);
        let gone = self.send.stopped();
        let (session, send) = (&mut self.session, &mut self.send);
        let running = async {
            let ended = session.execute(execute, &out).await;
            drop(out);
            Ok(ended)
        };
        let sending = async {
            let mut waiting = Vec::new();
            loop {
                let piece = match pieces.try_recv() {
                    Ok(piece) => Some(piece),
                    Err(TryRecvError::Disconnected) => None,
                    Err(TryRecvError::Empty) => {
                        flush(send, &mut waiting).await?;
                        pieces.recv().await
                    }
                };
                let reply = match piece {
                    Some(Output::Columns(columns)) => ClientReply::Columns(columns),
                    Some(Output::Rows(rows)) => ClientReply::Rows(rows),
                    None => return Ok(waiting),
                };
                append(&mut waiting, &reply)?;
                if waiting.len() >= TOGETHER_BYTES {
                    flush(send, &mut waiting).await?;
                }
            }
        };
        let answered = async { tokio::try_join!(running, sending) };
        let (ended, mut waiting) = tokio::select! {
            biased;
            answered = answered => match answered {
                Ok(answered) => answered,
                Err(Stopped::Gone) => return Ok(false),
                Err(Stopped::Offence(offence)) => return Err(offence),
            },
            // Nobody waits for the answer: the statement is stopped, unless it is being committed already.
            _ = gone => return Ok(false),
        };
        if !matches!(ended, Err(Refusal::NotLeader(_))) {
            self.service.metrics.statement(start.elapsed(), ended.is_ok());
        }
        if let (Some(ended), None) = (before, self.session.transaction()) {
            self.service.metrics.transaction(ended.began.elapsed());
        }
        told(append(&mut waiting, &answer(ended)))?;
        let there = told(flush(&mut self.send, &mut waiting).await)?;
        Ok(there && !self.session.is_closed())
    }

    /// Administrators pass.
    fn forbidden(&self, what: &str) -> Option<ClientReply> {
        let refused = match self.service.pipeline.access(self.user) {
            Ok(access) if access.rights.is_administrator => return None,
            Ok(access) => forbidden(&access.user, what),
            Err(refused) => refused,
        };
        Some(ClientReply::Failed(Box::new(refused)))
    }

    async fn set_read_only(&mut self, on: bool) -> Result<bool, Offence> {
        if let Some(refused) = self.forbidden("make the database read-only") {
            return self.reply(&refused).await;
        }
        let switched = self.service.pipeline.set_read_only(on, &self.user.name).await;
        let done = switched.map(|lsn| Done {
            lsn: Some(lsn),
            ..Done::default()
        });
        self.reply(&answer(done)).await
    }

    async fn transfer_leader(&mut self, to: Option<String>) -> Result<bool, Offence> {
        if let Some(refused) = self.forbidden("move leadership") {
            return self.reply(&refused).await;
        }
        let reply = match self.service.member.transfer_leader(to).await {
            Ok(()) => ClientReply::Cluster(self.service.member.view()),
            Err(TransferRefused::NotLeader(leader)) => ClientReply::NotLeader { leader },
            Err(TransferRefused::Refused(reason)) => {
                let error =
                    QueryError::runtime(ErrorClass::ArgumentError, "TransferRefused", "22000", reason);
                ClientReply::Failed(Box::new(error))
            }
        };
        self.reply(&reply).await
    }

    /// Sends an answer; false when the peer is gone.
    async fn reply(&mut self, reply: &ClientReply) -> Result<bool, Offence> {
        let mut frame = Vec::new();
        told(append(&mut frame, reply))?;
        told(flush(&mut self.send, &mut frame).await)
    }
}

enum Stopped {
    Gone,
    Offence(Offence),
}

/// Whether the peer is still there.
fn told(sent: Result<(), Stopped>) -> Result<bool, Offence> {
    match sent {
        Ok(()) => Ok(true),
        Err(Stopped::Gone) => Ok(false),
        Err(Stopped::Offence(offence)) => Err(offence),
    }
}

fn append(waiting: &mut Vec<u8>, reply: &ClientReply) -> Result<(), Stopped> {
    append_frame(waiting, &encode(reply)).map_err(|error| {
        Stopped::Offence(Offence {
            code: close_code::TOO_LARGE,
            reason: error.to_string(),
        })
    })
}

/// Sends what waits.
async fn flush(send: &mut SendStream, waiting: &mut Vec<u8>) -> Result<(), Stopped> {
    if waiting.is_empty() {
        return Ok(());
    }
    let sent = tokio::time::timeout(WRITE_TIMEOUT, send.write_all(waiting)).await;
    waiting.clear();
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Stopped::Gone),
        Err(_) => Err(Stopped::Offence(Offence {
            code: close_code::TOO_SLOW,
            reason: "the answer was not read in time".to_owned(),
        })),
    }
}

fn answer(ended: Result<Done, Refusal>) -> ClientReply {
    match ended {
        Ok(done) => ClientReply::Done(done),
        Err(Refusal::NotLeader(leader)) => ClientReply::NotLeader { leader },
        Err(Refusal::Failed(error)) => ClientReply::Failed(error),
    }
}

pub(crate) fn malformed(what: &str) -> Offence {
    Offence {
        code: close_code::MALFORMED,
        reason: what.to_owned(),
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
