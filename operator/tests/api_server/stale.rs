//! An API server that lags behind: an operator reads what was true before, and writes arrive. It must do no harm, and go on when it reads what
//! is true.

use crate::proxy::Recording;
use crate::stage::{Place, Stage};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use std::collections::BTreeMap;

/// Uids of everything that must not be deleted.
async fn uids(stage: &Stage) -> BTreeMap<String, String> {
    let everything = ListParams::default();
    let pods = stage.api::<Pod>().list(&everything).await.unwrap();
    let claims = stage
        .api::<PersistentVolumeClaim>()
        .list(&everything)
        .await
        .unwrap();
    let pods = pods.iter().map(|pod| (pod.name_any(), pod.uid().unwrap()));
    let claims = claims
        .iter()
        .map(|claim| (claim.name_any(), claim.uid().unwrap()));
    pods.chain(claims).collect()
}

/// A new operator looks at the world as it was recorded.
async fn act_on(stage: &mut Stage, recording: Recording) {
    stage.proxy.serve_old(recording);
    let operator = stage.operator();
    // An error is what it should get.
    let _ = stage.round(&operator).await;
    stage.kubernetes.step().await;
    stage.proxy.serve_fresh();
}

/// Creation with one member, growth to three, and a change of what pods need: what every round read.
async fn history(stage: &mut Stage) -> Vec<Recording> {
    let mut recordings = Vec::new();
    let mut record = |stage: &Stage| recordings.push(stage.proxy.recording());
    stage.settle_and(&mut record).await;
    stage.change(json!({ "members": 3 })).await;
    stage.settle_and(&mut record).await;
    stage
        .change(json!({ "resources": { "requests": { "memory": "512Mi" } } }))
        .await;
    stage.settle_and(&mut record).await;
    recordings
}

#[tokio::test]
async fn an_operator_that_reads_what_was_true_before_deletes_nothing_and_changes_no_member() {
    let mut stage = Stage::new(&Place::new().await, json!({ "members": 1 })).await;
    let recordings = history(&mut stage).await;
    let (before, kept) = (stage.left().await, uids(&stage).await);
    let count = recordings.len();
    for (position, recording) in recordings.into_iter().enumerate() {
        // All is old, or all but the manifest: every kind of object has a cache of its own.
        for old in [recording.clone(), recording.without("/geodeclusters/")] {
            act_on(&mut stage, old).await;
            assert_eq!(uids(&stage).await, kept, "recording {position} of {count}");
            assert_eq!(
                stage.fleet.voters(),
                before.voters,
                "recording {position} of {count}"
            );
            assert_eq!(stage.fleet.begun(), 1, "recording {position} of {count}");
        }
    }
    stage.settle().await;
    let differences = stage.left().await.differences(&before);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test]
async fn a_cluster_whose_volume_is_lost_is_not_begun_again_by_an_operator_that_reads_of_its_creation() {
    let mut stage = Stage::new(&Place::new().await, json!({ "members": 1 })).await;
    let mut recordings = Vec::new();
    stage
        .settle_and(|stage| recordings.push(stage.proxy.recording()))
        .await;
    stage.kubernetes.delete::<Pod>("a-0").await;
    for volume in ["data-a-0", "wal-a-0"] {
        stage.kubernetes.delete::<PersistentVolumeClaim>(volume).await;
    }
    for _ in 0..3 {
        stage.kubernetes.step().await;
    }
    let pods = ["/pods", "/persistentvolumeclaims"];
    for recording in recordings {
        // The pod is seen as it is now, so that its member is asked.
        let old = pods.into_iter().fold(recording, Recording::without);
        act_on(&mut stage, old).await;
        assert_eq!(stage.fleet.begun(), 1);
    }
}
