//! The operator ends, or an answer to it is lost, at every call by which it changes the world. Whoever goes on reaches the same end.
//!
//! That it ends before a call is that it ends after the one before.

use crate::fuse::Fault;
use crate::stage::{Left, Place, Stage};
use futures::StreamExt;
use serde_json::{Value, json};

/// Runs at the same time; there are few cores.
const RUNS_AT_A_TIME: usize = 3;

/// What happens to a cluster.
#[derive(Clone, Copy, Debug)]
enum Event {
    Members(u32),
    Observers(u32),
    /// What a server may use: touches the StatefulSet, and so every pod.
    Memory(&'static str),
    LostStorage(&'static str),
}

impl Event {
    async fn happen(self, stage: &Stage) {
        match self {
            Self::Members(count) => stage.change(json!({ "members": count })).await,
            Self::Observers(count) => stage.change(json!({ "observers": { "replicas": count } })).await,
            Self::Memory(size) => {
                let resources = json!({ "requests": { "memory": size } });
                stage.change(json!({ "resources": resources })).await;
            }
            Self::LostStorage(pod) => stage.kubernetes.lose_storage(pod).await,
        }
    }
}

/// The calls by which the operator changed the world, and what is left.
async fn settle(stage: &mut Stage, fault: Option<(usize, Fault)>) -> (Vec<String>, Left) {
    stage.fail(fault);
    stage.kubernetes.made.clear();
    stage.settle().await;
    (stage.fuse.calls(), stage.left().await)
}

/// Every run creates a cluster of its own.
async fn creation_survives(members: u32, fault: Fault) {
    let place = &Place::new().await;
    let create = |fault| async move {
        let mut stage = Stage::new(place, json!({ "members": members })).await;
        settle(&mut stage, fault).await
    };
    let (calls, plain) = create(None).await;
    let mut runs = futures::stream::iter(1..=calls.len())
        .map(|at| async move { (at, create(Some((at, fault))).await.1) })
        .buffer_unordered(RUNS_AT_A_TIME);
    let mut surprises = Vec::new();
    while let Some((at, left)) = runs.next().await {
        let differences = left.differences(&plain);
        if !differences.is_empty() {
            surprises.push(format!("at {at}, {}: {differences:#?}", calls[at - 1]));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// One cluster, to which all of this happens in turn, again and again: the last event leads back to the beginning.
async fn events_survive(spec: Value, circle: &[Event], fault: Fault) {
    let mut stage = Stage::settled(&Place::new().await, spec).await;
    let mut plain = Vec::new();
    for event in circle {
        event.happen(&stage).await;
        plain.push(settle(&mut stage, None).await);
    }
    let most = plain.iter().map(|(calls, _)| calls.len()).max().unwrap();
    let mut surprises = Vec::new();
    // Events of one kind take turns: their calls are the same.
    let alike = circle.iter().all(|event| matches!(event, Event::Memory(_)));
    let turns = if alike { circle.len() } else { 1 };
    for at in 1..=most {
        let now = circle.iter().zip(&plain).skip((at - 1) % turns).step_by(turns);
        for (event, (calls, plain)) in now {
            event.happen(&stage).await;
            let (_, left) = settle(&mut stage, Some((at, fault))).await;
            // The manifest was changed more often by now.
            let mut differences = left.differences(plain);
            differences.retain(|line| !line.contains("eneration"));
            if !differences.is_empty() {
                surprises.push(format!(
                    "{event:?} at {at}, {:?}: {differences:#?}",
                    calls.get(at - 1)
                ));
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[tokio::test]
async fn a_creation_is_finished_whatever_call_the_operator_dies_after() {
    creation_survives(3, Fault::Ends).await;
}

#[tokio::test]
async fn a_creation_is_finished_whatever_answer_is_lost() {
    creation_survives(1, Fault::AnswerLost).await;
}

#[tokio::test]
async fn growing_and_shrinking_are_finished_whatever_call_the_operator_dies_after() {
    let circle = [Event::Members(3), Event::Members(1)];
    events_survive(json!({ "members": 1 }), &circle, Fault::EndsAndAnswerLost).await;
}

#[tokio::test]
async fn observers_come_and_go_whatever_call_the_operator_dies_after() {
    let circle = [Event::Observers(2), Event::Observers(0)];
    events_survive(json!({ "members": 1 }), &circle, Fault::EndsAndAnswerLost).await;
}

#[tokio::test]
async fn a_changed_spec_is_rolled_out_whatever_call_the_operator_dies_after() {
    let spec = json!({
        "members": 3,
        "observers": { "replicas": 1 },
        "resources": { "requests": { "memory": "256Mi" } },
    });
    let circle = [Event::Memory("512Mi"), Event::Memory("256Mi")];
    events_survive(spec, &circle, Fault::EndsAndAnswerLost).await;
}

#[tokio::test]
async fn a_lost_volume_is_replaced_whatever_call_the_operator_dies_after() {
    let circle = [Event::LostStorage("a-1")];
    events_survive(json!({ "members": 3 }), &circle, Fault::EndsAndAnswerLost).await;
}
