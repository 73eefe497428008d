//! What the operator counts.

use geode_telemetry::prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// The operator's metrics and their registry.
pub struct Metrics {
    /// Where they are gathered.
    pub registry: Registry,
    /// 1 while this operator is the active one.
    pub active: IntGauge,
    /// Clusters that are looked after.
    pub clusters: IntGauge,
    /// Rounds by result: `ok`, `failed`, `refused`.
    pub rounds: IntCounterVec,
    /// Seconds of a round.
    pub seconds: Histogram,
    /// Actions by kind.
    pub actions: IntCounterVec,
}

impl Metrics {
    /// Registers all of them.
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            active: IntGauge::new("geode_operator_active", "1 while this operator is the active one")
                .expect(VALID),
            clusters: IntGauge::new("geode_operator_clusters", "Clusters that are looked after")
                .expect(VALID),
            rounds: IntCounterVec::new(
                Opts::new("geode_operator_rounds_total", "Reconciliations by result"),
                &["result"],
            )
            .expect(VALID),
            seconds: Histogram::with_opts(HistogramOpts::new(
                "geode_operator_round_seconds",
                "Duration of a reconciliation",
            ))
            .expect(VALID),
            actions: IntCounterVec::new(
                Opts::new("geode_operator_actions_total", "Actions by kind"),
                &["action"],
            )
            .expect(VALID),
            registry,
        };
        let Self {
            registry,
            active,
            clusters,
            rounds,
            seconds,
            actions,
        } = &metrics;
        registry.register(Box::new(active.clone())).expect(VALID);
        registry.register(Box::new(clusters.clone())).expect(VALID);
        registry.register(Box::new(rounds.clone())).expect(VALID);
        registry.register(Box::new(seconds.clone())).expect(VALID);
        registry.register(Box::new(actions.clone())).expect(VALID);
        metrics
    }
}

const VALID: &str = "invariant: names are valid and distinct";
