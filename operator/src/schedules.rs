//! A round for the schedules of one cluster: read, let the planner decide, create a backup, write the status. It is no part of the cluster's own
//! round, because a schedule is kept also while its cluster is not there or its manifest is refused.

use crate::context::{Context, Key};
use crate::kinds::FIELD_MANAGER;
use crate::rounds::{self, RoundError, reading};
use crate::status;
use geode_api::{
    GeodeBackup, GeodeBackupSchedule, GeodeBackupScheduleStatus, GeodeBackupSpec, GeodeCluster,
    LABEL_CLUSTER, LABEL_SCHEDULE, Reason, RetentionSpec,
};
use geode_planner::{
    BackupPlace, BackupTarget, ScheduleView, TakenBackup, expired_backups, failed_schedule_status,
    joint_retention, keep_schedule,
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PostParams};
use serde_json::json;

/// Fields that a status may take back.
const OPTIONAL: [&str; 5] = [
    "lastScheduleTime",
    "lastSuccessfulTime",
    "nextScheduleTime",
    "lastMissedTime",
    "message",
];

fn failed_to(what: &'static str, schedule: &str) -> impl FnOnce(kube::Error) -> RoundError {
    rounds::failed_to(what, format!("the schedule {schedule}"))
}

fn api(context: &Context, key: &Key) -> Api<GeodeBackupSchedule> {
    Api::namespaced(context.client.clone(), &key.namespace)
}

/// Keeps the schedules of this cluster. Returns when the next of them has to be looked at, or `None` if none has.
pub async fn keep_schedules(
    context: &Context,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Timestamp>, RoundError> {
    let list = api(context, key)
        .list(&ListParams::default())
        .await
        .map_err(reading("schedules"))?;
    let mut ours: Vec<GeodeBackupSchedule> = list
        .into_iter()
        .filter(|schedule| {
            schedule.spec.cluster == key.name && schedule.metadata.deletion_timestamp.is_none()
        })
        .collect();
    if ours.is_empty() {
        context.metrics.keep_schedules(key, &ours);
        return Ok(None);
    }
    let retention = joint_retention(ours.iter().map(|schedule| schedule.spec.retention.as_ref()));
    let (target, backups) = tokio::try_join!(read_target(context, key), read_backups(context, key))?;
    let (mut wake, mut failed) = (None, None);
    for schedule in &mut ours {
        match keep_one(context, key, schedule, &backups, target, retention.as_ref(), now).await {
            Ok(next) => wake = [wake, next].into_iter().flatten().min(),
            Err(error) => {
                report_failure(context, key, schedule, &error, now).await;
                failed = Some(error);
            }
        }
    }
    context.metrics.keep_schedules(key, &ours);
    failed.map_or(Ok(wake), Err)
}

async fn read_target(context: &Context, key: &Key) -> Result<BackupTarget, RoundError> {
    let api: Api<GeodeCluster> = Api::namespaced(context.client.clone(), &key.namespace);
    let cluster = api
        .get_opt(&key.name)
        .await
        .map_err(reading("the GeodeCluster"))?;
    Ok(
        match cluster.filter(|cluster| cluster.metadata.deletion_timestamp.is_none()) {
            None => BackupTarget::Missing,
            Some(cluster) if cluster.spec.archive.is_none() => BackupTarget::WithoutArchive,
            Some(_) => BackupTarget::There,
        },
    )
}

async fn read_backups(context: &Context, key: &Key) -> Result<Vec<TakenBackup>, RoundError> {
    let api: Api<GeodeBackup> = Api::namespaced(context.client.clone(), &key.namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(reading("backups"))?;
    Ok(list.into_iter().map(taken_backup).collect())
}

fn taken_backup(backup: GeodeBackup) -> TakenBackup {
    let (name, schedule) = (backup.name_any(), backup.labels().get(LABEL_SCHEDULE).cloned());
    let status = backup.status.unwrap_or_default();
    let location = status.location.as_deref();
    let place = |lsn: Option<&str>| BackupPlace::read(location?, lsn?);
    let cleaned = status.cleaned_up.as_ref();
    // A clean-up looks at the whole archive, whatever kind of backup it comes after.
    let kept = |is_full: bool, lsn: Option<&str>| place(lsn).map(|place| BackupPlace { is_full, ..place });
    TakenBackup {
        name,
        schedule,
        phase: status.phase,
        message: status.message,
        ended_at: status.completed_at.map(|time| time.0),
        place: place(status.lsn.as_deref()),
        oldest_kept: kept(true, cleaned.map(|cleaned| cleaned.oldest_lsn.as_str())),
        oldest_increment_kept: kept(
            false,
            cleaned.and_then(|cleaned| cleaned.oldest_increment_lsn.as_deref()),
        ),
    }
}

fn view(schedule: &GeodeBackupSchedule) -> ScheduleView {
    ScheduleView {
        name: schedule.name_any(),
        uid: schedule.uid().unwrap_or_default(),
        generation: schedule.metadata.generation.unwrap_or_default(),
        created_at: schedule
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        spec: schedule.spec.clone(),
        status: schedule.status.clone().unwrap_or_default(),
    }
}

/// The backup first, then the status: an operator that ends in between finds the backup by its name.
async fn keep_one(
    context: &Context,
    key: &Key,
    schedule: &mut GeodeBackupSchedule,
    backups: &[TakenBackup],
    target: BackupTarget,
    retention: Option<&RetentionSpec>,
    now: Timestamp,
) -> Result<Option<Timestamp>, RoundError> {
    let view = view(schedule);
    let step = keep_schedule(&view, backups, target, now);
    if let Some(backup) = &step.create {
        tracing::info!(cluster = %key, schedule = view.name, backup, "creating a scheduled backup");
        // Not because of what was true before.
        status::confirm(&api(context, key), &view.name, schedule.resource_version())
            .await
            .map_err(failed_to("write the status", &view.name))?;
        create(context, key, &view, backup, retention).await?;
    }
    if let Some(retention) = retention {
        for backup in expired_backups(&view.name, retention, backups, now) {
            tracing::info!(cluster = %key, schedule = view.name, backup, "deleting a GeodeBackup whose backup is gone");
            delete(context, key, &view.name, &backup).await?;
        }
    }
    if step.status != view.status {
        write_status(context, key, schedule, &step.status).await?;
        schedule.status = Some(step.status);
    }
    for news in &step.news {
        let reason = news.reason.to_string();
        context
            .event(schedule, news.warning, &reason, "Schedule", &news.note)
            .await;
    }
    Ok(step.wake)
}

async fn delete(context: &Context, key: &Key, schedule: &str, name: &str) -> Result<(), RoundError> {
    let api: Api<GeodeBackup> = Api::namespaced(context.client.clone(), &key.namespace);
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(failed_to("delete an expired backup", schedule)(error)),
    }
}

async fn create(
    context: &Context,
    key: &Key,
    view: &ScheduleView,
    name: &str,
    retention: Option<&RetentionSpec>,
) -> Result<(), RoundError> {
    let schedule = view.name.as_str();
    let api: Api<GeodeBackup> = Api::namespaced(context.client.clone(), &key.namespace);
    let mut backup = GeodeBackup::new(
        name,
        GeodeBackupSpec {
            cluster: key.name.clone(),
            kind: view.spec.kind.clone(),
            retention: retention.cloned(),
        },
    );
    let labels = [(LABEL_CLUSTER, key.name.as_str()), (LABEL_SCHEDULE, schedule)];
    backup.metadata.labels = Some(
        labels
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .into(),
    );
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let failed = failed_to("create a backup", schedule);
    match api.create(&params, &backup).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let found = api.get_metadata_opt(name).await.map_err(failed)?;
            let ours = found.is_some_and(|found| {
                found.labels().get(LABEL_SCHEDULE).map(String::as_str) == Some(schedule)
            });
            ours.then_some(()).ok_or_else(|| {
                RoundError::Taken(format!(
                    "GeodeBackup {name} was created by somebody else; the next round looks again"
                ))
            })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a status, provided that nobody has changed the schedule since it was read.
async fn write_status(
    context: &Context,
    key: &Key,
    schedule: &GeodeBackupSchedule,
    status: &GeodeBackupScheduleStatus,
) -> Result<(), RoundError> {
    let patch = json!({
        "metadata": { "resourceVersion": schedule.resource_version() },
        "status": status::with_absent(json!(status), &OPTIONAL),
    });
    let name = schedule.name_any();
    api(context, key)
        .patch_status(&name, &status::params(), &Patch::Merge(patch))
        .await
        .map(drop)
        .map_err(failed_to("write the status", &name))
}

/// A step that was refused is seen at the schedule as well. Its own failure is not: the step is tried again.
async fn report_failure(
    context: &Context,
    key: &Key,
    schedule: &GeodeBackupSchedule,
    error: &RoundError,
    now: Timestamp,
) {
    let said = error.to_string();
    let status = failed_schedule_status(&view(schedule), &said, now);
    if let Err(error) = write_status(context, key, schedule, &status).await {
        tracing::debug!(cluster = %key, %error, "the failure could not be reported");
    }
    context
        .event(
            schedule,
            true,
            &Reason::ActionFailed.to_string(),
            "Schedule",
            &said,
        )
        .await;
}
