//! A small world: Kubernetes objects, pods, volumes and a Raft cluster. Actions change it at once; `step` lets time pass.

use crate::lives::Aside;
use crate::raft::{Raft, empty};
use geode_api::{ANNOTATION_TEMPLATE, GeodeBackupStatus, GeodeCluster, GeodeClusterStatus};
use geode_planner::{
    BackupView, ClaimView, Defaults, Group, Kind, MemberSeen, Names, ObjectKey, Observed, Plan, PodView,
    Progress, Report, RestoreView, Secrets, SetView, VolumeKind, Want, check, cluster_status, divide, plan,
    validate,
};
use geode_types::{BackupKind, ClusterId, MemberId};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus, TaskReport};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const UID: &str = "6f2c1d9e-0000-4000-8000-000000000001";

#[derive(Clone, Debug)]
pub(crate) struct ModelPod {
    pub(crate) view: PodView,
    /// The operator reaches its server.
    pub(crate) reachable: bool,
    /// Other members reach its server.
    pub(crate) connected: bool,
    /// Its container can run at all.
    pub(crate) startable: bool,
    /// Its sidecar answers the probes.
    pub(crate) probed: bool,
}

/// Both volumes of a pod, and who lives on them.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) id: MemberId,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) created_at: Timestamp,
    pub(crate) size: String,
    pub(crate) class: Option<String>,
    pub(crate) lost: bool,
    /// What is on them does not match its checksum, so no server runs on them.
    pub(crate) damaged: bool,
    /// Deleted; Kubernetes keeps it for as long as there is a pod of this name.
    pub(crate) deleted: bool,
    /// Uid of the pod that it goes with, because the pod is surplus.
    pub(crate) owner: Option<String>,
    /// It goes with the StatefulSet.
    pub(crate) belongs: bool,
    pub(crate) kept_by: Option<String>,
    /// Its member takes no part, whatever process runs on it.
    pub(crate) fenced: bool,
}

impl Volume {
    pub(crate) fn doomed(&self) -> bool {
        self.deleted || self.owner.is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) cluster: GeodeCluster,
    pub(crate) release: String,
    pub(crate) objects: BTreeMap<ObjectKey, Value>,
    /// The StatefulSets as their controller has seen them.
    pub(crate) controlled: BTreeMap<Group, Value>,
    pub(crate) secrets: Secrets,
    pub(crate) pods: BTreeMap<String, ModelPod>,
    /// Of the life in use, as everything is that is not aside.
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) raft: Option<Raft>,
    pub(crate) life: u32,
    /// Volumes of other lives, and who would live there.
    pub(crate) aside: BTreeMap<u32, Aside>,
    pub(crate) tasks: BTreeMap<String, Vec<TaskReport>>,
    pub(crate) backups: Vec<BackupView>,
    pub(crate) restores: Vec<RestoreView>,
    /// Fetching a backup ends with an error.
    pub(crate) fetch_fails: bool,
    pub(crate) now: Timestamp,
    pub(crate) restarted: Vec<String>,
    /// The storage class lets volumes grow.
    pub(crate) growable: bool,
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
            controlled: BTreeMap::new(),
            secrets: Secrets::default(),
            pods: BTreeMap::new(),
            volumes: BTreeMap::new(),
            raft: None,
            life: 0,
            aside: BTreeMap::new(),
            tasks: BTreeMap::new(),
            backups: Vec::new(),
            restores: Vec::new(),
            fetch_fails: false,
            now,
            restarted: Vec::new(),
            growable: true,
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

    #[expect(clippy::unused_self, reason = "reads as the question to a model that it is")]
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

    /// The manifest is deleted and applied anew: all is gone but the volumes.
    pub(crate) fn recreate(&mut self, spec: Value) {
        self.now += SignedDuration::from_hours(1);
        let mut fresh = Self::new(spec);
        fresh.cluster.metadata.uid = Some(format!("6f2c1d9e-0000-4000-8000-{:012}", self.fresh()));
        fresh.cluster.metadata.creation_timestamp = Some(Time(self.now));
        fresh.volumes = std::mem::take(&mut self.volumes);
        fresh.volumes.retain(|_, volume| !volume.doomed());
        fresh.raft = self.raft.take();
        (fresh.life, fresh.aside) = (self.life, std::mem::take(&mut self.aside));
        fresh.restores = std::mem::take(&mut self.restores);
        (fresh.release, fresh.now, fresh.next) = (self.release.clone(), self.now, self.next);
        *self = fresh;
        self.use_life(self.observe().life);
    }

    pub(crate) fn fresh(&mut self) -> u64 {
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

    pub(crate) fn set(&self, group: Group) -> Option<&Value> {
        self.objects.get(&ObjectKey {
            kind: Kind::StatefulSet,
            name: self.names().set(group),
        })
    }

    pub(crate) fn replicas(&self, group: Group) -> u32 {
        self.set(group)
            .map_or(0, |set| set["spec"]["replicas"].as_u64().unwrap() as u32)
    }

    /// Members of a group's pods.
    pub(crate) fn members_of(&self, group: Group) -> Vec<&MemberAddress> {
        let members = self.raft.iter().flat_map(|raft| &raft.membership.members);
        members
            .filter(|member| self.names().ordinal(group, &member.name).is_some())
            .collect()
    }

    /// Identities whose servers run and reach each other.
    pub(crate) fn up(&self) -> Vec<MemberId> {
        self.pods
            .iter()
            .filter(|(_, pod)| pod.view.running && pod.connected)
            .filter_map(|(name, _)| self.volumes.get(name))
            .filter(|volume| !volume.fenced)
            .map(|volume| volume.id)
            .collect()
    }

    /// What the member of this pod says.
    fn account(&self, pod: &str, up: &[MemberId]) -> MemberStatus {
        let volume = &self.volumes[pod];
        let address = self.address(pod, volume.id);
        let mut status = match &self.raft {
            Some(raft) if !volume.fenced && volume.cluster_id == Some(raft.cluster_id) => {
                raft.account(&address, up)
            }
            _ => empty(address),
        };
        if volume.fenced {
            status.state = MemberState::Fenced;
        }
        status.cluster_id = volume.cluster_id;
        status.tasks = self.tasks.get(pod).cloned().unwrap_or_default();
        status
    }

    pub(crate) fn observe(&self) -> Observed {
        let up = self.up();
        let members = self.pods.iter().filter(|(_, pod)| pod.view.running);
        let members = members.map(|(name, pod)| {
            let seen = if pod.reachable {
                MemberSeen::Seen(Box::new(self.account(name, &up)))
            } else {
                MemberSeen::Unknown("no answer within 1s".into())
            };
            (name.clone(), seen)
        });
        let pods = self.pods.iter();
        let sets: BTreeMap<Group, SetView> = Group::ALL
            .into_iter()
            .filter_map(|group| Some((group, self.set_view(group, self.set(group)?))))
            .collect();
        let status = self.cluster.status.clone().unwrap_or_default();
        let divided = divide(&status, sets.get(&Group::Voters), self.claims());
        Observed {
            at: self.now,
            objects: self.objects.clone(),
            secrets: self.secrets.clone(),
            sets,
            pods: pods.map(|(name, pod)| (name.clone(), pod.view.clone())).collect(),
            life: divided.life,
            claims: divided.in_use,
            kept: divided.kept,
            members: members.collect(),
            backups: self.backups.clone(),
            restores: self.restores.clone(),
            status,
        }
    }

    fn set_view(&self, group: Group, set: &Value) -> SetView {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let size = |index: usize| {
            let request = &set["spec"]["volumeClaimTemplates"][index]["spec"]["resources"]["requests"];
            text(&request["storage"]).unwrap()
        };
        let annotations = &set["metadata"]["annotations"];
        let policy = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
        let template = &set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"];
        SetView {
            uid: "set".into(),
            deleting: false,
            life: VolumeKind::parse(template.as_str().unwrap()).unwrap().1,
            retains: policy["whenDeleted"] == "Retain" && policy["whenScaled"] == "Retain",
            keeps_volumes: policy["whenScaled"] == "Retain",
            replicas: self.replicas(group),
            template: text(&annotations[ANNOTATION_TEMPLATE]),
            release: text(&annotations["geodedb.com/rendered-by"]),
            observed: self.controlled.get(&group) == Some(set),
            class: text(&set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"]),
            sizes: BTreeMap::from([(VolumeKind::Data, size(0)), (VolumeKind::Wal, size(1))]),
        }
    }

    /// Observe, plan, check, act, report; what a round of the operator does.
    pub(crate) fn round(&mut self) -> Plan {
        self.interrupted_round(usize::MAX)
    }

    /// A round in which the operator is killed after so many actions.
    pub(crate) fn interrupted_round(&mut self, actions: usize) -> Plan {
        let (want, seen) = (self.want(), self.observe());
        let plan = plan(&want, &seen, self.now);
        if let Err(violations) = check(&plan, &want, &seen, self.now) {
            panic!("{violations:?}\n{plan:#?}");
        }
        let report = self.execute(&plan, actions);
        let mut status = cluster_status(&want, &seen, &plan, &report, self.now);
        let memory = self.status().clone();
        (status.bootstrap, status.cluster_id, status.images) =
            (memory.bootstrap, memory.cluster_id, memory.images);
        status.lives = memory.lives;
        *self.status() = status;
        plan
    }

    /// Up to the first failure.
    fn execute(&mut self, plan: &Plan, actions: usize) -> Report {
        for action in plan.actions.iter().take(actions) {
            if let Err(reason) = self.act(action) {
                return Report::Failed(format!("failed to {action}: {reason}"));
            }
        }
        Report::Done
    }

    pub(crate) fn status(&mut self) -> &mut GeodeClusterStatus {
        self.cluster.status.get_or_insert_default()
    }

    pub(crate) fn is_ready(&self) -> bool {
        let conditions = self.cluster.status.as_ref().map(|status| &status.conditions);
        conditions
            .into_iter()
            .flatten()
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
        let plan = plan(&self.want(), &seen, self.now);
        panic!(
            "not at the goal after {rounds} rounds: {:#?}\n{:#?}",
            plan.progress, self.cluster.status
        );
    }

    pub(crate) fn leader_pod(&self) -> Option<String> {
        let leader = self.raft.as_ref()?.leader?;
        let mut volumes = self.volumes.iter();
        volumes
            .find(|(_, volume)| volume.id == leader)
            .map(|(pod, _)| pod.clone())
    }

    pub(crate) fn ask_for_backup(&mut self, name: &str) {
        let backup = BackupView {
            name: name.into(),
            uid: format!("uid-{name}"),
            generation: 1,
            created_at: self.now,
            kind: BackupKind::Full,
            retention: None,
            status: GeodeBackupStatus::default(),
        };
        self.backups.push(backup);
    }
}

pub(crate) fn claim(life: u32, pod: &str, volume: &Volume, kind: VolumeKind) -> (String, ClaimView) {
    let view = ClaimView {
        uid: format!("{}-{pod}-{}", kind.name(life), volume.id),
        pod: pod.to_owned(),
        kind,
        life,
        kept_by: volume.kept_by.clone(),
        owned: volume.belongs || volume.owner.is_some(),
        created_at: volume.created_at,
        size: volume.size.clone(),
        class: volume.class.clone(),
        lost: volume.lost,
        doomed: volume.doomed(),
    };
    (format!("{}-{pod}", kind.name(life)), view)
}
