//! Restore tests with the chart's rights: what the API server refuses, a pod that belongs to no cluster, figures that are read from its end, and an
//! operator that dies after any call.

use crate::fuse::Fault;
use crate::stage::{Place, Stage};
use geode_api::{
    GeodeCluster, GeodeRestoreTest, GeodeRestoreTestStatus, LABEL_CLUSTER, LABEL_RESTORE_TEST,
    RestoreTestPhase,
};
use geode_operator::context::Context;
use geode_operator::restore_tests::keep_restore_tests;
use geode_operator::rounds::RoundError;
use geode_types::{LogIndex, RestoreTestReport, RestoreTestStep};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// A cluster with an archive and a database.
async fn stage() -> Stage {
    let spec =
        json!({"members": 1, "archive": {"s3": {"bucket": "b", "credentials": {"secretName": "keys"}}}});
    Stage::settled(&Place::new().await, spec).await
}

async fn ask(stage: &Stage, mut spec: Value) -> Result<GeodeRestoreTest, String> {
    spec["cluster"] = "a".into();
    let test = serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeRestoreTest", "metadata": {"name": "t"}, "spec": spec,
    }));
    let api: Api<GeodeRestoreTest> = stage.api();
    let made = api.create(&PostParams::default(), &test.unwrap()).await;
    made.map_err(|error| error.to_string())
}

async fn change(stage: &Stage, spec: Value) -> Result<GeodeRestoreTest, String> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let changed = stage.api().patch("t", &PatchParams::default(), &patch).await;
    changed.map_err(|error| error.to_string())
}

async fn status(stage: &Stage) -> GeodeRestoreTestStatus {
    let test: GeodeRestoreTest = stage.api().get("t").await.unwrap();
    test.status.unwrap_or_default()
}

fn holds(status: &GeodeRestoreTestStatus, kind: &str) -> String {
    let condition = status.conditions.iter().find(|condition| condition.type_ == kind);
    condition.map_or_else(String::new, |condition| {
        format!("{}:{}", condition.status, condition.reason)
    })
}

async fn pods(stage: &Stage) -> Vec<Pod> {
    let selected = ListParams::default().labels(&format!("{LABEL_RESTORE_TEST}=t"));
    stage.api::<Pod>().list(&selected).await.unwrap().items
}

/// A round. `None`: the operator ended in it.
async fn round(stage: &Stage, operator: &Context, now: Timestamp) -> Option<Result<(), RoundError>> {
    tokio::select! {
        biased;
        () = stage.fuse.burnt() => None,
        kept = keep_restore_tests(operator, &stage.key, now) => Some(kept.map(drop)),
    }
}

/// Rounds at one moment until two were completed: what one decided, the next finds done. An operator that ends has a successor.
async fn settle(stage: &Stage, now: Timestamp) {
    let (mut operator, mut completed) = (stage.operator(), 0);
    for _ in 0..8 {
        match round(stage, &operator, now).await {
            Some(Ok(())) => completed += 1,
            Some(Err(_)) => {}
            None => {
                stage.fuse.succeed();
                operator = stage.operator();
            }
        }
        if completed == 2 {
            return;
        }
    }
    panic!("no two rounds are completed");
}

fn report() -> RestoreTestReport {
    RestoreTestReport {
        step: RestoreTestStep::Done,
        source: "s3://b/x".into(),
        looked_at_micros: Timestamp::now().as_microsecond(),
        answered_at_micros: Some(Timestamp::now().as_microsecond() + 5_000_000),
        index: Some(LogIndex(1_000_000)),
        state_hash: Some("aa".into()),
        nodes: 3,
        ..RestoreTestReport::default()
    }
}

/// The kubelet: the container of the run's pod has ended with this report.
async fn end(stage: &Stage, report: &RestoreTestReport) {
    let passed = report.passed();
    for pod in pods(stage).await {
        let ended = json!({"terminated": {
            "exitCode": i32::from(!passed), "reason": if passed { "Completed" } else { "Error" }, "message": report.to_bounded_json(),
        }});
        let status = json!({"status": {
            "phase": if passed { "Succeeded" } else { "Failed" },
            "containerStatuses": [{"name": "geode", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": ended}],
        }});
        stage
            .api::<Pod>()
            .patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn restore_tests_that_cannot_work_are_refused_with_a_sentence() {
    let stage = Stage::new(&Place::new().await, json!({"members": 1})).await;
    let query = json!({"statement": "RETURN 1"});
    let many: Vec<&Value> = std::iter::repeat_n(&query, 17).collect();
    for (spec, sentence) in [
        (
            json!({"schedule": "0 0 2 * * *"}),
            "spec.schedule has five fields",
        ),
        (json!({"timeout": "soon"}), "timeout"),
        (json!({"timeout": "0s"}), "timeout"),
        (json!({"queries": [{"statement": ""}]}), "statement"),
        (
            json!({"queries": [{"statement": "x", "expectRows": -1}]}),
            "expectRows",
        ),
        (json!({"queries": many}), "queries"),
        (json!({"storage": {"size": "lots"}}), "not a size"),
    ] {
        let refused = ask(&stage, spec.clone()).await.expect_err(&spec.to_string());
        assert!(refused.contains(sentence), "{spec}: {refused}");
    }
    ask(&stage, json!({"schedule": "0 0 30 2 *"})).await.unwrap();
    let refused = change(&stage, json!({"cluster": "b"})).await.unwrap_err();
    assert!(refused.contains("stays with its cluster"), "{refused}");
    settle(&stage, Timestamp::now()).await;
    assert_eq!(holds(&status(&stage).await, "Stalled"), "True:InvalidSpec");
    // It has no archive, so nothing is begun and the reason is told.
    change(&stage, json!({"schedule": null})).await.unwrap();
    settle(&stage, Timestamp::now()).await;
    assert_eq!(
        holds(&status(&stage).await, "Ready"),
        "False:ArchiveNotConfigured"
    );
    assert!(pods(&stage).await.is_empty());
}

#[tokio::test]
async fn a_run_is_one_pod_and_one_result_whatever_call_the_operator_dies_after() {
    let stage = stage().await;
    ask(&stage, json!({"queries": [{"statement": "RETURN 1"}]}))
        .await
        .unwrap();
    let mut runs = 0;
    for fault in [Fault::Ends, Fault::EndsAndAnswerLost, Fault::AnswerLost] {
        for at in 1..=3 {
            for ends in [false, true] {
                // Once while it begins, once while it ends.
                stage.fail((!ends).then_some((at, fault)));
                settle(&stage, Timestamp::now()).await;
                let running = status(&stage).await.run.unwrap();
                let made = pods(&stage).await;
                let names: Vec<String> = made.iter().map(ResourceExt::name_any).collect();
                assert_eq!(names, [running.pod], "{fault:?} at {at}");
                assert!(!made[0].labels().contains_key(LABEL_CLUSTER));
                end(&stage, &report()).await;
                stage.fail(ends.then_some((at, fault)));
                settle(&stage, Timestamp::now()).await;
                stage.fail(None);
                settle(&stage, Timestamp::now()).await;
                runs += 1;
                let told = status(&stage).await;
                assert_eq!(
                    (told.passed_runs, told.failed_runs, told.phase),
                    (runs, 0, RestoreTestPhase::Passed),
                    "{fault:?} at {at}"
                );
                assert!(pods(&stage).await.is_empty(), "{fault:?} at {at}");
                change(&stage, json!({"timeout": format!("{}m", 10 + runs)}))
                    .await
                    .unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
            }
        }
    }
}

#[tokio::test]
async fn figures_are_told_in_the_status_and_a_run_that_fails_or_hangs_turns_the_condition() {
    let stage = stage().await;
    ask(&stage, json!({"keepFailed": true, "timeout": "1m"}))
        .await
        .unwrap();
    let begun = Timestamp::now();
    settle(&stage, begun).await;
    end(&stage, &report()).await;
    settle(&stage, begun).await;
    let told = status(&stage).await;
    let result = told.result.clone().unwrap();
    assert!(result.passed && result.rto_seconds >= Some(5), "{result:?}");
    assert_eq!(
        (result.rpo_seconds, result.lsn.as_deref(), result.nodes),
        (Some(0), Some("0/1000000"), Some(3))
    );
    assert_eq!(holds(&told, "Ready"), "True:RestoreTestPassed");

    change(&stage, json!({"suspend": false, "timeout": "2m"}))
        .await
        .unwrap();
    let begun = begun + SignedDuration::from_secs(2);
    settle(&stage, begun).await;
    let failed = RestoreTestReport {
        step: RestoreTestStep::Verify,
        failure: Some("the restored data is damaged".into()),
        index: None,
        state_hash: None,
        answered_at_micros: None,
        ..report()
    };
    end(&stage, &failed).await;
    settle(&stage, begun).await;
    let told = status(&stage).await;
    assert_eq!(holds(&told, "Ready"), "False:RestoreTestFailed");
    assert!(
        told.message
            .unwrap()
            .contains("verify: the restored data is damaged")
    );
    let result = told.result.unwrap();
    // Nothing of the run before is left in it.
    assert!(
        result.lsn.is_none() && result.rto_seconds.is_none() && result.nodes.is_none(),
        "{result:?}"
    );
    let kept: Vec<String> = pods(&stage).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(kept, told.kept_pod.into_iter().collect::<Vec<_>>());

    change(&stage, json!({"keepFailed": false, "timeout": "3m"}))
        .await
        .unwrap();
    let begun = begun + SignedDuration::from_secs(2);
    settle(&stage, begun).await;
    assert_eq!(pods(&stage).await.len(), 1, "the kept one goes with the next run");
    settle(&stage, begun + SignedDuration::from_mins(3)).await;
    let told = status(&stage).await;
    assert!(told.message.unwrap().contains("not done within 3m"));
    assert_eq!(told.failed_runs, 2);
    assert!(pods(&stage).await.is_empty());
    let cluster: GeodeCluster = stage.api().get("a").await.unwrap();
    assert!(cluster.status.unwrap().cluster_id.is_some());
}
