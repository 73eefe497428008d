//! The Geode server: listener, sessions, Raft, log and store in one process.
//!
//! [`Server::start`] assembles it from a [`geode_config::Config`]. It never talks to Kubernetes or to an object store: the operator and
//! the sidecar do, and meet it on its internal port.

mod board;
mod gate;
pub mod identity;
pub mod tls;
