//! What the three programs tell the outside: logs ([`init_logging`]), metrics ([`render`]) and small HTTP pages ([`http`]).
//!
//! It knows no metric: each program registers its own with a [`prometheus::Registry`] that it passes around.

pub mod http;
mod logging;

pub use logging::{LoggingError, init_logging};
pub use prometheus;

/// The registry's metrics in the Prometheus text format.
pub fn render(registry: &prometheus::Registry) -> String {
    prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be rendered");
            String::new()
        })
}
