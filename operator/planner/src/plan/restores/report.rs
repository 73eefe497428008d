//! What the status of a GeodeRestore tells people.

use crate::observed::{Observed, RestoreView};
use crate::plan::{Action, Step};
use crate::status::{condition, whole_second};
use geode_api::{ConditionType, GeodeRestoreStatus, Reason, RestorePhase};
use geode_types::{GroupId, LogIndex, Lsn};
use geode_wire::internal::MemberState;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// The status as an action; nothing when it says what is known already.
pub(super) fn record(
    restore: &RestoreView,
    status: GeodeRestoreStatus,
    reason: Reason,
    now: Timestamp,
) -> Option<Action> {
    told(restore, status, reason, now).map(|status| Action::RecordRestore {
        name: restore.name.clone(),
        status: Box::new(status),
    })
}

/// Completes the status with its conditions; nothing when it says what is known already.
pub(super) fn told(
    restore: &RestoreView,
    mut status: GeodeRestoreStatus,
    reason: Reason,
    now: Timestamp,
) -> Option<GeodeRestoreStatus> {
    let ready = matches!(reason, Reason::RestoreCompleted | Reason::RestorePreviewed);
    let stalled = matches!(reason, Reason::RestoreRefused | Reason::RestoreFailed);
    let message = status.message.clone().unwrap_or_default();
    status.observed_generation = Some(restore.generation);
    status.conditions = [
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, !ready && !stalled),
        (ConditionType::Stalled, stalled),
    ]
    .into_iter()
    .map(|(kind, holds)| {
        condition(
            &restore.status.conditions,
            kind,
            Some(holds),
            reason,
            &message,
            restore.generation,
            now,
        )
    })
    .collect();
    (status != restore.status).then_some(status)
}

/// The last LSN that anybody knows to be committed.
pub(super) fn committed(seen: &Observed) -> Option<String> {
    seen.seen().map(|(_, member)| member.committed).max().map(lsn)
}

pub(super) fn lsn(index: LogIndex) -> String {
    Lsn {
        group: GroupId(0),
        index,
    }
    .to_string()
}

/// Databases are exchanged since this moment. What an earlier exchange of the same GeodeRestore took is forgotten.
pub(super) fn stopped(before: GeodeRestoreStatus, since: &Time, said: &str) -> GeodeRestoreStatus {
    let same = before.stopped_at.as_ref() == Some(since);
    GeodeRestoreStatus {
        phase: RestorePhase::Running,
        message: Some(said.to_owned()),
        stopped_at: Some(since.clone()),
        serving_at: before.serving_at.filter(|_| same),
        seconds: before.seconds.filter(|_| same),
        completed_at: before.completed_at.filter(|_| same),
        ..before
    }
}

/// It is under way, and waits for what the first open question says.
pub(super) fn runs(mut status: GeodeRestoreStatus, open: &Step) -> (GeodeRestoreStatus, Reason) {
    status.phase = RestorePhase::Running;
    if let Some(said) = open.said() {
        status.message = Some(said.to_owned());
    }
    (status, Reason::Restoring)
}

/// What was restored, as the first member says that has the database with this identity: its log begins behind the last entry that was restored.
pub(super) fn restored(seen: &Observed, identity: &str, status: &mut GeodeRestoreStatus) {
    if status.lsn.is_some() {
        return;
    }
    let has_it = seen.seen().find(|(_, member)| {
        member.state == MemberState::Running && member.cluster_id.is_some_and(|id| id.to_string() == identity)
    });
    if let Some((_, member)) = has_it {
        status.cluster_id = Some(identity.to_owned());
        status.lsn = Some(lsn(member.purged));
        status.incarnation = Some(i64::from(member.incarnation.0));
    }
}

/// A leader serves, for the first time after the members were stopped.
pub(super) fn serves(status: &mut GeodeRestoreStatus, now: Timestamp) {
    if let (Some(stopped), None) = (&status.stopped_at, &status.serving_at) {
        status.seconds = Some(now.duration_since(stopped.0).as_secs());
        status.serving_at = Some(whole_second(now));
    }
}
