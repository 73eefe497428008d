//! The operator ends, or a call of it is lost, at every call by which it changes the world. Whoever goes on reaches the same end.

use crate::fuse::Fault;
use crate::stage::{Left, Place, Stage};
use futures::StreamExt;
use serde_json::{Value, json};

/// Runs at the same time; there are few cores.
const RUNS_AT_A_TIME: usize = 3;

/// What happens to a cluster.
#[derive(Clone, Copy, Debug)]
enum Story {
    Creation,
    Growth,
    Shrinking,
    ChangedSpec,
    LostVolume,
}

impl Story {
    /// Up to the moment in which things begin to go wrong.
    async fn begin(self, place: &Place) -> Stage {
        let members = |count: u32| json!({ "members": count });
        match self {
            Self::Creation => Stage::new(place, members(3)).await,
            Self::Growth => {
                let stage = Stage::settled(place, members(1)).await;
                stage.change(members(3)).await;
                stage
            }
            Self::Shrinking => {
                let stage = Stage::settled(place, members(3)).await;
                stage.change(members(1)).await;
                stage
            }
            Self::ChangedSpec => {
                let stage = Stage::settled(place, members(3)).await;
                stage.change(changed()).await;
                stage
            }
            Self::LostVolume => {
                let stage = Stage::settled(place, members(3)).await;
                stage.kubernetes.lose_storage("a-1").await;
                stage
            }
        }
    }
}

/// Touches the ConfigMap, the StatefulSet and so every pod.
fn changed() -> Value {
    json!({ "members": 3, "resources": { "requests": { "memory": "512Mi" } } })
}

/// The calls by which the operator changed the world, and what is left.
async fn run(place: &Place, story: Story, fault: Option<(usize, Fault)>) -> (Vec<String>, Left) {
    let mut stage = story.begin(place).await;
    stage.fail(fault);
    stage.settle().await;
    let calls = stage.fuse.calls();
    (calls, stage.left().await)
}

async fn a_fault_at_every_call_changes_nothing(story: Story, faults: &[Fault]) {
    let place = &Place::new().await;
    let (calls, plain) = run(place, story, None).await;
    assert!(!calls.is_empty(), "{story:?} is done without a call");
    let cases = (1..=calls.len()).flat_map(|at| faults.iter().map(move |fault| (at, *fault)));
    let mut runs = futures::stream::iter(cases)
        .map(|case| async move { (case, run(place, story, Some(case)).await.1) })
        .buffer_unordered(RUNS_AT_A_TIME);
    let mut surprises = Vec::new();
    while let Some(((at, fault), left)) = runs.next().await {
        let differences = left.differences(&plain);
        if !differences.is_empty() {
            surprises.push(format!("{fault:?} at {at}, {}: {differences:#?}", calls[at - 1]));
        }
    }
    assert!(surprises.is_empty(), "{story:?}: {}", surprises.join("\n"));
}

macro_rules! every_call {
    ($($name:ident: $story:expr, $faults:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            a_fault_at_every_call_changes_nothing($story, &$faults).await;
        }
    )*};
}

every_call! {
    a_creation_is_finished_whatever_call_the_operator_dies_after: Story::Creation, [Fault::Ends];
    a_creation_is_finished_whatever_answer_is_lost: Story::Creation, [Fault::AnswerLost];
    growing_is_finished_whatever_call_the_operator_dies_after: Story::Growth, [Fault::Ends];
    shrinking_is_finished_whatever_call_the_operator_dies_after: Story::Shrinking, [Fault::Ends];
    a_changed_spec_is_rolled_out_whatever_call_the_operator_dies_after: Story::ChangedSpec, [Fault::Ends];
    a_lost_volume_is_replaced_whatever_call_the_operator_dies_after: Story::LostVolume, [Fault::Ends];
}
