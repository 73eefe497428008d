//! The Geode server: listener, sessions, Raft, log and store in one process.
//!
//! [`Server::start`] assembles it from a [`geode_config::Config`]. It never talks to Kubernetes or to an object store: the operator and
//! the sidecar do, and meet it on its internal port.

mod archive_tables;
pub mod auth;
mod board;
mod chronicle;
mod cutter;
mod ephemeral;
mod farewell;
mod fence;
mod gate;
pub mod identity;
mod internal;
mod join;
mod keeper;
mod listener;
mod member;
mod metrics;
mod node;
mod pending;
mod pipeline;
mod queries;
pub mod raft;
mod replicated;
pub mod restore;
mod session;
mod surroundings;
mod system;
pub mod tls;

pub use ephemeral::Ephemeral;
pub use fence::{Held, is_fenced};
pub use node::{Ended, GRAPH_FOLDER, ServeOptions, Server, StartError};
