//! Removing from the log: what conflicts with a leader from its end, what is contained in a snapshot from its start.

use crate::LogError;
use crate::log::{Log, MARK_FILE};
use crate::recovery;
use crate::segment::{FOOTER_BYTES, HEADER_BYTES, Position, SegmentName};
use crate::small_file::{self, SyncedMark};
use geode_types::LogIndex;
use std::sync::Arc;

impl Log {
    /// Removes every record after `last`; all of them when it is `None`.
    pub fn truncate_after(&mut self, last: Option<Position>) -> Result<(), LogError> {
        self.shared.write().truncate(last);
        self.truncate_files(last)
    }

    /// The files' part of a truncation: newest first, so that a crash leaves no gap. May be repeated after a failure.
    pub(crate) fn truncate_files(&mut self, last: Option<Position>) -> Result<(), LogError> {
        let next = last.map_or(0, |last| last.index.0 + 1);
        if self.stored.is_none_or(|stored| stored.index.0 < next) {
            return Ok(());
        }
        self.forget_mark()?;
        self.remove_after(next)?;
        let newest = self.shared.read().sealed.back().cloned();
        if self.open.is_none()
            && let Some(sealed) = newest.filter(|sealed| sealed.last.index.0 >= next)
        {
            self.reopen(sealed.name())?;
        }
        if let Some(open) = self.open.as_mut()
            && open.last.is_some_and(|last| last.index.0 >= next)
        {
            let keep = (next - open.header.first.0) as usize;
            let offset = {
                let state = self.shared.read();
                state
                    .open
                    .as_ref()
                    .and_then(|view| view.offsets.get(keep).copied())
            };
            self.cut_open(offset.unwrap_or(HEADER_BYTES as u64))?;
        }
        let floor = self.shared.read().purged;
        self.stored = last.max(floor);
        Ok(())
    }

    /// Removes the segments that begin at or after `next`, except one that begins exactly where the log began.
    fn remove_after(&mut self, next: u64) -> Result<(), LogError> {
        let mut removed = false;
        if let Some(open) = self.open.take_if(|open| open.header.first.0 >= next) {
            self.remove_segment(SegmentName::Open(open.header.first))?;
            self.shared.write().open = None;
            removed = true;
        }
        loop {
            let Some(sealed) = self
                .shared
                .read()
                .sealed
                .back()
                .filter(|sealed| sealed.first.0 >= next)
                .map(Arc::clone)
            else {
                break;
            };
            self.remove_segment(sealed.name())?;
            self.shared.write().sealed.pop_back();
            removed = true;
        }
        if removed { self.sync_directory() } else { Ok(()) }
    }

    /// Makes the newest sealed segment the open one again.
    fn reopen(&mut self, name: SegmentName) -> Result<(), LogError> {
        let directory = &self.shared.directory;
        let open = SegmentName::Open(name.first());
        let (from, to) = (directory.join(name.to_string()), directory.join(open.to_string()));
        let length = self.shared.read().sealed.back().map_or(0, |sealed| sealed.bytes);
        let content = length.saturating_sub(FOOTER_BYTES as u64);
        let scanned = recovery::scan(&*self.shared.disk, &from, content)?;
        {
            let mut state = self.shared.write();
            self.shared
                .disk
                .rename(&from, &to)
                .map_err(|error| LogError::io("rename", &from, error))?;
            state.sealed.pop_back();
            state.open = Some(scanned.view);
            state.generation += 1;
        }
        self.open = Some(scanned.file);
        self.sync_directory()
    }

    fn cut_open(&mut self, offset: u64) -> Result<(), LogError> {
        let Some(open) = self.open.as_ref() else {
            return Ok(());
        };
        let first = open.header.first;
        let path = self.shared.directory.join(SegmentName::Open(first).to_string());
        open.file
            .set_len(offset)
            .map_err(|error| LogError::io("cut", &path, error))?;
        open.file.sync().map_err(|error| LogError::sync(&path, error))?;
        let scanned = recovery::scan(&*self.shared.disk, &path, offset)?;
        self.shared.write().open = Some(scanned.view);
        self.open = Some(scanned.file);
        self.note(SyncedMark { first, offset })
    }

    /// Takes the synced mark back, durably: it must never promise more than the open segment will hold.
    fn forget_mark(&self) -> Result<(), LogError> {
        let path = self.shared.directory.join(MARK_FILE);
        let none = SyncedMark {
            first: LogIndex(0),
            offset: 0,
        };
        small_file::write_mark(&*self.mark, none).map_err(|error| LogError::io("write", &path, error))?;
        self.mark.sync().map_err(|error| LogError::sync(&path, error))
    }

    /// Forgets every record up to `purged`, in whole segments; when the log ends before it, it begins anew after it.
    pub fn purge(&mut self, purged: Position) -> Result<(), LogError> {
        self.shared.write().purge(purged);
        self.purge_files(purged)
    }

    /// The files' part of a purge: the mark first, then the oldest first. May be repeated after a failure.
    pub(crate) fn purge_files(&mut self, purged: Position) -> Result<(), LogError> {
        small_file::save_purged(&*self.shared.disk, &self.shared.directory, purged)?;
        loop {
            let oldest = self.shared.read().sealed.front().cloned();
            let Some(sealed) = oldest.filter(|sealed| sealed.last.index <= purged.index) else {
                break;
            };
            self.remove_segment(sealed.name())?;
            self.shared.write().sealed.pop_front();
        }
        if self.stored.is_none_or(|stored| stored.index < purged.index) {
            if let Some(open) = self.open.take() {
                self.remove_segment(SegmentName::Open(open.header.first))?;
                self.shared.write().open = None;
            }
            self.stored = Some(purged);
        }
        self.sync_directory()
    }

    /// A segment that is gone already was removed by the attempt before.
    fn remove_segment(&self, name: SegmentName) -> Result<(), LogError> {
        let path = self.shared.directory.join(name.to_string());
        match self.shared.disk.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LogError::io("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// The index of the first record that the files hold or would hold.
    pub fn first_index(&self) -> LogIndex {
        LogIndex(self.shared.read().begin)
    }
}
