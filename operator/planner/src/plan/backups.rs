//! Backups: one at a time, by the sidecar of an observer when there is one, else of a follower. The task is filed with a member and its report is read from
//! that member's status, so a restart of the operator loses nothing; a member that forgot the task is told again. A gap of the archive that nobody
//! can close is covered by a backup of its own.

use crate::names::Group;
use crate::observed::{BackupView, Observed};
use crate::plan::Action;
use crate::quorum::Lead;
use crate::status::{condition, whole_second};
use crate::want::Want;
use geode_api::{BackupPhase, CleanedUpStatus, ConditionType, GeodeBackupStatus, Reason};
use geode_types::{CleanedUp, GroupId, LogIndex, Lsn, Retention, Role};
use geode_wire::internal::{MemberStatus, Task, TaskKind, TaskResult, TaskState};
use k8s_openapi::jiff::Timestamp;

/// A backup that takes longer is given up, so that it cannot hold back updates for ever.
const DEADLINE_SECONDS: i64 = 12 * 3600;

pub(super) fn plan(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>, now: Timestamp) -> Vec<Action> {
    let Some(backup) = seen.backups.iter().find(|backup| !backup.status.phase.is_final()) else {
        return cover_gap(want, seen, lead);
    };
    if want.archive.is_none() {
        return record(backup, fail(backup, "the cluster has no spec.archive", now), now);
    }
    if now.duration_since(backup.created_at).as_secs() > DEADLINE_SECONDS {
        return record(backup, fail(backup, "it did not end within 12 hours", now), now);
    }
    let Some(lead) = lead else { return Vec::new() };
    let reachable = backup.status.pod.as_ref().filter(|pod| seen.is_running(pod));
    match reachable {
        Some(pod) => follow(backup, seen, pod, now),
        None => begin(want, backup, seen, lead, now),
    }
}

/// Once for each gap: a backup that failed tells a person, and is not repeated for ever. Its name says for which gap it is, so an operator
/// that forgot it finds it.
fn cover_gap(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>) -> Vec<Action> {
    let report = lead.and_then(|lead| lead.status.archive.as_ref());
    let Some(gap) = report
        .and_then(|report| report.gap)
        .filter(|_| want.archive.is_some())
    else {
        return Vec::new();
    };
    let name = format!("{}-gap-{}", want.names.cluster, gap.last);
    if seen.backups.iter().any(|backup| backup.name == name) {
        return Vec::new();
    }
    vec![Action::TakeBackup { name }]
}

/// Files it, with an observer that has caught up if there is one: a backup costs disk and network, and it carries no writes. Else with a follower.
fn begin(want: &Want, backup: &BackupView, seen: &Observed, lead: &Lead<'_>, now: Timestamp) -> Vec<Action> {
    let able = |pod: &str, status: &MemberStatus| lead.caught_up(status.address.id) && seen.is_running(pod);
    let observer = want
        .pods_of(Group::Observers)
        .find(|pod| seen.member(pod).is_some_and(|status| able(pod, status)));
    let follower = || {
        seen.seen()
            .find(|(pod, status)| status.role == Role::Follower && able(pod, status))
            .map(|(pod, _)| pod.to_owned())
    };
    let pod = observer.or_else(follower).unwrap_or_else(|| lead.pod.to_owned());
    let status = GeodeBackupStatus {
        phase: BackupPhase::Running,
        pod: Some(pod.clone()),
        started_at: Some(whole_second(now)),
        message: Some(format!("filed with {pod}")),
        ..GeodeBackupStatus::default()
    };
    let mut actions = record(backup, status, now);
    actions.push(Action::FileTask {
        pod,
        task: task(backup),
    });
    actions
}

fn task(backup: &BackupView) -> Task {
    Task {
        name: format!("backup-{}", backup.uid),
        kind: TaskKind::Backup {
            retention: backup.retention.as_ref().map(|retention| Retention {
                days: retention.days,
                min_count: retention.min_count,
                wal_days: retention.wal_days,
                incremental_days: retention.incremental_days,
                incremental_min_count: retention.incremental_min_count.unwrap_or_default(),
            }),
            kind: backup.kind,
        },
    }
}

fn follow(backup: &BackupView, seen: &Observed, pod: &str, now: Timestamp) -> Vec<Action> {
    let task = task(backup);
    let report = seen
        .member(pod)
        .and_then(|status| status.tasks.iter().find(|report| report.task == task));
    let Some(report) = report else {
        return vec![Action::FileTask {
            pod: pod.to_owned(),
            task,
        }];
    };
    let mut status = backup.status.clone();
    match &report.state {
        TaskState::Waiting => status.message = Some(format!("waiting for the sidecar of {pod}")),
        TaskState::Running(progress) => status.message = Some(progress.clone()),
        TaskState::Failed(reason) => status = fail(backup, reason, now),
        TaskState::Done(result) => status = complete(backup, result, now),
    }
    record(backup, status, now)
}

fn complete(backup: &BackupView, result: &TaskResult, now: Timestamp) -> GeodeBackupStatus {
    GeodeBackupStatus {
        phase: BackupPhase::Completed,
        message: match &result.cleaned_up {
            Some(Err(reason)) => Some(format!("complete; the archive could not be cleaned up: {reason}")),
            _ => None,
        },
        kind: Some(result.kind.to_string()),
        parent: (!result.parent.is_empty()).then(|| result.parent.clone()),
        location: Some(result.location.clone()),
        lsn: Some(lsn(result.index)),
        cleaned_up: match &result.cleaned_up {
            Some(Ok(cleaned)) => Some(cleaned_up(cleaned)),
            _ => None,
        },
        state_hash: Some(result.state_hash.clone()),
        bytes: i64::try_from(result.bytes).ok(),
        completed_at: Some(whole_second(now)),
        ..backup.status.clone()
    }
}

fn lsn(index: LogIndex) -> String {
    let group = GroupId(0);
    Lsn { group, index }.to_string()
}

fn cleaned_up(cleaned: &CleanedUp) -> CleanedUpStatus {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    CleanedUpStatus {
        backups: number(cleaned.bases),
        segments: number(cleaned.segments),
        bytes: number(cleaned.bytes),
        oldest_lsn: lsn(cleaned.oldest),
        increments: number(cleaned.increments),
        oldest_increment_lsn: (cleaned.oldest_increment > LogIndex(0)).then(|| lsn(cleaned.oldest_increment)),
    }
}

fn fail(backup: &BackupView, reason: &str, now: Timestamp) -> GeodeBackupStatus {
    GeodeBackupStatus {
        phase: BackupPhase::Failed,
        message: Some(reason.to_owned()),
        completed_at: Some(whole_second(now)),
        ..backup.status.clone()
    }
}

/// Completes the status with its conditions; nothing when it says what is known already.
fn record(backup: &BackupView, mut status: GeodeBackupStatus, now: Timestamp) -> Vec<Action> {
    let (ready, reconciling, stalled, reason) = match status.phase {
        BackupPhase::Pending => (false, true, false, Reason::BackupWaiting),
        BackupPhase::Running => (false, true, false, Reason::BackupRunning),
        BackupPhase::Completed => (true, false, false, Reason::BackupCompleted),
        BackupPhase::Failed => (false, false, true, Reason::BackupFailed),
    };
    let message = status.message.clone().unwrap_or_default();
    status.observed_generation = Some(backup.generation);
    status.conditions = [
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
    ]
    .into_iter()
    .map(|(kind, holds)| {
        condition(
            &backup.status.conditions,
            kind,
            Some(holds),
            reason,
            &message,
            backup.generation,
            now,
        )
    })
    .collect();
    if status == backup.status {
        return Vec::new();
    }
    vec![Action::RecordBackup {
        name: backup.name.clone(),
        status: Box::new(status),
    }]
}
