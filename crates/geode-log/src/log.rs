//! The directory of one group's log, as its one owner writes it. Every call returns when its effect is durable.

use crate::disk::{Disk, DiskFile};
use crate::reader::LogReader;
use crate::segment::{Footer, HEADER_BYTES, Header, Position, Record, RecordKind, SegmentName};
use crate::shared::{DEFAULT_CACHE_BYTES, LogState, OpenView, Sealed, Shared};
use crate::small_file::{self, SyncedMark};
use crate::{LogError, Vote};
use geode_mutation::{Mutation, is_on};
use geode_types::{ClusterId, GroupId, LogIndex, Term};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::Xxh3;

/// A segment ends after the record whose index + 1 is a multiple of this. Part of the history of a cluster: all members must agree.
pub const DEFAULT_SEGMENT_ENTRIES: u64 = 4096;
/// How much is written before a sync at most, unless one record is larger.
pub const WRITE_BYTES_MAX: usize = 1024 * 1024;
/// The file of the synced mark.
pub(crate) const MARK_FILE: &str = "synced";

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The cluster it belongs to, when known; a log without one can be opened and voted in, but not appended to.
    pub cluster: Option<ClusterId>,
    /// The Raft group.
    pub group: GroupId,
    /// See [`DEFAULT_SEGMENT_ENTRIES`].
    pub segment_entries: u64,
    /// See [`DEFAULT_CACHE_BYTES`].
    pub cache_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            cluster: None,
            group: GroupId(0),
            segment_entries: DEFAULT_SEGMENT_ENTRIES,
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }
}

/// The open segment, as its writer sees it.
pub(crate) struct OpenFile {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) header: Header,
    /// Length of what is durable.
    pub(crate) bytes: u64,
    pub(crate) count: u64,
    pub(crate) last: Option<Position>,
    /// Over everything that is durable.
    pub(crate) hash: Xxh3,
    /// The last record ends the segment; the footer is still to be written.
    pub(crate) complete: bool,
}

/// A log that is open for writing.
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cluster: Arc<OnceLock<ClusterId>>,
    pub(crate) open: Option<OpenFile>,
    pub(crate) mark: Box<dyn DiskFile>,
    /// The last record in the files, or the purge mark.
    pub(crate) stored: Option<Position>,
}

impl Log {
    /// Opens the log in `directory`, recovering from however it was left (see `recovery`).
    pub fn open(disk: Arc<dyn Disk>, directory: PathBuf, options: LogOptions) -> Result<Self, LogError> {
        crate::recovery::open(disk, directory, options)
    }

    /// A reader that sees everything this log is told.
    pub fn reader(&self) -> LogReader {
        LogReader(self.shared.clone())
    }

    /// How the log stands.
    pub fn state(&self) -> LogState {
        self.shared.state()
    }

    /// Says which cluster the log belongs to, when it was opened without one.
    pub fn set_cluster(&self, cluster: ClusterId) -> Result<(), LogError> {
        let known = *self.cluster.get_or_init(|| cluster);
        if known == cluster {
            return Ok(());
        }
        Err(LogError::Foreign {
            path: self.shared.directory.clone(),
            found: known.to_string(),
            expected: cluster.to_string(),
        })
    }

    /// Appends records.
    pub fn append(&mut self, records: Vec<Record>) -> Result<(), LogError> {
        let epoch = {
            let mut state = self.shared.write();
            state.admit(&records)?;
            state.epoch
        };
        let written = self.write(&mut records.into(), epoch);
        self.note_synced()?;
        written
    }

    /// Writes admitted records; takes from the queue what is durable, so that after [`LogError::Full`] the rest can be tried again.
    pub(crate) fn write(&mut self, queue: &mut VecDeque<Record>, epoch: u64) -> Result<(), LogError> {
        loop {
            if self.open.as_ref().is_some_and(|open| open.complete) {
                self.seal()?;
            }
            if queue.is_empty() {
                return Ok(());
            }
            let first = queue.front().map_or(LogIndex(0), |record| record.position.index);
            self.ensure_open(first)?;
            self.write_chunk(queue, epoch)?;
        }
    }

    /// Writes and syncs the records up to the end of the segment or of [`WRITE_BYTES_MAX`].
    fn write_chunk(&mut self, queue: &mut VecDeque<Record>, epoch: u64) -> Result<(), LogError> {
        let Some(open) = self.open.as_mut() else {
            return Ok(());
        };
        let path = self
            .shared
            .directory
            .join(SegmentName::Open(open.header.first).to_string());
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        let (mut last, mut complete) = (None, false);
        for record in queue.iter() {
            if !bytes.is_empty() && bytes.len() + record.encoded_len() > WRITE_BYTES_MAX {
                break;
            }
            offsets.push(open.bytes + bytes.len() as u64);
            record.encode(&mut bytes);
            last = Some(record.position);
            complete = ends_segment(record, self.shared.options.segment_entries);
            if complete {
                break;
            }
        }
        let Some(last) = last else { return Ok(()) };
        open.file
            .write_at(&bytes, open.bytes)
            .map_err(|error| LogError::io("append to", &path, error))?;
        if !is_on(Mutation::SkipFsync) {
            open.file.sync().map_err(|error| LogError::sync(&path, error))?;
        }
        open.hash.update(&bytes);
        open.bytes += bytes.len() as u64;
        open.count += offsets.len() as u64;
        open.last = Some(last);
        open.complete = complete;
        queue.drain(..offsets.len());
        self.stored = Some(last);
        let mut state = self.shared.write();
        if let Some(view) = state.open.as_mut() {
            view.bytes = open.bytes;
            view.offsets.append(&mut offsets);
        }
        state.wrote(last, epoch, self.shared.options.cache_bytes);
        Ok(())
    }

    /// Notes how far the open segment is durable. Nobody's answer waits for it.
    pub(crate) fn note_synced(&self) -> Result<(), LogError> {
        match &self.open {
            Some(open) => self.note(SyncedMark {
                first: open.header.first,
                offset: open.bytes,
            }),
            None => Ok(()),
        }
    }

    /// Notes how far the open segment is durable. The note itself is not synced: a lower bound is enough.
    pub(crate) fn note(&self, mark: SyncedMark) -> Result<(), LogError> {
        let path = self.shared.directory.join(MARK_FILE);
        small_file::write_mark(&*self.mark, mark).map_err(|error| LogError::io("write", path, error))
    }

    fn ensure_open(&mut self, first: LogIndex) -> Result<(), LogError> {
        if self.open.is_some() {
            return Ok(());
        }
        let header = Header {
            cluster: *self.cluster.get().ok_or(LogError::NoCluster)?,
            group: self.shared.options.group,
            first,
            previous_term: self.stored.map_or(Term(0), |stored| stored.term),
        };
        let path = self.shared.directory.join(SegmentName::Open(first).to_string());
        let file = self
            .shared
            .disk
            .create(&path)
            .map_err(|error| LogError::io("create", &path, error))?;
        let bytes = header.encode();
        file.write_at(&bytes, 0)
            .map_err(|error| LogError::io("write", &path, error))?;
        file.sync().map_err(|error| LogError::sync(&path, error))?;
        self.sync_directory()?;
        let mut hash = Xxh3::new();
        hash.update(&bytes);
        self.open = Some(OpenFile {
            file,
            header,
            bytes: HEADER_BYTES as u64,
            count: 0,
            last: None,
            hash,
            complete: false,
        });
        self.shared.write().open = Some(OpenView {
            first,
            offsets: Vec::new(),
            bytes: HEADER_BYTES as u64,
        });
        self.note(SyncedMark {
            first,
            offset: HEADER_BYTES as u64,
        })
    }

    /// Writes the footer and gives the file its final name.
    pub(crate) fn seal(&mut self) -> Result<(), LogError> {
        let Some(open) = self.open.as_ref() else {
            return Ok(());
        };
        let Some(last) = open.last else { return Ok(()) };
        let name = SegmentName::Open(open.header.first);
        let path = self.shared.directory.join(name.to_string());
        let footer = Footer {
            count: open.count,
            last,
            content_hash: open.hash.digest(),
        };
        let bytes = footer.encode();
        open.file
            .write_at(&bytes, open.bytes)
            .map_err(|error| LogError::io("seal", &path, error))?;
        open.file.sync().map_err(|error| LogError::sync(&path, error))?;
        let sealed = Arc::new(Sealed {
            first: open.header.first,
            last,
            bytes: open.bytes + bytes.len() as u64,
            offsets: OnceLock::new(),
        });
        let to = self.shared.directory.join(sealed.name().to_string());
        {
            // Renamed and told under one lock: whoever looks the file up finds it under the name that it has.
            let mut state = self.shared.write();
            self.shared
                .disk
                .rename(&path, &to)
                .map_err(|error| LogError::io("rename", &path, error))?;
            if let Some(view) = state.open.take() {
                let _ = sealed.offsets.set(view.offsets);
            }
            state.sealed.push_back(sealed);
            state.generation += 1;
        }
        self.open = None;
        self.sync_directory()
    }

    pub(crate) fn sync_directory(&self) -> Result<(), LogError> {
        let directory = &self.shared.directory;
        self.shared
            .disk
            .sync_dir(directory)
            .map_err(|error| LogError::sync(directory, error))
    }

    /// Saves the vote.
    pub fn save_vote(&mut self, vote: Vote) -> Result<(), LogError> {
        small_file::save_vote(&*self.shared.disk, &self.shared.directory, vote)?;
        self.shared.write().vote = Some(vote);
        Ok(())
    }
}

/// Whether a segment ends after this record.
pub(crate) fn ends_segment(record: &Record, segment_entries: u64) -> bool {
    record.kind == RecordKind::Cut || (record.position.index.0 + 1).is_multiple_of(segment_entries)
}
