//! What the user sees: the status as a function of manifest, observation and plan. Nothing is remembered here but the times of changes.

use crate::build::selector;
use crate::maintenance;
use crate::names::Group;
use crate::observed::{MemberSeen, Observed};
use crate::plan::{Plan, Progress, trouble};
use crate::quorum::{Lead, majority};
use crate::want::Want;
use geode_api::{
    ArchiveStatus, ConditionType, GeodeClusterStatus, MemberStatus as MemberReport, ObserversStatus, Reason,
    runbook,
};
use geode_types::{GroupId, Lsn, Role};
use geode_wire::internal::{MemberState, MemberStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// An archive that is behind for longer than this is said to lag, seconds beyond `maxLag`.
const ARCHIVE_GRACE_SECONDS: i64 = 30;

/// Conditions of the database, whatever its manifest says.
const KEPT_WHEN_REFUSED: [ConditionType; 3] = [
    ConditionType::QuorumHealthy,
    ConditionType::Archiving,
    ConditionType::ObserversReady,
];

/// How the actions of the plan went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// All were done.
    Done,
    /// One failed, for this reason; the rest was not tried.
    Failed(String),
    /// The check refused the plan.
    Refused(String),
}

/// The status after a round.
pub fn cluster_status(
    want: &Want,
    seen: &Observed,
    plan: &Plan,
    report: &Report,
    now: Timestamp,
) -> GeodeClusterStatus {
    let lead = Lead::find(seen);
    let previous = &seen.status;
    let members = members(want, seen, lead.as_ref());
    let running: Vec<&str> = members
        .iter()
        .filter(|member| want.wants_pod(&member.pod) && member.state == "Running")
        .map(|member| member.pod.as_str())
        .collect();
    let up = of_group(want, Group::Voters, running.iter().copied());
    let observers_up = of_group(want, Group::Observers, running);
    let archive = archive(want, seen, lead.as_ref(), now);
    let archiving = archiving(want, lead.as_ref(), archive.as_ref());
    let mut status = GeodeClusterStatus {
        observed_generation: Some(want.generation),
        conditions: Vec::new(),
        cluster_id: previous.cluster_id.clone(),
        bootstrap: previous.bootstrap.clone(),
        images: previous.images.clone(),
        lives: previous.lives.clone(),
        version: lead
            .map(|lead| lead.status.version.clone())
            .or_else(|| previous.version.clone()),
        leader: lead.map(|lead| lead.pod.to_owned()),
        term: seen
            .seen()
            .filter_map(|(_, status)| i64::try_from(status.term).ok())
            .max()
            .filter(|term| *term > 0)
            .or(previous.term),
        ready: Some(format!("{up}/{}", want.members)),
        observers: Some(observers(want, seen, observers_up)),
        members,
        archive,
    };
    let mut set = |kind, (holds, reason, message): (Option<bool>, Reason, String)| {
        status.conditions.push(condition(
            &previous.conditions,
            kind,
            holds,
            reason,
            &message,
            want.generation,
            now,
        ));
    };
    set(ConditionType::Ready, ready(want, seen, plan, report, up));
    set(ConditionType::Reconciling, reconciling(want, plan, report, now));
    set(ConditionType::Stalled, stalled(plan, report));
    set(ConditionType::QuorumHealthy, quorum(seen, lead.as_ref()));
    set(ConditionType::Archiving, archiving);
    set(
        ConditionType::ObserversReady,
        observers_ready(want, plan, observers_up),
    );
    if let Some(verdict) = maintenance::verdict(want, seen, now) {
        set(ConditionType::Maintenance, verdict);
    }
    status
}

/// How many of these pods are of this group.
fn of_group<'a>(want: &Want, group: Group, pods: impl IntoIterator<Item = &'a str>) -> usize {
    pods.into_iter()
        .filter(|pod| want.names.ordinal(group, pod).is_some())
        .count()
}

fn observers(want: &Want, seen: &Observed, up: usize) -> ObserversStatus {
    let pods = of_group(want, Group::Observers, seen.pods.keys().map(String::as_str));
    ObserversStatus {
        ready: format!("{up}/{}", want.observers),
        replicas: i32::try_from(pods).unwrap_or(i32::MAX),
        selector: selector(want, Group::Observers),
    }
}

/// The status of a manifest that is refused: nothing is done, what is known stays.
pub fn invalid_status(
    previous: &GeodeClusterStatus,
    generation: i64,
    message: &str,
    now: Timestamp,
) -> GeodeClusterStatus {
    let mut status = previous.clone();
    status.observed_generation = Some(generation);
    let known = |kind: ConditionType| {
        previous
            .conditions
            .iter()
            .any(|condition| condition.type_ == kind.to_string())
    };
    status.conditions.retain(|condition| {
        KEPT_WHEN_REFUSED
            .iter()
            .any(|kind| kind.to_string() == condition.type_)
    });
    let verdicts = [
        (ConditionType::Ready, false),
        (ConditionType::Reconciling, false),
        (ConditionType::Stalled, true),
    ];
    let said = verdicts.map(|(kind, holds)| {
        condition(
            &previous.conditions,
            kind,
            Some(holds),
            Reason::InvalidSpec,
            message,
            generation,
            now,
        )
    });
    status.conditions.splice(0..0, said);
    for kind in KEPT_WHEN_REFUSED {
        if !known(kind) {
            status.conditions.push(condition(
                &[],
                kind,
                None,
                Reason::NotObserved,
                "",
                generation,
                now,
            ));
        }
    }
    status
}

/// The API server keeps whole seconds in the places that it defines; so do we.
pub(crate) fn whole_second(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// One condition; its time of change is kept while its value is. A reason that asks for a person names its runbook.
pub(crate) fn condition(
    previous: &[Condition],
    kind: ConditionType,
    holds: Option<bool>,
    reason: Reason,
    message: &str,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let status = match holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let since = previous
        .iter()
        .find(|condition| condition.type_ == kind.to_string() && condition.status == status)
        .map_or_else(
            || whole_second(now),
            |condition| condition.last_transition_time.clone(),
        );
    let message = match runbook(reason) {
        Some(runbook) if message.is_empty() => runbook,
        Some(runbook) => format!("{message} ({runbook})"),
        None => message.to_owned(),
    };
    Condition {
        type_: kind.to_string(),
        status: status.to_owned(),
        reason: reason.to_string(),
        message,
        observed_generation: Some(generation),
        last_transition_time: since,
    }
}

/// Whether a condition holds, why, and a sentence.
pub(crate) type Verdict = (Option<bool>, Reason, String);

fn ready(want: &Want, seen: &Observed, plan: &Plan, report: &Report, up: usize) -> Verdict {
    match report {
        Report::Refused(violation) => return (Some(false), Reason::UnsafePlan, violation.clone()),
        Report::Failed(error) => return (Some(false), Reason::ActionFailed, error.clone()),
        Report::Done => {}
    }
    match &plan.progress {
        // Whoever reads and writes here needs no observer.
        Progress::Working(..) | Progress::Waiting(..) | Progress::Resting(..)
            if plan.concerns == Group::Observers && labels_are_set(seen) =>
        {
            all_ready(want, up)
        }
        // An action that belongs to no question is a label; it is there in the next round, and readiness waits for it.
        Progress::Idle if labels_are_set(seen) => all_ready(want, up),
        Progress::Idle => (Some(false), Reason::Applying, "labelling the pods".to_owned()),
        Progress::Working(reason, message)
        | Progress::Waiting(reason, message)
        | Progress::Stuck(reason, message)
        | Progress::Resting(reason, message) => (Some(false), *reason, message.clone()),
    }
}

fn all_ready(want: &Want, up: usize) -> Verdict {
    let message = format!("{up} of {} members are up and caught up", want.members);
    (Some(true), Reason::AllMembersReady, message)
}

fn observers_ready(want: &Want, plan: &Plan, up: usize) -> Verdict {
    let message = format!("{up} of {} observers are up and caught up", want.observers);
    match &plan.progress {
        Progress::Working(reason, message)
        | Progress::Waiting(reason, message)
        | Progress::Stuck(reason, message)
        | Progress::Resting(reason, message)
            if plan.concerns == Group::Observers =>
        {
            (Some(false), *reason, message.clone())
        }
        _ if up == want.observers as usize => (Some(true), Reason::AllMembersReady, message),
        _ => (Some(false), Reason::MemberNotReady, message),
    }
}

fn labels_are_set(seen: &Observed) -> bool {
    let lead = Lead::find(seen);
    lead.is_some_and(|lead| {
        seen.pods
            .iter()
            .all(|(pod, view)| (view.role.as_deref() == Some("leader")) == (pod == lead.pod))
    })
}

fn reconciling(want: &Want, plan: &Plan, report: &Report, now: Timestamp) -> Verdict {
    if let Some(pause) = want.maintenance.pause(now) {
        return (Some(false), Reason::Paused, pause.describe());
    }
    if let Report::Failed(error) = report {
        return (Some(true), Reason::ActionFailed, error.clone());
    }
    match &plan.progress {
        Progress::Working(reason, message) | Progress::Waiting(reason, message) => {
            (Some(true), *reason, message.clone())
        }
        Progress::Resting(reason, message) => (Some(false), *reason, message.clone()),
        Progress::Idle | Progress::Stuck(..) => (Some(false), Reason::Idle, String::new()),
    }
}

fn stalled(plan: &Plan, report: &Report) -> Verdict {
    match (report, &plan.progress) {
        (Report::Refused(violation), _) => (Some(true), Reason::UnsafePlan, violation.clone()),
        (_, Progress::Stuck(reason, message)) => (Some(true), *reason, message.clone()),
        _ => (Some(false), Reason::Idle, String::new()),
    }
}

fn quorum(seen: &Observed, lead: Option<&Lead<'_>>) -> Verdict {
    if let Some(lead) = lead {
        let (up, of) = (lead.caught_up_among(lead.voters()), lead.voters().len());
        return (
            Some(true),
            Reason::LeaderElected,
            format!("{} leads; {up} of {of} voters have caught up", lead.pod),
        );
    }
    let newest = seen
        .seen()
        .map(|(_, status)| &status.membership)
        .max_by_key(|membership| membership.index);
    let voters = newest.map_or(&[][..], |membership| &membership.voters);
    if voters.is_empty() {
        return (
            None,
            Reason::NotObserved,
            "no member of the cluster answers".to_owned(),
        );
    }
    let answering = seen
        .seen()
        .filter(|(_, status)| voters.contains(&status.address.id))
        .count();
    let message = format!(
        "no leader is known; {answering} of {} voters answer",
        voters.len()
    );
    if answering >= majority(voters.len()) {
        (Some(false), Reason::LeaderUnknown, message)
    } else {
        (Some(false), Reason::QuorumLost, message)
    }
}

fn members(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>) -> Vec<MemberReport> {
    let mut pods: Vec<String> = want.pods().collect();
    pods.extend(seen.pods.keys().filter(|pod| !want.wants_pod(pod)).cloned());
    pods.into_iter()
        .map(|pod| member(want, seen, lead, pod))
        .collect()
}

fn member(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>, pod: String) -> MemberReport {
    let observes = want.names.ordinal(Group::Observers, &pod).is_some();
    let Some(MemberSeen::Seen(status)) = seen.members.get(&pod) else {
        let before = seen.status.members.iter().find(|member| member.pod == pod);
        let sleeps = want.maintenance.hibernates && !seen.pods.contains_key(&pod);
        return MemberReport {
            role: if observes { "observer" } else { "unknown" }.to_owned(),
            state: if sleeps { "Hibernated" } else { "Unreachable" }.to_owned(),
            message: (!sleeps).then(|| trouble(seen, &pod)),
            node_id: before.and_then(|member| member.node_id),
            version: before.and_then(|member| member.version.clone()),
            pod,
            ..MemberReport::default()
        };
    };
    let id = status.address.id;
    let (state, message) = state(lead, status);
    MemberReport {
        node_id: i64::try_from(id.0).ok(),
        role: role(lead, status, observes).to_string(),
        state: state.to_owned(),
        lag_ms: lead
            .and_then(|lead| lead.lag_ms(id))
            .and_then(|lag| i64::try_from(lag).ok()),
        applied: i64::try_from(status.applied.0).ok(),
        version: Some(status.version.clone()),
        message,
        pod,
    }
}

/// Only the confirmed leader is called one; a former leader that does not know yet is a follower. Who has no vote yet and is to have one joins.
fn role(lead: Option<&Lead<'_>>, status: &MemberStatus, observes: bool) -> Role {
    match (lead, status.role) {
        (Some(lead), Role::Leader) if lead.id() != status.address.id => Role::Follower,
        (_, Role::Observer) if !observes => Role::Joining,
        (_, role) => role,
    }
}

fn state(lead: Option<&Lead<'_>>, status: &MemberStatus) -> (&'static str, Option<String>) {
    match status.state {
        MemberState::Empty => return ("Empty", None),
        MemberState::Restoring => return ("Restoring", None),
        MemberState::Fenced => return ("Fenced", status.not_ready.clone()),
        MemberState::Running => {}
    }
    if let Some(reason) = &status.not_ready {
        return ("NotReady", Some(reason.clone()));
    }
    if let Some(reason) = &status.read_only {
        return ("ReadOnly", Some(reason.clone()));
    }
    match lead {
        Some(lead) if lead.caught_up(status.address.id) => ("Running", None),
        Some(lead) => (
            "Behind",
            lead.lag_entries(status.address.id)
                .map(|entries| format!("{entries} log entries behind")),
        ),
        None => ("NotReady", Some("no leader is known".to_owned())),
    }
}

fn archive(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>, now: Timestamp) -> Option<ArchiveStatus> {
    want.archive.as_ref()?;
    let Some(report) = lead.and_then(|lead| lead.status.archive.as_ref()) else {
        return seen.status.archive.clone();
    };
    let archived_up_to = Lsn {
        group: GroupId(0),
        index: report.archived_up_to,
    }
    .to_string();
    let behind = lead.is_some_and(|lead| report.archived_up_to < lead.status.committed);
    let before = seen
        .status
        .archive
        .as_ref()
        .filter(|before| before.archived_up_to == archived_up_to);
    // When something new was committed after a quiet hour, the archive is behind since now, not since an hour.
    let since = before.and_then(|before| before.behind_since.clone());
    let behind_since = behind.then(|| since.unwrap_or(Time(now)));
    let lag_seconds = behind_since
        .as_ref()
        .map_or(0, |since| now.duration_since(since.0).as_secs().max(0));
    Some(ArchiveStatus {
        archived_up_to,
        lag_seconds: Some(lag_seconds),
        behind_since,
    })
}

fn archiving(want: &Want, lead: Option<&Lead<'_>>, archive: Option<&ArchiveStatus>) -> Verdict {
    if want.archive.is_none() {
        return (
            Some(false),
            Reason::ArchiveNotConfigured,
            "spec.archive is absent: nothing is archived".to_owned(),
        );
    }
    let Some(lead) = lead else {
        return (
            None,
            Reason::LeaderUnknown,
            "the archive is looked after by the leader's sidecar".to_owned(),
        );
    };
    let Some(report) = &lead.status.archive else {
        return (
            None,
            Reason::NotObserved,
            "the leader's sidecar has not reported yet".to_owned(),
        );
    };
    if let Some(failure) = &report.failing {
        let reason = Reason::parse(&failure.reason).unwrap_or(Reason::ArchiveUnreachable);
        return (Some(false), reason, failure.message.clone());
    }
    if let Some(gap) = &report.gap {
        let message = format!(
            "{} entries between {} and {} are missing in the archive; a base backup is taken, and restores can begin after it",
            gap.entries, gap.first, gap.last
        );
        return (Some(false), Reason::ArchiveGap, message);
    }
    let lag = archive.and_then(|archive| archive.lag_seconds).unwrap_or(0);
    let allowed =
        ARCHIVE_GRACE_SECONDS + seconds(want.archive.as_ref().map_or("", |archive| &archive.max_lag));
    if lag > allowed {
        let message = format!(
            "committed up to {}, archived up to {} for {lag} s",
            lead.status.committed, report.archived_up_to
        );
        return (Some(false), Reason::ArchiveLagging, message);
    }
    (
        Some(true),
        Reason::ArchiveUpToDate,
        "the archive follows the log".to_owned(),
    )
}

/// Whole seconds of a duration such as `5s`, `500ms` or `2m`.
fn seconds(duration: &str) -> i64 {
    let unit_at = duration
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(duration.len());
    let (number, unit) = duration.split_at(unit_at);
    let number: i64 = number.parse().unwrap_or(0);
    match unit {
        "ms" => number / 1_000,
        "m" => number * 60,
        _ => number,
    }
}
