//! `GeodeBackup`: one backup of a cluster into its archive.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One backup of a cluster into its archive.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "geodedb.com",
    version = "v1alpha1",
    kind = "GeodeBackup",
    plural = "geodebackups",
    shortname = "gb",
    category = "geode",
    namespaced,
    status = "GeodeBackupStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One backup of a GeodeCluster into its archive. Deleting this object keeps the backup.",
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.cluster",
        description = "What is backed up"
    ),
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".status.type",
        description = "full, incremental or differential"
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Pending, Running, Completed or Failed"
    ),
    printcolumn(
        name = "LSN",
        type_ = "string",
        json_path = ".status.lsn",
        description = "Last commit in it"
    ),
    printcolumn(
        name = "Bytes",
        type_ = "integer",
        json_path = ".status.bytes",
        description = "Size as stored"
    ),
    printcolumn(
        name = "Location",
        type_ = "string",
        json_path = ".status.location",
        description = "Where it is",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Age"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("a GeodeBackup is taken once and cannot change; create another one"))]
pub struct GeodeBackupSpec {
    /// Name of the GeodeCluster in this namespace. It must have an archive.
    #[schemars(length(min = 1, max = 40))]
    pub cluster: String,
    /// full, incremental (goes on from the newest backup of any kind) or differential (goes on from the newest full one). The latter two store
    /// nothing twice: the archived log leads to them. Without a full backup a full one is taken instead.
    #[serde(default = "full", rename = "type")]
    #[schemars(regex(pattern = r"^(full|incremental|differential)$"))]
    pub kind: String,
    /// When the backup is complete, delete what the archive need not keep any more. Nothing is deleted when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
}

/// How long the archive keeps base backups and the write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionSpec {
    /// Every moment of so many days can be restored: the base backups of these days stay, and the newest one before them.
    #[schemars(range(min = 1, max = 36500))]
    pub days: u32,
    /// So many base backups stay, however old they are.
    #[serde(default = "default_min_count")]
    #[schemars(range(min = 1, max = 10000))]
    pub min_count: u32,
    /// The log goes after so many days; `days` when absent. Beyond them a restore goes to the moments of base backups only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36500))]
    pub wal_days: Option<u32>,
    /// Incremental and differential backups go after so many days; `days` when absent. Those that stay keep their full backup and the log that leads
    /// to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36500))]
    pub incremental_days: Option<u32>,
    /// So many incremental and differential backups stay, however old they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub incremental_min_count: Option<u32>,
}

/// The type of a backup when none is said.
pub(crate) fn full() -> String {
    "full".to_owned()
}

fn default_min_count() -> u32 {
    1
}

impl RetentionSpec {
    /// How long the log stays.
    pub fn wal_days(&self) -> u32 {
        self.wal_days.unwrap_or(self.days)
    }

    /// How long incremental and differential backups stay.
    pub fn incremental_days(&self) -> u32 {
        self.incremental_days.unwrap_or(self.days)
    }
}

/// What the clean-up after a backup deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanedUpStatus {
    /// Base backups.
    pub backups: i64,
    /// Segments of the log.
    pub segments: i64,
    /// Their size.
    pub bytes: i64,
    /// Last commit in the oldest base backup that is left.
    pub oldest_lsn: String,
    /// Incremental and differential backups.
    #[serde(default)]
    pub increments: i64,
    /// Incremental and differential backups that end before this LSN are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_increment_lsn: Option<String>,
}

/// How the backup stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeodeBackupStatus {
    /// Generation of the spec that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Running, Completed or Failed.
    #[serde(default)]
    pub phase: BackupPhase,
    /// Ready (complete), Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What it is: an incremental or differential backup is a full one when there was none to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
    /// The backup in the archive that it goes on from, when it is not full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Pod whose sidecar takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// How far it is, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Last commit in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// Hash of the graph in it; equal graphs have equal hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_hash: Option<String>,
    /// Size as stored; of a backup that is not full, that of the log since its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// What the clean-up after it deleted. With `spec.retention` and without this the clean-up failed, and the next backup makes up for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned_up: Option<CleanedUpStatus>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
}

/// Phases of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackupPhase {
    /// Not begun.
    #[default]
    Pending,
    /// A sidecar is at it.
    Running,
    /// It can be restored.
    Completed,
    /// It will not succeed.
    Failed,
}

impl BackupPhase {
    /// Nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}
