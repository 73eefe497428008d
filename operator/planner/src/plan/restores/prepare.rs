//! Before anything is stopped: a sidecar of the running cluster looks what would be restored, by the plan that the restore itself will follow, and what
//! is committed by then reaches the archive. A source that cannot be restored is refused here, where it costs nothing. A cluster of which no server
//! answers is restored without: that may be why it is restored.

use crate::observed::{Observed, RestoreView};
use crate::plan::restores::report;
use crate::plan::{Action, exchange};
use crate::quorum::Lead;
use crate::status::whole_second;
use crate::want::{Want, goal};
use geode_api::{GeodeRestoreStatus, RestoreOrder, RestorePhase, RestorePlanStatus};
use geode_types::Lsn;
use geode_wire::internal::{Task, TaskKind, TaskResult, TaskState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

/// A server that answers may take so long to come.
const NOBODY_ANSWERS_SECONDS: i64 = 120;
/// The archive may take so long to get what is committed; the volumes have it all the same.
const ARCHIVE_SECONDS: i64 = 60;

/// How far the preparation is.
pub(super) enum Prepared {
    /// It cannot be; nothing was touched.
    Refused(String),
    /// Something has to happen first, perhaps by this question to a sidecar.
    Waits(Box<GeodeRestoreStatus>, Option<Action>),
    /// Everything is known.
    Ready(Box<GeodeRestoreStatus>, RestoreOrder),
}

/// `lead` is needed for what is to be carried out, not for a preview.
pub(super) fn plan(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    restore: &RestoreView,
    now: Timestamp,
) -> Prepared {
    let mut status = GeodeRestoreStatus {
        phase: RestorePhase::Pending,
        ..restore.status.clone()
    };
    status.started_at.get_or_insert_with(|| whole_second(now));
    let (order, task) = match order(want, seen, restore) {
        Ok(found) => found,
        Err(reason) => return Prepared::Refused(reason),
    };
    if status.plan.is_none() {
        let patient =
            restore.spec.preview || !is_over(status.started_at.as_ref(), NOBODY_ANSWERS_SECONDS, now);
        match look(seen, &task, &mut status, now) {
            Looked::Known if restore.spec.preview => {}
            // Told before anything is decided on it.
            Looked::Known => {
                status.message = Some("it is known what would be restored".to_owned());
                return Prepared::Waits(Box::new(status), None);
            }
            Looked::Nobody if !patient => {}
            Looked::Nobody => {
                status.message =
                    Some("waiting for a server that answers, to look what would be restored".to_owned());
                return Prepared::Waits(Box::new(status), None);
            }
            Looked::Waits(task) => return Prepared::Waits(Box::new(status), task),
            Looked::Refused(reason) => return Prepared::Refused(reason),
        }
    }
    if restore.spec.preview {
        return Prepared::Ready(Box::new(status), order);
    }
    if let Some(reason) = exchange::obstacle(want, seen).or_else(|| unarchived(lead, &status, now)) {
        status.message = Some(reason);
        return Prepared::Waits(Box::new(status), None);
    }
    Prepared::Ready(Box::new(status), order)
}

fn is_over(since: Option<&Time>, seconds: i64, now: Timestamp) -> bool {
    since.is_none_or(|since| now.duration_since(since.0).as_secs() > seconds)
}

/// What is to be restored, and the question about it.
fn order(want: &Want, seen: &Observed, restore: &RestoreView) -> Result<(RestoreOrder, Task), String> {
    let Some(archive) = &want.archive else {
        return Err("the cluster has no spec.archive: the source is read with the endpoint and the credentials given there".to_owned());
    };
    if Uuid::parse_str(&restore.uid).is_err() {
        return Err(format!("the uid {} of this object is not a UUID", restore.uid));
    }
    let source = match (&restore.spec.source, want.memory.cluster_id) {
        (Some(source), _) => source.clone(),
        (None, Some(id)) => archive.history(id),
        (None, None) => {
            return Err("the cluster has no database yet; name a spec.source".to_owned());
        }
    };
    let spec = restore.spec.target.clone().unwrap_or_default();
    let goal = goal(&spec).map_err(|invalid| invalid.to_string())?;
    let task = Task {
        name: format!("plan-{}", restore.uid),
        kind: TaskKind::PlanRestore {
            source: source.clone(),
            goal,
        },
    };
    let order = RestoreOrder {
        name: restore.name.clone(),
        uid: restore.uid.clone(),
        source,
        target: spec,
        graphs: restore.spec.graphs.clone(),
        previous: seen.life,
    };
    Ok((order, task))
}

enum Looked {
    Known,
    Nobody,
    Waits(Option<Action>),
    Refused(String),
}

/// Any sidecar can look, whatever its server does. One that forgot the question is asked again.
fn look(seen: &Observed, task: &Task, status: &mut GeodeRestoreStatus, now: Timestamp) -> Looked {
    let asked = status.pod.clone().filter(|pod| seen.member(pod).is_some());
    let first = || {
        let pods = seen.seen().map(|(pod, _)| pod);
        pods.max_by_key(|pod| seen.is_running(pod)).map(str::to_owned)
    };
    let Some(pod) = asked.or_else(first) else {
        return Looked::Nobody;
    };
    status.pod = Some(pod.clone());
    let reports = seen.member(&pod).into_iter().flat_map(|member| &member.tasks);
    let Some(report) = reports.into_iter().find(|report| report.task == *task) else {
        status.message = Some(format!("the sidecar of {pod} looks what would be restored"));
        let task = task.clone();
        return Looked::Waits(Some(Action::FileTask { pod, task }));
    };
    match &report.state {
        TaskState::Waiting => status.message = Some(format!("waiting for the sidecar of {pod}")),
        TaskState::Running(progress) => {
            status.message = Some(format!(
                "the sidecar of {pod} looks what would be restored; {progress}"
            ));
        }
        TaskState::Failed(reason) => return Looked::Refused(reason.clone()),
        TaskState::Done(result) => {
            known(seen, result, status, now);
            return Looked::Known;
        }
    }
    Looked::Waits(None)
}

fn known(seen: &Observed, result: &TaskResult, status: &mut GeodeRestoreStatus, now: Timestamp) {
    status.plan = Some(RestorePlanStatus {
        location: result.location.clone(),
        lsn: report::lsn(result.index),
        bytes: i64::try_from(result.bytes).unwrap_or(i64::MAX),
    });
    status.planned_at = Some(whole_second(now));
    status.lsn_before = report::committed(seen);
}

/// What the archive lacks of what was committed when it was known what would be restored.
fn unarchived(lead: Option<&Lead<'_>>, status: &GeodeRestoreStatus, now: Timestamp) -> Option<String> {
    let before: Lsn = status.lsn_before.as_ref()?.parse().ok()?;
    let archived = lead?.status.archive.as_ref()?.archived_up_to;
    let patient = !is_over(status.planned_at.as_ref(), ARCHIVE_SECONDS, now);
    (patient && archived < before.index)
        .then(|| format!("archived up to {archived}; waiting for {}", before.index))
}
