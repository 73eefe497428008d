//! The part of a `GeodeCluster`'s status that remembers restores in place. Each begins another life of the database, on volumes of its own.

use crate::restore::RestoreTargetSpec;
use crate::status::BootstrapStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The databases that a cluster has had, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LivesStatus {
    /// Number of the one in use; its volumes are called after it: `data-POD` and `wal-POD` for 0, `data1-POD` and `wal1-POD` for 1.
    #[schemars(extend("format" = "int32"))]
    pub in_use: u32,
    /// The highest number that was given. None is given twice.
    #[schemars(extend("format" = "int32"))]
    pub last: u32,
    /// What is known of those that have volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["number"]))]
    pub known: Vec<LifeStatus>,
    /// The exchange that is under way. Recorded before anything is stopped, so that whoever goes on knows where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeStatus>,
}

/// One life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifeStatus {
    /// Its number.
    #[schemars(extend("format" = "int32"))]
    pub number: u32,
    /// Identity of its database, once that exists. That of the life in use is `status.clusterId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// How it was begun. That of the life in use is `status.bootstrap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapStatus>,
    /// The restore that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreOrder>,
}

/// What a restore was asked for: remembered, because the GeodeRestore may be deleted while it is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreOrder {
    /// Name of the GeodeRestore.
    pub name: String,
    /// Its uid, which becomes the identity of the restored database.
    pub uid: String,
    /// Where the backup is.
    pub source: String,
    /// How far to go.
    #[serde(default)]
    pub target: RestoreTargetSpec,
    /// The graphs that are kept; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub graphs: Vec<String>,
    /// The life that it took the place of.
    #[schemars(extend("format" = "int32"))]
    pub previous: u32,
}

/// An exchange of databases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeStatus {
    /// Name of the GeodeRestore that asks for it.
    pub restore: String,
    /// The life to come.
    #[schemars(extend("format" = "int32"))]
    pub to: u32,
    /// When it was decided.
    pub decided_at: Time,
}
