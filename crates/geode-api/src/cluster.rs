//! `GeodeCluster`: what a user asks for. Validation that needs no other object is CEL here, so that the API server says no at once.
//! Defaults that shape a pod are not in the schema: the operator resolves them once and records them in the status, so that a newer
//! operator with other defaults changes no running cluster.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use crate::maintenance::MaintenanceSpec;
use crate::schema::{free_form, size};
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A replicated graph database: a StatefulSet of members that elect a leader among themselves, and one of observers.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "geodedb.com",
    version = "v1alpha1",
    kind = "GeodeCluster",
    plural = "geodeclusters",
    shortname = "gc",
    category = "geode",
    namespaced,
    status = "crate::GeodeClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A replicated graph database. The least that works is a name and an empty spec.",
    scale(
        spec_replicas_path = ".spec.observers.replicas",
        status_replicas_path = ".status.observers.replicas",
        label_selector_path = ".status.observers.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Quorum, and all voters caught up"),
    printcolumn(name = "Members", type_ = "string", json_path = ".status.ready", description = "Voters that are up and caught up, of those wanted"),
    printcolumn(name = "Observers", type_ = "string", json_path = ".status.observers.ready", description = "Observers that are up and caught up, of those wanted", priority = 1),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader", description = "Pod that leads"),
    printcolumn(name = "Term", type_ = "integer", json_path = ".status.term", description = "Raft term", priority = 1),
    printcolumn(name = "Archived", type_ = "string", json_path = ".status.archive.archivedUpTo", description = "Last LSN that is in the object store"),
    printcolumn(name = "Archive-Lag", type_ = "integer", json_path = ".status.archive.lagSeconds", description = "Age in seconds of the oldest write that is not archived", priority = 1),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", description = "Version of the servers"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, description = "Why it is ready or not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age"),
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("the name of a GeodeCluster becomes a DNS name: at most 40 lower-case letters, digits and hyphens, starting with a letter"),
    validation = Rule::new("!self.metadata.name.endsWith('-read') && !self.metadata.name.endsWith('-peers')").message("the name of a GeodeCluster must not end in -read or -peers: its Services are called so"),
    validation = Rule::new("!self.metadata.name.endsWith('-observer') && !self.metadata.name.endsWith('-observers')").message("the name of a GeodeCluster must not end in -observer or -observers: its observers are called so"),
    validation = Rule::new("!has(self.spec.maintenance) || !has(self.spec.maintenance.allowQuorumLoss) || self.spec.maintenance.allowQuorumLoss == self.metadata.name").message("maintenance.allowQuorumLoss must be the name of this cluster: it says that this very database may stop taking writes")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.bootstrap) == has(oldSelf.bootstrap) && (!has(self.bootstrap) || self.bootstrap == oldSelf.bootstrap)").message("spec.bootstrap is read once, when the cluster is created, and cannot change later"),
    validation = Rule::new("!has(self.bootstrap) || !has(self.bootstrap.restore) || has(self.archive)").message("spec.bootstrap.restore needs spec.archive: the source is read with the endpoint and the credentials given there"),
    validation = Rule::new("!has(self.version) || !has(self.image)").message("give spec.version or spec.image, not both"),
    validation = Rule::new("!has(self.maintenance) || !has(self.maintenance.fenced) || has(self.maintenance.allowQuorumLoss) || self.maintenance.fenced.filter(pod, !pod.matches('-observer-[0-9]+$')).size() * 2 < self.members").message("maintenance.fenced leaves no majority of the voters: fence fewer, or give maintenance.allowQuorumLoss, the name of this cluster"),
)]
pub struct GeodeClusterSpec {
    /// Release of the servers and sidecars, for example 0.1.0. The operator's own release when the cluster was created, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"))]
    pub version: Option<String>,
    /// The servers' image as REPOSITORY:TAG, instead of a version; that of the sidecars is then REPOSITORY-sidecar:TAG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[^@ ]+:[A-Za-z0-9_][A-Za-z0-9_.-]*$')").message("spec.image is REPOSITORY:TAG; the sidecars use REPOSITORY-sidecar:TAG, so a digest cannot name both"))]
    pub image: Option<String>,
    /// How many members vote: 1, 3, 5 or 7. A majority must be up, so 3 survive the loss of one, 5 of two.
    #[serde(default = "default_members")]
    #[x_kube(validation = Rule::new("self in [1, 3, 5, 7]").message("members must be 1, 3, 5 or 7: an even number survives no more failures than the odd number below it"))]
    pub members: i32,
    /// Members that copy the data and answer reads without a vote.
    #[serde(default)]
    pub observers: ObserversSpec,
    /// How quickly a silent leader is replaced: `fast` for members that are near each other, `wan` for members that are not.
    #[serde(default)]
    pub timing: Timing,
    /// Volumes.
    #[serde(default)]
    pub storage: StorageSpec,
    /// CPU and memory of each server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Certificates.
    #[serde(default)]
    pub tls: TlsSpec,
    /// Where the write-ahead log and backups go. Nothing is archived when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveSpec>,
    /// How clients reach the cluster.
    #[serde(default)]
    pub services: ServicesSpec,
    /// Keys of geode.yaml that the fields above do not cover, for example `performance: {query_timeout: 30s}`.
    /// Unknown keys, and keys that the operator sets itself, are refused with the condition Stalled.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Where the first data comes from. An empty graph when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapSpec>,
    /// What happens to the volumes and the admin's password when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// What a person takes over from the operator for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceSpec>,
}

impl Default for GeodeClusterSpec {
    fn default() -> Self {
        serde_json::from_value(serde_json::json!({})).expect("invariant: every field has a default")
    }
}

fn default_members() -> i32 {
    3
}

/// Observers a cluster may have: the leader sends every one of them every write.
pub const OBSERVERS_MAX: i32 = 20;

/// Members that copy the data and answer reads without a vote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ObserversSpec {
    /// How many there are: at most 20. `kubectl scale` sets this number.
    #[serde(default)]
    #[x_kube(validation = Rule::new(format!("self >= 0 && self <= {OBSERVERS_MAX}")).message(format!("observers.replicas must be 0 to {OBSERVERS_MAX}: the leader sends every observer every write").as_str()))]
    pub replicas: i32,
}

/// Timing profiles of elections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// Heartbeats every 60 ms, elections after 300 to 480 ms.
    Fast,
    /// Heartbeats every 250 ms, elections after 1 to 2 s.
    #[default]
    Default,
    /// Heartbeats every 500 ms, elections after 3 to 6 s.
    Wan,
}

/// Volumes of each member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.replaceMembers) && self.replaceMembers || has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)").message("the storage class of volumes cannot change; storage.replaceMembers: true replaces the members one at a time by new ones with new volumes"),
    validation = Rule::new("has(self.replaceMembers) && self.replaceMembers || !isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0").message("a volume cannot shrink; storage.replaceMembers: true replaces the members one at a time by new ones with smaller volumes"),
    validation = Rule::new("has(self.replaceMembers) && self.replaceMembers || !has(self.wal) || !has(oldSelf.wal) || !isQuantity(self.wal.size) || !isQuantity(oldSelf.wal.size) || quantity(self.wal.size).compareTo(quantity(oldSelf.wal.size)) >= 0").message("a volume cannot shrink; storage.replaceMembers: true replaces the members one at a time by new ones with smaller volumes"),
)]
pub struct StorageSpec {
    /// Size of the volume with the graph. May grow later.
    #[serde(default = "default_size")]
    #[schemars(schema_with = "size")]
    pub size: String,
    /// Storage class of all volumes; the default class of the Kubernetes cluster when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// The volume with the write-ahead log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<WalSpec>,
    /// Members whose volumes are larger than asked for, or of another storage class, are replaced one at a time: a new member on new volumes copies
    /// the data, gets the vote, and the old one leaves with its volumes. Needs three voters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace_members: bool,
}

impl Default for StorageSpec {
    fn default() -> Self {
        Self {
            size: default_size(),
            storage_class_name: None,
            wal: None,
            replace_members: false,
        }
    }
}

fn default_size() -> String {
    "10Gi".to_owned()
}

/// The volume with the write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WalSpec {
    /// Its size; that of the graph's volume when absent. May grow later.
    #[schemars(schema_with = "size")]
    pub size: String,
}

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsSpec {
    /// Who issues them.
    #[serde(default)]
    pub mode: TlsMode,
}

/// Who issues certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// The operator, with an authority of its own for every cluster.
    #[default]
    SelfSigned,
}

/// Where the write-ahead log and backups go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.s3), has(self.gcs), has(self.azure)].filter(given, given).size() == 1").message("give one of archive.s3, archive.gcs and archive.azure"),
)]
pub struct ArchiveSpec {
    /// An S3 bucket, or one of a server that speaks the same protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Spec>,
    /// A bucket of Google Cloud Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsSpec>,
    /// A container of Azure Blob Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureSpec>,
    /// A second bucket, in S3, best in another region: everything that is archived goes there too, and a restore in place reads it for what is missing or damaged
    /// in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dr_copy: Option<S3Spec>,
    /// How segments of the log and base backups are made smaller: none, gzip, lz4 or zstd. When absent, base backups are compressed with zstd and
    /// segments are stored as they are. What was stored before stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(none|gzip|lz4|zstd)$"))]
    pub compression: Option<String>,
    /// Everything that is archived from now on is sealed with AES-256-GCM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<ArchiveEncryptionSpec>,
    /// A write waits at most this long before it is uploaded.
    #[serde(default = "default_max_lag")]
    #[schemars(regex(pattern = r"^[0-9]{1,6}(ms|s|m)$"))]
    pub max_lag: String,
}

fn default_max_lag() -> String {
    "5s".to_owned()
}

/// The keys of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveEncryptionSpec {
    /// Name of a Secret in the cluster's namespace. Each of its keys is the id of an encryption key, 64 hexadecimal digits; the key `current` has the
    /// id of the one that seals what is stored from now on. To rotate, add a key and make it the current one; keep the others, or what they seal is
    /// lost.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// An S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Spec {
    /// Bucket; it must exist.
    #[schemars(length(min = 1, max = 255))]
    pub bucket: String,
    /// Prefix of all objects of this cluster. `NAMESPACE/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub prefix: Option<String>,
    /// `http(s)://host:port`; AWS when absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(https?://.{1,500})?$"))]
    pub endpoint: Option<String>,
    /// Region.
    #[serde(default = "default_region")]
    #[schemars(length(min = 1, max = 64))]
    pub region: String,
    /// Storage class of what is stored, for example STANDARD_IA; the bucket's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]{1,63}$"))]
    pub storage_class: Option<String>,
    /// Keys of an account that may read and write the bucket. The pod's own identity when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsRef>,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcsSpec {
    /// Bucket; it must exist.
    #[schemars(length(min = 1, max = 255))]
    pub bucket: String,
    /// Prefix of all objects of this cluster. `NAMESPACE/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub prefix: Option<String>,
    /// `http(s)://host:port`; Google when absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(https?://.{1,500})?$"))]
    pub endpoint: Option<String>,
    /// A Secret with the key `credentials.json`: the key of a service account. The pod's own identity when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsRef>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureSpec {
    /// Container; it must exist.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
    /// Prefix of all objects of this cluster. `NAMESPACE/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub prefix: Option<String>,
    /// Storage account.
    #[schemars(length(min = 1, max = 63))]
    pub account: String,
    /// `http(s)://host:port`; Azure when absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(https?://.{1,500})?$"))]
    pub endpoint: Option<String>,
    /// A Secret with the key `account-key` or `connection-string`. The pod's own identity when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsRef>,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// A Secret with credentials; of S3 the keys `access-key` and `secret-key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// Name of a Secret in the cluster's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// How clients reach the cluster. `NAME` leads to the leader, `NAME-read` to the followers, `NAME-observers` to the observers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicesSpec {
    /// The Services for reads: `NAME-read` and `NAME-observers`.
    #[serde(default)]
    pub read: ReadServiceSpec,
}

/// The Services for reads: `NAME-read` and `NAME-observers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadServiceSpec {
    /// Their type.
    #[serde(default, rename = "type")]
    pub service_type: ServiceType,
}

/// Types of Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the Kubernetes cluster.
    #[default]
    ClusterIP,
    /// On a port of every node.
    NodePort,
    /// Through a load balancer of the provider.
    LoadBalancer,
}

/// Where the first data comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BootstrapSpec {
    /// A backup and the log after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreSpec>,
}

/// A backup and the log after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.targetTime), has(self.targetLsn), has(self.targetCheckpoint)].filter(given, given).size() <= 1").message("give at most one of targetTime, targetLsn and targetCheckpoint"),
    validation = Rule::new("!self.ifExists || !(has(self.targetTime) || has(self.targetLsn) || has(self.targetCheckpoint))").message("ifExists restores the newest state: it goes with no targetTime, targetLsn or targetCheckpoint"),
)]
pub struct RestoreSpec {
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix` of the archive of the cluster that is to be restored.
    #[schemars(regex(pattern = r"^(s3|gs|az)://[^/]+(/.*)?$"), length(max = 1024))]
    pub source: String,
    /// When nothing is archived there, begin with an empty graph. Otherwise restore the newest state of the life that archived last; an archive that cannot
    /// be read is waited for. With the cluster's own archive as the source, the same manifest brings a cluster back that was deleted with its volumes.
    #[serde(default)]
    pub if_exists: bool,
    /// The last moment to restore, RFC 3339; everything that is archived when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub target_time: Option<String>,
    /// The last commit to restore, as a write's LSN is printed: `0/123`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^0/[0-9]{1,19}$"))]
    pub target_lsn: Option<String>,
    /// The name of the checkpoint to restore (`CREATE CHECKPOINT 'name'`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub target_checkpoint: Option<String>,
    /// Only these graphs are kept, by their paths: `social` or `/schema/social`; the graph without a name is `HOME_GRAPH`. All of them when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 500)))]
    pub graphs: Vec<String>,
}

/// What happens to the volumes and the admin's password when the cluster is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay; a new GeodeCluster of the same name takes them over.
    #[default]
    Retain,
    /// They are deleted with the cluster.
    Delete,
}
