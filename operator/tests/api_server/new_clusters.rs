//! Restores into new clusters on a real API server, with the chart's rights: the cluster is made once whatever call the operator dies after, one that is
//! there is left alone, and it outlives its GeodeRestore.

use crate::fuse::Fault;
use crate::stage::{Place, Stage};
use geode_api::{
    ANNOTATION_MADE_BY, BootstrapMethod, GeodeCluster, GeodeRestore, GeodeRestoreStatus, RestorePhase,
};
use geode_operator::context::Key;
use geode_operator::reconcile::{Outcome, reconcile};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Calls in which a cluster is made and told of.
const FIRST_CALLS: usize = 6;

async fn ask(stage: &Stage, name: &str, changes: Value) -> Result<GeodeRestore, String> {
    let mut spec = json!({
        "cluster": "a", "source": "s3://b/old", "target": {"lsn": "0/5"},
        "newCluster": {"members": 1, "archive": {"s3": {"bucket": "b"}}},
    });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let restore = serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeRestore", "metadata": {"name": name}, "spec": spec,
    }));
    let api: Api<GeodeRestore> = stage.api();
    let made = api.create(&PostParams::default(), &restore.unwrap()).await;
    made.map_err(|error| error.to_string())
}

async fn status(stage: &Stage, name: &str) -> GeodeRestoreStatus {
    let restore = stage.api::<GeodeRestore>().get(name).await.unwrap();
    restore.status.unwrap_or_default()
}

async fn cluster(stage: &Stage) -> GeodeCluster {
    stage.api().get("a").await.unwrap()
}

fn stalled(status: &GeodeRestoreStatus) -> String {
    let mut conditions = status.conditions.iter();
    let stalled = conditions.find(|condition| condition.type_ == "Stalled").unwrap();
    format!("{} {}: {}", stalled.status, stalled.reason, stalled.message)
}

#[tokio::test]
async fn a_cluster_is_made_once_whatever_call_the_operator_dies_after_and_outlives_its_restore() {
    let place = Place::new().await;
    for at in 0..=FIRST_CALLS {
        let mut stage = Stage::empty(&place).await;
        let restore = ask(&stage, "r", json!({})).await.unwrap();
        stage.fail((at > 0).then_some((at, Fault::EndsAndAnswerLost)));
        stage.settle().await;
        stage.fail(None);
        let made = cluster(&stage).await;
        assert_eq!(made.annotations().get(ANNOTATION_MADE_BY), restore.uid().as_ref());
        assert!(
            made.owner_references().is_empty(),
            "it goes with its GeodeRestore"
        );
        let first_data = made.spec.bootstrap.as_ref().unwrap().restore.as_ref().unwrap();
        assert_eq!(
            (first_data.source.as_str(), first_data.target_lsn.as_deref()),
            ("s3://b/old", Some("0/5"))
        );
        let begun = made.status.as_ref().unwrap().bootstrap.as_ref().unwrap();
        assert_eq!(begun.method, BootstrapMethod::Restore);
        let told = status(&stage, "r").await;
        assert_eq!(told.phase, RestorePhase::Completed, "at {at}: {told:?}");
        assert_eq!(
            (told.cluster_id, told.lsn.is_some()),
            (made.uid(), true),
            "at {at}"
        );
        assert_eq!((stage.fleet.begun(), stage.fleet.restored()), (0, 1), "at {at}");

        let restores = stage.api::<GeodeRestore>();
        restores.delete("r", &DeleteParams::default()).await.unwrap();
        stage.kubernetes.collect_garbage().await;
        stage.settle().await;
        assert_eq!(cluster(&stage).await.uid(), made.uid(), "at {at}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_there_is_left_alone_and_one_that_was_deleted_is_made_when_its_volumes_are_gone() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 1 })).await;
    let before = cluster(&stage).await;
    ask(&stage, "late", json!({})).await.unwrap();
    stage.settle().await;
    let told = stalled(&status(&stage, "late").await);
    assert!(
        told.starts_with("True RestoreRefused: nothing was made: the GeodeCluster a exists"),
        "{told}"
    );
    let after = cluster(&stage).await;
    assert_eq!((after.uid(), after.spec), (before.uid(), before.spec));
    assert_eq!((stage.fleet.begun(), stage.fleet.restored()), (1, 0));

    let clusters = stage.api::<GeodeCluster>();
    clusters.delete("a", &DeleteParams::default()).await.unwrap();
    stage.kubernetes.collect_garbage().await;
    let operator = stage.operator();
    assert!(
        matches!(stage.round(&operator).await, Some(Ok(Outcome::Gone))),
        "a restore that was refused makes nothing later"
    );
    ask(&stage, "again", json!({})).await.unwrap();
    assert!(matches!(stage.round(&operator).await, Some(Ok(Outcome::Refused))));
    let told = status(&stage, "again").await;
    assert_eq!(told.phase, RestorePhase::Pending);
    assert!(stalled(&told).contains("data-a-0, wal-a-0"), "{told:?}");
    assert!(clusters.get_opt("a").await.unwrap().is_none());

    let claims = stage.api::<PersistentVolumeClaim>();
    for claim in claims.list(&ListParams::default()).await.unwrap() {
        let name = claim.name_any();
        claims.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    stage.kubernetes.step().await;
    stage.settle().await;
    assert_eq!(status(&stage, "again").await.phase, RestorePhase::Completed);
    assert_eq!((stage.fleet.begun(), stage.fleet.restored()), (1, 1));
}

#[tokio::test]
async fn new_clusters_that_cannot_be_are_refused_with_a_sentence() {
    let stage = Stage::empty(&Place::new().await).await;
    let archive = json!({"s3": {"bucket": "b"}});
    for (changes, sentence) in [
        (json!({"source": null}), "spec.newCluster needs spec.source"),
        (
            json!({"newCluster": {"members": 1}}),
            "spec.newCluster needs an archive",
        ),
        (
            json!({"newCluster": {"archive": archive, "bootstrap": {"restore": {"source": "s3://b/x"}}}}),
            "leave spec.newCluster.bootstrap out",
        ),
        (
            json!({"newCluster": {"archive": archive, "members": 2}}),
            "members must be 1, 3, 5 or 7",
        ),
        (json!({"preview": true}), "are of a restore in place"),
        (json!({"undo": true}), "are of a restore in place"),
        (json!({"release": true}), "are of a restore in place"),
    ] {
        let refused = ask(&stage, "x", changes.clone())
            .await
            .expect_err(&changes.to_string());
        assert!(refused.contains(sentence), "{changes}: {refused}");
    }

    ask(&stage, "r", json!({"cluster": "1a"})).await.unwrap();
    let restores = stage.api::<GeodeRestore>();
    for spec in [
        json!({"release": true}),
        json!({"newCluster": {"members": 3}}),
        json!({"newCluster": null}),
    ] {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let changed = restores.patch("r", &PatchParams::default(), &patch).await;
        changed.expect_err("it is carried out once");
    }
    // What only the API server knows of a GeodeCluster it says when that is made.
    let key = Key {
        namespace: stage.key.namespace.clone(),
        name: "1a".into(),
    };
    let outcome = reconcile(&stage.operator(), &key).await.unwrap();
    assert!(matches!(outcome, Outcome::Gone));
    let told = status(&stage, "r").await;
    assert_eq!(told.phase, RestorePhase::Failed);
    let told = stalled(&told);
    assert!(
        told.starts_with("True RestoreRefused: nothing was made: ") && told.contains("becomes a DNS name"),
        "{told}"
    );
}
