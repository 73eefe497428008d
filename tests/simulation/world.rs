//! The driver: sets a cluster up, lets things fail, heals everything, and asks the oracle.

use crate::client::{self, Append, Outcome, Reading};
use crate::faults::{Fault, Temper};
use crate::journal;
use crate::ledger;
use crate::member::{Member, Process, address};
use crate::network::{Network, Traffic};
use crate::oracle::{self, Oracle};
use geode_log::disk;
use geode_server::raft::Runtime;
use geode_store::Store;
use geode_types::{ClusterId, Incarnation, MemberId};
use openraft_rt_sim::SimRuntime;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENTS: u64 = 4;
/// How long things fail, in steps of [`STEP`].
const STEPS: u64 = 250;
const STEP: Duration = Duration::from_millis(100);
/// How long clients go on when everything is healed.
const CALM: Duration = Duration::from_secs(1);
/// How long the cluster may take to agree when nothing fails any more.
const HEALING: Duration = Duration::from_secs(60);

/// What a run came to; equal for equal seeds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) members: usize,
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    pub(crate) readings: usize,
    pub(crate) terms: usize,
    /// Committed entries that were compared between the members' logs.
    pub(crate) entries: usize,
    pub(crate) segments: usize,
    pub(crate) crashes: u32,
    pub(crate) power_cuts: u32,
    pub(crate) restarts: u32,
    pub(crate) faults: BTreeMap<Fault, u32>,
    pub(crate) traffic: Traffic,
    /// Folds everything that was sent, when, and every state that was looked at.
    pub(crate) trace: u64,
}

impl Report {
    /// A run in which nothing goes wrong shows nothing.
    pub(crate) fn check_that_much_happened(&self) {
        let Traffic {
            cut, lost, doubled, ..
        } = self.traffic;
        assert!(
            self.power_cuts > 0 && self.restarts > 0 && self.acknowledged > 0,
            "too little happened: {self:?}"
        );
        assert!(
            cut > 0 && lost > 0 && doubled > 0,
            "the network was too quiet: {self:?}"
        );
    }
}

/// What clients share with the driver.
pub(crate) struct Shared {
    processes: Mutex<Vec<Option<Arc<Process>>>>,
    appends: Mutex<Vec<Append>>,
    readings: Mutex<Vec<Reading>>,
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

    pub(crate) fn record_reading(&self, reading: Reading) {
        self.readings.lock().unwrap().push(reading);
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
    journal::begin();
    let mut runtime = SimRuntime::with_seed(seed);
    runtime.block_on(async move { World::new(seed).live().await })
}

struct World {
    seed: u64,
    dice: StdRng,
    temper: Temper,
    network: Network,
    members: Vec<Member>,
    shared: Arc<Shared>,
    oracle: Oracle,
    step: u64,
    /// When a member that is down starts again.
    back: Vec<Option<u64>>,
    /// When a full volume has room again.
    room: Vec<Option<u64>>,
    /// When the cuts are mended.
    joined: Option<u64>,
    crashes: u32,
    power_cuts: u32,
    restarts: u32,
    faults: BTreeMap<Fault, u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let network = Network::new(seed.wrapping_add(1));
        let mut dice = StdRng::seed_from_u64(seed);
        let count = if seed.is_multiple_of(2) { 3 } else { 5 };
        Self {
            seed,
            temper: Temper::new(&mut dice),
            dice,
            members: (1..=count).map(|id| Member::new(id, network.clone())).collect(),
            network,
            shared: Arc::new(Shared {
                processes: Mutex::default(),
                appends: Mutex::default(),
                readings: Mutex::default(),
                stop: AtomicBool::new(false),
                clock: AtomicU64::new(0),
            }),
            oracle: Oracle::default(),
            step: 0,
            back: vec![None; count as usize],
            room: vec![None; count as usize],
            joined: None,
            crashes: 0,
            power_cuts: 0,
            restarts: 0,
            faults: BTreeMap::new(),
        }
    }

    async fn live(mut self) -> Report {
        self.form().await;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| SimRuntime::spawn(client::run(self.shared.clone(), client, self.seed)))
            .collect();
        for _ in 0..STEPS {
            self.pass().await;
            self.recover().await;
            if let Some(fault) = self.temper.strike(&mut self.dice) {
                *self.faults.entry(fault).or_default() += 1;
                self.strike(fault);
            }
        }
        self.heal().await;
        SimRuntime::sleep(CALM).await;
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        self.agree().await;
        self.take_a_write().await;
        self.hand_over().await;
        self.agree().await;
        self.report()
    }

    /// A step passes; what happened in it is looked at.
    async fn pass(&mut self) {
        SimRuntime::sleep(STEP).await;
        self.step += 1;
        journal::check();
        self.bury_the_dead().await;
        self.oracle.observe(&self.members);
        let applied: Vec<u64> = self.members.iter().map(Member::applied).collect();
        self.network.note(applied);
    }

    fn publish(&self) {
        *self.shared.processes.lock().unwrap() =
            self.members.iter().map(|member| member.process.clone()).collect();
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        journal::note(format!("step {}: {what}", self.step));
    }

    async fn start(&mut self, at: usize, dies_after: Option<u64>) {
        self.members[at].start(self.seed, dies_after).await;
        self.publish();
        if self.members[at].process.is_none() {
            self.note(format_args!(
                "member {} fails while it recovers",
                self.members[at].id
            ));
            self.stop(at, true);
        }
    }

    fn stop(&mut self, at: usize, power: bool) {
        self.note(format_args!(
            "member {} stops, power cut: {power}",
            self.members[at].id
        ));
        self.crashes += 1;
        self.power_cuts += u32::from(power);
        let dice = &mut self.dice;
        let mut choose = |bound: u64| dice.random_range(0..bound.max(1));
        self.members[at].stop(power.then_some(&mut choose));
        self.oracle.forget(self.members[at].id);
        self.back[at] = Some(self.step + self.dice.random_range(1..30));
        self.room[at] = None;
        self.publish();
    }

    /// One member begins the cluster and takes the others in.
    async fn form(&mut self) {
        for at in 0..self.members.len() {
            self.start(at, None).await;
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

    /// A process whose disk failed has ended; it is taken away as after a crash.
    async fn bury_the_dead(&mut self) {
        for at in 0..self.members.len() {
            let Some(process) = &self.members[at].process else {
                continue;
            };
            if !process.raft.has_ended() {
                continue;
            }
            if !self.members[at].doomed {
                let reason = process.raft.fatal().await;
                panic!(
                    "member {} ended although nothing was done to it: {reason}",
                    self.members[at].id
                );
            }
            let power = self.dice.random_range(0..2) == 0;
            self.stop(at, power);
        }
    }

    /// What was due to end ends.
    async fn recover(&mut self) {
        let due = |when: &Option<u64>| when.is_some_and(|when| when <= self.step);
        if due(&self.joined) {
            self.note(format_args!("all cuts are mended"));
            self.network.join();
            self.joined = None;
        }
        for at in 0..self.members.len() {
            if self.room[at].is_some_and(|when| when <= self.step) {
                self.note(format_args!("member {} has room", self.members[at].id));
                self.make_room(at);
            }
            if self.back[at].is_some_and(|when| when <= self.step) {
                self.back[at] = None;
                self.restarts += 1;
                // One recovery in eight is interrupted itself.
                let dies_after = (self.dice.random_range(0..8) == 0).then(|| self.dice.random_range(0..12));
                self.note(format_args!("member {} starts", self.members[at].id));
                self.start(at, dies_after).await;
            }
        }
    }

    fn make_room(&mut self, at: usize) {
        self.room[at] = None;
        self.members[at].disk.fault(disk::Fault::Limit(u64::MAX));
        self.members[at].store.limit_bytes(None);
    }

    fn strike(&mut self, fault: Fault) {
        let at = self.dice.random_range(0..self.members.len());
        let other = (at + self.dice.random_range(1..self.members.len())) % self.members.len();
        let (here, there) = (self.members[at].id, self.members[other].id);
        self.note(format_args!("{fault:?}, member {here}, {there}"));
        let runs = self.members[at].process.is_some();
        match fault {
            // A disk that nobody writes to does not fail; what is done to it is forgotten when a process starts.
            Fault::DiskDies | Fault::SyncFails | Fault::LogFull | Fault::StoreFull | Fault::StoreFails
                if !runs => {}
            Fault::Split => {
                let groups: Vec<bool> = self.members.iter().map(|_| self.dice.random()).collect();
                self.cut(|one, two| groups[one] != groups[two]);
            }
            Fault::OneWay => self.cut(|one, two| (one, two) == (at, other)),
            Fault::Isolate => self.cut(|one, two| (one == at) != (two == at)),
            Fault::Weather => {
                if self.dice.random_range(0..4) == 0 && self.faults[&Fault::Weather] > 1 {
                    self.network.weather(0, 0, 1000);
                } else {
                    let (lost, doubled) = (self.dice.random_range(2..30), self.dice.random_range(5..50));
                    self.network
                        .weather(lost, doubled, self.dice.random_range(500..40_000));
                }
            }
            Fault::Kill => self.stop(at, false),
            Fault::Power => self.stop(at, true),
            Fault::PowerEverywhere => (0..self.members.len()).for_each(|at| self.stop(at, true)),
            Fault::DiskDies => {
                self.members[at].doomed = true;
                let operations = self.dice.random_range(0..60);
                self.members[at].disk.fault(disk::Fault::DieAfter(operations));
            }
            Fault::SyncFails => {
                self.members[at].doomed = true;
                self.members[at].disk.fault(disk::Fault::FailSync);
            }
            Fault::LogFull => {
                let bytes = self.dice.random_range(1_000..200_000);
                self.members[at].disk.fault(disk::Fault::Limit(bytes));
                self.room[at] = Some(self.step + self.dice.random_range(5..40));
            }
            Fault::StoreFull => {
                let store = &self.members[at].store;
                store.limit_bytes(Some(store.size().unwrap().used_bytes + 200));
                self.room[at] = Some(self.step + self.dice.random_range(5..40));
            }
            Fault::StoreFails => {
                self.members[at].doomed = true;
                self.members[at].store.fail_next_commit(std::io::ErrorKind::Other);
            }
            Fault::Transfer => {
                if let Some(process) = self.shared.leader() {
                    drop(SimRuntime::spawn(async move {
                        process.raft.transfer_leader(Some(here)).await
                    }));
                }
            }
        }
    }

    /// Cuts every direction that `parts` chooses by the places of its ends, for a while.
    fn cut(&mut self, parts: impl Fn(usize, usize) -> bool) {
        for (one, from) in self.members.iter().enumerate() {
            for (two, to) in self.members.iter().enumerate() {
                if one != two && parts(one, two) {
                    self.network.cut(from.id, to.id);
                }
            }
        }
        if self.network.is_cut() && self.joined.is_none() {
            self.joined = Some(self.step + self.dice.random_range(3..40));
        }
    }

    async fn revive(&mut self) {
        for at in 0..self.members.len() {
            if self.members[at].process.is_none() {
                self.back[at] = None;
                self.restarts += 1;
                self.note(format_args!("member {} starts", self.members[at].id));
                self.start(at, None).await;
            }
        }
    }

    async fn heal(&mut self) {
        self.note(format_args!("everything heals"));
        self.network.heal();
        for at in 0..self.members.len() {
            self.members[at].disk.fault(disk::Fault::None);
            self.make_room(at);
        }
        self.bury_the_dead().await;
        self.revive().await;
    }

    /// Nothing fails any more: the members must come to the same state.
    async fn agree(&mut self) {
        let rounds = HEALING.as_millis() / STEP.as_millis();
        for _ in 0..rounds {
            self.pass().await;
            self.revive().await;
            let applied = self.members[0].applied();
            let leads = self
                .shared
                .leader()
                .is_some_and(|leader| leader.raft.status().last_log.0 == applied);
            if leads && self.is_one() {
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

    /// Whether all members hold the same graph.
    fn is_one(&self) -> bool {
        let mut graphs = self.members.iter().map(Member::graph);
        let first = graphs.next();
        graphs.all(|graph| Some(graph) == first)
    }

    /// A cluster in which nothing fails takes a write.
    async fn take_a_write(&mut self) {
        for _ in 0..HEALING.as_millis() / STEP.as_millis() {
            self.pass().await;
            let Some(leader) = self.shared.leader() else {
                continue;
            };
            if client::write_once(&leader, self.seed).await {
                return;
            }
        }
        panic!("no write is acknowledged although nothing fails any more");
    }

    /// A cluster in which nothing fails hands leadership to whom it is told; a vote may get lost to a coincidence once.
    async fn hand_over(&mut self) {
        let mut refusals = Vec::new();
        for _ in 0..2 {
            self.agree().await;
            let leader = self.shared.leader().unwrap();
            let others = self.members.iter().map(|member| member.id);
            let others: Vec<_> = others.filter(|id| *id != leader.raft.member()).collect();
            let to = others[self.dice.random_range(0..others.len())];
            match leader.raft.transfer_leader(Some(to)).await {
                Ok(()) => return,
                Err(error) => refusals.push(error.to_string()),
            }
        }
        panic!("leadership is not handed over although nothing fails any more: {refusals:?}");
    }

    fn report(mut self) -> Report {
        // What the files hold now is compared from the start once more.
        for member in &self.members {
            self.oracle.forget(member.id);
        }
        self.oracle.observe(&self.members);
        let appends = self.shared.appends.lock().unwrap().clone();
        let readings = self.shared.readings.lock().unwrap().clone();
        for member in &self.members {
            oracle::check_clients(member, &appends, &readings);
            self.network.note(member.graph());
        }
        let count = |outcome| appends.iter().filter(|append| append.outcome == outcome).count();
        let report = Report {
            members: self.members.len(),
            acknowledged: count(Outcome::Acknowledged),
            refused: count(Outcome::Refused),
            unknown: count(Outcome::Unknown),
            readings: readings.len(),
            terms: self.oracle.terms(),
            entries: self.oracle.entries(),
            segments: ledger::check_segments(&self.members),
            crashes: self.crashes,
            power_cuts: self.power_cuts,
            restarts: self.restarts,
            faults: std::mem::take(&mut self.faults),
            traffic: self.network.traffic(),
            trace: self.network.trace(),
        };
        journal::check();
        report
    }
}
