//! `spec.maintenance`: what a person takes over from the operator for a while. All of it is absent in everyday use.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Members that may be fenced at the same time: every voter and every observer that a cluster can have.
pub const FENCED_MAX: u32 = 27;

/// What a person takes over from the operator for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.hibernate) || !self.hibernate || has(self.allowQuorumLoss)").message("maintenance.hibernate stops every member: give maintenance.allowQuorumLoss, the name of this cluster, to say that this is meant"),
)]
pub struct MaintenanceSpec {
    /// The operator changes nothing until a moment; then it goes on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseSpec>,
    /// Pods whose members take no part: the server ends and is held before it opens anything; pod and volumes stay for inspection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = FENCED_MAX), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 63)))]
    pub fenced: Vec<String>,
    /// No pods run; all volumes are kept. Without it the same members come back with all data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hibernate: bool,
    /// Pods with an outdated template are not restarted: an upgrade stands still where it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold_updates: bool,
    /// The name of this cluster. It says that the database may stop taking writes: for hibernation, and to fence a member that a majority needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub allow_quorum_loss: Option<String>,
}

/// The operator changes nothing until a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseSpec {
    /// When it ends by itself, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// Why; shown in the condition Maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub reason: Option<String>,
}
