//! A file system in memory that can lose power: every file knows which of its bytes, and every directory which of its names, are
//! durable. For simulations and crash tests.

use super::{Disk, DiskFile, Space};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a power cut may keep or lose independently, bytes.
const SECTOR: usize = 512;

/// What the disk is made to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// After this many more operations that change something, every operation fails: the process is about to die.
    DieAfter(u64),
    /// The next sync fails.
    FailSync,
    /// At most this many bytes in all files.
    Limit(u64),
    /// None of the above.
    None,
}

/// Files in memory. A clone is the same disk, seen by the same process.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    process: u64,
}

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    directories: BTreeSet<PathBuf>,
    die_after: Option<u64>,
    fail_sync: bool,
    limit: Option<u64>,
    /// The process that may change something; those before it are dead.
    process: u64,
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as a new process sees it: whoever used it before cannot change anything any more. Its faults end.
    pub fn new_process(&self) -> Self {
        let mut state = self.lock();
        state.process += 1;
        state.die_after = None;
        state.fail_sync = false;
        state.limit = None;
        Self {
            state: self.state.clone(),
            process: state.process,
        }
    }

    /// Makes it misbehave.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.lock();
        match fault {
            Fault::DieAfter(operations) => state.die_after = Some(operations),
            Fault::FailSync => state.fail_sync = true,
            Fault::Limit(bytes) => state.limit = Some(bytes),
            Fault::None => {
                state.die_after = None;
                state.fail_sync = false;
                state.limit = None;
            }
        }
    }

    /// Cuts the power: what was not synced is lost, or kept in part, as `choose` decides (it gets a bound, and returns a number below
    /// it). Names are lost or kept, sectors of file content are lost or kept, each on its own. Faults end.
    pub fn lose_power(&self, choose: &mut dyn FnMut(u64) -> u64) {
        let mut state = self.lock();
        let names = state.names_after_power_cut(choose);
        for inode in state.inodes.values_mut() {
            inode.lose_power(choose);
        }
        let kept: BTreeSet<u64> = names.values().copied().collect();
        state.inodes.retain(|inode, _| kept.contains(inode));
        state.live.clone_from(&names);
        state.durable = names;
        state.die_after = None;
        state.fail_sync = false;
        state.limit = None;
    }

    /// What every operation that changes something begins with.
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.process != self.process {
            return Err(io::Error::other("the simulated process is dead"));
        }
        state.change()?;
        Ok(state)
    }

    /// Flips a bit of a file, as a failing medium does.
    pub fn flip_bit(&self, path: &Path, offset: usize) {
        let mut state = self.lock();
        let Some(inode) = state.live.get(path).copied() else {
            return;
        };
        if let Some(inode) = state.inodes.get_mut(&inode) {
            for content in [&mut inode.live, &mut inode.durable] {
                if let Some(byte) = content.get_mut(offset) {
                    *byte ^= 1;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation that changes something.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.die_after {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the simulated process is dying")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn check_room(&self, more: u64) -> io::Result<()> {
        let used: u64 = self.inodes.values().map(|inode| inode.live.len() as u64).sum();
        match self.limit {
            Some(limit) if used + more > limit => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    /// Renames are atomic on a journaling file system, so names are lost or kept together.
    fn names_after_power_cut(&self, choose: &mut dyn FnMut(u64) -> u64) -> BTreeMap<PathBuf, u64> {
        if choose(2) == 0 {
            self.live.clone()
        } else {
            self.durable.clone()
        }
    }
}

impl Inode {
    fn lose_power(&mut self, choose: &mut dyn FnMut(u64) -> u64) {
        if self.live != self.durable {
            let length = match choose(3) {
                0 => self.durable.len(),
                1 => self.live.len(),
                _ => {
                    let (low, high) = (
                        self.durable.len().min(self.live.len()),
                        self.durable.len().max(self.live.len()),
                    );
                    low + choose((high - low) as u64 + 1) as usize
                }
            };
            let mut content = vec![0; length];
            for start in (0..length).step_by(SECTOR) {
                let end = (start + SECTOR).min(length);
                let source = if choose(2) == 0 { &self.live } else { &self.durable };
                let available = source.len().min(end);
                if available > start {
                    content[start..available].copy_from_slice(&source[start..available]);
                }
            }
            self.durable = content;
        }
        self.live.clone_from(&self.durable);
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.directories.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let names = state.live.keys().filter(|file| file.parent() == Some(path));
        Ok(names
            .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.change()?;
        let inode = if let Some(inode) = state.live.get(path) {
            *inode
        } else {
            state.next_inode += 1;
            let inode = state.next_inode;
            state.live.insert(path.to_path_buf(), inode);
            inode
        };
        state.inodes.entry(inode).or_default().live.clear();
        drop(state);
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self
            .lock()
            .live
            .get(path)
            .copied()
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let inode = state.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.live.insert(to.to_path_buf(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.live.remove(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let inside = |file: &PathBuf| file.parent() == Some(path);
        let live: Vec<_> = state
            .live
            .iter()
            .filter(|(file, _)| inside(file))
            .map(|(f, i)| (f.clone(), *i))
            .collect();
        state.durable.retain(|file, _| !inside(file));
        state.durable.extend(live);
        let named: BTreeSet<u64> = state
            .live
            .values()
            .chain(state.durable.values())
            .copied()
            .collect();
        state.inodes.retain(|inode, _| named.contains(inode));
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Option<Space>> {
        let state = self.lock();
        let used: u64 = state.inodes.values().map(|inode| inode.live.len() as u64).sum();
        Ok(state.limit.map(|total| Space {
            free: total.saturating_sub(used),
            total,
        }))
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    inode: u64,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        let content = state.inodes.get(&self.inode).map_or(&[][..], |inode| &inode.live);
        let from = (offset as usize).min(content.len());
        let length = bytes.len().min(content.len() - from);
        bytes[..length].copy_from_slice(&content[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.change()?;
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let length = state.inodes.get(&self.inode).map_or(0, |inode| inode.live.len());
        state.check_room(to.saturating_sub(length) as u64)?;
        let content = &mut state.inodes.entry(self.inode).or_default().live;
        content.resize(content.len().max(to), 0);
        content[from..to].copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self
            .disk
            .lock()
            .inodes
            .get(&self.inode)
            .map_or(0, |inode| inode.live.len() as u64))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.change()?;
        state
            .inodes
            .entry(self.inode)
            .or_default()
            .live
            .resize(length as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.change()?;
        if std::mem::take(&mut state.fail_sync) {
            return Err(io::Error::other("the simulated device failed"));
        }
        let inode = state.inodes.entry(self.inode).or_default();
        inode.durable.clone_from(&inode.live);
        Ok(())
    }
}
