//! The rules of replacing volumes: only when the manifest says so, one member at a time, and never what a majority needs.

use super::{any_leader, are_all_of, decides_without_pod, is_empty, is_stale};
use crate::names::Group;
use crate::observed::{Observed, PodView};
use crate::want::Want;
use geode_api::BackupPhase;
use k8s_openapi::jiff::Timestamp;

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
