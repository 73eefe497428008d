//! Restores in place on a real API server: an operator that ends at any call, an answer that is lost at any call, and what the CRD refuses.

use crate::fuse::Fault;
use crate::stage::{Place, Stage};
use geode_api::{GeodeCluster, GeodeRestore, GeodeRestoreStatus, LivesStatus, RestorePhase};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Volumes are deleted with the cluster: so the StatefulSet owns them, and they would go with it.
fn spec() -> Value {
    json!({ "members": 1, "deletionPolicy": "Delete", "archive": {"s3": {"bucket": "b"}} })
}

async fn ask(stage: &Stage, name: &str, spec: Value) -> Result<GeodeRestore, String> {
    let mut manifest = json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeRestore", "metadata": {"name": name}, "spec": {"cluster": "a"},
    });
    for (field, value) in spec.as_object().unwrap() {
        manifest["spec"][field] = value.clone();
    }
    let restore = serde_json::from_value(manifest).unwrap();
    let api: Api<GeodeRestore> = stage.api();
    let made = api.create(&PostParams::default(), &restore).await;
    made.map_err(|error| error.to_string())
}

async fn change(stage: &Stage, name: &str, spec: Value) -> Result<(), String> {
    let api: Api<GeodeRestore> = stage.api();
    let patch = Patch::Merge(json!({ "spec": spec }));
    let changed = api.patch(name, &PatchParams::default(), &patch).await;
    changed.map(drop).map_err(|error| error.to_string())
}

async fn status(stage: &Stage, name: &str) -> GeodeRestoreStatus {
    let restore = stage.api::<GeodeRestore>().get(name).await.unwrap();
    restore.status.unwrap_or_default()
}

async fn lives(stage: &Stage) -> LivesStatus {
    let cluster = stage.api::<GeodeCluster>().get("a").await.unwrap();
    cluster.status.unwrap().lives.unwrap_or_default()
}

/// Uids of the claims that there are, by name.
async fn volumes(stage: &Stage) -> BTreeMap<String, String> {
    let claims = stage.api::<PersistentVolumeClaim>();
    let list = claims.list(&ListParams::default()).await.unwrap().into_iter();
    list.map(|claim| (claim.name_any(), claim.uid().unwrap()))
        .collect()
}

/// Settles with a fault, and lets go what has lost its owner. Returns the calls of a run without a fault.
async fn settle(stage: &mut Stage, fault: Option<(usize, Fault)>) -> usize {
    stage.fail(fault);
    stage.settle().await;
    let calls = stage.fuse.calls().len();
    stage.fail(None);
    stage.kubernetes.collect_garbage().await;
    calls
}

#[tokio::test]
async fn a_restore_is_carried_out_once_whatever_call_the_operator_dies_after() {
    let mut stage = Stage::settled(&Place::new().await, spec()).await;
    ask(&stage, "r0", json!({})).await.unwrap();
    let calls = settle(&mut stage, None).await;
    assert!(calls > 10, "{:?}", stage.fuse.calls());
    for at in 1..=calls {
        let (name, before) = (format!("r{at}"), volumes(&stage).await);
        ask(&stage, &name, json!({})).await.unwrap();
        settle(&mut stage, Some((at, Fault::EndsAndAnswerLost))).await;
        let (number, lives) = (at as u32 + 1, lives(&stage).await);
        assert_eq!(
            (lives.in_use, lives.last, lives.exchange),
            (number, number, None),
            "at {at}"
        );
        let status = status(&stage, &name).await;
        assert_eq!(status.phase, RestorePhase::Completed, "at {at}: {status:?}");
        assert!(
            status.seconds.is_some() && status.plan.is_some(),
            "at {at}: {status:?}"
        );
        let after = volumes(&stage).await;
        assert!(
            before.iter().all(|(name, uid)| after.get(name) == Some(uid)),
            "at {at}"
        );
        assert_eq!(after.len(), before.len() + 2, "at {at}");
        assert_eq!(
            (stage.fleet.begun(), stage.fleet.restored()),
            (1, number),
            "at {at}"
        );
    }
}

#[tokio::test]
async fn an_undo_is_carried_out_whatever_call_the_operator_dies_after_and_release_deletes_the_other_volumes()
{
    let mut stage = Stage::settled(&Place::new().await, spec()).await;
    let first = volumes(&stage).await;
    ask(&stage, "r", json!({})).await.unwrap();
    settle(&mut stage, None).await;
    let both = volumes(&stage).await;
    let mut calls = [0, 0];
    for (turn, undo) in [true, false].into_iter().enumerate() {
        change(&stage, "r", json!({ "undo": undo })).await.unwrap();
        calls[turn] = settle(&mut stage, None).await;
    }
    // There and back is the same way.
    for at in 1..=calls[0].max(calls[1]) {
        let undo = at % 2 == 1;
        change(&stage, "r", json!({ "undo": undo })).await.unwrap();
        settle(&mut stage, Some((at, Fault::EndsAndAnswerLost))).await;
        let (status, lives) = (status(&stage, "r").await, lives(&stage).await);
        let phase = if undo {
            RestorePhase::Undone
        } else {
            RestorePhase::Completed
        };
        assert_eq!(
            (status.phase, lives.in_use, lives.exchange),
            (phase, u32::from(!undo), None),
            "at {at}"
        );
        assert_eq!(volumes(&stage).await, both, "at {at}");
    }
    assert_eq!((stage.fleet.begun(), stage.fleet.restored()), (1, 1));
    change(&stage, "r", json!({ "undo": true })).await.unwrap();
    settle(&mut stage, None).await;
    change(&stage, "r", json!({ "release": true })).await.unwrap();
    settle(&mut stage, None).await;
    stage.kubernetes.step().await;
    assert_eq!(volumes(&stage).await, first);
}

#[tokio::test]
async fn restores_that_cannot_work_are_refused_with_a_sentence() {
    let stage = Stage::new(&Place::new().await, json!({})).await;
    for (spec, sentence) in [
        (
            json!({"target": {"time": "2026-01-28T14:30:00Z", "lsn": "0/5"}}),
            "give one of target.time",
        ),
        (json!({"target": {"time": "noon"}}), "target.time"),
        (json!({"target": {"lsn": "5"}}), "target.lsn"),
        (json!({"source": "b/x"}), "source"),
    ] {
        let refused = ask(&stage, "x", spec.clone()).await.expect_err(&spec.to_string());
        assert!(refused.contains(sentence), "{spec}: {refused}");
    }
    let refused = ask(&stage, &"r".repeat(64), json!({})).await.unwrap_err();
    assert!(refused.contains("at most 63 characters"), "{refused}");
    ask(&stage, "r", json!({"preview": true})).await.unwrap();
    for (spec, sentence) in [
        (json!({"target": {"lsn": "0/5"}}), "is carried out once"),
        (json!({"source": "s3://b/x"}), "is carried out once"),
        (json!({"cluster": "b"}), "is carried out once"),
        (
            json!({"undo": true, "release": true}),
            "together with spec.release",
        ),
    ] {
        let refused = change(&stage, "r", spec.clone())
            .await
            .expect_err(&spec.to_string());
        assert!(refused.contains(sentence), "{spec}: {refused}");
    }
    change(&stage, "r", json!({"preview": false})).await.unwrap();
    let refused = change(&stage, "r", json!({"preview": true})).await.unwrap_err();
    assert!(refused.contains("does not become a preview"), "{refused}");
    change(&stage, "r", json!({"release": true})).await.unwrap();
    for spec in [json!({"release": false}), json!({"undo": true})] {
        change(&stage, "r", spec).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_restore_of_what_is_refused_touches_nothing_and_says_why() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 1 })).await;
    let before = volumes(&stage).await;
    ask(&stage, "r", json!({})).await.unwrap();
    settle(&mut stage, None).await;
    let status = status(&stage, "r").await;
    assert_eq!(status.phase, RestorePhase::Failed);
    let stalled = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled")
        .unwrap();
    assert_eq!(
        (stalled.status.as_str(), stalled.reason.as_str()),
        ("True", "RestoreRefused")
    );
    assert!(
        stalled
            .message
            .contains("nothing was touched: the cluster has no spec.archive"),
        "{}",
        stalled.message
    );
    assert_eq!(volumes(&stage).await, before);
}
