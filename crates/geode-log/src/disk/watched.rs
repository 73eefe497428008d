//! Changes of a disk are counted, so that somebody notices when one never ends: a disk that stalls returns no error.

use super::{Disk, DiskFile, Space};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many changes have begun and ended: odd while one is under way, as there is one writer.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<AtomicU64>);

impl Activity {
    /// The count.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Makes a change.
    pub fn during<T>(&self, change: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::AcqRel);
        let done = change();
        self.0.fetch_add(1, Ordering::AcqRel);
        done
    }

    /// The change that is under way gets on.
    pub fn step(&self) {
        self.0.fetch_add(2, Ordering::AcqRel);
    }
}

/// Tells for how many looks, taken at equal intervals, the same change has been under way. Looks instead of time: a process that stood
/// still itself has not seen its disk stall.
#[derive(Debug, Default)]
pub struct StallMeter {
    seen: u64,
    looks: u32,
}

impl StallMeter {
    /// Takes a look.
    pub fn look(&mut self, count: u64) -> u32 {
        let stalls = count % 2 == 1 && count == self.seen;
        self.looks = if stalls { self.looks.saturating_add(1) } else { 0 };
        self.seen = count;
        self.looks
    }
}

/// Another disk, whose changes are counted. Reading is not.
pub struct WatchedDisk {
    disk: Arc<dyn Disk>,
    activity: Activity,
}

impl WatchedDisk {
    /// Watches a disk that one thread writes to.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            activity: Activity::default(),
        }
    }

    /// What is seen of it.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(WatchedFile {
            file,
            activity: self.activity.clone(),
        })
    }
}

impl Disk for WatchedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.activity.during(|| self.disk.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.activity.during(|| self.disk.create(path))?;
        Ok(self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.activity.during(|| self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.activity.during(|| self.disk.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.activity.during(|| self.disk.sync_dir(path))
    }

    fn space(&self, path: &Path) -> io::Result<Option<Space>> {
        self.disk.space(path)
    }
}

struct WatchedFile {
    file: Box<dyn DiskFile>,
    activity: Activity,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.activity.during(|| self.file.write_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.activity.during(|| self.file.set_len(length))
    }

    fn sync(&self) -> io::Result<()> {
        self.activity.during(|| self.file.sync())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn only_a_change_that_does_not_end_is_a_stall() {
        let mut meter = StallMeter::default();
        // At rest; under way; still; still; another one; ended.
        let seen = [0, 1, 1, 1, 3, 4].map(|count| meter.look(count));
        assert_eq!(seen, [0, 0, 1, 2, 0, 0]);
    }

    #[test]
    fn changes_are_counted_from_beginning_to_end_and_reads_are_not() {
        let disk = WatchedDisk::new(Arc::new(MemoryDisk::new()));
        let activity = disk.activity();
        let file = disk.create(Path::new("/a")).unwrap();
        file.write_at(b"x", 0).unwrap();
        file.sync().unwrap();
        let count = activity.count();
        assert_eq!(count, 6);
        file.read_at(&mut [0], 0).unwrap();
        disk.open(Path::new("/a")).unwrap();
        assert_eq!(activity.count(), count);
        assert_eq!(activity.during(|| activity.count()), count + 1);
    }
}
