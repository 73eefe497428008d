//! `GeodeRestore`: puts a restored database in the place of a cluster's own, and back; or makes a new cluster of it.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use crate::cluster::GeodeClusterSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Puts a restored database in the place of a cluster's own, whose volumes are kept until they are released; or makes a new cluster of it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "geodedb.com",
    version = "v1alpha1",
    kind = "GeodeRestore",
    plural = "geoderestores",
    shortname = "gr",
    category = "geode",
    namespaced,
    status = "GeodeRestoreStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Puts a restored database in the place of a GeodeCluster's own, under the same names. The volumes from before are kept until they are released. With spec.newCluster it makes a GeodeCluster instead. Deleting this object deletes no cluster and no volume, and takes nothing back.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "Whose database is replaced, or which is made"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Pending, Previewed, Running, Completed, Undone or Failed"),
    printcolumn(name = "LSN", type_ = "string", json_path = ".status.lsn", description = "Last commit that was restored"),
    printcolumn(name = "Before", type_ = "string", json_path = ".status.lsnBefore", description = "Last commit of the database that was replaced"),
    printcolumn(name = "Seconds", type_ = "integer", json_path = ".status.seconds", description = "How long nobody was served", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", description = "How far it is", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name of a GeodeRestore becomes a label: at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.target) || [has(self.target.time), has(self.target.lsn), has(self.target.checkpoint)].filter(given, given).size() <= 1").message("give one of target.time, target.lsn and target.checkpoint"),
    validation = Rule::new("self.cluster == oldSelf.cluster && has(self.source) == has(oldSelf.source) && (!has(self.source) || self.source == oldSelf.source) && has(self.target) == has(oldSelf.target) && (!has(self.target) || self.target == oldSelf.target) && has(self.graphs) == has(oldSelf.graphs) && (!has(self.graphs) || self.graphs == oldSelf.graphs) && has(self.newCluster) == has(oldSelf.newCluster) && (!has(self.newCluster) || self.newCluster == oldSelf.newCluster)").message("a GeodeRestore is carried out once: only spec.preview, spec.undo and spec.release can change; create another one"),
    validation = Rule::new("!has(self.newCluster) || has(self.source)").message("spec.newCluster needs spec.source: a new cluster has no archive of its own to restore from yet"),
    validation = Rule::new("!has(self.newCluster) || has(self.newCluster.archive)").message("spec.newCluster needs an archive: spec.source is read with the endpoint and the credentials given there"),
    validation = Rule::new("!has(self.newCluster) || !has(self.newCluster.bootstrap)").message("leave spec.newCluster.bootstrap out: it follows from spec.source, spec.target and spec.graphs"),
    validation = Rule::new("!has(self.newCluster) || !self.preview && !self.undo && !self.release").message("spec.preview, spec.undo and spec.release are of a restore in place: a new cluster takes nobody's place; to take it back, delete it"),
    validation = Rule::new("!self.preview || oldSelf.preview").message("a restore that was asked for does not become a preview; create another GeodeRestore"),
    validation = Rule::new("!oldSelf.release || self.release").message("volumes that were released are deleted; spec.release cannot be taken back"),
    validation = Rule::new("!self.release || self.undo == oldSelf.undo").message("spec.undo cannot change together with spec.release or after it: release deletes the volumes that it would lead back to"),
)]
pub struct GeodeRestoreSpec {
    /// Name of a GeodeCluster in this namespace. It must have an archive. With `newCluster`: a name that is free.
    #[schemars(length(min = 1, max = 40))]
    pub cluster: String,
    /// `s3://bucket/prefix` (`gs://`, `az://`) of an archive, read with the endpoint and the credentials of the cluster's own; the present database in the cluster's own
    /// archive when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(s3|gs|az)://[^/]+(/.*)?$"), length(max = 1024))]
    pub source: Option<String>,
    /// How far to go; everything that is archived when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<RestoreTargetSpec>,
    /// Only these graphs are kept, by their paths: `social` or `/schema/social`; the graph without a name is `HOME_GRAPH`. All of them when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 500)))]
    pub graphs: Vec<String>,
    /// The GeodeCluster that is made of the restored database, as its spec without `bootstrap`; `source` is read with the endpoint, the credentials and the keys
    /// of its archive. It is made once, and outlives this object. A restore in place when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_cluster: Option<Box<GeodeClusterSpec>>,
    /// Only says in the status what would be restored. Set to false later, it is carried out.
    #[serde(default)]
    pub preview: bool,
    /// Set to true later: the database from before comes back. Set to false again: the restored one does.
    #[serde(default)]
    pub undo: bool,
    /// Set to true later: the volumes that are not in use are deleted, and what was done stays done.
    #[serde(default)]
    pub release: bool,
}

/// How far a restore goes: one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreTargetSpec {
    /// The last moment to restore, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub time: Option<String>,
    /// The last commit to restore, as a write's LSN is printed: `0/123`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^0/[0-9]{1,19}$"))]
    pub lsn: Option<String>,
    /// The name of the checkpoint to restore (`CREATE CHECKPOINT 'name'`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub checkpoint: Option<String>,
}

/// How the restore stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeodeRestoreStatus {
    /// Generation of the spec that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Previewed, Running, Completed, Undone or Failed.
    #[serde(default)]
    pub phase: RestorePhase,
    /// Ready (what the spec asks for is done), Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How far it is, or why it does not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Pod whose sidecar looks what would be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// What would be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<RestorePlanStatus>,
    /// Last LSN that was seen of the database that is replaced. What lies between `lsn` and it is not in the restored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn_before: Option<String>,
    /// Last LSN that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// Identity of the restored database: its folder in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Its lineage in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<i64>,
    /// Volume claims that are kept and not in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_volumes: Vec<String>,
    /// When its turn came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was known what would be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Time>,
    /// When the members were told to stop, for the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    /// When a leader served again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_at: Option<Time>,
    /// Seconds from `stoppedAt` to `servingAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// When all members had everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
}

/// What a restore takes from an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestorePlanStatus {
    /// Where it begins: a base backup, or the history whose log begins with the first write.
    pub location: String,
    /// Last LSN that is fetched; with a target the restore may end before it.
    pub lsn: String,
    /// What is fetched.
    pub bytes: i64,
}

/// Phases of a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestorePhase {
    /// Nothing is touched yet.
    #[default]
    Pending,
    /// The status says what would be restored; nothing is touched.
    Previewed,
    /// Databases are exchanged.
    Running,
    /// The restored database serves.
    Completed,
    /// The database from before serves again.
    Undone,
    /// A person has to act.
    Failed,
}
