//! The network in memory: every message waits, and may be lost, doubled or cut off, as the dice say.

use bytes::Bytes;
use geode_server::raft::{
    BoxFuture, Lane, PeerTransport, RaftService, Runtime, SnapshotBody, TransportError,
};
use geode_types::MemberId;
use geode_wire::client::MemberAddress;
use openraft_rt_sim::SimRuntime;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// All members and what lies between them.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<State>>);

struct State {
    dice: StdRng,
    services: BTreeMap<MemberId, Arc<dyn RaftService>>,
    /// From, to.
    cut: BTreeSet<(MemberId, MemberId)>,
    lost_percent: u32,
    doubled_percent: u32,
    delay_micros: u64,
    /// Everything that was sent, folded.
    trace: DefaultHasher,
    sent: u64,
}

/// What happens to one message.
struct Fate {
    there: Duration,
    back: Duration,
    lost: bool,
    answer_lost: bool,
    doubled: bool,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            dice: StdRng::seed_from_u64(seed),
            services: BTreeMap::new(),
            cut: BTreeSet::new(),
            lost_percent: 0,
            doubled_percent: 0,
            delay_micros: 1000,
            trace: DefaultHasher::new(),
            sent: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn connect(&self, member: MemberId, service: Option<Arc<dyn RaftService>>) {
        match service {
            Some(service) => self.lock().services.insert(member, service),
            None => self.lock().services.remove(&member),
        };
    }

    pub(crate) fn cut(&self, from: MemberId, to: MemberId) {
        self.lock().cut.insert((from, to));
    }

    /// How bad the weather is.
    pub(crate) fn weather(&self, lost_percent: u32, doubled_percent: u32, delay_micros: u64) {
        let mut state = self.lock();
        (state.lost_percent, state.doubled_percent, state.delay_micros) =
            (lost_percent, doubled_percent, delay_micros);
    }

    pub(crate) fn heal(&self) {
        self.lock().cut.clear();
        self.weather(0, 0, 1000);
    }

    /// The hash of everything that was sent, and how many messages that were.
    pub(crate) fn trace(&self) -> (u64, u64) {
        let state = self.lock();
        (state.trace.finish(), state.sent)
    }

    fn fate(&self, from: MemberId, to: MemberId, message: &[u8]) -> Fate {
        let mut state = self.lock();
        (from, to, message).hash(&mut state.trace);
        state.sent += 1;
        let limit = state.delay_micros.max(100);
        let (lost, doubled) = (state.lost_percent, state.doubled_percent);
        let cut = state.cut.contains(&(from, to));
        let cut_back = state.cut.contains(&(to, from));
        let dice = &mut state.dice;
        let mut delay = || Duration::from_micros(dice.random_range(50..limit));
        let (there, back) = (delay(), delay());
        Fate {
            there,
            back,
            lost: cut | (dice.random_range(0..100) < lost),
            answer_lost: cut_back | (dice.random_range(0..100) < lost),
            doubled: dice.random_range(0..100) < doubled,
        }
    }

    fn service(&self, member: MemberId) -> Option<Arc<dyn RaftService>> {
        self.lock().services.get(&member).cloned()
    }
}

/// One life of a member on the network.
pub(crate) struct End {
    pub(crate) network: Network,
    pub(crate) me: MemberId,
    /// Cleared when that life ends: what it still tries to send goes nowhere.
    pub(crate) alive: Arc<AtomicBool>,
}

type Answer = Result<Bytes, TransportError>;

/// Delivers in a task of its own, as a receiver works on what it got even if the sender has given up.
async fn deliver(
    end: (Network, MemberId, Arc<AtomicBool>),
    to: MemberId,
    fate: Fate,
    receive: impl FnOnce(Arc<dyn RaftService>) -> BoxFuture<'static, Bytes> + Send + 'static,
) -> Answer {
    let (network, from, alive) = end;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = async move {
        SimRuntime::sleep(fate.there).await;
        if fate.lost || !alive.load(Ordering::Relaxed) {
            return;
        }
        let Some(service) = network.service(to) else {
            let _ = sender.send(Err(TransportError::Unreachable(format!("{to} is down"))));
            return;
        };
        let answer = receive(service).await;
        SimRuntime::sleep(fate.back).await;
        // A member that went down meanwhile answers nobody, one that is cut off neither.
        if !fate.answer_lost && network.service(to).is_some() && !network.lock().cut.contains(&(to, from)) {
            let _ = sender.send(Ok(answer));
        }
    };
    drop(SimRuntime::spawn(task));
    match receiver.await {
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
    fn parts(&self) -> (Network, MemberId, Arc<AtomicBool>) {
        (self.network.clone(), self.me, self.alive.clone())
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
        let fate = self.network.fate(self.me, to, &message);
        let parts = self.parts();
        let doubled = fate.doubled;
        let receive = move |service: Arc<dyn RaftService>| {
            if doubled {
                drop(SimRuntime::spawn(service.handle(message.clone())));
            }
            service.handle(message)
        };
        let answer = deliver(parts, to, fate, receive);
        Box::pin(within(timeout, answer))
    }

    fn send_snapshot(
        &self,
        peer: &MemberAddress,
        message: Bytes,
        mut body: SnapshotBody,
        idle: Duration,
    ) -> BoxFuture<'_, Answer> {
        let to = peer.id;
        let fate = self.network.fate(self.me, to, &message);
        let receive = move |service: Arc<dyn RaftService>| -> BoxFuture<'static, Bytes> {
            let mut receiver = match service.begin_snapshot(message) {
                Ok(receiver) => receiver,
                Err(refusal) => return Box::pin(std::future::ready(refusal)),
            };
            Box::pin(async move {
                while let Ok(Some(chunk)) = body.chunk() {
                    if receiver.chunk(&chunk).is_err() {
                        return Bytes::new();
                    }
                    SimRuntime::sleep(Duration::from_micros(200)).await;
                }
                receiver.finish().await
            })
        };
        let answer = deliver(self.parts(), to, fate, receive);
        Box::pin(within(idle.min(Duration::from_secs(2)), answer))
    }
}
