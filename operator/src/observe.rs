//! One look at the world: consistent reads of Kubernetes, then a question to every member. Nothing is cached and nothing is decided here.

mod damage;

use crate::certificates::{self, Issued};
use crate::context::{Context, Key};
use crate::kinds::{self, of_cluster};
use crate::members::{Links, Targets};
use geode_api::{
    ANNOTATION_BUILDER, ANNOTATION_TEMPLATE, CONTAINER_SERVER, GeodeBackup, GeodeCluster, GeodeRestore,
    LABEL_KEPT_BY, LABEL_ROLE,
};
use geode_planner::{
    BackupView, ClaimView, Group, Kind, MemberSeen, Names, ObjectKey, Observed, PodView, RestoreView,
    Secrets, SetView, VolumeKind, divide,
};
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys in the Secrets.
pub(crate) const CA_CERTIFICATE: &str = "ca.crt";
pub(crate) const CA_KEY: &str = "ca.key";

/// Kubernetes could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {what}: {source}")]
pub struct ObserveError {
    what: &'static str,
    #[source]
    source: kube::Error,
}

/// What one look gave: facts for the planner, and the means to act on them.
pub struct Look {
    /// For the planner.
    pub observed: Observed,
    /// The cluster's authority.
    pub authority: Option<Issued>,
    /// Links to members, when there is an authority.
    pub links: Option<Arc<Links>>,
    /// Where members are.
    pub targets: Targets,
    /// In which state things were seen that are changed only in that state.
    pub versions: BTreeMap<Versioned, String>,
}

/// Whose resource version it is; the planner's objects have theirs in themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Versioned {
    /// A pod.
    Pod(String),
    /// A volume claim.
    Claim(String),
    /// A backup.
    Backup(String),
    /// A restore.
    Restore(String),
}

fn reading(what: &'static str) -> impl FnOnce(kube::Error) -> ObserveError {
    move |source| ObserveError { what, source }
}

/// Looks.
pub async fn observe(context: &Context, key: &Key, cluster: &GeodeCluster) -> Result<Look, ObserveError> {
    let at = Timestamp::now();
    let names = Names {
        namespace: key.namespace.clone(),
        cluster: key.name.clone(),
    };
    let client = &context.client;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &key.namespace);
    let (selected, set_selected) = (of_cluster(&key.name), of_cluster(&key.name));
    let (objects, secrets, pods, claims, (backups, backup_versions), (restores, restore_versions)) = tokio::try_join!(
        list_objects(client, key),
        list_secrets(client, key),
        async { pods.list(&selected).await.map_err(reading("pods")) },
        async { claims.list(&set_selected).await.map_err(reading("volume claims")) },
        list_backups(client, key),
        list_restores(client, key),
    )?;
    let cordoned = cordoned(client, &pods.items).await?;
    let authority = authority(&secrets, &names);
    let targets: Targets = pods.iter().filter_map(target).collect();
    let (links, members) = ask(context, key, authority.as_ref(), &targets).await;
    let set = |group: Group| {
        let set = ObjectKey {
            kind: Kind::StatefulSet,
            name: names.set(group),
        };
        Some((group, set_view(objects.get(&set)?)))
    };
    let sets: BTreeMap<Group, SetView> = Group::ALL.into_iter().filter_map(set).collect();
    let versions = of(&pods, Versioned::Pod)
        .chain(of(&claims, Versioned::Claim))
        .chain(backup_versions)
        .chain(restore_versions)
        .collect();
    let views = claims
        .iter()
        .filter_map(|claim| Some((claim.name_any(), claim_view(&names, claim)?)));
    let status = cluster.status.clone().unwrap_or_default();
    let divided = divide(&status, sets.get(&Group::Voters), views.collect());
    let observed = Observed {
        at,
        sets,
        objects,
        secrets: describe_secrets(&secrets, &names, authority.as_ref()),
        pods: pods
            .iter()
            .map(|pod| (pod.name_any(), pod_view(pod, &cordoned)))
            .collect(),
        life: divided.life,
        claims: divided.in_use,
        kept: divided.kept,
        members,
        backups,
        restores,
        status,
    };
    Ok(Look {
        observed,
        authority,
        links,
        targets,
        versions,
    })
}

fn of<'a, K>(
    objects: impl IntoIterator<Item = &'a K>,
    kind: fn(String) -> Versioned,
) -> impl Iterator<Item = (Versioned, String)>
where
    K: kube::Resource + 'a,
{
    objects
        .into_iter()
        .filter_map(move |object| Some((kind(object.name_any()), object.resource_version()?)))
}

async fn ask(
    context: &Context,
    key: &Key,
    authority: Option<&Issued>,
    targets: &Targets,
) -> (Option<Arc<Links>>, BTreeMap<String, MemberSeen>) {
    let Some(authority) = authority else {
        return (None, BTreeMap::new());
    };
    match context.members.links(key, authority) {
        Ok(links) => {
            let members = links.poll(targets).await;
            (Some(links), members)
        }
        Err(error) => {
            let unknown = targets
                .keys()
                .map(|pod| (pod.clone(), MemberSeen::Unknown(error.to_string())))
                .collect();
            (None, unknown)
        }
    }
}

/// All kinds but Secrets, whose contents stay out of the observation.
async fn list_objects(client: &Client, key: &Key) -> Result<BTreeMap<ObjectKey, Value>, ObserveError> {
    let lists = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Secret)
        .map(|kind| async move {
            let list = kinds::api(client, kind, &key.namespace)
                .list(&of_cluster(&key.name))
                .await;
            list.map(|list| (kind, list))
                .map_err(reading("the cluster's objects"))
        });
    let mut objects = BTreeMap::new();
    for (kind, list) in futures::future::try_join_all(lists).await? {
        for object in list {
            let (group, version, kind_name, _) = kind.names();
            let key = ObjectKey {
                kind,
                name: object.name_any(),
            };
            let mut value = serde_json::to_value(&object).expect("invariant: an object is plain data");
            // Items of a list come without them.
            value["apiVersion"] = if group.is_empty() {
                version.into()
            } else {
                format!("{group}/{version}").into()
            };
            value["kind"] = kind_name.into();
            objects.insert(key, value);
        }
    }
    Ok(objects)
}

async fn list_secrets(client: &Client, key: &Key) -> Result<BTreeMap<String, Secret>, ObserveError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let list = api
        .list(&of_cluster(&key.name))
        .await
        .map_err(reading("secrets"))?;
    Ok(list
        .into_iter()
        .map(|secret| (secret.name_any(), secret))
        .collect())
}

async fn list_backups(
    client: &Client,
    key: &Key,
) -> Result<(Vec<BackupView>, Vec<(Versioned, String)>), ObserveError> {
    let api: Api<GeodeBackup> = Api::namespaced(client.clone(), &key.namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(reading("backups"))?;
    let versions = of(&list, Versioned::Backup).collect();
    let mut backups: Vec<BackupView> = list
        .into_iter()
        .filter(|backup| backup.spec.cluster == key.name)
        .map(backup_view)
        .collect();
    backups.sort_by(|left, right| (left.created_at, &left.name).cmp(&(right.created_at, &right.name)));
    Ok((backups, versions))
}

fn backup_view(backup: GeodeBackup) -> BackupView {
    BackupView {
        name: backup.name_any(),
        uid: backup.uid().unwrap_or_default(),
        generation: backup.metadata.generation.unwrap_or_default(),
        created_at: backup
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        // The CRD lets nothing else through.
        kind: backup.spec.kind.parse().unwrap_or_default(),
        retention: backup.spec.retention,
        status: backup.status.unwrap_or_default(),
    }
}

async fn list_restores(
    client: &Client,
    key: &Key,
) -> Result<(Vec<RestoreView>, Vec<(Versioned, String)>), ObserveError> {
    let api: Api<GeodeRestore> = Api::namespaced(client.clone(), &key.namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(reading("restores"))?;
    let versions = of(&list, Versioned::Restore).collect();
    let mut restores: Vec<GeodeRestore> = list
        .into_iter()
        .filter(|restore| restore.spec.cluster == key.name && restore.metadata.deletion_timestamp.is_none())
        .collect();
    restores.sort_by_key(|restore| (restore.creation_timestamp(), restore.name_any()));
    Ok((restores.into_iter().map(restore_view).collect(), versions))
}

pub(crate) fn restore_view(restore: GeodeRestore) -> RestoreView {
    RestoreView {
        name: restore.name_any(),
        uid: restore.uid().unwrap_or_default(),
        generation: restore.metadata.generation.unwrap_or_default(),
        spec: restore.spec,
        status: restore.status.unwrap_or_default(),
    }
}

fn data<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    Some(secret.data.as_ref()?.get(key)?.0.as_slice())
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(data(secret, key)?.to_vec()).ok()
}

fn authority(secrets: &BTreeMap<String, Secret>, names: &Names) -> Option<Issued> {
    let secret = secrets.get(&names.authority())?;
    Some(Issued {
        certificate: text(secret, CA_CERTIFICATE)?,
        key: text(secret, CA_KEY)?,
    })
}

fn describe_secrets(
    secrets: &BTreeMap<String, Secret>,
    names: &Names,
    authority: Option<&Issued>,
) -> Secrets {
    let authority =
        authority.and_then(|authority| certificates::describe_authority(authority.certificate.as_bytes()));
    let tls = secrets.get(&names.tls());
    let distributed = tls
        .and_then(|secret| data(secret, CA_CERTIFICATE))
        .map(certificates::fingerprint);
    // Authority and certificates are written together: under another authority none of them is genuine.
    let genuine = authority
        .as_ref()
        .is_some_and(|authority| distributed.as_ref() == Some(&authority.fingerprint));
    let files = tls.and_then(|secret| secret.data.as_ref()).into_iter().flatten();
    let certificates = files
        .filter_map(|(file, content)| {
            let pod = file
                .strip_suffix(".crt")
                .filter(|pod| names.place(pod).is_some())?;
            let key = data(tls?, &format!("{pod}.key"))?;
            Some((
                pod.to_owned(),
                certificates::describe_member(&content.0, key, genuine)?,
            ))
        })
        .collect();
    let admin = secrets.get(&names.admin());
    Secrets {
        authority,
        certificates,
        distributed,
        admin_owned: admin.map(|admin| !admin.owner_references().is_empty()),
    }
}

fn set_view(set: &Value) -> SetView {
    let annotation = |name: &str| {
        let pointer = format!("/metadata/annotations/{}", name.replace('/', "~1"));
        set.pointer(&pointer).and_then(Value::as_str).map(str::to_owned)
    };
    let templates = set
        .pointer("/spec/volumeClaimTemplates")
        .and_then(Value::as_array);
    let volumes: Vec<(VolumeKind, u32, String)> = templates
        .into_iter()
        .flatten()
        .filter_map(|template| {
            let (kind, life) = VolumeKind::parse(template.pointer("/metadata/name")?.as_str()?)?;
            let size = template.pointer("/spec/resources/requests/storage")?.as_str()?;
            Some((kind, life, size.to_owned()))
        })
        .collect();
    let policy = set.pointer("/spec/persistentVolumeClaimRetentionPolicy");
    let retains = |when: &str| {
        policy
            .and_then(|policy| policy.get(when))
            .is_some_and(|then| then == "Retain")
    };
    SetView {
        uid: set
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        deleting: set.pointer("/metadata/deletionTimestamp").is_some(),
        life: volumes.first().map_or(0, |(_, life, _)| *life),
        retains: retains("whenScaled") && retains("whenDeleted"),
        keeps_volumes: retains("whenScaled"),
        replicas: set
            .pointer("/spec/replicas")
            .and_then(Value::as_u64)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
        template: annotation(ANNOTATION_TEMPLATE),
        release: annotation(ANNOTATION_BUILDER),
        observed: set.pointer("/metadata/generation").is_some()
            && set.pointer("/metadata/generation") == set.pointer("/status/observedGeneration"),
        class: templates
            .and_then(|templates| templates.first()?.pointer("/spec/storageClassName")?.as_str())
            .map(str::to_owned),
        sizes: volumes.into_iter().map(|(kind, _, size)| (kind, size)).collect(),
    }
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// The nodes of these pods that take no new ones. An operator without the right to look at nodes sees none; servers hand over by themselves when
/// they are evicted.
async fn cordoned(client: &Client, pods: &[Pod]) -> Result<BTreeSet<String>, ObserveError> {
    let api: Api<Node> = Api::all(client.clone());
    let nodes: BTreeSet<&str> = pods.iter().filter_map(node).collect();
    let looks = nodes.into_iter().map(|name| {
        let api = api.clone();
        async move {
            match api.get_opt(name).await {
                Ok(node) => Ok(node.filter(is_cordoned).map(|_| name.to_owned())),
                Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(None),
                Err(error) => Err(error),
            }
        }
    });
    let found = futures::future::try_join_all(looks)
        .await
        .map_err(reading("nodes"))?;
    Ok(found.into_iter().flatten().collect())
}

/// Whether a node takes no new pods, because somebody said so.
pub(crate) fn is_cordoned(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.unschedulable).unwrap_or(false)
}

/// A pod whose server may answer.
fn target(pod: &Pod) -> Option<(String, std::net::IpAddr)> {
    let status = pod.status.as_ref()?;
    let address = status.pod_ip.as_ref()?.parse().ok()?;
    server_container(pod)?.state.as_ref()?.running.as_ref()?;
    Some((pod.name_any(), address))
}

fn server_container(pod: &Pod) -> Option<&k8s_openapi::api::core::v1::ContainerStatus> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|container| container.name == CONTAINER_SERVER)
}

fn pod_view(pod: &Pod, cordoned: &BTreeSet<String>) -> PodView {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let container = server_container(pod).and_then(|container| container.state.as_ref());
    let waiting = container
        .and_then(|state| state.waiting.as_ref())
        .and_then(|waiting| {
            let reason = waiting.reason.clone()?;
            Some(
                waiting
                    .message
                    .as_ref()
                    .map_or_else(|| reason.clone(), |message| format!("{reason}: {message}")),
            )
        });
    let unscheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .and_then(|condition| condition.message.clone());
    PodView {
        uid: pod.uid().unwrap_or_default(),
        template: pod.annotations().get(ANNOTATION_TEMPLATE).cloned(),
        role: pod.labels().get(LABEL_ROLE).cloned(),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        running: container.is_some_and(|state| state.running.is_some()),
        ready: conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        cordoned: node(pod).is_some_and(|node| cordoned.contains(node)),
        trouble: unscheduled.or(waiting),
        damage: server_container(pod).and_then(damage::damage),
    }
}

fn claim_view(names: &Names, claim: &PersistentVolumeClaim) -> Option<ClaimView> {
    let name = claim.name_any();
    let (template, pod) = name.split_once('-')?;
    let (kind, life) = VolumeKind::parse(template)?;
    names.place(pod)?;
    let owned_by_pod = claim.owner_references().iter().any(|owner| owner.kind == "Pod");
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(ClaimView {
        uid: claim.uid().unwrap_or_default(),
        pod: pod.to_owned(),
        kind,
        life,
        kept_by: claim.labels().get(LABEL_KEPT_BY).cloned(),
        owned: !claim.owner_references().is_empty(),
        created_at: claim
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        size: requests.get("storage")?.0.clone(),
        class: claim.spec.as_ref()?.storage_class_name.clone(),
        lost: claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost"),
        doomed: claim.metadata.deletion_timestamp.is_some() || owned_by_pod,
    })
}
