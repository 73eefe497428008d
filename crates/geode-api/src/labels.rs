//! Names that scripts, Services and the operator rely on.

/// API group.
pub const GROUP: &str = "geodedb.com";
/// API version.
pub const VERSION: &str = "v1alpha1";
/// On everything that belongs to a cluster: its name.
pub const LABEL_CLUSTER: &str = "geodedb.com/cluster";
/// On pods: `leader`, `follower` or `observer`; absent while a member has no place in the cluster or is on its way to a vote.
pub const LABEL_ROLE: &str = "geodedb.com/role";
/// On pods, from their first moment on: which group they belong to.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Value of [`LABEL_COMPONENT`] of the pods that vote, and of every object that is not a pod.
pub const COMPONENT_DATABASE: &str = "database";
/// Value of [`LABEL_COMPONENT`] of observers.
pub const COMPONENT_OBSERVER: &str = "observer";
/// Value of [`LABEL_COMPONENT`] of the pods of restore tests.
pub const COMPONENT_RESTORE_TEST: &str = "restore-test";
/// On a pod of a `GeodeRestoreTest`: the test's name. Such a pod has no [`LABEL_CLUSTER`], so nothing of the cluster selects it.
pub const LABEL_RESTORE_TEST: &str = "geodedb.com/restore-test";
/// On a pod of a `GeodeRestoreTest`: the name of the cluster whose backup is tested.
pub const LABEL_RESTORE_TEST_OF: &str = "geodedb.com/restore-test-of";
/// What follows the cluster's name in the name of the observers' StatefulSet, and so in those of their pods. No cluster's name ends in it.
pub const OBSERVER_SUFFIX: &str = "-observer";
/// On a volume claim of a database that a restore took the place of: the GeodeRestore's name. It is not in use and kept until it is released.
pub const LABEL_KEPT_BY: &str = "geodedb.com/kept-by";
/// On a `GeodeBackup` that a `GeodeBackupSchedule` made: the schedule's name.
pub const LABEL_SCHEDULE: &str = "geodedb.com/schedule";
/// On a `GeodeCluster` that a `GeodeRestore` made: the uid of that one, which no other has, whatever its name.
pub const ANNOTATION_MADE_BY: &str = "geodedb.com/made-by";
/// On objects of the operator: hash of what it applied, so that it applies again only when something differs.
pub const ANNOTATION_APPLIED: &str = "geodedb.com/applied";
/// On the StatefulSet's pod template: hash of the user's wishes that shape a pod. A pod with another value is out of date.
pub const ANNOTATION_TEMPLATE: &str = "geodedb.com/template";
/// On the StatefulSet and the ConfigMap: the operator release that rendered them. Another release leaves them as they are until the user's
/// wishes change.
pub const ANNOTATION_BUILDER: &str = "geodedb.com/rendered-by";
/// Name of the database container.
pub const CONTAINER_SERVER: &str = "geode";
/// Name of the sidecar container.
pub const CONTAINER_SIDECAR: &str = "geode-sidecar";
/// Port of drivers, UDP.
pub const CLIENT_PORT: u16 = 3141;
/// Port of members, UDP.
pub const CLUSTER_PORT: u16 = 3142;
/// Port of probes and metrics, TCP.
pub const METRICS_PORT: u16 = 9090;
