//! Has a server ended because its own files are damaged? Then its volumes are given up as lost ones are, and a new member copies everything from the
//! others: but only while every other voter has everything, and not again and again, because a disk that damages what is written to it would cost
//! its member for ever. Otherwise the volumes stay, what holds it back is said, and everything else goes on.

use crate::names::Group;
use crate::observed::{ClaimView, Observed};
use crate::plan::repair::{is_deleted, others_have_everything};
use crate::plan::{Action, Step};
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::Reason;
use geode_wire::client::MemberAddress;
use k8s_openapi::jiff::SignedDuration;

/// With fewer voters nobody else has what is on a voter's volume.
const VOTERS_MIN: usize = 3;
/// A volume that took another's place stays for this long, whatever becomes of it.
const REST: SignedDuration = SignedDuration::from_hours(1);
/// Volumes that are not older than this by more are the cluster's first, as those are made within a short time.
const FIRST_WITHIN: SignedDuration = SignedDuration::from_mins(2);

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let kept = want.pods_of(group).take(seen.replicas(group) as usize);
    for pod in kept {
        let Some(damage) = damage(seen, &pod) else {
            continue;
        };
        let claims: Vec<(&String, &ClaimView)> = seen.claims_of(&pod).collect();
        // Those of a member that is given up already go with its pod; of one whose storage is gone, `repair` takes care.
        if claims.iter().all(|(_, claim)| claim.doomed) || claims.iter().any(|(_, claim)| claim.lost) {
            continue;
        }
        let reason = Reason::ChangingMembers;
        match obstacle(want, seen, lead, &pod) {
            None => {
                let message = format!(
                    "the data of {pod} is damaged ({damage}); its volume is replaced from the other members"
                );
                let claims = claims
                    .into_iter()
                    .map(|(name, claim)| (name.clone(), claim.uid.clone()))
                    .collect();
                return Step::Act(vec![Action::ReplaceLostVolume { pod, claims }], reason, message);
            }
            // A new pod must not come back on the half that is left.
            Some(obstacle) if is_deleted(seen, &pod) => {
                return Step::Wait(
                    reason,
                    format!("one volume of {pod} is deleted, and not the other: {obstacle}"),
                );
            }
            Some(_) => {}
        }
    }
    Step::Clear
}

/// Why the damaged volume of this pod stays, for people.
pub(super) fn refusal(want: &Want, seen: &Observed, lead: &Lead<'_>, pod: &str) -> Option<String> {
    let damage = damage(seen, pod)?;
    let obstacle = obstacle(want, seen, lead, pod)?;
    Some(format!(
        "the data of {pod} is damaged ({damage}), and its volume is not replaced: {obstacle}"
    ))
}

/// What is damaged on the volumes of a pod whose server serves nobody.
fn damage<'a>(seen: &'a Observed, pod: &str) -> Option<&'a str> {
    let view = seen.pods.get(pod)?;
    let idle = !view.running && !view.deleting && seen.member(pod).is_none();
    view.damage.as_deref().filter(|_| idle)
}

fn obstacle(want: &Want, seen: &Observed, lead: &Lead<'_>, pod: &str) -> Option<String> {
    if want.maintenance.fenced.contains(pod) {
        return Some("the manifest wants it fenced".to_owned());
    }
    if lead.voters().len() < VOTERS_MIN {
        return Some("fewer than three members vote, so nobody else may have what is on it".to_owned());
    }
    if lead.status.membership.joint {
        return Some("the voters are being changed".to_owned());
    }
    let mut others = lead
        .members()
        .iter()
        .filter(|member| member.name != pod && lead.votes(member.id));
    if let Some(other) = others.find(|member| !is_well(seen, lead, member)) {
        return Some(format!("{} is not well either", other.name));
    }
    if !others_have_everything(lead, pod) {
        return Some("no majority has everything without it".to_owned());
    }
    let mut claims = seen.claims.values();
    if let Some(claim) = claims.find(|claim| claim.doomed && claim.pod != pod) {
        return Some(format!("the volume of {} is on its way out", claim.pod));
    }
    if let Some((other, _)) = seen
        .pods
        .iter()
        .find(|(other, view)| *other != pod && view.deleting)
    {
        return Some(format!("{other} is coming or going"));
    }
    (!is_deleted(seen, pod) && is_a_recent_replacement(seen, pod)).then(|| {
        format!("it took another's place less than an hour ago; look at the disk under {pod} and at its node")
    })
}

/// Whether this voter is there and has everything, as one of those that are left has to.
fn is_well(seen: &Observed, lead: &Lead<'_>, member: &MemberAddress) -> bool {
    let pod = member.name.as_str();
    let serves = seen.is_running(pod)
        && seen
            .member(pod)
            .is_some_and(|status| status.address.id == member.id && status.not_ready.is_none());
    let stays = seen
        .pods
        .get(pod)
        .is_some_and(|view| view.ready && !view.deleting);
    serves && stays && lead.caught_up(member.id)
}

/// Whether a volume of this pod is young, and was not made together with the cluster's first.
fn is_a_recent_replacement(seen: &Observed, pod: &str) -> bool {
    let first = seen.claims.values().map(|claim| claim.created_at).min();
    seen.claims_of(pod).any(|(_, claim)| {
        let made = claim.created_at;
        seen.at.duration_since(made) < REST
            && first.is_some_and(|first| made.duration_since(first) > FIRST_WITHIN)
    })
}
