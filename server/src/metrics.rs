//! The member's place in its cluster as metrics, under the guides' names. Everything is read off [`MemberStatus`], the same account that
//! the operator reads; the metrics of statements and connections are with the sessions.

use crate::raft::Stalls;
use geode_types::{MemberId, Role};
use geode_wire::internal::MemberStatus;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntGauge, Registry};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Gauges and counters, and what is remembered between two looks.
pub(crate) struct ClusterMetrics {
    cluster_size: IntGauge,
    node_healthy: IntGauge,
    lag_ms: IntGauge,
    lag_seconds: Gauge,
    elections: IntCounter,
    leader_changes: IntCounter,
    split_brain: IntGauge,
    quorum_lost: IntGauge,
    read_only: IntGauge,
    applied: IntGauge,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    term: u64,
    leader: Option<MemberId>,
    leader_of_term: Option<MemberId>,
    behind_since: Option<Instant>,
}

/// A leader whose quorum has not answered for longer counts as having lost it.
const QUORUM_AGE_MAX: Duration = Duration::from_secs(5);

impl ClusterMetrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let lag_seconds = Gauge::new(
            "geode_replication_lag_seconds",
            "Seconds for which this member has had committed entries that it has not applied.",
        )?;
        registry.register(Box::new(lag_seconds.clone()))?;
        Ok(Self {
            cluster_size: gauge(
                "geode_cluster_size",
                "Members of the cluster, voters and observers.",
            )?,
            node_healthy: gauge(
                "geode_cluster_node_healthy",
                "1 while this member serves queries.",
            )?,
            lag_ms: gauge(
                "geode_replication_lag_ms",
                "geode_replication_lag_seconds in milliseconds.",
            )?,
            lag_seconds,
            elections: counter(
                "geode_leader_elections_total",
                "Terms that began while this member watched.",
            )?,
            leader_changes: counter("geode_leader_changes", "Times that another member became leader.")?,
            split_brain: gauge(
                "geode_split_brain_detected",
                "1 after two leaders were seen in one term, which must never be.",
            )?,
            quorum_lost: gauge(
                "geode_quorum_lost",
                "1 while this member knows no leader with a quorum.",
            )?,
            read_only: gauge(
                "geode_read_only",
                "1 while this member refuses writes (a full volume, a late archive).",
            )?,
            applied: gauge(
                "geode_applied_index",
                "Last log index that is applied to the graph.",
            )?,
            seen: Seen::default(),
        })
    }

    /// Takes a look.
    pub(crate) fn update(&mut self, status: &MemberStatus, now: Instant) {
        self.cluster_size.set(status.membership.members.len() as i64);
        self.node_healthy.set(i64::from(status.not_ready.is_none()));
        self.read_only.set(i64::from(status.read_only.is_some()));
        self.applied.set(status.applied.0 as i64);
        let quorum_late = status
            .quorum_age_ms
            .is_some_and(|age| u128::from(age) > QUORUM_AGE_MAX.as_millis());
        let lost = status.leader.is_none() || (status.role == Role::Leader && quorum_late);
        self.quorum_lost
            .set(i64::from(lost && !status.membership.voters.is_empty()));

        let behind = status.applied < status.committed;
        self.seen.behind_since = behind.then(|| self.seen.behind_since.unwrap_or(now));
        let lag = self
            .seen
            .behind_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.lag_ms.set(lag.as_millis() as i64);
        self.lag_seconds.set(lag.as_secs_f64());
        self.watch_leader(status);
    }

    fn watch_leader(&mut self, status: &MemberStatus) {
        if status.term > self.seen.term {
            if self.seen.term > 0 {
                self.elections.inc_by(status.term - self.seen.term);
            }
            self.seen.term = status.term;
            self.seen.leader_of_term = None;
        }
        if let Some(leader) = status.leader
            && *self.seen.leader_of_term.get_or_insert(leader) != leader
        {
            self.split_brain.set(1);
        }
        if status.leader.is_some() && status.leader != self.seen.leader {
            if self.seen.leader.is_some() {
                self.leader_changes.inc();
            }
            self.seen.leader = status.leader;
        }
    }
}

/// The stalls of the member's disks. Looked at when somebody asks, as all that renews other metrics may be waiting for such a disk.
pub(crate) struct StallMetrics {
    stalls: Arc<Stalls>,
    log: Gauge,
    data: Gauge,
}

impl StallMetrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry, stalls: Arc<Stalls>) -> Result<(), prometheus::Error> {
        registry.register(Box::new(Self {
            stalls,
            log: Gauge::new(
                "geode_log_stall_seconds",
                "Seconds for which the disk of this member's log has not finished a write; 0 while it answers.",
            )?,
            data: Gauge::new(
                "geode_data_stall_seconds",
                "Seconds for which the disk of this member's graph has not got on with an entry or a read; 0 while it answers.",
            )?,
        }))
    }
}

impl Collector for StallMetrics {
    fn desc(&self) -> Vec<&Desc> {
        [self.log.desc(), self.data.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.log.set(self.stalls.log().as_secs_f64());
        self.data.set(self.stalls.data().as_secs_f64());
        [self.log.collect(), self.data.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::{Incarnation, LogIndex};
    use geode_wire::client::MemberAddress;
    use geode_wire::internal::{MemberState, Membership};

    fn status(term: u64, leader: Option<u64>, committed: u64, applied: u64) -> MemberStatus {
        let address = MemberAddress {
            id: MemberId(1),
            name: "a".into(),
            client: "a:1".into(),
            internal: "a:2".into(),
        };
        MemberStatus {
            version: "0".into(),
            state: MemberState::Running,
            cluster_id: None,
            incarnation: Incarnation(1),
            role: Role::Follower,
            term,
            leader: leader.map(MemberId),
            last_log: LogIndex(committed),
            committed: LogIndex(committed),
            applied: LogIndex(applied),
            snapshot: LogIndex(0),
            purged: LogIndex(0),
            not_ready: None,
            read_only: None,
            membership: Membership {
                voters: vec![MemberId(1)],
                members: vec![address.clone()],
                ..Membership::default()
            },
            replication: vec![],
            quorum_age_ms: None,
            archive: None,
            tasks: vec![],
            address,
        }
    }

    #[test]
    fn elections_leader_changes_and_lag_are_counted_from_what_was_seen() {
        let mut metrics = ClusterMetrics::register(&Registry::new()).unwrap();
        let start = Instant::now();
        metrics.update(&status(3, Some(1), 5, 5), start);
        metrics.update(&status(3, None, 9, 5), start);
        assert_eq!((metrics.quorum_lost.get(), metrics.elections.get()), (1, 0));
        metrics.update(&status(4, Some(2), 9, 5), start + Duration::from_millis(1500));
        assert_eq!(
            (
                metrics.elections.get(),
                metrics.leader_changes.get(),
                metrics.lag_ms.get()
            ),
            (1, 1, 1500)
        );
        metrics.update(&status(4, Some(2), 9, 9), start + Duration::from_secs(2));
        assert_eq!(
            (
                metrics.lag_ms.get(),
                metrics.split_brain.get(),
                metrics.quorum_lost.get()
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_term_that_is_seen_before_its_leader_is_no_split_brain() {
        let mut metrics = ClusterMetrics::register(&Registry::new()).unwrap();
        for (term, leader) in [(3, Some(1)), (4, None), (4, Some(2))] {
            metrics.update(&status(term, leader, 0, 0), Instant::now());
        }
        assert_eq!((metrics.split_brain.get(), metrics.leader_changes.get()), (0, 1));
    }

    #[test]
    fn two_leaders_in_one_term_raise_the_alarm() {
        let mut metrics = ClusterMetrics::register(&Registry::new()).unwrap();
        metrics.update(&status(3, Some(1), 0, 0), Instant::now());
        metrics.update(&status(3, Some(2), 0, 0), Instant::now());
        assert_eq!(metrics.split_brain.get(), 1);
    }
}
