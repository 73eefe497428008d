//! The rules of an exchange of databases: volumes go only when they are released, two lives never run at the same time, and nothing is stopped on an
//! observation that is old or has holes.

use super::{any_leader, decides, is_stale, maintenance};
use crate::names::Group;
use crate::observed::{ClaimView, Observed, VolumeKind};
use crate::want::{Memory, Want};
use crate::{Kind, Object};
use geode_api::{BootstrapMethod, LivesStatus};
use geode_types::MemberId;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

type Broken = Option<&'static str>;

/// Pods of members.
fn member_pods<'a>(want: &'a Want, seen: &'a Observed) -> impl Iterator<Item = &'a String> {
    seen.pods.keys().filter(|pod| want.names.place(pod).is_some())
}

fn under_way(want: &Want) -> bool {
    want.memory
        .lives
        .as_ref()
        .is_some_and(|lives| lives.exchange.is_some())
}

fn in_use(lives: Option<&LivesStatus>, seen: &Observed) -> u32 {
    lives.map_or(seen.life, |lives| lives.in_use)
}

/// Whether a restore in place is what the database in use begins with, and has not begun with yet.
pub(super) fn is_restored(want: &Want) -> bool {
    let bootstrap = want.memory.bootstrap.as_ref();
    let life = want.memory.lives.as_ref().map_or(0, |lives| lives.in_use);
    life > 0 && bootstrap.is_some_and(|bootstrap| bootstrap.method == BootstrapMethod::Restore)
}

/// What a record says of an exchange; `None` when it says nothing new.
pub(super) fn record(want: &Want, seen: &Observed, memory: &Memory, now: Timestamp) -> Option<Broken> {
    let (before, after) = (want.memory.lives.as_ref(), memory.lives.as_ref());
    if before == after {
        return None;
    }
    let same_identity =
        memory.cluster_id == want.memory.cluster_id && memory.bootstrap == want.memory.bootstrap;
    Some(match after {
        None => Some("lives of a database are not forgotten"),
        Some(lives) if under_way(want) => completion(want, seen, lives, now),
        Some(lives) => decision(seen, lives, before, now).or_else(|| {
            (!same_identity).then_some("the decision to exchange databases changes nothing else")
        }),
    })
}

fn decision(seen: &Observed, lives: &LivesStatus, before: Option<&LivesStatus>, now: Timestamp) -> Broken {
    let Some(exchange) = &lives.exchange else {
        return Some("lives are recorded by an exchange only");
    };
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    if lives.in_use != in_use(before, seen) || exchange.to == lives.in_use {
        return Some("an exchange leads from the life in use to another one");
    }
    let has_volumes = seen.kept.values().any(|claim| claim.life == exchange.to);
    let begins = lives
        .known
        .iter()
        .any(|life| life.number == exchange.to && life.restore.is_some());
    if !begins && !has_volumes {
        return Some("an exchange leads to a restore or to volumes that are there");
    }
    let was = before.map_or(lives.in_use, |before| before.last);
    (exchange.to > was && has_volumes).then_some("a new life has volumes of its own")
}

fn completion(want: &Want, seen: &Observed, lives: &LivesStatus, now: Timestamp) -> Broken {
    let decided = want
        .memory
        .lives
        .as_ref()
        .and_then(|lives| lives.exchange.as_ref());
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    if lives.exchange.is_some() || decided.is_none_or(|decided| decided.to != lives.in_use) {
        return Some("an exchange that was decided is carried out as it was decided");
    }
    if !seen.sets.is_empty() || member_pods(want, seen).next().is_some() {
        return Some("two lives of a database never run at the same time");
    }
    seen.claims
        .values()
        .any(|claim| !is_safe(claim))
        .then_some("volumes are marked before others take their place")
}

/// Nothing takes it along, and whoever looks at it sees that it is kept.
fn is_safe(claim: &ClaimView) -> bool {
    claim.doomed || (!claim.owned && claim.kept_by.is_some())
}

pub(super) fn stop(want: &Want, seen: &Observed, group: Group, uid: &str, now: Timestamp) -> Broken {
    if !under_way(want) && !maintenance::hibernates(want) {
        return Some("members are stopped only for an exchange that is recorded, or to hibernate");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    if seen.sets.get(&group).is_none_or(|set| set.uid != uid) {
        return Some("only a StatefulSet that was seen is changed");
    }
    let ready = |pod: &&String| {
        seen.pods
            .get(*pod)
            .is_some_and(|view| view.ready && !view.deleting)
    };
    if member_pods(want, seen)
        .filter(ready)
        .any(|pod| seen.member(pod).is_none())
    {
        return Some("nothing is stopped by an operator that does not reach what serves");
    }
    let goes = |claim: &&ClaimView| claim.doomed && seen.pods.contains_key(&claim.pod);
    let going: BTreeSet<&String> = seen
        .claims
        .values()
        .filter(goes)
        .map(|claim| &claim.pod)
        .collect();
    let spared = any_leader(seen).is_some_and(|(_, leader)| {
        let members = leader.membership.members.iter();
        let gone: Vec<MemberId> = members
            .filter(|member| going.contains(&member.name))
            .map(|member| member.id)
            .collect();
        decides(leader, &leader.membership.voters, &gone)
    });
    (!going.is_empty() && !spared).then_some("no volume goes without a majority that has everything")
}

pub(super) fn delete_set(want: &Want, seen: &Observed, group: Group, uid: &str, now: Timestamp) -> Broken {
    if !under_way(want) {
        return Some("a StatefulSet is deleted only for an exchange that is recorded");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let Some(set) = seen.sets.get(&group).filter(|set| set.uid == uid) else {
        return Some("only a StatefulSet that was seen is changed");
    };
    if set.replicas > 0 || member_pods(want, seen).next().is_some() {
        return Some("a StatefulSet is deleted when its pods are gone");
    }
    if !set.retains || !set.observed {
        return Some("a StatefulSet is deleted when it is known to keep its volumes");
    }
    seen.claims
        .values()
        .any(|claim| !is_safe(claim))
        .then_some("a StatefulSet is deleted when no volume belongs to it")
}

pub(super) fn mark(want: &Want, seen: &Observed, claims: &[String], kept_by: Option<&String>) -> Broken {
    let Some(exchange) = want
        .memory
        .lives
        .as_ref()
        .and_then(|lives| lives.exchange.as_ref())
    else {
        return Some("volumes are marked only for an exchange that is recorded");
    };
    if member_pods(want, seen).next().is_some() {
        return Some("volumes are marked while nobody uses them");
    }
    let right = |name: &String| match kept_by {
        Some(_) => seen.claims.contains_key(name),
        None => seen.kept.get(name).is_some_and(|claim| claim.life == exchange.to),
    };
    (!claims.iter().all(right)).then_some("only volumes of the two lives that are exchanged are marked")
}

pub(super) fn release(want: &Want, seen: &Observed, claims: &[(String, String)], now: Timestamp) -> Broken {
    if under_way(want) {
        return Some("no volume is deleted while databases are exchanged");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let used = in_use(want.memory.lives.as_ref(), seen);
    let kept = |(name, uid): &(String, String)| {
        let claim = seen.kept.get(name).filter(|claim| claim.uid == *uid)?;
        (claim.life != used && !seen.claims.contains_key(name)).then_some(claim)
    };
    let Some(kept) = claims.iter().map(kept).collect::<Option<Vec<&ClaimView>>>() else {
        return Some("only volumes that are kept and not in use are deleted");
    };
    let lives = want.memory.lives.iter().flat_map(|lives| &lives.known);
    let released = |claim: &&ClaimView| {
        let restores = seen.restores.iter().filter(|restore| restore.spec.release);
        let exchanged = |uid: &str| {
            let order = lives
                .clone()
                .filter_map(|life| Some((life.number, life.restore.as_ref()?)));
            order
                .filter(|(_, order)| order.uid == uid)
                .any(|(number, order)| [number, order.previous].contains(&claim.life))
        };
        restores.map(|restore| restore.uid.as_str()).any(exchanged)
    };
    (!kept.iter().all(released)).then_some("volumes that are kept are deleted when they are released")
}

/// The names in a StatefulSet's volume templates say which life its pods are of.
pub(super) fn apply(want: &Want, seen: &Observed, object: &Object) -> Broken {
    if object.key.kind != Kind::StatefulSet {
        return None;
    }
    if under_way(want) {
        return Some("no pods are made while databases are exchanged");
    }
    let used = in_use(want.memory.lives.as_ref(), seen);
    let templates = object.body.pointer("/spec/volumeClaimTemplates");
    let names = templates
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|template| template.pointer("/metadata/name").and_then(Value::as_str));
    let lives: Vec<Option<(VolumeKind, u32)>> = names.map(VolumeKind::parse).collect();
    let right = !lives.is_empty()
        && lives
            .iter()
            .all(|parsed| parsed.is_some_and(|(_, life)| life == used));
    (!right).then_some("pods use the volumes of the life in use")
}
