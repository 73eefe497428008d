//! `GeodeRestoreTest`: boots the newest backup of a cluster in a throw-away member, asks it, and says how long that took and what was lost.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use crate::schema::amount;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When the newest backup of a cluster is restored to see whether it can be, and what it has to answer then.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "geodedb.com",
    version = "v1alpha1",
    kind = "GeodeRestoreTest",
    plural = "geoderestoretests",
    shortname = "grt",
    category = "geode",
    namespaced,
    status = "GeodeRestoreTestStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Restores the newest backup of a GeodeCluster and the log after it into a throw-away member, checks it, asks it, and measures RTO and RPO. The cluster and its archive are not touched.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "Whose backup is tested"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule", description = "When", priority = 1),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Pending, Running, Passed or Failed"),
    printcolumn(name = "LSN", type_ = "string", json_path = ".status.result.lsn", description = "Last commit that the last run restored"),
    printcolumn(name = "RTO", type_ = "integer", json_path = ".status.result.rtoSeconds", description = "Seconds from the run's begin to the first answered query"),
    printcolumn(name = "RPO", type_ = "integer", json_path = ".status.result.rpoSeconds", description = "Seconds of writes that the archive did not have"),
    printcolumn(name = "Last-Success", type_ = "date", json_path = ".status.lastSuccessTime", description = "Since the last run that passed"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime", description = "When the next run is due", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", description = "How far it is, or why it failed", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age"),
    validation = Rule::new("self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a GeodeRestoreTest begins the names of its pods: at most 50 lower-case letters, digits and hyphens")
)]
#[serde(rename_all = "camelCase")]
pub struct GeodeRestoreTestSpec {
    /// Name of the GeodeCluster in this namespace. It must have an archive.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a GeodeRestoreTest stays with its cluster; create another one"))]
    pub cluster: String,
    /// When it is run: a cron text as in a GeodeBackupSchedule. Once when absent, and again when this spec is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new("self.matches('^ *[^ ]+( +[^ ]+){4} *$') || self in ['@hourly', '@daily', '@weekly', '@monthly', '@yearly']").message("spec.schedule has five fields: minute, hour, day of the month, month, day of the week, for example `30 4 1 * *`; or is @hourly, @daily, @weekly, @monthly or @yearly"))]
    pub schedule: Option<String>,
    /// IANA name of the time zone of `schedule`, for example Europe/Berlin.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// Begin no runs. One that runs goes on.
    #[serde(default)]
    pub suspend: bool,
    /// What the restored database has to answer, one after the other. It can be read and not written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub queries: Vec<RestoreQuery>,
    /// A run that takes longer has failed: seconds, minutes or hours, for example `90s`, `30m`, `2h`.
    #[serde(default = "default_timeout")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,5}(s|m|h)$"))]
    pub timeout: String,
    /// Leave the pod of a run that failed, for its log, until the next run begins.
    #[serde(default)]
    pub keep_failed: bool,
    /// A volume for the restored data, which goes with the pod. Space of the node's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<RestoreTestStorage>,
    /// CPU and memory of the throw-away member; those of the cluster's servers when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

impl Default for GeodeRestoreTestSpec {
    fn default() -> Self {
        serde_json::from_value(serde_json::json!({"cluster": ""}))
            .expect("invariant: every other field has a default")
    }
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

fn default_timeout() -> String {
    "1h".to_owned()
}

/// A statement, and how it has to be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreQuery {
    /// A statement that reads, for example `MATCH (p:Person) RETURN count(p)`.
    #[schemars(length(min = 1, max = 4000))]
    pub statement: String,
    /// How many rows the answer has; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub expect_rows: Option<i64>,
    /// What the first value of the first row is: a text as it is, anything else as JSON, for example `42`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub expect: Option<String>,
}

/// A volume for the restored data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreTestStorage {
    /// Its size: room for the backup and the graph that it becomes.
    #[schemars(schema_with = "amount")]
    pub size: String,
    /// Its storage class; the default one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// How the test stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeodeRestoreTestStatus {
    /// Generation of the spec that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Running, Passed or Failed.
    #[serde(default)]
    pub phase: RestoreTestPhase,
    /// Ready (the last run passed), Reconciling (a run is under way), Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How far it is, what it waits for, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run that is under way. Recorded before its pod is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RestoreTestRun>,
    /// What the last run that ended found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RestoreTestResult>,
    /// Pod of the last run, which failed and is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_pod: Option<String>,
    /// When the last run that passed ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_time: Option<Time>,
    /// When the next run is due. Absent without a schedule and while suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// Runs that passed.
    #[serde(default)]
    pub passed_runs: i64,
    /// Runs that failed.
    #[serde(default)]
    pub failed_runs: i64,
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreTestRun {
    /// Its pod.
    pub pod: String,
    /// When it began: the measured RTO counts from here.
    pub started_at: Time,
    /// Generation of the spec that is tested.
    pub generation: i64,
    /// What is restored: the history of the cluster's database in its archive.
    pub source: String,
    /// Last LSN that the cluster was seen to have applied then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_lsn: Option<String>,
}

/// What a run found. What a step before its end would have told is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreTestResult {
    /// Whether the backup was restored, is sound, and answered as expected.
    pub passed: bool,
    /// Step in which it ended: fetch, replay, verify, boot, queries or done; pod when its pod told nothing.
    pub step: String,
    /// Generation of the spec that was tested.
    pub generation: i64,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub completed_at: Time,
    /// What was restored: a history in the archive.
    pub source: String,
    /// Last LSN in the base backup that it began with; absent when it began with the first write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_lsn: Option<String>,
    /// Last LSN that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// Last LSN that the cluster was seen to have applied when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_lsn: Option<String>,
    /// Time of the newest commit that was replayed, or of the base backup when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_commit_time: Option<Time>,
    /// Measured recovery time: seconds from the run's begin to the first answered query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<i64>,
    /// Measured recovery point: the writes of at most so many seconds before the archive was looked at are not in it. 0 when it has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<i64>,
    /// What was downloaded, bytes.
    #[serde(default)]
    pub bytes: i64,
    /// Nodes of the restored graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<i64>,
    /// Edges of the restored graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<i64>,
    /// Hash of the restored graph; equal graphs have equal hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_hash: Option<String>,
    /// Where a recorded hash was found equal: `base backup`, and the GeodeBackups that recorded one for an LSN that was restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hash_compared_with: Vec<String>,
    /// Milliseconds of each step.
    #[serde(default)]
    pub millis: RestoreTestMillis,
    /// One entry for each of `spec.queries` that was run, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<RestoreQueryResult>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How long each step took, milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreTestMillis {
    /// Download.
    pub fetch: i64,
    /// Loading the base backup and replaying the log after it.
    pub replay: i64,
    /// Checking every byte.
    pub verify: i64,
    /// Starting the server, until it answered.
    pub boot: i64,
}

/// How a statement was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreQueryResult {
    /// Whether as expected.
    pub passed: bool,
    /// Rows of the answer.
    pub rows: i64,
    /// The first value of the first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long it took, milliseconds.
    #[serde(default)]
    pub millis: i64,
}

/// Phases of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestoreTestPhase {
    /// No run has begun.
    #[default]
    Pending,
    /// A run is under way.
    Running,
    /// The last run passed.
    Passed,
    /// The last run failed.
    Failed,
}
