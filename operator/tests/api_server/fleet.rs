//! The members of one cluster: internal ports on loopback that answer over QUIC with the cluster's own certificates, and behind them the Raft
//! that the planner's tests use.

use crate::fuse::{Fuse, Verdict};
use crate::raft::{Raft, empty};
use geode_client::tls::{Identity, authorities, parse_identity};
use geode_planner::{Group, Names};
use geode_types::{ClusterId, MemberId};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{
    InternalReply, InternalRequest, MemberState, MemberStatus, Task, TaskKind, TaskReport, TaskResult,
    TaskState,
};
use geode_wire::{FRAME_BYTES_MAX, INTERNAL_ALPN, INTERNAL_PORT, decode, encode, read_frame, write_frame};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, RecvStream, SendStream, ServerConfig};
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// Every fleet has a network of its own on loopback.
static FLEETS: AtomicU16 = AtomicU16::new(1);

/// What is on the volumes of a pod, for as long as they have these uids.
struct Volume {
    uids: Vec<String>,
    id: MemberId,
    cluster_id: Option<ClusterId>,
    /// Its member takes no part.
    fenced: bool,
}

struct State {
    names: Names,
    raft: Option<Raft>,
    /// Databases that nobody runs now.
    asleep: Vec<Raft>,
    volumes: BTreeMap<String, Volume>,
    /// What is on volumes that no pod mounts now.
    unmounted: Vec<Volume>,
    running: BTreeMap<String, Endpoint>,
    tasks: BTreeMap<String, Vec<TaskReport>>,
    next_id: u64,
    /// Databases that were begun.
    begun: u32,
    /// Databases that were restored.
    restored: u32,
    /// Tasks that were filed, by name; filing one again with the same member counts once.
    filed: Vec<String>,
    /// Backups stay where they are.
    backups_hang: bool,
}

/// All members.
#[derive(Clone)]
pub(crate) struct Fleet {
    network: u16,
    fuse: Arc<Fuse>,
    state: Arc<Mutex<State>>,
}

impl Fleet {
    pub(crate) fn new(names: Names, fuse: Arc<Fuse>) -> Self {
        Self {
            network: FLEETS.fetch_add(1, Ordering::Relaxed),
            fuse,
            state: Arc::new(Mutex::new(State {
                names,
                raft: None,
                asleep: Vec::new(),
                volumes: BTreeMap::new(),
                unmounted: Vec::new(),
                running: BTreeMap::new(),
                tasks: BTreeMap::new(),
                next_id: 0,
                begun: 0,
                restored: 0,
                filed: Vec::new(),
                backups_hang: false,
            })),
        }
    }

    /// Where this pod is.
    pub(crate) fn address(&self, pod: &str) -> IpAddr {
        let place = self.state.lock().unwrap().names.place(pod).unwrap();
        let first = match place.group {
            Group::Voters => 1,
            Group::Observers => 101,
        };
        let [high, low] = self.network.to_be_bytes();
        Ipv4Addr::new(127, 1 + high, low, first + place.ordinal as u8).into()
    }

    /// Starts the member of a pod on these volumes, unless it runs. What was on other volumes is gone.
    pub(crate) fn start(&self, pod: &str, uids: Vec<String>, identity: &Identity, ca: &[u8]) {
        let address = SocketAddr::new(self.address(pod), INTERNAL_PORT);
        let mut state = self.state.lock().unwrap();
        if state.running.contains_key(pod) {
            return;
        }
        if state.volumes.get(pod).is_none_or(|volume| volume.uids != uids) {
            state.mount(pod, uids);
        }
        let endpoint = Endpoint::server(listener(identity, ca), address).unwrap();
        state.running.insert(pod.to_owned(), endpoint.clone());
        tokio::spawn(serve(self.clone(), pod.to_owned(), endpoint));
    }

    /// The member of this pod has other certificates from now on.
    pub(crate) fn reload(&self, pod: &str, identity: &Identity, ca: &[u8]) {
        let state = self.state.lock().unwrap();
        state.running[pod].set_server_config(Some(listener(identity, ca)));
    }

    /// The member of this pod ends. It forgets its tasks.
    pub(crate) fn stop(&self, pod: &str) {
        let mut state = self.state.lock().unwrap();
        state.tasks.remove(pod);
        if let Some(endpoint) = state.running.remove(pod) {
            endpoint.close(0u32.into(), b"the pod is gone");
        }
    }

    pub(crate) fn running(&self) -> Vec<String> {
        self.state.lock().unwrap().running.keys().cloned().collect()
    }

    /// Time passes.
    pub(crate) fn step(&self) {
        let mut state = self.state.lock().unwrap();
        let up = state.up();
        let state = &mut *state;
        if !state.backups_hang {
            state.work_on_tasks();
        }
        let Some(raft) = &mut state.raft else { return };
        raft.step(&up);
        for volume in state.volumes.values_mut() {
            if raft.leader.is_some() && raft.knows(volume.id) && up.contains(&volume.id) {
                volume.cluster_id = Some(raft.cluster_id);
            }
        }
    }

    /// Whether the member of this pod serves.
    pub(crate) fn is_ready(&self, pod: &str) -> bool {
        let state = self.state.lock().unwrap();
        state.running.contains_key(pod) && state.account(pod).not_ready.is_none()
    }

    /// Databases that were begun.
    pub(crate) fn begun(&self) -> u32 {
        self.state.lock().unwrap().begun
    }

    /// Databases that were restored.
    pub(crate) fn restored(&self) -> u32 {
        self.state.lock().unwrap().restored
    }

    /// Voters by pod, sorted.
    pub(crate) fn voters(&self) -> Vec<String> {
        self.members(true)
    }

    /// Members without a vote by pod, sorted.
    pub(crate) fn learners(&self) -> Vec<String> {
        self.members(false)
    }

    fn members(&self, vote: bool) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let Some(raft) = &state.raft else {
            return Vec::new();
        };
        let members = raft.membership.members.iter();
        let mut members: Vec<String> = members
            .filter(|member| raft.votes(member.id) == vote)
            .map(|member| member.name.clone())
            .collect();
        members.sort();
        members
    }

    /// Tasks that members took on, in order.
    pub(crate) fn filed(&self) -> Vec<String> {
        self.state.lock().unwrap().filed.clone()
    }

    pub(crate) fn let_backups_hang(&self) {
        self.state.lock().unwrap().backups_hang = true;
    }

    /// One request to the member of this pod. `None`: it is not answered.
    fn ask(&self, pod: &str, request: InternalRequest) -> Option<InternalReply> {
        if matches!(request, InternalRequest::Status) {
            let state = self.state.lock().unwrap();
            return Some(InternalReply::Status(Box::new(state.account(pod))));
        }
        let verdict = self.fuse.call(format!("ask {pod}: {request:?}"));
        if verdict == Verdict::Late {
            return None;
        }
        let reply = match self.state.lock().unwrap().change(pod, request) {
            Ok(()) => InternalReply::Ok,
            Err(reason) => InternalReply::Failed(reason),
        };
        if verdict == Verdict::Ends {
            self.fuse.burn();
        }
        (verdict == Verdict::Passes).then_some(reply)
    }
}

impl State {
    /// What is on these volumes, or a new member.
    fn mount(&mut self, pod: &str, uids: Vec<String>) {
        let known = self.unmounted.iter().position(|volume| volume.uids == uids);
        let volume = if let Some(at) = known {
            self.unmounted.swap_remove(at)
        } else {
            self.next_id += 1;
            Volume {
                uids,
                id: MemberId(self.next_id),
                cluster_id: None,
                fenced: false,
            }
        };
        let wakes = self
            .asleep
            .iter()
            .position(|raft| volume.cluster_id == Some(raft.cluster_id));
        if let Some(at) = wakes {
            let wakes = self.asleep.swap_remove(at);
            self.asleep.extend(self.raft.replace(wakes));
        }
        self.unmounted.extend(self.volumes.insert(pod.to_owned(), volume));
    }

    /// Sidecars do what they were asked; a member for which a backup was fetched comes back as the first of its cluster.
    fn work_on_tasks(&mut self) {
        let mut restored = None;
        for (pod, reports) in &mut self.tasks {
            for report in reports {
                if let (TaskKind::Restore { cluster_id, .. }, TaskState::Done(_)) =
                    (&report.task.kind, &report.state)
                {
                    restored = Some((pod.clone(), *cluster_id));
                }
                report.state = TaskState::Done(TaskResult::default());
            }
        }
        if let Some((pod, cluster_id)) = restored {
            let raft = Raft::initialize(cluster_id, self.member(&pod));
            self.asleep.extend(self.raft.replace(raft));
            self.volumes.get_mut(&pod).unwrap().cluster_id = Some(cluster_id);
            self.tasks.remove(&pod);
            self.restored += 1;
        }
    }

    fn up(&self) -> Vec<MemberId> {
        let volumes = self.running.keys().filter_map(|pod| self.volumes.get(pod));
        volumes
            .filter(|volume| !volume.fenced)
            .map(|volume| volume.id)
            .collect()
    }

    fn member(&self, pod: &str) -> MemberAddress {
        MemberAddress {
            id: self.volumes[pod].id,
            name: pod.to_owned(),
            client: self.names.client_address(pod),
            internal: self.names.internal_address(pod),
        }
    }

    fn account(&self, pod: &str) -> MemberStatus {
        let (me, known) = (self.member(pod), self.volumes[pod].cluster_id);
        let fenced = self.volumes[pod].fenced;
        let mut status = match &self.raft {
            Some(raft) if !fenced && known == Some(raft.cluster_id) => raft.account(&me, &self.up()),
            _ => empty(me),
        };
        if fenced {
            status.state = MemberState::Fenced;
        }
        status.cluster_id = known;
        status.tasks = self.tasks.get(pod).cloned().unwrap_or_default();
        status
    }

    fn change(&mut self, pod: &str, request: InternalRequest) -> Result<(), String> {
        let (id, up) = (self.volumes[pod].id, self.up());
        if let InternalRequest::Initialize { cluster_id } = request {
            return self.initialize(pod, cluster_id);
        }
        if let InternalRequest::File(task) = request {
            self.file(pod, task);
            return Ok(());
        }
        if let InternalRequest::Fence { fenced } = request {
            self.volumes.get_mut(pod).ok_or("no such member")?.fenced = fenced;
            return Ok(());
        }
        let raft = self.raft.as_mut().ok_or("this member is empty")?;
        match request {
            InternalRequest::AddLearner { member } if raft.knows(member.id) => Ok(()),
            InternalRequest::AddLearner { member } => raft.add_learner(id, member),
            InternalRequest::ChangeVoters { voters, expected } => raft.change_voters(id, &voters, expected),
            InternalRequest::RemoveLearners { members, expected } => {
                raft.remove_learners(id, &members, expected)
            }
            InternalRequest::TransferLeader { to: Some(to) } => raft.transfer(id, to, &up),
            other => Err(format!("the operator does not ask for {other:?}")),
        }
    }

    fn initialize(&mut self, pod: &str, cluster_id: ClusterId) -> Result<(), String> {
        if self.account(pod).state != MemberState::Empty {
            return Err("this member is not empty".to_owned());
        }
        self.begun += 1;
        self.raft = Some(Raft::initialize(cluster_id, self.member(pod)));
        self.volumes.get_mut(pod).unwrap().cluster_id = Some(cluster_id);
        Ok(())
    }

    fn file(&mut self, pod: &str, task: Task) {
        let tasks = self.tasks.entry(pod.to_owned()).or_default();
        if !tasks.iter().any(|report| report.task == task) {
            self.filed.push(task.name.clone());
            let state = TaskState::Waiting;
            tasks.push(TaskReport { task, state });
        }
    }
}

fn listener(identity: &Identity, ca: &[u8]) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let peers =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(ca).unwrap()), provider.clone())
            .build()
            .unwrap();
    let (chain, key) = parse_identity(identity).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(peers)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![INTERNAL_ALPN.to_vec()];
    ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()))
}

async fn serve(fleet: Fleet, pod: String, endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let (fleet, pod) = (fleet.clone(), pod.clone());
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            while let Ok((send, receive)) = connection.accept_bi().await {
                answer(&fleet, &pod, send, receive).await;
            }
        });
    }
}

/// A stream that ends without an answer is an answer that was lost.
async fn answer(fleet: &Fleet, pod: &str, mut send: SendStream, mut receive: RecvStream) -> Option<()> {
    let mut kind = [0];
    receive.read_exact(&mut kind).await.ok()?;
    let frame = read_frame(&mut receive, FRAME_BYTES_MAX).await.ok()??;
    let reply = fleet.ask(pod, decode(&frame).ok()?)?;
    write_frame(&mut send, &encode(&reply)).await.ok()?;
    send.finish().ok()
}
