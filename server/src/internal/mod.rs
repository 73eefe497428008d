//! The internal port (3142, mTLS): members, their sidecars and the operator.
//!
//! `transport` carries bytes: it accepts connections, tells Raft streams from API streams by their first byte, and calls peers for Raft.
//! `links` keeps the connections to them, and `calls` is what goes over these.
//! `api` answers [`geode_wire::internal::InternalRequest`]s.

mod api;
mod calls;
mod links;
mod transport;

pub(crate) use api::{Api, state_hash_at};
pub(crate) use transport::{ApiService, NoPeers, Transport, TransportError};
