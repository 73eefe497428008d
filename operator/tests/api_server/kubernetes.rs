//! What is missing beside a bare API server: the controller of StatefulSets, the collector of what has lost its owner, and a kubelet. They act
//! one step at a time, so that a test knows what was seen when.

use crate::fleet::Fleet;
use geode_api::{CONTAINER_SERVER, CONTAINER_SIDECAR, GeodeCluster, OBSERVER_SUFFIX};
use geode_client::tls::Identity;
use geode_types::EXIT_DAMAGED;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

pub(crate) struct Kubernetes {
    client: Client,
    namespace: String,
    fleet: Fleet,
    /// How often each pod and each volume was made.
    pub(crate) made: BTreeMap<String, u32>,
    /// Uids of pods whose servers find their files damaged.
    damaged: BTreeSet<String>,
}

/// An object of a namespace.
pub(crate) trait Namespaced:
    Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}
impl<K> Namespaced for K where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
{
}

impl Kubernetes {
    pub(crate) fn new(client: Client, namespace: &str, fleet: Fleet) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            fleet,
            made: BTreeMap::new(),
            damaged: BTreeSet::new(),
        }
    }

    pub(crate) fn api<K: Namespaced>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn list<K: Namespaced>(&self) -> Vec<K> {
        self.api().list(&ListParams::default()).await.unwrap().items
    }

    /// Everybody does once what there is to do.
    pub(crate) async fn step(&mut self) {
        let (sets, pods, claims) = (
            self.list::<StatefulSet>().await,
            self.named().await,
            self.named().await,
        );
        self.release_volumes(&pods, &claims).await;
        for set in sets {
            if set.metadata.deletion_timestamp.is_some() {
                self.orphan(&set, &pods, &claims).await;
            } else {
                self.control(&set, &pods, &claims).await;
            }
        }
        self.run_pods().await;
        self.fleet.step();
        self.report_pods().await;
    }

    async fn named<K: Namespaced>(&self) -> BTreeMap<String, K> {
        let objects = self.list::<K>().await.into_iter();
        objects.map(|object| (object.name_any(), object)).collect()
    }

    /// A volume that was deleted goes when no pod of its name is there.
    async fn release_volumes(
        &self,
        pods: &BTreeMap<String, Pod>,
        claims: &BTreeMap<String, PersistentVolumeClaim>,
    ) {
        for (name, claim) in claims {
            let used = pods.values().flat_map(volumes).any(|volume| volume == *name);
            if claim.metadata.deletion_timestamp.is_some() && !used {
                let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                self.api::<PersistentVolumeClaim>()
                    .patch(name, &PatchParams::default(), &patch)
                    .await
                    .unwrap();
            }
        }
    }

    async fn control(
        &mut self,
        set: &StatefulSet,
        pods: &BTreeMap<String, Pod>,
        claims: &BTreeMap<String, PersistentVolumeClaim>,
    ) {
        let (name, value) = (set.name_any(), json!(set));
        let replicas = value["spec"]["replicas"].as_u64().unwrap();
        let templates = value["spec"]["volumeClaimTemplates"].as_array().unwrap();
        let volumes: Vec<&str> = templates
            .iter()
            .filter_map(|template| template["metadata"]["name"].as_str())
            .collect();
        for pod in (0..replicas).map(|ordinal| format!("{name}-{ordinal}")) {
            let mut names = volumes.iter().map(|volume| format!("{volume}-{pod}"));
            let leaving = |claim: &PersistentVolumeClaim| claim.metadata.deletion_timestamp.is_some();
            if pods.contains_key(&pod) || names.any(|name| claims.get(&name).is_some_and(leaving)) {
                continue;
            }
            for (volume, template) in volumes.iter().zip(templates) {
                let volume = format!("{volume}-{pod}");
                if !claims.contains_key(&volume) {
                    self.make_volume(set, &volume, template).await;
                }
            }
            self.make_pod(set, &pod, &value["spec"]["template"], &volumes)
                .await;
        }
        for pod in pods.keys() {
            let ordinal: Option<u64> = pod
                .strip_prefix(&format!("{name}-"))
                .and_then(|rest| rest.parse().ok());
            if ordinal.is_some_and(|ordinal| ordinal >= replicas) {
                self.delete::<Pod>(pod).await;
                let policy = &value["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"];
                for volume in volumes.iter().filter(|_| policy == "Delete") {
                    self.delete::<PersistentVolumeClaim>(&format!("{volume}-{pod}"))
                        .await;
                }
            }
        }
        if value["status"]["observedGeneration"] != value["metadata"]["generation"] {
            let status = json!({"status": {"replicas": replicas, "observedGeneration": value["metadata"]["generation"]}});
            self.api::<StatefulSet>()
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                .await
                .unwrap();
        }
    }

    /// What is deleted with the words that nothing goes along: its pods and its volumes belong to nobody from then on.
    async fn orphan(
        &self,
        set: &StatefulSet,
        pods: &BTreeMap<String, Pod>,
        claims: &BTreeMap<String, PersistentVolumeClaim>,
    ) {
        let uid = set.uid().unwrap();
        let left = pods
            .iter()
            .filter(|(_, pod)| pod.owner_references().iter().any(|owner| owner.uid == uid));
        for (name, _) in left {
            let free = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
            self.api::<Pod>()
                .patch(name, &PatchParams::default(), &free)
                .await
                .unwrap();
        }
        let owned = claims
            .iter()
            .filter(|(_, claim)| claim.owner_references().iter().any(|owner| owner.uid == uid));
        for (name, _) in owned {
            let free = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
            self.api::<PersistentVolumeClaim>()
                .patch(name, &PatchParams::default(), &free)
                .await
                .unwrap();
        }
        let done = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        self.api::<StatefulSet>()
            .patch(&set.name_any(), &PatchParams::default(), &done)
            .await
            .unwrap();
    }

    async fn make_volume(&mut self, set: &StatefulSet, name: &str, template: &Value) {
        let mut claim = template.clone();
        claim["metadata"]["name"] = name.into();
        let policy = json!(set)["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"].clone();
        if policy == "Delete" {
            claim["metadata"]["ownerReferences"] = json!([set.controller_owner_ref(&()).unwrap()]);
        }
        claim.as_object_mut().unwrap().remove("status");
        let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
        self.api().create(&PostParams::default(), &claim).await.unwrap();
        *self.made.entry(name.to_owned()).or_default() += 1;
    }

    async fn make_pod(&mut self, set: &StatefulSet, name: &str, template: &Value, volumes: &[&str]) {
        let mut pod = template.clone();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["ownerReferences"] = json!([set.controller_owner_ref(&()).unwrap()]);
        for volume in volumes {
            let claim =
                json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{volume}-{name}")}});
            pod["spec"]["volumes"].as_array_mut().unwrap().push(claim);
        }
        let pod: Pod = serde_json::from_value(pod).unwrap();
        self.api().create(&PostParams::default(), &pod).await.unwrap();
        *self.made.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) async fn delete<K: Namespaced>(&self, name: &str) {
        match self.api::<K>().delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            other => drop(other.unwrap()),
        }
    }

    /// Members of pods that are gone end, others begin when what they mount is there.
    async fn run_pods(&self) {
        let pods = self.named::<Pod>().await;
        let running = self.fleet.running();
        for gone in running.iter().filter(|pod| !pods.contains_key(*pod)) {
            self.fleet.stop(gone);
        }
        if pods.keys().all(|pod| running.contains(pod)) {
            return;
        }
        let (claims, secrets) = (self.named().await, self.named::<Secret>().await);
        for (pod, object) in pods.iter().filter(|(_, object)| !self.is_damaged(object)) {
            let Some(volumes) = sound_volumes(object, &claims) else {
                continue;
            };
            let mount = |what: &str| secrets.get(&format!("{}-{what}", cluster_of(pod)));
            let (Some(tls), Some(_)) = (mount("tls"), mount("admin")) else {
                continue;
            };
            let file = |file: &str| tls.data.as_ref().unwrap().get(file).map(|bytes| bytes.0.clone());
            let (Some(cert_pem), Some(key_pem), Some(ca)) = (
                file(&format!("{pod}.crt")),
                file(&format!("{pod}.key")),
                file("ca.crt"),
            ) else {
                continue;
            };
            self.fleet
                .start(pod, volumes, &Identity { cert_pem, key_pem }, &ca);
        }
    }

    /// Kubelets bring the files of Secrets up to date, and members read them.
    pub(crate) async fn remount(&self) {
        let secrets = self.named::<Secret>().await;
        for pod in self.fleet.running() {
            let cluster = cluster_of(&pod);
            let tls = secrets[&format!("{cluster}-tls")].data.clone().unwrap();
            let file = |file: &str| tls[file].0.clone();
            let identity = Identity {
                cert_pem: file(&format!("{pod}.crt")),
                key_pem: file(&format!("{pod}.key")),
            };
            self.fleet.reload(&pod, &identity, &file("ca.crt"));
        }
    }

    async fn report_pods(&self) {
        let running = self.fleet.running();
        for pod in self.list::<Pod>().await {
            let name = pod.name_any();
            let runs = running.contains(&name);
            let status = pod_status(
                runs,
                runs && self.fleet.is_ready(&name),
                self.fleet.address(&name).to_string(),
                self.is_damaged(&pod),
            );
            let known = json!(pod.status);
            if ["/phase", "/conditions/0/status"]
                .iter()
                .all(|at| known.pointer(at) == status.pointer(at))
            {
                continue;
            }
            self.api::<Pod>()
                .patch_status(
                    &name,
                    &PatchParams::default(),
                    &Patch::Merge(json!({"status": status})),
                )
                .await
                .unwrap();
        }
    }

    /// The storage of a pod's data volume is gone, and with it the member.
    pub(crate) async fn lose_storage(&self, pod: &str) {
        let lost = Patch::Merge(json!({"status": {"phase": "Lost"}}));
        self.api::<PersistentVolumeClaim>()
            .patch_status(&format!("data-{pod}"), &PatchParams::default(), &lost)
            .await
            .unwrap();
        self.fleet.stop(pod);
        self.report_pods().await;
    }

    fn is_damaged(&self, pod: &Pod) -> bool {
        pod.uid().is_some_and(|uid| self.damaged.contains(&uid))
    }

    /// The server of this pod finds its files damaged, and ends as often as it is started.
    pub(crate) async fn damage(&mut self, pod: &str) {
        let found: Pod = self.api().get(pod).await.unwrap();
        self.damaged.extend(found.uid());
        self.fleet.stop(pod);
        self.report_pods().await;
    }

    /// Deletes what has lost its owner, until nothing is left to delete.
    pub(crate) async fn collect_garbage(&self) {
        loop {
            let mut owners: BTreeSet<String> = BTreeSet::new();
            owners.extend(
                self.list::<GeodeCluster>()
                    .await
                    .iter()
                    .filter_map(ResourceExt::uid),
            );
            owners.extend(
                self.list::<StatefulSet>()
                    .await
                    .iter()
                    .filter_map(ResourceExt::uid),
            );
            let collected = self.collect::<StatefulSet>(&owners).await
                + self.collect::<Pod>(&owners).await
                + self.collect::<PersistentVolumeClaim>(&owners).await
                + self.collect::<ConfigMap>(&owners).await
                + self.collect::<Secret>(&owners).await
                + self.collect::<Service>(&owners).await
                + self.collect::<ServiceAccount>(&owners).await
                + self.collect::<PodDisruptionBudget>(&owners).await;
            if collected == 0 {
                break;
            }
        }
        self.run_pods().await;
        self.release_volumes(&self.named().await, &self.named().await)
            .await;
    }

    async fn collect<K: Namespaced>(&self, owners: &BTreeSet<String>) -> usize {
        let mut collected = 0;
        for object in self.list::<K>().await {
            let references: &[OwnerReference] = object.owner_references();
            let leaves = object.meta().deletion_timestamp.is_some();
            if !leaves
                && !references.is_empty()
                && !references.iter().any(|owner| owners.contains(&owner.uid))
            {
                self.delete::<K>(&object.name_any()).await;
                collected += 1;
            }
        }
        collected
    }
}

/// The cluster that a pod belongs to.
fn cluster_of(pod: &str) -> &str {
    let set = pod.rsplit_once('-').unwrap().0;
    set.strip_suffix(OBSERVER_SUFFIX).unwrap_or(set)
}

/// Names of the claims that a pod mounts.
fn volumes(pod: &Pod) -> Vec<String> {
    let volumes = pod.spec.iter().flat_map(|spec| &spec.volumes).flatten();
    volumes
        .filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.clone()))
        .collect()
}

/// Uids of a pod's volumes, when both are there.
fn sound_volumes(pod: &Pod, claims: &BTreeMap<String, PersistentVolumeClaim>) -> Option<Vec<String>> {
    let uid = |volume: &String| {
        let claim = claims.get(volume)?;
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        (phase != Some("Lost")).then(|| claim.uid().unwrap())
    };
    volumes(pod).iter().map(uid).collect::<Option<_>>()
}

fn pod_status(runs: bool, ready: bool, address: String, damaged: bool) -> Value {
    let text = |yes: bool| if yes { "True" } else { "False" };
    let state = if runs {
        json!({"running": {"startedAt": "2026-03-01T12:00:00Z"}, "waiting": null})
    } else {
        json!({"waiting": {"reason": "ContainerCreating"}, "running": null})
    };
    let container = |name: &str| json!({"name": name, "image": "i", "imageID": "i", "ready": runs, "restartCount": 0, "state": state});
    let mut server = container(CONTAINER_SERVER);
    if damaged {
        let message = "wal/3 is damaged at byte 7; remove it";
        server["lastState"] = json!({"terminated": {"exitCode": EXIT_DAMAGED, "message": message}});
    }
    json!({
        "phase": if runs { "Running" } else { "Pending" },
        "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": text(ready)}],
        "containerStatuses": [server, container(CONTAINER_SIDECAR)],
    })
}
