//! Geode's Rust driver.
//!
//! `Client` runs statements against a cluster (port 3141) and follows its leader; [`InternalClient`] is for the operator and the
//! sidecar (port 3142, mTLS). Both speak QUIC with TLS 1.3.

mod internal;
pub mod tls;

pub use internal::{CALL_TIMEOUT, InternalClient, InternalConnector, InternalError};
