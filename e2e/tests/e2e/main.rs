//! End to end on a real Kubernetes, one module per promise. They share one cluster of nodes, so they run one after the other:
//! `cargo xtask e2e [NAME]`.

mod alerts;
mod archive;
mod backup_and_restore;
mod bad_manifests;
mod create;
mod failover;
mod faults;
mod lost_volume;
mod restore_in_place;
mod rolling;
mod scale;
mod scheduled_backup;
