//! End to end on a real Kubernetes, one module per promise: `cargo xtask e2e [NAME]`. They share one cluster of nodes, two at a time; what
//! disturbs others asks to be alone (`Cluster::alone`).

mod alerts;
mod archive;
mod backup_and_restore;
mod bad_manifests;
mod create;
mod earlier_version;
mod failover;
mod faults;
mod lost_volume;
mod maintenance;
mod restore_in_place;
mod restore_test;
mod rolling;
mod scale;
mod scheduled_backup;
mod sealed_backup;
mod second_life;
mod upgrades;
