//! The operator's hands: it watches, observes, lets `geode-planner` decide, and acts. No decision about a database is made in this crate.
//!
//! One actor a `GeodeCluster` ([`driver`]); a round of it is [`reconcile`]: observe → plan → check → act → status. After it come the cluster's
//! [`schedules`] and [`restore_tests`].

pub mod act;
pub mod certificates;
pub mod context;
pub mod driver;
mod kinds;
pub mod lease;
pub mod members;
mod metrics;
pub mod observe;
pub mod reconcile;
pub mod restore_tests;
pub mod rounds;
pub mod schedules;
pub mod settings;
mod status;
