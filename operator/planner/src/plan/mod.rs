//! The questions of a reconcile, in order. Each answers with actions, with what it waits for, or with `Clear`; the first that is not clear
//! ends the round, so that one thing happens at a time. Objects, role labels, sizes of volumes, backups and restores are independent of the
//! rest and always looked at. Nothing is looked at but an exchange of databases while there is one.

mod action;
mod backups;
mod bootstrap;
mod cordon;
mod exchange;
mod fence;
mod heal;
mod hibernation;
mod history;
mod membership;
mod objects;
mod repair;
mod replacement;
mod restores;
mod roles;
mod rolling;
mod scale;
mod volumes;
mod voters;

pub use action::{Action, Plan, Progress};
pub use restores::{
    NewCluster, Remains, delayed_new_cluster, held_new_cluster, new_cluster, plan_new_cluster,
    refused_new_cluster,
};

use crate::maintenance::is_fenced;
use crate::names::Group;
use crate::observed::{Observed, PodView};
use crate::quorum::{Lead, majority};
use crate::want::{Memory, Want};
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
    /// It is as a person wants it, and not as it is in everyday use.
    Rest(Reason, String),
}

impl Step {
    /// What it says to people.
    fn said(&self) -> Option<&str> {
        match self {
            Self::Clear => None,
            Self::Act(_, _, said) | Self::Wait(_, said) | Self::Stuck(_, said) | Self::Rest(_, said) => {
                Some(said)
            }
        }
    }
}

/// A question about the places of a group.
type Question = fn(&Want, &Observed, &Lead<'_>, Group) -> Step;

/// What to do next. While the operator is paused, only labels follow the elections; the rest is told and left undone.
pub fn plan(want: &Want, seen: &Observed, now: Timestamp) -> Plan {
    let mut plan = unpaused(want, seen, now);
    let Some(pause) = want.maintenance.pause(now) else {
        return plan;
    };
    let (follows, held): (Vec<Action>, Vec<Action>) = plan
        .actions
        .into_iter()
        .partition(|action| matches!(action, Action::SetRole { .. }));
    plan.actions = follows;
    plan.held = held.iter().map(Action::to_string).collect();
    if !held.is_empty() {
        let message = format!("{}; left undone: {}", pause.describe(), plan.held.join(", "));
        plan.progress = Progress::Resting(Reason::Paused, message);
    }
    plan
}

fn unpaused(want: &Want, seen: &Observed, now: Timestamp) -> Plan {
    if let Some(exchange) = want.memory.exchange() {
        let mut plan = exchange::plan(want, seen, exchange, now);
        plan.actions
            .extend(restores::under_way(seen, exchange, &plan.progress, now));
        return plan;
    }
    if want.maintenance.hibernates {
        return hibernation::plan(want, seen, now);
    }
    let lead = Lead::find(seen);
    let (group, open) = first_open_question(want, seen, lead.as_ref(), now);
    let restores = restores::turn(want, seen, lead.as_ref(), &open, now);
    if let Some((memory, message)) = restores.exchange {
        let mut actions = vec![Action::Record(Box::new(memory))];
        actions.extend(restores.actions);
        let progress = Progress::Working(Reason::Restoring, message);
        return Plan {
            actions,
            progress,
            concerns: Group::Voters,
            held: Vec::new(),
        };
    }
    let objects = objects::plan(want, seen, now);
    let growth = volumes::plan(want, seen);
    let mut progress = match (objects.as_slice(), growth.len()) {
        ([], 0) => Progress::Idle,
        ([], count) => Progress::Working(Reason::GrowingVolumes, format!("growing {count} volumes")),
        (objects, _) => Progress::Working(Reason::Applying, describe(objects)),
    };
    let mut actions = objects;
    if let Some(lead) = &lead {
        actions.extend(roles::plan(want, seen, lead));
    }
    // Objects and volumes are everybody's.
    let concerns = if progress == Progress::Idle {
        group
    } else {
        Group::Voters
    };
    match open {
        Step::Clear => {}
        Step::Act(next, reason, message) => {
            actions.extend(next);
            progress = Progress::Working(reason, message);
        }
        Step::Wait(reason, message) => progress = Progress::Waiting(reason, message),
        Step::Stuck(reason, message) => progress = Progress::Stuck(reason, message),
        // What is applied besides is news.
        Step::Rest(..) if progress != Progress::Idle => {}
        Step::Rest(reason, message) => progress = Progress::Resting(reason, message),
    }
    actions.extend(backups::plan(want, seen, lead.as_ref(), now));
    actions.extend(restores.actions);
    // The first failure ends the round. On a full volume everything else may fail, and a volume that cannot grow must hold back nothing.
    if seen.seen().any(|(_, status)| status.read_only.is_some()) {
        actions.splice(0..0, growth);
    } else {
        actions.extend(growth);
    }
    Plan {
        actions,
        progress,
        concerns,
        held: Vec::new(),
    }
}

/// What is open, and whom it concerns. A fence that is asked for and cannot be has to wait, and nothing waits for it.
fn first_open_question(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    now: Timestamp,
) -> (Group, Step) {
    match fence::plan(want, seen, lead) {
        Step::Clear => open_besides_fences(want, seen, lead, now),
        Step::Wait(reason, message) => match open_besides_fences(want, seen, lead, now) {
            (_, Step::Clear | Step::Rest(..)) => (Group::Voters, Step::Wait(reason, message)),
            other => other,
        },
        step => (Group::Voters, step),
    }
}

/// The voters' places are asked for first, so that no observer holds them back.
fn open_besides_fences(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    now: Timestamp,
) -> (Group, Step) {
    for question in [repair::plan, hibernation::wake, bootstrap::plan] {
        match question(want, seen, now) {
            Step::Clear => {}
            other => return (Group::Voters, other),
        }
    }
    let Some(lead) = lead else {
        return (Group::Voters, no_leader(want, seen));
    };
    match cordon::plan(want, seen, lead) {
        Step::Clear => {}
        other => return (Group::Voters, other),
    }
    match places(want, seen, lead, Group::Voters) {
        Step::Clear => {}
        other => return (Group::Voters, other),
    }
    let observers = places(want, seen, lead, Group::Observers);
    match (observers, after_places(want, seen, lead)) {
        (Step::Clear, Step::Clear) => (Group::Observers, here(want, seen, lead, Group::Observers)),
        (observers, Step::Clear) => (Group::Observers, observers),
        (Step::Clear | Step::Wait(..) | Step::Rest(..), other) => (Group::Voters, other),
        (observers, _) => (Group::Voters, observers),
    }
}

/// Are the members of a group where they belong?
fn places(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let questions: [Question; 8] = [
        heal::plan,
        repair::lost_volumes,
        repair::deleted_volumes,
        membership::settled,
        membership::remove_learners,
        membership::add_learner,
        scale::plan,
        membership::change_voters,
    ];
    for question in questions {
        match question(want, seen, lead, group) {
            Step::Clear => {}
            other => return other,
        }
    }
    Step::Clear
}

/// What the members run, and whether the voters are well.
fn after_places(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    for question in [rolling::plan, voters_here, replacement::plan] {
        match question(want, seen, lead) {
            Step::Clear => {}
            other => return other,
        }
    }
    keep_images(want)
}

/// Without a leader no membership is changed: the members elect one, as soon as a majority is there.
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
    match newest.map(|membership| scale::for_a_majority(want, seen, membership)) {
        None | Some(Step::Clear) => {}
        Some(step) => return step,
    }
    let missing: Vec<String> = want
        .pods_of(Group::Voters)
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

fn voters_here(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    here(want, seen, lead, Group::Voters)
}

/// Is everybody of a group well?
fn here(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let ailing = |fenced: bool| {
        let mut pods = want.pods_of(group).filter(|pod| is_fenced(seen, pod) == fenced);
        pods.find_map(|pod| ails(want, seen, lead, group, &pod))
    };
    if let Some(message) = ailing(false) {
        return Step::Wait(Reason::MemberNotReady, message);
    }
    let refusing = seen
        .seen()
        .filter(|(pod, _)| want.names.ordinal(group, pod).is_some())
        .find_map(|(pod, status)| status.read_only.as_ref().map(|reason| (pod, reason)));
    match refusing {
        Some((pod, reason)) => Step::Wait(Reason::ReadOnly, format!("{pod} refuses writes: {reason}")),
        None => ailing(true).map_or(Step::Clear, |message| Step::Rest(Reason::Fenced, message)),
    }
}

/// Every voter runs them, and no other pod anything else: from now on they stay when the manifest names none. Not before, so that taking back
/// what does not start leads back.
fn keep_images(want: &Want) -> Step {
    if want.images_unnamed == want.images {
        return Step::Clear;
    }
    let memory = Memory {
        images: Some(want.images.clone()),
        ..want.memory.clone()
    };
    Step::Act(
        vec![Action::Record(Box::new(memory))],
        Reason::Updating,
        "every member runs the new images".to_owned(),
    )
}

/// The wanted pods of all groups that are not where they should be, and what each waits for.
fn unwell(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Vec<(String, Step)> {
    let all = Group::ALL
        .into_iter()
        .flat_map(|group| want.pods_of(group).map(move |pod| (group, pod)));
    all.filter_map(|(group, pod)| {
        let message = ails(want, seen, lead, group, &pod)?;
        let step = if is_fenced(seen, &pod) {
            Step::Rest(Reason::Fenced, message)
        } else {
            Step::Wait(Reason::MemberNotReady, message)
        };
        Some((pod, step))
    })
    .collect()
}

fn ails(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group, pod: &str) -> Option<String> {
    let Some(status) = seen.member(pod) else {
        return heal::refusal(want, seen, lead, pod).or_else(|| Some(trouble(seen, pod)));
    };
    if is_fenced(seen, pod) {
        return Some(format!("{pod} is fenced and takes no part"));
    }
    let id = status.address.id;
    let has_place = match group {
        Group::Voters => lead.votes(id),
        Group::Observers => lead.knows(id),
    };
    if !has_place || !lead.caught_up(id) {
        return Some(format!("{pod} is not caught up yet"));
    }
    if let Some(reason) = &status.not_ready {
        return Some(format!("{pod}: {reason}"));
    }
    let ready = |view: &PodView| view.ready && !view.deleting;
    (!seen.pods.get(pod).is_some_and(ready))
        .then(|| format!("{pod} is up; Kubernetes does not call it ready yet"))
}

/// Why a pod's member cannot be seen, in one clause.
pub(crate) fn trouble(seen: &Observed, pod: &str) -> String {
    match (seen.pods.get(pod), seen.members.get(pod)) {
        (None, _) => format!("{pod} does not exist yet"),
        (Some(view), _) if view.deleting => format!("{pod} is being deleted"),
        (Some(view), _) if !view.running => {
            let damage = view
                .damage
                .as_ref()
                .map(|damage| format!("its data is damaged ({damage})"));
            let why = damage.or_else(|| view.trouble.clone());
            format!(
                "{pod} does not run: {}",
                why.as_deref().unwrap_or("its container has not started")
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
