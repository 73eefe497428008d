//! Time passes in Kubernetes: the StatefulSet's controller, kubelets and the collector of volumes, a second at a time.

use crate::model::{Model, ModelPod, Volume};
use geode_api::ANNOTATION_TEMPLATE;
use geode_planner::{Group, PodView};
use geode_types::MemberId;
use k8s_openapi::jiff::SignedDuration;
use serde_json::Value;

/// Pods of this version cannot start.
pub(crate) const BAD_VERSION: &str = "1.0.3";
/// What a server says that finds its log damaged.
pub(crate) const DAMAGE: &str = "wal/3 is damaged at byte 7";

impl Model {
    /// Time passes.
    pub(crate) fn step(&mut self) {
        self.now += SignedDuration::from_secs(1);
        self.collect_volumes();
        self.remove_deleted_pods();
        // What was applied is seen by the controller a moment later.
        let sets = Group::ALL
            .into_iter()
            .filter_map(|group| Some((group, self.set(group)?.clone())));
        self.controlled = sets.collect();
        for (group, set) in self.controlled.clone() {
            self.control(group, &set);
        }
        self.elect_and_copy();
        self.work_on_tasks();
    }

    /// A volume that was deleted stays as long as a pod of its name is there; that of a surplus pod goes after the pod.
    fn collect_volumes(&mut self) {
        let pods = &self.pods;
        let goes = |pod: &String, volume: &Volume| {
            let orphaned = volume.owner.as_ref();
            (volume.deleted && !pods.contains_key(pod))
                || orphaned.is_some_and(|owner| pods.get(pod).is_none_or(|pod| pod.view.uid != *owner))
        };
        let gone: Vec<String> = self
            .volumes
            .iter()
            .filter(|(pod, volume)| goes(pod, volume))
            .map(|(pod, _)| pod.clone())
            .collect();
        for pod in gone {
            let volume = self.volumes.remove(&pod).expect("it is there");
            let votes = self.raft.as_ref().is_some_and(|raft| raft.votes(volume.id));
            assert!(
                volume.deleted || !votes,
                "the volume of a voter goes with its pod"
            );
        }
    }

    /// A server that begins anew has forgotten its tasks.
    fn remove_deleted_pods(&mut self) {
        self.pods.retain(|_, pod| !pod.view.deleting);
        self.tasks.retain(|pod, _| self.pods.contains_key(pod));
    }

    fn control(&mut self, group: Group, set: &Value) {
        let replicas = set["spec"]["replicas"].as_u64().unwrap_or(0) as u32;
        let policy = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
        let (takes_along, belongs) = (
            policy["whenScaled"] == "Delete",
            policy["whenDeleted"] == "Delete",
        );
        for ordinal in 0..replicas {
            let name = self.names().pod(group, ordinal);
            match self.pods.get_mut(&name) {
                None if self.volumes.get(&name).is_some_and(Volume::doomed) => {}
                None => self.make_pod(&name, set),
                Some(pod) => {
                    let volume = self.volumes.get_mut(&name).expect("a pod has volumes");
                    (volume.owner, volume.belongs) = (None, belongs);
                    // A volume that is being deleted is mounted no more.
                    let usable = !volume.lost && (pod.view.running || !volume.deleted);
                    pod.view.running = pod.startable && usable && !volume.damaged;
                    let ended = pod.startable && usable && volume.damaged;
                    pod.view.damage = ended.then(|| DAMAGE.to_owned());
                }
            }
        }
        let names = self.names();
        for (name, pod) in &mut self.pods {
            if names
                .ordinal(group, name)
                .is_some_and(|ordinal| ordinal >= replicas)
            {
                pod.view.deleting = true;
                let volume = self.volumes.get_mut(name).expect("a pod has volumes");
                volume.owner = takes_along.then(|| pod.view.uid.clone());
                volume.belongs = belongs;
            }
        }
    }

    fn make_pod(&mut self, name: &str, set: &Value) {
        self.check_life(set);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let image = text(&set["spec"]["template"]["spec"]["containers"][0]["image"]);
        let view = PodView {
            uid: format!("uid-{}", self.fresh()),
            template: text(&set["metadata"]["annotations"][ANNOTATION_TEMPLATE]),
            role: None,
            deleting: false,
            running: false,
            ready: false,
            cordoned: false,
            trouble: None,
            damage: None,
        };
        let pod = ModelPod {
            view,
            reachable: true,
            connected: true,
            probed: true,
            startable: image.is_none_or(|image| !image.ends_with(BAD_VERSION)),
        };
        self.pods.insert(name.to_owned(), pod);
        if !self.volumes.contains_key(name) {
            let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
            let volume = Volume {
                id: MemberId(self.fresh()),
                cluster_id: None,
                created_at: self.now,
                size: text(&claim["resources"]["requests"]["storage"]).unwrap(),
                class: text(&claim["storageClassName"]),
                lost: false,
                damaged: false,
                deleted: false,
                owner: None,
                belongs: false,
                kept_by: None,
                fenced: false,
            };
            self.volumes.insert(name.to_owned(), volume);
        }
    }

    fn elect_and_copy(&mut self) {
        let up = self.up();
        let Some(raft) = &mut self.raft else { return };
        raft.step(&up);
        for (name, volume) in &mut self.volumes {
            let served = raft.leader.is_some() && raft.knows(volume.id) && up.contains(&volume.id);
            if served {
                volume.cluster_id = Some(raft.cluster_id);
            }
            if let Some(pod) = self.pods.get_mut(name) {
                pod.view.ready = pod.view.running && pod.probed && served;
            }
        }
    }

    /// The pod and its volume vanish; Kubernetes makes both anew.
    pub(crate) fn lose_volume(&mut self, pod: &str) {
        self.volumes.remove(pod);
        self.pods.remove(pod);
    }

    /// A byte on the volume turns over, and the server ends that reads it.
    pub(crate) fn damage_volume(&mut self, pod: &str) {
        if let Some(volume) = self.volumes.get_mut(pod) {
            volume.damaged = true;
        }
    }

    /// A person deletes the volume; it goes when the pod does.
    pub(crate) fn delete_volume(&mut self, pod: &str) {
        if let Some(volume) = self.volumes.get_mut(pod) {
            volume.deleted = true;
        }
    }

    /// Whether a majority of voters has everything on sound volumes and runs, without this pod.
    pub(crate) fn may_lose(&self, pod: &str) -> bool {
        let (Some(raft), Some(lost)) = (&self.raft, self.volumes.get(pod)) else {
            return false;
        };
        let sound = |id: &MemberId| {
            let mut volumes = self.volumes.values();
            volumes.any(|volume| volume.id == *id && !volume.lost && !volume.damaged && !volume.doomed())
        };
        let rest: Vec<MemberId> = raft
            .complete(&self.up())
            .into_iter()
            .filter(|id| *id != lost.id && sound(id))
            .collect();
        raft.has_quorum(&rest)
    }
}
