//! `GeodeBackupSchedule`: base backups of a cluster at the times of a cron text.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use crate::RetentionSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When base backups of a cluster are taken.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "geodedb.com",
    version = "v1alpha1",
    kind = "GeodeBackupSchedule",
    plural = "geodebackupschedules",
    shortname = "gbs",
    category = "geode",
    namespaced,
    status = "GeodeBackupScheduleStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Takes base backups of a GeodeCluster at the times of a cron text: each is a GeodeBackup with the label geodedb.com/schedule. Deleting this object keeps the backups.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "What is backed up"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type", description = "full, incremental or differential"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule", description = "When"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.timeZone", description = "In which local time", priority = 1),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", description = "No backup is taken while true"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "False when the last run made no backup"),
    printcolumn(name = "Last-Success", type_ = "date", json_path = ".status.lastSuccessfulTime", description = "Since the newest complete backup"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime", description = "When the next backup is due"),
    printcolumn(name = "Missed", type_ = "integer", json_path = ".status.missedRuns", description = "Runs that made no backup"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a GeodeBackupSchedule begins the names of its backups: at most 40 lower-case letters, digits and hyphens")
)]
#[serde(rename_all = "camelCase")]
pub struct GeodeBackupScheduleSpec {
    /// Name of the GeodeCluster in this namespace. It must have an archive.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a GeodeBackupSchedule stays with its cluster; create another one"))]
    pub cluster: String,
    /// Minute, hour, day of the month, month and day of the week, for example `30 2 * * MON-FRI`; or @hourly, @daily, @weekly, @monthly, @yearly.
    /// When both days are restricted, either is enough.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new("self.matches('^ *[^ ]+( +[^ ]+){4} *$') || self in ['@hourly', '@daily', '@weekly', '@monthly', '@yearly']").message("spec.schedule has five fields: minute, hour, day of the month, month, day of the week, for example `30 2 * * *`; or is @hourly, @daily, @weekly, @monthly or @yearly"))]
    pub schedule: String,
    /// Type of the backups: full, incremental (goes on from the newest backup of any kind) or differential (goes on from the newest full one).
    #[serde(default = "crate::backup::full", rename = "type")]
    #[schemars(regex(pattern = r"^(full|incremental|differential)$"))]
    pub kind: String,
    /// IANA name of the time zone of `schedule`, for example Europe/Berlin. A local time that does not exist is run at the next one that does; one that
    /// exists twice is run once, the first time.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// A run begins up to this many seconds after it is due, so that the schedules of many clusters do not begin together. How many is the same
    /// whenever it is asked, and never as many as there are to the run after it.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub jitter_seconds: i64,
    /// Also take a backup when this object is created.
    #[serde(default)]
    pub immediate: bool,
    /// Take no backups. Runs that are due meanwhile are neither counted nor made up.
    #[serde(default)]
    pub suspend: bool,
    /// A run that could not begin in time, because no operator was running, is made up if it is at most this late; it is always if absent. Of
    /// several only the last one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10))]
    pub starting_deadline_seconds: Option<i64>,
    /// After each backup, delete what the archive need not keep any more. The schedules of a cluster share its archive: the longest of their
    /// retentions counts, and nothing is deleted while one of them has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

/// How the schedule stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeodeBackupScheduleStatus {
    /// Generation of the spec that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready (the last run made a backup), Reconciling, Stalled (the manifest asks for something that cannot be).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// When the last run that made a backup was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When the newest backup of this schedule was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// When the next run is due, before jitter. Absent while suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// When the last run that made no backup was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_missed_time: Option<Time>,
    /// Runs that made no backup: no operator was running, the cluster was not there, the backup before was still running.
    #[serde(default)]
    pub missed_runs: i64,
    /// Why the last run made no backup; absent when it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
