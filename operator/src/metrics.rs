//! What the operator counts.

mod restore_tests;

use crate::context::Key;
use geode_api::GeodeBackupSchedule;
use geode_telemetry::prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
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
    /// 1 for what each condition of each cluster says now.
    conditions: IntGaugeVec,
    /// What they say: type, status, reason.
    said: Mutex<HashMap<Key, BTreeSet<[String; 3]>>>,
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
            conditions: IntGaugeVec::new(
                Opts::new(
                    "geode_operator_cluster_condition",
                    "1 for what a condition of a GeodeCluster says now",
                ),
                &["namespace", "cluster", "type", "status", "reason"],
            )
            .expect(VALID),
            said: Mutex::default(),
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
            conditions,
            ..
        } = &metrics;
        // A counter that begins with its first event has no increase then.
        for result in ["ok", "failed", "refused"] {
            rounds.with_label_values(&[result]);
        }
        registry.register(Box::new(active.clone())).expect(VALID);
        registry.register(Box::new(clusters.clone())).expect(VALID);
        registry.register(Box::new(rounds.clone())).expect(VALID);
        registry.register(Box::new(seconds.clone())).expect(VALID);
        registry.register(Box::new(actions.clone())).expect(VALID);
        for gauges in [schedule_success, schedule_next, schedule_missed, conditions] {
            registry.register(Box::new(gauges.clone())).expect(VALID);
        }
        metrics
    }

    /// The conditions of this cluster say this; what they said before is gone.
    pub(crate) fn keep_conditions(&self, key: &Key, conditions: &[Condition]) {
        let now: BTreeSet<[String; 3]> = conditions
            .iter()
            .map(|condition| {
                [
                    condition.type_.clone(),
                    condition.status.clone(),
                    condition.reason.clone(),
                ]
            })
            .collect();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = |[kind, status, reason]: &[String; 3]| {
            [&key.namespace, &key.name, kind, status, reason].map(ToOwned::to_owned)
        };
        for gone in said
            .get(key)
            .into_iter()
            .flatten()
            .filter(|line| !now.contains(*line))
        {
            // It has a value, and is removed once.
            let _ = self.conditions.remove_label_values(&labels(gone));
        }
        for line in &now {
            self.conditions.with_label_values(&labels(line)).set(1);
        }
        if now.is_empty() {
            said.remove(key);
        } else {
            said.insert(key.clone(), now);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use geode_api::GeodeRestoreTest;
    use geode_telemetry::{metric_names, render};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    fn key() -> Key {
        Key {
            namespace: "db".into(),
            name: "a".into(),
        }
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: kind.into(),
            status: status.into(),
            reason: reason.into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn a_condition_is_exported_as_it_is_now_and_gone_with_its_cluster() {
        let metrics = Metrics::new();
        let lines = || {
            let page = render(&metrics.registry);
            page.lines()
                .filter(|line| line.starts_with("geode_operator_cluster_condition{"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        metrics.keep_conditions(&key(), &[condition("Ready", "False", "Updating")]);
        metrics.keep_conditions(
            &key(),
            &[
                condition("Ready", "True", "AllMembersReady"),
                condition("Stalled", "False", "Idle"),
            ],
        );
        let expected = |kind: &str, status: &str, reason: &str| {
            format!(
                "geode_operator_cluster_condition{{cluster=\"a\",namespace=\"db\",reason=\"{reason}\",status=\"{status}\",type=\"{kind}\"}} 1"
            )
        };
        assert_eq!(
            lines(),
            [
                expected("Ready", "True", "AllMembersReady"),
                expected("Stalled", "False", "Idle")
            ]
        );
        metrics.keep_conditions(&key(), &[]);
        assert!(lines().is_empty());
    }

    #[test]
    fn every_metric_that_an_alert_asks_of_the_operator_is_exported() {
        let metrics = Metrics::new();
        metrics.keep_conditions(&key(), &[condition("Ready", "True", "AllMembersReady")]);
        metrics.keep_schedules(&key(), &[GeodeBackupSchedule::new("nightly", Default::default())]);
        let test = GeodeRestoreTest::new("monthly", Default::default());
        metrics.restore_tests.keep(&key(), &[test]);
        let exported = metric_names(&render(&metrics.registry));
        let asked = metric_names(include_str!("../../alerts/rules.yaml"));
        let asked: Vec<_> = asked
            .iter()
            .filter(|name| name.starts_with("geode_operator_"))
            .collect();
        let missing: Vec<_> = asked.iter().filter(|name| !exported.contains(**name)).collect();
        assert!(missing.is_empty() && asked.len() > 3, "{missing:?} of {asked:?}");
    }
}
