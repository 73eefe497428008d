//! The file system as the log and the snapshots use it. The seam between what is decided and what a device does with it.

mod memory;
mod real;
mod watched;

pub use memory::{Fault, MemoryDisk};
pub use real::RealDisk;
pub use watched::{Activity, StallMeter, WatchedDisk};

use std::io;
use std::path::Path;

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Makes a directory and those above it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Makes an empty file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Moves a file over whatever has the other name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a directory survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Bytes that a process may still write on the volume of a path, and its size; `None` when the volume has no limit.
    fn space(&self, path: &Path) -> io::Result<Option<Space>>;
}

/// Room on a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free for unprivileged processes.
    pub free: u64,
    /// Size of the volume.
    pub total: u64,
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Fills `bytes` from `offset`; how many bytes there were (fewer at the end of the file).
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Its length.
    fn len(&self) -> io::Result<u64>;

    /// Whether it holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends it.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes its content and length survive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// Reads a whole file; `None` when there is none.
pub fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; file.len()? as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// A file as a stream of bytes from its start.
pub struct FileSource {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl FileSource {
    /// Reads from `offset` on.
    pub fn new(file: Box<dyn DiskFile>, offset: u64) -> Self {
        Self { file, offset }
    }
}

impl io::Read for FileSource {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// A file as a sink of bytes from its start.
pub struct FileSink {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl FileSink {
    /// Writes from the start on.
    pub fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, offset: 0 }
    }

    /// Makes what was written durable; its length.
    pub fn finish(self) -> io::Result<u64> {
        self.file.sync()?;
        Ok(self.offset)
    }
}

impl io::Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
