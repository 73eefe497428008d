//! The planner's promises: tables of single decisions, and random worlds that must converge without ever breaking a rule.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its world is not as it says"
)]

mod events;
mod first_life;
mod hands;
mod heal;
mod kubernetes;
mod lives;
mod maintenance;
mod model;
mod new_clusters;
mod objects;
mod observers;
mod raft;
mod replacement;
mod restore_tests;
mod restores;
mod rules;
mod schedule_lives;
mod schedules;
mod status;
mod tables;
mod upgrades;
mod wedges;
