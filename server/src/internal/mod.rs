//! The internal port (3142, mTLS): members, their sidecars and the operator.
//!
//! `transport` carries bytes: it accepts connections, tells Raft streams from API streams by their first byte, and dials peers for Raft.
//! `api` answers [`geode_wire::internal::InternalRequest`]s.

mod api;
mod transport;

pub(crate) use api::{Api, state_hash_at};
pub(crate) use transport::{ApiService, NoPeers, Transport, TransportError};
