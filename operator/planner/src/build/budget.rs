//! The disruption budget of the voters: one at a time may be evicted, as long as a majority that has everything stays.

use crate::build::{metadata, selected};
use crate::names::Group;
use crate::object::{Kind, Object};
use crate::observed::Observed;
use crate::quorum::{Lead, majority};
use crate::want::Want;
use serde_json::json;

/// A broken pod may always be evicted: it helps nobody where it is. A single member has no budget: it would block every drain for ever. Observers
/// have none either: no majority needs them, and one that finds no node must not block the drain of another's.
pub(super) fn disruption_budget(want: &Want, seen: &Observed) -> Option<Object> {
    let lead = Lead::find(seen);
    let voters = lead.map(|lead| lead.voters().len());
    // A cluster that is to have one member has a budget until the others have left.
    if want.members < 3 && voters.is_none_or(|voters| voters < 2) {
        return None;
    }
    let spec = json!({
        "maxUnavailable": lead.map_or(1, |lead| evictable(seen, &lead)),
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": { "matchLabels": selected(want, Group::Voters) },
    });
    let body = json!({ "metadata": metadata(want, &[]), "spec": spec });
    Some(Object::new(
        Kind::PodDisruptionBudget,
        want.names.cluster.clone(),
        body,
    ))
}

/// Kubernetes counts pods that are ready. A voter whose pod is ready and that has not caught up is one that it must not count on.
fn evictable(seen: &Observed, lead: &Lead<'_>) -> u32 {
    let voters = lead.voters();
    let ready = |pod: &str| {
        seen.pods
            .get(pod)
            .is_some_and(|view| view.ready && !view.deleting)
    };
    let members = lead.members().iter();
    let hidden =
        members.filter(|member| lead.votes(member.id) && ready(&member.name) && !lead.caught_up(member.id));
    let spare = voters.len().saturating_sub(majority(voters.len()));
    // While there is one voter, the pods that come are no voters yet.
    u32::from(voters.len() < 2 || spare > hidden.count())
}
