//! Two operators at once: the one that loses the Lease stops writing before the other one begins.

use crate::proxy::Proxy;
use crate::rounds::settings;
use crate::stage::{Place, Stage};
use geode_operator::context::Context;
use geode_operator::driver;
use geode_operator::lease::Lease;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// More than a Lease lasts.
const PATIENCE: Duration = Duration::from_secs(90);

fn process(stage: &Stage, proxy: &Proxy, identity: &str) -> (Arc<Context>, Lease) {
    let mut context = Context::new(proxy.client(), &settings());
    context.namespaces = vec![stage.key.namespace.clone()];
    // Rights to the Lease are given in the operator's own namespace only.
    let lease = Lease::new(stage.admin(), &stage.key.namespace, identity);
    (Arc::new(context), lease)
}

#[tokio::test]
async fn an_operator_that_cannot_renew_its_lease_stops_writing_before_another_one_begins() {
    let mut stage = Stage::new(&Place::new().await, json!({ "members": 1 })).await;
    let (_stop, shutdown) = watch::channel(false);

    let (first_lease_way, _) = stage.another_way_as_admin().await;
    let (first, _) = process(&stage, &stage.proxy, "one");
    let first_lease = Lease::new(first_lease_way.client(), &stage.key.namespace, "one");
    first_lease.acquire().await;
    let first_shutdown = shutdown.clone();
    let mut running =
        tokio::spawn(async move { driver::run_while_held(&first_lease, first, first_shutdown).await });

    let (second_way, second_fuse) = stage.another_way().await;
    let (second, second_lease) = process(&stage, &second_way, "two");
    let second_running = tokio::spawn(async move {
        second_lease.acquire().await;
        driver::run_while_held(&second_lease, second, shutdown).await
    });

    // The first one works; then its Lease alone is not answered any more, and it goes on being asked for changes.
    let begun = Instant::now();
    while stage.fleet.begun() == 0 {
        stage.kubernetes.step().await;
        assert!(begun.elapsed() < PATIENCE, "nobody works");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    first_lease_way.silence("/leases/");
    let mut memory = 256;
    let mut calls_at_end = None;
    while second_fuse.calls().is_empty() {
        memory += 1;
        stage
            .change(json!({ "resources": { "requests": { "memory": format!("{memory}Mi") } } }))
            .await;
        stage.kubernetes.step().await;
        if calls_at_end.is_none() && running.is_finished() {
            let ended = (&mut running).await.unwrap();
            assert!(ended.unwrap_err().to_string().contains("lease"));
            assert!(second_fuse.calls().is_empty(), "both were active");
            calls_at_end = Some(stage.fuse.calls());
        }
        assert!(begun.elapsed() < PATIENCE, "nobody takes over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let calls_at_end = calls_at_end.expect("the first one ended before the second one began");
    assert!(calls_at_end.len() > 10, "the first one did work");
    let through_kubernetes = |calls: &[String]| calls.iter().filter(|call| !call.starts_with("ask")).count();
    assert_eq!(
        through_kubernetes(&stage.fuse.calls()),
        through_kubernetes(&calls_at_end),
        "it wrote although it had lost the Lease"
    );
    second_running.abort();
}
