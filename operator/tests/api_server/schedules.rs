//! Schedules of backups with the chart's rights: what the API server refuses, one backup for one run whatever call the operator dies after, and
//! that it wakes up by itself.

use crate::fuse::Fault;
use crate::stage::{Place, Stage};
use geode_api::{BackupPhase, GeodeBackup, GeodeBackupSchedule, GeodeBackupScheduleStatus, LABEL_SCHEDULE};
use geode_operator::context::Context;
use geode_operator::driver;
use geode_operator::rounds::RoundError;
use geode_operator::schedules::keep_schedules;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);

async fn stage() -> Stage {
    let spec = json!({"members": 1, "archive": {"s3": {"bucket": "b"}}});
    Stage::new(&Place::new().await, spec).await
}

async fn ask(stage: &Stage, mut spec: Value) -> Result<GeodeBackupSchedule, String> {
    spec["cluster"] = "a".into();
    let schedule = serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackupSchedule", "metadata": {"name": "s"}, "spec": spec,
    }));
    let api: Api<GeodeBackupSchedule> = stage.api();
    let made = api.create(&PostParams::default(), &schedule.unwrap()).await;
    made.map_err(|error| error.to_string())
}

async fn change(stage: &Stage, spec: Value) -> Result<GeodeBackupSchedule, String> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let changed = stage.api().patch("s", &PatchParams::default(), &patch).await;
    changed.map_err(|error| error.to_string())
}

async fn status(stage: &Stage) -> GeodeBackupScheduleStatus {
    let schedule: GeodeBackupSchedule = stage.api().get("s").await.unwrap();
    schedule.status.unwrap_or_default()
}

fn holds(status: &GeodeBackupScheduleStatus, kind: &str) -> String {
    let condition = status.conditions.iter().find(|condition| condition.type_ == kind);
    condition.map_or_else(String::new, |condition| {
        format!("{}:{}", condition.status, condition.reason)
    })
}

async fn backups(stage: &Stage) -> Vec<String> {
    let list = stage
        .api::<GeodeBackup>()
        .list(&ListParams::default().labels(&format!("{LABEL_SCHEDULE}=s")))
        .await
        .unwrap();
    list.iter().map(ResourceExt::name_any).collect()
}

/// A round of schedules. `None`: the operator ended in it.
async fn round(stage: &Stage, operator: &Context, now: Timestamp) -> Option<Result<(), RoundError>> {
    tokio::select! {
        biased;
        () = stage.fuse.burnt() => None,
        kept = keep_schedules(operator, &stage.key, now) => Some(kept.map(drop)),
    }
}

/// Rounds at one moment until one is completed; an operator that ends has a successor.
async fn settle(stage: &Stage, now: Timestamp) {
    let mut operator = stage.operator();
    for _ in 0..5 {
        match round(stage, &operator, now).await {
            Some(Ok(())) => return,
            Some(Err(_)) => {}
            None => {
                stage.fuse.succeed();
                operator = stage.operator();
            }
        }
    }
    panic!("no round is completed");
}

async fn complete_all(stage: &Stage) {
    for name in backups(stage).await {
        let done =
            json!({"status": {"phase": BackupPhase::Completed, "completedAt": "2030-01-01T00:00:00Z"}});
        stage
            .api::<GeodeBackup>()
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(done))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn schedules_that_cannot_work_are_refused_with_a_sentence() {
    let stage = stage().await;
    for (spec, sentence) in [
        (
            json!({"schedule": "0 0 2 * * *"}),
            "spec.schedule has five fields",
        ),
        (json!({"schedule": "@reboot"}), "or is @hourly"),
        (
            json!({"schedule": "@daily", "jitterSeconds": -1}),
            "jitterSeconds",
        ),
        (
            json!({"schedule": "@daily", "startingDeadlineSeconds": 0}),
            "startingDeadlineSeconds",
        ),
        (json!({"schedule": "@daily", "timeZone": ""}), "timeZone"),
        (
            json!({"schedule": "@daily", "retention": {"days": 7, "minCount": 0}}),
            "minCount",
        ),
        (json!({"schedule": "@daily", "retention": {"days": 0}}), "days"),
    ] {
        let refused = ask(&stage, spec.clone()).await.expect_err(&spec.to_string());
        assert!(refused.contains(sentence), "{spec}: {refused}");
    }
    ask(&stage, json!({"schedule": "0 0 30 2 *"})).await.unwrap();
    let refused = change(&stage, json!({"cluster": "b"})).await.unwrap_err();
    assert!(refused.contains("stays with its cluster"), "{refused}");
    settle(&stage, Timestamp::now()).await;
    assert_eq!(holds(&status(&stage).await, "Stalled"), "True:InvalidSpec");
    change(&stage, json!({"schedule": "0 0 28 2 *"})).await.unwrap();
    settle(&stage, Timestamp::now()).await;
    let mended = status(&stage).await;
    assert_eq!(
        (holds(&mended, "Stalled"), holds(&mended, "Ready")),
        ("False:Scheduled".into(), "True:Scheduled".into())
    );
    change(&stage, json!({"suspend": true})).await.unwrap();
    settle(&stage, Timestamp::now()).await;
    let suspended = status(&stage).await;
    assert_eq!(holds(&suspended, "Ready"), "True:ScheduleSuspended");
    assert!(suspended.next_schedule_time.is_none());
}

#[tokio::test]
async fn a_run_makes_one_backup_whatever_call_the_operator_dies_after() {
    let stage = stage().await;
    ask(&stage, json!({"schedule": "0 2 * * *"})).await.unwrap();
    settle(&stage, Timestamp::now()).await;
    let mut taken = 0;
    for fault in [Fault::Ends, Fault::EndsAndAnswerLost, Fault::AnswerLost] {
        for at in 1..=4 {
            complete_all(&stage).await;
            let due = status(&stage).await.next_schedule_time.unwrap().0;
            stage.fail(Some((at, fault)));
            settle(&stage, due + SignedDuration::from_mins(1)).await;
            stage.fail(None);
            settle(&stage, due + SignedDuration::from_mins(2)).await;
            taken += 1;
            let (names, status) = (backups(&stage).await, status(&stage).await);
            assert_eq!(names.len(), taken, "{fault:?} at {at}: {names:?}");
            assert_eq!(
                status.last_schedule_time.as_ref().map(|time| time.0),
                Some(due),
                "{fault:?} at {at}"
            );
            assert_eq!(
                (status.missed_runs, holds(&status, "Ready")),
                (0, "True:Scheduled".into()),
                "{fault:?} at {at}"
            );
        }
    }
}

/// The newest backup is complete, and the clean-up after it left nothing older than itself.
async fn complete_with_clean_up(stage: &Stage, index: u64) {
    let name = backups(stage).await.pop().unwrap();
    let done = json!({"status": {
        "phase": BackupPhase::Completed, "completedAt": "2030-01-01T00:00:00Z",
        "location": format!("s3://b/p/c/00000000/base/{index:020}-0000002a/"), "lsn": format!("0/{index}"),
        "cleanedUp": {"backups": 1, "segments": 2, "bytes": 3, "oldestLsn": format!("0/{index}")},
    }});
    let api: Api<GeodeBackup> = stage.api();
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(done))
        .await
        .unwrap();
}

#[tokio::test]
async fn backups_are_told_what_to_keep_and_their_objects_go_with_them() {
    let stage = stage().await;
    let asked = json!({"schedule": "0 2 * * *", "retention": {"days": 7}});
    ask(&stage, asked).await.unwrap();
    settle(&stage, Timestamp::now()).await;
    let mut last = String::new();
    for index in [5, 6] {
        let due = status(&stage).await.next_schedule_time.unwrap().0;
        settle(&stage, due + SignedDuration::from_mins(1)).await;
        complete_with_clean_up(&stage, index).await;
        settle(&stage, due + SignedDuration::from_mins(2)).await;
        let left = backups(&stage).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_ne!(std::mem::replace(&mut last, left[0].clone()), left[0]);
    }
    let newest: GeodeBackup = stage.api().get(&last).await.unwrap();
    let retention = newest.spec.retention.unwrap();
    assert_eq!(
        (retention.days, retention.min_count, retention.wal_days()),
        (7, 1, 7)
    );
}

#[tokio::test]
async fn runs_that_are_missed_are_counted_once_and_told_with_their_reason() {
    let stage = stage().await;
    ask(&stage, json!({"schedule": "0 2 * * *"})).await.unwrap();
    settle(&stage, Timestamp::now()).await;
    let due = status(&stage).await.next_schedule_time.unwrap().0;
    let days = |count: i64| due + SignedDuration::from_hours(24 * count);
    for _ in 0..2 {
        settle(&stage, days(3)).await;
        assert_eq!(
            (backups(&stage).await.len(), status(&stage).await.missed_runs),
            (1, 3)
        );
    }
    // The backup of that run has not ended.
    for _ in 0..2 {
        settle(&stage, days(4)).await;
        let told = status(&stage).await;
        assert_eq!((backups(&stage).await.len(), told.missed_runs), (1, 4));
        assert_eq!(holds(&told, "Ready"), "False:BackupMissed");
        assert!(told.message.unwrap().contains("before it had not ended"));
    }
    complete_all(&stage).await;
    stage.kubernetes.delete::<geode_api::GeodeCluster>("a").await;
    settle(&stage, days(5)).await;
    let told = status(&stage).await;
    assert_eq!(
        (holds(&told, "Ready"), told.missed_runs),
        ("False:ClusterNotFound".into(), 5)
    );
    assert!(told.last_successful_time.is_some());
}

#[tokio::test]
async fn an_operator_wakes_up_for_a_schedule_and_takes_its_backup_also_when_the_cluster_comes_later() {
    let mut stage = stage().await;
    stage.kubernetes.delete::<geode_api::GeodeCluster>("a").await;
    ask(&stage, json!({"schedule": "* * * * *", "immediate": true}))
        .await
        .unwrap();
    let mut context = Context::new(stage.proxy.client(), &crate::rounds::settings());
    context.namespaces = vec![stage.key.namespace.clone()];
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(driver::run(Arc::new(context), shutdown));
    wait(&mut stage, |status| !holds(status, "Ready").is_empty()).await;
    assert_eq!(holds(&status(&stage).await, "Ready"), "False:ClusterNotFound");
    let cluster = serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"},
        "spec": {"members": 1, "archive": {"s3": {"bucket": "b"}}},
    }));
    let clusters: Api<geode_api::GeodeCluster> = stage.api();
    clusters
        .create(&PostParams::default(), &cluster.unwrap())
        .await
        .unwrap();
    wait(&mut stage, |status| status.last_successful_time.is_some()).await;
    // The next one comes with the next minute, and nothing but the time wakes the operator.
    let taken = backups(&stage).await.len();
    let due = status(&stage).await.next_schedule_time.unwrap().0;
    wait(&mut stage, |status| {
        status
            .last_schedule_time
            .as_ref()
            .is_some_and(|time| time.0 >= due)
    })
    .await;
    assert!(backups(&stage).await.len() > taken);
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

async fn wait(stage: &mut Stage, until: impl Fn(&GeodeBackupScheduleStatus) -> bool) {
    let begun = Instant::now();
    loop {
        let status = status(stage).await;
        if until(&status) {
            return;
        }
        // A minute may have to pass.
        assert!(begun.elapsed() < PATIENCE + PATIENCE, "{status:#?}");
        stage.kubernetes.step().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
