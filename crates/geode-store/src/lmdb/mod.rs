//! The store on LMDB (by heed): memory-mapped, so that reads borrow pages without copying.
//!
//! The file holds two key spaces, `a` and `b` (each of several trees, see `space`), and a control table that names the live one;
//! every transaction reads that name in its own snapshot. Loading fills the idle space in batches and switches in one commit.
//! Commits run with `NO_SYNC`: they wait for no disk. After a crash the store is as it was at the last [`Store::sync`], see `anchor`.

mod anchor;
mod space;

use crate::{Entry, Loader, ReadTxn, Reader, Result, Store, StoreError, StoreSize, WriteTxn, check_key};
use anchor::Anchor;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, FlagSetMode, RoTxn, RwTxn, WithoutTls};
use space::{Ends, LmdbRange, Space, TREES};
use std::fs::File;
use std::path::Path;

/// Default of [`LmdbOptions::map_size`]: address space, not memory nor disk, so it is chosen beyond any volume.
pub const DEFAULT_MAP_SIZE: u64 = 1 << 40;
/// Default of [`LmdbOptions::max_readers`].
pub const DEFAULT_MAX_READERS: u32 = 4096;
/// A loader commits each time it has written this much, which bounds its memory.
const LOAD_BATCH_BYTES: usize = 16 << 20;
const ACTIVE: &[u8] = b"active";
/// Present in every store that may be whole only together with its anchor.
const ANCHORED: &[u8] = b"anchored";
/// Names the arrangement of trees, so that a store of another one is refused and not taken for empty.
const LAYOUT: &[u8] = b"layout";
const LAYOUT_NOW: &[u8] = b"2";
/// Two key spaces and the control table.
const DATABASES: u32 = 2 * TREES as u32 + 1;
const MAP_GRANULE: u64 = 1 << 20;
/// A volume with less room is full: no commit of a few pages is sure to fit.
const ROOM_MIN_BYTES: u64 = 1 << 20;

type Table = Database<'static, Bytes, Bytes>;
type Txn = RoTxn<'static, WithoutTls>;

/// How to open an LMDB store.
#[derive(Clone, Copy, Debug)]
pub struct LmdbOptions {
    /// The most that the file can grow to, in bytes. Rounded up to a megabyte.
    pub map_size: u64,
    /// How many snapshots can be open at once.
    pub max_readers: u32,
}

impl Default for LmdbOptions {
    fn default() -> Self {
        Self {
            map_size: DEFAULT_MAP_SIZE,
            max_readers: DEFAULT_MAX_READERS,
        }
    }
}

/// A store in a directory.
pub struct LmdbStore {
    env: Env<WithoutTls>,
    anchor: Anchor,
    spaces: [Space; 2],
    control: Table,
    limit_bytes: u64,
}

/// A snapshot of an [`LmdbStore`].
pub struct LmdbRead {
    txn: Txn,
    env: Env<WithoutTls>,
    live: Space,
}

/// The writer of an [`LmdbStore`].
pub struct LmdbWrite<'a> {
    store: &'a LmdbStore,
    txn: RwTxn<'a>,
    live: Space,
    ends: Ends,
}

/// The loader of an [`LmdbStore`].
pub struct LmdbLoader<'a> {
    store: &'a LmdbStore,
    idle: usize,
    txn: Option<RwTxn<'a>>,
    batch_bytes: usize,
}

impl LmdbStore {
    /// Opens the store in this directory, which is created when it is missing.
    pub fn open(directory: &Path, options: LmdbOptions) -> Result<Self> {
        let act = "open the store";
        std::fs::create_dir_all(directory).map_err(|source| StoreError::io(act, source))?;
        let slots = anchor::restore(directory).map_err(|source| StoreError::io(act, source))?;
        let limit_bytes = options.map_size.next_multiple_of(MAP_GRANULE);
        let mut builder = EnvOpenOptions::new().read_txn_without_tls();
        builder
            .map_size(limit_bytes as usize)
            .max_readers(options.max_readers)
            .max_dbs(DATABASES);
        let restored = slots.is_some();
        // Until there is an anchor, LMDB itself keeps the file whole.
        let flags = if restored {
            EnvFlags::NO_SYNC
        } else {
            EnvFlags::empty()
        };
        #[allow(
            unsafe_code,
            reason = "LMDB maps a file; the data directory's lock keeps other processes off it, and the anchor is put back after a crash"
        )]
        // SAFETY: nobody but this environment writes the file while it is mapped (one process owns the data directory).
        let env = unsafe { builder.flags(flags).open(directory) }
            .map_err(|error| StoreError::from_heed(act, error))?;
        let store = Anchor::pin(&env, directory, slots)
            .and_then(|anchor| Self::with_tables(env, anchor, limit_bytes))
            .map_err(|error| StoreError::from_heed(act, error))?;
        if !restored {
            store.begin_anchoring(directory)?;
        }
        store.check_layout()?;
        Ok(store)
    }

    fn with_tables(env: Env<WithoutTls>, anchor: Anchor, limit_bytes: u64) -> heed::Result<Self> {
        env.clear_stale_readers()?;
        let (spaces, control) = env
            .create_databases_and_commit(env.write_txn()?, |opener, txn| {
                let mut open = |name: &str| opener.create_database::<Bytes, Bytes>(txn, Some(name));
                let control = open("control")?;
                let mut space = |name: &str| {
                    let mut trees = [control; TREES];
                    for (number, tree) in trees.iter_mut().enumerate() {
                        *tree = open(&format!("{name}{number}"))?;
                    }
                    heed::Result::Ok(trees)
                };
                heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((
                    [space("a")?, space("b")?],
                    control,
                )))
            })?
            .commit()
            .expect("invariant: the closure always commits");
        let store = Self {
            env,
            anchor,
            spaces,
            control,
            limit_bytes,
        };
        store.clear_idle()?;
        Ok(store)
    }

    /// From here on commits need not wait for the disk. The anchor comes first: a store that says that it needs one has one.
    fn begin_anchoring(&self, directory: &Path) -> Result<()> {
        let act = "open the store";
        let begin = || {
            let read = self.env.read_txn()?;
            if self.control.get(&read, ANCHORED)?.is_some() {
                return Ok(false);
            }
            drop(read);
            self.anchor.take(&self.env)?;
            let mut txn = self.env.write_txn()?;
            self.control.put(&mut txn, ANCHORED, b"1")?;
            self.control.put(&mut txn, LAYOUT, LAYOUT_NOW)?;
            txn.commit()?;
            self.anchor.take(&self.env)?;
            #[allow(unsafe_code, reason = "LMDB takes this flag from a single thread only")]
            // SAFETY: the store is being opened, nobody else has it yet; the anchor keeps it whole.
            unsafe {
                self.env.set_flags(EnvFlags::NO_SYNC, FlagSetMode::Enable)?;
            }
            heed::Result::Ok(true)
        };
        if begin().map_err(|error| StoreError::from_heed(act, error))? {
            // The new files' names must survive a power cut as well as their content.
            return sync_directory(directory).map_err(|source| StoreError::io(act, source));
        }
        Err(StoreError::Corrupt {
            act,
            detail: "the file `anchor` beside data.mdb is missing".to_owned(),
        })
    }

    fn check_layout(&self) -> Result<()> {
        let act = "open the store";
        let read = self.env.read_txn();
        let read = read.map_err(|error| StoreError::from_heed(act, error))?;
        let layout = self.control.get(&read, LAYOUT);
        if layout.map_err(|error| StoreError::from_heed(act, error))? == Some(LAYOUT_NOW) {
            return Ok(());
        }
        let other = "the store's trees are those of another version of Geode";
        Err(StoreError::io(
            act,
            std::io::Error::new(std::io::ErrorKind::Unsupported, other),
        ))
    }

    /// What a loader left behind when it was interrupted gives its room back.
    fn clear_idle(&self) -> heed::Result<()> {
        let mut txn = self.env.write_txn()?;
        let idle = self.spaces[1 - self.live(&txn)?];
        if space::len(&idle, &txn)? == 0 {
            return Ok(());
        }
        space::clear(&idle, &mut txn)?;
        txn.commit()
    }

    fn live(&self, txn: &RoTxn<'_, heed::AnyTls>) -> heed::Result<usize> {
        Ok(usize::from(self.control.get(txn, ACTIVE)? == Some(b"b")))
    }

    /// Why a change failed. A part of a page that still fitted is an I/O error to LMDB (`mdb_page_flush`), and only the volume says that it is full.
    fn failed(&self, act: &'static str, error: heed::Error) -> StoreError {
        let error = StoreError::from_heed(act, error);
        match &error {
            StoreError::Io { source, .. } if is_short_write(source) && is_full(self.env.path()) => {
                StoreError::Full {
                    act,
                    detail: "the volume".to_owned(),
                }
            }
            _ => error,
        }
    }
}

impl Drop for LmdbStore {
    fn drop(&mut self) {
        // What is not anchored is applied again from the log; this only makes the next start shorter.
        let _ = self.anchor.take(&self.env);
    }
}

fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn is_short_write(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn is_full(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|volume| volume.f_bavail.saturating_mul(volume.f_frsize) < ROOM_MIN_BYTES)
}

impl Store for LmdbStore {
    type Read = LmdbRead;
    type Write<'a> = LmdbWrite<'a>;
    type Loader<'a> = LmdbLoader<'a>;

    fn read(&self) -> Result<LmdbRead> {
        let begin = || {
            let txn = self.env.clone().static_read_txn()?;
            let live = self.spaces[self.live(&txn)?];
            let env = self.env.clone();
            Ok(LmdbRead { txn, env, live })
        };
        begin().map_err(|error| StoreError::from_heed("begin a read transaction", error))
    }

    fn write(&self) -> Result<LmdbWrite<'_>> {
        let begin = || {
            let txn = self.env.write_txn()?;
            let live = self.spaces[self.live(&txn)?];
            Ok(LmdbWrite {
                store: self,
                txn,
                live,
                ends: Ends::default(),
            })
        };
        begin().map_err(|error| StoreError::from_heed("begin a write transaction", error))
    }

    fn load(&self) -> Result<LmdbLoader<'_>> {
        let begin = || {
            self.clear_idle()?;
            let txn = self.env.write_txn()?;
            let idle = 1 - self.live(&txn)?;
            Ok(LmdbLoader {
                store: self,
                idle,
                txn: Some(txn),
                batch_bytes: 0,
            })
        };
        begin().map_err(|error| self.failed("begin to load the store", error))
    }

    fn sync(&self) -> Result<()> {
        self.anchor
            .take(&self.env)
            .map_err(|error| StoreError::from_heed("sync the store", error))
    }

    fn size(&self) -> Result<StoreSize> {
        let info = self.env.info();
        let page_size = u64::from(self.env.unnamed_database_stat().page_size);
        let read = self.read()?;
        let entries = space::len(&read.live, &read.txn)
            .map_err(|error| StoreError::from_heed("measure the store", error))?;
        Ok(StoreSize {
            used_bytes: (info.last_page_number as u64 + 1) * page_size,
            limit_bytes: self.limit_bytes,
            entries,
        })
    }
}

impl Reader for LmdbRead {
    type Range<'a> = LmdbRange<'a>;

    fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        space::get(&self.live, &self.txn, key)
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<LmdbRange<'_>> {
        space::range(&self.live, &self.txn, from, to)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry<'_>>> {
        space::last(&self.live, &self.txn, from, to)
    }
}

impl ReadTxn for LmdbRead {
    /// LMDB gives the newest state only. Which one that is, is known by the number of its commit: it names the live space, too.
    fn again(&self) -> Result<Option<Self>> {
        let txn = self.env.clone().static_read_txn();
        let txn = txn.map_err(|error| StoreError::from_heed("begin a read transaction", error))?;
        Ok((txn.id() == self.txn.id()).then(|| Self {
            txn,
            env: self.env.clone(),
            live: self.live,
        }))
    }
}

impl Reader for LmdbWrite<'_> {
    type Range<'b>
        = LmdbRange<'b>
    where
        Self: 'b;

    fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        space::get(&self.live, &self.txn, key)
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<LmdbRange<'_>> {
        space::range(&self.live, &self.txn, from, to)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry<'_>>> {
        space::last(&self.live, &self.txn, from, to)
    }
}

impl WriteTxn for LmdbWrite<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        self.ends
            .put(&self.live, &mut self.txn, key, value)
            .map_err(|error| self.store.failed("write a key", error))
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool> {
        check_key(key)?;
        self.ends
            .delete(&self.live, &mut self.txn, key)
            .map_err(|error| self.store.failed("delete a key", error))
    }

    fn commit(self) -> Result<()> {
        let committed = self.txn.commit();
        committed.map_err(|error| self.store.failed("commit", error))
    }
}

impl LmdbLoader<'_> {
    fn put_entry(&mut self, key: &[u8], value: &[u8]) -> heed::Result<()> {
        if self.batch_bytes >= LOAD_BATCH_BYTES {
            if let Some(txn) = self.txn.take() {
                txn.commit()?;
            }
            self.batch_bytes = 0;
        }
        let txn = match self.txn.take() {
            Some(txn) => self.txn.insert(txn),
            None => self.txn.insert(self.store.env.write_txn()?),
        };
        self.batch_bytes += key.len() + value.len();
        space::append(&self.store.spaces[self.idle], txn, key, value)
    }

    fn switch(mut self) -> heed::Result<()> {
        let mut txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.store.env.write_txn()?,
        };
        self.store
            .control
            .put(&mut txn, ACTIVE, if self.idle == 1 { b"b" } else { b"a" })?;
        space::clear(&self.store.spaces[1 - self.idle], &mut txn)?;
        txn.commit()?;
        self.store.anchor.take(&self.store.env)
    }
}

impl Loader for LmdbLoader<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        let put = self.put_entry(key, value);
        put.map_err(|error| self.store.failed("load an entry", error))
    }

    fn finish(self) -> Result<()> {
        let store = self.store;
        let switched = self.switch();
        switched.map_err(|error| store.failed("switch to the loaded content", error))
    }
}
