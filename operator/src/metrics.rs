//! What the operator counts.

mod restore_tests;

use crate::context::Key;
use geode_api::GeodeBackupSchedule;
use geode_telemetry::prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use kube::ResourceExt;
use restore_tests::RestoreTestMetrics;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

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
    /// When the newest backup of each schedule was complete, seconds since 1970.
    schedule_success: IntGaugeVec,
    /// When the next run of each schedule is due, seconds since 1970.
    schedule_next: IntGaugeVec,
    /// Runs of each schedule that made no backup.
    schedule_missed: IntGaugeVec,
    /// Figures of restore tests.
    pub(crate) restore_tests: RestoreTestMetrics,
    /// Schedules that the three are about.
    schedules: Mutex<HashMap<Key, BTreeSet<String>>>,
}

fn of_schedules(name: &str, help: &str) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), &["namespace", "schedule"]).expect(VALID)
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
            schedule_success: of_schedules(
                "geode_operator_backup_schedule_last_success_timestamp",
                "When the newest backup of a schedule was complete, seconds since 1970",
            ),
            schedule_next: of_schedules(
                "geode_operator_backup_schedule_next_timestamp",
                "When the next run of a schedule is due, seconds since 1970",
            ),
            schedule_missed: of_schedules(
                "geode_operator_backup_schedule_missed_runs",
                "Runs of a schedule that made no backup",
            ),
            restore_tests: RestoreTestMetrics::register(&registry),
            schedules: Mutex::default(),
            registry,
        };
        let Self {
            registry,
            active,
            clusters,
            rounds,
            seconds,
            actions,
            schedule_success,
            schedule_next,
            schedule_missed,
            ..
        } = &metrics;
        registry.register(Box::new(active.clone())).expect(VALID);
        registry.register(Box::new(clusters.clone())).expect(VALID);
        registry.register(Box::new(rounds.clone())).expect(VALID);
        registry.register(Box::new(seconds.clone())).expect(VALID);
        registry.register(Box::new(actions.clone())).expect(VALID);
        for gauges in [schedule_success, schedule_next, schedule_missed] {
            registry.register(Box::new(gauges.clone())).expect(VALID);
        }
        metrics
    }

    /// The schedules of this cluster stand so; others of it are gone.
    pub(crate) fn keep_schedules(&self, key: &Key, schedules: &[GeodeBackupSchedule]) {
        let gauges = [&self.schedule_success, &self.schedule_next, &self.schedule_missed];
        let names: BTreeSet<String> = schedules.iter().map(ResourceExt::name_any).collect();
        let mut known = self.schedules.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if names.is_empty() {
            known.remove(key)
        } else {
            known.insert(key.clone(), names.clone())
        };
        for gone in before.unwrap_or_default().difference(&names) {
            for gauge in gauges {
                // It may never have had a value.
                let _ = gauge.remove_label_values(&[&key.namespace, gone]);
            }
        }
        for schedule in schedules {
            let status = schedule.status.clone().unwrap_or_default();
            let at = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
                time.map(|time| time.0.as_second())
            };
            let values = [
                at(status.last_successful_time),
                at(status.next_schedule_time),
                Some(status.missed_runs),
            ];
            for (gauge, value) in gauges.into_iter().zip(values) {
                let labels = [key.namespace.as_str(), &schedule.name_any()];
                match value {
                    Some(value) => gauge.with_label_values(&labels).set(value),
                    None => drop(gauge.remove_label_values(&labels)),
                }
            }
        }
    }
}

const VALID: &str = "invariant: names are valid and distinct";
