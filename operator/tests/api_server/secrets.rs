//! Secrets and ConfigMaps that are deleted or broken: members go on with what they have, and the operator makes them anew or says why not.

use crate::kubernetes::Namespaced;
use crate::stage::{Place, Stage};
use geode_api::GeodeCluster;
use geode_operator::reconcile::Outcome;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

async fn merge<K: Namespaced>(stage: &Stage, name: &str, patch: Value) {
    stage
        .api::<K>()
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn file(stage: &Stage, secret: &str, file: &str) -> Vec<u8> {
    let secret = stage.api::<Secret>().get(secret).await.unwrap();
    secret.data.unwrap()[file].0.clone()
}

async fn pods(stage: &Stage) -> Vec<String> {
    let pods = stage.api::<Pod>().list(&ListParams::default()).await.unwrap();
    pods.iter().map(|pod| pod.uid().unwrap()).collect()
}

#[tokio::test]
async fn deleted_and_broken_secrets_and_config_are_made_anew_and_no_pod_is_touched() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 3 })).await;
    let (before, running) = (stage.left().await, pods(&stage).await);
    let ca = file(&stage, "a-tls", "ca.crt").await;
    // "broken" in base64.
    let broken = "YnJva2Vu";
    for harm in [
        "a-tls",
        "a-admin",
        "a-config",
        "certificate",
        "key",
        "authority's copy",
        "text",
    ] {
        match harm {
            "a-config" => stage.kubernetes.delete::<ConfigMap>(harm).await,
            "certificate" => merge::<Secret>(&stage, "a-tls", json!({"data": {"a-1.crt": broken}})).await,
            "key" => merge::<Secret>(&stage, "a-tls", json!({"data": {"a-1.key": broken}})).await,
            "authority's copy" => merge::<Secret>(&stage, "a-tls", json!({"data": {"ca.crt": broken}})).await,
            "text" => merge::<ConfigMap>(&stage, "a-config", json!({"data": {"geode.yaml": "broken"}})).await,
            secret => stage.kubernetes.delete::<Secret>(secret).await,
        }
        stage.settle().await;
        // Whatever was harmed, members can read it again: they start, and are believed.
        stage.kubernetes.remount().await;
        stage.settle().await;
        let differences = stage.left().await.differences(&before);
        assert!(differences.is_empty(), "{harm}: {differences:#?}");
    }
    assert_eq!(pods(&stage).await, running);
    assert_eq!(
        file(&stage, "a-tls", "ca.crt").await,
        ca,
        "the authority is the same"
    );
}

#[tokio::test]
async fn a_deleted_authority_is_replaced_and_members_are_believed_again_when_they_have_read_it() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 3 })).await;
    let (running, ca) = (pods(&stage).await, file(&stage, "a-tls", "ca.crt").await);
    stage.kubernetes.delete::<Secret>("a-ca").await;
    let operator = stage.operator();
    for _ in 0..3 {
        stage.round(&operator).await.unwrap().unwrap();
        stage.kubernetes.step().await;
    }
    assert_ne!(file(&stage, "a-tls", "ca.crt").await, ca);
    assert_eq!(stage.fleet.voters().len(), 3);
    stage.kubernetes.remount().await;
    stage.settle().await;
    assert_eq!(pods(&stage).await, running);
}

#[tokio::test]
async fn a_broken_authority_is_never_overwritten_and_a_condition_names_its_secret() {
    let stage = Stage::settled(&Place::new().await, json!({ "members": 1 })).await;
    let (running, certificates) = (pods(&stage).await, file(&stage, "a-tls", "a-0.crt").await);
    merge::<Secret>(&stage, "a-ca", json!({"data": {"ca.key": null}})).await;
    let operator = stage.operator();
    assert!(matches!(
        stage.round(&operator).await,
        Some(Ok(Outcome::Round(_)))
    ));
    let status = stage
        .api::<GeodeCluster>()
        .get("a")
        .await
        .unwrap()
        .status
        .unwrap();
    let said: Vec<String> = status
        .conditions
        .iter()
        .map(|condition| format!("{} {} {}", condition.type_, condition.reason, condition.message))
        .collect();
    assert!(
        said.iter()
            .any(|line| line.contains("ActionFailed") && line.contains("a-ca")),
        "{said:#?}"
    );
    assert_eq!(
        file(&stage, "a-tls", "a-0.crt").await,
        certificates,
        "the last good is kept"
    );
    assert_eq!(pods(&stage).await, running);
}
