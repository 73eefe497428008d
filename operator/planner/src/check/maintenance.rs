//! The rules of maintenance: a paused operator changes nothing, no fence takes the majority without the token, and pods that are taken away for a
//! while leave their volumes.

use super::{any_leader, decides_without_pod, is_stale};
use crate::names::Group;
use crate::observed::{Observed, PodView};
use crate::plan::Action;
use crate::want::Want;
use crate::{Kind, Object};
use geode_wire::internal::MemberState;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

type Broken = Option<&'static str>;

/// Labels follow the elections, which go on.
pub(super) fn paused(want: &Want, action: &Action, now: Timestamp) -> Broken {
    let paused = want.maintenance.pause(now).is_some();
    (paused && !matches!(action, Action::SetRole { .. })).then_some("a paused operator changes nothing")
}

pub(super) fn fence(want: &Want, seen: &Observed, pod: &str, fenced: bool, now: Timestamp) -> Broken {
    let named = want.maintenance.fenced.contains(pod);
    if !fenced {
        return named.then_some("a fence is lifted when the manifest does not name the member any more");
    }
    if !named {
        return Some("only a member that the manifest names is fenced");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let Some(id) = seen.id_of(pod) else {
        return Some("only a member that answers is fenced");
    };
    if want.maintenance.allows_quorum_loss || want.names.ordinal(Group::Observers, pod).is_some() {
        return None;
    }
    let Some((lead_pod, leader)) = any_leader(seen) else {
        return Some("no member is fenced without a leader");
    };
    if leader.membership.joint {
        return Some("no member is fenced while two sets of voters are in force");
    }
    if lead_pod == pod && leader.membership.voters.as_slice() != [id] {
        return Some("a leader hands over before it is fenced");
    }
    (!decides_without_pod(leader, pod)).then_some("a majority stays without a member that is fenced")
}

/// A pod that is held stays for inspection.
pub(super) fn is_held(seen: &Observed, pod: &str) -> bool {
    seen.member(pod)
        .is_some_and(|status| status.state == MemberState::Fenced)
}

/// Whether a person has said, with the token, that no member is to run.
pub(super) fn hibernates(want: &Want) -> bool {
    want.maintenance.hibernates && want.maintenance.allows_quorum_loss
}

/// Pods are taken away by the actions that say so, and never by the way.
pub(super) fn apply(want: &Want, seen: &Observed, object: &Object) -> Broken {
    if object.key.kind != Kind::StatefulSet {
        return None;
    }
    let mut groups = Group::ALL.into_iter();
    let group = groups.find(|group| want.names.set(*group) == object.key.name)?;
    let field = |at: &str| object.body.pointer(at);
    let replicas = field("/spec/replicas").and_then(Value::as_u64).unwrap_or(0);
    let set = seen.sets.get(&group);
    let adopted = |(pod, view): (&String, &PodView)| {
        let beyond = want
            .names
            .ordinal(group, pod)
            .is_some_and(|ordinal| u64::from(ordinal) >= replicas);
        beyond && !view.deleting
    };
    let takes_away = match set {
        Some(set) => replicas < u64::from(set.replicas),
        None => seen.pods.iter().any(adopted),
    };
    if takes_away {
        return Some("applying a StatefulSet takes no pods away");
    }
    let keeps = field("/spec/persistentVolumeClaimRetentionPolicy/whenScaled")
        .is_some_and(|policy| policy == "Retain");
    let sleeps = want.maintenance.hibernates || set.is_some_and(|set| set.replicas == 0 && set.keeps_volumes);
    (sleeps && replicas == 0 && !keeps).then_some("a StatefulSet that sleeps keeps its volumes")
}
