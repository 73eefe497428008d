//! Sessions: statements one after the other, and the transaction between them.
//!
//! [`Session`] knows the rules of transactions and nothing of connections; `stream` carries it over a QUIC stream, `Ephemeral` uses it
//! in this very process.

mod metrics;
mod stream;
mod transaction;

pub use metrics::SessionMetrics;
pub use stream::{ClusterAccess, Service, TransferRefused};
pub(crate) use stream::{malformed, serve};
pub use transaction::Session;
