//! What statements may use.

use std::time::Duration;

/// Statements that run at the same time, for each core, when the configuration does not say.
pub(super) const WORKERS_PER_CORE: usize = 4;

/// What statements may use, from the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `performance.query_timeout`.
    pub query_timeout: Duration,
    /// `performance.transaction_timeout`: also the greatest age of a snapshot that a transaction holds.
    pub transaction_timeout: Duration,
    /// `performance.max_query_memory`.
    pub query_memory_bytes: usize,
    /// `performance.worker_threads`; 0: four per core.
    pub workers: usize,
}

impl From<&geode_config::Performance> for Limits {
    fn from(performance: &geode_config::Performance) -> Self {
        Self {
            query_timeout: performance.query_timeout.into(),
            transaction_timeout: performance.transaction_timeout.into(),
            query_memory_bytes: usize::try_from(performance.max_query_memory.0).unwrap_or(usize::MAX),
            workers: performance.worker_threads as usize,
        }
    }
}
