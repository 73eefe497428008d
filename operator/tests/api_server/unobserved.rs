//! States that nobody saw: the events of some changes never reach the operator. Its watches only wake it, so what it does depends on what is
//! there and not on how it came to be.

use crate::stage::{Left, Place, Stage};
use geode_api::GeodeCluster;
use geode_operator::driver;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

/// Time passes until this generation of the manifest is ready.
async fn wait_until_ready(stage: &mut Stage, generation: i64) {
    let begun = Instant::now();
    loop {
        let cluster = stage.api::<GeodeCluster>().get("a").await.unwrap();
        let conditions = cluster.status.as_ref().map(|status| &status.conditions);
        let is = |type_: &str, status: &str| {
            conditions.is_some_and(|conditions| {
                conditions.iter().any(|condition| {
                    condition.type_ == type_
                        && condition.status == status
                        && condition.observed_generation == Some(generation)
                })
            })
        };
        if is("Ready", "True") && is("Reconciling", "False") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{:#?}", cluster.status);
        stage.kubernetes.step().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The whole operator, in this process, for one namespace.
struct Operator {
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), driver::WatchesEnded>>,
}

impl Operator {
    fn start(stage: &Stage) -> Self {
        let mut operator = stage.operator();
        operator.namespaces = vec![stage.key.namespace.clone()];
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(driver::run(Arc::new(operator), stopped));
        Self { stop, running }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.running.await.unwrap().unwrap();
    }
}

/// Both ended with the same objects.
fn assert_same(left: &Left, wanted: &Left) {
    // How often the manifest was changed is the only trace.
    let mut differences = left.differences(wanted);
    differences.retain(|line| !line.contains("eneration"));
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test]
async fn changes_that_nobody_saw_lead_to_the_same_goal() {
    let place = Place::new().await;
    let last = json!({ "members": 1, "resources": { "requests": { "memory": "1Gi" } } });
    let mut plain = Stage::settled(&place, json!({ "members": 1 })).await;
    plain.change(last.clone()).await;
    plain.settle().await;

    let mut stage = Stage::new(&place, json!({ "members": 1 })).await;
    let operator = Operator::start(&stage);
    wait_until_ready(&mut stage, 1).await;

    stage.proxy.drop_events(true);
    stage.change(json!({ "members": 3 })).await;
    stage.kubernetes.delete::<ConfigMap>("a-config").await;
    stage.kubernetes.delete::<Service>("a-read").await;
    stage.change(json!({ "members": 1, "timing": "wan" })).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.proxy.drop_events(false);
    stage
        .change(json!({ "timing": "default", "resources": last["resources"] }))
        .await;
    wait_until_ready(&mut stage, 4).await;
    operator.stop().await;
    assert_same(&stage.left().await, &plain.left().await);
}

#[tokio::test]
async fn a_change_of_all_pods_whose_beginning_nobody_saw_ends_at_the_same_goal() {
    let place = Place::new().await;
    let memory = |size: &str| json!({ "resources": { "requests": { "memory": size } } });
    let spec = json!({ "members": 3, "observers": { "replicas": 1 } });
    let mut plain = Stage::settled(&place, spec.clone()).await;
    plain.change(memory("1Gi")).await;
    plain.settle().await;

    let mut stage = Stage::new(&place, spec).await;
    let operator = Operator::start(&stage);
    wait_until_ready(&mut stage, 1).await;
    stage.proxy.drop_events(true);
    stage.change(memory("512Mi")).await;
    // Pods end and come back meanwhile, as far as the operator gets.
    for _ in 0..6 {
        stage.kubernetes.step().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.proxy.drop_events(false);
    stage.change(memory("1Gi")).await;
    wait_until_ready(&mut stage, 3).await;
    operator.stop().await;
    let (mut left, mut wanted) = (stage.left().await, plain.left().await);
    // Some pods were made once more, with 512Mi; no volume was.
    for either in [&mut left, &mut wanted] {
        either
            .made
            .retain(|name, _| name.starts_with("data-") || name.starts_with("wal-"));
    }
    assert_same(&left, &wanted);
}
