//! Notices a disk that answers no write: an error there would end the process at once, and this is no error. A leader gives way after a
//! while (`upkeep`). When it is the log's disk, the process ends after a longer one, because nobody knows what that disk will have done;
//! what the graph's disk lacks is applied again from the log.
//!
//! On threads of their own: whatever else the process does may be waiting for the same disk. One of them begins to read the graph now and
//! then, because whoever else hangs there may keep entries from being applied at all.

use super::Limits;
use super::handle::Fatal;
use super::status::RaftStatus;
use geode_log::disk::{Activity, StallMeter};
use geode_store::Store;
use geode_types::{MemberId, Role};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How often the disks are looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// How often the graph is read to see whether its disk answers.
const PROBE_PERIOD: Duration = Duration::from_millis(500);

/// For how long a member's disks have not got on with what they have to write.
#[derive(Debug, Default)]
pub struct Stalls {
    log_millis: AtomicU64,
    data_millis: AtomicU64,
}

impl Stalls {
    /// The disk of the log, with a write.
    pub fn log(&self) -> Duration {
        Duration::from_millis(self.log_millis.load(Ordering::Relaxed))
    }

    /// The disk of the graph, with an entry, the commit of a few, or the beginning of a read.
    pub fn data(&self) -> Duration {
        Duration::from_millis(self.data_millis.load(Ordering::Relaxed))
    }

    /// Everything gets on.
    pub(super) fn is_none(&self) -> bool {
        self.log().is_zero() && self.data().is_zero()
    }

    /// Whether a leader is to give way.
    fn is_too_long(&self, limits: &Limits) -> bool {
        self.log() >= limits.stall_hand_over || self.data() >= limits.data_stall_hand_over
    }
}

/// What is looked at.
pub(super) struct Watched {
    log: Activity,
    applying: Activity,
    reading: Activity,
}

impl Watched {
    pub(super) fn new(log: Activity, applying: &Activity) -> Self {
        Self {
            log,
            applying: applying.clone(),
            reading: Activity::default(),
        }
    }
}

/// Begins to watch; ends with the member, or with `fatal` when a write to the log takes longer than `max`.
pub(super) fn watch<S: Store>(
    stalls: &Arc<Stalls>,
    store: &Arc<S>,
    watched: Watched,
    directory: &Path,
    max: Duration,
    fatal: watch::Sender<Option<Fatal>>,
) -> std::io::Result<()> {
    let (stalls, store) = (Arc::downgrade(stalls), Arc::downgrade(store));
    let (directory, reading) = (directory.display().to_string(), watched.reading.clone());
    let work = move || {
        if let Some(time) = look_until(&stalls, &watched, max) {
            let failure = Fatal(format!(
                "the disk of {directory} has not finished a write for {} s (storage.wal.stall_max)",
                time.as_secs()
            ));
            tracing::error!(fatal = %failure, "this member must stop");
            fatal.send_replace(Some(failure));
        }
    };
    std::thread::Builder::new()
        .name("geode-disk-watch".to_owned())
        .spawn(work)?;
    std::thread::Builder::new()
        .name("geode-data-probe".to_owned())
        .spawn(move || probe(&store, &reading))
        .map(drop)
}

/// Begins to read again and again, until the store is closed.
fn probe<S: Store>(store: &Weak<S>, reading: &Activity) {
    loop {
        std::thread::sleep(PROBE_PERIOD);
        let Some(store) = store.upgrade() else { return };
        // An error is for those who need what they read.
        let _ = reading.during(|| store.read().map(drop));
    }
}

/// Looks until a write to the log has taken longer than `max`, or until nobody cares.
fn look_until(stalls: &Weak<Stalls>, watched: &Watched, max: Duration) -> Option<Duration> {
    let [mut log, mut applying, mut reading] = [(); 3].map(|()| StallMeter::default());
    let millis = |looks: u32| (PERIOD * looks).as_millis() as u64;
    loop {
        std::thread::sleep(PERIOD);
        let stalls = stalls.upgrade()?;
        let log = log.look(watched.log.count());
        stalls.log_millis.store(millis(log), Ordering::Relaxed);
        let applying = applying.look(watched.applying.count());
        let data = applying.max(reading.look(watched.reading.count()));
        stalls.data_millis.store(millis(data), Ordering::Relaxed);
        if stalls.log() >= max {
            return Some(stalls.log());
        }
    }
}

/// Whom a leader hands over to whose disk has stalled too long.
pub(super) fn successor(status: &RaftStatus, stalls: &Stalls, limits: &Limits) -> Option<MemberId> {
    if status.role != Role::Leader || !stalls.is_too_long(limits) {
        return None;
    }
    status.best_successor()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::status::tests::status;

    #[test]
    fn a_leader_hands_over_to_the_voter_that_has_most_and_only_when_a_disk_has_stalled_long_enough() {
        let limits = Limits {
            stall_hand_over: Duration::from_millis(1500),
            data_stall_hand_over: Duration::from_secs(5),
            ..Limits::default()
        };
        let stalls = |log: u64, data: u64| Stalls {
            log_millis: log.into(),
            data_millis: data.into(),
        };
        let leader = status(Role::Leader, &[(2, 7), (3, 9), (4, 9)]);
        for (log, data, expected) in [
            (1500, 0, Some(MemberId(3))),
            (1400, 4900, None),
            (0, 5000, Some(MemberId(3))),
        ] {
            assert_eq!(
                successor(&leader, &stalls(log, data), &limits),
                expected,
                "{log} {data}"
            );
        }
        for other in [status(Role::Follower, &[]), status(Role::Leader, &[])] {
            assert_eq!(successor(&other, &stalls(9000, 9000), &limits), None);
        }
    }
}
