//! Are the volumes as the manifest wants them, where they cannot simply grow? A smaller size or another storage class takes new volumes, and new volumes
//! are a new member. One at a time, while everybody is well: the StatefulSet is made anew with the wanted templates and without a pod being touched; a
//! member's volumes are deleted, which Kubernetes does when its pod goes; `repair` makes the pod anew while the others have everything; the new
//! member copies the data and takes the vote. The leader's turn comes last, as a follower.

use crate::names::Group;
use crate::observed::{ClaimView, Observed, SetView, VolumeKind};
use crate::plan::repair::others_have_everything;
use crate::plan::voters::is_blank;
use crate::plan::{Action, Step, rolling, unwell};
use crate::quantity::smaller;
use crate::quorum::Lead;
use crate::want::Want;
use geode_api::{BackupPhase, Reason, restart_rank};
use std::collections::BTreeSet;

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    if !want.replaces_members {
        return Step::Clear;
    }
    let in_use = seen
        .claims
        .values()
        .filter(|claim| !claim.doomed && want.wants_pod(&claim.pod));
    let mut due: Vec<&str> = in_use
        .filter(|claim| is_due(want, claim))
        .map(|claim| claim.pod.as_str())
        .collect::<BTreeSet<&str>>()
        .into_iter()
        .collect();
    due.sort_by_key(|pod| restart_rank(pod, lead.pod));
    let Some(pod) = due.first().copied() else {
        return Step::Clear;
    };
    let Some(place) = want.names.place(pod) else {
        return Step::Clear;
    };
    if place.group == Group::Voters && lead.voters().len() < 3 {
        return Step::Stuck(
            Reason::InvalidSpec,
            format!(
                "the volumes of {pod} cannot be replaced: nobody else has the data; set spec.members to 3 first"
            ),
        );
    }
    let wait = |message: String| Step::Wait(Reason::ChangingMembers, message);
    let Some(set) = seen.sets.get(&place.group) else {
        return wait("waiting for the StatefulSet".to_owned());
    };
    if !makes_wanted_volumes(want, set) {
        return remake(want, place.group, set);
    }
    if !set.observed {
        return wait("waiting for Kubernetes to see the new StatefulSet".to_owned());
    }
    if let Some(obstacle) = obstacle(want, seen, lead) {
        return obstacle;
    }
    let mut backups = seen.backups.iter();
    if let Some(backup) = backups.find(|backup| backup.status.phase == BackupPhase::Running) {
        return wait(format!("waiting for backup {} to end", backup.name));
    }
    if pod == lead.pod {
        return rolling::hand_over(want, seen, lead);
    }
    if !others_have_everything(lead, pod) {
        return wait(format!(
            "the volumes of {pod} are to be replaced; waiting until a majority has everything"
        ));
    }
    let claims = seen
        .claims_of(pod)
        .map(|(name, claim)| (name.clone(), claim.uid.clone()));
    let claims = claims.collect();
    let message = format!("replacing the volumes of {pod}; {} members to go", due.len());
    let pod = pod.to_owned();
    Step::Act(
        vec![Action::ReplaceVolumes { pod, claims }],
        Reason::ChangingMembers,
        message,
    )
}

/// Whoever is away or on the way out is waited for. An empty server is nobody's majority.
fn obstacle(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Option<Step> {
    if let Some((_, waiting)) = unwell(want, seen, lead).into_iter().next() {
        return Some(waiting);
    }
    let wait = |message: String| Some(Step::Wait(Reason::ChangingMembers, message));
    if let Some(claim) = seen.claims.values().find(|claim| claim.doomed) {
        return wait(format!("the volume of {} is on its way out", claim.pod));
    }
    let counts = |pod: &str| !seen.member(pod).is_some_and(is_blank);
    let mut away = seen.pods.iter().filter(|(_, view)| view.deleting || !view.ready);
    let (pod, _) = away.find(|(pod, _)| counts(pod))?;
    wait(format!("waiting for {pod}, which is coming or going"))
}

fn remake(want: &Want, group: Group, set: &SetView) -> Step {
    if set.replicas != want.count(group) {
        let message =
            format!("the StatefulSet of the {group} is made anew when its number of pods is settled");
        return Step::Wait(Reason::ChangingMembers, message);
    }
    if set.deleting {
        return Step::Wait(
            Reason::ChangingMembers,
            "waiting for the old StatefulSet to go".to_owned(),
        );
    }
    let uid = set.uid.clone();
    Step::Act(
        vec![Action::RemakeSet { group, uid }],
        Reason::ChangingMembers,
        format!("making the StatefulSet of the {group} anew with other volumes; no pod is touched"),
    )
}

/// What a volume of this kind is to be.
fn wanted(want: &Want, kind: VolumeKind) -> &String {
    match kind {
        VolumeKind::Data => &want.data_size,
        VolumeKind::Wal => &want.wal_size,
    }
}

/// Where the manifest names no class, any is right.
fn is_class(want: &Want, class: Option<&String>) -> bool {
    want.storage_class.is_none() || want.storage_class.as_ref() == class
}

fn is_due(want: &Want, claim: &ClaimView) -> bool {
    smaller(wanted(want, claim.kind), &claim.size) || !is_class(want, claim.class.as_ref())
}

fn makes_wanted_volumes(want: &Want, set: &SetView) -> bool {
    let fits = |(kind, size): (&VolumeKind, &String)| !smaller(wanted(want, *kind), size);
    is_class(want, set.class.as_ref()) && set.sizes.iter().all(fits)
}
