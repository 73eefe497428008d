//! What a user and the operator agree on: the kinds of `geodedb.com/v1alpha1`, labels, condition types and their reasons.
//!
//! Types and names only; what follows from them is decided in `geode-planner`. Doc comments of fields are what `kubectl explain` prints.

mod backup;
mod cluster;
mod condition;
mod crd;
mod labels;
mod lives;
mod maintenance;
mod order;
mod remedy;
mod restore;
mod restore_test;
mod schedule;
mod schema;
mod status;
mod versions;

pub use backup::{
    BackupPhase, CleanedUpStatus, GeodeBackup, GeodeBackupSpec, GeodeBackupStatus, RetentionSpec,
};
pub use cluster::{
    ArchiveEncryptionSpec, ArchiveSpec, AzureSpec, BootstrapSpec, CredentialsRef, DeletionPolicy, GcsSpec,
    GeodeCluster, GeodeClusterSpec, OBSERVERS_MAX, ObserversSpec, ReadServiceSpec, RestoreSpec, S3Spec,
    ServiceType, ServicesSpec, StorageSpec, Timing, TlsMode, TlsSpec, WalSpec,
};
pub use condition::{ConditionType, Reason, runbook};
pub use crd::{Crd, crds};
pub use labels::{
    ANNOTATION_APPLIED, ANNOTATION_BUILDER, ANNOTATION_MADE_BY, ANNOTATION_TEMPLATE, CLIENT_PORT,
    CLUSTER_PORT, COMPONENT_DATABASE, COMPONENT_OBSERVER, COMPONENT_RESTORE_TEST, CONTAINER_SERVER,
    CONTAINER_SIDECAR, GROUP, LABEL_CLUSTER, LABEL_COMPONENT, LABEL_KEPT_BY, LABEL_RESTORE_TEST,
    LABEL_RESTORE_TEST_OF, LABEL_ROLE, LABEL_SCHEDULE, METRICS_PORT, OBSERVER_SUFFIX, VERSION,
};
pub use lives::{ExchangeStatus, LifeStatus, LivesStatus, RestoreOrder};
pub use maintenance::{FENCED_MAX, MaintenanceSpec, PauseSpec};
pub use order::restart_rank;
pub use remedy::remedy;
pub use restore::{
    GeodeRestore, GeodeRestoreSpec, GeodeRestoreStatus, RestorePhase, RestorePlanStatus, RestoreTargetSpec,
};
pub use restore_test::{
    GeodeRestoreTest, GeodeRestoreTestSpec, GeodeRestoreTestStatus, RestoreQuery, RestoreQueryResult,
    RestoreTestMillis, RestoreTestPhase, RestoreTestResult, RestoreTestRun, RestoreTestStorage,
};
pub use schedule::{GeodeBackupSchedule, GeodeBackupScheduleSpec, GeodeBackupScheduleStatus};
pub use status::{
    ArchiveStatus, BootstrapMethod, BootstrapStatus, GeodeClusterStatus, ImagesStatus, MemberStatus,
    ObserversStatus,
};
pub use versions::{PathError, upgrade_path};
