//! What the API server refuses by itself, with a sentence that a user understands.

use crate::server::{ApiServer, server};
use geode_api::{GeodeBackup, GeodeBackupSchedule, GeodeCluster, GeodeRestore, GeodeRestoreTest};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use serde_json::{Value, json};

/// Applies as `kubectl apply --server-side --validate=strict` does.
async fn apply(
    server: &ApiServer,
    namespace: &str,
    name: &str,
    spec: Value,
) -> Result<DynamicObject, String> {
    let resource = ApiResource::erase::<GeodeCluster>(&());
    apply_as(server, &resource, namespace, name, spec).await
}

async fn apply_as(
    server: &ApiServer,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
    spec: Value,
) -> Result<DynamicObject, String> {
    let api: Api<DynamicObject> = Api::namespaced_with(server.admin().await, namespace, resource);
    let manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": resource.kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    });
    let params = PatchParams {
        field_manager: Some("test".into()),
        field_validation: Some(ValidationDirective::Strict),
        force: true,
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Apply(manifest))
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_empty_spec_is_enough_and_its_defaults_are_visible() {
    let server = server().await;
    let namespace = server.namespace().await;
    let made = apply(&server, &namespace, "a", json!({})).await.unwrap();
    let spec = &made.data["spec"];
    assert_eq!(
        (
            &spec["members"],
            &spec["storage"]["size"],
            &spec["deletionPolicy"]
        ),
        (&json!(3), &json!("10Gi"), &json!("Retain"))
    );
    // `kubectl scale` needs it to be there.
    assert_eq!(spec["observers"]["replicas"], 0);
}

#[tokio::test]
async fn manifests_that_cannot_work_are_refused_with_a_sentence() {
    let server = server().await;
    let namespace = server.namespace().await;
    let s3 = json!({"s3": {"bucket": "b"}});
    let long = "a".repeat(41);
    let cases = [
        ("a", json!({"members": 2}), "members must be 1, 3, 5 or 7"),
        ("a", json!({"members": 0}), "members must be 1, 3, 5 or 7"),
        ("a", json!({"memebrs": 3}), "memebrs"),
        (
            "a",
            json!({"observers": {"replicas": 21}}),
            "observers.replicas must be 0 to 20",
        ),
        (
            "a",
            json!({"observers": {"replicas": -1}}),
            "observers.replicas must be 0 to 20",
        ),
        ("a", json!({"observers": {"count": 1}}), "count"),
        (
            "a",
            json!({"storage": {"size": "lots"}}),
            "not a size; write a number with a unit, for example 10Gi",
        ),
        ("a", json!({"storage": {"size": "0"}}), "not a size"),
        ("a", json!({"storage": {"wal": {"size": "-1Gi"}}}), "not a size"),
        ("a", json!({"timing": "quick"}), "timing"),
        ("a", json!({"tls": {"mode": "none"}}), "tls.mode"),
        (
            "a",
            json!({"version": "1", "image": "x:1"}),
            "spec.version or spec.image, not both",
        ),
        (
            "a",
            json!({"image": "geode@sha256:00"}),
            "spec.image is REPOSITORY:TAG",
        ),
        (
            "a",
            json!({"bootstrap": {"restore": {"source": "s3://b/x"}}}),
            "needs spec.archive",
        ),
        (
            "a",
            json!({"archive": s3, "bootstrap": {"restore": {"source": "b/x"}}}),
            "source",
        ),
        (
            "a",
            json!({"archive": s3, "bootstrap": {"restore": {"source": "s3://b/x", "targetTime": "noon"}}}),
            "targetTime",
        ),
        (
            "a",
            json!({"archive": s3, "bootstrap": {"restore": {"source": "s3://b/x", "targetLsn": "0/5", "targetCheckpoint": "c"}}}),
            "at most one of targetTime, targetLsn and targetCheckpoint",
        ),
        (
            "a",
            json!({"archive": s3, "bootstrap": {"restore": {"source": "s3://b/x", "ifExists": true, "targetLsn": "0/5"}}}),
            "ifExists restores the newest state",
        ),
        ("a", json!({"archive": {"s3": {"bucket": ""}}}), "bucket"),
        (
            "a",
            json!({"archive": {"s3": {"bucket": "b"}, "maxLag": "soon"}}),
            "maxLag",
        ),
        ("a-read", json!({}), "must not end in -read or -peers"),
        ("a-observer", json!({}), "must not end in -observer or -observers"),
        (
            "a-observers",
            json!({}),
            "must not end in -observer or -observers",
        ),
        ("1a", json!({}), "becomes a DNS name"),
        (long.as_str(), json!({}), "at most 40"),
    ];
    for (name, spec, sentence) in cases {
        let refused = apply(&server, &namespace, name, spec.clone())
            .await
            .expect_err(&spec.to_string());
        assert!(refused.contains(sentence), "{spec}: {refused}");
    }
}

#[tokio::test]
async fn what_is_fixed_at_creation_cannot_change_and_volumes_only_grow() {
    let server = server().await;
    let namespace = server.namespace().await;
    let archive = json!({"s3": {"bucket": "b"}});
    let first = json!({"storage": {"size": "2Gi", "wal": {"size": "1Gi"}, "storageClassName": "fast"}, "archive": archive});
    let (restore, elsewhere) = (
        json!({"restore": {"source": "s3://b/x"}}),
        json!({"restore": {"source": "s3://b/y"}}),
    );
    let with = |change: &dyn Fn(&mut Value)| {
        let mut spec = first.clone();
        change(&mut spec);
        spec
    };
    apply(&server, &namespace, "a", first.clone()).await.unwrap();
    for (spec, sentence) in [
        (
            with(&|spec| spec["storage"]["size"] = "1Gi".into()),
            "a volume cannot shrink",
        ),
        (
            with(&|spec| spec["storage"]["wal"]["size"] = "500Mi".into()),
            "a volume cannot shrink",
        ),
        (
            with(&|spec| spec["storage"]["storageClassName"] = "slow".into()),
            "the storage class of volumes cannot change",
        ),
        (
            with(&|spec| {
                spec["storage"]
                    .as_object_mut()
                    .unwrap()
                    .remove("storageClassName");
            }),
            "the storage class of volumes cannot change",
        ),
        (
            with(&|spec| spec["bootstrap"] = restore.clone()),
            "spec.bootstrap is read once",
        ),
    ] {
        let refused = apply(&server, &namespace, "a", spec.clone())
            .await
            .expect_err(&spec.to_string());
        assert!(refused.contains(sentence), "{spec}: {refused}");
    }
    apply(
        &server,
        &namespace,
        "a",
        with(&|spec| spec["storage"]["size"] = "3Gi".into()),
    )
    .await
    .unwrap();
    let begun = |from: &Value| json!({"archive": archive, "bootstrap": from});
    apply(&server, &namespace, "b", begun(&restore)).await.unwrap();
    apply(&server, &namespace, "b", begun(&restore)).await.unwrap();
    let refused = apply(&server, &namespace, "b", begun(&elsewhere))
        .await
        .unwrap_err();
    assert!(refused.contains("spec.bootstrap is read once"), "{refused}");
}

#[tokio::test]
async fn the_samples_are_accepted() {
    let server = server().await;
    for file in [
        "quickstart",
        "production",
        "archive",
        "restore",
        "restore-in-place",
        "restore-new-cluster",
        "schedule",
        "restore-test",
        "demo",
    ] {
        let namespace = server.namespace().await;
        let path = format!("../manifests/samples/{file}.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        for document in text.split("\n---\n") {
            let object: DynamicObject = serde_saphyr::from_str(document).unwrap();
            let kind = object.types.as_ref().unwrap().kind.clone();
            let resource = match kind.as_str() {
                "GeodeCluster" => ApiResource::erase::<GeodeCluster>(&()),
                "GeodeBackup" => ApiResource::erase::<GeodeBackup>(&()),
                "GeodeBackupSchedule" => ApiResource::erase::<GeodeBackupSchedule>(&()),
                "GeodeRestore" => ApiResource::erase::<GeodeRestore>(&()),
                "GeodeRestoreTest" => ApiResource::erase::<GeodeRestoreTest>(&()),
                _ => continue,
            };
            let name = object.metadata.name.clone().unwrap();
            apply_as(&server, &resource, &namespace, &name, object.data["spec"].clone())
                .await
                .unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }
}
