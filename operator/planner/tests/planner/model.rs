//! A small world: Kubernetes objects, pods, volumes and a Raft cluster. Actions change it at once; `step` lets time pass.

use crate::raft::{Raft, empty};
use geode_api::{ANNOTATION_TEMPLATE, GeodeBackupStatus, GeodeCluster, GeodeClusterStatus};
use geode_planner::{
    Action, Authority, BackupView, Certificate, ClaimView, Defaults, Kind, MemberSeen, Names, ObjectKey,
    Observed, Plan, PodView, Progress, Report, Secrets, SetView, VolumeKind, Want, check, cluster_status,
    plan, validate,
};
use geode_types::{ClusterId, MemberId};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{Task, TaskReport, TaskState};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const UID: &str = "6f2c1d9e-0000-4000-8000-000000000001";

#[derive(Clone, Debug)]
pub(crate) struct ModelPod {
    pub(crate) view: PodView,
    /// The operator reaches its server.
    pub(crate) reachable: bool,
    /// Its container can run at all.
    pub(crate) startable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) id: MemberId,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) created_at: Timestamp,
    pub(crate) size: String,
    pub(crate) lost: bool,
    pub(crate) doomed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) cluster: GeodeCluster,
    pub(crate) release: String,
    pub(crate) objects: BTreeMap<ObjectKey, Value>,
    pub(crate) secrets: Secrets,
    pub(crate) pods: BTreeMap<String, ModelPod>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) raft: Option<Raft>,
    pub(crate) tasks: BTreeMap<String, Vec<TaskReport>>,
    pub(crate) backups: Vec<BackupView>,
    pub(crate) now: Timestamp,
    pub(crate) restarted: Vec<String>,
    next: u64,
}

impl Model {
    /// A manifest that was just applied.
    pub(crate) fn new(spec: Value) -> Self {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let cluster = serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster",
            "metadata": {"name": "g", "namespace": "db", "uid": UID, "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"},
            "spec": spec,
        }));
        Self {
            cluster: cluster.unwrap(),
            release: "0.1.0".into(),
            objects: BTreeMap::new(),
            secrets: Secrets::default(),
            pods: BTreeMap::new(),
            volumes: BTreeMap::new(),
            raft: None,
            tasks: BTreeMap::new(),
            backups: Vec::new(),
            now,
            restarted: Vec::new(),
            next: 1,
        }
    }

    /// A cluster at its goal.
    pub(crate) fn settled(spec: Value) -> Self {
        let mut model = Self::new(spec);
        model.converge(100);
        model.restarted.clear();
        model
    }

    pub(crate) fn names(&self) -> Names {
        Names {
            namespace: "db".into(),
            cluster: "g".into(),
        }
    }

    pub(crate) fn want(&self) -> Want {
        let defaults = Defaults {
            server_image: format!("geode:{}", self.release),
            sidecar_image: format!("geode-sidecar:{}", self.release),
            release: self.release.clone(),
        };
        validate(&self.cluster, &defaults).unwrap()
    }

    pub(crate) fn change(&mut self, spec: Value) {
        self.cluster.spec = serde_json::from_value(spec).unwrap();
        self.cluster.metadata.generation = self.cluster.metadata.generation.map(|generation| generation + 1);
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn address(&self, pod: &str, id: MemberId) -> MemberAddress {
        let names = self.names();
        MemberAddress {
            id,
            name: pod.to_owned(),
            client: names.client_address(pod),
            internal: names.internal_address(pod),
        }
    }

    fn set(&self) -> Option<&Value> {
        self.objects.get(&ObjectKey {
            kind: Kind::StatefulSet,
            name: "g".into(),
        })
    }

    pub(crate) fn replicas(&self) -> u32 {
        self.set()
            .map_or(0, |set| set["spec"]["replicas"].as_u64().unwrap() as u32)
    }

    fn set_template(&self) -> Option<String> {
        self.set()?["metadata"]["annotations"][ANNOTATION_TEMPLATE]
            .as_str()
            .map(str::to_owned)
    }

    /// Identities whose servers run and reach each other.
    pub(crate) fn up(&self) -> Vec<MemberId> {
        self.pods
            .iter()
            .filter(|(_, pod)| pod.view.running)
            .filter_map(|(name, _)| Some(self.volumes.get(name)?.id))
            .collect()
    }

    pub(crate) fn observe(&self) -> Observed {
        let up = self.up();
        let members = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.view.running)
            .map(|(name, pod)| {
                if !pod.reachable {
                    return (name.clone(), MemberSeen::Unknown("no answer within 1s".into()));
                }
                let volume = &self.volumes[name];
                let address = self.address(name, volume.id);
                let mut status = match &self.raft {
                    Some(raft) if volume.cluster_id == Some(raft.cluster_id) => raft.account(&address, &up),
                    _ => empty(address),
                };
                status.cluster_id = volume.cluster_id;
                status.tasks = self.tasks.get(name).cloned().unwrap_or_default();
                (name.clone(), MemberSeen::Seen(Box::new(status)))
            });
        let text = |set: &Value, index: usize| {
            set["spec"]["volumeClaimTemplates"][index]["spec"]["resources"]["requests"]["storage"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        Observed {
            at: self.now,
            objects: self.objects.clone(),
            secrets: self.secrets.clone(),
            set: self.set().map(|set| SetView {
                replicas: self.replicas(),
                template: self.set_template(),
                release: set["metadata"]["annotations"]["geodedb.com/rendered-by"]
                    .as_str()
                    .map(str::to_owned),
                observed: true,
                sizes: BTreeMap::from([(VolumeKind::Data, text(set, 0)), (VolumeKind::Wal, text(set, 1))]),
            }),
            pods: self
                .pods
                .iter()
                .map(|(name, pod)| (name.clone(), pod.view.clone()))
                .collect(),
            claims: self
                .volumes
                .iter()
                .flat_map(|(pod, volume)| VolumeKind::ALL.map(|kind| claim(pod, volume, kind)))
                .collect(),
            members: members.collect(),
            backups: self.backups.clone(),
            status: self.cluster.status.clone().unwrap_or_default(),
        }
    }

    /// Observe, plan, check, act, report; what a round of the operator does.
    pub(crate) fn round(&mut self) -> Plan {
        let (want, seen) = (self.want(), self.observe());
        let plan = plan(&want, &seen, self.now);
        if let Err(violations) = check(&plan, &want, &seen, self.now) {
            panic!("{violations:?}\n{plan:#?}");
        }
        for action in &plan.actions {
            self.act(action);
        }
        let mut status = cluster_status(&want, &seen, &plan, &Report::Done, self.now);
        let memory = self.status().clone();
        (status.bootstrap, status.cluster_id, status.images) =
            (memory.bootstrap, memory.cluster_id, memory.images);
        *self.status() = status;
        plan
    }

    fn status(&mut self) -> &mut GeodeClusterStatus {
        self.cluster.status.get_or_insert_default()
    }

    pub(crate) fn is_ready(&self) -> bool {
        let conditions = self
            .cluster
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default();
        conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }

    /// Rounds until the goal is reached; panics when it is not.
    pub(crate) fn converge(&mut self, rounds: usize) -> usize {
        for round in 0..rounds {
            let plan = self.round();
            self.step();
            if plan.actions.is_empty() && plan.progress == Progress::Idle && self.is_ready() {
                return round;
            }
        }
        let seen = self.observe();
        panic!(
            "not at the goal after {rounds} rounds: {:#?}\n{:#?}",
            plan(&self.want(), &seen, self.now).progress,
            self.cluster.status
        );
    }

    /// Time passes.
    pub(crate) fn step(&mut self) {
        self.now += SignedDuration::from_secs(1);
        let template = self.set_template();
        let replicas = self.replicas();
        for ordinal in 0..replicas {
            let name = self.names().pod(ordinal);
            if !self.pods.contains_key(&name) && !self.volumes.get(&name).is_some_and(|volume| volume.doomed)
            {
                let uid = format!("uid-{}", self.fresh());
                let view = PodView {
                    uid,
                    template: template.clone(),
                    role: None,
                    deleting: false,
                    running: false,
                    ready: false,
                    trouble: None,
                };
                self.pods.insert(
                    name.clone(),
                    ModelPod {
                        view,
                        reachable: true,
                        startable: true,
                    },
                );
                self.mount(&name);
            } else if let Some(pod) = self.pods.get_mut(&name) {
                let usable = self.volumes.get(&name).is_some_and(|volume| !volume.lost);
                pod.view.running = pod.startable && usable;
            }
        }
        self.drop_surplus(replicas);
        let up = self.up();
        if let Some(raft) = &mut self.raft {
            raft.step(&up);
            let (cluster_id, known) = (raft.cluster_id, raft.clone());
            for (name, volume) in &mut self.volumes {
                if known.knows(volume.id) && known.leader.is_some() && up.contains(&volume.id) {
                    volume.cluster_id = Some(cluster_id);
                }
                let ready = known.leader.is_some() && known.knows(volume.id);
                if let Some(pod) = self.pods.get_mut(name) {
                    pod.view.ready = pod.view.running && ready;
                }
            }
        }
        for report in self.tasks.values_mut().flatten() {
            report.state = TaskState::Done(geode_wire::internal::TaskResult::default());
        }
    }

    /// `whenScaled: Delete`: volumes go with their pods, a moment later.
    fn drop_surplus(&mut self, replicas: u32) {
        let names = self.names();
        self.volumes.retain(|_, volume| !volume.doomed);
        let surplus: Vec<String> = self
            .pods
            .keys()
            .filter(|pod| names.ordinal(pod).is_some_and(|ordinal| ordinal >= replicas))
            .cloned()
            .collect();
        for pod in surplus {
            self.pods.remove(&pod);
            self.volumes.get_mut(&pod).unwrap().doomed = true;
        }
    }

    fn mount(&mut self, pod: &str) {
        if !self.volumes.contains_key(pod) {
            let id = MemberId(self.fresh());
            let size = self.cluster.spec.storage.size.clone();
            let volume = Volume {
                id,
                cluster_id: None,
                created_at: self.now,
                size,
                lost: false,
                doomed: false,
            };
            self.volumes.insert(pod.to_owned(), volume);
        }
    }

    /// The pod and its volume vanish; Kubernetes makes both anew.
    pub(crate) fn lose_volume(&mut self, pod: &str) {
        self.volumes.remove(pod);
        self.pods.remove(pod);
        let up = self.up();
        if let Some(raft) = &mut self.raft {
            raft.step(&up);
        }
    }

    pub(crate) fn leader_pod(&self) -> Option<String> {
        let leader = self.raft.as_ref()?.leader?;
        self.volumes
            .iter()
            .find(|(_, volume)| volume.id == leader)
            .map(|(pod, _)| pod.clone())
    }

    pub(crate) fn act(&mut self, action: &Action) {
        match action {
            Action::Record(memory) => {
                let memory = (**memory).clone();
                let status = self.status();
                status.bootstrap = memory.bootstrap;
                status.images = memory.images;
                status.cluster_id = memory.cluster_id.map(|id| id.to_string());
            }
            Action::CreateAuthority => {
                let not_after = self.now + SignedDuration::from_hours(24 * 3650);
                self.secrets.authority = Some(Authority {
                    fingerprint: "ca".into(),
                    not_after,
                });
            }
            Action::IssueCertificates { pods } => {
                for pod in pods {
                    let names: BTreeSet<String> = self.names().certificate_names(pod).into_iter().collect();
                    let (not_before, not_after) = (self.now, self.now + SignedDuration::from_hours(24 * 365));
                    self.secrets.certificates.insert(
                        pod.clone(),
                        Certificate {
                            not_before,
                            not_after,
                            genuine: true,
                            names,
                        },
                    );
                }
                self.secrets.distributed = self
                    .secrets
                    .authority
                    .as_ref()
                    .map(|authority| authority.fingerprint.clone());
            }
            Action::SecureAdmin { owned } => self.secrets.admin_owned = Some(*owned),
            Action::Apply(object) => {
                self.objects.insert(object.key.clone(), object.body.clone());
            }
            Action::Delete(key) => {
                self.objects.remove(key);
            }
            Action::Scale { replicas } => {
                let key = ObjectKey {
                    kind: Kind::StatefulSet,
                    name: "g".into(),
                };
                self.objects.get_mut(&key).unwrap()["spec"]["replicas"] = (*replicas).into();
            }
            Action::GrowClaim { claim, size } => {
                let pod = claim.split_once('-').unwrap().1;
                self.volumes.get_mut(pod).unwrap().size = size.clone();
            }
            Action::SetRole { pod, role } => {
                self.pods.get_mut(pod).unwrap().view.role = role.map(str::to_owned)
            }
            Action::RecordBackup { name, status } => {
                let backup = self
                    .backups
                    .iter_mut()
                    .find(|backup| backup.name == *name)
                    .unwrap();
                backup.status = (**status).clone();
            }
            Action::RestartPod { pod, .. } => {
                self.restarted.push(pod.clone());
                self.pods.remove(pod);
            }
            Action::ReplaceLostVolume { pod, .. } => {
                assert!(self.volumes[pod].lost);
                self.lose_volume(pod);
            }
            _ => self.act_on_member(action),
        }
    }

    fn act_on_member(&mut self, action: &Action) {
        match action {
            Action::Initialize { pod, cluster_id } => {
                assert!(self.raft.is_none(), "initialized twice");
                let address = self.address(pod, self.volumes[pod].id);
                self.raft = Some(Raft::initialize(*cluster_id, address));
                self.volumes.get_mut(pod).unwrap().cluster_id = Some(*cluster_id);
            }
            Action::FileTask { pod, task } => self.file(pod, task),
            Action::AddLearner { member, .. } => self.raft.as_mut().unwrap().add_learner(member.clone()),
            Action::ChangeVoters { voters, expected, .. } => {
                self.raft.as_mut().unwrap().change_voters(voters, *expected)
            }
            Action::RemoveLearners {
                members, expected, ..
            } => self.raft.as_mut().unwrap().remove_learners(members, *expected),
            Action::TransferLeader { to, .. } => {
                let raft = self.raft.as_mut().unwrap();
                raft.leader = Some(*to);
                raft.term += 1;
            }
            other => panic!("the model does not know {other}"),
        }
    }

    fn file(&mut self, pod: &str, task: &Task) {
        let tasks = self.tasks.entry(pod.to_owned()).or_default();
        if !tasks.iter().any(|report| report.task == *task) {
            tasks.push(TaskReport {
                task: task.clone(),
                state: TaskState::Waiting,
            });
        }
    }

    pub(crate) fn ask_for_backup(&mut self, name: &str) {
        let backup = BackupView {
            name: name.into(),
            uid: format!("uid-{name}"),
            generation: 1,
            created_at: self.now,
            status: GeodeBackupStatus::default(),
        };
        self.backups.push(backup);
    }
}

fn claim(pod: &str, volume: &Volume, kind: VolumeKind) -> (String, ClaimView) {
    let view = ClaimView {
        uid: format!("{}-{pod}", kind.name()),
        pod: pod.to_owned(),
        kind,
        created_at: volume.created_at,
        size: volume.size.clone(),
        lost: volume.lost,
        doomed: volume.doomed,
    };
    (format!("{}-{pod}", kind.name()), view)
}
