//! The driver: sets a cluster up, lets things fail, heals everything, and asks the oracle.

use crate::client::{self, Append, Outcome};
use crate::member::{Member, Process, address};
use crate::network::Network;
use crate::oracle::{self, Oracle};
use geode_log::disk::Fault;
use geode_server::raft::Runtime;
use geode_types::{ClusterId, Incarnation, MemberId};
use openraft_rt_sim::SimRuntime;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MEMBERS: u64 = 3;
const CLIENTS: u64 = 4;
/// How long things fail, in steps of [`STEP`].
const STEPS: u64 = 250;
const STEP: Duration = Duration::from_millis(100);
/// How long the cluster may take to agree when nothing fails any more.
const HEALING: Duration = Duration::from_secs(60);

/// What a run came to; equal for equal seeds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    pub(crate) terms: usize,
    pub(crate) crashes: u32,
    pub(crate) power_cuts: u32,
    pub(crate) applied: u64,
    pub(crate) segments: usize,
    pub(crate) messages: u64,
    pub(crate) trace: u64,
}

/// What clients share with the driver.
pub(crate) struct Shared {
    processes: Mutex<Vec<Option<Arc<Process>>>>,
    appends: Mutex<Vec<Append>>,
    stop: AtomicBool,
    clock: AtomicU64,
}

impl Shared {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A number that grows with every call: what ended before something began has a smaller one.
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn record(&self, append: Append) {
        self.appends.lock().unwrap().push(append);
    }

    /// A member that believes to lead; with a partition there may be two.
    pub(crate) fn leader(&self) -> Option<Arc<Process>> {
        let processes = self.processes.lock().unwrap();
        let leaders: Vec<_> = processes
            .iter()
            .flatten()
            .filter(|process| process.raft.leader_term().is_some())
            .collect();
        let turn = self.clock.load(Ordering::Relaxed) as usize;
        (!leaders.is_empty()).then(|| leaders[turn % leaders.len()].clone())
    }
}

/// Lives through one seed.
pub(crate) fn run(seed: u64) -> Report {
    let mut runtime = SimRuntime::with_seed(seed);
    runtime.block_on(async move { World::new(seed).live().await })
}

struct World {
    seed: u64,
    dice: StdRng,
    network: Network,
    members: Vec<Member>,
    shared: Arc<Shared>,
    oracle: Oracle,
    crashes: u32,
    power_cuts: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let network = Network::new(seed.wrapping_add(1));
        Self {
            seed,
            dice: StdRng::seed_from_u64(seed),
            members: (1..=MEMBERS).map(|id| Member::new(id, network.clone())).collect(),
            network,
            shared: Arc::new(Shared {
                processes: Mutex::default(),
                appends: Mutex::default(),
                stop: AtomicBool::new(false),
                clock: AtomicU64::new(0),
            }),
            oracle: Oracle::default(),
            crashes: 0,
            power_cuts: 0,
        }
    }

    async fn live(mut self) -> Report {
        self.form().await;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| SimRuntime::spawn(client::run(self.shared.clone(), client, self.seed)))
            .collect();
        for step in 0..STEPS {
            SimRuntime::sleep(STEP).await;
            self.bury_the_dead().await;
            self.oracle.observe(&self.members);
            if step % 5 == 0 {
                self.misfortune().await;
            }
        }
        self.heal().await;
        SimRuntime::sleep(Duration::from_secs(2)).await;
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        self.agree().await;
        self.report().await
    }

    fn publish(&self) {
        *self.shared.processes.lock().unwrap() =
            self.members.iter().map(|member| member.process.clone()).collect();
    }

    async fn start(&mut self, at: usize) {
        self.members[at].start(self.seed).await;
        self.publish();
    }

    async fn stop(&mut self, at: usize, power: bool) {
        self.crashes += 1;
        self.power_cuts += u32::from(power);
        *self.shared.processes.lock().unwrap() = Vec::new();
        let dice = &mut self.dice;
        let mut choose = |bound: u64| dice.random_range(0..bound.max(1));
        let power = power.then_some(&mut choose as &mut (dyn FnMut(u64) -> u64 + Send));
        self.members[at].stop(power).await;
        self.publish();
    }

    /// One member begins the cluster and takes the others in.
    async fn form(&mut self) {
        for at in 0..self.members.len() {
            self.start(at).await;
        }
        let first = self.members[0].process.as_ref().unwrap().raft.clone();
        first
            .initialize(ClusterId(uuid::Uuid::from_u128(5)), Incarnation(0))
            .await
            .unwrap();
        while first.leader_term().is_none() {
            SimRuntime::sleep(STEP).await;
        }
        let others: Vec<MemberId> = self.members[1..].iter().map(|member| member.id).collect();
        for id in &others {
            first.add_learner(address(*id)).await.unwrap();
        }
        let at = first.status().membership.index;
        first
            .change_voters(self.members.iter().map(|member| member.id), at)
            .await
            .unwrap();
        client::set_up(self.members[0].process.as_ref().unwrap(), self.seed).await;
    }

    /// A process whose log failed has ended; it is taken away as after a crash with loss of power.
    async fn bury_the_dead(&mut self) {
        for at in 0..self.members.len() {
            let ended = self.members[at]
                .process
                .as_ref()
                .is_some_and(|process| process.raft.has_ended());
            if ended {
                self.stop(at, true).await;
            }
        }
    }

    async fn misfortune(&mut self) {
        let at = self.dice.random_range(0..self.members.len());
        let other = (at + self.dice.random_range(1..self.members.len())) % self.members.len();
        let (here, there) = (self.members[at].id, self.members[other].id);
        match self.dice.random_range(0..13) {
            0 => self.network.heal(),
            1 => self.network.cut(here, there),
            2 => {
                self.network.cut(here, there);
                self.network.cut(there, here);
            }
            3 => {
                for peer in self
                    .members
                    .iter()
                    .map(|member| member.id)
                    .filter(|peer| *peer != here)
                {
                    self.network.cut(here, peer);
                    self.network.cut(peer, here);
                }
            }
            4 => {
                let (lost, doubled) = (self.dice.random_range(0..30), self.dice.random_range(0..50));
                let delay = self.dice.random_range(200..40_000);
                self.network.weather(lost, doubled, delay);
            }
            5 => self.stop(at, false).await,
            6 => self.stop(at, true).await,
            7 => {
                let operations = self.dice.random_range(0..200);
                self.members[at].disk.fault(Fault::DieAfter(operations));
            }
            8 => {
                let bytes = self.dice.random_range(1_000..200_000);
                self.members[at].disk.fault(Fault::Limit(bytes));
            }
            9 => self.members[at].disk.fault(Fault::Limit(u64::MAX)),
            10 if self.dice.random_range(0..3) == 0 => {
                for at in 0..self.members.len() {
                    self.stop(at, true).await;
                }
            }
            11 => {
                if let Some(process) = self.members[at].process.clone() {
                    drop(SimRuntime::spawn(async move {
                        process.raft.transfer_leader(None).await
                    }));
                }
            }
            _ => self.revive().await,
        }
        if self.dice.random_range(0..3) == 0 {
            self.revive().await;
        }
    }

    async fn revive(&mut self) {
        for at in 0..self.members.len() {
            if self.members[at].process.is_none() {
                self.start(at).await;
            }
        }
    }

    async fn heal(&mut self) {
        self.network.heal();
        for member in &self.members {
            member.disk.fault(Fault::None);
        }
        self.bury_the_dead().await;
        self.revive().await;
    }

    /// Nothing fails any more: the members must come to the same state.
    async fn agree(&mut self) {
        let rounds = HEALING.as_millis() / STEP.as_millis();
        for _ in 0..rounds {
            SimRuntime::sleep(STEP).await;
            self.bury_the_dead().await;
            self.revive().await;
            self.oracle.observe(&self.members);
            let graphs: Vec<_> = self.members.iter().map(Member::graph).collect();
            let leads = self
                .shared
                .leader()
                .is_some_and(|leader| leader.raft.status().last_log.0 == graphs[0].0);
            if leads && graphs.iter().all(|graph| *graph == graphs[0]) {
                return;
            }
        }
        let statuses: Vec<_> = self
            .members
            .iter()
            .map(|member| member.process.as_ref().map(|process| process.raft.status()))
            .collect();
        panic!("the members did not come to agree: {statuses:#?}");
    }

    async fn report(mut self) -> Report {
        let appends = self.shared.appends.lock().unwrap().clone();
        self.members
            .iter()
            .for_each(|member| oracle::check_appends(member, &appends));
        let segments = oracle::check_segments(&self.members);
        let count = |outcome| appends.iter().filter(|append| append.outcome == outcome).count();
        let (trace, messages) = self.network.trace();
        let report = Report {
            acknowledged: count(Outcome::Acknowledged),
            refused: count(Outcome::Refused),
            unknown: count(Outcome::Unknown),
            terms: self.oracle.terms(),
            crashes: self.crashes,
            power_cuts: self.power_cuts,
            applied: self.members[0].graph().0,
            segments,
            messages,
            trace,
        };
        for at in 0..self.members.len() {
            self.stop(at, false).await;
        }
        report
    }
}
