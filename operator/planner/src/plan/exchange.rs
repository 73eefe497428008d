//! One database takes another's place, a step a round: the members stop, their volumes are marked as kept, the StatefulSets are deleted, and what is
//! remembered says which life is in use. Nothing else is planned meanwhile. Everything is decided from what is seen, so whoever goes on after any step
//! goes on from there; the StatefulSet is then made anew by `objects`, with the volumes of the life in use.
//!
//! Volumes survive each step by themselves: before a pod stops, the StatefulSet is told to keep its volumes; before it is deleted, no volume belongs to
//! any object.

use crate::names::Group;
use crate::observed::{ClaimView, MemberSeen, Observed, SetView};
use crate::plan::{Action, Plan, Progress};
use crate::quorum::{Lead, majority};
use crate::status::whole_second;
use crate::want::{Memory, Want};
use geode_api::{BootstrapMethod, BootstrapStatus, ExchangeStatus, Reason};
use geode_types::ClusterId;
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The next step.
pub(super) fn plan(want: &Want, seen: &Observed, exchange: &ExchangeStatus, now: Timestamp) -> Plan {
    let act = |action: Action, message: String| Plan {
        actions: vec![action],
        progress: Progress::Working(Reason::Restoring, message),
        concerns: Group::Voters,
        held: Vec::new(),
    };
    let wait = |message: String| Plan {
        actions: Vec::new(),
        progress: Progress::Waiting(Reason::Restoring, message),
        concerns: Group::Voters,
        held: Vec::new(),
    };
    let whose = format!("{} exchanges databases", exchange.restore);
    let runs = |(_, set): &(&Group, &SetView)| set.replicas > 0 || !set.retains;
    if let Some((group, set)) = seen.sets.iter().find(runs) {
        if let Some(obstacle) = obstacle(want, seen) {
            return wait(format!("{whose}: {obstacle}"));
        }
        let (group, uid) = (*group, set.uid.clone());
        let message = format!("{whose}: stopping all {group}");
        return act(Action::StopPods { group, uid }, message);
    }
    let pods: Vec<&str> = ours(want, seen).collect();
    if !pods.is_empty() {
        return wait(format!("{whose}: {} stop", pods.join(", ")));
    }
    // A volume that somebody deletes can neither be kept nor marked.
    let open = |claim: &ClaimView| claim.owned || claim.kept_by.as_ref() != Some(&exchange.restore);
    let unmarked = names(
        seen.claims
            .iter()
            .filter(|(_, claim)| !claim.doomed && open(claim)),
    );
    if !unmarked.is_empty() {
        let kept_by = Some(exchange.restore.clone());
        let claims = unmarked;
        let message = format!("{whose}: keeping {} volumes", claims.len());
        return act(Action::MarkVolumes { claims, kept_by }, message);
    }
    if let Some((group, set)) = seen.sets.first_key_value() {
        if set.deleting || !set.observed {
            return wait(format!("{whose}: waiting for Kubernetes to see the StatefulSet"));
        }
        let (group, uid) = (*group, set.uid.clone());
        let message = format!("{whose}: making the StatefulSet of the {group} anew");
        return act(Action::DeleteSet { group, uid }, message);
    }
    let coming = seen.kept.iter().filter(|(_, claim)| claim.life == exchange.to);
    let marked = names(coming.filter(|(_, claim)| claim.kept_by.is_some() && !claim.doomed));
    if !marked.is_empty() {
        let (claims, kept_by) = (marked, None);
        let message = format!("{whose}: using {} volumes from before", claims.len());
        return act(Action::MarkVolumes { claims, kept_by }, message);
    }
    let memory = completed(want, exchange, now);
    act(
        Action::Record(Box::new(memory)),
        format!(
            "{whose}: the volumes of life {} are used from now on",
            exchange.to
        ),
    )
}

/// Why members must not be stopped now. What cannot be seen may be all there is: a pod that Kubernetes calls ready serves somebody, so an operator that
/// does not reach it is cut off itself.
pub(super) fn obstacle(want: &Want, seen: &Observed) -> Option<String> {
    let unseen = ours(want, seen).find_map(|pod| {
        let ready = seen
            .pods
            .get(pod)
            .is_some_and(|view| view.ready && !view.deleting);
        match seen.members.get(pod) {
            Some(MemberSeen::Unknown(reason)) if ready => {
                Some(format!("{pod} is ready, but does not answer: {reason}"))
            }
            None if ready => Some(format!("{pod} is ready, but was not asked")),
            _ => None,
        }
    });
    unseen.or_else(|| {
        let going = going(seen);
        let first = going.first()?;
        let spared = Lead::find(seen).is_some_and(|lead| have_everything_without(&lead, &going));
        (!spared).then(|| {
            format!("the volume of {first} is deleted and goes with its pod, and no majority of the others has what is on it")
        })
    })
}

/// Pods whose volumes somebody has deleted; they go with them.
fn going(seen: &Observed) -> BTreeSet<&str> {
    let goes = |claim: &&ClaimView| claim.doomed && seen.pods.contains_key(&claim.pod);
    let going = seen.claims.values().filter(goes);
    going.map(|claim| claim.pod.as_str()).collect()
}

fn have_everything_without(lead: &Lead<'_>, going: &BTreeSet<&str>) -> bool {
    let staying = lead.members().iter().filter(|member| {
        !going.contains(member.name.as_str()) && lead.votes(member.id) && lead.caught_up(member.id)
    });
    staying.count() >= majority(lead.voters().len())
}

/// Pods of members.
fn ours<'a>(want: &'a Want, seen: &'a Observed) -> impl Iterator<Item = &'a str> {
    let pods = seen.pods.keys().map(String::as_str);
    pods.filter(|pod| want.names.place(pod).is_some())
}

fn names<'a>(claims: impl Iterator<Item = (&'a String, &'a ClaimView)>) -> Vec<String> {
    claims.map(|(name, _)| name.clone()).collect()
}

/// What is remembered from now on: the identity of a database that has been, or that of one that is to be restored.
fn completed(want: &Want, exchange: &ExchangeStatus, now: Timestamp) -> Memory {
    let life = want.memory.life(exchange.to);
    let restored = || {
        let order = life?.restore.as_ref()?;
        Some(BootstrapStatus {
            method: BootstrapMethod::Restore,
            pod: want.names.pod(Group::Voters, 0),
            cluster_id: order.uid.clone(),
            source: None,
            started_at: whole_second(now),
        })
    };
    let cluster_id = life.and_then(|life| life.cluster_id.as_deref());
    let lives = want.memory.lives.clone().map(|mut lives| {
        lives.in_use = exchange.to;
        lives.exchange = None;
        lives
    });
    Memory {
        images: want.memory.images.clone(),
        bootstrap: life.and_then(|life| life.bootstrap.clone()).or_else(restored),
        cluster_id: cluster_id.and_then(|id| Uuid::parse_str(id).ok()).map(ClusterId),
        lives,
    }
}
