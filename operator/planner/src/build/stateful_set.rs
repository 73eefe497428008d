//! The StatefulSet of a group of pods. `OnDelete`: the operator restarts pods itself, in its own order. Pod security: the "restricted" standard.

use crate::build::{
    Fixed,
    config_map::{ARCHIVE_KEYS, CONFIG_FILE, COPY_CREDENTIALS, CREDENTIALS},
    labels, metadata, selected,
};
use crate::names::Group;
use crate::object::{Kind, Object};
use crate::observed::VolumeKind;
use crate::want::Want;
use geode_api::{
    ANNOTATION_BUILDER, ANNOTATION_TEMPLATE, CLIENT_PORT, CLUSTER_PORT, CONTAINER_SERVER, CONTAINER_SIDECAR,
    DeletionPolicy, LABEL_CLUSTER, LABEL_COMPONENT, METRICS_PORT,
};
use serde_json::{Value, json};

/// User and group of both containers; the images run as it and the volumes belong to it.
const USER: u32 = 65_532;
/// Time for a server to hand over leadership and close its store.
const TERMINATION_SECONDS: u32 = 60;

pub(super) fn build(want: &Want, template: &str, fixed: &Fixed) -> Object {
    let annotations = [
        (ANNOTATION_TEMPLATE, template),
        (ANNOTATION_BUILDER, want.release.as_str()),
    ];
    let when_deleted = match want.deletion {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    // Pods go only after their members have left the cluster; what is on their volumes is a copy of what the others have, under an identity that
    // must never come back. Unless all of them go for a while.
    let when_scaled = if fixed.keeps_volumes { "Retain" } else { "Delete" };
    // That of the voters cannot change, so it takes in observers; Kubernetes tells pods of two sets apart by owner and name.
    let selector = match fixed.group {
        Group::Voters => json!({ LABEL_CLUSTER: want.names.cluster }),
        Group::Observers => selected(want, Group::Observers),
    };
    let spec = json!({
        "replicas": fixed.replicas,
        "serviceName": want.names.peers(),
        "podManagementPolicy": "Parallel",
        "updateStrategy": { "type": "OnDelete" },
        "persistentVolumeClaimRetentionPolicy": { "whenDeleted": when_deleted, "whenScaled": when_scaled },
        "selector": { "matchLabels": selector },
        "template": pod_template(want, fixed, template),
        "volumeClaimTemplates": [
            claim_template(want, fixed, &VolumeKind::Data.name(fixed.life), &fixed.sizes[0]),
            claim_template(want, fixed, &VolumeKind::Wal.name(fixed.life), &fixed.sizes[1]),
        ],
    });
    let body = json!({ "metadata": metadata(want, &annotations), "spec": spec });
    Object::new(Kind::StatefulSet, want.names.set(fixed.group), body)
}

/// Voters never share a node. Observers avoid the nodes of all others, but they may be more than there are nodes. A voter keeps no observer
/// away: its rule would hold for pods that come later, too.
fn affinity(want: &Want, group: Group) -> Value {
    let elsewhere = |labels: Value| json!({ "labelSelector": { "matchLabels": labels }, "topologyKey": "kubernetes.io/hostname" });
    let rule = match group {
        Group::Voters => {
            json!({ "requiredDuringSchedulingIgnoredDuringExecution": [elsewhere(selected(want, group))] })
        }
        Group::Observers => {
            let term = elsewhere(json!({ LABEL_CLUSTER: want.names.cluster }));
            json!({ "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100, "podAffinityTerm": term }] })
        }
    };
    json!({ "podAntiAffinity": rule })
}

fn claim_template(want: &Want, fixed: &Fixed, name: &str, size: &str) -> Value {
    let mut spec =
        json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } });
    if let Some(class) = &fixed.class {
        spec["storageClassName"] = class.as_str().into();
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": name, "labels": { LABEL_CLUSTER: want.names.cluster } },
        "spec": spec,
    })
}

fn pod_template(want: &Want, fixed: &Fixed, template: &str) -> Value {
    let mut labels = labels(want);
    labels[LABEL_COMPONENT] = selected(want, fixed.group)[LABEL_COMPONENT].clone();
    json!({
        "metadata": { "labels": labels, "annotations": { ANNOTATION_TEMPLATE: template } },
        "spec": {
            "serviceAccountName": want.names.cluster,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": TERMINATION_SECONDS,
            "affinity": affinity(want, fixed.group),
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [server(want, fixed.life), sidecar(want, fixed.life)],
            "volumes": volumes(want),
        },
    })
}

/// Probes of the server are answered by the sidecar, which does a real handshake with it. Liveness is slow to give up: a sidecar that is
/// restarted itself must not take the server with it.
fn server(want: &Want, life: u32) -> Value {
    let resources = match &want.resources {
        Some(resources) => json!(resources),
        None => json!({ "requests": { "cpu": "100m", "memory": "256Mi" } }),
    };
    json!({
        "name": CONTAINER_SERVER,
        "image": want.images.server,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/geode", "serve", "--config", "/etc/geode/geode.yaml"],
        "env": environment(),
        "ports": [
            { "name": "client", "containerPort": CLIENT_PORT, "protocol": "UDP" },
            { "name": "cluster", "containerPort": CLUSTER_PORT, "protocol": "UDP" },
        ],
        "startupProbe": probe("/startupz", 1, 600),
        "readinessProbe": probe("/readyz", 2, 2),
        "livenessProbe": probe("/livez", 10, 6),
        "resources": resources,
        "securityContext": container_security(),
        "volumeMounts": mounts(life),
    })
}

fn sidecar(want: &Want, life: u32) -> Value {
    json!({
        "name": CONTAINER_SIDECAR,
        "image": want.images.sidecar,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/geode-sidecar", "--config", "/etc/geode/geode.yaml"],
        "env": environment(),
        "ports": [{ "name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP" }],
        "livenessProbe": { "tcpSocket": { "port": METRICS_PORT }, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 4 },
        "resources": { "requests": { "cpu": "20m", "memory": "64Mi" } },
        "securityContext": container_security(),
        "volumeMounts": sidecar_mounts(want, life),
    })
}

/// What `geode query` and `geode shell` need inside the pod, besides who the member is.
fn environment() -> Value {
    json!([
        { "name": "GEODE_NODE_ID", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
        { "name": "GEODE_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
        { "name": "GEODE_HOST", "value": format!("127.0.0.1:{CLIENT_PORT}") },
        { "name": "GEODE_USER", "value": "admin" },
        { "name": "GEODE_PASSWORD_FILE", "value": "/etc/geode/auth/password" },
        { "name": "GEODE_CA", "value": "/etc/geode/tls/ca.crt" },
    ])
}

fn probe(path: &str, period_seconds: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": METRICS_PORT },
        "periodSeconds": period_seconds, "timeoutSeconds": 3, "failureThreshold": failures,
    })
}

fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

fn mounts(life: u32) -> Value {
    json!([
        { "name": "config", "mountPath": format!("/etc/geode/{CONFIG_FILE}"), "subPath": CONFIG_FILE, "readOnly": true },
        { "name": "tls", "mountPath": "/etc/geode/tls", "readOnly": true },
        { "name": "auth", "mountPath": "/etc/geode/auth", "readOnly": true },
        { "name": "s3", "mountPath": CREDENTIALS, "readOnly": true },
        { "name": VolumeKind::Data.name(life), "mountPath": "/var/lib/geode/data" },
        { "name": VolumeKind::Wal.name(life), "mountPath": "/var/lib/geode/wal" },
        { "name": "tmp", "mountPath": "/tmp" },
    ])
}

/// The sidecar alone reaches the archive's copy, and seals and opens what is archived.
fn sidecar_mounts(want: &Want, life: u32) -> Value {
    let mut mounts = mounts(life);
    for (name, path, _) in archive_secrets(want) {
        if let Some(list) = mounts.as_array_mut() {
            list.push(json!({ "name": name, "mountPath": path, "readOnly": true }));
        }
    }
    mounts
}

/// Secrets that a manifest may ask for: volume, place, name. Who asks for none has the pods of before.
fn archive_secrets(want: &Want) -> Vec<(&'static str, &'static str, &str)> {
    let Some(archive) = &want.archive else {
        return Vec::new();
    };
    let copy = archive.copy.as_ref().and_then(|copy| copy.credentials.as_deref());
    let secrets = [
        ("archive-keys", ARCHIVE_KEYS, archive.encryption.as_deref()),
        ("s3-copy", COPY_CREDENTIALS, copy),
    ];
    let asked = secrets
        .into_iter()
        .filter_map(|(name, path, secret)| Some((name, path, secret?)));
    asked.collect()
}

fn volumes(want: &Want) -> Value {
    // A missing Secret of the archive must not keep a database from starting: the archive then says that it is denied.
    let credentials = match want
        .archive
        .as_ref()
        .and_then(|archive| archive.credentials.as_ref())
    {
        Some(secret) => {
            json!({ "name": "s3", "secret": { "secretName": secret, "optional": true, "defaultMode": 0o440 } })
        }
        None => json!({ "name": "s3", "emptyDir": {} }),
    };
    let mut volumes = json!([
        { "name": "config", "configMap": { "name": want.names.config() } },
        { "name": "tls", "secret": { "secretName": want.names.tls(), "defaultMode": 0o440 } },
        { "name": "auth", "secret": { "secretName": want.names.admin(), "defaultMode": 0o440 } },
        credentials,
        { "name": "tmp", "emptyDir": {} },
    ]);
    for (name, _, secret) in archive_secrets(want) {
        if let Some(list) = volumes.as_array_mut() {
            list.push(
                json!({ "name": name, "secret": { "secretName": secret, "optional": true, "defaultMode": 0o440 } }),
            );
        }
    }
    volumes
}
