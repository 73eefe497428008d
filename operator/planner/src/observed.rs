//! `Observed`: what the operator saw in one look. It is gathered afresh for every plan by consistent reads, never from a cache, and what could
//! not be seen is `Unknown`, not absent.

use crate::names::Group;
use crate::object::ObjectKey;
use geode_api::{GeodeBackupStatus, GeodeClusterStatus, GeodeRestoreSpec, GeodeRestoreStatus, RetentionSpec};
use geode_types::{BackupKind, ClusterId, MemberId};
use geode_wire::internal::{MemberState, MemberStatus};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Nothing is disturbed on an observation older than this.
pub const STALE_AFTER_SECONDS: i64 = 10;

/// One look at the world.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When it began.
    pub at: Timestamp,
    /// The operator's objects as Kubernetes has them. Secrets are not here.
    pub objects: BTreeMap<ObjectKey, Value>,
    /// What is known about Secrets, without their contents.
    pub secrets: Secrets,
    /// The StatefulSets.
    pub sets: BTreeMap<Group, SetView>,
    /// Pods of the cluster, by name.
    pub pods: BTreeMap<String, PodView>,
    /// Number of the database's life that is in use: see [`crate::divide`].
    pub life: u32,
    /// Volumes of the life in use, by name.
    pub claims: BTreeMap<String, ClaimView>,
    /// Volumes of other lives of this cluster, by name.
    pub kept: BTreeMap<String, ClaimView>,
    /// What each pod's server said.
    pub members: BTreeMap<String, MemberSeen>,
    /// Backups of this cluster, oldest first.
    pub backups: Vec<BackupView>,
    /// Restores of this cluster, oldest first.
    pub restores: Vec<RestoreView>,
    /// The status as it stands.
    pub status: GeodeClusterStatus,
}

/// What is known about Secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secrets {
    /// The cluster's authority.
    pub authority: Option<Authority>,
    /// Certificates of members, by pod.
    pub certificates: BTreeMap<String, Certificate>,
    /// Fingerprint of the authority that is distributed to members.
    pub distributed: Option<String>,
    /// Whether the administrator's Secret exists, and if so whether it is deleted with the cluster.
    pub admin_owned: Option<bool>,
}

/// The cluster's authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Hash of its certificate.
    pub fingerprint: String,
    /// When it ends.
    pub not_after: Timestamp,
}

/// A member's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// When it began.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whether the authority above signed it.
    pub genuine: bool,
    /// DNS names in it.
    pub names: BTreeSet<String>,
}

/// A StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetView {
    /// Uid.
    pub uid: String,
    /// It is being deleted.
    pub deleting: bool,
    /// The life whose volumes its pods mount, by the names in its volume templates.
    pub life: u32,
    /// Neither fewer pods nor its own deletion take volumes with them.
    pub retains: bool,
    /// Fewer pods take no volumes with them.
    pub keeps_volumes: bool,
    /// `spec.replicas`.
    pub replicas: u32,
    /// Hash of the wishes in its pod template.
    pub template: Option<String>,
    /// Operator release that rendered it.
    pub release: Option<String>,
    /// The StatefulSet controller has seen the newest spec.
    pub observed: bool,
    /// Storage class in its volume templates.
    pub class: Option<String>,
    /// Sizes in its volume templates: those of new volumes.
    pub sizes: BTreeMap<VolumeKind, String>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodView {
    /// Uid.
    pub uid: String,
    /// Hash of the wishes that it was made from.
    pub template: Option<String>,
    /// Role label.
    pub role: Option<String>,
    /// It is being deleted.
    pub deleting: bool,
    /// The container of the server runs.
    pub running: bool,
    /// Kubernetes calls it ready.
    pub ready: bool,
    /// Its node takes no new pods: somebody is about to empty it.
    pub cordoned: bool,
    /// Why it is not there yet, in Kubernetes' words.
    pub trouble: Option<String>,
    /// The server does not run, and the last time it ended because its own files are damaged: what it said.
    pub damage: Option<String>,
}

/// Which of a member's volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VolumeKind {
    /// The graph.
    Data,
    /// The log.
    Wal,
}

impl VolumeKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Data, Self::Wal];

    fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Wal => "wal",
        }
    }

    /// Its name in the StatefulSet, in this life of the database. No other cluster's volume can have the name that follows from it: what stands
    /// before the first hyphen is the volume's, and names of clusters have no place there.
    pub fn name(self, life: u32) -> String {
        match life {
            0 => self.word().to_owned(),
            life => format!("{}{life}", self.word()),
        }
    }

    /// Which volume has this name in a StatefulSet, and in which life.
    pub fn parse(name: &str) -> Option<(Self, u32)> {
        Self::ALL.into_iter().find_map(|kind| {
            let digits = name.strip_prefix(kind.word())?;
            let life = if digits.is_empty() {
                0
            } else {
                digits.parse().ok()?
            };
            (kind.name(life) == name).then_some((kind, life))
        })
    }
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimView {
    /// Uid.
    pub uid: String,
    /// The pod it belongs to.
    pub pod: String,
    /// Which of the pod's volumes.
    pub kind: VolumeKind,
    /// In which life of the database.
    pub life: u32,
    /// The restore that took the place of its life, by its label.
    pub kept_by: Option<String>,
    /// It goes when an object goes that it belongs to.
    pub owned: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// Requested size.
    pub size: String,
    /// Its storage class.
    pub class: Option<String>,
    /// Its volume is gone: phase `Lost`.
    pub lost: bool,
    /// It is being deleted, or will be together with its pod.
    pub doomed: bool,
}

/// What a pod's server said.
#[derive(Clone, Debug)]
pub enum MemberSeen {
    /// It answered.
    Seen(Box<MemberStatus>),
    /// It did not, for this reason. Whether it runs is not known.
    Unknown(String),
}

/// A backup.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupView {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation.
    pub generation: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Of which kind.
    pub kind: BackupKind,
    /// What the archive has to keep when it is complete.
    pub retention: Option<RetentionSpec>,
    /// How it stands.
    pub status: GeodeBackupStatus,
}

/// A restore.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreView {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation.
    pub generation: i64,
    /// What it asks for.
    pub spec: GeodeRestoreSpec,
    /// How it stands.
    pub status: GeodeRestoreStatus,
}

impl Observed {
    /// How many pods the StatefulSet of a group is to have.
    pub fn replicas(&self, group: Group) -> u32 {
        self.sets.get(&group).map_or(0, |set| set.replicas)
    }

    /// The server of this pod, if it answered.
    pub fn member(&self, pod: &str) -> Option<&MemberStatus> {
        match self.members.get(pod)? {
            MemberSeen::Seen(status) => Some(status),
            MemberSeen::Unknown(_) => None,
        }
    }

    /// The servers that answered.
    pub fn seen(&self) -> impl Iterator<Item = (&str, &MemberStatus)> {
        self.members.iter().filter_map(|(pod, seen)| match seen {
            MemberSeen::Seen(status) => Some((pod.as_str(), &**status)),
            MemberSeen::Unknown(_) => None,
        })
    }

    /// The identity that this pod's server has now.
    pub fn id_of(&self, pod: &str) -> Option<MemberId> {
        self.member(pod).map(|status| status.address.id)
    }

    /// Identities of databases on the volumes that were seen.
    pub fn cluster_ids(&self) -> BTreeSet<ClusterId> {
        self.seen().filter_map(|(_, status)| status.cluster_id).collect()
    }

    /// The volumes of a pod.
    pub fn claims_of<'a>(&'a self, pod: &'a str) -> impl Iterator<Item = (&'a String, &'a ClaimView)> {
        self.claims.iter().filter(move |(_, claim)| claim.pod == pod)
    }

    /// Whether this pod's server answered and takes part.
    pub fn is_running(&self, pod: &str) -> bool {
        self.member(pod)
            .is_some_and(|status| status.state == MemberState::Running)
    }
}
