//! Do the pods have the template that the manifest wants? One at a time, only while everybody else is well: observers first, then followers,
//! highest ordinal first; then leadership moves to a pod that is up to date, and the old leader goes last.

use crate::build::template_hash;
use crate::maintenance::is_fenced;
use crate::observed::{Observed, PodView};
use crate::plan::repair::{is_deleted, others_have_everything, restart};
use crate::plan::voters::is_blank;
use crate::plan::{Action, Step, unwell};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::{BackupPhase, Reason, restart_rank};

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let mut outdated: Vec<String> = want
        .pods()
        .filter(|pod| seen.pods.get(pod).is_some_and(|view| is_outdated(want, view)))
        .collect();
    if outdated.is_empty() {
        return Step::Clear;
    }
    let wait = |message: String| Step::Wait(Reason::Updating, message);
    if outdated.iter().any(|pod| !template_is_current(want, seen, pod)) {
        return wait("waiting for Kubernetes to see the new template".to_owned());
    }
    let left = outdated.len();
    outdated.sort_by_key(|pod| restart_rank(pod, lead.pod));
    let mut unwell = unwell(want, seen, lead).into_iter();
    if want.maintenance.holds_updates {
        let (count, name) = (left, &want.names.cluster);
        return unwell.next().map_or_else(
            || Step::Rest(
                Reason::UpdatesHeld,
                format!("{count} pods have an outdated template and are not restarted; `kubectl geode upgrade {name} --resume` goes on"),
            ),
            |(_, waiting)| waiting,
        );
    }
    let next = match (unwell.next(), unwell.next()) {
        (None, _) => outdated.swap_remove(0),
        // The new template may be what mends it, and to restart it makes nobody else unwell.
        (Some((pod, _)), None)
            if outdated.contains(&pod) && seen.member(&pod).is_some() && !is_fenced(seen, &pod) =>
        {
            pod
        }
        // Whoever is away now comes back with the new template if it has to; disturbing another one would make it two.
        (Some((_, waiting)), _) => return waiting,
    };
    let message = format!("restarting {next} with the new template; {left} to go");
    disturb(want, seen, lead, &next, message)
}

/// Restarts a pod that runs: while nobody else is away, not during a backup, and when it leads no more.
pub(super) fn disturb(want: &Want, seen: &Observed, lead: &Lead<'_>, pod: &str, message: String) -> Step {
    let wait = |message: String| Step::Wait(Reason::Updating, message);
    if is_deleted(seen, pod) && !others_have_everything(lead, pod) {
        return wait(format!(
            "the volume of {pod} is deleted and goes with the pod, and no majority of the others has what is on it"
        ));
    }
    // An empty server is nobody's majority; it may wait for its place until this is over.
    let counts = |other: &String| other != pod && !seen.member(other).is_some_and(is_blank);
    let away = |(other, view): &(&String, &PodView)| counts(other) && (view.deleting || !view.ready);
    if let Some((other, _)) = seen.pods.iter().find(away) {
        return wait(format!("waiting for {other}, which is coming or going"));
    }
    if let Some(backup) = seen
        .backups
        .iter()
        .find(|backup| backup.status.phase == BackupPhase::Running)
    {
        return wait(format!("waiting for backup {} to end", backup.name));
    }
    let alone = lead.voters().len() == 1;
    match seen.pods.get(pod) {
        Some(view) if pod != lead.pod || alone => restart(pod, view, Reason::Updating, message),
        _ => hand_over(want, seen, lead),
    }
}

/// Moves leadership to a voter that has caught up: to one that stays where it is, and of these to the one that has most of the log.
pub(super) fn hand_over(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let able = lead
        .members()
        .iter()
        .filter(|member| member.id != lead.id() && lead.votes(member.id) && lead.caught_up(member.id));
    let is_cordoned = |pod: &str| seen.pods.get(pod).is_some_and(|view| view.cordoned);
    let successor = able.min_by_key(|member| {
        (
            !want.wants_pod(&member.name),
            is_cordoned(&member.name),
            lead.rank(member),
        )
    });
    match successor {
        Some(member) => Step::Act(
            vec![Action::TransferLeader {
                leader: lead.pod.to_owned(),
                to_pod: member.name.clone(),
                to: member.id,
            }],
            Reason::Updating,
            format!("moving leadership to {} before {} stops", member.name, lead.pod),
        ),
        None => Step::Wait(
            Reason::Updating,
            format!("no voter has caught up to take over from {}", lead.pod),
        ),
    }
}

pub(super) fn is_outdated(want: &Want, view: &PodView) -> bool {
    !view.deleting && view.template.as_deref() != Some(template_hash(want).as_str())
}

/// This pod gets the template that is wanted when it is made now.
pub(super) fn template_is_current(want: &Want, seen: &Observed, pod: &str) -> bool {
    let set = want
        .names
        .place(pod)
        .and_then(|place| seen.sets.get(&place.group));
    set.is_some_and(|set| set.observed && set.template.as_deref() == Some(template_hash(want).as_str()))
}
