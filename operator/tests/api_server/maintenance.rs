//! Maintenance on a real API server: what the CRD refuses, and an operator that ends at any call while a cluster is put to sleep and woken.

use crate::fuse::Fault;
use crate::stage::{Place, Stage};
use geode_api::GeodeCluster;
use geode_operator::reconcile::Outcome;
use geode_planner::Progress;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// More rounds than any way to rest takes.
const ROUNDS_MAX: usize = 60;

async fn maintain(stage: &Stage, maintenance: Value) -> Result<(), String> {
    let patch = Patch::Merge(json!({ "spec": { "maintenance": maintenance } }));
    let api: Api<GeodeCluster> = stage.api();
    let changed = api.patch("a", &PatchParams::default(), &patch).await;
    changed.map(drop).map_err(|error| error.to_string())
}

/// Uids of the claims that there are, by name.
async fn volumes(stage: &Stage) -> BTreeMap<String, String> {
    let claims = stage.api::<PersistentVolumeClaim>();
    let list = claims.list(&ListParams::default()).await.unwrap().into_iter();
    list.map(|claim| (claim.name_any(), claim.uid().unwrap()))
        .collect()
}

async fn pods(stage: &Stage) -> usize {
    stage
        .api::<Pod>()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .len()
}

async fn condition(stage: &Stage, kind: &str) -> Option<(String, String)> {
    let cluster = stage.api::<GeodeCluster>().get("a").await.unwrap();
    let conditions = cluster.status.unwrap_or_default().conditions.into_iter();
    let mut named = conditions.filter(|condition| condition.type_ == kind);
    named.next().map(|condition| (condition.status, condition.reason))
}

/// Rounds until nothing is left to do before a person acts; an operator that ends has a successor. Returns the calls of a run without a fault.
async fn rest(stage: &mut Stage, fault: Option<(usize, Fault)>) -> usize {
    stage.fail(fault);
    let mut operator = stage.operator();
    for _ in 0..ROUNDS_MAX {
        match stage.round(&operator).await {
            None => {
                stage.fuse.succeed();
                operator = stage.operator();
            }
            Some(Ok(Outcome::Round(round)))
                if round.plan.actions.is_empty() && matches!(round.plan.progress, Progress::Resting(..)) =>
            {
                let calls = stage.fuse.calls().len();
                stage.fail(None);
                stage.kubernetes.collect_garbage().await;
                return calls;
            }
            Some(_) => {}
        }
        stage.kubernetes.step().await;
    }
    panic!("it does not come to rest");
}

#[tokio::test]
async fn maintenance_that_would_stop_the_database_needs_the_clusters_name() {
    let stage = Stage::new(&Place::new().await, json!({ "members": 3 })).await;
    for (maintenance, said) in [
        (json!({"hibernate": true}), "to say that this is meant"),
        (
            json!({"hibernate": true, "allowQuorumLoss": "b"}),
            "must be the name of this cluster",
        ),
        (
            json!({"fenced": ["a-0", "a-1"]}),
            "leaves no majority of the voters",
        ),
        (json!({"fenced": ["a-0", "a-0"]}), "Duplicate value"),
        (json!({"paused": {"reason": "no end"}}), "until: Required value"),
        (json!({"paused": {"until": "tomorrow"}}), "date-time"),
    ] {
        let refused = maintain(&stage, maintenance.clone()).await.unwrap_err();
        assert!(refused.contains(said), "{maintenance}: {refused}");
    }
    for fine in [
        json!({"fenced": ["a-0", "a-observer-0", "a-observer-1"]}),
        json!({"fenced": ["a-0", "a-1"], "allowQuorumLoss": "a"}),
        json!({"hibernate": true, "allowQuorumLoss": "a", "fenced": null}),
    ] {
        maintain(&stage, fine.clone())
            .await
            .unwrap_or_else(|error| panic!("{fine}: {error}"));
    }
}

#[tokio::test]
async fn a_cluster_sleeps_and_wakes_with_all_volumes_whatever_call_the_operator_dies_after() {
    let spec = json!({ "members": 3, "observers": {"replicas": 1}, "deletionPolicy": "Delete" });
    let mut stage = Stage::settled(&Place::new().await, spec).await;
    let (before, voters) = (volumes(&stage).await, stage.fleet.voters());
    assert_eq!(before.len(), 8);
    let sleep = json!({"hibernate": true, "allowQuorumLoss": "a"});
    maintain(&stage, sleep.clone()).await.unwrap();
    let falling = rest(&mut stage, None).await;
    maintain(&stage, Value::Null).await.unwrap();
    stage.settle().await;
    let waking = stage.fuse.calls().len();
    stage.fail(None);
    assert!(falling > 3 && waking > 3, "{falling} {waking}");
    for at in 1..=falling.max(waking) {
        maintain(&stage, sleep.clone()).await.unwrap();
        rest(&mut stage, Some((at, Fault::EndsAndAnswerLost))).await;
        assert_eq!(pods(&stage).await, 0, "at {at}");
        assert_eq!(volumes(&stage).await, before, "asleep, at {at}");
        assert_eq!(condition(&stage, "Ready").await.unwrap().1, "Hibernated");
        maintain(&stage, Value::Null).await.unwrap();
        stage.fail(Some((at, Fault::EndsAndAnswerLost)));
        stage.settle().await;
        stage.fail(None);
        stage.kubernetes.collect_garbage().await;
        assert_eq!(volumes(&stage).await, before, "awake, at {at}");
        assert_eq!(
            (stage.fleet.voters(), stage.fleet.begun()),
            (voters.clone(), 1),
            "at {at}"
        );
    }
    let set = stage.api::<StatefulSet>().get("a").await.unwrap();
    assert_eq!(
        json!(set)["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"],
        "Delete"
    );
}

#[tokio::test]
async fn a_fenced_member_keeps_its_pod_and_its_volumes_and_votes_again_when_the_fence_is_lifted() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 3 })).await;
    let (made, before) = (stage.kubernetes.made.clone(), volumes(&stage).await);
    maintain(&stage, json!({"fenced": ["a-0"]})).await.unwrap();
    rest(&mut stage, None).await;
    assert_eq!(
        condition(&stage, "Maintenance").await,
        Some(("True".into(), "Fenced".into()))
    );
    assert_eq!(condition(&stage, "QuorumHealthy").await.unwrap().0, "True");
    let cluster = stage.api::<GeodeCluster>().get("a").await.unwrap();
    let members = cluster.status.unwrap().members;
    assert_eq!(
        members.iter().find(|member| member.pod == "a-0").unwrap().state,
        "Fenced"
    );
    maintain(&stage, Value::Null).await.unwrap();
    stage.settle().await;
    assert_eq!((&stage.kubernetes.made, volumes(&stage).await), (&made, before));
    assert_eq!(
        condition(&stage, "Maintenance").await,
        Some(("False".into(), "Idle".into()))
    );
}

#[tokio::test]
async fn a_paused_operator_writes_nothing_but_the_status_until_the_pause_ends_by_itself() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 1 })).await;
    let until = Timestamp::now() + SignedDuration::from_secs(10);
    maintain(&stage, json!({"paused": {"until": until.to_string()}}))
        .await
        .unwrap();
    stage.change(json!({"members": 3})).await;
    let operator = stage.operator();
    let Some(Ok(Outcome::Round(round))) = stage.round(&operator).await else {
        panic!("a paused operator still looks and reports");
    };
    assert!(round.plan.actions.is_empty() && !round.plan.held.is_empty());
    assert!(
        round.next <= std::time::Duration::from_secs(11),
        "{:?}",
        round.next
    );
    assert_eq!(
        condition(&stage, "Ready").await,
        Some(("False".into(), "Paused".into()))
    );
    assert_eq!(
        stage.api::<StatefulSet>().get("a").await.unwrap().spec.replicas,
        Some(1)
    );
    let left = until.duration_since(Timestamp::now()).as_millis().max(0) as u64;
    tokio::time::sleep(std::time::Duration::from_millis(left + 50)).await;
    stage.settle().await;
    assert_eq!(stage.fleet.voters().len(), 3);
}

#[tokio::test]
async fn leadership_leaves_a_cordoned_node_with_the_rights_of_the_chart() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 3 })).await;
    let old = stage.leader().await;
    let node = format!("node-{}", stage.key.namespace);
    let nodes: Api<Node> = Api::all(stage.admin());
    let manifest = json!({"metadata": {"name": node}, "spec": {"unschedulable": true}});
    let manifest = serde_json::from_value(manifest).unwrap();
    nodes.create(&PostParams::default(), &manifest).await.unwrap();
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": old}, "target": {"kind": "Node", "name": node}});
    stage
        .api::<Pod>()
        .create_subresource::<Value, Value>("binding", &old, &PostParams::default(), &binding)
        .await
        .unwrap();
    stage.settle().await;
    assert_ne!(stage.leader().await, old);
    assert_eq!(stage.kubernetes.made["a-0"], 1, "nothing restarts for it");
}

#[tokio::test]
async fn volumes_of_another_class_come_with_new_members_and_no_majority_is_away() {
    let spec = |class: &str| json!({ "members": 3, "deletionPolicy": "Delete", "storage": {"storageClassName": class, "replaceMembers": true} });
    let mut stage = Stage::settled(&Place::new().await, spec("slow")).await;
    let before = volumes(&stage).await;
    stage.change(spec("fast")).await;
    stage.settle().await;
    stage.kubernetes.collect_garbage().await;
    let claims = stage
        .api::<PersistentVolumeClaim>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(claims.items.len(), 6);
    for claim in &claims {
        let class = claim.spec.as_ref().unwrap().storage_class_name.as_deref();
        assert_eq!(class, Some("fast"), "{}", claim.name_any());
        assert_ne!(before.get(&claim.name_any()), claim.uid().as_ref());
    }
    assert_eq!(stage.fleet.voters(), ["a-0", "a-1", "a-2"]);
    assert_eq!(stage.fleet.begun(), 1);
    assert_eq!(stage.kubernetes.made["a-0"], 2, "each pod was made anew once");
}
