//! Opening a log however it was left.
//!
//! Sealed segments are proven to follow each other by headers and footers; their records are verified when they are read. The open
//! segment is scanned. A record that is not valid there is either the torn end of the last write, which was never acknowledged and is
//! cut, or damage, which is an error. It is damage when it lies before the synced mark, or when a valid record follows further behind
//! it than one write reaches.

use crate::LogError;
use crate::disk::{Disk, DiskFile};
use crate::log::{Log, LogOptions, MARK_FILE, OpenFile, WRITE_BYTES_MAX, ends_segment};
use crate::reader::Window;
use crate::segment::{FOOTER_BYTES, Footer, HEADER_BYTES, Header, Position, SegmentName};
use crate::shared::{OpenView, Sealed, Shared, State};
use crate::small_file;
use geode_types::{LogIndex, Term};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::Xxh3;

/// An open segment, scanned.
pub(crate) struct Scanned {
    pub(crate) file: OpenFile,
    pub(crate) view: OpenView,
}

pub(crate) fn open(disk: Arc<dyn Disk>, directory: PathBuf, options: LogOptions) -> Result<Log, LogError> {
    let recovery = Recovery {
        disk: &*disk,
        directory: &directory,
        options: &options,
    };
    disk.create_dir_all(&directory)
        .map_err(|error| LogError::io("create", &directory, error))?;
    let mut names = recovery.names()?;
    let purged = small_file::load_purged(&*disk, &directory)?;
    let vote = small_file::load_vote(&*disk, &directory)?;
    recovery.drop_purged(&mut names, purged)?;
    let begin = purged.map_or(0, |purged| purged.index.0 + 1);
    let mut state = State {
        purged,
        begin,
        vote,
        ..State::default()
    };
    let mut cluster = options.cluster;
    let mut open = None;
    let mut stored = purged;
    for (at, name) in names.iter().enumerate() {
        let is_last = at + 1 == names.len();
        let found = match name {
            SegmentName::Sealed(..) => recovery.sealed(*name)?,
            SegmentName::Open(first) if is_last => recovery.open_segment(*first)?,
            SegmentName::Open(_) => {
                return Err(recovery.corrupt(*name, 0, "an open segment is not the newest one"));
            }
        };
        let Some(found) = found else { continue };
        recovery.check_follows(*name, found.header(), stored, purged, cluster)?;
        cluster = Some(found.header().cluster);
        if stored.is_none() {
            state.begin = found.header().first.0;
        }
        stored = found.last().or(stored);
        match found {
            Found::Sealed(_, sealed) => state.sealed.push_back(Arc::new(sealed)),
            Found::Open(scanned) => {
                state.open = Some(scanned.view);
                open = Some(scanned.file);
            }
        }
    }
    check_vote(&directory, stored, &state)?;
    (state.last, state.written) = (stored, stored);
    let mark_path = directory.join(MARK_FILE);
    let mark = disk.open(&mark_path).or_else(|_| disk.create(&mark_path));
    let mark = mark.map_err(|error| LogError::io("create", &mark_path, error))?;
    let known = Arc::new(OnceLock::new());
    if let Some(cluster) = cluster {
        let _ = known.set(cluster);
    }
    let shared = Arc::new(Shared::new(
        disk.clone(),
        directory.clone(),
        options.clone(),
        state,
    ));
    let mut log = Log {
        shared,
        cluster: known,
        open,
        mark,
        stored,
    };
    if log.open.as_ref().is_some_and(|open| open.complete) {
        log.seal()?;
    }
    log.sync_directory()?;
    Ok(log)
}

/// A member that voted keeps its vote; a log with a leader's entries and no vote has lost it.
fn check_vote(directory: &Path, stored: Option<Position>, state: &State) -> Result<(), LogError> {
    if state.vote.is_none() && stored.is_some_and(|stored| stored.term > Term(0)) {
        return Err(LogError::Corrupt {
            path: directory.join("vote"),
            offset: 0,
            reason: "the vote is missing although the log has entries".to_owned(),
        });
    }
    Ok(())
}

enum Found {
    Sealed(Header, Sealed),
    Open(Box<Scanned>),
}

impl Found {
    fn header(&self) -> &Header {
        match self {
            Self::Sealed(header, _) => header,
            Self::Open(scanned) => &scanned.file.header,
        }
    }

    fn last(&self) -> Option<Position> {
        match self {
            Self::Sealed(_, sealed) => Some(sealed.last),
            Self::Open(scanned) => scanned.file.last,
        }
    }
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    directory: &'a Path,
    options: &'a LogOptions,
}

impl Recovery<'_> {
    fn names(&self) -> Result<Vec<SegmentName>, LogError> {
        let listed = self
            .disk
            .list(self.directory)
            .map_err(|error| LogError::io("list", self.directory, error))?;
        let mut names: Vec<_> = listed
            .iter()
            .filter_map(|name| SegmentName::parse(name))
            .collect();
        names.sort_by_key(|name| (name.first(), matches!(name, SegmentName::Open(_))));
        Ok(names)
    }

    /// Finishes a purge that was interrupted. When the purge passed the end of the log, nothing of it stays.
    fn drop_purged(&self, names: &mut Vec<SegmentName>, purged: Option<Position>) -> Result<(), LogError> {
        let Some(purged) = purged else { return Ok(()) };
        let mut kept = Vec::new();
        for name in names.drain(..) {
            let gone = match name {
                SegmentName::Sealed(_, last) => last <= purged.index,
                SegmentName::Open(first) => match self.open_segment(first)? {
                    Some(found) => found
                        .last()
                        .map_or(first <= purged.index, |last| last.index < purged.index),
                    None => continue,
                },
            };
            if gone {
                let path = self.path(name);
                self.disk
                    .remove(&path)
                    .map_err(|error| LogError::io("remove", path, error))?;
            } else {
                kept.push(name);
            }
        }
        *names = kept;
        Ok(())
    }

    fn path(&self, name: SegmentName) -> PathBuf {
        self.directory.join(name.to_string())
    }

    fn corrupt(&self, name: SegmentName, offset: u64, reason: &str) -> LogError {
        LogError::Corrupt {
            path: self.path(name),
            offset,
            reason: reason.to_owned(),
        }
    }

    /// The header and footer of a sealed segment.
    fn sealed(&self, name: SegmentName) -> Result<Option<Found>, LogError> {
        let path = self.path(name);
        let read = |error: io::Error| LogError::io("read", &path, error);
        let file = self.disk.open(&path).map_err(read)?;
        let length = file.len().map_err(read)?;
        let header = read_header(&*file)
            .map_err(read)?
            .ok_or_else(|| self.corrupt(name, 0, "it has no header"))?;
        let header = Header::decode(&header).map_err(|error| LogError::segment(&path, error))?;
        let footer = read_footer(&*file, length).map_err(read)?;
        let footer = footer.ok_or_else(|| self.corrupt(name, length, "its footer is missing or damaged"))?;
        if SegmentName::Sealed(header.first, footer.last.index) != name {
            return Err(self.corrupt(name, 0, "its name does not match its content"));
        }
        let sealed = Sealed {
            first: header.first,
            last: footer.last,
            bytes: length,
            offsets: OnceLock::new(),
        };
        Ok(Some(Found::Sealed(header, sealed)))
    }

    /// The open segment, with a torn end cut off; `None` when not even its header was written (the file is removed).
    fn open_segment(&self, first: LogIndex) -> Result<Option<Found>, LogError> {
        let name = SegmentName::Open(first);
        let path = self.path(name);
        let read = |error: io::Error| LogError::io("read", &path, error);
        let mark = small_file::load_mark(self.disk, &self.directory.join(MARK_FILE))?;
        let synced = mark
            .filter(|mark| mark.first == first)
            .map_or(0, |mark| mark.offset);
        let file = self.disk.open(&path).map_err(read)?;
        let length = file.len().map_err(read)?;
        if length < synced {
            return Err(self.corrupt(name, length, "bytes that were durable are gone from its end"));
        }
        let sound = read_header(&*file)
            .map_err(read)?
            .is_some_and(|bytes| Header::decode(&bytes).is_ok());
        if !sound && synced == 0 && length <= (HEADER_BYTES + WRITE_BYTES_MAX) as u64 {
            drop(file);
            self.disk
                .remove(&path)
                .map_err(|error| LogError::io("remove", &path, error))?;
            return Ok(None);
        }
        let content = match read_footer(&*file, length).map_err(read)? {
            Some(_) => length - FOOTER_BYTES as u64,
            None => length,
        };
        let mut scanned = scan(self.disk, &path, content)?;
        if scanned.file.header.first != first {
            return Err(self.corrupt(name, 0, "its name does not match its content"));
        }
        let end = scanned.file.bytes;
        if end < length {
            self.check_torn(name, &*file, end, length, synced)?;
            file.set_len(end)
                .map_err(|error| LogError::io("cut", &path, error))?;
            file.sync().map_err(|error| LogError::sync(&path, error))?;
        }
        self.mark_complete(&mut scanned);
        Ok(Some(Found::Open(Box::new(scanned))))
    }

    fn mark_complete(&self, scanned: &mut Scanned) {
        let entries = self.options.segment_entries;
        scanned.file.complete |= scanned
            .file
            .last
            .is_some_and(|last| (last.index.0 + 1).is_multiple_of(entries));
    }

    /// Whether what stands after the last valid record may be cut off.
    fn check_torn(
        &self,
        name: SegmentName,
        file: &dyn DiskFile,
        end: u64,
        length: u64,
        synced: u64,
    ) -> Result<(), LogError> {
        if end < synced {
            return Err(self.corrupt(name, end, "a record that was durable does not match its checksum"));
        }
        let reach = end + WRITE_BYTES_MAX as u64;
        let mut window = Window::new(file);
        for offset in reach..length.saturating_sub(4) {
            let found = window
                .record(offset)
                .map_err(|error| LogError::io("read", self.path(name), error))?;
            if found.is_some() {
                return Err(self.corrupt(
                    name,
                    end,
                    "a record does not match its checksum, and valid ones follow",
                ));
            }
        }
        Ok(())
    }

    /// Whether a segment continues what is stored before it, and belongs to the same log.
    fn check_follows(
        &self,
        name: SegmentName,
        header: &Header,
        stored: Option<Position>,
        purged: Option<Position>,
        cluster: Option<geode_types::ClusterId>,
    ) -> Result<(), LogError> {
        if let Some(cluster) = cluster.filter(|cluster| *cluster != header.cluster) {
            return Err(LogError::Foreign {
                path: self.path(name),
                found: header.cluster.to_string(),
                expected: cluster.to_string(),
            });
        }
        if header.group != self.options.group {
            return Err(self.corrupt(name, 10, "it belongs to another group"));
        }
        // The oldest segment may begin before the purge mark; every other one begins right after the one before.
        let inside_purged = stored == purged && purged.is_some_and(|purged| header.first <= purged.index);
        let due = stored.map_or(0, |stored| stored.index.0 + 1);
        // A log that was begun in the middle has nothing before it; one that lost its beginning has a term there.
        let begun_here = stored.is_none() && header.previous_term == Term(0);
        if !inside_purged && !begun_here && header.first.0 != due {
            return Err(self.corrupt(
                name,
                32,
                &format!("it begins with record {}, but {due} is due", header.first),
            ));
        }
        if !inside_purged && stored.is_some_and(|stored| stored.term != header.previous_term) {
            return Err(self.corrupt(name, 40, "it does not continue the segment before it"));
        }
        Ok(())
    }
}

fn read_header(file: &dyn DiskFile) -> io::Result<Option<[u8; HEADER_BYTES]>> {
    let mut bytes = [0; HEADER_BYTES];
    Ok((file.read_at(&mut bytes, 0)? == HEADER_BYTES).then_some(bytes))
}

fn read_footer(file: &dyn DiskFile, length: u64) -> io::Result<Option<Footer>> {
    let Some(at) = length.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    let mut bytes = [0; FOOTER_BYTES];
    file.read_at(&mut bytes, at)?;
    Ok(Footer::decode(&bytes))
}

/// Reads the valid records of an open segment from its start up to `length`.
pub(crate) fn scan(disk: &dyn Disk, path: &Path, length: u64) -> Result<Scanned, LogError> {
    let read = |error: io::Error| LogError::io("read", path, error);
    let file = disk.open(path).map_err(read)?;
    let bytes = read_header(&*file).map_err(read)?.unwrap_or([0; HEADER_BYTES]);
    let header = Header::decode(&bytes).map_err(|error| LogError::segment(path, error))?;
    let mut hash = Xxh3::new();
    hash.update(&bytes);
    let mut window = Window::new(&*file);
    let (mut offset, mut last, mut offsets) = (HEADER_BYTES as u64, None::<Position>, Vec::new());
    let mut complete = false;
    while offset < length {
        let Some((record, size)) = window.record(offset).map_err(read)? else {
            break;
        };
        let due = header.first.0 + offsets.len() as u64;
        let in_order =
            record.position.index.0 == due && last.is_none_or(|last| record.position.term >= last.term);
        if !in_order || offset + size as u64 > length {
            break;
        }
        hash.update(&window.bytes(offset, size).map_err(read)?[..size]);
        offsets.push(offset);
        offset += size as u64;
        last = Some(record.position);
        complete = ends_segment(&record, u64::MAX);
    }
    let view = OpenView {
        first: header.first,
        bytes: offset,
        offsets,
    };
    let count = view.offsets.len() as u64;
    let file = OpenFile {
        file,
        header,
        bytes: offset,
        count,
        last,
        hash,
        complete,
    };
    Ok(Scanned { file, view })
}
