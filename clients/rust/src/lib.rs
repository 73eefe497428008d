//! Geode's Rust driver.
//!
//! [`Client`] runs statements against a cluster (port 3141) and follows its leader; [`InternalClient`] is for the operator and the
//! sidecar (port 3142, mTLS). Both speak QUIC with TLS 1.3.

mod client;
mod internal;
pub mod tls;

pub use client::{
    Client, ClientBuilder, ClientError, LoadBalancing, QueryResult, RetryPolicy, Session, Statement, Tried,
};
pub use geode_wire::client::{Dialect, ReadMode};
pub use internal::{CALL_TIMEOUT, InternalClient, InternalConnector, InternalError};
