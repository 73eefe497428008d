//! The objects of a cluster, one file a kind. Functions of the manifest and of what was fixed when the cluster was created.
//!
//! The StatefulSet and the ConfigMap shape pods. They carry the hash of the user's wishes and the release that rendered them; while the wishes
//! are the same and the release is another, they stay as they are, so that a newer operator restarts no database.

mod budget;
mod config_map;
mod services;
mod stateful_set;

use crate::names::Group;
use crate::object::{Kind, Object, ObjectKey, hash};
use crate::observed::Observed;
use crate::want::Want;
use geode_api::{
    ANNOTATION_BUILDER, COMPONENT_DATABASE, COMPONENT_OBSERVER, DeletionPolicy, GROUP, LABEL_CLUSTER,
    LABEL_COMPONENT, VERSION,
};
use serde_json::{Map, Value, json};

pub use config_map::geode_yaml;
pub(crate) use config_map::{ARCHIVE_KEYS, CREDENTIALS};

/// What the StatefulSet of a group depends on besides the manifest.
pub(crate) struct Fixed {
    /// Its group.
    pub(crate) group: Group,
    /// Number of pods.
    pub(crate) replicas: u32,
    /// Pods that are taken away leave their volumes.
    pub(crate) keeps_volumes: bool,
    /// Life of the database whose volumes the pods mount.
    pub(crate) life: u32,
    /// Storage class of new volumes.
    pub(crate) class: Option<String>,
    /// Sizes of new volumes: data, log.
    pub(crate) sizes: [String; 2],
}

/// Everything that is to be applied, in order; the StatefulSets last, because their pods need the rest.
pub(crate) fn objects(want: &Want, seen: &Observed, sets: &[Fixed]) -> Vec<Object> {
    let template = template_hash(want);
    let mut objects = vec![
        service_account(want),
        config_map::build(want, &template),
        services::peers(want),
        services::leader(want),
        services::followers(want),
    ];
    if sets.iter().any(|fixed| fixed.group == Group::Observers) {
        objects.push(services::observers(want));
    }
    objects.extend(budget::disruption_budget(want, seen));
    objects.extend(
        sets.iter()
            .map(|fixed| stateful_set::build(want, &template, fixed)),
    );
    objects.retain(|object| !is_frozen(object, want, seen));
    objects
}

/// Objects that an earlier manifest asked for and this one does not.
pub(crate) fn surplus(want: &Want, seen: &Observed) -> Vec<ObjectKey> {
    let budget = ObjectKey {
        kind: Kind::PodDisruptionBudget,
        name: want.names.cluster.clone(),
    };
    let unwanted = budget::disruption_budget(want, seen).is_none() && seen.objects.contains_key(&budget);
    unwanted.then_some(budget).into_iter().collect()
}

/// Hash of the wishes that shape a pod. Not of the pod's text: that may differ from release to release.
pub fn template_hash(want: &Want) -> String {
    let archive = want.archive.as_ref().map(|archive| {
        let mut hashed = json!({
            "bucket": archive.bucket, "prefix": archive.prefix, "endpoint": archive.endpoint, "region": archive.region,
            "credentials": archive.credentials, "max_lag": archive.max_lag,
        });
        // What a manifest does not ask for is not hashed: it shapes no pod.
        for (name, wish) in [("compression", &archive.compression), ("storage_class", &archive.storage_class), ("encryption", &archive.encryption)] {
            if let Some(wish) = wish {
                hashed[name] = wish.as_str().into();
            }
        }
        if let Some(copy) = &archive.copy {
            hashed["copy"] = json!(copy);
        }
        hashed
    });
    hash(&json!({
        "images": want.images, "resources": want.resources, "timing": want.timing, "archive": archive, "config": want.config,
    }))
}

/// Rendered by another release for the same wishes: left alone.
fn is_frozen(object: &Object, want: &Want, seen: &Observed) -> bool {
    if !matches!(object.key.kind, Kind::StatefulSet | Kind::ConfigMap) {
        return false;
    }
    let Some(live) = seen.objects.get(&object.key) else {
        return false;
    };
    let annotation = |name: &str| {
        live.pointer(&format!("/metadata/annotations/{}", name.replace('/', "~1")))
            .and_then(Value::as_str)
    };
    let same_wishes = annotation(geode_api::ANNOTATION_TEMPLATE) == Some(template_hash(want).as_str());
    // What becomes of the volumes is a wish that shapes no pod, and too grave to wait for one that does.
    let policy = |of: &Value| of.pointer("/spec/persistentVolumeClaimRetentionPolicy").cloned();
    let same_policy = policy(live) == policy(&object.body);
    same_wishes && same_policy && annotation(ANNOTATION_BUILDER) != Some(want.release.as_str())
}

/// Metadata of an object that is deleted with the cluster.
pub(crate) fn metadata(want: &Want, annotations: &[(&str, &str)]) -> Value {
    let annotations: Map<String, Value> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect();
    json!({
        "namespace": want.names.namespace,
        "labels": labels(want),
        "annotations": annotations,
        "ownerReferences": [owner(want)],
    })
}

/// Labels of every object, and of the pods of voters.
pub fn labels(want: &Want) -> Value {
    json!({
        "app.kubernetes.io/name": "geode",
        "app.kubernetes.io/instance": want.names.cluster,
        LABEL_COMPONENT: COMPONENT_DATABASE,
        "app.kubernetes.io/managed-by": "geode-operator",
        LABEL_CLUSTER: want.names.cluster,
    })
}

/// What tells the pods of a group from all others.
pub(crate) fn selected(want: &Want, group: Group) -> Value {
    let component = match group {
        Group::Voters => COMPONENT_DATABASE,
        Group::Observers => COMPONENT_OBSERVER,
    };
    json!({ LABEL_CLUSTER: want.names.cluster, LABEL_COMPONENT: component })
}

/// The same as the text of a label selector.
pub(crate) fn selector(want: &Want, group: Group) -> String {
    let labels = selected(want, group);
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.join(",")
}

/// The reference by which Kubernetes deletes an object with its cluster.
pub fn owner(want: &Want) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "GeodeCluster", "name": want.names.cluster, "uid": want.uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Whether the administrator's password is deleted with the cluster: it stays with the volumes, because it is the key to them.
pub fn admin_is_owned(want: &Want) -> bool {
    want.deletion == DeletionPolicy::Delete
}

/// Pods get no token of the API server: nothing in them talks to it.
fn service_account(want: &Want) -> Object {
    Object::new(
        Kind::ServiceAccount,
        want.names.cluster.clone(),
        json!({ "metadata": metadata(want, &[]), "automountServiceAccountToken": false }),
    )
}
