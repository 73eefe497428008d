//! Notices a disk of the log that answers no write: an error there would end the process at once, and this is no error. A leader gives
//! way after a while (`upkeep`), and after a longer one the process ends, because nobody knows what that disk will have done.
//!
//! On a thread of its own: whatever else the process does may be waiting for the same disk.

use super::handle::Fatal;
use super::status::RaftStatus;
use geode_log::disk::{Activity, StallMeter};
use geode_types::{MemberId, Role};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How often the disk is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// For how long the disk of the log has not finished a write.
#[derive(Debug, Default)]
pub(super) struct Stall {
    millis: AtomicU64,
}

impl Stall {
    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// Begins to watch; ends with the member, or with `fatal` when a write takes longer than `max`.
pub(super) fn watch(
    stall: &Arc<Stall>,
    activity: Activity,
    directory: &Path,
    max: Duration,
    fatal: watch::Sender<Option<Fatal>>,
) -> std::io::Result<()> {
    let (stall, directory) = (Arc::downgrade(stall), directory.display().to_string());
    let work = move || {
        if let Some(time) = look_until(&stall, &activity, max) {
            let failure = Fatal(format!(
                "the disk of {directory} has not finished a write for {} s (storage.wal.stall_max)",
                time.as_secs()
            ));
            tracing::error!(fatal = %failure, "this member must stop");
            fatal.send_replace(Some(failure));
        }
    };
    std::thread::Builder::new()
        .name("geode-wal-watch".to_owned())
        .spawn(work)
        .map(drop)
}

/// Looks until a write has taken longer than `max`, or until nobody cares.
fn look_until(stall: &Weak<Stall>, activity: &Activity, max: Duration) -> Option<Duration> {
    let mut meter = StallMeter::default();
    loop {
        std::thread::sleep(PERIOD);
        let stall = stall.upgrade()?;
        let time = PERIOD * meter.look(activity.count());
        stall.millis.store(time.as_millis() as u64, Ordering::Relaxed);
        if time >= max {
            return Some(time);
        }
    }
}

/// Whom a leader hands over to whose log has stalled for `stalled`, when it is to give way after `after`.
pub(super) fn successor(status: &RaftStatus, stalled: Duration, after: Duration) -> Option<MemberId> {
    if status.role != Role::Leader || stalled < after {
        return None;
    }
    status.best_successor()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::status::tests::status;

    #[test]
    fn a_leader_hands_over_to_the_voter_that_has_most_and_only_when_its_disk_has_stalled_long_enough() {
        let after = Duration::from_millis(1500);
        let leader = status(Role::Leader, &[(2, 7), (3, 9), (4, 9)]);
        assert_eq!(successor(&leader, after, after), Some(MemberId(3)));
        assert_eq!(successor(&leader, Duration::from_millis(1400), after), None);
        assert_eq!(successor(&status(Role::Follower, &[]), after, after), None);
        assert_eq!(successor(&status(Role::Leader, &[]), after, after), None);
    }
}
