//! Restores in place: what each step does, what is refused before anything is touched, and worlds in which anything happens meanwhile.

use crate::lives::BAD_SOURCE;
use crate::model::Model;
use geode_api::{GeodeRestoreStatus, RestorePhase, RestoreTargetSpec};
use geode_planner::{Action, Group, MemberSeen, Progress, check, plan};
use serde_json::{Value, json};

fn spec() -> Value {
    json!({"members": 3, "archive": {"s3": {"bucket": "b"}}})
}

fn status<'a>(model: &'a Model, name: &str) -> &'a GeodeRestoreStatus {
    let mut restores = model.restores.iter();
    &restores.find(|restore| restore.name == name).unwrap().status
}

fn phase(model: &Model, name: &str) -> RestorePhase {
    status(model, name).phase
}

fn stalled(model: &Model, name: &str) -> String {
    let mut conditions = status(model, name).conditions.iter();
    let stalled = conditions.find(|condition| condition.type_ == "Stalled").unwrap();
    assert_eq!(stalled.status, "True", "{stalled:?}");
    format!("{}: {}", stalled.reason, stalled.message)
}

/// Rounds until this holds.
pub(crate) fn until(model: &mut Model, what: &str, holds: impl Fn(&Model) -> bool) {
    for _ in 0..100 {
        if holds(model) {
            return;
        }
        model.round();
        model.step();
    }
    panic!("{what}: {:#?}", model.restores);
}

fn restored() -> Model {
    let mut model = Model::settled(spec());
    model.ask_for_restore("r", None);
    model.converge(100);
    model
}

#[test]
fn a_restore_takes_the_place_of_a_database_and_undo_brings_it_back() {
    let mut model = Model::settled(spec());
    let (before, id) = (model.everybody(), model.status().cluster_id.clone().unwrap());
    model.ask_for_restore("r", None);
    model.converge(100);
    assert_eq!((model.life, phase(&model, "r")), (1, RestorePhase::Completed));
    let restore = model.restores[0].clone();
    assert_eq!(model.status().cluster_id.as_ref(), Some(&restore.uid));
    let lives = model.status().lives.clone().unwrap();
    let order = lives.known.iter().find_map(|life| life.restore.as_ref()).unwrap();
    assert_eq!(order.source, format!("s3://b/db/g/{id}"));
    assert_eq!(restore.status.plan.as_ref().unwrap().lsn, "0/7");
    assert_eq!(restore.status.kept_volumes.len(), 6);
    assert!(restore.status.seconds.is_some_and(|seconds| seconds > 0));
    assert!(
        before
            .iter()
            .all(|(at, id)| model.everybody().get(at) == Some(id))
    );
    assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 3);

    let both = model.everybody();
    model.change_restore("r", |spec| spec.undo = true);
    model.converge(100);
    assert_eq!((model.life, phase(&model, "r")), (0, RestorePhase::Undone));
    assert_eq!(model.status().cluster_id.as_ref(), Some(&id));
    assert_eq!(model.everybody(), both);
    assert!(
        status(&model, "r")
            .kept_volumes
            .iter()
            .all(|name| name.starts_with("data1-") || name.starts_with("wal1-"))
    );

    model.change_restore("r", |spec| spec.undo = false);
    model.converge(100);
    assert_eq!((model.life, phase(&model, "r")), (1, RestorePhase::Completed));
    assert_eq!(model.everybody(), both);
}

#[test]
fn release_deletes_the_volumes_that_are_not_in_use_and_no_others() {
    for undone in [false, true] {
        let mut model = restored();
        model.change_restore("r", |spec| spec.undo = undone);
        model.converge(100);
        model.change_restore("r", |spec| spec.release = true);
        model.converge(100);
        let lives: Vec<u32> = model.everybody().keys().map(|(life, _)| *life).collect();
        assert_eq!(lives, [u32::from(!undone); 3]);
        assert!(status(&model, "r").kept_volumes.is_empty());
    }
}

#[test]
fn what_cannot_be_restored_is_refused_before_anything_is_touched() {
    let yesterday = RestoreTargetSpec {
        time: Some("yesterday".into()),
        ..RestoreTargetSpec::default()
    };
    for (source, target, archive, said) in [
        (Some(BAD_SOURCE), None, true, "nothing is archived there"),
        (None, Some(yesterday), true, "the target time"),
        (None, None, false, "spec.archive"),
    ] {
        let mut model = Model::settled(if archive { spec() } else { json!({"members": 3}) });
        let (pods, volumes) = (model.pods.keys().cloned().collect::<Vec<_>>(), model.everybody());
        model.ask_for_restore("r", source);
        model.change_restore("r", |spec| spec.target = target);
        model.converge(100);
        assert_eq!(phase(&model, "r"), RestorePhase::Failed);
        let stalled = stalled(&model, "r");
        assert!(
            stalled.starts_with("RestoreRefused: nothing was touched") && stalled.contains(said),
            "{stalled}"
        );
        assert_eq!((model.life, model.everybody()), (0, volumes));
        assert_eq!(model.pods.keys().cloned().collect::<Vec<_>>(), pods);
        assert!(model.status().lives.is_none() && model.restarted.is_empty());
    }
}

#[test]
fn a_preview_says_what_would_be_restored_and_becomes_a_restore_when_it_is_asked_to() {
    let mut model = Model::settled(spec());
    model.ask_for_restore("r", None);
    model.change_restore("r", |spec| spec.preview = true);
    model.converge(100);
    assert_eq!((model.life, phase(&model, "r")), (0, RestorePhase::Previewed));
    assert_eq!(
        status(&model, "r").plan.as_ref().unwrap().location,
        "s3://b/place"
    );
    model.change_restore("r", |spec| spec.preview = false);
    model.converge(100);
    assert_eq!((model.life, phase(&model, "r")), (1, RestorePhase::Completed));
}

#[test]
fn a_restore_that_fails_after_the_exchange_says_so_and_undo_brings_the_database_back() {
    let mut model = Model::settled(spec());
    let before = model.everybody();
    model.fetch_fails = true;
    model.ask_for_restore("r", None);
    model.ask_for_restore("next", None);
    until(&mut model, "it fails", |model| {
        phase(model, "r") == RestorePhase::Failed
    });
    let stalled = stalled(&model, "r");
    assert!(
        stalled.starts_with("RestoreFailed: a segment is missing"),
        "{stalled}"
    );
    assert!(
        before
            .iter()
            .all(|(at, id)| model.everybody().get(at) == Some(id))
    );
    model.restores.pop();
    model.change_restore("r", |spec| spec.undo = true);
    model.converge(100);
    assert_eq!((model.life, phase(&model, "r")), (0, RestorePhase::Undone));
    model.change_restore("r", |spec| spec.release = true);
    model.converge(100);
    assert_eq!(model.everybody(), before);
}

#[test]
fn restores_wait_for_each_other_and_only_the_one_in_effect_can_be_undone() {
    let mut model = Model::settled(spec());
    model.ask_for_restore("first", None);
    model.ask_for_restore("second", None);
    until(&mut model, "the first runs", |model| {
        phase(model, "first") == RestorePhase::Running
    });
    let waiting = status(&model, "second").message.clone().unwrap();
    assert_eq!(waiting, "waiting for the GeodeRestore first");
    model.converge(200);
    assert_eq!(model.life, 2);
    model.change_restore("first", |spec| spec.undo = true);
    model.converge(100);
    assert!(stalled(&model, "first").contains("set spec.undo of the GeodeRestore second first"));
    assert_eq!(model.life, 2);
    model.change_restore("second", |spec| spec.undo = true);
    model.converge(200);
    assert_eq!(model.life, 0, "first the second is undone, then the first");
    model.ask_for_restore("third", None);
    model.converge(100);
    assert_eq!(model.life, 3, "no number is given twice");
}

#[test]
fn nothing_is_stopped_while_what_serves_does_not_answer_and_everything_is_when_nothing_serves() {
    let mut model = Model::settled(spec());
    model.ask_for_restore("r", None);
    model.round();
    model.step();
    for pod in model.pods.values_mut() {
        pod.reachable = false;
    }
    for _ in 0..200 {
        model.round();
        model.step();
    }
    assert_eq!((model.life, model.replicas(Group::Voters)), (0, 3));
    for pod in model.pods.values_mut() {
        (pod.startable, pod.view.running) = (false, false);
    }
    until(&mut model, "a broken cluster is restored", |model| {
        model.life == 1
    });
    model.converge(100);
    assert_eq!(phase(&model, "r"), RestorePhase::Completed);
    assert!(status(&model, "r").plan.is_none(), "nobody could look");
}

#[test]
fn the_volumes_stay_when_both_objects_are_deleted_and_the_life_in_use_is_taken_over() {
    let mut model = restored();
    let (both, id) = (model.everybody(), model.status().cluster_id.clone());
    model.recreate(spec());
    model.restores.clear();
    model.converge(200);
    assert_eq!(
        (model.life, model.everybody(), model.status().cluster_id.clone()),
        (1, both, id)
    );
}

#[test]
fn an_operator_that_is_killed_after_any_step_is_followed_by_one_that_goes_on() {
    for undo in [false, true] {
        for at in 0..24 {
            for actions in 0..3 {
                let mut model = if undo { restored() } else { Model::settled(spec()) };
                let before = model.everybody();
                if undo {
                    model.change_restore("r", |spec| spec.undo = true);
                } else {
                    model.ask_for_restore("r", None);
                }
                for _ in 0..at {
                    model.round();
                    model.step();
                }
                model.interrupted_round(actions);
                model.step();
                model.converge(100);
                assert_eq!(model.life, u32::from(!undo));
                let lives = model.status().lives.clone().unwrap();
                assert_eq!((lives.last, lives.exchange), (1, None));
                assert!(
                    before
                        .iter()
                        .all(|(at, id)| model.everybody().get(at) == Some(id))
                );
            }
        }
    }
}

/// Plans of an exchange, each with an observation on which it must not be carried out.
#[test]
fn the_check_refuses_an_exchange_that_is_not_sound() {
    let mut model =
        Model::settled(json!({"members": 3, "archive": {"s3": {"bucket": "b"}}, "deletionPolicy": "Delete"}));
    model.ask_for_restore("r", None);
    let mut refused = Vec::new();
    for _ in 0..20 {
        let (want, seen) = (model.want(), model.observe());
        let plan = plan(&want, &seen, model.now);
        let mut spoiled = seen.clone();
        let exchanges = plan.actions.iter().find(|action| {
            matches!(action, Action::StopPods { .. } | Action::MarkVolumes { .. } | Action::DeleteSet { .. })
                || matches!(action, Action::Record(memory) if memory.lives != want.memory.lives && want.memory.lives.is_some())
        });
        match exchanges {
            Some(Action::StopPods { .. }) => {
                spoiled
                    .members
                    .insert("g-1".into(), MemberSeen::Unknown("silence".into()));
            }
            Some(Action::Record(_) | Action::MarkVolumes { .. } | Action::DeleteSet { .. }) => {
                spoiled
                    .pods
                    .insert("g-2".into(), Model::settled(spec()).observe().pods["g-2"].clone());
            }
            _ => {
                model.round();
                model.step();
                continue;
            }
        }
        let violations = check(&plan, &want, &spoiled, model.now).unwrap_err();
        refused.push(violations[0].rule);
        if let Some(Action::Record(_) | Action::DeleteSet { .. }) = exchanges {
            spoiled = seen.clone();
            for claim in spoiled.claims.values_mut() {
                claim.owned = true;
            }
            refused.push(check(&plan, &want, &spoiled, model.now).unwrap_err()[0].rule);
        }
        model.round();
        model.step();
    }
    assert_eq!(
        refused,
        [
            "nothing is stopped by an operator that does not reach what serves",
            "volumes are marked while nobody uses them",
            "a StatefulSet is deleted when its pods are gone",
            "a StatefulSet is deleted when no volume belongs to it",
            "two lives of a database never run at the same time",
            "volumes are marked before others take their place",
        ]
    );
    assert_eq!(model.life, 1);
}

#[test]
fn the_check_lets_no_volume_go_that_is_in_use_or_not_released() {
    let model = restored();
    let (want, seen) = (model.want(), model.observe());
    let mut plan = plan(&want, &seen, model.now);
    assert_eq!(plan.progress, Progress::Idle);
    for (claims, rule) in [
        (
            &seen.claims,
            "only volumes that are kept and not in use are deleted",
        ),
        (
            &seen.kept,
            "volumes that are kept are deleted when they are released",
        ),
    ] {
        let claims = claims
            .iter()
            .map(|(name, claim)| (name.clone(), claim.uid.clone()))
            .collect();
        plan.actions = vec![Action::ReleaseVolumes { claims }];
        let violations = check(&plan, &want, &seen, model.now).unwrap_err();
        assert_eq!(violations[0].rule, rule);
    }
}
