//! A GeodeRestore that makes a cluster: which one, when, and what it says until that one is ready.

use crate::model::{Model, UID};
use crate::restores::until;
use geode_api::{ANNOTATION_MADE_BY, GeodeCluster, GeodeRestoreStatus, RestorePhase};
use geode_planner::{
    Defaults, NewCluster, Remains, RestoreView, held_new_cluster, new_cluster, plan_new_cluster,
};
use serde_json::{Value, json};

const MAKER: &str = "6f2c1d9e-0000-4000-9000-00000000000a";

fn wanted() -> Value {
    json!({
        "cluster": "g", "source": "s3://b/old", "newCluster": {"members": 3, "archive": {"s3": {"bucket": "b"}}},
    })
}

/// With these fields changed; null takes one away.
fn asked(changes: Value) -> RestoreView {
    let mut spec = wanted();
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    RestoreView {
        name: "r".into(),
        uid: MAKER.into(),
        generation: 1,
        spec: serde_json::from_value(spec).unwrap(),
        status: GeodeRestoreStatus::default(),
    }
}

fn next(restore: &RestoreView, remains: &Remains) -> NewCluster {
    let defaults = Defaults {
        server_image: "geode:0.1.0".into(),
        sidecar_image: "geode-sidecar:0.1.0".into(),
        release: "0.1.0".into(),
    };
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    plan_new_cluster(restore, "db", remains, &defaults, now)
}

fn stalled(status: &GeodeRestoreStatus) -> String {
    let mut conditions = status.conditions.iter();
    let stalled = conditions.find(|condition| condition.type_ == "Stalled").unwrap();
    format!("{} {}: {}", stalled.status, stalled.reason, stalled.message)
}

/// The cluster as it was just made, and its GeodeRestore.
fn made() -> Model {
    let restore = asked(json!({}));
    let cluster = new_cluster(&restore, "db").unwrap();
    let mut model = Model::new(json!(cluster.spec));
    model.cluster.metadata.annotations = cluster.metadata.annotations;
    model.restores.push(restore);
    model
}

#[test]
fn the_cluster_is_what_was_asked_for_begins_with_the_restore_and_belongs_to_no_object() {
    for (target, begins_with) in [
        (json!(null), json!({})),
        (json!({"lsn": "0/5"}), json!({"targetLsn": "0/5"})),
        (
            json!({"time": "2026-01-28T14:30:00Z"}),
            json!({"targetTime": "2026-01-28T14:30:00Z"}),
        ),
        (
            json!({"checkpoint": "before"}),
            json!({"targetCheckpoint": "before"}),
        ),
    ] {
        let restore = asked(json!({"target": target, "graphs": ["social"]}));
        let NewCluster::Make(cluster) = next(&restore, &Remains::default()) else {
            panic!("{target} is not made")
        };
        assert_eq!(*cluster, new_cluster(&restore, "db").unwrap());
        let metadata = json!({"name": "g", "namespace": "db", "annotations": {ANNOTATION_MADE_BY: MAKER}});
        assert_eq!(json!(cluster.metadata), metadata);
        let mut first_data = json!({"source": "s3://b/old", "ifExists": false, "graphs": ["social"]});
        for (field, value) in begins_with.as_object().unwrap() {
            first_data[field] = value.clone();
        }
        assert_eq!(json!(cluster.spec.bootstrap), json!({ "restore": first_data }));
        let mut spec = cluster.spec.clone();
        spec.bootstrap = None;
        assert_eq!(Some(Box::new(spec)), restore.spec.new_cluster);
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_sentence_before_anything_is_made() {
    let archive = json!({"s3": {"bucket": "b"}});
    for (changes, said) in [
        (json!({"source": null}), "spec.source is missing"),
        (json!({"newCluster": {}}), "spec.newCluster.archive is missing"),
        (
            json!({"newCluster": {"archive": archive, "bootstrap": {"restore": {"source": "s3://b/x"}}}}),
            "spec.newCluster.bootstrap follows from",
        ),
        (json!({"preview": true}), "are of a restore in place"),
        (json!({"undo": true}), "are of a restore in place"),
        (json!({"release": true}), "are of a restore in place"),
        (json!({"target": {"time": "yesterday"}}), "the target time"),
        (
            json!({"newCluster": {"archive": archive, "config": {"sever": {}}}}),
            "did you mean server",
        ),
        (
            json!({"newCluster": {"archive": archive, "members": 2}}),
            "it must be 1, 3, 5 or 7",
        ),
    ] {
        let NewCluster::Over(Some(status)) = next(&asked(changes.clone()), &Remains::default()) else {
            panic!("{changes} is not refused")
        };
        assert_eq!(status.phase, RestorePhase::Failed, "{changes}");
        let stalled = stalled(&status);
        assert!(
            stalled.starts_with("True RestoreRefused: nothing was made: ") && stalled.contains(said),
            "{changes}: {stalled}"
        );
    }
}

#[test]
fn nothing_is_made_before_an_earlier_cluster_of_that_name_is_gone_with_its_volumes() {
    let mut restore = asked(json!({}));
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    for (going, staying, condition) in [
        (
            names(&["g-0"]),
            names(&["data-g-0"]),
            "False RestoreWaiting: waiting until g-0 of an earlier",
        ),
        (
            Vec::new(),
            names(&["data-g-0"]),
            "True RestoreRefused: nothing was made: a new GeodeCluster g would take over the volumes data-g-0",
        ),
    ] {
        let remains = Remains { going, staying };
        let NewCluster::Waits(Some(status)) = next(&restore, &remains) else {
            panic!("it does not wait for {remains:?}")
        };
        assert_eq!(status.phase, RestorePhase::Pending);
        let stalled = stalled(&status);
        assert!(stalled.starts_with(condition), "{stalled}");
        restore.status = *status;
        assert!(
            matches!(next(&restore, &remains), NewCluster::Waits(None)),
            "it is told once"
        );
    }
    assert!(matches!(next(&restore, &Remains::default()), NewCluster::Make(_)));
}

#[test]
fn a_cluster_that_was_made_and_deleted_is_not_made_again() {
    let mut restore = asked(json!({}));
    for phase in [RestorePhase::Completed, RestorePhase::Failed] {
        restore.status.phase = phase;
        assert!(matches!(
            next(&restore, &Remains::default()),
            NewCluster::Over(None)
        ));
    }
    restore.status.phase = RestorePhase::Running;
    let NewCluster::Over(Some(status)) = next(&restore, &Remains::default()) else {
        panic!("it is made again")
    };
    let stalled = stalled(&status);
    assert!(
        stalled.starts_with("True RestoreFailed: the GeodeCluster g was deleted"),
        "{stalled}"
    );
}

#[test]
fn the_restore_runs_until_the_cluster_that_it_made_is_ready_and_others_wait_for_it() {
    let mut model = made();
    model.ask_for_restore("next", None);
    until(&mut model, "it runs", |model| {
        model.restores[0].status.phase == RestorePhase::Running
    });
    assert_eq!(
        model.restores[1].status.message.as_deref(),
        Some("waiting for the GeodeRestore r")
    );
    until(&mut model, "it is complete", |model| {
        model.restores[0].status.phase == RestorePhase::Completed
    });
    let (status, cluster) = (model.restores[0].status.clone(), model.status().clone());
    assert_eq!(status.cluster_id.as_deref(), Some(UID));
    assert_eq!(cluster.cluster_id.as_deref(), Some(UID));
    assert!(
        status.lsn.is_some() && status.completed_at.is_some(),
        "{status:?}"
    );
    assert_eq!((model.life, model.everybody().len()), (0, 3));
    model.converge(200);
    assert_eq!(
        (model.life, model.restores[1].status.phase),
        (1, RestorePhase::Completed)
    );
    assert_eq!(model.restores[0].status, status, "what is done stays done");
}

#[test]
fn a_cluster_that_is_there_already_is_left_alone() {
    let mut model = Model::settled(json!({"members": 3, "archive": {"s3": {"bucket": "b"}}}));
    let (before, id) = (model.everybody(), model.status().cluster_id.clone());
    model.restores.push(asked(json!({})));
    model.converge(100);
    let status = &model.restores[0].status;
    assert_eq!(status.phase, RestorePhase::Failed);
    let said = stalled(status);
    assert!(
        said.starts_with("True RestoreRefused: nothing was made: the GeodeCluster g exists"),
        "{said}"
    );
    assert_eq!((model.everybody(), model.restarted.len()), (before, 0));
    assert_eq!(model.status().cluster_id.clone(), id);
}

#[test]
fn while_nothing_is_done_for_the_cluster_its_maker_says_why_and_any_other_is_refused() {
    let model = made();
    let told = |restore: &RestoreView, cluster: &GeodeCluster| {
        held_new_cluster(restore, cluster, "the operator is paused", model.now)
    };
    let mut restore = model.restores[0].clone();
    let status = told(&restore, &model.cluster).unwrap();
    assert_eq!(status.phase, RestorePhase::Pending);
    let said = stalled(&status);
    assert!(
        said.starts_with("False RestoreWaiting: the GeodeCluster g is made; the operator is paused"),
        "{said}"
    );
    restore.status = *status;
    assert!(told(&restore, &model.cluster).is_none(), "it is told once");

    let other = Model::new(json!({"members": 3})).cluster;
    restore.status = GeodeRestoreStatus::default();
    let status = told(&restore, &other).unwrap();
    assert_eq!(status.phase, RestorePhase::Failed);
    let said = stalled(&status);
    assert!(
        said.starts_with("True RestoreRefused: nothing was made: the GeodeCluster g exists"),
        "{said}"
    );
    restore.status = *status;
    assert!(told(&restore, &other).is_none(), "it has ended");
    restore.status.phase = RestorePhase::Completed;
    assert!(
        told(&restore, &model.cluster).is_none(),
        "what is done stays done"
    );
}

#[test]
fn volumes_that_were_taken_over_are_no_restore() {
    let mut model = Model::settled(json!({"members": 3, "archive": {"s3": {"bucket": "b"}}}));
    let restore = asked(json!({}));
    let cluster = new_cluster(&restore, "db").unwrap();
    model.recreate(json!(cluster.spec));
    model.cluster.metadata.annotations = cluster.metadata.annotations;
    model.restores.push(restore);
    model.converge(200);
    let said = stalled(&model.restores[0].status);
    assert!(
        said.starts_with("True RestoreFailed: nothing was restored: the GeodeCluster g took over volumes"),
        "{said}"
    );
}

#[test]
fn a_backup_that_cannot_be_fetched_is_told_and_when_that_is_mended_the_restore_completes() {
    let mut model = made();
    model.fetch_fails = true;
    until(&mut model, "it fails", |model| {
        model.restores[0].status.phase == RestorePhase::Failed
    });
    let said = stalled(&model.restores[0].status);
    assert!(
        said.starts_with("True RestoreFailed: a segment is missing; delete the GeodeCluster g"),
        "{said}"
    );
    // A sidecar that is started again has forgotten what it was asked.
    model.fetch_fails = false;
    model.tasks.clear();
    model.converge(100);
    assert_eq!(model.restores[0].status.phase, RestorePhase::Completed);
}
