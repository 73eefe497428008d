//! Consensus: the only code that names openraft.
//!
//! [`Raft`] is the handle that the rest of the server holds. Below it, `log_store` puts openraft's entries into `geode-log`, `state_machine`
//! applies committed ones through `geode-graph` to the store, `network` carries messages over a [`PeerTransport`] (QUIC in a server,
//! memory in tests), and `inbound` takes them in on the other side. openraft's types do not leave this folder: users see ids, records
//! and errors of Geode.
//!
//! It must not know sessions, the query language or where the archive lies.

mod apply;
mod blocking;
mod contact;
mod damage;
mod founding;
mod handle;
mod inbound;
mod leader_index;
mod log_store;
mod membership;
mod network;
mod open;
mod propose;
mod settings;
mod snapshot;
mod stall;
mod state_machine;
mod status;
mod types;
mod upkeep;
mod wire;

pub use blocking::Blocking;
pub(crate) use founding::found_with_one_voter;
pub use handle::{Fatal, Raft};
pub use inbound::{RaftService, SnapshotReceiver};
pub use membership::MembershipError;
pub use network::{BoxFuture, Lane, PeerTransport, SnapshotBody, TransportError};
pub use open::{Environment, OpenError};
/// What [`Raft`] runs on: tokio, or a simulation's clock and scheduler.
pub use openraft::AsyncRuntime as Runtime;
pub use propose::{Committed, ProposeError, ReadError};
pub use settings::{Limits, RaftIdentity, RaftSettings, Timing};
pub use stall::Stalls;
pub use status::RaftStatus;

#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
mod contact_tests;
#[cfg(test)]
mod full_tests;
#[cfg(test)]
mod quic_tests;
#[cfg(test)]
mod raft_tests;
#[cfg(test)]
mod succession_tests;
