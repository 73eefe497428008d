//! What the keeper measures around the process, as metrics: the volumes' space, the end of the certificate, the delay of writes. What follows
//! from them is decided in the gate, and by who reads the metrics.

use crate::gate::Space;
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry};
use std::time::Duration;

/// The gauges.
pub(crate) struct Surroundings {
    volume_free: IntGaugeVec,
    volume_total: IntGaugeVec,
    certificate_expiry: IntGauge,
    write_delay: Gauge,
}

impl Surroundings {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let volumes = |name: &str, help: &str| -> Result<IntGaugeVec, prometheus::Error> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["volume"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let this = Self {
            volume_free: volumes(
                "geode_volume_free_bytes",
                "What can still be written to a volume: data or wal.",
            )?,
            volume_total: volumes("geode_volume_total_bytes", "Size of a volume: data or wal.")?,
            certificate_expiry: IntGauge::new(
                "geode_tls_certificate_expiry_timestamp",
                "When the certificate that is in use ends, seconds since 1970.",
            )?,
            write_delay: Gauge::new(
                "geode_write_delay_seconds",
                "How long each write is delayed because the archive is late.",
            )?,
        };
        registry.register(Box::new(this.certificate_expiry.clone()))?;
        registry.register(Box::new(this.write_delay.clone()))?;
        Ok(this)
    }

    /// A volume has this space.
    pub(crate) fn note_volume(&self, volume: &str, space: Space) {
        self.volume_free
            .with_label_values(&[volume])
            .set(space.free as i64);
        self.volume_total
            .with_label_values(&[volume])
            .set(space.total as i64);
    }

    /// This certificate is in use, PEM.
    pub(crate) fn note_certificate(&self, pem: &[u8]) {
        if let Some(end) = not_after(pem) {
            self.certificate_expiry.set(end);
        }
    }

    /// Writes are delayed by this.
    pub(crate) fn note_write_delay(&self, delay: Duration) {
        self.write_delay.set(delay.as_secs_f64());
    }
}

/// When the first certificate of a file ends, seconds since 1970.
fn not_after(pem: &[u8]) -> Option<i64> {
    let (_, parsed) = x509_parser::pem::parse_x509_pem(pem).ok()?;
    Some(parsed.parse_x509().ok()?.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ClusterMetrics, StallMetrics};
    use crate::session::SessionMetrics;
    use crate::tls::own_certificates;
    use geode_telemetry::{metric_names, render};
    use std::sync::Arc;

    #[test]
    fn a_certificate_says_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let files = own_certificates(folder.path(), "localhost").unwrap();
        let end = not_after(&std::fs::read(files.cert).unwrap()).unwrap();
        assert!(end > jiff::Timestamp::now().as_second(), "{end}");
        assert_eq!(not_after(b"no certificate"), None);
    }

    #[test]
    fn every_metric_that_an_alert_asks_of_the_server_is_exported() {
        let registry = Registry::new();
        let _cluster = ClusterMetrics::register(&registry).unwrap();
        StallMetrics::register(&registry, Arc::default()).unwrap();
        let _sessions = SessionMetrics::register(&registry).unwrap();
        let surroundings = Surroundings::register(&registry).unwrap();
        surroundings.note_volume("data", Space { free: 1, total: 2 });
        let exported = metric_names(&render(&registry));
        let asked = metric_names(include_str!("../../alerts/rules.yaml"));
        let of_others =
            |name: &&String| name.starts_with("geode_backup_") || name.starts_with("geode_operator_");
        let asked: Vec<_> = asked.iter().filter(|name| !of_others(name)).collect();
        let missing: Vec<_> = asked.iter().filter(|name| !exported.contains(**name)).collect();
        assert!(missing.is_empty() && asked.len() > 10, "{missing:?} of {asked:?}");
    }
}
