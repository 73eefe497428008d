//! The embedded key-value store below the graph: one ordered key space, snapshots for readers, one writer at a time.
//!
//! [`Store`] is the seam: [`LmdbStore`] is what servers run on, [`MemStore`] what simulations and short-lived shells run on,
//! and `tests/conformance.rs` holds both to the same promises. Keys and values are bytes; what they mean is the graph's affair.

mod error;
mod lmdb;
mod memory;
mod tree;

pub use error::StoreError;
pub use lmdb::{DEFAULT_MAP_SIZE, DEFAULT_MAX_READERS, LmdbOptions, LmdbRead, LmdbStore};
pub use memory::{MemRead, MemStore};

/// The longest key, LMDB's limit. Longer keys are refused by every implementation.
pub const MAX_KEY_BYTES: usize = 511;

/// Tables of which each may be large, by the first byte of their keys. A store may keep each of them apart from the others; that shows in its
/// size and speed only.
pub const LARGE_TABLES: std::ops::Range<u8> = 0x20..0x28;

/// What every operation returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A key and its value, borrowed from the store's own pages.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// Reading, common to snapshots and write transactions (which see their own writes).
pub trait Reader {
    /// Entries in ascending order of key.
    type Range<'a>: Iterator<Item = Result<Entry<'a>>>
    where
        Self: 'a;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<&[u8]>>;

    /// All entries with `from <= key`, and `key < to` when `to` is given.
    fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<Self::Range<'_>>;

    /// The last entry with `from <= key < to`.
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry<'_>>>;
}

/// A snapshot: it owns what it needs, sees one committed state for as long as it lives, and may move between threads.
/// Keep it short: pages that it can see cannot be reused.
pub trait ReadTxn: Reader + Send + Sized + 'static {
    /// Another snapshot of the very same state, for another thread; none when the store has moved on and cannot give it any more.
    fn again(&self) -> Result<Option<Self>>;
}

/// The one writer. Dropped without [`WriteTxn::commit`], it leaves no trace.
pub trait WriteTxn: Reader {
    /// Sets the value of a key.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Removes a key; whether it was there.
    fn delete(&mut self, key: &[u8]) -> Result<bool>;

    /// Makes all writes visible at once. A crash may take back everything since the last [`Store::sync`], whole commits from the end.
    fn commit(self) -> Result<()>;
}

/// Fills a second key space beside the live one and then takes its place, so that a half-loaded state is never visible,
/// whenever the process dies. Dropped without [`Loader::finish`], the store keeps what it had.
pub trait Loader {
    /// Adds an entry. Keys must come in ascending order.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Replaces the whole content of the store with what was loaded, durably.
    fn finish(self) -> Result<()>;
}

/// How much room a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSize {
    /// Bytes in use, including pages kept for reuse.
    pub used_bytes: u64,
    /// Bytes that the store can grow to before it is full (the disk may be full earlier).
    pub limit_bytes: u64,
    /// Number of entries.
    pub entries: u64,
}

/// An embedded, transactional, ordered key-value store.
pub trait Store: Send + Sync + 'static {
    /// Its snapshots.
    type Read: ReadTxn;
    /// Its write transactions.
    type Write<'a>: WriteTxn
    where
        Self: 'a;
    /// Its bulk loader.
    type Loader<'a>: Loader
    where
        Self: 'a;

    /// A snapshot of the last committed state.
    fn read(&self) -> Result<Self::Read>;

    /// Begins to write; waits for the writer before.
    fn write(&self) -> Result<Self::Write<'_>>;

    /// Begins to load a new content (see [`Loader`]). Nothing else may write until it is finished or dropped.
    fn load(&self) -> Result<Self::Loader<'_>>;

    /// Makes every commit so far survive a crash of the process or the machine. Log purge and snapshot positions may only follow what was applied
    /// before a `sync`.
    fn sync(&self) -> Result<()>;

    /// How much room it takes.
    fn size(&self) -> Result<StoreSize>;
}

/// Refuses keys that LMDB would refuse, so that all stores accept the same.
fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(StoreError::KeyLength(key.len()));
    }
    Ok(())
}
