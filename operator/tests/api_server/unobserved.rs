//! States that nobody saw: the events of some changes never reach the operator. Its watches only wake it, so what it does depends on what is
//! there and not on how it came to be.

use crate::stage::{Place, Stage};
use geode_api::GeodeCluster;
use geode_operator::driver;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

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

#[tokio::test]
async fn changes_that_nobody_saw_lead_to_the_same_goal() {
    let place = Place::new().await;
    let last = json!({ "members": 1, "resources": { "requests": { "memory": "1Gi" } } });
    let mut plain = Stage::settled(&place, json!({ "members": 1 })).await;
    plain.change(last.clone()).await;
    plain.settle().await;

    let mut stage = Stage::new(&place, json!({ "members": 1 })).await;
    let mut operator = stage.operator();
    operator.namespaces = vec![stage.key.namespace.clone()];
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(driver::run(Arc::new(operator), stopped));
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
    stop.send_replace(true);
    running.await.unwrap().unwrap();

    // How often the manifest was changed is the only trace.
    let mut differences = stage.left().await.differences(&plain.left().await);
    differences.retain(|line| !line.contains("eneration"));
    assert!(differences.is_empty(), "{differences:#?}");
}
