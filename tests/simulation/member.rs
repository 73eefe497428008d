//! A member through its lives: its disk, store and identity stay, its process comes and goes.

use crate::network::{End, Network};
use geode_graph::{Certifier, IdAllocator};
use geode_log::Disk;
use geode_log::disk::{Fault, MemoryDisk};
use geode_server::raft::{Blocking, Environment, Limits, Raft, RaftIdentity, RaftSettings, Runtime, Timing};
use geode_store::{Loader, MemStore, Reader, Store};
use geode_types::{ClusterId, FeatureLevel, Incarnation, MemberId, Term};
use geode_wire::client::MemberAddress;
use openraft_rt_sim::SimRuntime;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) type SimRaft = Raft<MemStore, SimRuntime>;

/// Elections in simulated time.
const TIMING: Timing = Timing {
    heartbeat: Duration::from_millis(50),
    election_min: Duration::from_millis(150),
    election_max: Duration::from_millis(300),
};

/// Small, so that half a minute sees snapshots, purges and many segments.
const LIMITS: Limits = Limits {
    snapshot_entries: 60,
    snapshot_bytes: 1 << 20,
    keep_entries: 40,
    message_entries: 32,
    message_bytes: 16 * 1024,
    apply_entries: 16,
    segment_entries: 16,
    log_cache_bytes: 4 * 1024,
    snapshot_timeout: Duration::from_secs(4),
    wait_max: Duration::from_secs(3),
    // Its disks fail, but answer.
    stall_hand_over: Duration::MAX,
    stall_max: Duration::MAX,
    data_stall_hand_over: Duration::from_secs(5),
};

/// The certifier and the ids of the term in which a member leads.
pub(crate) struct Leading {
    pub(crate) term: Term,
    pub(crate) certifier: Certifier,
    pub(crate) ids: Arc<IdAllocator>,
}

/// One life.
pub(crate) struct Process {
    pub(crate) raft: SimRaft,
    pub(crate) leading: Mutex<Option<Leading>>,
    alive: Arc<AtomicBool>,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

/// A member.
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) disk: MemoryDisk,
    pub(crate) store: MemStore,
    /// Something was done to this life that may end it. A life that ends without is a defect.
    pub(crate) doomed: bool,
    pub(crate) process: Option<Arc<Process>>,
    cluster: Arc<Mutex<Option<(ClusterId, Incarnation)>>>,
    network: Network,
    lives: u64,
}

pub(crate) fn address(id: MemberId) -> MemberAddress {
    MemberAddress {
        id,
        name: format!("m{id}"),
        client: format!("m{id}:3141"),
        internal: format!("m{id}:3142"),
    }
}

impl Member {
    pub(crate) fn new(id: u64, network: Network) -> Self {
        Self {
            id: MemberId(id),
            disk: MemoryDisk::new(),
            store: MemStore::new(),
            doomed: false,
            cluster: Arc::default(),
            process: None,
            network,
            lives: 0,
        }
    }

    /// Starts it. It must come up from whatever its disk holds, unless the disk is told to fail during recovery.
    pub(crate) async fn start(&mut self, seed: u64, dies_after: Option<u64>) {
        assert!(self.process.is_none(), "member {} runs already", self.id);
        self.lives += 1;
        self.doomed = dies_after.is_some();
        self.disk = self.disk.new_process();
        if let Some(operations) = dies_after {
            self.disk.fault(Fault::DieAfter(operations));
        }
        let alive = Arc::new(AtomicBool::new(true));
        let end = End {
            network: self.network.clone(),
            me: self.id,
            alive: alive.clone(),
        };
        let environment = Environment {
            disk: Arc::new(self.disk.clone()) as Arc<dyn Disk>,
            blocking: Blocking::Inline(seed ^ (self.id.0 << 32) ^ self.lives),
        };
        let store = Arc::new(self.store.clone());
        let opened = SimRaft::open(settings(), self.identity(), store, Arc::new(end), environment).await;
        let raft = match opened {
            Ok(raft) => raft,
            Err(_) if self.doomed => return,
            Err(error) => panic!("member {} does not come up: {error}", self.id),
        };
        self.network
            .connect(self.id, Some((raft.service(), alive.clone())));
        self.process = Some(Arc::new(Process {
            raft,
            leading: Mutex::new(None),
            alive,
        }));
    }

    fn identity(&self) -> RaftIdentity {
        let cluster = self.cluster.clone();
        RaftIdentity {
            member: self.id,
            cluster: *self.cluster.lock().unwrap(),
            adopt: Arc::new(move |id, incarnation| {
                *cluster.lock().unwrap() = Some((id, incarnation));
                Ok(())
            }),
            address: address(self.id),
        }
    }

    /// Ends its process at once: from here on it writes nothing, sends nothing, answers nobody. With `power` given, what was not synced is
    /// lost as these dice say.
    pub(crate) fn stop(&mut self, power: Option<&mut dyn FnMut(u64) -> u64>) {
        if let Some(process) = self.process.take() {
            process.alive.store(false, Ordering::Relaxed);
            self.network.connect(self.id, None);
            // Its tasks end in their own time; what they still do goes into files and a store that nobody sees.
            drop(SimRuntime::spawn(async move { process.raft.shutdown().await }));
        }
        self.disk = self.disk.new_process();
        if let Some(choose) = power {
            self.disk.lose_power(choose);
            self.store.lose_power();
        }
        self.store = copy(&self.store);
    }

    /// Applied index and hash of the graph.
    pub(crate) fn graph(&self) -> (u64, [u8; 32]) {
        let read = self.store.read().unwrap();
        let at = geode_graph::position(&read).unwrap();
        (at.index.0, geode_graph::state_hash(&read).unwrap())
    }

    /// The last applied entry.
    pub(crate) fn applied(&self) -> u64 {
        geode_graph::position(&self.store.read().unwrap())
            .unwrap()
            .index
            .0
    }
}

fn settings() -> RaftSettings {
    RaftSettings {
        timing: TIMING,
        limits: LIMITS,
        snapshot_directory: PathBuf::from("/data/snapshots"),
        wal_directory: PathBuf::from("/wal"),
        archive_configured: false,
        level: FeatureLevel::NEWEST,
    }
}

/// A store of the same content that the one before cannot change. What is in it counts as synced: a start syncs the store first anyway.
fn copy(store: &MemStore) -> MemStore {
    let (read, copied) = (store.read().unwrap(), MemStore::new());
    let mut loader = copied.load().unwrap();
    for entry in read.range(&[], None).unwrap() {
        let (key, value) = entry.unwrap();
        loader.put(key, value).unwrap();
    }
    loader.finish().unwrap();
    copied
}
