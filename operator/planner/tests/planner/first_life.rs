//! A manifest that restores when an archive exists: nothing archived begins an empty database, anything else is restored, and what cannot be read is waited for.

use crate::model::{Model, UID};
use geode_api::{BootstrapMethod, Reason};
use geode_planner::{Action, Plan, Progress, plan};
use geode_types::GraphSelection;
use geode_wire::internal::{TaskKind, TaskResult, TaskState};
use serde_json::json;

const HISTORY: &str = "s3://b/old/6f2c1d9e-0000-4000-8000-00000000000f/00000002/";

fn next(model: &Model) -> Plan {
    plan(&model.want(), &model.observe(), model.now)
}

fn said(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(Action::to_string).collect()
}

fn spec() -> serde_json::Value {
    json!({
        "archive": {"s3": {"bucket": "b"}}, "bootstrap": {"restore": {"source": "s3://b/old", "ifExists": true, "graphs": ["social"]}},
    })
}

/// The pods are up and empty, and the sidecar of the first is asked.
fn asked() -> Model {
    let mut model = Model::new(spec());
    model.round();
    model.step();
    model.step();
    assert_eq!(
        said(&model.round()),
        [format!("file task history-{UID} with g-0")]
    );
    model
}

fn answer(model: &mut Model, state: TaskState) {
    model.tasks.get_mut("g-0").unwrap()[0].state = state;
}

fn found(location: &str) -> TaskState {
    TaskState::Done(TaskResult {
        location: location.to_owned(),
        ..TaskResult::default()
    })
}

#[test]
fn nothing_archived_begins_an_empty_database_and_that_is_recorded_first() {
    let mut model = asked();
    answer(&mut model, found(""));
    assert_eq!(
        said(&model.round()),
        [
            "record decisions in the status".to_owned(),
            format!("initialize cluster {UID} on g-0")
        ]
    );
    let bootstrap = model.cluster.status.clone().unwrap().bootstrap.unwrap();
    assert_eq!(
        (bootstrap.method, bootstrap.source),
        (BootstrapMethod::Initialize, None)
    );
    model.converge(50);
    // By now it archives itself. Whoever reads the same manifest again begins nothing.
    let tasks = model.tasks.len();
    model.tasks.clear();
    assert!(next(&model).actions.is_empty(), "{tasks}");
}

#[test]
fn what_is_archived_is_restored_and_from_the_history_that_was_found() {
    let mut model = asked();
    answer(&mut model, found(HISTORY));
    let actions = model.round().actions;
    let [Action::Record(memory), Action::FileTask { task, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let bootstrap = memory.bootstrap.as_ref().unwrap();
    assert_eq!(
        (bootstrap.method, bootstrap.source.as_deref()),
        (BootstrapMethod::Restore, Some(HISTORY))
    );
    let restore = task.clone();
    let social = GraphSelection::Only(vec!["social".to_owned()]);
    assert!(
        matches!(&restore.kind, TaskKind::Restore { source, graphs, .. } if source == HISTORY && *graphs == social)
    );
    // The member forgets everything; what was found is restored, whatever is there by now.
    model.tasks.clear();
    let again = next(&model).actions;
    assert!(
        matches!(&again[..], [Action::FileTask { task, .. }] if *task == restore),
        "{again:?}"
    );
}

#[test]
fn an_archive_that_cannot_be_read_is_waited_for_and_one_that_is_ambiguous_needs_a_person() {
    let mut model = asked();
    answer(
        &mut model,
        TaskState::Running("trying again after: cannot list s3://b/old: 403".into()),
    );
    let waits = next(&model);
    assert!(waits.actions.is_empty());
    let Progress::Waiting(reason, why) = &waits.progress else {
        panic!("{waits:?}")
    };
    assert_eq!(*reason, Reason::RestoreWaiting);
    assert!(why.contains("403"), "{why}");
    answer(&mut model, TaskState::Failed("two clusters".into()));
    assert_eq!(
        next(&model).progress,
        Progress::Stuck(Reason::RestoreFailed, "two clusters".into())
    );
    assert!(model.cluster.status.unwrap_or_default().bootstrap.is_none());
}

#[test]
fn a_database_that_existed_is_not_looked_for_in_the_archive() {
    let mut model = asked();
    answer(&mut model, found(""));
    model.converge(50);
    for pod in ["g-0", "g-1", "g-2"] {
        model.lose_volume(pod);
    }
    model.raft = None;
    model.step();
    model.step();
    let lost = next(&model);
    assert!(lost.actions.is_empty(), "{lost:?}");
    assert!(
        matches!(&lost.progress, Progress::Stuck(Reason::DataLost, _)),
        "{lost:?}"
    );
}
