//! Whether this member takes writes: not while a volume is nearly full, nor while too much waits for the archive. Reads go on, the
//! process lives, and writes go on by themselves when the cause is gone. Before an archive that falls behind closes the gate, it slows writers.

use rustix::fs::statvfs;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// A closed gate opens only when a quarter more than the limit is free again, so that it does not flutter.
const REOPEN_FACTOR: (u64, u64) = (5, 4);

/// One part of so many of the WAL volume may wait for the archive: the log keeps what is archived, too, and a limit beyond the volume's
/// size would slow nobody down before the volume is full.
const BACKLOG_SHARE: u64 = 2;

/// Why writes can be refused; each cause comes and goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The data volume is nearly full.
    DataVolume,
    /// The WAL volume is nearly full.
    WalVolume,
    /// Too much of the log waits for the archive.
    ArchiveBacklog,
}

/// The causes that hold now, each with a sentence.
#[derive(Default)]
pub(crate) struct WriteGate {
    closed: RwLock<BTreeMap<Cause, String>>,
    /// Before each write, microseconds.
    delay: AtomicU64,
}

impl WriteGate {
    /// `Some(sentence)` while writes are refused.
    pub(crate) fn read_only(&self) -> Option<String> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        closed.values().next().cloned()
    }

    /// Sets or clears one cause.
    pub(crate) fn set(&self, cause: Cause, sentence: Option<String>) {
        let mut closed = self.closed.write().unwrap_or_else(PoisonError::into_inner);
        let changed = match sentence {
            Some(sentence) => closed.insert(cause, sentence).is_none(),
            None => closed.remove(&cause).is_some(),
        };
        if changed {
            let now = closed.get(&cause);
            tracing::warn!(
                ?cause,
                reason = now.map_or("gone", String::as_str),
                "the write gate changed"
            );
        }
    }

    /// How long a write waits before it begins.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_micros(self.delay.load(Ordering::Relaxed))
    }

    /// So much of the log waits for the archive: slows writers down, or refuses them. `wal_volume`: the size of its volume, if it is known.
    pub(crate) fn check_backlog(
        &self,
        backlog: u64,
        backlog_max: u64,
        wal_volume: Option<u64>,
        slow_down_max: Duration,
    ) {
        let limit = backlog_limit(backlog_max, wal_volume);
        let which = if limit < backlog_max {
            "half of the WAL volume"
        } else {
            "archive.backlog_max"
        };
        let sentence = (backlog > limit).then(|| {
            format!(
                "{} MiB of the log wait for the archive, more than {which} ({} MiB): see condition Archiving; writes go on by themselves",
                backlog >> 20,
                limit >> 20
            )
        });
        self.set(Cause::ArchiveBacklog, sentence);
        let delay = slow_down(backlog, limit, slow_down_max).as_micros() as u64;
        let before = self.delay.swap(delay, Ordering::Relaxed);
        if (before == 0) != (delay == 0) {
            tracing::warn!(
                backlog_mib = backlog >> 20,
                slow = delay > 0,
                "the archive slows writes down, or does so no longer"
            );
        }
    }

    /// Looks at the free space of a volume and sets or clears its cause.
    pub(crate) fn check_volume(&self, cause: Cause, path: &Path, free_min: u64) -> io::Result<Space> {
        let space = space(path)?;
        let free = space.free;
        let is_closed = self
            .closed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&cause);
        self.set(
            cause,
            verdict(is_closed, free, free_min).then(|| sentence(path, free, free_min)),
        );
        Ok(space)
    }
}

/// What a volume has, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// What an unprivileged process may still write.
    pub(crate) free: u64,
    /// Its size.
    pub(crate) total: u64,
}

/// The space of the volume that `path` is on.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let volume = statvfs(path)?;
    Ok(Space {
        free: volume.f_bavail.saturating_mul(volume.f_frsize),
        total: volume.f_blocks.saturating_mul(volume.f_frsize),
    })
}

/// How much of the log may wait for the archive: what is configured, but no more than a share of the volume that it waits on.
fn backlog_limit(backlog_max: u64, wal_volume: Option<u64>) -> u64 {
    wal_volume.map_or(backlog_max, |size| backlog_max.min(size / BACKLOG_SHARE))
}

/// How long each write waits while so much of the log waits for the archive: nothing up to half of the limit, then more and more, so that
/// writers meet the archive's pace before the limit stops them.
fn slow_down(backlog: u64, limit: u64, most: Duration) -> Duration {
    let half = limit / 2;
    let over = backlog.saturating_sub(half) as f64 / (limit - half).max(1) as f64;
    most.mul_f64(over.min(1.0).powi(2))
}

fn verdict(is_closed: bool, free: u64, free_min: u64) -> bool {
    let limit = if is_closed {
        free_min / REOPEN_FACTOR.1 * REOPEN_FACTOR.0
    } else {
        free_min
    };
    free < limit
}

fn sentence(path: &Path, free: u64, free_min: u64) -> String {
    format!(
        "the volume of {} has {} MiB free, less than storage.free_space_min ({} MiB): grow the volume or delete data; writes go on by themselves then",
        path.display(),
        free >> 20,
        free_min >> 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_closes_below_the_limit_and_opens_a_quarter_above_it() {
        for (is_closed, free, closes) in [
            (false, 100, false),
            (false, 99, true),
            (true, 110, true),
            (true, 125, false),
        ] {
            assert_eq!(verdict(is_closed, free, 100), closes, "{is_closed} {free}");
        }
    }

    #[test]
    fn an_archive_that_falls_behind_slows_writes_more_and_more_before_it_refuses_them() {
        let most = Duration::from_millis(200);
        let cases = [(0, 0), (50, 0), (60, 8), (75, 50), (100, 200), (1000, 200)];
        for (backlog, millis) in cases {
            assert_eq!(
                slow_down(backlog, 100, most).as_millis(),
                millis,
                "{backlog} of 100"
            );
        }
        assert_eq!(slow_down(0, 0, most), Duration::ZERO);
        let gate = WriteGate::default();
        gate.check_backlog(75 << 20, 100 << 20, None, most);
        assert_eq!((gate.delay().as_millis(), gate.read_only()), (50, None));
        gate.check_backlog(101 << 20, 100 << 20, None, most);
        assert!(
            gate.read_only()
                .unwrap()
                .contains("archive.backlog_max (100 MiB)")
        );
        gate.check_backlog(0, 100 << 20, None, most);
        assert_eq!((gate.delay(), gate.read_only()), (Duration::ZERO, None));
    }

    #[test]
    fn on_a_small_wal_volume_an_archive_that_falls_behind_slows_writes_before_the_volume_is_full() {
        let gib = 1 << 30;
        for (volume, limit) in [
            (Some(gib), gib / 2),
            (Some(8 * gib), 4 * gib),
            (Some(100 * gib), 4 * gib),
            (None, 4 * gib),
        ] {
            assert_eq!(backlog_limit(4 * gib, volume), limit, "{volume:?}");
        }
        let (gate, most) = (WriteGate::default(), Duration::from_millis(200));
        gate.check_backlog(gib / 8 * 3, 4 * gib, Some(gib), most);
        assert_eq!((gate.delay().as_millis(), gate.read_only()), (50, None));
        gate.check_backlog(gib / 8 * 5, 4 * gib, Some(gib), most);
        let refused = gate.read_only().unwrap();
        assert!(refused.contains("half of the WAL volume (512 MiB)"), "{refused}");
    }

    #[test]
    fn a_full_volume_is_named_and_each_cause_clears_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let gate = WriteGate::default();
        gate.check_volume(Cause::DataVolume, dir.path(), u64::MAX / 8)
            .unwrap();
        gate.set(Cause::ArchiveBacklog, Some("behind".into()));
        assert!(
            gate.read_only()
                .unwrap()
                .contains(&dir.path().display().to_string())
        );
        gate.check_volume(Cause::DataVolume, dir.path(), 0).unwrap();
        assert_eq!(gate.read_only().as_deref(), Some("behind"));
        gate.set(Cause::ArchiveBacklog, None);
        assert_eq!(gate.read_only(), None);
    }
}
