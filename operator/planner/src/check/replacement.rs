//! The rules of replacing volumes: only when the manifest says so or when they are damaged, one member at a time, and never what a majority needs.

use super::{any_leader, are_all_of, counts, decides_without_pod, is_empty, is_stale};
use crate::names::Group;
use crate::observed::{ClaimView, Observed, PodView};
use crate::want::Want;
use geode_api::BackupPhase;
use geode_types::MemberId;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

type Broken = Option<&'static str>;

pub(super) fn remake(want: &Want, seen: &Observed, group: Group, uid: &str, now: Timestamp) -> Broken {
    if !want.replaces_members {
        return Some("a StatefulSet is made anew only when the manifest lets members be replaced");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let Some(set) = seen.sets.get(&group).filter(|set| set.uid == uid) else {
        return Some("only a StatefulSet that was seen is changed");
    };
    // Made anew it has as many pods as the manifest says: none may be lost by that.
    (set.replicas != want.count(group))
        .then_some("a StatefulSet is made anew when its number of pods is settled")
}

pub(super) fn volumes(
    want: &Want,
    seen: &Observed,
    pod: &str,
    claims: &[(String, String)],
    now: Timestamp,
) -> Broken {
    if !want.replaces_members {
        return Some("volumes are replaced only when the manifest lets members be replaced");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    if !are_all_of(seen, pod, claims) {
        return Some("a member's volumes are deleted together, and nothing else");
    }
    let away = |(other, view): (&String, &PodView)| !is_empty(seen, other) && (view.deleting || !view.ready);
    if seen.member(pod).is_none() || seen.pods.iter().any(away) {
        return Some("no volume is replaced while a member is away");
    }
    if seen.claims.values().any(|claim| claim.doomed) {
        return Some("one member's volumes are replaced at a time");
    }
    let mut backups = seen.backups.iter();
    if backups.any(|backup| backup.status.phase == BackupPhase::Running) {
        return Some("no pod is disturbed during a backup");
    }
    let Some((lead_pod, leader)) = any_leader(seen) else {
        return Some("no volume is deleted without a leader");
    };
    if leader.membership.joint {
        return Some("no volume is replaced while two sets of voters are in force");
    }
    if lead_pod == pod {
        return Some("a leader hands over before its volumes are replaced");
    }
    (!decides_without_pod(leader, pod))
        .then_some("no volume is deleted without a majority that has everything")
}

/// All volumes of a member whose server has ended because they are damaged.
pub(super) fn damaged(want: &Want, seen: &Observed, pod: &str, now: Timestamp) -> Broken {
    let said = |view: &PodView| view.damage.is_some() && !view.running && !view.deleting;
    if !seen.pods.get(pod).is_some_and(said) {
        return Some("only a member whose storage is gone or whose files are damaged is deleted");
    }
    if want.maintenance.fenced.contains(pod) {
        return Some("a member that is to be fenced keeps its volumes");
    }
    let Some((_, leader)) = any_leader(seen) else {
        return Some("no volume is deleted without a leader");
    };
    let membership = &leader.membership;
    if membership.joint {
        return Some("no volume is replaced while two sets of voters are in force");
    }
    let own = |id: MemberId| {
        let mut members = membership.members.iter();
        members.any(|member| member.name == pod && member.id == id)
    };
    let mut others = membership.voters.iter().filter(|id| !own(**id));
    if membership.voters.len() < 3 || !others.all(|id| counts(leader, *id)) {
        return Some("damaged volumes are given up only while every other voter has everything");
    }
    if !decides_without_pod(leader, pod) {
        return Some("no volume is deleted without a majority that has everything");
    }
    let leaves = |(other, view): (&String, &PodView)| other != pod && view.deleting;
    if seen.claims.values().any(|claim| claim.doomed && claim.pod != pod) || seen.pods.iter().any(leaves) {
        return Some("one member's volumes are replaced at a time");
    }
    // One of them may be deleted already, by an operator that has ended since.
    let begun = seen.claims_of(pod).any(|(_, claim)| claim.doomed);
    let again = |claim: &ClaimView| {
        let older = |other: &ClaimView| {
            claim.created_at.duration_since(other.created_at) > SignedDuration::from_mins(2)
        };
        now.duration_since(claim.created_at) < SignedDuration::from_hours(1)
            && seen.claims.values().any(older)
    };
    (!begun && seen.claims_of(pod).any(|(_, claim)| again(claim)))
        .then_some("a volume that has just taken another's place stays, damaged or not")
}
