//! Is something broken that only a fresh pod can mend? A pod with an outdated template whose server does not run is replaced at once, also without a
//! quorum: it serves nobody, and this is how a bad image is corrected. A volume whose storage is gone is given up when the others have
//! everything.

use crate::observed::Observed;
use crate::plan::rolling::{is_outdated, template_is_current};
use crate::plan::{Action, Step};
use crate::quorum::{Lead, majority};
use crate::want::Want;
use geode_api::Reason;
use k8s_openapi::jiff::Timestamp;

pub(super) fn plan(want: &Want, seen: &Observed, _: Timestamp) -> Step {
    if !template_is_current(want, seen) {
        return Step::Clear;
    }
    let broken = seen.pods.iter().find(|(name, view)| {
        let idle = !view.running && !view.deleting && seen.member(name).is_none();
        idle && is_outdated(want, view)
    });
    match broken {
        Some((pod, view)) => Step::Act(
            vec![Action::RestartPod {
                pod: pod.clone(),
                uid: view.uid.clone(),
            }],
            Reason::Updating,
            format!("{pod} does not run and has an outdated template; making it anew"),
        ),
        None => Step::Clear,
    }
}

pub(super) fn lost_volumes(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    for pod in want.pods().filter(|pod| seen.member(pod).is_none()) {
        let lost: Vec<(String, String)> = seen
            .claims_of(&pod)
            .filter(|(_, claim)| claim.lost && !claim.doomed)
            .map(|(name, claim)| (name.clone(), claim.uid.clone()))
            .collect();
        if lost.is_empty() {
            continue;
        }
        if lead.caught_up_among(lead.voters()) < majority(lead.voters().len()) {
            return Step::Wait(
                Reason::MemberNotReady,
                format!("the volume of {pod} is lost; waiting until a majority has everything"),
            );
        }
        let message = format!("the volume of {pod} is lost; a new member takes its place");
        return Step::Act(
            vec![Action::ReplaceLostVolume { pod, claims: lost }],
            Reason::ChangingMembers,
            message,
        );
    }
    Step::Clear
}
