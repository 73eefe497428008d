//! Whether this member takes writes: not while a volume is nearly full, nor while too much waits for the archive. Reads go on, the
//! process lives, and writes go on by themselves when the cause is gone.

use rustix::fs::statvfs;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// A closed gate opens only when a quarter more than the limit is free again, so that it does not flutter.
const REOPEN_FACTOR: (u64, u64) = (5, 4);

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

    /// Looks at the free space of a volume and sets or clears its cause.
    pub(crate) fn check_volume(&self, cause: Cause, path: &Path, free_min: u64) -> io::Result<()> {
        let free = free_bytes(path)?;
        let is_closed = self
            .closed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&cause);
        self.set(
            cause,
            verdict(is_closed, free, free_min).then(|| sentence(path, free, free_min)),
        );
        Ok(())
    }
}

/// Bytes that an unprivileged process may still write below `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let volume = statvfs(path)?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
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
