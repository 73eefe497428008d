//! Is something broken that only a fresh pod can mend? A pod with an outdated template whose server does not run is replaced at once, also without a
//! quorum: it serves nobody, and this is how a bad image is corrected. A volume whose storage is gone is given up when the others have
//! everything.

use crate::maintenance::is_fenced;
use crate::names::Group;
use crate::observed::{ClaimView, Observed, PodView};
use crate::plan::rolling::{self, is_outdated, template_is_current};
use crate::plan::{Action, Step};
use crate::quorum::{Lead, majority};
use crate::want::Want;
use geode_api::Reason;
use k8s_openapi::jiff::Timestamp;

pub(super) fn plan(want: &Want, seen: &Observed, _: Timestamp) -> Step {
    // A volume that waits for its deletion would go with the pod; whether that may be, only a leader can say.
    let broken = seen
        .pods
        .iter()
        .filter(|(pod, view)| is_idle(seen, pod, view) && is_outdated(want, view) && !is_deleted(seen, pod))
        .find(|(pod, _)| template_is_current(want, seen, pod));
    match broken {
        Some((pod, view)) => restart(
            pod,
            view,
            Reason::Updating,
            format!("{pod} does not run and has an outdated template; making it anew"),
        ),
        None => Step::Clear,
    }
}

/// A pod that serves nobody.
fn is_idle(seen: &Observed, pod: &str, view: &PodView) -> bool {
    !view.running && !view.deleting && seen.member(pod).is_none()
}

pub(super) fn restart(pod: &str, view: &PodView, reason: Reason, message: String) -> Step {
    let action = Action::RestartPod {
        pod: pod.to_owned(),
        uid: view.uid.clone(),
    };
    Step::Act(vec![action], reason, message)
}

/// Is a member's volume gone, or deleted by a person and held back only by a pod that waits for it?
pub(super) fn lost_volumes(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let kept = want.pods_of(group).take(seen.replicas(group) as usize);
    for pod in kept.filter(|pod| seen.member(pod).is_none()) {
        let claims: Vec<(&String, &ClaimView)> = seen.claims_of(&pod).collect();
        let idle = seen.pods.get(&pod).filter(|view| is_idle(seen, &pod, view));
        let is_lost = claims.iter().any(|(_, claim)| claim.lost);
        let any_doomed = claims.iter().any(|(_, claim)| claim.doomed);
        let all_doomed = claims.iter().all(|(_, claim)| claim.doomed);
        // The pod is deleted last, so while it is there the replacement is not complete.
        let open = if is_lost {
            !all_doomed || idle.is_some()
        } else {
            any_doomed && idle.is_some()
        };
        if !open {
            continue;
        }
        if !others_have_everything(lead, &pod) {
            return Step::Wait(
                Reason::MemberNotReady,
                format!("the volume of {pod} is lost; waiting until a majority has everything"),
            );
        }
        let reason = Reason::ChangingMembers;
        return match idle {
            Some(view) if !is_lost => restart(
                &pod,
                view,
                reason,
                format!("the volume of {pod} is deleted; making the pod anew"),
            ),
            _ => {
                // A member is its log and its graph. With one of them gone it cannot keep its promises, so both go, and its identity with them.
                let claims = claims
                    .into_iter()
                    .map(|(name, claim)| (name.clone(), claim.uid.clone()));
                let message = format!("the volume of {pod} is lost; a new member takes its place");
                let claims = claims.collect();
                Step::Act(vec![Action::ReplaceLostVolume { pod, claims }], reason, message)
            }
        };
    }
    Step::Clear
}

/// Has a person deleted the volume of a member that runs? Kubernetes keeps it as long as the pod is there, and a deletion cannot be taken
/// back: it would go at the next restart, whoever is away then. So the member is replaced now, while the others have everything.
pub(super) fn deleted_volumes(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let runs = |pod: &String| {
        seen.member(pod).is_some()
            && !is_fenced(seen, pod)
            && seen.pods.get(pod).is_some_and(|view| !view.deleting)
    };
    let pod = want.pods_of(group).find(|pod| runs(pod) && is_deleted(seen, pod));
    match pod {
        Some(pod) if others_have_everything(lead, &pod) => {
            let message = format!(
                "the volume of {pod} is deleted; making the pod anew while the others have everything"
            );
            match rolling::disturb(want, seen, lead, &pod, message) {
                // Somebody else is away. What brings them back must not wait for this.
                Step::Wait(..) => Step::Clear,
                step => step,
            }
        }
        _ => Step::Clear,
    }
}

/// Whether a volume of this pod goes when the pod does.
pub(super) fn is_deleted(seen: &Observed, pod: &str) -> bool {
    seen.claims_of(pod).any(|(_, claim)| claim.doomed)
}

/// Whether a majority of the voters has everything, without whoever is on this pod.
pub(super) fn others_have_everything(lead: &Lead<'_>, pod: &str) -> bool {
    let members = lead.members().iter();
    let others =
        members.filter(|member| member.name != pod && lead.votes(member.id) && lead.caught_up(member.id));
    others.count() >= majority(lead.voters().len())
}
