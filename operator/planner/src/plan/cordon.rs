//! Does the leader sit on a node that takes no new pods? Such a node is about to be emptied, so leadership moves to a voter elsewhere before the pod
//! is evicted. Only while no restart is due: that has an order of its own.

use crate::names::Group;
use crate::observed::Observed;
use crate::plan::rolling::is_outdated;
use crate::plan::{Action, Step};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::Reason;

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let is_cordoned = |pod: &str| seen.pods.get(pod).is_some_and(|view| view.cordoned);
    let restarts = || {
        let mut pods = want.pods().filter_map(|pod| seen.pods.get(&pod));
        pods.any(|view| is_outdated(want, view))
    };
    if !is_cordoned(lead.pod) || lead.status.membership.joint || restarts() {
        return Step::Clear;
    }
    let stays = |pod: &str| {
        let ready = seen
            .pods
            .get(pod)
            .is_some_and(|view| view.ready && !view.deleting && !view.cordoned);
        ready && want.wants_pod(pod) && !want.maintenance.fenced.contains(pod)
    };
    let able = lead.members().iter().filter(|member| {
        let votes = lead.votes(member.id) && lead.caught_up(member.id) && member.id != lead.id();
        votes && want.names.ordinal(Group::Voters, &member.name).is_some() && stays(&member.name)
    });
    match able.min_by_key(|member| lead.rank(member)) {
        Some(member) => Step::Act(
            vec![Action::TransferLeader {
                leader: lead.pod.to_owned(),
                to_pod: member.name.clone(),
                to: member.id,
            }],
            Reason::NodeCordoned,
            format!(
                "the node of {} takes no new pods; moving leadership to {}",
                lead.pod, member.name
            ),
        ),
        // An eviction makes the server itself hand over; there is nobody better now.
        None => Step::Clear,
    }
}
