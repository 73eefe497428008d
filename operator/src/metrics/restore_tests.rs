//! What is measured about restore tests: a gauge a figure, labelled with namespace and name of the `GeodeRestoreTest`. The figures are those of
//! its status, so an operator that begins knows them.

use crate::context::Key;
use geode_api::GeodeRestoreTest;
use geode_telemetry::prometheus::{IntGaugeVec, Opts, Registry};
use kube::ResourceExt;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

const NAMES: [(&str, &str); 4] = [
    (
        "geode_operator_restore_test_last_success_timestamp",
        "When the last run of a restore test that passed ended, seconds since 1970",
    ),
    (
        "geode_operator_restore_test_rto_seconds",
        "Recovery time that the last run of a restore test measured",
    ),
    (
        "geode_operator_restore_test_rpo_seconds",
        "Recovery point that the last run of a restore test measured: seconds of writes that the archive did not have",
    ),
    (
        "geode_operator_restore_test_failures",
        "Runs of a restore test that failed",
    ),
];

/// The gauges and what they are about.
pub(crate) struct RestoreTestMetrics {
    gauges: [IntGaugeVec; 4],
    known: Mutex<HashMap<Key, BTreeSet<String>>>,
}

impl RestoreTestMetrics {
    /// Registers them.
    pub(super) fn register(registry: &Registry) -> Self {
        let gauges = NAMES.map(|(name, help)| {
            let gauge =
                IntGaugeVec::new(Opts::new(name, help), &["namespace", "restore_test"]).expect(super::VALID);
            registry.register(Box::new(gauge.clone())).expect(super::VALID);
            gauge
        });
        Self {
            gauges,
            known: Mutex::default(),
        }
    }

    /// The tests of this cluster stand so; others of it are gone.
    pub(crate) fn keep(&self, key: &Key, tests: &[GeodeRestoreTest]) {
        let names: BTreeSet<String> = tests.iter().map(ResourceExt::name_any).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if names.is_empty() {
            known.remove(key)
        } else {
            known.insert(key.clone(), names.clone())
        };
        for gone in before.unwrap_or_default().difference(&names) {
            for gauge in &self.gauges {
                // It may never have had a value.
                let _ = gauge.remove_label_values(&[&key.namespace, gone]);
            }
        }
        for test in tests {
            let status = test.status.clone().unwrap_or_default();
            let result = status.result.as_ref();
            let values = [
                status.last_success_time.map(|time| time.0.as_second()),
                result.and_then(|result| result.rto_seconds),
                result.and_then(|result| result.rpo_seconds),
                Some(status.failed_runs),
            ];
            for (gauge, value) in self.gauges.iter().zip(values) {
                let labels = [key.namespace.as_str(), &test.name_any()];
                match value {
                    Some(value) => gauge.with_label_values(&labels).set(value),
                    None => drop(gauge.remove_label_values(&labels)),
                }
            }
        }
    }
}
