//! Do all objects exist as the manifest wants them? Secrets first, the StatefulSet last. Certificates are renewed long before they end.

use crate::build::{self, Fixed};
use crate::observed::{Certificate, Observed, VolumeKind};
use crate::plan::Action;
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
    let objects = build::objects(want, seen, &fixed(want, seen));
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

/// What a StatefulSet that exists keeps: its pods are added and taken away by other questions, its volume templates never change.
fn fixed(want: &Want, seen: &Observed) -> Fixed {
    let size = |kind: VolumeKind, wanted: &String| {
        seen.set
            .as_ref()
            .and_then(|set| set.sizes.get(&kind))
            .unwrap_or(wanted)
            .clone()
    };
    Fixed {
        replicas: seen
            .set
            .as_ref()
            .map_or_else(|| replicas_anew(want, seen), |set| set.replicas),
        life: seen.set.as_ref().map_or(seen.life, |set| set.life),
        sizes: [
            size(VolumeKind::Data, &want.data_size),
            size(VolumeKind::Wal, &want.wal_size),
        ],
    }
}

/// A database that comes back after an exchange may have had more members than the manifest asks for now; they leave it as members do.
fn replicas_anew(want: &Want, seen: &Observed) -> u32 {
    let left = seen.claims.values().filter(|_| want.memory.lives.is_some());
    let highest = left.filter_map(|claim| want.names.ordinal(&claim.pod)).max();
    highest.map_or(want.members, |highest| want.members.max(highest + 1))
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
    let pods = want.members.max(seen.set.as_ref().map_or(0, |set| set.replicas));
    let due: Vec<String> = (0..pods)
        .map(|ordinal| want.names.pod(ordinal))
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
