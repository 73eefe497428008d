//! A server process, put together: data directory, certificates, store, consensus, ports, keeper. [`Server::start`] is the order in which
//! that happens; what each part does is in its own module.

use crate::gate::WriteGate;
use crate::identity::{DataDir, IdentityError, is_in_use};
use crate::internal::{Api, NoPeers, Transport, TransportError};
use crate::keeper::Keeper;
use crate::listener::{ListenError, Listener};
use crate::member::Member;
use crate::metrics::{ClusterMetrics, StallMetrics};
use crate::pending::PendingError;
use crate::pipeline::{Limits, Pipeline};
use crate::raft::{self, Environment, MembershipError, OpenError, Raft, RaftIdentity, RaftSettings};
use crate::session::{Service, SessionMetrics};
use crate::surroundings::Surroundings;
use crate::system::{ClusterMember, ClusterTables};
use crate::tls::{CertificateError, TlsFiles, TlsWatch, own_certificates, write_private};
use crate::{farewell, join, pending};
use futures::FutureExt;
use futures::future::BoxFuture;
use geode_config::{Config, Timing};
use geode_store::{LmdbOptions, LmdbStore, StoreError};
use geode_telemetry::http::Pages;
use geode_types::{ClusterId, MemberId};
use geode_wire::client::MemberAddress;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long statements and transactions that are under way may take at shutdown.
const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// How long another process that uses the data directory may take to end.
const PREDECESSOR_GRACE: Duration = Duration::from_secs(10);
/// How long a server that has shut down waits for the last of its tasks, and how often it looks.
const RELEASE_MAX: Duration = Duration::from_secs(5);
const RELEASE_POLL: Duration = Duration::from_millis(5);

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// `geode.yaml`, checked.
    pub config: Config,
    /// `--cluster-init`: an empty member begins a cluster of its own.
    pub cluster_init: bool,
    /// `--join HOST:PORT`: an empty member asks that member's cluster for a place.
    pub join: Option<String>,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A listener on a network without certificates.
    #[error(
        "server.listen is {0}, which others can reach, but server.tls is not set: set cert_file, key_file and client_ca, or listen on 127.0.0.1"
    )]
    NoCertificates(String),
    /// The graph's store.
    #[error("cannot open the graph: {0}")]
    Store(#[from] StoreError),
    /// Consensus.
    #[error(transparent)]
    Raft(#[from] OpenError),
    /// The internal port.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The client port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A file or port.
    #[error("cannot {act}: {source}")]
    Io {
        /// Verb and object.
        act: String,
        /// Why.
        source: io::Error,
    },
    /// The place in a cluster.
    #[error("cannot take a place in a cluster: {0}")]
    Place(#[from] MembershipError),
    /// A backup that waits to be replayed.
    #[error("the backup that was fetched cannot be replayed: {0}")]
    Pending(#[from] PendingError),
    /// A metric is registered twice.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl StartError {
    /// Whether this member's own files are certainly damaged.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Identity(error) => error.is_damage(),
            Self::Store(error) => error.is_corrupt(),
            Self::Raft(error) => error.is_damage(),
            _ => false,
        }
    }
}

/// Why a server ended by itself.
#[derive(Debug)]
pub enum Ended {
    /// A disk failed: the process must not go on.
    Fatal(String),
    /// A file of this member is certainly damaged.
    Damaged(String),
    /// Something in the data directory is for the next process.
    Restart,
}

/// A running server.
///
/// Its futures are boxed, so that Raft and sessions are compiled here and not again in every binary and test that starts one.
pub struct Server {
    pub(crate) member: Arc<Member>,
    listener: Listener<Raft<LmdbStore>>,
    transport: Option<Transport>,
    closing: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Server {
    /// Starts everything. Returns when the ports are open; the member may still be waiting for its place in a cluster.
    pub fn start(options: ServeOptions) -> BoxFuture<'static, Result<Self, StartError>> {
        Self::assemble(options).boxed()
    }

    async fn assemble(options: ServeOptions) -> Result<Self, StartError> {
        let ServeOptions {
            config,
            cluster_init,
            join,
        } = options;
        let data_dir = config.storage.data_dir.clone();
        wait_for_predecessor(&data_dir).await;
        pending::take_up(&config)?;
        let data = DataDir::open(&data_dir, rand::random)?;
        let tls = certificates(&config)?.watch()?;
        let password_file = password_file(&config)?;
        let registry = prometheus::Registry::new();
        let (closing, closed) = watch::channel(false);
        let mut tasks = Vec::new();

        let store = Arc::new(open_store(&config)?);
        let transport = open_transport(&config, data.identity().member, &tls).await?;
        let data = Arc::new(Mutex::new(data));
        let raft = open_raft(&config, &data, store, transport.as_ref()).await?;
        let (restart, _) = watch::channel(false);
        let gate = Arc::new(WriteGate::default());
        let member = Arc::new(Member {
            config: config.clone(),
            raft,
            board: crate::board::Board::default(),
            gate: gate.clone(),
            chronicle: crate::chronicle::Chronicle::default(),
            data,
            restart,
        });

        if let Some(transport) = &transport {
            tasks.push(tokio::spawn(serve_peers(transport.clone(), member.clone())));
        }
        if (transport.is_none() || cluster_init) && member.place().0.is_none() {
            member.initialize(ClusterId(uuid::Uuid::new_v4())).await?;
        }
        if let Some(seed) = join.filter(|_| !member.raft.status().initialized) {
            let joining = join::ask_until_in(member.clone(), seed, tls.clone());
            tasks.push(tokio::spawn(joining));
        }

        let cluster = Arc::new(ClusterMember(member.clone()));
        let tables = Arc::new(ClusterTables(member.clone()));
        let pipeline = Arc::new(Pipeline::new(
            member.raft.clone(),
            gate,
            tables,
            Limits::from(&config.performance),
        ));
        let metrics = ClusterMetrics::register(&registry)?;
        StallMetrics::register(&registry, member.raft.stalls())?;
        let surroundings = Surroundings::register(&registry)?;
        let sessions = SessionMetrics::register(&registry)?;
        let keeper = Keeper {
            member: member.clone(),
            pipeline: pipeline.clone(),
            metrics,
            surroundings,
            sessions: sessions.clone(),
            tls: tls.clone(),
            password_file,
        };
        tasks.push(tokio::spawn(keeper.run()));
        let service = Arc::new(Service {
            pipeline,
            member: cluster,
            metrics: sessions,
            closing: closed.clone(),
        });
        let listener = Listener::open(&config.server.listen, tls, service, config.server.max_connections)?;
        if !config.server.metrics_listen.is_empty() {
            serve_metrics(&config.server.metrics_listen, registry, closed)?;
        }
        tracing::info!(member = %member.raft.member(), listen = %config.server.listen, data = %data_dir.display(), "the server is up");
        Ok(Self {
            member,
            listener,
            transport,
            closing,
            tasks,
        })
    }

    /// Where clients connect.
    pub fn client_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Ends when the server cannot or must not go on.
    pub fn ended(&self) -> BoxFuture<'_, Ended> {
        let mut restart = self.member.restart.subscribe();
        async move {
            tokio::select! {
                fatal = self.member.raft.fatal() => match self.member.raft.damage() {
                    Some(found) => Ended::Damaged(found),
                    None => Ended::Fatal(fatal.to_string()),
                },
                Ok(_) = restart.wait_for(|restart| *restart) => Ended::Restart,
            }
        }
        .boxed()
    }

    /// Gives leadership away, lets statements end, closes the ports and the log. What was acknowledged is durable with or without this.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        self.drain().boxed()
    }

    async fn drain(mut self) {
        farewell::prepare(&self.member).await;
        if let Err(error) = self.member.raft.retire().await {
            tracing::info!(%error, "leadership was not handed over before the end");
        }
        self.closing.send_replace(true);
        self.listener.drain(DRAIN_GRACE).await;
        for task in &self.tasks {
            task.abort();
        }
        // They hold the store, which the next server may open.
        for task in &mut self.tasks {
            let _ = task.await;
        }
        self.member.raft.shutdown().await;
        if let Some(transport) = &self.transport {
            transport.close();
        }
        let data = Arc::downgrade(&self.member.data);
        drop(self);
        // Tasks of connections end after them, and they hold the directory, which the next server may open at once.
        let given_back = async {
            while data.strong_count() > 0 {
                tokio::time::sleep(RELEASE_POLL).await;
            }
        };
        if tokio::time::timeout(RELEASE_MAX, given_back).await.is_err() {
            tracing::warn!(waited = ?RELEASE_MAX, "the data directory is given back only with the end of the process");
        }
    }
}

/// The port for other members; none for a server that stays alone.
async fn open_transport(
    config: &Config,
    me: MemberId,
    tls: &TlsWatch,
) -> Result<Option<Transport>, StartError> {
    let address = &config.server.internal_listen;
    if address.is_empty() {
        return Ok(None);
    }
    let level = config.cluster.feature_level_max;
    Ok(Some(Transport::bind(address, me, level, tls.clone()).await?))
}

/// After a forced deletion Kubernetes starts a pod while the container before it is still ending.
pub(crate) async fn wait_for_predecessor(data_dir: &Path) {
    let deadline = tokio::time::Instant::now() + PREDECESSOR_GRACE;
    if is_in_use(data_dir) {
        tracing::warn!(path = %data_dir.display(), "another geode process uses the data directory; waiting for its end");
    }
    while is_in_use(data_dir) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn certificates(config: &Config) -> Result<TlsFiles, StartError> {
    if let Some(tls) = &config.server.tls {
        return Ok(TlsFiles {
            cert: tls.cert_file.clone(),
            key: tls.key_file.clone(),
            ca: tls.client_ca.clone(),
        });
    }
    let is_local = |address: &str| {
        address.starts_with("127.") || address.starts_with("localhost:") || address.starts_with("[::1]")
    };
    for address in [&config.server.listen, &config.server.internal_listen] {
        if !address.is_empty() && !is_local(address) {
            return Err(StartError::NoCertificates(address.clone()));
        }
    }
    let host = config
        .cluster
        .node
        .address
        .rsplit_once(':')
        .map_or("localhost", |(host, _)| host);
    Ok(own_certificates(&config.storage.data_dir.join("tls"), host)?)
}

/// The file with the first user's password; made in the data directory when the configuration names none.
fn password_file(config: &Config) -> Result<PathBuf, StartError> {
    if let Some(file) = &config.auth.admin_password_file {
        return Ok(file.clone());
    }
    let file = config.storage.data_dir.join("admin-password");
    if !file.exists() {
        let password = uuid::Uuid::new_v4().simple().to_string();
        write_private(&file, password.as_bytes()).map_err(|source| StartError::Io {
            act: format!("write {}", file.display()),
            source,
        })?;
    }
    Ok(file)
}

fn open_store(config: &Config) -> Result<LmdbStore, StartError> {
    let folder = config.storage.data_dir.join(GRAPH_FOLDER);
    let options = LmdbOptions {
        map_size: config.storage.map_size.0,
        ..LmdbOptions::default()
    };
    Ok(LmdbStore::open(&folder, options)?)
}

/// Where the graph lies in a data directory.
pub const GRAPH_FOLDER: &str = "graph";
/// Where snapshots on their way lie in a data directory.
const SNAPSHOT_FOLDER: &str = "snapshots";

async fn open_raft(
    config: &Config,
    data: &Arc<Mutex<DataDir>>,
    store: Arc<LmdbStore>,
    transport: Option<&Transport>,
) -> Result<Raft<LmdbStore>, StartError> {
    let settings = RaftSettings {
        timing: match config.cluster.timing {
            Timing::Fast => raft::Timing::FAST,
            Timing::Default => raft::Timing::DEFAULT,
            Timing::Wan => raft::Timing::WAN,
        },
        limits: raft::Limits {
            snapshot_entries: config.storage.snapshot_entries,
            stall_hand_over: config.storage.wal.stall_hand_over.into(),
            stall_max: config.storage.wal.stall_max.into(),
            data_stall_hand_over: config.storage.stall_hand_over.into(),
            ..raft::Limits::default()
        },
        snapshot_directory: config.storage.data_dir.join(SNAPSHOT_FOLDER),
        wal_directory: config.wal_dir(),
        archive_configured: config.archive.is_configured(),
        level: config.cluster.feature_level_max,
    };
    let identity = {
        let held = data.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = held.identity();
        let adopting = data.clone();
        RaftIdentity {
            member: identity.member,
            cluster: identity.cluster.map(|cluster| (cluster, identity.incarnation)),
            adopt: Arc::new(move |cluster, incarnation| {
                let mut data = adopting.lock().unwrap_or_else(PoisonError::into_inner);
                data.join(cluster, incarnation).map_err(io::Error::other)
            }),
            address: MemberAddress {
                id: identity.member,
                name: config.cluster.node.id.clone(),
                client: config.cluster.node.address.clone(),
                internal: config.internal_address(),
            },
        }
    };
    let peers: Arc<dyn raft::PeerTransport> = match transport {
        Some(transport) => Arc::new(transport.clone()),
        None => Arc::new(NoPeers),
    };
    Ok(Raft::open(settings, identity, store, peers, Environment::default()).await?)
}

/// Answers the internal port, and tells it who the other members are.
async fn serve_peers(transport: Transport, member: Arc<Member>) {
    let api = Arc::new(Api(member.clone()));
    let answers = transport.clone().serve(member.raft.service(), api);
    let mut status = member.raft.watch();
    let keeps = async {
        let mut known = Vec::new();
        loop {
            let members = status.borrow_and_update().membership.members.clone();
            if members != known {
                transport.keep(members.clone());
                known = members;
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::join!(answers, keeps);
}

/// On a thread of its own: a disk that hangs holds up whatever touches the graph, and then the metrics are what tells of it.
fn serve_metrics(
    listen: &str,
    registry: prometheus::Registry,
    mut closed: watch::Receiver<bool>,
) -> Result<(), StartError> {
    let failed = |source| StartError::Io {
        act: format!("listen on {listen} (server.metrics_listen)"),
        source,
    };
    let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let serve = async move {
        let shutdown = async move {
            let _ = closed.wait_for(|closed| *closed).await;
        };
        let listener = TcpListener::from_std(listener)?;
        let pages = Pages::default().with_metrics(registry);
        pages.serve(listener, shutdown).await
    };
    let work = move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(%error, "the metrics are not served any more");
        }
    };
    let thread = std::thread::Builder::new().name("geode-metrics".to_owned());
    thread.spawn(work).map(drop).map_err(failed)
}
