//! The sidecar's side of the internal protocol: the seam [`Server`], and [`LocalServer`], which keeps a connection to the server beside it.
//!
//! A connection is made when it is needed and made again when it broke, with the certificates as they are on disk then.

use futures::future::BoxFuture;
use geode_client::tls::Identity;
use geode_client::{InternalClient, InternalConnector, InternalError};
use geode_types::{Checkpoint, LogIndex};
use geode_wire::INTERNAL_DNS_NAME;
use geode_wire::internal::{
    ArchiveReport, InternalReply, InternalRequest, MemberStatus, SegmentInfo, Task, TaskReport,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::AsyncRead;
use tokio::sync::Mutex;

/// What a call comes to.
pub(crate) type Reply<'a, T> = BoxFuture<'a, Result<T, LinkError>>;

/// Why the server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// A certificate file cannot be read.
    #[error("cannot read {path}: {source}")]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The call failed.
    #[error(transparent)]
    Call(#[from] InternalError),
}

/// A snapshot on its way.
pub(crate) struct SnapshotStream {
    /// The last entry it contains.
    pub(crate) applied: LogIndex,
    /// Its term.
    pub(crate) term: u64,
    /// Its bytes; an error when the server gave up.
    pub(crate) bytes: Box<dyn AsyncRead + Send + Unpin>,
}

/// The server beside this sidecar.
pub(crate) trait Server: Send + Sync {
    /// Its account of itself.
    fn status(&self) -> Reply<'_, MemberStatus>;
    /// Sealed, committed segments that end after `after`, oldest first, at most a page.
    fn segments(&self, after: LogIndex) -> Reply<'_, Vec<SegmentInfo>>;
    /// Tells how the archive stands; what there is to do.
    fn report(&self, report: ArchiveReport) -> Reply<'_, Vec<Task>>;
    /// Tells how a task stands.
    fn report_task(&self, report: TaskReport) -> Reply<'_, ()>;
    /// The graph as it is now.
    fn snapshot(&self) -> Reply<'_, SnapshotStream>;
    /// Hash of the graph and the index it belongs to.
    fn state_hash(&self) -> Reply<'_, (LogIndex, String)>;
    /// The checkpoints of the graph, oldest first, and the index they belong to.
    fn checkpoints(&self) -> Reply<'_, (LogIndex, Vec<Checkpoint>)>;
}

/// Where the certificates lie.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) ca: PathBuf,
}

/// The server on this machine.
pub(crate) struct LocalServer {
    address: SocketAddr,
    files: CertificateFiles,
    connected: Mutex<Option<InternalClient>>,
}

impl LocalServer {
    /// The server whose internal port is at `address`.
    pub(crate) fn new(address: SocketAddr, files: CertificateFiles) -> Self {
        Self {
            address,
            files,
            connected: Mutex::new(None),
        }
    }

    async fn client(&self) -> Result<InternalClient, LinkError> {
        let mut connected = self.connected.lock().await;
        if let Some(client) = connected.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let identity = Identity {
            cert_pem: read(&self.files.cert).await?,
            key_pem: read(&self.files.key).await?,
        };
        let connector = InternalConnector::new(&read(&self.files.ca).await?, &identity)?;
        let client = connector.connect(self.address, INTERNAL_DNS_NAME).await?;
        *connected = Some(client.clone());
        Ok(client)
    }

    async fn call<T>(
        &self,
        request: InternalRequest,
        expected: impl FnOnce(InternalReply) -> Option<T>,
    ) -> Result<T, LinkError> {
        let client = self.client().await?;
        let reply = client.call(&request).await?;
        expected(reply).ok_or_else(|| {
            let reason = "the answer does not belong to the question".to_owned();
            InternalError::Protocol {
                name: self.address.to_string(),
                reason,
            }
            .into()
        })
    }
}

async fn read(path: &PathBuf) -> Result<Vec<u8>, LinkError> {
    let read = tokio::fs::read(path).await;
    read.map_err(|source| LinkError::Certificate {
        path: path.clone(),
        source,
    })
}

impl Server for LocalServer {
    fn status(&self) -> Reply<'_, MemberStatus> {
        Box::pin(async move { Ok(self.client().await?.status().await?) })
    }

    fn segments(&self, after: LogIndex) -> Reply<'_, Vec<SegmentInfo>> {
        Box::pin(
            self.call(InternalRequest::Segments { after }, |reply| match reply {
                InternalReply::Segments(segments) => Some(segments),
                _ => None,
            }),
        )
    }

    fn report(&self, report: ArchiveReport) -> Reply<'_, Vec<Task>> {
        Box::pin(
            self.call(InternalRequest::ArchiveReport(report), |reply| match reply {
                InternalReply::Tasks(tasks) => Some(tasks),
                _ => None,
            }),
        )
    }

    fn report_task(&self, report: TaskReport) -> Reply<'_, ()> {
        Box::pin(self.call(InternalRequest::ReportTask(report), |reply| {
            matches!(reply, InternalReply::Ok).then_some(())
        }))
    }

    fn snapshot(&self) -> Reply<'_, SnapshotStream> {
        Box::pin(async move {
            let (applied, term, bytes) = self.client().await?.snapshot().await?;
            Ok(SnapshotStream {
                applied,
                term,
                bytes: Box::new(bytes),
            })
        })
    }

    fn state_hash(&self) -> Reply<'_, (LogIndex, String)> {
        Box::pin(self.call(InternalRequest::StateHash, |reply| match reply {
            InternalReply::StateHash { applied, hash } => Some((applied, hash)),
            _ => None,
        }))
    }

    fn checkpoints(&self) -> Reply<'_, (LogIndex, Vec<Checkpoint>)> {
        Box::pin(self.call(InternalRequest::Checkpoints, |reply| match reply {
            InternalReply::Checkpoints { applied, checkpoints } => Some((applied, checkpoints)),
            _ => None,
        }))
    }
}
