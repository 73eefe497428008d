//! The sidecar's metrics, under the names of the guides, and the page that joins them with the server's.

use geode_archive::{Increment, Manifest};
use geode_telemetry::prometheus::{Gauge, IntCounter, IntGauge, Registry};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The server's page must come in this time, or the sidecar's metrics go without it.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(3);
/// The server's page may be at most this long.
const SCRAPE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What the sidecar counts.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) lag_seconds: Gauge,
    pub(crate) lag_bytes: IntGauge,
    pub(crate) failures: IntCounter,
    pub(crate) failing: IntGauge,
    pub(crate) conflict: IntGauge,
    pub(crate) gap_entries: IntGauge,
    pub(crate) archived_up_to: IntGauge,
    pub(crate) segments: IntCounter,
    pub(crate) segment_bytes: IntCounter,
    pub(crate) cleanup_failures: IntCounter,
    pub(crate) copy_lag_seconds: Gauge,
    pub(crate) copy_failing: IntGauge,
    pub(crate) copied: IntCounter,
    last_full_timestamp: IntGauge,
    last_full_duration: Gauge,
    last_full_bytes: IntGauge,
    last_status: IntGauge,
    last_incremental_timestamp: IntGauge,
    last_incremental_bytes: IntGauge,
    /// Not exported: when a backup failed here, seconds since 1970.
    last_failure: Arc<AtomicI64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        Self {
            lag_seconds: gauge(
                &registry,
                "geode_backup_wal_archive_lag_seconds",
                "Time since the oldest segment that is not archived was sealed.",
            ),
            lag_bytes: int_gauge(
                &registry,
                "geode_backup_wal_archive_lag_bytes",
                "Size of the sealed segments that are not archived.",
            ),
            failures: counter(
                &registry,
                "geode_backup_wal_archive_failures_total",
                "Attempts to archive that failed.",
            ),
            failing: int_gauge(
                &registry,
                "geode_backup_wal_archive_failing",
                "1 while archiving does not get on.",
            ),
            conflict: int_gauge(
                &registry,
                "geode_backup_wal_archive_conflict",
                "1 while the archive holds other content under a name that this sidecar has to write.",
            ),
            gap_entries: int_gauge(
                &registry,
                "geode_backup_wal_archive_gap_entries",
                "Log entries that are missing in the archive and that no base backup covers.",
            ),
            archived_up_to: int_gauge(
                &registry,
                "geode_backup_wal_archived_up_to",
                "The last log index that is archived.",
            ),
            segments: counter(
                &registry,
                "geode_backup_wal_archived_segments_total",
                "Segments that this sidecar archived.",
            ),
            segment_bytes: counter(
                &registry,
                "geode_backup_wal_archived_bytes_total",
                "Bytes that this sidecar archived.",
            ),
            cleanup_failures: counter(
                &registry,
                "geode_backup_cleanup_failures_total",
                "Times that what need not be kept could not be deleted from the archive.",
            ),
            copy_lag_seconds: gauge(
                &registry,
                "geode_backup_copy_lag_seconds",
                "Time since the DR copy has lacked something that is archived.",
            ),
            copy_failing: int_gauge(
                &registry,
                "geode_backup_copy_failing",
                "1 while the DR copy does not get on.",
            ),
            copied: counter(
                &registry,
                "geode_backup_copied_objects_total",
                "Objects that this sidecar brought to the DR copy.",
            ),
            last_full_timestamp: unregistered(
                "geode_backup_last_full_timestamp",
                "When the last base backup was finished, seconds since 1970.",
            ),
            last_full_duration: Gauge::new("geode_backup_last_full_duration_seconds", "How long it took.")
                .expect("a valid name"),
            last_full_bytes: unregistered("geode_backup_last_full_size_bytes", "Its size as stored."),
            last_status: unregistered(
                "geode_backup_last_status",
                "1 when the last backup was completed, 0 when it failed.",
            ),
            last_incremental_timestamp: unregistered(
                "geode_backup_last_incremental_timestamp",
                "When the last incremental or differential backup was complete, seconds since 1970.",
            ),
            last_incremental_bytes: unregistered(
                "geode_backup_last_incremental_size_bytes",
                "Size of the log that it goes on by, as stored.",
            ),
            last_failure: Arc::default(),
            registry,
        }
    }

    /// An incremental or differential backup was completed, or found in the archive: the newest of whoever took it.
    pub(crate) fn increment(&self, increment: &Increment) {
        self.last_incremental_timestamp
            .set(increment.finished_at.as_second());
        self.last_incremental_bytes.set(increment.bytes as i64);
        self.completed(increment.finished_at);
        for gauge in [&self.last_incremental_timestamp, &self.last_incremental_bytes] {
            // As below.
            let _ = self.registry.register(Box::new(gauge.clone()));
        }
    }

    /// A base backup was completed, or found in the archive.
    pub(crate) fn base_backup(&self, manifest: &Manifest) {
        self.last_full_timestamp.set(manifest.finished_at.as_second());
        self.last_full_duration.set(
            manifest
                .finished_at
                .duration_since(manifest.started_at)
                .as_secs_f64(),
        );
        self.last_full_bytes.set(manifest.stored_bytes as i64);
        self.completed(manifest.finished_at);
        // They exist only once there is a backup to speak of; registering twice is refused and fine.
        let _ = self.registry.register(Box::new(self.last_full_timestamp.clone()));
        let _ = self.registry.register(Box::new(self.last_full_duration.clone()));
        let _ = self.registry.register(Box::new(self.last_full_bytes.clone()));
    }

    /// A backup that was complete before the last failure is no news.
    fn completed(&self, finished_at: Timestamp) {
        if finished_at.as_second() >= self.last_failure.load(Ordering::Relaxed) {
            self.last_status.set(1);
        }
        let _ = self.registry.register(Box::new(self.last_status.clone()));
    }

    /// A backup failed.
    pub(crate) fn backup_failed(&self) {
        self.last_status.set(0);
        self.last_failure
            .store(Timestamp::now().as_second(), Ordering::Relaxed);
        let _ = self.registry.register(Box::new(self.last_status.clone()));
    }

    /// Our metrics and, when it answers at `server_page` (`host:port`), the server's.
    pub(crate) async fn page(&self, server_page: &str) -> String {
        let mut text = geode_telemetry::render(&self.registry);
        if server_page.is_empty() {
            return text;
        }
        match tokio::time::timeout(SCRAPE_TIMEOUT, scrape(server_page)).await {
            Ok(Ok(server)) => text.push_str(&server),
            Ok(Err(error)) => tracing::debug!(%error, "the server's metrics cannot be read"),
            Err(_) => tracing::debug!("the server's metrics do not come"),
        }
        text
    }
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::new(name, help).expect("a valid name");
    registry
        .register(Box::new(gauge.clone()))
        .expect("each name is registered once");
    gauge
}

fn int_gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let gauge = unregistered(name, help);
    registry
        .register(Box::new(gauge.clone()))
        .expect("each name is registered once");
    gauge
}

fn unregistered(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("a valid name")
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let counter = IntCounter::new(name, help).expect("a valid name");
    registry
        .register(Box::new(counter.clone()))
        .expect("each name is registered once");
    counter
}

/// `GET /metrics` over HTTP/1.0, whose answer ends with the connection: all that a page on loopback needs.
async fn scrape(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.take(SCRAPE_BYTES_MAX).read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| std::io::Error::other("no HTTP answer"))?;
    if !head.lines().next().is_some_and(|line| line.contains(" 200 ")) {
        return Err(std::io::Error::other(format!("{:?}", head.lines().next())));
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_telemetry::http::Pages;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn one_page_has_the_sidecars_and_the_servers_metrics() {
        let server = Registry::new();
        let counter = IntCounter::new("geode_queries_total", "Queries.").unwrap();
        server.register(Box::new(counter)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(
            Pages::default()
                .with_metrics(server)
                .serve(listener, std::future::pending()),
        );
        let metrics = Metrics::new();
        let page = metrics.page(&address).await;
        assert!(
            page.contains("geode_queries_total 0") && page.contains("geode_backup_wal_archive_lag_seconds 0"),
            "{page}"
        );
        assert!(!page.contains("geode_backup_last_status"), "no backup, no status");
        metrics.backup_failed();
        assert!(
            metrics
                .page("127.0.0.1:1")
                .await
                .contains("geode_backup_last_status 0")
        );
    }
    fn manifest(finished_at: Timestamp) -> Manifest {
        Manifest {
            format: 1,
            cluster_id: crate::fake::cluster_id(),
            incarnation: geode_types::Incarnation(1),
            group: geode_types::GroupId(0),
            index: geode_types::LogIndex(7),
            term: geode_types::Term(1),
            state_hash: None,
            started_at: finished_at,
            finished_at,
            stored_bytes: 3,
            stored_sha256: geode_archive::Content::from_bytes(vec![1]).sha256(),
            compression: None,
            key: None,
            snapshot_bytes: 3,
            snapshot_sha256: geode_archive::Content::from_bytes(vec![1]).sha256(),
            server_version: "x".into(),
        }
    }

    #[test]
    fn a_failed_backup_is_said_until_a_newer_one_is_there() {
        let (metrics, now) = (Metrics::new(), Timestamp::now());
        let status = || metrics.last_status.get();
        metrics.base_backup(&manifest(now - jiff::SignedDuration::from_secs(60)));
        assert_eq!(status(), 1);
        metrics.backup_failed();
        metrics.base_backup(&manifest(now - jiff::SignedDuration::from_secs(60)));
        assert_eq!(status(), 0, "an older one that is found again changes nothing");
        metrics.base_backup(&manifest(now + jiff::SignedDuration::from_secs(60)));
        assert_eq!(status(), 1, "another member took one");
    }

    #[test]
    fn a_failed_backup_is_said_until_a_newer_increment_of_any_member_is_there() {
        let (metrics, now) = (Metrics::new(), Timestamp::now());
        let status = || metrics.last_status.get();
        let taken = |seconds| Increment {
            format: geode_archive::INCREMENT_FORMAT,
            kind: geode_types::BackupKind::Incremental,
            name: String::new(),
            cluster_id: crate::fake::cluster_id(),
            incarnation: geode_types::Incarnation(1),
            base: String::new(),
            parent: String::new(),
            after: geode_types::LogIndex(7),
            index: geode_types::LogIndex(9),
            bytes: 5,
            state_hash: String::new(),
            started_at: now,
            finished_at: now + jiff::SignedDuration::from_secs(seconds),
            server_version: "x".into(),
        };
        metrics.backup_failed();
        metrics.increment(&taken(-60));
        assert_eq!(status(), 0, "an older one that is found again changes nothing");
        metrics.increment(&taken(60));
        assert_eq!(status(), 1, "another member took one");
        assert_eq!(
            (
                metrics.last_incremental_timestamp.get(),
                metrics.last_incremental_bytes.get()
            ),
            (taken(60).finished_at.as_second(), 5)
        );
    }

    #[test]
    fn every_metric_that_an_alert_asks_of_the_sidecar_is_exported() {
        let metrics = Metrics::new();
        metrics.base_backup(&manifest(Timestamp::now()));
        let exported = geode_telemetry::metric_names(&geode_telemetry::render(&metrics.registry));
        let asked = geode_telemetry::metric_names(include_str!("../../alerts/rules.yaml"));
        let asked: Vec<_> = asked
            .iter()
            .filter(|name| name.starts_with("geode_backup_"))
            .collect();
        let missing: Vec<_> = asked.iter().filter(|name| !exported.contains(**name)).collect();
        assert!(missing.is_empty() && asked.len() > 4, "{missing:?} of {asked:?}");
    }
}
