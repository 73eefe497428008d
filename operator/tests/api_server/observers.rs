//! Observers: made with the cluster, counted by `kubectl scale`, members without a vote as long as they are there.

use crate::stage::{Place, Stage};
use geode_api::GeodeCluster;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

/// As `kubectl scale` does it.
async fn scale(stage: &Stage, replicas: i32) {
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let clusters: Api<GeodeCluster> = stage.api();
    clusters
        .patch_scale("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// What `kubectl scale` and an autoscaler read.
async fn scaled(stage: &Stage) -> Scale {
    let clusters: Api<GeodeCluster> = stage.api();
    clusters.get_scale("a").await.unwrap()
}

/// Pods that the scale subresource selects, by name.
async fn selected(stage: &Stage) -> Vec<String> {
    let selector = scaled(stage).await.status.unwrap().selector.unwrap();
    let pods: Api<Pod> = stage.api();
    let pods = pods.list(&ListParams::default().labels(&selector)).await.unwrap();
    pods.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn the_scale_subresource_counts_observers_and_voters_stay_as_they_are() {
    let spec = json!({ "observers": { "replicas": 2 } });
    let mut stage = Stage::settled(&Place::new().await, spec).await;
    let voters = stage.fleet.voters();
    assert_eq!(voters, ["a-0", "a-1", "a-2"]);
    let first = stage.kubernetes.made.clone();
    for (replicas, pods) in [
        (2, &["a-observer-0", "a-observer-1"][..]),
        (1, &["a-observer-0"]),
        (0, &[]),
        (3, &["a-observer-0", "a-observer-1", "a-observer-2"]),
    ] {
        scale(&stage, replicas).await;
        stage.settle().await;
        let status = scaled(&stage).await.status.unwrap();
        assert_eq!(status.replicas, replicas);
        assert_eq!(selected(&stage).await, pods);
        assert_eq!(stage.fleet.learners(), pods);
        assert_eq!(stage.fleet.voters(), voters);
        let claims: Api<PersistentVolumeClaim> = stage.api();
        let claims = claims.list(&ListParams::default()).await.unwrap();
        assert_eq!(claims.items.len(), 2 * (3 + pods.len()));
    }
    let again = &stage.kubernetes.made;
    for (name, count) in &first {
        let twice = name.contains("observer");
        assert_eq!(again[name], if twice { count + 1 } else { *count }, "{name}");
    }
}

#[tokio::test]
async fn observers_have_a_service_and_a_role_of_their_own() {
    let spec = json!({ "members": 1, "observers": { "replicas": 1 } });
    let stage = Stage::settled(&Place::new().await, spec).await;
    let services: Api<Service> = stage.api();
    let pods: Api<Pod> = stage.api();
    let behind = async |service: &str| {
        let selector = services
            .get(service)
            .await
            .unwrap()
            .spec
            .unwrap()
            .selector
            .unwrap();
        let labels: Vec<String> = selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let pods = pods
            .list(&ListParams::default().labels(&labels.join(",")))
            .await
            .unwrap();
        pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    assert_eq!(behind("a").await, ["a-0"]);
    assert_eq!(behind("a-read").await, Vec::<String>::new());
    assert_eq!(behind("a-observers").await, ["a-observer-0"]);
    assert_eq!(behind("a-peers").await, ["a-0", "a-observer-0"]);
    let observer = pods.get("a-observer-0").await.unwrap();
    assert_eq!(observer.labels()["geodedb.com/role"], "observer");
    let status = stage
        .api::<GeodeCluster>()
        .get("a")
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(
        (status.ready.as_deref(), status.observers.unwrap().ready.as_str()),
        (Some("1/1"), "1/1")
    );
}
