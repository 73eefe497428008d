//! A manifest or a namespace is deleted while something is under way: nothing waits for the operator, it makes nothing that outlives its
//! owner, and data stays unless the policy says otherwise.

use crate::fuse::Fault;
use crate::stage::{Place, Stage};
use geode_api::{GeodeBackup, GeodeCluster};
use geode_operator::reconcile::Outcome;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

/// A cluster with a backup that is being taken.
async fn with_a_backup(policy: &str) -> Stage {
    let spec = json!({ "members": 1, "deletionPolicy": policy, "archive": {"s3": {"bucket": "b"}} });
    let mut stage = Stage::settled(&Place::new().await, spec).await;
    stage.fleet.let_backups_hang();
    let backup = serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup", "metadata": {"name": "b"}, "spec": {"cluster": "a"},
    }));
    stage
        .api::<GeodeBackup>()
        .create(&PostParams::default(), &backup.unwrap())
        .await
        .unwrap();
    let operator = stage.operator();
    for _ in 0..3 {
        stage.round(&operator).await.unwrap().unwrap();
        stage.kubernetes.step().await;
    }
    assert_eq!(stage.fleet.filed().len(), 1, "the backup is under way");
    stage
}

/// What is left of a cluster, by kind and name, without the backup.
async fn left(stage: &Stage) -> Vec<String> {
    let names = stage.left().await.objects.into_keys();
    names.filter(|name| !name.starts_with("GeodeBackup")).collect()
}

#[tokio::test]
async fn a_cluster_that_is_deleted_during_a_backup_is_gone_at_once_and_its_data_stays_unless_told() {
    for (policy, kept) in [
        (
            "Retain",
            vec![
                "PersistentVolumeClaim data-a-0",
                "PersistentVolumeClaim wal-a-0",
                "Secret a-admin",
            ],
        ),
        ("Delete", Vec::new()),
    ] {
        let stage = with_a_backup(policy).await;
        let clusters = stage.api::<GeodeCluster>();
        clusters.delete("a", &DeleteParams::default()).await.unwrap();
        assert!(
            clusters.get_opt("a").await.unwrap().is_none(),
            "something holds it back"
        );
        stage.kubernetes.collect_garbage().await;
        let operator = stage.operator();
        for _ in 0..2 {
            assert!(matches!(stage.round(&operator).await, Some(Ok(Outcome::Gone))));
        }
        assert_eq!(left(&stage).await, kept, "{policy}");
        let backup = stage.api::<GeodeBackup>().get("b").await.unwrap();
        let said = backup.status.unwrap().message.unwrap();
        assert!(said.contains("no GeodeCluster a"), "{said}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_deleted_at_any_call_of_its_creation_leaves_nothing_behind() {
    let place = Place::new().await;
    for at in 1.. {
        let mut stage = Stage::new(&place, json!({ "members": 1, "deletionPolicy": "Delete" })).await;
        stage.fail(Some((at, Fault::Ends)));
        let (operator, mut ended) = (stage.operator(), false);
        for _ in 0..8 {
            if stage.round(&operator).await.is_none() {
                ended = true;
                stage.fail(None);
                let clusters = stage.api::<GeodeCluster>();
                clusters.delete("a", &DeleteParams::default()).await.unwrap();
                let outcome = stage.round(&operator).await;
                assert!(matches!(outcome, Some(Ok(Outcome::Gone))), "deleted at call {at}");
            }
            stage.kubernetes.step().await;
            if ended {
                break;
            }
        }
        if !ended {
            assert!(at > 15, "created with {at} calls");
            break;
        }
        stage.kubernetes.collect_garbage().await;
        assert_eq!(left(&stage).await, Vec::<String>::new(), "deleted at call {at}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_deleted_during_a_backup_is_not_held_back_and_nothing_is_made_in_it() {
    let stage = with_a_backup("Retain").await;
    let namespaces: Api<Namespace> = Api::all(stage.admin());
    namespaces
        .delete(&stage.key.namespace, &DeleteParams::default())
        .await
        .unwrap();
    // Its controller deletes what is in it, in any order; here a part of it is gone.
    stage.kubernetes.delete::<ConfigMap>("a-config").await;
    let operator = stage.operator();
    for _ in 0..3 {
        let _ = stage.round(&operator).await;
    }
    assert!(
        stage
            .api::<ConfigMap>()
            .get_opt("a-config")
            .await
            .unwrap()
            .is_none()
    );
    let objects = stage.left().await.objects;
    let held: Vec<&String> = objects
        .iter()
        .filter(|(name, object)| {
            !name.starts_with("PersistentVolumeClaim") && !object["metadata"]["finalizers"].is_null()
        })
        .map(|(name, _)| name)
        .collect();
    assert!(held.is_empty(), "{held:?}");
    assert!(
        objects.contains_key("PersistentVolumeClaim data-a-0"),
        "the operator deletes no data"
    );
}
