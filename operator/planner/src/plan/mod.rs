//! The questions of a reconcile, in order. Each answers with actions, with what it waits for, or with `Clear`; the first that is not clear
//! ends the round, so that one thing happens at a time. Objects, role labels and backups are independent of the rest and always looked at.

mod action;
mod backups;
mod bootstrap;
mod membership;
mod objects;
mod repair;
mod roles;
mod rolling;
mod scale;
mod volumes;

pub use action::{Action, Plan, Progress};

use crate::observed::Observed;
use crate::quorum::{Lead, majority};
use crate::want::Want;
use geode_api::Reason;
use k8s_openapi::jiff::Timestamp;

/// The answer to one question.
pub(crate) enum Step {
    /// Nothing to do here; ask on.
    Clear,
    /// Do this.
    Act(Vec<Action>, Reason, String),
    /// Something has to happen first, by itself.
    Wait(Reason, String),
    /// A person has to act.
    Stuck(Reason, String),
}

/// What to do next.
pub fn plan(want: &Want, seen: &Observed, now: Timestamp) -> Plan {
    let lead = Lead::find(seen);
    let mut plan = Plan {
        actions: objects::plan(want, seen, now),
        progress: Progress::Idle,
    };
    if !plan.actions.is_empty() {
        plan.progress = Progress::Working(Reason::Applying, describe(&plan.actions));
    }
    if let Some(lead) = &lead {
        plan.actions.extend(roles::plan(want, seen, lead));
    }
    match first_open_question(want, seen, lead.as_ref(), now) {
        Step::Clear => {}
        Step::Act(actions, reason, message) => {
            plan.actions.extend(actions);
            plan.progress = Progress::Working(reason, message);
        }
        Step::Wait(reason, message) => plan.progress = Progress::Waiting(reason, message),
        Step::Stuck(reason, message) => plan.progress = Progress::Stuck(reason, message),
    }
    plan.actions.extend(backups::plan(want, seen, lead.as_ref(), now));
    plan
}

fn first_open_question(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>, now: Timestamp) -> Step {
    let before_a_leader: [fn(&Want, &Observed, Timestamp) -> Step; 3] =
        [repair::plan, bootstrap::plan, volumes::plan];
    for question in before_a_leader {
        match question(want, seen, now) {
            Step::Clear => {}
            other => return other,
        }
    }
    let Some(lead) = lead else {
        return no_leader(want, seen);
    };
    let with_a_leader: [fn(&Want, &Observed, &Lead<'_>) -> Step; 7] = [
        repair::lost_volumes,
        membership::settled,
        membership::remove_learners,
        membership::add_learner,
        scale::plan,
        membership::change_voters,
        rolling::plan,
    ];
    for question in with_a_leader {
        match question(want, seen, lead) {
            Step::Clear => {}
            other => return other,
        }
    }
    all_here(want, seen, lead)
}

/// Without a leader nothing is changed: the members elect one, as soon as a majority is there.
fn no_leader(want: &Want, seen: &Observed) -> Step {
    let newest = seen
        .seen()
        .map(|(_, status)| &status.membership)
        .max_by_key(|membership| membership.index);
    let voters = newest.map_or(&[][..], |membership| &membership.voters);
    let answering = seen
        .seen()
        .filter(|(_, status)| voters.contains(&status.address.id))
        .count();
    let needed = majority(voters.len().max(1));
    if !voters.is_empty() && answering >= needed {
        return Step::Wait(
            Reason::LeaderUnknown,
            format!(
                "{answering} of {} voters answer; waiting for their election",
                voters.len()
            ),
        );
    }
    let missing: Vec<String> = want
        .pods()
        .filter(|pod| seen.member(pod).is_none())
        .map(|pod| trouble(seen, &pod))
        .collect();
    Step::Wait(
        Reason::QuorumLost,
        format!(
            "{answering} of {} voters answer, {needed} are needed: {}",
            voters.len(),
            missing.join("; ")
        ),
    )
}

/// The last question: is everybody where they should be?
fn all_here(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    for pod in want.pods() {
        let Some(status) = seen.member(&pod) else {
            return Step::Wait(Reason::MemberNotReady, trouble(seen, &pod));
        };
        let id = status.address.id;
        if !lead.votes(id) || !lead.caught_up(id) {
            return Step::Wait(Reason::MemberNotReady, format!("{pod} is not caught up yet"));
        }
        if let Some(reason) = &status.not_ready {
            return Step::Wait(Reason::MemberNotReady, format!("{pod}: {reason}"));
        }
        if !seen
            .pods
            .get(&pod)
            .is_some_and(|view| view.ready && !view.deleting)
        {
            return Step::Wait(
                Reason::MemberNotReady,
                format!("{pod} is up; Kubernetes does not call it ready yet"),
            );
        }
    }
    let refusing = seen
        .seen()
        .find_map(|(pod, status)| status.read_only.as_ref().map(|reason| (pod, reason)));
    match refusing {
        Some((pod, reason)) => Step::Wait(Reason::ReadOnly, format!("{pod} refuses writes: {reason}")),
        None => Step::Clear,
    }
}

/// Why a pod's member cannot be seen, in one clause.
pub(crate) fn trouble(seen: &Observed, pod: &str) -> String {
    match (seen.pods.get(pod), seen.members.get(pod)) {
        (None, _) => format!("{pod} does not exist yet"),
        (Some(view), _) if view.deleting => format!("{pod} is being deleted"),
        (Some(view), _) if !view.running => {
            format!(
                "{pod} does not run: {}",
                view.trouble.as_deref().unwrap_or("its container has not started")
            )
        }
        (Some(_), Some(crate::MemberSeen::Unknown(reason))) => format!("{pod} does not answer: {reason}"),
        (Some(_), _) => format!("{pod} does not answer yet"),
    }
}

fn describe(actions: &[Action]) -> String {
    let described: Vec<String> = actions.iter().map(Action::to_string).collect();
    described.join(", ")
}
