//! The objects of a small cluster: known to Kubernetes field by field, and as the contracts of scripts and members say.

use crate::model::Model;
use geode_planner::{Action, Kind, Object, build, plan};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn applied(spec: Value) -> Vec<Object> {
    let model = Model::new(spec);
    let plan = plan(&model.want(), &model.observe(), model.now);
    plan.actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Apply(object) => Some(*object),
            _ => None,
        })
        .collect()
}

fn round_trip<K: DeserializeOwned + Serialize>(body: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<K>(body.clone()).unwrap()).unwrap()
}

const FULL: &str = r#"{"members": 5, "observers": {"replicas": 2}, "version": "1.2.3", "timing": "fast",
    "storage": {"size": "2Gi", "storageClassName": "fast", "wal": {"size": "1Gi"}},
    "resources": {"requests": {"cpu": "1000m"}, "limits": {"memory": "1Gi"}},
    "archive": {"s3": {"bucket": "b", "storageClass": "STANDARD_IA", "endpoint": "http://s3:9000", "credentials": {"secretName": "keys"}}, "maxLag": "2s",
        "drCopy": {"bucket": "c", "region": "eu-west-1", "credentials": {"secretName": "copy-keys"}}, "compression": "lz4", "encryption": {"secretName": "sealing"}},
    "services": {"read": {"type": "LoadBalancer"}}, "config": {"performance": {"query_timeout": "30s"}}}"#;

#[test]
fn every_field_that_is_applied_is_a_field_of_its_kind() {
    for spec in [json!({}), serde_json::from_str(FULL).unwrap()] {
        for object in applied(spec) {
            let typed = match object.key.kind {
                Kind::ServiceAccount => round_trip::<ServiceAccount>(&object.body),
                Kind::ConfigMap => round_trip::<ConfigMap>(&object.body),
                Kind::Service => round_trip::<Service>(&object.body),
                Kind::PodDisruptionBudget => round_trip::<PodDisruptionBudget>(&object.body),
                Kind::StatefulSet => round_trip::<StatefulSet>(&object.body),
                Kind::Secret => panic!("Secrets are not applied by the planner"),
            };
            assert_eq!(typed, object.body, "{:?}", object.key);
        }
    }
}

#[test]
fn the_statefulset_comes_last_and_a_single_member_has_no_budget() {
    let names = |spec| {
        applied(spec)
            .into_iter()
            .map(|object| format!("{:?} {}", object.key.kind, object.key.name))
            .collect::<Vec<_>>()
    };
    let (three, one) = (names(json!({})), names(json!({"members": 1})));
    assert_eq!(three.last().map(String::as_str), Some("StatefulSet g"));
    assert_eq!(
        three,
        [
            "ServiceAccount g",
            "ConfigMap g-config",
            "Service g-peers",
            "Service g",
            "Service g-read",
            "PodDisruptionBudget g",
            "StatefulSet g"
        ]
    );
    assert!(!one.iter().any(|name| name.contains("PodDisruptionBudget")));
}

#[test]
fn pods_keep_to_the_contracts() {
    let set = applied(json!({})).pop().unwrap().body;
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(set["spec"]["updateStrategy"]["type"], "OnDelete");
    assert_eq!(set["spec"]["podManagementPolicy"], "Parallel");
    assert_eq!(
        set["spec"]["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Delete"})
    );
    assert_eq!(
        [&pod["containers"][0]["name"], &pod["containers"][1]["name"]],
        ["geode", "geode-sidecar"]
    );
    assert_eq!(
        set["spec"]["template"]["metadata"]["labels"]["geodedb.com/cluster"],
        "g"
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    for container in pod["containers"].as_array().unwrap() {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(
            container["securityContext"]["capabilities"]["drop"],
            json!(["ALL"])
        );
        assert!(
            !container["env"]
                .to_string()
                .to_lowercase()
                .contains("secretkeyref"),
            "no secrets in the environment"
        );
    }
}

#[test]
fn the_configuration_is_one_that_members_accept() {
    for spec in [json!({}), serde_json::from_str(FULL).unwrap()] {
        let model = Model::new(spec);
        let text = build::geode_yaml(&model.want());
        let config = geode_config::Config::parse(&text, false, "geode.yaml", |name| {
            (name == "GEODE_NODE_ID").then(|| "g-1".into())
        })
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config.cluster.node.id, "g-1");
        assert_eq!(config.cluster.node.address, "g-1.g-peers.db.svc:3141");
        assert_eq!(config.internal_address(), "g-1.g-peers.db.svc:3142");
    }
}

#[test]
fn the_keys_of_the_archive_are_for_the_sidecar_alone_and_what_is_not_asked_for_changes_no_pod() {
    let template = |spec: Value| applied(spec).pop().unwrap().body["spec"]["template"].clone();
    let archive = |more: Value| {
        let mut archive = json!({"s3": {"bucket": "b"}, "maxLag": "2s"});
        let fields = more.as_object().unwrap().clone();
        archive.as_object_mut().unwrap().extend(fields);
        json!({ "archive": archive })
    };
    let pod = &template(serde_json::from_str(FULL).unwrap())["spec"];
    let mounts = |place: usize| pod["containers"][place]["volumeMounts"].to_string();
    assert!(!mounts(0).contains("archive-keys") && mounts(1).contains("/etc/geode/archive-keys"));
    assert!(mounts(1).contains("/etc/geode/s3-copy") && !mounts(0).contains("s3-copy"));
    let volumes = pod["volumes"].as_array().unwrap();
    let keys = volumes
        .iter()
        .find(|volume| volume["name"] == "archive-keys")
        .unwrap();
    // Without it the database runs, and the archive says what is missing.
    assert_eq!(
        (&keys["secret"]["secretName"], &keys["secret"]["optional"]),
        (&json!("sealing"), &json!(true))
    );
    let plain = template(archive(json!({})));
    assert!(!plain.to_string().contains("archive-keys"));
    let hash = |template: &Value| template["metadata"]["annotations"].to_string();
    for more in [
        json!({"compression": "zstd"}),
        json!({"drCopy": {"bucket": "c"}}),
        json!({"encryption": {"secretName": "x"}}),
    ] {
        assert_ne!(hash(&template(archive(more))), hash(&plain));
    }
}
