//! Do the pods have the template that the manifest wants? One at a time, only while everybody is well: followers first, highest ordinal first;
//! then leadership moves to a pod that is up to date, and the old leader goes last.

use crate::build::template_hash;
use crate::observed::{Observed, PodView};
use crate::plan::{Action, Step, all_here};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::{BackupPhase, Reason};

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let mut outdated: Vec<(&String, &PodView)> = seen
        .pods
        .iter()
        .filter(|(_, view)| is_outdated(want, view))
        .collect();
    if outdated.is_empty() {
        return Step::Clear;
    }
    if !template_is_current(want, seen) {
        return Step::Wait(
            Reason::Updating,
            "waiting for Kubernetes to see the new template".to_owned(),
        );
    }
    // Whoever is away now comes back with the new template if it has to; disturbing another one would make it two.
    match all_here(want, seen, lead) {
        Step::Clear => {}
        Step::Wait(Reason::ReadOnly, _) => {}
        waiting => return waiting,
    }
    if let Some(backup) = seen
        .backups
        .iter()
        .find(|backup| backup.status.phase == BackupPhase::Running)
    {
        return Step::Wait(
            Reason::Updating,
            format!("waiting for backup {} to end", backup.name),
        );
    }
    outdated.sort_by_key(|(pod, _)| std::cmp::Reverse(want.names.ordinal(pod)));
    let left = outdated.len();
    match outdated.into_iter().find(|(pod, _)| *pod != lead.pod) {
        Some((pod, view)) => restart(pod, view, left),
        None => leader_last(want, seen, lead),
    }
}

fn leader_last(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let successor = lead.members().iter().find(|member| {
        member.id != lead.id()
            && lead.votes(member.id)
            && lead.caught_up(member.id)
            && want.wants_pod(&member.name)
    });
    match (successor, seen.pods.get(lead.pod)) {
        (Some(member), _) => Step::Act(
            vec![Action::TransferLeader {
                leader: lead.pod.to_owned(),
                to_pod: member.name.clone(),
                to: member.id,
            }],
            Reason::Updating,
            format!(
                "moving leadership to {} before {} restarts",
                member.name, lead.pod
            ),
        ),
        (None, Some(view)) if lead.voters().len() == 1 => restart(lead.pod, view, 1),
        (None, _) => Step::Wait(
            Reason::Updating,
            format!("no voter has caught up to take over from {}", lead.pod),
        ),
    }
}

fn restart(pod: &str, view: &PodView, left: usize) -> Step {
    Step::Act(
        vec![Action::RestartPod {
            pod: pod.to_owned(),
            uid: view.uid.clone(),
        }],
        Reason::Updating,
        format!("restarting {pod} with the new template; {left} to go"),
    )
}

pub(super) fn is_outdated(want: &Want, view: &PodView) -> bool {
    !view.deleting && view.template.as_deref() != Some(template_hash(want).as_str())
}

/// A pod that is made now gets the template that is wanted.
pub(super) fn template_is_current(want: &Want, seen: &Observed) -> bool {
    seen.set
        .as_ref()
        .is_some_and(|set| set.observed && set.template.as_deref() == Some(template_hash(want).as_str()))
}
