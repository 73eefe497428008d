//! Are those members held that a person wants held, and no others? A leader hands over first; a member that a majority needs is fenced only with the
//! token that says so. What is refused or out of reach holds back nothing else.

use crate::maintenance::is_fenced;
use crate::names::Group;
use crate::observed::Observed;
use crate::plan::repair::others_have_everything;
use crate::plan::{Action, Step, rolling};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::Reason;

pub(super) fn plan(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>) -> Step {
    let wanted = |pod: &str| want.maintenance.fenced.contains(pod);
    let mut held = seen.seen().map(|(pod, _)| pod).filter(|pod| is_fenced(seen, pod));
    if let Some(pod) = held.find(|pod| !wanted(pod)) {
        return order(pod, false, format!("lifting the fence of {pod}"));
    }
    if want.memory.cluster_id.is_none() {
        return Step::Clear;
    }
    let mut open = want.maintenance.fenced.iter();
    match open.find(|pod| seen.member(pod).is_some() && !is_fenced(seen, pod)) {
        Some(pod) => fence(want, seen, lead, pod),
        None => Step::Clear,
    }
}

fn order(pod: &str, fenced: bool, message: String) -> Step {
    let action = Action::Fence {
        pod: pod.to_owned(),
        fenced,
    };
    Step::Act(vec![action], Reason::Fenced, message)
}

fn fence(want: &Want, seen: &Observed, lead: Option<&Lead<'_>>, pod: &str) -> Step {
    let now = || order(pod, true, format!("fencing {pod}"));
    let allowed = want.maintenance.allows_quorum_loss;
    let observes = want.names.ordinal(Group::Observers, pod).is_some();
    match lead {
        _ if observes => now(),
        // Two sets of voters are in force, and the leader's account does not say who is in which.
        Some(lead) if lead.status.membership.joint && !allowed => Step::Wait(
            Reason::Fenced,
            format!("{pod} is fenced when the voters have changed"),
        ),
        Some(lead) if lead.pod == pod && lead.voters().len() > 1 => {
            match rolling::hand_over(want, seen, lead) {
                Step::Wait(..) if allowed => now(),
                Step::Wait(..) => refused(want, pod),
                step => step,
            }
        }
        Some(lead) if others_have_everything(lead, pod) => now(),
        _ if allowed => now(),
        _ => refused(want, pod),
    }
}

fn refused(want: &Want, pod: &str) -> Step {
    let cluster = &want.names.cluster;
    Step::Wait(
        Reason::Fenced,
        format!(
            "{pod} is not fenced: no majority of the others has everything, so the database would stop taking writes; \
             spec.maintenance.allowQuorumLoss: {cluster} says that this is meant"
        ),
    )
}
