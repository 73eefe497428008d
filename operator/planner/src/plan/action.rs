//! What a plan consists of. Actions are exact: whoever executes them has no choices left, and doing one twice is doing it once.

use crate::names::Group;
use crate::object::{Object, ObjectKey};
use crate::want::Memory;
use geode_api::{GeodeBackupStatus, GeodeRestoreStatus, Reason};
use geode_types::{ClusterId, LogIndex, MemberId};
use geode_wire::client::MemberAddress;
use geode_wire::internal::Task;
use std::fmt;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write decisions into the status, before they are acted on.
    Record(Box<Memory>),
    /// Make the cluster's authority.
    CreateAuthority,
    /// Issue certificates for these pods, and distribute the authority.
    IssueCertificates {
        /// Pods.
        pods: Vec<String>,
    },
    /// Make sure that the administrator's Secret exists, and whether it is deleted with the cluster.
    SecureAdmin {
        /// Deleted with the cluster.
        owned: bool,
    },
    /// Server-side apply.
    Apply(Box<Object>),
    /// Delete an object of ours.
    Delete(ObjectKey),
    /// Set the number of pods.
    Scale {
        /// Of this group.
        group: Group,
        /// Number.
        replicas: u32,
    },
    /// Ask for a larger volume.
    GrowClaim {
        /// Which.
        claim: String,
        /// New size.
        size: String,
    },
    /// Make the member of this pod the first voter of a new cluster.
    Initialize {
        /// Pod.
        pod: String,
        /// Identity of the new cluster.
        cluster_id: ClusterId,
    },
    /// File a task with the server of this pod.
    FileTask {
        /// Pod.
        pod: String,
        /// Task.
        task: Task,
    },
    /// Add a member without a vote.
    AddLearner {
        /// Pod of the leader.
        leader: String,
        /// Who.
        member: MemberAddress,
    },
    /// Set the voters.
    ChangeVoters {
        /// Pod of the leader.
        leader: String,
        /// All voters from now on.
        voters: Vec<MemberId>,
        /// Index of the membership that this was decided on.
        expected: LogIndex,
    },
    /// Remove members without a vote.
    RemoveLearners {
        /// Pod of the leader.
        leader: String,
        /// Who.
        members: Vec<MemberId>,
        /// Index of the membership that this was decided on.
        expected: LogIndex,
    },
    /// Hand leadership over.
    TransferLeader {
        /// Pod of the leader.
        leader: String,
        /// Pod of its successor.
        to_pod: String,
        /// Its successor.
        to: MemberId,
    },
    /// Tell the member of this pod to take no part, or to take part again.
    Fence {
        /// Pod.
        pod: String,
        /// To take no part.
        fenced: bool,
    },
    /// Delete a pod, so that the StatefulSet makes it anew.
    RestartPod {
        /// Pod.
        pod: String,
        /// Only this one, not a younger one of the same name.
        uid: String,
    },
    /// Delete volumes whose storage is gone or whose content is damaged, and their pod, so that a new member takes its place.
    ReplaceLostVolume {
        /// Pod.
        pod: String,
        /// Names and uids of its volumes.
        claims: Vec<(String, String)>,
    },
    /// Delete the StatefulSet and nothing that belongs to it, so that it is made anew with other volume templates.
    RemakeSet {
        /// Whose.
        group: Group,
        /// Only this one.
        uid: String,
    },
    /// Delete the volumes of a member that runs. They go with its pod, and a new member takes its place.
    ReplaceVolumes {
        /// Pod.
        pod: String,
        /// Names and uids of its volumes.
        claims: Vec<(String, String)>,
    },
    /// Take all pods away, and let the StatefulSet keep all volumes from now on, in one write.
    StopPods {
        /// Whose.
        group: Group,
        /// Uid of the StatefulSet.
        uid: String,
    },
    /// Delete the StatefulSet, and nothing that belongs to it.
    DeleteSet {
        /// Whose.
        group: Group,
        /// Only this one.
        uid: String,
    },
    /// Say which restore keeps these volumes, or that they are in use, and that they belong to no object.
    MarkVolumes {
        /// Names.
        claims: Vec<String>,
        /// Name of the restore.
        kept_by: Option<String>,
    },
    /// Delete volumes that are kept and not in use.
    ReleaseVolumes {
        /// Names and uids.
        claims: Vec<(String, String)>,
    },
    /// Write the status of a restore.
    RecordRestore {
        /// Name.
        name: String,
        /// Status.
        status: Box<GeodeRestoreStatus>,
    },
    /// Set or remove the role label of a pod.
    SetRole {
        /// Pod.
        pod: String,
        /// Role.
        role: Option<&'static str>,
    },
    /// Create a GeodeBackup that nobody asked for: it covers a gap of the archive.
    TakeBackup {
        /// Name: one for each gap.
        name: String,
    },
    /// Write the status of a backup.
    RecordBackup {
        /// Name.
        name: String,
        /// Status.
        status: Box<GeodeBackupStatus>,
    },
}

/// What to do, and how far things are.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In this order; stop at the first failure.
    pub actions: Vec<Action>,
    /// For the conditions.
    pub progress: Progress,
    /// Whom it concerns: with observers alone all voters are where they should be.
    pub concerns: Group,
    /// What is left undone because the operator is paused.
    pub held: Vec<String>,
}

/// How far things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The goal is reached.
    Idle,
    /// Nothing is left to do until a person ends what a person asked for.
    Resting(Reason, String),
    /// The actions bring it nearer.
    Working(Reason, String),
    /// Something has to happen first.
    Waiting(Reason, String),
    /// A person has to act.
    Stuck(Reason, String),
}

impl Plan {
    /// Whether anything is left to do that belongs to the goal. Role labels and backups do not: they follow what happens.
    pub fn is_settled(&self) -> bool {
        matches!(self.progress, Progress::Idle | Progress::Resting(..))
    }
}

impl Action {
    /// The pod that it takes away.
    pub fn ends(&self) -> Option<&str> {
        match self {
            Self::RestartPod { pod, .. } | Self::ReplaceLostVolume { pod, .. } => Some(pod),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(_) => f.write_str("record decisions in the status"),
            Self::CreateAuthority => f.write_str("create the certificate authority"),
            Self::IssueCertificates { pods } => write!(f, "issue certificates for {}", pods.join(", ")),
            Self::SecureAdmin { .. } => f.write_str("create the admin's password"),
            Self::Apply(object) => write!(f, "apply {:?} {}", object.key.kind, object.key.name),
            Self::Delete(key) => write!(f, "delete {:?} {}", key.kind, key.name),
            Self::Scale {
                group: Group::Voters,
                replicas,
            } => write!(f, "set the number of pods to {replicas}"),
            Self::Scale {
                group: Group::Observers,
                replicas,
            } => write!(f, "set the number of observers' pods to {replicas}"),
            Self::GrowClaim { claim, size } => write!(f, "grow {claim} to {size}"),
            Self::Initialize { pod, cluster_id } => write!(f, "initialize cluster {cluster_id} on {pod}"),
            Self::FileTask { pod, task } => write!(f, "file task {} with {pod}", task.name),
            Self::AddLearner { member, .. } => {
                write!(f, "add {} (id {}) as a learner", member.name, member.id)
            }
            Self::ChangeVoters { voters, .. } => {
                let ids: Vec<String> = voters.iter().map(MemberId::to_string).collect();
                write!(f, "make {} the voters", ids.join(", "))
            }
            Self::RemoveLearners { members, .. } => {
                let ids: Vec<String> = members.iter().map(MemberId::to_string).collect();
                write!(f, "remove the learners {}", ids.join(", "))
            }
            Self::TransferLeader { leader, to_pod, .. } => {
                write!(f, "transfer leadership from {leader} to {to_pod}")
            }
            Self::Fence { pod, fenced: true } => write!(f, "fence {pod}"),
            Self::Fence { pod, fenced: false } => write!(f, "lift the fence of {pod}"),
            Self::RestartPod { pod, .. } => write!(f, "restart {pod}"),
            Self::ReplaceLostVolume { pod, .. } => write!(f, "replace the lost or damaged volume of {pod}"),
            Self::RemakeSet { group, .. } => write!(f, "make the StatefulSet of the {group} anew"),
            Self::ReplaceVolumes { pod, .. } => write!(f, "replace the volumes of {pod}"),
            Self::StopPods { group, .. } => write!(f, "stop all {group} and keep their volumes"),
            Self::DeleteSet { group, .. } => {
                write!(f, "delete the StatefulSet of the {group} and keep its volumes")
            }
            Self::MarkVolumes {
                claims,
                kept_by: Some(restore),
            } => write!(f, "keep {} for {restore}", claims.join(", ")),
            Self::MarkVolumes {
                claims,
                kept_by: None,
            } => write!(f, "use {} again", claims.join(", ")),
            Self::ReleaseVolumes { claims } => {
                let names: Vec<&str> = claims.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "delete the kept volumes {}", names.join(", "))
            }
            Self::RecordRestore { name, .. } => write!(f, "update restore {name}"),
            Self::SetRole {
                pod,
                role: Some(role),
            } => write!(f, "label {pod} as {role}"),
            Self::SetRole { pod, role: None } => write!(f, "remove the role label of {pod}"),
            Self::TakeBackup { name } => write!(f, "take the backup {name}: the archive has a gap"),
            Self::RecordBackup { name, .. } => write!(f, "update backup {name}"),
        }
    }
}
