//! What blocks are coded with, used again for block after block.
//!
//! An allocator keeps for a second what is freed, and each thread for itself. With buffers of their own for each block the blocks of that second are in memory,
//! not those that are at work.

use super::BLOCK_BYTES;
use super::compression::Shrinker;
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// A coded block is at most that large while it is made: lz4 wants a tenth more than the block has.
const CODED_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 8;

/// Buffers and compressors of one object.
#[derive(Default)]
pub(super) struct Bench {
    plain: Shelf<Vec<u8>>,
    coded: Shelf<Vec<u8>>,
    pub(super) shrinkers: Shelf<Shrinker>,
}

impl Bench {
    /// Room for a block before it is coded, empty.
    pub(super) fn plain(&self) -> Vec<u8> {
        self.plain.take(|| Vec::with_capacity(BLOCK_BYTES))
    }

    pub(super) fn put_plain(&self, mut plain: Vec<u8>) {
        plain.clear();
        self.plain.put(plain);
    }

    /// Room for a coded block; what it held is of no use.
    pub(super) fn coded(&self) -> Vec<u8> {
        self.coded.take(|| Vec::with_capacity(CODED_BYTES))
    }

    /// The coded block; its buffer comes back when nobody reads it any more.
    pub(super) fn lend(self: &Arc<Self>, coded: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent {
            coded,
            bench: self.clone(),
        })
    }

    /// How many buffers have come back: of blocks, and of coded ones.
    #[cfg(test)]
    pub(super) fn at_rest(&self) -> (usize, usize) {
        (self.plain.count(), self.coded.count())
    }
}

/// Things that wait to be used again.
pub(super) struct Shelf<T>(Mutex<Vec<T>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Shelf<T> {
    /// One that was put there, or a new one.
    pub(super) fn take(&self, make: impl FnOnce() -> T) -> T {
        // A variable, so that the lock is not held while one is made.
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        found.unwrap_or_else(make)
    }

    pub(super) fn put(&self, thing: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

struct Lent {
    coded: Vec<u8>,
    bench: Arc<Bench>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.coded
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.bench.coded.put(std::mem::take(&mut self.coded));
    }
}
