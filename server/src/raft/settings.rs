//! What a member's consensus is configured with.

use geode_types::{ClusterId, FeatureLevel, Incarnation, MemberId};
use geode_wire::client::MemberAddress;
use openraft::{Config, SnapshotPolicy, StepDownPolicy};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Heartbeat and election timing. A follower that hears no leader stands for election after a random time between the two bounds, as in
/// Raft (Ongaro 2014, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader is heard.
    pub heartbeat: Duration,
    /// Shortest wait.
    pub election_min: Duration,
    /// Longest wait.
    pub election_max: Duration,
}

impl Timing {
    /// For disks and networks that answer in few milliseconds: about half a second without a leader. openraft waits for a lease of half of the
    /// longest wait and then for more than a heartbeat, so these are the numbers with which the shortest wait is what it says.
    pub const FAST: Self = Self::new(60, 300, 480);
    /// For ordinary clouds.
    pub const DEFAULT: Self = Self::new(250, 1000, 2000);
    /// Between distant regions.
    pub const WAN: Self = Self::new(500, 3000, 6000);

    const fn new(heartbeat: u64, election_min: u64, election_max: u64) -> Self {
        Self {
            heartbeat: Duration::from_millis(heartbeat),
            election_min: Duration::from_millis(election_min),
            election_max: Duration::from_millis(election_max),
        }
    }

    /// How long a leader is heard for: until then nobody else is voted for, and a leader that hears no majority for as long has lost it.
    pub(super) fn lease(&self) -> Duration {
        self.election_max / 2
    }

    /// What openraft draws a random time from, milliseconds. It waits for the lease first, so the two together end at `election_max`. It
    /// refuses a time below a heartbeat.
    fn after_lease(&self) -> Range<u64> {
        let shortest = self.election_min.saturating_sub(self.lease());
        let above_heartbeat = self.heartbeat + Duration::from_millis(1);
        millis(shortest.max(above_heartbeat))..millis(self.lease())
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Sizes and counts. The defaults suit servers; tests make them small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A snapshot point is taken after this many entries.
    pub snapshot_entries: u64,
    /// Or after this many bytes of log.
    pub snapshot_bytes: u64,
    /// Entries that a purge leaves, so that members that were away for a moment catch up by the log.
    pub keep_entries: u64,
    /// Entries that one message to a peer carries at most.
    pub message_entries: u64,
    /// Bytes of entries that one message to a peer carries at most, unless one entry is larger.
    pub message_bytes: usize,
    /// Entries applied in one transaction of the store at most.
    pub apply_entries: usize,
    /// A log segment ends after an index + 1 divisible by this. Must be the same on all members for ever.
    pub segment_entries: u64,
    /// Recent records kept in memory, bytes.
    pub log_cache_bytes: usize,
    /// How long a snapshot may take to be sent and installed.
    pub snapshot_timeout: Duration,
    /// How long a proposal or a read index is waited for at most while everything looks well.
    pub wait_max: Duration,
    /// A leader whose log has waited for its disk for so long hands over.
    pub stall_hand_over: Duration,
    /// A member whose log has waited for its disk for so long ends.
    pub stall_max: Duration,
    /// When a leader hands over because the disk of its graph does not finish what it has to apply.
    pub data_stall_hand_over: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let storage = geode_config::Storage::default();
        Self {
            snapshot_entries: storage.snapshot_entries,
            snapshot_bytes: 256 * 1024 * 1024,
            keep_entries: 10_000,
            message_entries: 512,
            message_bytes: 2 * 1024 * 1024,
            apply_entries: 64,
            segment_entries: geode_log::DEFAULT_SEGMENT_ENTRIES,
            log_cache_bytes: geode_log::DEFAULT_CACHE_BYTES,
            snapshot_timeout: Duration::from_secs(3600),
            wait_max: Duration::from_secs(30),
            stall_hand_over: storage.wal.stall_hand_over.into(),
            stall_max: storage.wal.stall_max.into(),
            data_stall_hand_over: storage.stall_hand_over.into(),
        }
    }
}

/// How a member's consensus is set up.
#[derive(Clone, Debug)]
pub struct RaftSettings {
    /// Heartbeats and elections.
    pub timing: Timing,
    /// Sizes and counts.
    pub limits: Limits,
    /// Where snapshots on their way lie: `<data>/snapshots`.
    pub snapshot_directory: PathBuf,
    /// The WAL directory; the log is in its `group-0`.
    pub wal_directory: PathBuf,
    /// Whether purging waits for [`super::Raft::set_archived`].
    pub archive_configured: bool,
    /// The highest feature level that this member announces.
    pub level: FeatureLevel,
}

/// Tells the identity file that this member now belongs to a cluster. Must be durable when it returns.
pub(super) type Adopt = Arc<dyn Fn(ClusterId, Incarnation) -> io::Result<()> + Send + Sync>;

/// Who this member is.
#[derive(Clone)]
pub struct RaftIdentity {
    /// The member.
    pub member: MemberId,
    /// Its cluster, when it has one. Without one it joins the first cluster whose leader addresses it by its member id.
    pub cluster: Option<(ClusterId, Incarnation)>,
    /// Called once, when it is given a cluster.
    pub adopt: Adopt,
    /// How others reach it.
    pub address: MemberAddress,
}

impl RaftSettings {
    /// openraft's configuration. Snapshots and purges are triggered by `upkeep`, not by openraft.
    pub(super) fn config(&self) -> Config {
        let elections = self.timing.after_lease();
        Config {
            cluster_name: "geode".to_owned(),
            heartbeat_interval: millis(self.timing.heartbeat),
            election_timeout_min: elections.start,
            // Also the lease, by openraft's rule.
            election_timeout_max: elections.end,
            install_snapshot_timeout: millis(self.limits.snapshot_timeout),
            max_payload_entries: self.limits.message_entries,
            snapshot_policy: SnapshotPolicy::Never,
            // Which followers get a snapshot is decided by what is purged, not by their lag.
            replication_lag_threshold: u64::MAX,
            max_in_snapshot_log_to_keep: u64::MAX / 2,
            removed_leader_step_down: StepDownPolicy::After(millis(self.timing.heartbeat)),
            enable_pre_vote: Some(true),
            // `open` decides when this member may stand.
            enable_elect: false,
            // A leader that restarts stands for election again: its applied state may be older than what it acknowledged.
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            backoff: format!("{0}ms {0}ms {0}ms ...{0}ms", millis(self.timing.heartbeat)),
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_elects_within_its_bounds_and_outlives_a_lost_heartbeat() {
        for timing in [Timing::FAST, Timing::DEFAULT, Timing::WAN] {
            let elections = timing.after_lease();
            let whole = |after: u64| timing.lease() + Duration::from_millis(after);
            assert!(whole(elections.start) >= timing.election_min, "{timing:?}");
            assert!(whole(elections.end) <= timing.election_max, "{timing:?}");
            assert!(timing.lease() > timing.heartbeat * 2, "{timing:?}");
        }
    }
}
