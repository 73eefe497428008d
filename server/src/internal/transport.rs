//! QUIC between members. One UDP socket listens and dials; to every peer there are three connections ([`Lane`], kept by [`Links`]), so
//! that a heartbeat never waits behind a snapshot. A stream begins with its kind; one of Raft's carries calls or a snapshot.
//!
//! It must not know what a message means.

use super::calls::{CALLS, Line, serve_calls};
use super::links::{Links, resolve};
use crate::raft::{BoxFuture, Lane, PeerTransport, RaftService, SnapshotBody, TransportError as PeerError};
use crate::tls::{CertificateError, TlsMaterial, TlsWatch, internal_listener};
use bytes::Bytes;
use geode_client::tls::{Trust, client_config};
use geode_types::{FeatureLevel, MemberId};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{InternalRequest, StreamKind};
use geode_wire::{FRAME_BYTES_MAX, INTERNAL_ALPN, WireError, close_code, decode, read_frame, write_frame};
use quinn::{
    ClientConfig, Connection, Endpoint, Incoming, RecvStream, SendStream, ServerConfig, TransportConfig,
    VarInt,
};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A peer that is silent for longer is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_millis(700);
/// What a way there and back is taken to need before one was measured. Members are near each other: with QUIC's usual 333 ms (RFC 9002,
/// section 6.2.2) what is lost of a handshake is sent again after a second, half of the time that a dialler waits. Where members are farther
/// apart, a handshake is a few datagrams more.
const INITIAL_RTT: Duration = Duration::from_millis(50);
/// Requests that one connection may have open at a time.
const STREAMS_MAX: u32 = 1024;
/// How long a peer may take to send a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a snapshot is taken in at once, bytes.
const SNAPSHOT_CHUNK: usize = 256 * 1024;

/// The second byte of a Raft stream that carries a snapshot.
const SNAPSHOT: u8 = 1;

/// The internal port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No socket.
    #[error("cannot listen on {address} (UDP, server.internal_listen): {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Unusable certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
}

/// Answers API streams.
pub(crate) trait ApiService: Send + Sync + 'static {
    /// Answers one request; writes its reply frame (and what follows it) to `send`.
    fn answer(&self, request: InternalRequest, send: SendStream)
    -> BoxFuture<'static, Result<(), WireError>>;
}

/// The internal port of a member. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport {
    endpoint: Endpoint,
    tls: TlsWatch,
    links: Links,
}

impl Transport {
    /// Opens the socket; nothing is answered before [`Transport::serve`].
    pub(crate) async fn bind(
        listen: &str,
        me: MemberId,
        level: FeatureLevel,
        tls: TlsWatch,
    ) -> Result<Self, TransportError> {
        let failed = |source| TransportError::Listen {
            address: listen.to_owned(),
            source,
        };
        let address = resolve(listen).await.map_err(failed)?;
        let config = server_config(&tls.borrow())?;
        let endpoint = Endpoint::server(config, address).map_err(failed)?;
        Ok(Self {
            links: Links::new(endpoint.clone(), tls.clone(), me, level),
            endpoint,
            tls,
        })
    }

    /// From now on these are the peers: connections to them stand before they are needed.
    pub(crate) fn keep(&self, peers: Vec<MemberAddress>) {
        self.links.keep(peers);
    }

    /// Answers peers until [`Transport::close`]; new certificates are used for new connections.
    pub(crate) async fn serve(self, raft: Arc<dyn RaftService>, api: Arc<dyn ApiService>) {
        let links = self.links.clone();
        let services = Services { raft, api, links };
        let mut tls = self.tls.clone();
        let mut tended = std::pin::pin!(self.links.tend());
        loop {
            tokio::select! {
                () = &mut tended => return,
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => drop(tokio::spawn(serve_connection(incoming, services.clone()))),
                    None => return,
                },
                Ok(()) = tls.changed() => match server_config(&tls.borrow_and_update()) {
                    Ok(config) => self.endpoint.set_server_config(Some(config)),
                    Err(error) => tracing::error!(%error, "the internal port keeps its old certificates"),
                },
            }
        }
    }

    /// Whether a member has made a connection and introduced itself.
    #[cfg(test)]
    pub(crate) fn has_heard(&self, member: MemberId) -> bool {
        self.links.has_heard(member)
    }

    /// Where it listens, for tests that let the system choose a port.
    #[cfg(test)]
    pub(crate) fn local_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Ends all connections.
    pub(crate) fn close(&self) {
        self.endpoint
            .close(VarInt::from_u32(close_code::SHUTDOWN), b"shutting down");
    }

    /// One exchange. Silence is no reason for another connection: QUIC knows when a peer is gone.
    async fn exchange<'a, F>(
        &self,
        peer: &MemberAddress,
        lane: Lane,
        act: impl FnOnce(Line) -> F,
    ) -> Result<Bytes, PeerError>
    where
        F: Future<Output = Result<Bytes, WireError>> + 'a,
    {
        let line = self.links.line(peer, lane).await;
        let line = line.map_err(|reason| PeerError::Unreachable(reason.to_string()))?;
        act(line)
            .await
            .map_err(|error| PeerError::Broken(format!("{}: {error}", peer.name)))
    }
}

impl PeerTransport for Transport {
    fn call(
        &self,
        peer: &MemberAddress,
        lane: Lane,
        message: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, PeerError>> {
        let peer = peer.clone();
        Box::pin(async move {
            let act = |line: Line| async move { within(timeout, line.call(&message)).await };
            self.exchange(&peer, lane, act).await
        })
    }

    fn send_snapshot(
        &self,
        peer: &MemberAddress,
        message: Bytes,
        body: SnapshotBody,
        idle: Duration,
    ) -> BoxFuture<'_, Result<Bytes, PeerError>> {
        let peer = peer.clone();
        Box::pin(async move {
            self.exchange(&peer, Lane::Snapshot, |line| {
                send_snapshot(line.connection, message, body, idle)
            })
            .await
        })
    }

    fn level(&self, peer: MemberId) -> Option<FeatureLevel> {
        self.links.level(peer)
    }
}

async fn send_snapshot(
    connection: Connection,
    message: Bytes,
    mut body: SnapshotBody,
    idle: Duration,
) -> Result<Bytes, WireError> {
    let (send, mut receive) = connection.open_bi().await.map_err(io::Error::from)?;
    let mut whole = Whole {
        send,
        finished: false,
    };
    let send = &mut whole.send;
    send.write_all(&[StreamKind::Raft as u8, SNAPSHOT])
        .await
        .map_err(io::Error::from)?;
    write_frame(send, &message).await?;
    while let Some(chunk) = body.chunk()? {
        let sent = within(idle, async {
            send.write_chunk(chunk)
                .await
                .map_err(|error| io::Error::from(error).into())
        })
        .await;
        if let Err(error) = sent {
            // A refusal stops the stream: its reply says more than "stopped".
            return reply(&mut receive).await.map_err(|_| error);
        }
    }
    finish(send)?;
    whole.finished = true;
    within(idle, reply(&mut receive)).await
}

/// A stream whose end says that all was sent. quinn finishes a stream that is dropped, so one that is given up must be reset.
struct Whole {
    send: SendStream,
    finished: bool,
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.send.reset(VarInt::from_u32(0));
        }
    }
}

async fn reply(receive: &mut RecvStream) -> Result<Bytes, WireError> {
    let frame = read_frame(receive, FRAME_BYTES_MAX).await?;
    frame.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
}

pub(super) fn finish(send: &mut SendStream) -> Result<(), WireError> {
    send.finish()
        .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
}

async fn within<T>(
    timeout: Duration,
    act: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    tokio::time::timeout(timeout, act)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

#[derive(Clone)]
struct Services {
    raft: Arc<dyn RaftService>,
    api: Arc<dyn ApiService>,
    links: Links,
}

async fn serve_connection(incoming: Incoming, services: Services) {
    let from = incoming.remote_address();
    let connection = match incoming.await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(%from, %error, "an internal connection was not completed");
            return;
        }
    };
    while let Ok((send, receive)) = connection.accept_bi().await {
        let (services, connection) = (services.clone(), connection.clone());
        tokio::spawn(async move {
            match serve_stream(&connection, send, receive, services).await {
                Ok(()) => {}
                Err(WireError::Io(_)) => {}
                Err(error @ WireError::TooLarge { .. }) => close(&connection, close_code::TOO_LARGE, &error),
                Err(error @ WireError::Malformed(_)) => close(&connection, close_code::MALFORMED, &error),
            }
        });
    }
}

fn close(connection: &Connection, code: u32, error: &WireError) {
    tracing::warn!(from = %connection.remote_address(), %error, "an internal connection is closed");
    connection.close(VarInt::from_u32(code), error.to_string().as_bytes());
}

async fn serve_stream(
    connection: &Connection,
    send: SendStream,
    mut receive: RecvStream,
    services: Services,
) -> Result<(), WireError> {
    let mut kind = [0; 1];
    within(REQUEST_TIMEOUT, async {
        receive.read_exact(&mut kind).await.map_err(unfinished)
    })
    .await?;
    match StreamKind::from_byte(kind[0]) {
        Some(StreamKind::Api) => {
            let frame = within(REQUEST_TIMEOUT, reply(&mut receive)).await?;
            services.api.answer(decode(&frame)?, send).await
        }
        Some(StreamKind::Raft) => serve_raft(send, receive, services.raft).await,
        Some(StreamKind::Hello) => {
            let frame = within(REQUEST_TIMEOUT, reply(&mut receive)).await?;
            services.links.heard(decode(&frame)?, connection.remote_address());
            Ok(())
        }
        None => Err(WireError::Malformed(format!(
            "unknown kind of stream {}",
            kind[0]
        ))),
    }
}

async fn serve_raft(
    mut send: SendStream,
    mut receive: RecvStream,
    raft: Arc<dyn RaftService>,
) -> Result<(), WireError> {
    let mut kind = [0; 1];
    within(REQUEST_TIMEOUT, async {
        receive.read_exact(&mut kind).await.map_err(unfinished)
    })
    .await?;
    let message = within(REQUEST_TIMEOUT, reply(&mut receive)).await?;
    let answer = match kind[0] {
        CALLS => return serve_calls(message, send, receive, raft).await,
        SNAPSHOT => match raft.begin_snapshot(message) {
            Ok(mut receiver) => {
                loop {
                    let next = within(REQUEST_TIMEOUT, async {
                        receive
                            .read_chunk(SNAPSHOT_CHUNK, true)
                            .await
                            .map_err(|error| io::Error::from(error).into())
                    });
                    let Some(chunk) = next.await? else { break };
                    // The file system is the bottleneck here, not this thread: chunks are small and written through the page cache.
                    receiver.chunk(&chunk.bytes)?;
                }
                receiver.finish().await
            }
            Err(refusal) => refusal,
        },
        other => {
            return Err(WireError::Malformed(format!(
                "unknown kind of Raft stream {other}"
            )));
        }
    };
    write_frame(&mut send, &answer).await?;
    finish(&mut send)
}

fn unfinished(error: quinn::ReadExactError) -> WireError {
    match error {
        quinn::ReadExactError::FinishedEarly(_) => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
        quinn::ReadExactError::ReadError(error) => io::Error::from(error).into(),
    }
}

fn transport_config() -> Arc<TransportConfig> {
    static CONFIG: OnceLock<Arc<TransportConfig>> = OnceLock::new();
    let make = || {
        let mut config = TransportConfig::default();
        config.max_idle_timeout(Some(
            IDLE_TIMEOUT.try_into().expect("3 s fit QUIC's idle timeout"),
        ));
        config.keep_alive_interval(Some(KEEP_ALIVE));
        config.initial_rtt(INITIAL_RTT);
        config.max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX));
        config.max_concurrent_uni_streams(VarInt::from_u32(0));
        Arc::new(config)
    };
    CONFIG.get_or_init(make).clone()
}

pub(super) fn server_config(material: &TlsMaterial) -> Result<ServerConfig, CertificateError> {
    let tls = internal_listener(material).map_err(|error| CertificateError::Unusable(error.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(transport_config());
    Ok(config)
}

pub(super) fn dial_config(material: &TlsMaterial) -> Result<ClientConfig, CertificateError> {
    let trust = Trust::Authorities(material.ca_pem.clone());
    let config = client_config(&trust, Some(&material.identity), INTERNAL_ALPN);
    let mut config = config.map_err(|error| CertificateError::Unusable(error.to_string()))?;
    config.transport_config(transport_config());
    Ok(config)
}

/// The transport of a member that will stay alone.
pub(crate) struct NoPeers;

impl PeerTransport for NoPeers {
    fn call(
        &self,
        peer: &MemberAddress,
        _: Lane,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'_, Result<Bytes, PeerError>> {
        let refusal = no_internal_port(peer);
        Box::pin(async move { Err(refusal) })
    }

    fn send_snapshot(
        &self,
        peer: &MemberAddress,
        _: Bytes,
        _: SnapshotBody,
        _: Duration,
    ) -> BoxFuture<'_, Result<Bytes, PeerError>> {
        let refusal = no_internal_port(peer);
        Box::pin(async move { Err(refusal) })
    }

    fn level(&self, _: MemberId) -> Option<FeatureLevel> {
        None
    }
}

fn no_internal_port(peer: &MemberAddress) -> PeerError {
    PeerError::Unreachable(format!(
        "{} cannot be reached: this member has no internal port (server.internal_listen)",
        peer.name
    ))
}
