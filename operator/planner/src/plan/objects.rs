//! Do all objects exist as the manifest wants them? Secrets first, the StatefulSets last. Certificates are renewed long before they end.

use crate::build::{self, Fixed};
use crate::names::Group;
use crate::observed::{Certificate, Observed, VolumeKind};
use crate::plan::{Action, hibernation};
use crate::want::{Memory, Want};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// A certificate is renewed when less than a third of its life is left.
const RENEW_AT_FRACTION: i64 = 3;

pub(super) fn plan(want: &Want, seen: &Observed, now: Timestamp) -> Vec<Action> {
    let mut actions = Vec::new();
    if want.memory.images.is_none() {
        let memory = Memory {
            images: Some(want.images_unnamed.clone()),
            ..want.memory.clone()
        };
        actions.push(Action::Record(Box::new(memory)));
    }
    actions.extend(secrets(want, seen, now));
    let sets: Vec<Fixed> = Group::ALL
        .into_iter()
        .filter(|group| is_needed(want, seen, *group))
        .map(|group| fixed(want, seen, group))
        .collect();
    let objects = build::objects(want, seen, &sets);
    actions.extend(objects.into_iter().filter_map(|object| {
        let applied = seen
            .objects
            .get(&object.key)
            .is_some_and(|live| object.is_applied_to(live));
        (!applied).then(|| Action::Apply(Box::new(object)))
    }));
    actions.extend(build::surplus(want, seen).into_iter().map(Action::Delete));
    actions
}

/// Whether there is a StatefulSet for this group. One whose pods are all gone stays: it takes their volumes away. One is needed, too, to look
/// at volumes that an earlier cluster of this name left behind.
fn is_needed(want: &Want, seen: &Observed, group: Group) -> bool {
    let has_volume = || {
        seen.claims
            .values()
            .any(|claim| want.names.ordinal(group, &claim.pod).is_some())
    };
    want.count(group) > 0 || seen.sets.contains_key(&group) || has_volume()
}

/// What a StatefulSet that exists keeps: its pods are added and taken away by other questions, its volume templates never change.
fn fixed(want: &Want, seen: &Observed, group: Group) -> Fixed {
    let set = seen.sets.get(&group);
    let size = |kind: VolumeKind, wanted: &String| {
        set.and_then(|set| set.sizes.get(&kind)).unwrap_or(wanted).clone()
    };
    Fixed {
        group,
        replicas: match set {
            Some(set) => set.replicas,
            None if want.maintenance.hibernates && !runs(want, seen, group) => 0,
            None => replicas_anew(want, seen, group),
        },
        keeps_volumes: want.maintenance.hibernates || set.is_some_and(hibernation::sleeps),
        class: set.map_or_else(|| want.storage_class.clone(), |set| set.class.clone()),
        life: set.map_or(seen.life, |set| set.life),
        sizes: [
            size(VolumeKind::Data, &want.data_size),
            size(VolumeKind::Wal, &want.wal_size),
        ],
    }
}

/// Whether pods of this group are there.
fn runs(want: &Want, seen: &Observed, group: Group) -> bool {
    let mut pods = seen.pods.iter().filter(|(_, view)| !view.deleting);
    pods.any(|(pod, _)| want.names.ordinal(group, pod).is_some())
}

/// A database that comes back after an exchange, or runs while its StatefulSet is made anew, may have more members than the manifest asks for now; they
/// leave it as members do.
fn replicas_anew(want: &Want, seen: &Observed, group: Group) -> u32 {
    let left = seen.claims.values().filter(|_| want.memory.lives.is_some());
    let left = left.map(|claim| &claim.pod);
    let running = seen
        .pods
        .iter()
        .filter(|(_, view)| !view.deleting)
        .map(|(pod, _)| pod);
    let highest = left
        .chain(running)
        .filter_map(|pod| want.names.ordinal(group, pod))
        .max();
    let wanted = want.count(group);
    highest.map_or(wanted, |highest| wanted.max(highest + 1))
}

fn secrets(want: &Want, seen: &Observed, now: Timestamp) -> Vec<Action> {
    let mut actions = Vec::new();
    if seen.secrets.authority.is_none() {
        actions.push(Action::CreateAuthority);
    }
    let distributed = seen
        .secrets
        .authority
        .as_ref()
        .is_some_and(|authority| seen.secrets.distributed.as_ref() == Some(&authority.fingerprint));
    let pods = |group: Group| {
        let count = want.count(group).max(seen.replicas(group));
        (0..count).map(move |ordinal| want.names.pod(group, ordinal))
    };
    let due: Vec<String> = Group::ALL
        .into_iter()
        .flat_map(pods)
        .filter(|pod| {
            !seen
                .secrets
                .certificates
                .get(pod)
                .is_some_and(|certificate| is_good(certificate, want, pod, now))
        })
        .collect();
    if !due.is_empty() || !distributed {
        actions.push(Action::IssueCertificates { pods: due });
    }
    if seen.secrets.admin_owned != Some(build::admin_is_owned(want)) {
        actions.push(Action::SecureAdmin {
            owned: build::admin_is_owned(want),
        });
    }
    actions
}

fn is_good(certificate: &Certificate, want: &Want, pod: &str, now: Timestamp) -> bool {
    let life: SignedDuration = certificate.not_after.duration_since(certificate.not_before);
    let left: SignedDuration = certificate.not_after.duration_since(now);
    let named = want
        .names
        .certificate_names(pod)
        .iter()
        .all(|name| certificate.names.contains(name));
    certificate.genuine && named && left.as_secs() * RENEW_AT_FRACTION > life.as_secs()
}
