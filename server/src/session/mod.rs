//! Sessions: statements one after the other, and the transaction between them.
//!
//! [`Session`] knows the rules of transactions and nothing of connections; `stream` carries it over a QUIC stream, `Ephemeral` uses it
//! in this very process.

mod metrics;
mod stream;
mod transaction;

pub(crate) use metrics::SessionMetrics;
pub(crate) use stream::{ClusterAccess, Service, TransferRefused};
pub(crate) use stream::{malformed, serve};
pub(crate) use transaction::Session;
