//! Does the database exist? It is begun once: the decision is recorded before it is carried out, and never taken again once any member reports
//! a cluster's identity. Volumes that an earlier cluster of the same name left behind are adopted, not overwritten.

use crate::names::Group;
use crate::observed::Observed;
use crate::plan::history::{self, History};
use crate::plan::scale::{self, is_from_before};
use crate::plan::{Action, Step, trouble};
use crate::status::whole_second;
use crate::want::{Memory, Want, goal};
use geode_api::{BootstrapMethod, BootstrapStatus, Reason};
use geode_types::{ClusterId, GraphSelection};
use geode_wire::internal::{MemberState, Task, TaskKind, TaskState};
use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

pub(super) fn plan(want: &Want, seen: &Observed, now: Timestamp) -> Step {
    if let Some(known) = want.memory.cluster_id {
        return existing(want, seen, known);
    }
    let found = seen.cluster_ids();
    match found.len() {
        0 => begin(want, seen, now),
        1 => match found.first() {
            Some(id) => take_over(want, seen, *id, now),
            None => Step::Clear,
        },
        _ => Step::Stuck(Reason::ForeignVolume, foreign(seen, None)),
    }
}

/// The identity is known: are these its members?
fn existing(want: &Want, seen: &Observed, known: ClusterId) -> Step {
    if seen
        .seen()
        .any(|(_, status)| status.cluster_id.is_some_and(|id| id != known))
    {
        return Step::Stuck(Reason::ForeignVolume, foreign(seen, Some(known)));
    }
    // Pods beyond the wanted ones count too: while a cluster shrinks, the data may be there only. An observer's copy elects nobody.
    let there = seen.pods.keys().cloned();
    let there = there.filter(|pod| want.names.ordinal(Group::Voters, pod).is_some());
    let all_empty = want.pods_of(Group::Voters).chain(there).all(|pod| {
        seen.member(&pod)
            .is_some_and(|status| status.state == MemberState::Empty)
    });
    if all_empty {
        return Step::Stuck(
            Reason::DataLost,
            format!("cluster {known} existed, and every volume of those who vote is empty now"),
        );
    }
    Step::Clear
}

fn foreign(seen: &Observed, known: Option<ClusterId>) -> String {
    let volumes: Vec<String> = seen
        .seen()
        .filter_map(|(pod, status)| {
            status
                .cluster_id
                .filter(|id| Some(*id) != known)
                .map(|id| format!("{pod} holds cluster {id}"))
        })
        .collect();
    match known {
        Some(known) => format!("this is cluster {known}, but {}", volumes.join(", ")),
        None => format!("the volumes belong to different clusters: {}", volumes.join(", ")),
    }
}

/// A member reports an identity that is not recorded yet: ours, after it was initialized or restored, or that of an earlier cluster.
fn take_over(want: &Want, seen: &Observed, found: ClusterId, now: Timestamp) -> Step {
    let restoring = seen
        .seen()
        .any(|(_, status)| status.state == MemberState::Restoring);
    if restoring {
        return restore_progress(want, seen);
    }
    let begun = want
        .memory
        .bootstrap
        .as_ref()
        .filter(|bootstrap| bootstrap.cluster_id == found.to_string());
    if let (Some(order), None) = (want.order(), begun) {
        let restored = Uuid::parse_str(&order.uid).ok().map(ClusterId);
        return Step::Stuck(Reason::ForeignVolume, foreign(seen, restored));
    }
    let bootstrap = begun.cloned().unwrap_or_else(|| BootstrapStatus {
        method: BootstrapMethod::Adopt,
        pod: seen
            .seen()
            .find(|(_, status)| status.cluster_id.is_some())
            .map_or_else(String::new, |(pod, _)| pod.to_owned()),
        cluster_id: found.to_string(),
        source: None,
        started_at: whole_second(now),
    });
    let message = format!("the database {found} exists");
    let memory = Memory {
        bootstrap: Some(bootstrap),
        cluster_id: Some(found),
        images: Some(want.images_unnamed.clone()),
        lives: want.memory.lives.clone(),
    };
    Step::Act(
        vec![Action::Record(Box::new(memory))],
        Reason::Bootstrapping,
        message,
    )
}

/// No member has data. The first member is begun as soon as it is sure that no volume with data is still out of sight.
fn begin(want: &Want, seen: &Observed, now: Timestamp) -> Step {
    let first = want.names.pod(Group::Voters, 0);
    let status = seen.member(&first);
    if status.is_some_and(|status| status.state == MemberState::Restoring) {
        return restore_progress(want, seen);
    }
    for group in Group::ALL {
        if let Some(pods) = pods_for_all_volumes(want, seen, group) {
            return scale::grow(want, seen, group, pods);
        }
    }
    if status.is_none() {
        return Step::Wait(Reason::WaitingForPods, trouble(seen, &first));
    }
    if let Some(unseen) = out_of_sight(want, seen) {
        return Step::Wait(
            Reason::WaitingForPods,
            format!("a volume from before may hold data: {}", trouble(seen, &unseen)),
        );
    }
    // Asked before anything is decided, and the answer is recorded with the decision.
    let found = match &want.restore {
        Some(restore) if restore.if_exists && want.memory.bootstrap.is_none() => {
            match history::look(want, seen, &first, &restore.source) {
                History::Known(found) => Some(found),
                History::Open(step) => return step,
            }
        }
        _ => None,
    };
    let nothing_archived = found == Some(None);
    let Some((method, cluster_id)) = decision(want, nothing_archived) else {
        return Step::Stuck(
            Reason::InvalidSpec,
            format!("the uid {} of this object is not a UUID", want.uid),
        );
    };
    let mut actions = Vec::new();
    if want.memory.bootstrap.is_none() {
        let bootstrap = BootstrapStatus {
            method,
            pod: first.clone(),
            cluster_id: cluster_id.to_string(),
            source: found.clone().flatten(),
            started_at: whole_second(now),
        };
        let memory = Memory {
            bootstrap: Some(bootstrap),
            images: Some(want.images_unnamed.clone()),
            cluster_id: None,
            lives: want.memory.lives.clone(),
        };
        actions.push(Action::Record(Box::new(memory)));
    }
    match method {
        BootstrapMethod::Restore => restore(want, seen, cluster_id, found.flatten(), actions),
        BootstrapMethod::Initialize | BootstrapMethod::Adopt => {
            actions.push(Action::Initialize {
                pod: first.clone(),
                cluster_id,
            });
            Step::Act(
                actions,
                Reason::Bootstrapping,
                format!("initializing the database on {first}"),
            )
        }
    }
}

/// The first member fetches and replays, by the order of a restore in place or by the manifest's own. `found` is the history that is about to
/// be recorded.
fn restore(
    want: &Want,
    seen: &Observed,
    cluster_id: ClusterId,
    found: Option<String>,
    mut actions: Vec<Action>,
) -> Step {
    let first = want.names.pod(Group::Voters, 0);
    if let Some(reason) = restore_failure(want, seen) {
        return Step::Stuck(Reason::RestoreFailed, reason);
    }
    if restore_state(want, seen).is_some() {
        return restore_progress(want, seen);
    }
    let recorded = want
        .memory
        .bootstrap
        .as_ref()
        .and_then(|bootstrap| bootstrap.source.clone());
    let (source, goal, graphs) = match (want.order(), &want.restore) {
        (Some(order), _) => (order.source.clone(), goal(&order.target), &order.graphs),
        (None, Some(restore)) => {
            let source = recorded.or(found).unwrap_or_else(|| restore.source.clone());
            (source, Ok(restore.goal.clone()), &restore.graphs)
        }
        (None, None) => {
            let message = "the database was to be restored, and nothing says from where any more";
            return Step::Stuck(Reason::RestoreFailed, message.to_owned());
        }
    };
    let goal = match goal {
        Ok(goal) => goal,
        Err(refused) => return Step::Stuck(Reason::RestoreFailed, refused.to_string()),
    };
    let message = format!("restoring {source} on {first}");
    let kind = TaskKind::Restore {
        source,
        goal,
        cluster_id,
        graphs: match graphs.as_slice() {
            [] => GraphSelection::All,
            names => GraphSelection::Only(names.to_vec()),
        },
    };
    actions.push(Action::FileTask {
        pod: first,
        task: Task {
            name: restore_task_name(want),
            kind,
        },
    });
    Step::Act(actions, Reason::Restoring, message)
}

/// A recorded decision stands; otherwise the manifest decides.
fn decision(want: &Want, nothing_archived: bool) -> Option<(BootstrapMethod, ClusterId)> {
    if let Some(bootstrap) = &want.memory.bootstrap
        && let Ok(id) = Uuid::parse_str(&bootstrap.cluster_id)
    {
        return Some((bootstrap.method, ClusterId(id)));
    }
    let method = if want.restore.is_some() && !nothing_archived {
        BootstrapMethod::Restore
    } else {
        BootstrapMethod::Initialize
    };
    Some((method, want.cluster_id()?))
}

/// A pod whose server does not answer although its volume is older than the manifest: it may hold the data of an earlier cluster.
fn out_of_sight(want: &Want, seen: &Observed) -> Option<String> {
    seen.claims
        .values()
        .filter(|claim| is_from_before(want, claim))
        .find(|claim| seen.member(&claim.pod).is_none())
        .map(|claim| claim.pod.clone())
}

/// How many pods it takes to look at every volume of a group that an earlier cluster left behind, when there are too few.
fn pods_for_all_volumes(want: &Want, seen: &Observed, group: Group) -> Option<u32> {
    let set = seen.sets.get(&group)?;
    let left = seen.claims.values().filter(|claim| is_from_before(want, claim));
    let highest = left
        .filter_map(|claim| want.names.ordinal(group, &claim.pod))
        .max()?;
    (highest >= set.replicas).then_some(highest + 1)
}

fn restore_task_name(want: &Want) -> String {
    let uid = want.order().map_or(&want.uid, |order| &order.uid);
    format!("restore-{uid}")
}

fn restore_state<'a>(want: &Want, seen: &'a Observed) -> Option<&'a TaskState> {
    let name = restore_task_name(want);
    seen.seen()
        .flat_map(|(_, status)| &status.tasks)
        .find(|report| report.task.name == name)
        .map(|report| &report.state)
}

/// Why the restore that the life in use begins with does not succeed.
pub(super) fn restore_failure(want: &Want, seen: &Observed) -> Option<String> {
    match restore_state(want, seen) {
        Some(TaskState::Failed(reason)) => Some(reason.clone()),
        _ => None,
    }
}

fn restore_progress(want: &Want, seen: &Observed) -> Step {
    match restore_state(want, seen) {
        Some(TaskState::Failed(reason)) => Step::Stuck(Reason::RestoreFailed, reason.clone()),
        Some(TaskState::Running(progress)) => Step::Wait(Reason::Restoring, progress.clone()),
        Some(TaskState::Done(_)) => Step::Wait(
            Reason::Restoring,
            "the backup is fetched; the server replays it".to_owned(),
        ),
        Some(TaskState::Waiting) | None => Step::Wait(
            Reason::Restoring,
            "waiting for the sidecar to fetch the backup".to_owned(),
        ),
    }
}
