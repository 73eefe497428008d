//! Are there as many pods as members? Pods are added at once, and taken away only after their members have left the cluster; Kubernetes
//! then deletes their volumes, so that a removed identity cannot come back.

use crate::observed::Observed;
use crate::plan::membership::is_tail;
use crate::plan::{Action, Step};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::Reason;

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let Some(set) = &seen.set else { return Step::Clear };
    let wanted = target(want, seen, lead);
    if wanted == set.replicas {
        return Step::Clear;
    }
    if wanted > set.replicas {
        let leaving = seen.claims.values().find(|claim| {
            claim.doomed
                && want
                    .names
                    .ordinal(&claim.pod)
                    .is_some_and(|ordinal| (set.replicas..wanted).contains(&ordinal))
        });
        if let Some(claim) = leaving {
            return Step::Wait(
                Reason::WaitingForPods,
                format!("the old volume of {} is still being deleted", claim.pod),
            );
        }
    }
    Step::Act(
        vec![Action::Scale { replicas: wanted }],
        Reason::ChangingMembers,
        format!("changing the number of pods from {} to {wanted}", set.replicas),
    )
}

/// Enough pods for the manifest and for every member there is; but pods at the end that hold removed members go first.
fn target(want: &Want, seen: &Observed, lead: &Lead<'_>) -> u32 {
    let in_use = lead
        .members()
        .iter()
        .filter_map(|member| want.names.ordinal(&member.name))
        .max()
        .map_or(0, |highest| highest + 1);
    let removed = seen
        .seen()
        .filter(|(pod, status)| {
            status.cluster_id.is_some() && !lead.knows(status.address.id) && is_tail(want, lead, pod)
        })
        .filter_map(|(pod, _)| want.names.ordinal(pod))
        .min();
    match removed {
        Some(ordinal) => ordinal.max(in_use).max(1),
        None => want.members.max(in_use),
    }
}
