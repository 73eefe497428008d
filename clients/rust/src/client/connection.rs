//! Connections: one per address, opened when needed and shared by all statements; and exchanges on their streams, which statements use one
//! after the other. What to do when an exchange fails is decided elsewhere.

use super::error::ClientError;
use super::routing::Routing;
use super::statement::QueryResult;
use crate::tls::{Trust, client_config};
use geode_types::{MemberId, QueryError, Value, decode_value};
use geode_wire::client::{ClientReply, ClientRequest, ClusterView, Hello, MemberAddress, PROTOCOL_VERSION};
use geode_wire::{
    CLIENT_ALPN, CLIENT_PORT, FRAME_BYTES_MAX, close_code, decode, encode, read_frame, write_frame,
};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// A connection without a sign of life for this long is dead. Short, so that a dead leader is noticed fast.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const CLIENT_NAME: &str = concat!("geode-client-rust/", env!("CARGO_PKG_VERSION"));

/// Why one exchange with one server gave no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Trying elsewhere does not help.
    Fatal(ClientError),
    /// Nothing was sent.
    NotSent(String),
    /// The request may have arrived.
    Lost(String),
}

/// How a statement ended on a server.
#[derive(Debug)]
pub(crate) enum Answer {
    Done(QueryResult),
    NotLeader(Option<MemberAddress>),
    Failed(QueryError),
    Cluster(ClusterView),
    Pong,
}

/// An open, authenticated connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    connection: Connection,
    /// Who is at the other end.
    pub(crate) member: MemberId,
    idle: Arc<Idle>,
}

/// Sessions of a connection on which nothing is under way. Opening one for each statement would cost packets before and after it.
#[derive(Debug, Default)]
struct Idle {
    sessions: Mutex<Vec<Exchange>>,
    /// One was given back.
    returned: Notify,
}

impl Idle {
    fn take(&self) -> Option<Exchange> {
        self.sessions
            .lock()
            .expect("no panic while the sessions are locked")
            .pop()
    }

    fn put(&self, session: Exchange) {
        self.sessions
            .lock()
            .expect("no panic while the sessions are locked")
            .push(session);
        self.returned.notify_one();
    }
}

pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

type Slot = Arc<AsyncMutex<Option<Link>>>;

/// All connections of a client.
pub(crate) struct Connections {
    config: quinn::ClientConfig,
    credentials: Credentials,
    connect_timeout: Duration,
    /// Every welcome is news about the cluster.
    routing: Arc<Mutex<Routing>>,
    /// One socket for each address family, opened when first needed.
    sockets: Mutex<[Option<Endpoint>; 2]>,
    slots: Mutex<HashMap<String, Slot>>,
}

impl Connections {
    pub(crate) fn new(
        trust: &Trust,
        credentials: Credentials,
        connect_timeout: Duration,
        routing: Arc<Mutex<Routing>>,
    ) -> Result<Self, ClientError> {
        let mut config = client_config(trust, None, CLIENT_ALPN)?;
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(
            IDLE_TIMEOUT.try_into().expect("3 s fit QUIC's idle timeout"),
        ));
        transport.keep_alive_interval(Some(KEEP_ALIVE));
        transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
        transport.max_concurrent_uni_streams(VarInt::from_u32(0));
        config.transport_config(Arc::new(transport));
        Ok(Self {
            config,
            credentials,
            connect_timeout,
            routing,
            sockets: Mutex::new([None, None]),
            slots: Mutex::default(),
        })
    }

    /// The open connection to an address, or a new one.
    pub(crate) async fn get(&self, address: &str) -> Result<Link, Trouble> {
        let slot: Slot = {
            let mut slots = self.slots.lock().expect("no panic while the map is locked");
            slots.entry(address.to_owned()).or_default().clone()
        };
        let open = async {
            let mut slot = slot.lock().await;
            if let Some(link) = slot
                .as_ref()
                .filter(|link| link.connection.close_reason().is_none())
            {
                return Ok(link.clone());
            }
            let link = self.connect(address).await?;
            *slot = Some(link.clone());
            Ok(link)
        };
        tokio::time::timeout(self.connect_timeout, open)
            .await
            .unwrap_or_else(|_| {
                Err(Trouble::NotSent(format!(
                    "no answer within {:?}",
                    self.connect_timeout
                )))
            })
    }

    /// How long a round trip to an address takes, as long as a connection to it stands.
    pub(crate) fn round_trip(&self, address: &str) -> Option<Duration> {
        let slot = {
            let slots = self.slots.lock().expect("no panic while the map is locked");
            slots.get(address)?.clone()
        };
        let link = slot.try_lock().ok()?;
        let connection = &link.as_ref()?.connection;
        connection.close_reason().is_none().then(|| connection.rtt())
    }

    async fn connect(&self, address: &str) -> Result<Link, Trouble> {
        let not_sent = |reason: &dyn std::fmt::Display| Trouble::NotSent(reason.to_string());
        let (host, port) = split_address(address).map_err(Trouble::Fatal)?;
        let resolved: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Trouble::NotSent(format!("cannot resolve {host:?}: {error}")))?
            .collect();
        let mut trouble = Trouble::NotSent(format!("{host:?} has no address"));
        for target in resolved {
            let socket = self.socket(target).map_err(Trouble::Fatal)?;
            let connecting = socket
                .connect_with(self.config.clone(), target, server_name(host))
                .map_err(|error| not_sent(&error))?;
            match connecting.await {
                Ok(connection) => return self.hello(address, connection).await,
                Err(error) => trouble = not_sent(&error),
            }
        }
        Err(trouble)
    }

    async fn hello(&self, address: &str, connection: Connection) -> Result<Link, Trouble> {
        let hello = ClientRequest::Hello(Hello {
            protocol: PROTOCOL_VERSION,
            client: CLIENT_NAME.to_owned(),
            user: self.credentials.user.clone(),
            password: self.credentials.password.clone(),
        });
        let exchange = async {
            let (send, recv) = connection.open_bi().await.map_err(|e| e.to_string())?;
            let mut stream = Exchange {
                send,
                recv,
                home: Weak::new(),
            };
            stream.send(&encode(&hello)).await?;
            match stream.receive().await? {
                ClientReply::Welcome(view) => Ok(view),
                ClientReply::Failed(error) => Err(error.to_string()),
                other => Err(format!("unexpected answer to the greeting: {other:?}")),
            }
        };
        match exchange.await {
            Ok(view) => {
                let mut routing = self.routing.lock().expect("no panic while the routing is locked");
                routing.learn(&view);
                Ok(Link {
                    connection,
                    member: view.me,
                    idle: Arc::default(),
                })
            }
            Err(reason) => Err(self.refused(address, &connection, reason)),
        }
    }

    /// The code with which the server closed the connection says more than the broken stream.
    fn refused(&self, address: &str, connection: &Connection, reason: String) -> Trouble {
        match connection.close_reason() {
            Some(ConnectionError::ApplicationClosed(close))
                if close.error_code == VarInt::from_u32(close_code::UNAUTHENTICATED) =>
            {
                Trouble::Fatal(ClientError::Unauthenticated {
                    endpoint: address.to_owned(),
                    user: self.credentials.user.clone(),
                    reason: String::from_utf8_lossy(&close.reason).into_owned(),
                })
            }
            Some(closed) => Trouble::NotSent(closed.to_string()),
            None => Trouble::NotSent(reason),
        }
    }

    fn socket(&self, target: SocketAddr) -> Result<Endpoint, ClientError> {
        let (index, local): (usize, IpAddr) = if target.is_ipv4() {
            (0, Ipv4Addr::UNSPECIFIED.into())
        } else {
            (1, Ipv6Addr::UNSPECIFIED.into())
        };
        let mut sockets = self
            .sockets
            .lock()
            .expect("no panic while the sockets are locked");
        if let Some(socket) = &sockets[index] {
            return Ok(socket.clone());
        }
        let socket = Endpoint::client((local, 0).into()).map_err(ClientError::Socket)?;
        Ok(sockets[index].insert(socket).clone())
    }

    /// Tells every server that we leave.
    pub(crate) async fn close(&self) {
        let sockets = {
            let mut sockets = self
                .sockets
                .lock()
                .expect("no panic while the sockets are locked");
            std::mem::take(&mut *sockets)
        };
        for socket in sockets.into_iter().flatten() {
            socket.close(VarInt::from_u32(close_code::DONE), b"done");
            socket.wait_idle().await;
        }
    }
}

impl Link {
    /// A session on which nothing is under way: one that is there, or a new one. A server has a limit for both together.
    pub(crate) async fn session(&self) -> Result<Exchange, Trouble> {
        loop {
            if let Some(session) = self.idle.take() {
                return Ok(session);
            }
            let (send, recv) = tokio::select! {
                biased;
                opened = self.connection.open_bi() => opened.map_err(|error| Trouble::NotSent(error.to_string()))?,
                () = self.idle.returned.notified() => continue,
            };
            return Ok(Exchange {
                send,
                recv,
                home: Arc::downgrade(&self.idle),
            });
        }
    }

    /// One request and its answer.
    pub(crate) async fn ask(&self, request: &ClientRequest) -> Result<Answer, Trouble> {
        let mut session = self.session().await?;
        let answer = session.ask(request).await?;
        session.give_back();
        Ok(answer)
    }
}

/// One session on a connection: a bidirectional stream.
#[derive(Debug)]
pub(crate) struct Exchange {
    send: SendStream,
    recv: RecvStream,
    home: Weak<Idle>,
}

impl Exchange {
    /// The next statement may use it. Nothing is under way on it: its last answer was read to the end, and no transaction is open.
    pub(crate) fn give_back(self) {
        if let Some(home) = self.home.upgrade() {
            home.put(self);
        }
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn ask(&mut self, request: &ClientRequest) -> Result<Answer, Trouble> {
        self.ask_encoded(&encode(request)).await
    }

    /// As [`Self::ask`], for the bytes of a request.
    pub(crate) async fn ask_encoded(&mut self, request: &[u8]) -> Result<Answer, Trouble> {
        self.send(request).await.map_err(Trouble::Lost)?;
        self.answer().await.map_err(Trouble::Lost)
    }

    async fn answer(&mut self) -> Result<Answer, String> {
        let mut result = QueryResult::default();
        loop {
            match self.receive().await? {
                ClientReply::Columns(columns) => result.columns = columns,
                ClientReply::Rows(batch) => {
                    let mut data = batch.data.as_ref();
                    for _ in 0..batch.count {
                        let row: Result<Vec<Value>, _> =
                            result.columns.iter().map(|_| decode_value(&mut data)).collect();
                        result.rows.push(row.map_err(|error| error.to_string())?);
                    }
                }
                ClientReply::Done(done) => {
                    result.summary = done.summary;
                    result.lsn = done.lsn;
                    result.repeated = done.repeated;
                    result.reads = done.reads;
                    return Ok(Answer::Done(result));
                }
                ClientReply::NotLeader { leader } => return Ok(Answer::NotLeader(leader)),
                ClientReply::Failed(error) => return Ok(Answer::Failed(*error)),
                ClientReply::Cluster(view) => return Ok(Answer::Cluster(view)),
                ClientReply::Pong => return Ok(Answer::Pong),
                ClientReply::Welcome(_) => return Err("a second welcome".to_owned()),
            }
        }
    }

    async fn send(&mut self, request: &[u8]) -> Result<(), String> {
        write_frame(&mut self.send, request)
            .await
            .map_err(|error| error.to_string())
    }

    async fn receive(&mut self) -> Result<ClientReply, String> {
        let frame = read_frame(&mut self.recv, FRAME_BYTES_MAX)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| "the server ended the session".to_owned())?;
        decode(&frame).map_err(|error| error.to_string())
    }
}

/// Splits `host:port`, `[v6]:port` or a bare host, which means the default port.
pub(crate) fn split_address(address: &str) -> Result<(&str, u16), ClientError> {
    let wrong = || {
        ClientError::Settings(format!(
            "{address:?} is not an address; write host:port, for example localhost:{CLIENT_PORT}"
        ))
    };
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| wrong())?)
        }
        _ => (address, CLIENT_PORT),
    };
    let host = host
        .strip_prefix('[')
        .map_or(Some(host), |inner| inner.strip_suffix(']'))
        .ok_or_else(wrong)?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok((host, port))
}

/// Which name the certificate must carry: the host, and `localhost` for this machine, which every server's certificate carries.
fn server_name(host: &str) -> &str {
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => "localhost",
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port_or_the_default_one() {
        let cases = [
            ("localhost:99", Some(("localhost", 99))),
            ("db.example", Some(("db.example", CLIENT_PORT))),
            ("127.0.0.1:1", Some(("127.0.0.1", 1))),
            ("[::1]:5", Some(("::1", 5))),
            ("::1", Some(("::1", CLIENT_PORT))),
            ("host:", None),
            ("host:99999", None),
            (":1", None),
            ("[::1:5", None),
            ("", None),
        ];
        for (address, expected) in cases {
            assert_eq!(split_address(address).ok(), expected, "{address}");
        }
        assert_eq!(server_name("127.0.0.1"), "localhost");
        assert_eq!(server_name("::1"), "localhost");
        assert_eq!(server_name("10.0.0.1"), "10.0.0.1");
    }
}
