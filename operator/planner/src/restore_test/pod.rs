//! The pod of a run: one container with the image of the cluster's servers and one command, which prints a report and ends. It mounts no volume of the
//! cluster and has none of the labels by which the cluster's Services, budget and StatefulSets find their pods. Pod security: the
//! "restricted" standard.

use crate::archive::ArchiveService;
use crate::build::{ARCHIVE_KEYS, CREDENTIALS};
use crate::restore_test::{RestoreTestView, TestedCluster, seconds};
use geode_api::{
    COMPONENT_RESTORE_TEST, CONTAINER_SERVER, GROUP, LABEL_CLUSTER, LABEL_COMPONENT, LABEL_RESTORE_TEST,
    LABEL_RESTORE_TEST_OF, RestoreTestRun, VERSION,
};
use geode_types::RestoreCheck;
use serde_json::{Value, json};

/// User and group of the image.
const USER: u32 = 65_532;
/// Kubernetes ends a pod that no operator ends, so long after its time.
const GRACE_SECONDS: i64 = 60;
const RESTORED: &str = "/restore";
/// Where Kubernetes reads what a container leaves behind.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// The pod of a run.
pub fn test_pod(view: &RestoreTestView, run: &RestoreTestRun, cluster: &TestedCluster) -> Value {
    let owner = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "GeodeRestoreTest", "name": view.name, "uid": view.uid, "controller": true,
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": run.pod,
            "namespace": cluster.namespace,
            "labels": {
                "app.kubernetes.io/name": "geode",
                "app.kubernetes.io/instance": view.name,
                LABEL_COMPONENT: COMPONENT_RESTORE_TEST,
                "app.kubernetes.io/managed-by": "geode-operator",
                LABEL_RESTORE_TEST: view.name,
                LABEL_RESTORE_TEST_OF: cluster.name,
            },
            // Deleted with the test, and with it its volume.
            "ownerReferences": [owner],
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds(&view.spec.timeout) + GRACE_SECONDS,
            "terminationGracePeriodSeconds": 5,
            "serviceAccountName": cluster.name,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "affinity": affinity(cluster),
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [container(view, run, cluster)],
            "volumes": volumes(view, cluster),
        },
    })
}

/// Away from the members, where there is a choice: a restore takes CPU and disk.
fn affinity(cluster: &TestedCluster) -> Value {
    let term = json!({
        "labelSelector": { "matchLabels": { LABEL_CLUSTER: cluster.name } }, "topologyKey": "kubernetes.io/hostname",
    });
    json!({
        "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100, "podAffinityTerm": term }] },
    })
}

fn container(view: &RestoreTestView, run: &RestoreTestRun, cluster: &TestedCluster) -> Value {
    let resources = view.spec.resources.as_ref().or(cluster.resources.as_ref());
    let resources = match resources {
        Some(resources) => json!(resources),
        None => json!({ "requests": { "cpu": "100m", "memory": "256Mi" } }),
    };
    let mut mounts = vec![json!({ "name": "restored", "mountPath": RESTORED })];
    if cluster.archive.credentials.is_some() {
        mounts.push(json!({ "name": "s3", "mountPath": CREDENTIALS, "readOnly": true }));
    }
    if cluster.archive.encryption.is_some() {
        mounts.push(json!({ "name": "archive-keys", "mountPath": ARCHIVE_KEYS, "readOnly": true }));
    }
    json!({
        "name": CONTAINER_SERVER,
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": command(run, cluster),
        "env": [{ "name": "GEODE_RESTORE_CHECKS", "value": checks(view) }],
        "terminationMessagePath": TERMINATION_LOG,
        // What an image without this command says.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": mounts,
    })
}

fn command(run: &RestoreTestRun, cluster: &TestedCluster) -> Vec<String> {
    let archive = &cluster.archive;
    let mut command = vec!["/geode", "backup", "test-restore", "--source", &run.source];
    match &archive.service {
        ArchiveService::S3 => command.extend(["--region", &archive.region]),
        ArchiveService::Google => {}
        ArchiveService::Azure { account } => command.extend(["--account", account]),
    }
    if !archive.endpoint.is_empty() {
        command.extend(["--endpoint", &archive.endpoint]);
    }
    if archive.credentials.is_some() {
        command.extend(["--credentials-dir", CREDENTIALS]);
    }
    if archive.encryption.is_some() {
        command.extend(["--encryption-key-file", ARCHIVE_KEYS]);
    }
    command.extend([
        "--temp-dir",
        RESTORED,
        "--format",
        "json",
        "--report",
        TERMINATION_LOG,
    ]);
    command.into_iter().map(str::to_owned).collect()
}

/// `$(NAME)` in the value of a variable is replaced by Kubernetes, and `$$` is a dollar.
fn checks(view: &RestoreTestView) -> String {
    let checks: Vec<RestoreCheck> = view
        .spec
        .queries
        .iter()
        .map(|query| RestoreCheck {
            statement: query.statement.clone(),
            expect_rows: query.expect_rows.and_then(|rows| u64::try_from(rows).ok()),
            expect: query.expect.clone(),
        })
        .collect();
    json!(checks).to_string().replace('$', "$$")
}

fn volumes(view: &RestoreTestView, cluster: &TestedCluster) -> Value {
    let restored = match &view.spec.storage {
        None => json!({ "name": "restored", "emptyDir": {} }),
        Some(storage) => {
            let mut spec = json!({
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": storage.size } },
            });
            if let Some(class) = &storage.storage_class_name {
                spec["storageClassName"] = class.as_str().into();
            }
            json!({ "name": "restored", "ephemeral": { "volumeClaimTemplate": { "spec": spec } } })
        }
    };
    let mut volumes = vec![restored];
    let secrets = [
        ("s3", &cluster.archive.credentials),
        ("archive-keys", &cluster.archive.encryption),
    ];
    for (name, secret) in secrets {
        if let Some(secret) = secret {
            volumes.push(json!({ "name": name, "secret": { "secretName": secret, "defaultMode": 0o440 } }));
        }
    }
    json!(volumes)
}
