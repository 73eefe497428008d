//! An API server that lags behind: an operator reads what was true before, and writes arrive. It must do no harm, and go on when it reads what
//! is true.

use crate::proxy::Recording;
use crate::stage::{Place, Stage};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use std::collections::BTreeMap;

/// In the paths of what is asked for: the manifest, and pods and what shapes them.
const MANIFEST: &str = "/geodeclusters/";
const PODS: [&str; 2] = ["/statefulsets", "/pods"];

/// Uids of pods and volumes, by name.
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
async fn round_on(stage: &Stage, recording: Recording) {
    stage.proxy.serve_old(recording);
    let operator = stage.operator();
    // An error is what it should get.
    let _ = stage.round(&operator).await;
    stage.proxy.serve_fresh();
}

/// The same, and what it did takes effect.
async fn act_on(stage: &mut Stage, recording: Recording) {
    round_on(stage, recording).await;
    stage.kubernetes.step().await;
}

/// Rounds until the goal is reached: what every one of them read.
async fn settle(stage: &mut Stage) -> Vec<Recording> {
    let mut recordings = Vec::new();
    stage
        .settle_and(async |stage: &mut Stage| recordings.push(stage.proxy.recording()))
        .await;
    recordings
}

/// A change of what pods need: all of them are replaced.
async fn change_pods(stage: &Stage) {
    let resources = json!({ "requests": { "memory": "512Mi" } });
    stage.change(json!({ "resources": resources })).await;
}

/// Creation with one member, growth to three, and a change of what pods need: what every round read.
async fn history(stage: &mut Stage) -> Vec<Recording> {
    let mut recordings = settle(stage).await;
    stage.change(json!({ "members": 3 })).await;
    recordings.extend(settle(stage).await);
    change_pods(stage).await;
    recordings.extend(settle(stage).await);
    recordings
}

/// All pods are replaced, and between any two rounds there are operators that read what was true before.
struct Rollout {
    /// What was read before the change.
    before: Recording,
    /// What every round since then read, without the manifest.
    recordings: Vec<Recording>,
    /// How many pods and volumes there are when nobody is away.
    all: usize,
    /// Uids at the last look.
    there: BTreeMap<String, String>,
    /// Who went, in order.
    restarted: Vec<String>,
}

impl Rollout {
    async fn begin(stage: &Stage) -> Self {
        let there = uids(stage).await;
        Self {
            before: stage.proxy.recording(),
            recordings: Vec::new(),
            all: there.len(),
            there,
            restarted: Vec::new(),
        }
    }

    /// Who went since the last look. One may be away.
    async fn look(&mut self, stage: &Stage) {
        let there = uids(stage).await;
        let before = self.there.iter();
        let gone = before.filter(|(name, uid)| there.get(*name) != Some(*uid));
        self.restarted.extend(gone.map(|(name, _)| name.clone()));
        assert!(there.len() + 1 >= self.all, "two are away: {:?}", self.restarted);
        self.there = there;
    }

    /// After a round: operators that lag behind, while whoever was restarted is away, and again when it is back.
    async fn lag_behind(&mut self, stage: &mut Stage) {
        self.look(stage).await;
        let latest = stage.proxy.recording().without(MANIFEST);
        let with_true_pods =
            |recording: &Recording| PODS.into_iter().fold(recording.clone(), Recording::without);
        for _ in 0..2 {
            for old in [
                // All but the manifest: whoever was restarted is there and still has the old template.
                latest.clone(),
                // All but the manifest and the pods: it may take the next one, when all are there.
                with_true_pods(&latest),
                // The manifest and not the pods, from before the change: it would take the new template back.
                with_true_pods(&self.before),
            ] {
                round_on(stage, old).await;
                self.look(stage).await;
            }
            stage.kubernetes.step().await;
        }
        self.recordings.push(latest);
    }
}

#[tokio::test]
async fn an_operator_that_reads_what_was_true_before_deletes_nothing_and_changes_no_member() {
    let mut stage = Stage::new(&Place::new().await, json!({ "members": 1 })).await;
    let recordings = history(&mut stage).await;
    let (before, kept) = (stage.left().await, uids(&stage).await);
    let count = recordings.len();
    for (position, recording) in recordings.into_iter().enumerate() {
        // All is old, or all but the manifest: every kind of object has a cache of its own.
        for old in [recording.clone(), recording.without(MANIFEST)] {
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
    let recordings = settle(&mut stage).await;
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

#[tokio::test]
async fn a_change_restarts_observers_first_the_leader_last_and_nobody_twice_whatever_old_state_is_read() {
    let spec = json!({ "members": 3, "observers": { "replicas": 2 } });
    let mut stage = Stage::settled(&Place::new().await, spec).await;
    let members = |stage: &Stage| (stage.fleet.voters(), stage.fleet.learners(), stage.fleet.begun());
    let before = members(&stage);
    assert_eq!(stage.leader().await, "a-0");
    let mut rollout = Rollout::begin(&stage).await;
    change_pods(&stage).await;
    stage
        .settle_and(async |stage: &mut Stage| rollout.lag_behind(stage).await)
        .await;
    for old in std::mem::take(&mut rollout.recordings) {
        round_on(&stage, old).await;
        rollout.look(&stage).await;
    }
    stage.settle().await;
    rollout.look(&stage).await;
    let order = ["a-observer-1", "a-observer-0", "a-2", "a-1", "a-0"];
    assert_eq!(rollout.restarted, order);
    assert_ne!(stage.leader().await, "a-0", "it went without a successor");
    assert_eq!(members(&stage), before);
}
