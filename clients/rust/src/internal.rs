//! `InternalClient`: the operator's, the sidecar's and a joining server's way to a member's internal port (3142, mTLS).

use crate::tls::{Identity, TlsError, Trust, client_config};
use geode_types::LogIndex;
use geode_wire::internal::{InternalReply, InternalRequest, MemberStatus, StreamKind};
use geode_wire::{FRAME_BYTES_MAX, INTERNAL_ALPN, WireError, decode, encode, read_frame, write_frame};
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a call may take before the member counts as not answering.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection without any sign of life for this long is dead.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Why a member could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// Our certificates are unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No socket.
    #[error("cannot open a UDP socket: {0}")]
    Socket(std::io::Error),
    /// No connection, or it broke.
    #[error("cannot reach {name} at {address}: {reason}")]
    Unreachable {
        /// The name its certificate must carry.
        name: String,
        /// Where we tried.
        address: SocketAddr,
        /// What QUIC said.
        reason: String,
    },
    /// No answer in time.
    #[error("{0} did not answer within {CALL_TIMEOUT:?}")]
    TimedOut(String),
    /// It closed the stream without an answer, or answered nonsense.
    #[error("{name} gave no usable answer: {reason}")]
    Protocol {
        /// Who.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The member refused, with its reason.
    #[error("{0}")]
    Refused(String),
    /// Only the leader does this.
    #[error("the member is not the leader; the leader is {}", .0.as_ref().map_or("unknown", |leader| leader.name.as_str()))]
    NotLeader(Option<geode_wire::client::MemberAddress>),
}

/// A socket and our identity; makes [`InternalClient`]s.
#[derive(Clone)]
pub struct InternalConnector {
    endpoint: Endpoint,
}

impl InternalConnector {
    /// Opens a socket on any port. Must be called inside a tokio runtime.
    pub fn new(ca_pem: &[u8], identity: &Identity) -> Result<Self, InternalError> {
        let mut config = client_config(
            &Trust::Authorities(ca_pem.to_vec()),
            Some(identity),
            INTERNAL_ALPN,
        )?;
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(
            IDLE_TIMEOUT.try_into().expect("10 s fit QUIC's idle timeout"),
        ));
        transport.keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        let mut endpoint =
            Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()).map_err(InternalError::Socket)?;
        endpoint.set_default_client_config(config);
        Ok(Self { endpoint })
    }

    /// Connects to the member at `address` whose certificate must carry `name`.
    pub async fn connect(&self, address: SocketAddr, name: &str) -> Result<InternalClient, InternalError> {
        let unreachable = |reason: String| InternalError::Unreachable {
            name: name.to_owned(),
            address,
            reason,
        };
        let connecting = self
            .endpoint
            .connect(address, name)
            .map_err(|error| unreachable(error.to_string()))?;
        let connection = tokio::time::timeout(CALL_TIMEOUT, connecting)
            .await
            .map_err(|_| unreachable(format!("no answer within {CALL_TIMEOUT:?}")))?
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(InternalClient {
            connection,
            name: name.to_owned(),
        })
    }
}

/// A connection to one member's internal port. Cheap to clone; calls may run at the same time.
#[derive(Clone)]
pub struct InternalClient {
    connection: Connection,
    name: String,
}

impl InternalClient {
    /// One request, one answer; `Failed` and `NotLeader` become errors.
    pub async fn call(&self, request: &InternalRequest) -> Result<InternalReply, InternalError> {
        let (_, reply) = self.open(request).await?;
        Ok(reply)
    }

    /// The member's account of itself.
    pub async fn status(&self) -> Result<MemberStatus, InternalError> {
        match self.call(&InternalRequest::Status).await? {
            InternalReply::Status(status) => Ok(*status),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The logical snapshot of the graph: index and term it ends with, and its bytes.
    pub async fn snapshot(&self) -> Result<(LogIndex, u64, RecvStream), InternalError> {
        let (stream, reply) = self.open(&InternalRequest::Snapshot).await?;
        match reply {
            InternalReply::Snapshot { applied, term } => Ok((applied, term, stream)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Whether the connection has ended; a new one is needed then.
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    async fn open(&self, request: &InternalRequest) -> Result<(RecvStream, InternalReply), InternalError> {
        let exchange = async {
            let (mut send, mut receive) = self
                .connection
                .open_bi()
                .await
                .map_err(|error| error.to_string())?;
            send_request(&mut send, request)
                .await
                .map_err(|error| error.to_string())?;
            let frame = read_frame(&mut receive, FRAME_BYTES_MAX)
                .await
                .map_err(|error| error.to_string())?;
            let frame = frame.ok_or("the stream ended before an answer")?;
            let reply: InternalReply = decode(&frame).map_err(|error| error.to_string())?;
            Ok::<_, String>((receive, reply))
        };
        let answered = tokio::time::timeout(CALL_TIMEOUT, exchange).await;
        let answered = answered.map_err(|_| InternalError::TimedOut(self.name.clone()))?;
        match answered.map_err(|reason| InternalError::Protocol {
            name: self.name.clone(),
            reason,
        })? {
            (_, InternalReply::Failed(reason)) => Err(InternalError::Refused(reason)),
            (_, InternalReply::NotLeader { leader }) => Err(InternalError::NotLeader(leader)),
            answer => Ok(answer),
        }
    }

    fn unexpected(&self, reply: &InternalReply) -> InternalError {
        let mut reason = format!("unexpected answer {reply:?}");
        reason.truncate(200);
        InternalError::Protocol {
            name: self.name.clone(),
            reason,
        }
    }
}

async fn send_request(send: &mut SendStream, request: &InternalRequest) -> Result<(), WireError> {
    send.write_all(&[StreamKind::Api as u8])
        .await
        .map_err(std::io::Error::from)?;
    write_frame(send, &encode(request)).await?;
    send.finish()
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
    Ok(())
}
