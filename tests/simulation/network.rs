//! The network in memory: every message waits, and may be lost, doubled or cut off, as the dice say.

use bytes::Bytes;
use geode_server::raft::{
    BoxFuture, Lane, PeerTransport, RaftService, Runtime, SnapshotBody, TransportError,
};
use geode_types::{FeatureLevel, MemberId};
use geode_wire::client::MemberAddress;
use openraft_rt_sim::SimRuntime;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Between two members when nothing is wrong, at most.
const FAIR_DELAY_MICROS: u64 = 1000;

/// All members and what lies between them.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<State>>);

/// Where a life of a member takes messages in, and whether that life lasts.
type Receiver = (Arc<dyn RaftService>, Arc<AtomicBool>);

struct State {
    dice: StdRng,
    receivers: BTreeMap<MemberId, Receiver>,
    /// From, to.
    cut: BTreeSet<(MemberId, MemberId)>,
    lost_percent: u32,
    doubled_percent: u32,
    delay_micros: u64,
    /// Everything that was sent, folded.
    trace: DefaultHasher,
    traffic: Traffic,
}

/// What went over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) cut: u64,
    /// Snapshots that arrived whole and were installed.
    pub(crate) snapshots: u64,
}

/// What happens to one message.
struct Fate {
    there: Duration,
    back: Duration,
    lost: bool,
    answer_lost: bool,
    /// It arrives a second time, so much later.
    again: Option<Duration>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            dice: StdRng::seed_from_u64(seed),
            receivers: BTreeMap::new(),
            cut: BTreeSet::new(),
            lost_percent: 0,
            doubled_percent: 0,
            delay_micros: FAIR_DELAY_MICROS,
            trace: DefaultHasher::new(),
            traffic: Traffic::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn connect(&self, member: MemberId, receiver: Option<Receiver>) {
        match receiver {
            Some(receiver) => self.lock().receivers.insert(member, receiver),
            None => self.lock().receivers.remove(&member),
        };
    }

    pub(crate) fn cut(&self, from: MemberId, to: MemberId) {
        self.lock().cut.insert((from, to));
    }

    /// Whether something is cut.
    pub(crate) fn is_cut(&self) -> bool {
        !self.lock().cut.is_empty()
    }

    /// How bad the weather is.
    pub(crate) fn weather(&self, lost_percent: u32, doubled_percent: u32, delay_micros: u64) {
        let mut state = self.lock();
        (state.lost_percent, state.doubled_percent, state.delay_micros) =
            (lost_percent, doubled_percent, delay_micros);
    }

    /// Mends every cut.
    pub(crate) fn join(&self) {
        self.lock().cut.clear();
    }

    /// Mends everything.
    pub(crate) fn heal(&self) {
        self.join();
        self.weather(0, 0, FAIR_DELAY_MICROS);
    }

    /// Folds something that happened into the hash of the run.
    pub(crate) fn note(&self, what: impl Hash) {
        what.hash(&mut self.lock().trace);
    }

    /// The hash of everything that was sent and noted.
    pub(crate) fn trace(&self) -> u64 {
        self.lock().trace.finish()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    fn fate(&self, from: MemberId, to: MemberId, message: &[u8]) -> Fate {
        let mut state = self.lock();
        (from, to, message).hash(&mut state.trace);
        let limit = state.delay_micros.max(100);
        let (lost, doubled) = (state.lost_percent, state.doubled_percent);
        let cut = state.cut.contains(&(from, to));
        let dice = &mut state.dice;
        let mut delay = |limit: u64| Duration::from_micros(dice.random_range(50..limit));
        // A message that comes twice may come much later: after elections, restarts and snapshots.
        let (there, back, later) = (delay(limit), delay(limit), delay(limit * 20));
        let mut happens = |percent: u32| dice.random_range(0..100) < percent;
        let fate = Fate {
            there,
            back,
            lost: happens(lost) | cut,
            answer_lost: happens(lost),
            again: (happens(doubled) && !cut).then_some(later),
        };
        let traffic = &mut state.traffic;
        traffic.sent += 1;
        traffic.cut += u64::from(cut);
        traffic.lost += u64::from((fate.lost || fate.answer_lost) && !cut);
        traffic.doubled += u64::from(fate.again.is_some());
        fate
    }

    fn receiver(&self, member: MemberId) -> Option<Receiver> {
        self.lock().receivers.get(&member).cloned()
    }
}

/// One life of a member on the network.
pub(crate) struct End {
    pub(crate) network: Network,
    pub(crate) me: MemberId,
    /// Cleared when that life ends: what it still tries to send goes nowhere. What is under way arrives.
    pub(crate) alive: Arc<AtomicBool>,
}

type Answer = Result<Bytes, TransportError>;

/// Delivers in a task of its own, as a receiver works on what it got even if the sender has given up.
async fn deliver(
    network: Network,
    (from, to): (MemberId, MemberId),
    fate: Fate,
    receive: impl FnOnce(Arc<dyn RaftService>) -> BoxFuture<'static, Bytes> + Send + 'static,
) -> Answer {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let task = async move {
        SimRuntime::sleep(fate.there).await;
        if fate.lost {
            return;
        }
        let Some((service, alive)) = network.receiver(to) else {
            let _ = sender.send(Err(TransportError::Unreachable(format!("{to} is down"))));
            return;
        };
        let answer = receive(service).await;
        // A member that went down meanwhile answers nobody, one that is cut off neither.
        let cut = network.lock().cut.contains(&(to, from));
        if !alive.load(Ordering::Relaxed) || fate.answer_lost || cut {
            return;
        }
        SimRuntime::sleep(fate.back).await;
        let _ = sender.send(Ok(answer));
    };
    drop(SimRuntime::spawn(task));
    match answer.await {
        Ok(answer) => answer,
        // Nothing comes: the caller's timeout ends the wait.
        Err(_) => std::future::pending().await,
    }
}

async fn within(timeout: Duration, answer: impl Future<Output = Answer> + Send) -> Answer {
    let waited = SimRuntime::timeout(timeout, answer).await;
    waited.unwrap_or_else(|_| Err(TransportError::Broken("timeout".to_owned())))
}

impl End {
    fn fate(&self, to: MemberId, message: &[u8]) -> Fate {
        let mut fate = self.network.fate(self.me, to, message);
        if !self.alive.load(Ordering::Relaxed) {
            (fate.lost, fate.again) = (true, None);
        }
        fate
    }

    /// The same message once more, which nobody waits for.
    fn repeat(&self, to: MemberId, later: Duration, message: Bytes) {
        let network = self.network.clone();
        drop(SimRuntime::spawn(async move {
            SimRuntime::sleep(later).await;
            if let Some((service, _)) = network.receiver(to) {
                service.handle(message).await;
            }
        }));
    }
}

impl PeerTransport for End {
    fn call(
        &self,
        peer: &MemberAddress,
        _lane: Lane,
        message: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Answer> {
        let to = peer.id;
        let fate = self.fate(to, &message);
        if let Some(later) = fate.again {
            self.repeat(to, fate.there + later, message.clone());
        }
        let receive = move |service: Arc<dyn RaftService>| service.handle(message);
        let answer = deliver(self.network.clone(), (self.me, to), fate, receive);
        Box::pin(within(timeout, answer))
    }

    fn level(&self, _: MemberId) -> Option<FeatureLevel> {
        Some(FeatureLevel::NEWEST)
    }

    fn send_snapshot(
        &self,
        peer: &MemberAddress,
        message: Bytes,
        mut body: SnapshotBody,
        idle: Duration,
    ) -> BoxFuture<'_, Answer> {
        let to = peer.id;
        let fate = self.fate(to, &message);
        let (network, alive) = (self.network.clone(), self.alive.clone());
        let receive = move |service: Arc<dyn RaftService>| -> BoxFuture<'static, Bytes> {
            let mut receiver = match service.begin_snapshot(message) {
                Ok(receiver) => receiver,
                Err(refusal) => return Box::pin(std::future::ready(refusal)),
            };
            Box::pin(async move {
                loop {
                    // A sender that cannot read on: what came so far ends like a whole one, the worst that a transport could do.
                    let Ok(Some(chunk)) = body.chunk() else { break };
                    // A sender that died in the middle leaves the receiver with a part of it.
                    if receiver.chunk(&chunk).is_err() || !alive.load(Ordering::Relaxed) {
                        return Bytes::new();
                    }
                    SimRuntime::sleep(Duration::from_micros(200)).await;
                }
                let answer = receiver.finish().await;
                network.lock().traffic.snapshots += 1;
                answer
            })
        };
        let answer = deliver(self.network.clone(), (self.me, to), fate, receive);
        Box::pin(within(idle.min(Duration::from_secs(2)), answer))
    }
}
