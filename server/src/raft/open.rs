//! Putting a member's consensus together.

use super::blocking::Blocking;
use super::contact::Contact;
use super::handle::{Fatal, Inner, Raft};
use super::inbound::{Belonging, Inbound};
use super::log_store::LogStore;
use super::network::{NetworkContext, NetworkFactory, PeerTransport};
use super::settings::{RaftIdentity, RaftSettings};
use super::snapshot;
use super::stall::{self, Stalls, Watched};
use super::state_machine::{Progress, StateMachine};
use super::status::status;
use super::types::Types;
use super::upkeep;
use geode_log::disk::{Activity, WatchedDisk};
use geode_log::segment::group_directory;
use geode_log::{Disk, Log, LogError, LogOptions, RealDisk, Step, Worker, Writer};
use geode_store::{Store, StoreError};
use geode_types::{ClusterId, FeatureLevel, GroupId, Incarnation};
use openraft::AsyncRuntime;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::TypeConfigExt;
use rand::{Rng, SeedableRng};
use std::fmt::Display;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// For how many election timeouts a voter that comes back does not stand itself.
const ELECTIONS_LEFT_TO_OTHERS: u32 = 2;
/// In a simulation the log's worker dawdles up to this long between steps.
const DAWDLE_MICROS: u64 = 2000;

/// What consensus runs on. The default is a server's.
#[derive(Clone)]
pub struct Environment {
    /// The file system of log and snapshots.
    pub disk: Arc<dyn Disk>,
    /// Where blocking work runs.
    pub blocking: Blocking,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            disk: Arc::new(RealDisk),
            blocking: Blocking::Threads,
        }
    }
}

/// A member's consensus cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log.
    #[error("the log cannot be opened: {0}")]
    Log(#[from] LogError),
    /// The store.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// What is stored needs a level that this member does not announce.
    #[error(
        "this member understands feature level {mine}, and its cluster is at level {stored}, which is never lowered: run the version that it ran before or a newer one, and set no lower cluster.feature_level_max"
    )]
    Level {
        /// What is stored.
        stored: FeatureLevel,
        /// What it announces.
        mine: FeatureLevel,
    },
    /// The feature level cannot be read.
    #[error(transparent)]
    Graph(#[from] geode_graph::GraphError),
    /// A directory.
    #[error("cannot {act}: {source}")]
    Io {
        /// Verb and object.
        act: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The settings contradict each other.
    #[error("the Raft settings are refused: {0}")]
    Settings(String),
    /// openraft refuses what it finds.
    #[error("consensus cannot be started: {0}")]
    Raft(String),
    /// Damage that was found while openraft read.
    #[error("consensus cannot be started: {0}")]
    Damaged(String),
}

impl OpenError {
    /// Whether this member's own files are certainly damaged.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Log(error) => error.is_corrupt(),
            Self::Store(error) => error.is_corrupt(),
            Self::Graph(error) => error.is_corrupt(),
            Self::Damaged(_) => true,
            Self::Level { .. } | Self::Io { .. } | Self::Settings(_) | Self::Raft(_) => false,
        }
    }

    /// An error of openraft, which may be the damage that was noted.
    fn raft<R: AsyncRuntime>(progress: &Progress<R>, error: &impl Display) -> Self {
        match progress.damage.found() {
            Some(found) => Self::Damaged(found),
            None => Self::Raft(error.to_string()),
        }
    }
}

impl<S: Store, R: AsyncRuntime> Raft<S, R> {
    /// Opens the log and starts to take part. An empty member waits until it is initialized or added to a cluster.
    pub async fn open(
        settings: RaftSettings,
        identity: RaftIdentity,
        store: Arc<S>,
        transport: Arc<dyn PeerTransport>,
        environment: Environment,
    ) -> Result<Self, OpenError> {
        let Environment { disk, blocking } = environment;
        let config = settings
            .config()
            .validate()
            .map_err(|error| OpenError::Settings(error.to_string()))?;
        prepare(&settings, &*store, &*disk)?;
        let (writer, activity) = open_log::<R>(&settings, &identity, &disk, blocking)?;
        let (cluster, incarnation) = place(&identity);
        let progress = Arc::new(Progress::<R>::new());
        let belonging = Arc::new(Belonging {
            me: identity.member,
            cluster: cluster.clone(),
            incarnation: incarnation.clone(),
            adopt: identity.adopt.clone(),
            writer: writer.clone(),
            adopting: Mutex::new(()),
        });
        let machine = StateMachine {
            store: store.clone(),
            disk: disk.clone(),
            directory: settings.snapshot_directory.clone(),
            cluster: cluster.clone(),
            progress: progress.clone(),
            blocking,
            apply_entries: settings.limits.apply_entries,
        };
        let context = NetworkContext {
            transport: transport.clone(),
            me: identity.member,
            cluster,
            incarnation,
            disk: disk.clone(),
            directory: settings.snapshot_directory.clone(),
            progress: progress.clone(),
            blocking,
            retry: settings.timing.heartbeat,
            append_patience: settings.timing.lease(),
        };
        let network = NetworkFactory::<S, R> {
            context: Arc::new(context),
            store: PhantomData,
        };
        let (message_bytes, damage) = (settings.limits.message_bytes, progress.damage.clone());
        let log_store = LogStore::<R>::new(writer.clone(), blocking, message_bytes, damage);
        let raft = openraft::Raft::new(identity.member.0, Arc::new(config), network, log_store, machine)
            .await
            .map_err(|error| OpenError::raft(&progress, &error))?;
        let contact = Arc::new(Contact::new());
        let service = Arc::new(Inbound {
            raft: raft.clone(),
            belonging: belonging.clone(),
            contact: contact.clone(),
            disk,
            directory: settings.snapshot_directory.clone(),
            progress: progress.clone(),
            blocking,
        });
        let first = status::<R>(&raft.metrics().borrow_watched(), identity.member, 0, None);
        let fatal = watch::Sender::new(None);
        let watched = Watched::new(activity, &progress.applying);
        let stalls = watch_disks(&settings, &store, watched, blocking, &fatal)?;
        let inner = Arc::new(Inner {
            raft: raft.clone(),
            store,
            address: identity.address,
            timing: settings.timing,
            limits: settings.limits,
            level: settings.level,
            transport,
            belonging,
            contact,
            service,
            log: writer.reader(),
            stalls,
            writer,
            blocking,
            applied: progress.applied(),
            progress,
            archive_configured: AtomicBool::new(settings.archive_configured),
            retiring: AtomicBool::new(false),
            archived: AtomicU64::new(0),
            status: watch::Sender::new(first),
            fatal,
        });
        upkeep::start(&inner, raft);
        prepare_elections(&inner).await?;
        Ok(Self(inner))
    }
}

/// Whether this member may take part with what is stored, and that made fit for it.
fn prepare(settings: &RaftSettings, store: &impl Store, disk: &dyn Disk) -> Result<(), OpenError> {
    let stored = geode_graph::level(&store.read()?)?;
    let mine = settings.level;
    if stored > mine {
        return Err(OpenError::Level { stored, mine });
    }
    snapshot::clear_directory(disk, &settings.snapshot_directory).map_err(|source| OpenError::Io {
        act: "clear the snapshot directory",
        source,
    })?;
    // What is applied now counts as a snapshot point, so it must be durable.
    store.sync()?;
    Ok(())
}

/// The cluster that a member belongs to, and its incarnation; neither is set on an empty one.
fn place(identity: &RaftIdentity) -> (Arc<OnceLock<ClusterId>>, Arc<OnceLock<Incarnation>>) {
    let (cluster, incarnation) = (OnceLock::new(), OnceLock::new());
    if let Some((id, lineage)) = identity.cluster {
        let _ = cluster.set(id);
        let _ = incarnation.set(lineage);
    }
    (Arc::new(cluster), Arc::new(incarnation))
}

/// A voter that is alone leads at once. One that comes back lets the others be elected first: they have what was written meanwhile, and a
/// leader that died is not the one that clients should wait for. Until this is called nobody stands for election ([`RaftSettings::config`]).
async fn prepare_elections<S: Store, R: AsyncRuntime>(inner: &Arc<Inner<S, R>>) -> Result<(), OpenError> {
    let me = inner.address.id.0;
    // Not from the metrics: they say nothing about the membership before consensus has taken its first step.
    let voters = inner
        .raft
        .with_raft_state(|state| {
            state
                .membership_state
                .effective()
                .voter_ids()
                .collect::<Vec<u64>>()
        })
        .await
        .map_err(|error| OpenError::raft(&inner.progress, &error))?;
    if voters.contains(&me) && voters.len() > 1 {
        let pause = inner.timing.election_max * ELECTIONS_LEFT_TO_OTHERS;
        let inner = Arc::downgrade(inner);
        drop(Types::<R>::spawn(async move {
            Types::<R>::sleep(pause).await;
            if let Some(inner) = inner.upgrade() {
                inner.stand_for_election(true);
            }
        }));
        return Ok(());
    }
    inner.stand_for_election(true);
    if voters == [me] {
        let _ = inner.raft.trigger().elect(false).await;
    }
    Ok(())
}

/// Has somebody look at the disks. A simulation's never stall.
fn watch_disks<S: Store>(
    settings: &RaftSettings,
    store: &Arc<S>,
    watched: Watched,
    blocking: Blocking,
    fatal: &watch::Sender<Option<Fatal>>,
) -> Result<Arc<Stalls>, OpenError> {
    let stalls = Arc::new(Stalls::default());
    if blocking == Blocking::Threads {
        let (wal, max) = (&settings.wal_directory, settings.limits.stall_max);
        stall::watch(&stalls, store, watched, wal, max, fatal.clone()).map_err(|source| OpenError::Io {
            act: "start the thread that watches the disks",
            source,
        })?;
    }
    Ok(stalls)
}

/// Opens the log and starts its worker; what is seen of its disk.
fn open_log<R: AsyncRuntime>(
    settings: &RaftSettings,
    identity: &RaftIdentity,
    disk: &Arc<dyn Disk>,
    blocking: Blocking,
) -> Result<(Writer, Activity), OpenError> {
    let options = LogOptions {
        cluster: identity.cluster.map(|(cluster, _)| cluster),
        group: GroupId(0),
        segment_entries: settings.limits.segment_entries,
        cache_bytes: settings.limits.log_cache_bytes,
    };
    let directory = settings.wal_directory.join(group_directory(GroupId(0)));
    let disk = Arc::new(WatchedDisk::new(disk.clone()));
    let activity = disk.activity();
    let (writer, worker) = Writer::new(Log::open(disk, directory, options)?);
    match blocking {
        Blocking::Threads => {
            std::thread::Builder::new()
                .name("geode-wal".to_owned())
                .spawn(move || worker.run())
                .map_err(|source| OpenError::Io {
                    act: "start the log's thread",
                    source,
                })?;
        }
        Blocking::Inline(seed) => drop(Types::<R>::spawn(dawdle::<R>(worker, seed))),
    }
    Ok((writer, activity))
}

/// The log's worker in a simulation: it takes its time, at random.
async fn dawdle<R: AsyncRuntime>(mut worker: Worker, seed: u64) {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    loop {
        let micros = random.random_range(50..DAWDLE_MICROS);
        Types::<R>::sleep(Duration::from_micros(micros)).await;
        if worker.step() == Step::Ended {
            return;
        }
    }
}
