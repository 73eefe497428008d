//! Has each group as many pods as members? Pods are added at once, and taken away only after their members have left the cluster; Kubernetes
//! then deletes their volumes, so that a removed identity cannot come back.

use crate::names::Group;
use crate::observed::{ClaimView, Observed};
use crate::plan::voters::{ordinals, places};
use crate::plan::{Action, Step, trouble};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::Reason;
use geode_wire::internal::Membership;

/// A cluster keeps a pod, whatever happens.
fn least(group: Group) -> u32 {
    match group {
        Group::Voters => 1,
        Group::Observers => 0,
    }
}

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    if !seen.sets.contains_key(&group) {
        return Step::Clear;
    }
    let current = seen.replicas(group);
    let places = places(want, seen, lead, group).max(least(group));
    if places > current {
        return grow(want, seen, group, places);
    }
    // A pod stays as long as its member belongs to the cluster.
    let in_use = ordinals(want, lead, group)
        .map(|(_, ordinal)| ordinal + 1)
        .max()
        .unwrap_or(0);
    let target = places.max(in_use).min(current);
    if target == current {
        return Step::Clear;
    }
    if let Some(claim) = unseen_from_before(want, seen, group, target) {
        return Step::Wait(
            Reason::WaitingForPods,
            format!(
                "the volume of {} is older than this manifest and would be deleted unseen: {}",
                claim.pod,
                trouble(seen, &claim.pod)
            ),
        );
    }
    scale(seen, group, target)
}

/// Without a leader: are pods of voters missing, because the manifest, or somebody, asks for fewer pods than a majority needs?
pub(super) fn for_a_majority(want: &Want, seen: &Observed, membership: &Membership) -> Step {
    let group = Group::Voters;
    let voters = membership
        .members
        .iter()
        .filter(|member| membership.voters.contains(&member.id));
    let needed = voters
        .filter_map(|member| want.names.ordinal(group, &member.name))
        .max();
    match needed {
        Some(highest) if seen.sets.contains_key(&group) && highest >= seen.replicas(group) => {
            grow(want, seen, group, highest + 1)
        }
        _ => Step::Clear,
    }
}

/// Adds pods, after those that had their places before are gone: a volume on its way out must not be taken for a new member's.
pub(super) fn grow(want: &Want, seen: &Observed, group: Group, target: u32) -> Step {
    let current = seen.replicas(group);
    let is_added = |pod: &str| {
        want.names
            .ordinal(group, pod)
            .is_some_and(|ordinal| (current..target).contains(&ordinal))
    };
    let wait = |message: String| Step::Wait(Reason::WaitingForPods, message);
    if let Some(pod) = seen.pods.keys().find(|pod| is_added(pod)) {
        return wait(format!("the old {pod} is still being deleted"));
    }
    let leaving = seen
        .claims
        .values()
        .find(|claim| claim.doomed && is_added(&claim.pod));
    if let Some(claim) = leaving {
        return wait(format!("the old volume of {} is still being deleted", claim.pod));
    }
    scale(seen, group, target)
}

fn scale(seen: &Observed, group: Group, replicas: u32) -> Step {
    let current = seen.replicas(group);
    let pods = match group {
        Group::Voters => "pods",
        Group::Observers => "observers' pods",
    };
    Step::Act(
        vec![Action::Scale { group, replicas }],
        Reason::ChangingMembers,
        format!("changing the number of {pods} from {current} to {replicas}"),
    )
}

/// A volume beyond the target that an earlier cluster of this name left behind, and that nobody has looked at. Nobody ever can when the
/// member's storage is gone.
fn unseen_from_before<'a>(
    want: &Want,
    seen: &'a Observed,
    group: Group,
    target: u32,
) -> Option<&'a ClaimView> {
    let current = seen.replicas(group);
    let goes = |pod: &str| {
        want.names
            .ordinal(group, pod)
            .is_some_and(|ordinal| (target..current).contains(&ordinal))
    };
    let is_lost = |pod: &str| seen.claims_of(pod).any(|(_, claim)| claim.lost);
    seen.claims.values().find(|claim| {
        let unseen = seen.member(&claim.pod).is_none() && !is_lost(&claim.pod);
        goes(&claim.pod) && is_from_before(want, claim) && unseen
    })
}

/// Whether an earlier cluster of this name left this volume behind.
pub(super) fn is_from_before(want: &Want, claim: &ClaimView) -> bool {
    claim.created_at < want.created_at && !claim.doomed
}
