//! What sessions tell Prometheus, under the guides' names.

use crate::chronicle::Durations;
use prometheus::core::Metric;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};
use std::time::Duration;

/// Seconds: from a point read to a long analysis.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Metrics of statements, transactions and connections.
#[derive(Clone)]
pub(crate) struct SessionMetrics {
    query_duration: Histogram,
    queries: IntCounterVec,
    transaction_duration: Histogram,
    connections: IntGauge,
    connections_max: IntGauge,
}

impl SessionMetrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let histogram = |name: &str, help: &str| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let queries = IntCounterVec::new(
            Opts::new("geode_queries_total", "Statements that ended, by how."),
            &["status"],
        )?;
        registry.register(Box::new(queries.clone()))?;
        for status in ["success", "error"] {
            queries.with_label_values(&[status]);
        }
        Ok(Self {
            query_duration: histogram(
                "geode_query_duration_seconds",
                "Time from a statement's arrival to its last row.",
            )?,
            queries,
            transaction_duration: histogram(
                "geode_transaction_duration_seconds",
                "Time from START TRANSACTION to its end.",
            )?,
            connections: gauge("geode_connection_pool_active", "Open client connections.")?,
            connections_max: gauge(
                "geode_connection_pool_max",
                "Most client connections at a time (server.max_connections).",
            )?,
        })
    }

    pub(crate) fn statement(&self, took: Duration, succeeded: bool) {
        self.query_duration.observe(took.as_secs_f64());
        self.queries
            .with_label_values(&[if succeeded { "success" } else { "error" }])
            .inc();
    }

    /// How many statements took at most so many seconds, since the process began.
    pub(crate) fn durations(&self) -> Durations {
        let metric = self.query_duration.metric();
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        let bounded = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        bounded
            .chain([(f64::INFINITY, histogram.get_sample_count())])
            .collect()
    }

    pub(crate) fn transaction(&self, took: Duration) {
        self.transaction_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn connections(&self, open: usize, max: usize) {
        self.connections.set(open as i64);
        self.connections_max.set(max as i64);
    }
}
