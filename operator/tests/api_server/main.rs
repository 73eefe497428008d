//! Against a real API server (etcd and kube-apiserver on loopback, started by the tests): what CRDs refuse and in which words, and that the
//! operator's own rounds need no more rights than the chart gives and change nothing when nothing has changed.
#![allow(missing_docs, reason = "tests")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod crashes;
mod damage;
mod deletion;
mod fleet;
mod fuse;
mod kubernetes;
mod maintenance;
mod manifests;
mod new_clusters;
mod observers;
mod proxy;
#[path = "../../planner/tests/planner/raft.rs"]
#[expect(dead_code, reason = "the planner's tests do more with it")]
mod raft;
mod restore_tests;
mod restores;
mod rounds;
mod schedules;
mod secrets;
mod server;
mod stage;
mod stale;
mod two_operators;
mod unobserved;
