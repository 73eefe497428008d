//! What makes commits safe that nobody waits for: LMDB with `NO_SYNC`, and a copy of a meta page whose tree is known to be on the disk.
//!
//! LMDB never reuses a page that a reader can reach (`mdb_page_alloc`). So a reader is kept open at the anchored commit, and its tree
//! stays whole on the disk, whatever is written around it and in whatever order the system writes it back. After a crash of the process
//! or the machine the anchored meta page is put back, and the store is as it was at the last [`Anchor::take`]; what came after is applied
//! again from the log. Without `WRITEMAP` alone: with it, LMDB writes into live pages.
//!
//! The file has two slots that are written in turn, in place: on a full volume an anchor is what lets pages be reused, so it must not
//! need room itself.

use super::Txn;
use heed::{Env, WithoutTls};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file that holds the anchored page, and the one before it.
const FILE: &str = "anchor";
const FILE_NEW: &str = "anchor.new";
const DATA: &str = "data.mdb";
const MAGIC: [u8; 8] = *b"GEODEANC";
const VERSION: u32 = 1;
/// Magic, version, checksum, generation.
const HEAD_BYTES: usize = 24;
const BLOCK_BYTES: usize = 4096;

// Where things stand in a meta page of LMDB 0.9 on 64 bits (`MDB_page`, `MDB_meta` in mdb.c). `MetaPage::new` checks magic and version.
const PAGE_NUMBER: usize = 0;
const META_MAGIC: usize = 16;
const META_VERSION: usize = 20;
const PAGE_SIZE: usize = 40;
const LAST_PAGE: usize = 136;
const TXN_ID: usize = 144;
const META_BYTES: usize = 152;
const LMDB_MAGIC: u32 = 0xBEEF_C0DE;
const LMDB_VERSION: u32 = 1;
const LARGEST_PAGE: usize = 64 * 1024;

/// A meta page: it names the roots of the tree of one commit.
#[derive(Clone, PartialEq, Eq)]
struct MetaPage(Vec<u8>);

impl MetaPage {
    fn new(bytes: Vec<u8>) -> io::Result<Self> {
        let known = bytes.len() >= META_BYTES
            && u32_at(&bytes, META_MAGIC) == LMDB_MAGIC
            && u32_at(&bytes, META_VERSION) == LMDB_VERSION
            && u32_at(&bytes, PAGE_SIZE) as usize == bytes.len();
        known
            .then_some(Self(bytes))
            .ok_or_else(|| damaged("a meta page is not one of LMDB 0.9"))
    }

    /// The page of a slot, 0 or 1, as it is in the file.
    fn read(data: &File, slot: u64, size: usize) -> io::Result<Self> {
        let mut bytes = vec![0; size];
        data.read_exact_at(&mut bytes, slot * size as u64)?;
        Self::new(bytes)
    }

    fn txn(&self) -> u64 {
        u64_at(&self.0, TXN_ID)
    }

    /// The length of a file that has every page up to the last one that was ever used.
    fn file_bytes(&self) -> u64 {
        (u64_at(&self.0, LAST_PAGE) + 1).saturating_mul(self.0.len() as u64)
    }

    /// The same page for a slot.
    fn numbered(&self, slot: u64) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes[PAGE_NUMBER..PAGE_NUMBER + 8].copy_from_slice(&slot.to_le_bytes());
        bytes
    }
}

/// Puts the anchored state back, if the file is not in it. The anchor, when there is one.
pub(super) fn restore(directory: &Path) -> io::Result<Option<Slots>> {
    let path = directory.join(FILE);
    let (generation, page) = match std::fs::read(&path) {
        Ok(bytes) => newest(&bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let anchor = Slots {
        file: OpenOptions::new().write(true).open(path)?,
        generation,
    };
    let data = OpenOptions::new()
        .read(true)
        .write(true)
        .open(directory.join(DATA))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("the file `data.mdb` beside `anchor` is missing"),
            _ => error,
        })?;
    // LMDB maps the file: a page behind its end would end the process when it is touched.
    let (found, expected) = (data.metadata()?.len(), page.file_bytes());
    if found < expected {
        let path = directory.join(DATA);
        return Err(damaged(&format!(
            "{} has {found} bytes, not {expected} as when it was last synced",
            path.display()
        )));
    }
    let size = page.0.len();
    // The slot that is not the anchor's may be torn by the crash; then it is no meta page at all.
    let slots: Vec<_> = (0..2)
        .map(|slot| MetaPage::read(&data, slot, size).ok())
        .collect();
    let newest = slots.iter().flatten().max_by_key(|slot| slot.txn());
    if slots.iter().all(Option::is_some)
        && newest.is_some_and(|newest| newest.numbered(0) == page.numbered(0))
    {
        return Ok(Some(anchor));
    }
    for slot in 0..2 {
        data.write_all_at(&page.numbered(slot), slot * size as u64)?;
    }
    data.sync_data()?;
    Ok(Some(anchor))
}

/// Keeps the anchor of an open store.
pub(super) struct Anchor {
    directory: PathBuf,
    data: File,
    page_bytes: usize,
    /// Locked while an anchor is taken.
    pinned: Mutex<Pinned>,
}

/// The reader that keeps the anchored tree; before the first anchor, what the store was opened with.
struct Pinned {
    reader: Txn,
    slots: Option<Slots>,
}

/// The file.
pub(super) struct Slots {
    file: File,
    /// Of the newest slot; odd ones are in the second.
    generation: u64,
}

impl Anchor {
    /// Pins what a store holds that was just opened, before anything is written to it. `slots`: that is this anchor's state.
    pub(super) fn pin(env: &Env<WithoutTls>, directory: &Path, slots: Option<Slots>) -> heed::Result<Self> {
        let data = OpenOptions::new()
            .read(true)
            .write(true)
            .open(directory.join(DATA))?;
        let mut head = vec![0; META_BYTES];
        data.read_exact_at(&mut head, 0)?;
        let page_bytes = u32_at(&head, PAGE_SIZE) as usize;
        if !(META_BYTES..=LARGEST_PAGE).contains(&page_bytes) {
            return Err(damaged("the size of a page is not known").into());
        }
        let pinned = Pinned {
            reader: env.clone().static_read_txn()?,
            slots,
        };
        Ok(Self {
            directory: directory.to_owned(),
            data,
            page_bytes,
            pinned: Mutex::new(pinned),
        })
    }

    /// Makes every commit so far survive a crash.
    pub(super) fn take(&self, env: &Env<WithoutTls>) -> heed::Result<()> {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        // While nobody can commit, reader and page are of the same commit, and no page is half-written.
        let writer = env.write_txn()?;
        let reader = env.clone().static_read_txn()?;
        let txn = reader.id() as u64;
        if pinned.slots.is_some() && pinned.reader.id() as u64 == txn {
            return Ok(());
        }
        let page = MetaPage::read(&self.data, txn & 1, self.page_bytes)?;
        // Pages that a commit took and gave back are not written; with them the file's length tells whether it was shortened.
        if self.data.metadata()?.len() < page.file_bytes() {
            self.data.set_len(page.file_bytes())?;
        }
        writer.abort();
        if page.txn() != txn {
            return Err(damaged("a meta page is not where LMDB 0.9 keeps it").into());
        }
        // Whatever the error is, also "no space": nothing may be assumed of the pages that were to be written.
        self.data.sync_data().map_err(io::Error::other)?;
        match &mut pinned.slots {
            Some(slots) => slots.write(&page)?,
            none => *none = Some(Slots::create(&self.directory, &page)?),
        }
        // Only now may pages of the state before be reused.
        pinned.reader = reader;
        Ok(())
    }
}

impl Slots {
    /// The first anchor, in both slots.
    fn create(directory: &Path, page: &MetaPage) -> io::Result<Self> {
        let path = directory.join(FILE_NEW);
        let file = File::create(&path)?;
        let first = slot(page, 0);
        file.write_all_at(&first, 0)?;
        file.write_all_at(&slot(page, 1), first.len() as u64)?;
        file.sync_all()?;
        std::fs::rename(&path, directory.join(FILE))?;
        super::sync_directory(directory)?;
        Ok(Self { file, generation: 1 })
    }

    /// Writes the older slot.
    fn write(&mut self, page: &MetaPage) -> io::Result<()> {
        let next = slot(page, self.generation + 1);
        let at = (self.generation + 1) % 2 * next.len() as u64;
        self.file.write_all_at(&next, at)?;
        self.file.sync_data().map_err(io::Error::other)?;
        self.generation += 1;
        Ok(())
    }
}

/// The bytes of a slot, whole blocks of the disk.
fn slot(page: &MetaPage, generation: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&generation.to_le_bytes()), &page.0);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&page.0);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

/// The newest slot that was written whole, and its generation. A crash tears at most the one that was being written.
fn newest(file: &[u8]) -> io::Result<(u64, MetaPage)> {
    let slots = file.split_at_checked(file.len() / 2);
    let (first, second) = slots.ok_or_else(|| damaged("the file `anchor` is not one"))?;
    match (read_slot(first), read_slot(second)) {
        (Ok(first), Ok(second)) => Ok(if first.0 > second.0 { first } else { second }),
        (Ok(whole), Err(_)) | (Err(_), Ok(whole)) => Ok(whole),
        (Err(error), Err(_)) => Err(error),
    }
}

fn read_slot(bytes: &[u8]) -> io::Result<(u64, MetaPage)> {
    if bytes.len() < HEAD_BYTES + META_BYTES || bytes[..8] != MAGIC {
        return Err(damaged("the file `anchor` is not one"));
    }
    if u32_at(bytes, 8) != VERSION {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the file `anchor` was written by a newer version",
        ));
    }
    let page_bytes = u32_at(bytes, HEAD_BYTES + PAGE_SIZE) as usize;
    let page = bytes.get(HEAD_BYTES..HEAD_BYTES + page_bytes);
    let page = page.ok_or_else(|| damaged("the file `anchor` is cut off"))?;
    if u32_at(bytes, 12) != crc32c::crc32c_append(crc32c::crc32c(&bytes[16..HEAD_BYTES]), page) {
        return Err(damaged("the checksum of the file `anchor` does not match"));
    }
    Ok((u64_at(bytes, 16), MetaPage::new(page.to_vec())?))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
