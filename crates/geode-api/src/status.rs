//! `status` of a `GeodeCluster`: what the operator saw last. A pure function of an observation writes it; only `bootstrap`, `clusterId`,
//! `images`, `lives` and `version` are also read back, as the operator's memory of decisions that are made once.

use crate::lives::LivesStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator saw last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeodeClusterStatus {
    /// Generation of the spec that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, QuorumHealthy, Archiving, ObserversReady; Maintenance after the first of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Identity of the database, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// How the database was begun. Recorded before it is done, so that it is never done twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapStatus>,
    /// Images that all members ran last; those of the operator that found the cluster new until then. They stay when the spec names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesStatus>,
    /// The databases that restores in place have exchanged; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lives: Option<LivesStatus>,
    /// Version of the servers: of the leader, while one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Pod that leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Raft term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// Voters up and caught up, of those wanted: `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// How the observers stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observers: Option<ObserversStatus>,
    /// One entry a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"]))]
    pub members: Vec<MemberStatus>,
    /// How far the archive is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveStatus>,
}

/// How the database was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapStatus {
    /// By which way.
    pub method: BootstrapMethod,
    /// Pod of the first member.
    pub pod: String,
    /// Identity that the database was given.
    pub cluster_id: String,
    /// The history that is restored, when the archive was asked which it has: `spec.bootstrap.restore.ifExists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was decided.
    pub started_at: Time,
}

/// Ways to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BootstrapMethod {
    /// An empty graph.
    Initialize,
    /// A backup and the log after it.
    Restore,
    /// Volumes of an earlier cluster of the same name.
    Adopt,
}

/// Images that are in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImagesStatus {
    /// Of the server.
    pub server: String,
    /// Of the sidecar.
    pub sidecar: String,
}

/// How the observers stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObserversStatus {
    /// Observers up and caught up, of those wanted: `2/2`.
    pub ready: String,
    /// Pods of observers, for the scale subresource.
    pub replicas: i32,
    /// Label selector of these pods, for the scale subresource.
    pub selector: String,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Its pod.
    pub pod: String,
    /// Its identity in the Raft cluster.
    #[serde(default)]
    pub node_id: Option<i64>,
    /// leader, follower, observer, joining (on its way to a vote) or unknown.
    pub role: String,
    /// Running, Behind, Empty, Restoring, Fenced, Hibernated, ReadOnly, NotReady or Unreachable.
    pub state: String,
    /// How far it is behind the leader, milliseconds; 0 when it has everything that is committed.
    #[serde(default)]
    pub lag_ms: Option<i64>,
    /// Last log entry applied to its graph.
    #[serde(default)]
    pub applied: Option<i64>,
    /// Version of its server.
    #[serde(default)]
    pub version: Option<String>,
    /// Why it is not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How far the archive is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveStatus {
    /// Last LSN that is in the object store.
    pub archived_up_to: String,
    /// Age of the oldest committed write that is not there, seconds.
    #[serde(default)]
    pub lag_seconds: Option<i64>,
    /// Since when it has been behind without getting on; absent while it has everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_since: Option<Time>,
}
