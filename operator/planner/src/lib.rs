//! The operator's decisions, without its hands: no Kubernetes client, no sockets, no clock.
//!
//! [`validate`] turns a manifest into a [`Want`]; the operator observes the world as [`Observed`]; [`plan`] compares the two and answers with
//! actions, or with what it waits for; [`check`] refuses a plan that breaks a safety rule, with code of its own; [`cluster_status`] says what the user sees.
//! [`keep_schedule`] does the same for schedules of backups, [`keep_restore_test`] for tests of restores, [`plan_new_cluster`] for a cluster that a
//! restore makes.
//! All are functions of their arguments, so that every decision can be shown by a table of tests, and repeated.

mod archive;
pub mod build;
mod check;
mod lives;
mod maintenance;
mod names;
mod object;
mod observed;
mod plan;
mod quantity;
mod quorum;
mod restore_test;
mod schedule;
mod status;
mod want;

pub use archive::{Archive, ArchiveService};
pub use check::{Violation, check};
pub use lives::{Divided, divide};
pub use maintenance::{Maintenance, Pause};
pub use names::{Group, Names, Place};
pub use object::{Kind, Object, ObjectKey, contains};
pub use observed::{
    Authority, BackupView, Certificate, ClaimView, MemberSeen, Observed, PodView, RestoreView,
    STALE_AFTER_SECONDS, Secrets, SetView, VolumeKind,
};
pub use plan::{
    Action, NewCluster, Plan, Progress, Remains, delayed_new_cluster, held_new_cluster, new_cluster, plan,
    plan_new_cluster, refused_new_cluster,
};
pub use quorum::{Lead, majority};
pub use restore_test::{
    PodEnd, RecordedHash, RestoreTestDeed, RestoreTestStep, RestoreTestView, TestPod, TestTarget,
    TestedCluster, failed_restore_test_status, keep_restore_test, test_pod,
};
pub use schedule::{
    BackupPlace, BackupTarget, News, ScheduleStep, ScheduleView, TakenBackup, Timetable, expired_backups,
    failed_schedule_status, joint_retention, keep_schedule,
};
pub use status::{Report, cluster_status, invalid_status};
pub use want::{Defaults, Invalid, Memory, Restore, Want, validate};
