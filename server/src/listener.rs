//! The client port: accepts QUIC connections, lets users in, and gives every further stream to a session.
//!
//! Everything a stranger can ask for has a limit: handshakes under way, connections, the time until the greeting, its size, sessions of a
//! connection.

use crate::auth::{self, Refused};
use crate::pipeline::Replication;
use crate::session::{Service, malformed, serve};
use crate::tls::{TlsWatch, client_listener};
use geode_client::tls::TlsError;
use geode_graph::UserRecord;
use geode_wire::client::{ClientReply, ClientRequest, Hello, PROTOCOL_VERSION};
use geode_wire::{WireError, close_code, decode, encode, read_frame, write_frame};
use quinn::{Connection, Endpoint, Incoming, ServerConfig, TransportConfig, VarInt};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Sessions of one connection at a time; more wait at the client.
const SESSIONS_PER_CONNECTION: u32 = 128;
/// How long handshake and greeting may take together.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A greeting is small.
const HELLO_BYTES_MAX: usize = 64 << 10;
/// A connection without a sign of life for this long is closed; clients keep theirs alive.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// From so many handshakes under way on, strangers must prove their address first.
const RETRY_ABOVE: usize = 64;
/// Connections beyond the limit are greeted only to be told that the server is busy; beyond this many more they are not.
const BUSY_MARGIN: usize = 64;
/// How often a drain looks whether all is quiet.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// The client port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not an address, or one that cannot be resolved.
    #[error(
        "server.listen: {address:?} is not an address to listen on ({reason}); write host:port, for example 0.0.0.0:3141"
    )]
    Address {
        /// As configured.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The socket.
    #[error("cannot listen on {address} (UDP): {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates.
    #[error("the client port's certificates are unusable: {0}")]
    Tls(#[from] TlsError),
}

/// The open client port.
pub(crate) struct Listener<R: Replication> {
    endpoint: Endpoint,
    service: Arc<Service<R>>,
    connections: Arc<Counter>,
}

impl<R: Replication> Clone for Listener<R> {
    fn clone(&self) -> Self {
        Self {
            endpoint: self.endpoint.clone(),
            service: self.service.clone(),
            connections: self.connections.clone(),
        }
    }
}

struct Counter {
    open: AtomicUsize,
    handshakes: AtomicUsize,
    /// Served now; idle ones end when the server is shutting down.
    sessions: AtomicUsize,
    max: usize,
}

/// One more while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<R: Replication> Listener<R> {
    /// Opens the port and begins to accept.
    pub(crate) fn open(
        address: &str,
        tls: TlsWatch,
        service: Arc<Service<R>>,
        max_connections: u32,
    ) -> Result<Self, ListenError> {
        let wrong = |reason: String| ListenError::Address {
            address: address.to_owned(),
            reason,
        };
        let resolved = address
            .to_socket_addrs()
            .map_err(|error| wrong(error.to_string()))?
            .next()
            .ok_or_else(|| wrong("it has no address".to_owned()))?;
        let config = server_config(&tls)?;
        let endpoint = Endpoint::server(config, resolved).map_err(|source| ListenError::Bind {
            address: resolved,
            source,
        })?;
        let connections = Counter {
            open: 0.into(),
            handshakes: 0.into(),
            sessions: 0.into(),
            max: max_connections as usize,
        };
        let listener = Self {
            endpoint,
            service,
            connections: Arc::new(connections),
        };
        listener.service.metrics.connections(0, listener.connections.max);
        tokio::spawn(listener.clone().accept());
        tokio::spawn(renew(listener.endpoint.clone(), tls));
        Ok(listener)
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Ends in good order, once `service.closing` is true: no new connections, running statements and open transactions get `grace`,
    /// then every connection is closed with `SHUTDOWN`.
    pub(crate) async fn drain(&self, grace: Duration) {
        self.endpoint.set_server_config(None);
        let quiet = async {
            while self.connections.sessions.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        if tokio::time::timeout(grace, quiet).await.is_err() {
            tracing::warn!(?grace, "statements still run; their connections are closed");
        }
        self.endpoint.close(
            VarInt::from_u32(close_code::SHUTDOWN),
            b"the server is shutting down",
        );
        self.endpoint.wait_idle().await;
    }

    async fn accept(self) {
        while let Some(incoming) = self.endpoint.accept().await {
            let open = self.connections.open.load(Ordering::Relaxed);
            let handshakes = self.connections.handshakes.load(Ordering::Relaxed);
            if open >= self.connections.max + BUSY_MARGIN {
                incoming.refuse();
            } else if handshakes >= RETRY_ABOVE
                && !incoming.remote_address_validated()
                && incoming.may_retry()
            {
                // `may_retry` was true, so this cannot fail.
                let _ = incoming.retry();
            } else {
                let listener = self.clone();
                tokio::spawn(async move { listener.connection(incoming).await });
            }
        }
    }

    async fn connection(self, incoming: Incoming) {
        let counter = self.connections.clone();
        let _open = Counted::new(&counter.open);
        self.service
            .metrics
            .connections(counter.open.load(Ordering::Relaxed), counter.max);
        let entered = {
            let _handshake = Counted::new(&counter.handshakes);
            tokio::time::timeout(HELLO_TIMEOUT, self.enter(incoming)).await
        };
        if let Ok(Some((connection, user))) = entered {
            self.sessions(connection, user).await;
        }
        self.service
            .metrics
            .connections(counter.open.load(Ordering::Relaxed) - 1, counter.max);
    }

    /// Handshake and greeting. A connection that is dropped here is closed.
    async fn enter(&self, incoming: Incoming) -> Option<(Connection, Arc<UserRecord>)> {
        let connection = incoming.await.ok()?;
        let close = |code: u32, reason: &str| {
            tracing::info!(peer = %connection.remote_address(), reason, "a client is not let in");
            connection.close(VarInt::from_u32(code), reason.as_bytes());
        };
        if self.connections.open.load(Ordering::Relaxed) > self.connections.max {
            close(
                close_code::BUSY,
                "the server is at its limit of connections (server.max_connections)",
            );
            return None;
        }
        let (mut send, mut recv) = connection.accept_bi().await.ok()?;
        let hello = match read_frame(&mut recv, HELLO_BYTES_MAX).await {
            Ok(Some(frame)) => greeting(&frame),
            Ok(None) | Err(WireError::Io(_)) => return None,
            Err(WireError::TooLarge { .. }) => {
                Err((close_code::TOO_LARGE, "the greeting is too large".to_owned()))
            }
            Err(error) => Err((close_code::MALFORMED, error.to_string())),
        };
        let hello = match hello {
            Ok(hello) => hello,
            Err((code, reason)) => {
                close(code, &reason);
                return None;
            }
        };
        let store = self.service.pipeline.replication().store();
        match auth::check(&**store, &hello.user, &hello.password).await {
            Ok(user) => {
                let welcome = encode(&ClientReply::Welcome(self.service.member.view()));
                write_frame(&mut send, &welcome).await.ok()?;
                tracing::debug!(peer = %connection.remote_address(), user = user.name, client = hello.client, "a client is in");
                Some((connection, Arc::new(user)))
            }
            Err(refused @ Refused::Credentials) => {
                tracing::warn!(peer = %connection.remote_address(), user = hello.user, "wrong user or password");
                close(close_code::UNAUTHENTICATED, &refused.to_string());
                None
            }
            Err(refused @ (Refused::NoUsersYet | Refused::Table(_))) => {
                close(close_code::BUSY, &refused.to_string());
                None
            }
        }
    }

    async fn sessions(&self, connection: Connection, user: Arc<UserRecord>) {
        let mut sessions = JoinSet::new();
        // Ends when the connection does; sessions are then stopped wherever they are.
        while let Ok((send, recv)) = connection.accept_bi().await {
            let (counter, service) = (self.connections.clone(), self.service.clone());
            let (connection, user) = (connection.clone(), user.clone());
            sessions.spawn(async move {
                let _served = Counted::new(&counter.sessions);
                serve(service, connection, user, send, recv).await;
            });
            while sessions.try_join_next().is_some() {}
        }
    }
}

fn greeting(frame: &[u8]) -> Result<Hello, (u32, String)> {
    match decode(frame) {
        Ok(ClientRequest::Hello(hello)) if hello.protocol == PROTOCOL_VERSION => Ok(hello),
        Ok(ClientRequest::Hello(hello)) => Err((
            close_code::MALFORMED,
            format!(
                "the client speaks protocol {}, this server {PROTOCOL_VERSION}; use a client of the server's version",
                hello.protocol
            ),
        )),
        Ok(_) => Err((
            close_code::MALFORMED,
            "the first message must be a greeting".to_owned(),
        )),
        Err(error) => {
            let offence = malformed(&error.to_string());
            Err((offence.code, offence.reason))
        }
    }
}

fn server_config(tls: &TlsWatch) -> Result<ServerConfig, TlsError> {
    let crypto = client_listener(&tls.borrow())?;
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(SESSIONS_PER_CONNECTION));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.max_idle_timeout(Some(
        IDLE_TIMEOUT.try_into().expect("30 s fit QUIC's idle timeout"),
    ));
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// New connections use new certificates as soon as there are some.
async fn renew(endpoint: Endpoint, mut tls: TlsWatch) {
    while tls.changed().await.is_ok() {
        match server_config(&tls) {
            Ok(config) => endpoint.set_server_config(Some(config)),
            Err(error) => tracing::error!(%error, "the new certificates are unusable; the old ones stay"),
        }
    }
}
