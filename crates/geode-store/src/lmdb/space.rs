//! One key space in several trees, so that each large table is packed for itself.
//!
//! A B-tree that grows in its middle leaves pages half empty. Most large tables grow at their end, because ids ascend: in a tree of its own
//! LMDB can append there (`MDB_APPEND`), and the pages are full. The small tables share a tree.

use super::Table;
use crate::{Entry, LARGE_TABLES, Result, StoreError};
use heed::types::Bytes;
use heed::{AnyTls, PutFlags, RoRange, RoTxn, RwTxn};
use std::cmp::Ordering;
use std::ops::Bound;

/// The tree of the small tables and one for each large table.
pub(super) const TREES: usize = 1 + (LARGE_TABLES.end - LARGE_TABLES.start) as usize;

/// The trees of a key space; every key of a tree is below every key of the next.
pub(super) type Space = [Table; TREES];

/// The tree of a key. What is above the last large table goes with it, so that the order of the trees is that of the keys.
fn tree_of(key: &[u8]) -> usize {
    let table = key.first().copied().unwrap_or(0);
    match table.checked_sub(LARGE_TABLES.start) {
        Some(large) => 1 + usize::from(large).min(TREES - 2),
        None => 0,
    }
}

pub(super) fn get<'a>(space: &Space, txn: &'a RoTxn<'_, AnyTls>, key: &[u8]) -> Result<Option<&'a [u8]>> {
    space[tree_of(key)]
        .get(txn, key)
        .map_err(|error| StoreError::from_heed("read a key", error))
}

pub(super) fn last<'a>(
    space: &Space,
    txn: &'a RoTxn<'_, AnyTls>,
    from: &[u8],
    to: &[u8],
) -> Result<Option<Entry<'a>>> {
    for tree in (tree_of(from)..=tree_of(to)).rev() {
        let found = space[tree]
            .get_lower_than(txn, to)
            .map_err(|error| StoreError::from_heed("read a range backwards", error))?;
        if let Some((key, value)) = found {
            return Ok((key >= from).then_some((key, value)));
        }
    }
    Ok(None)
}

pub(super) fn len(space: &Space, txn: &RoTxn<'_, AnyTls>) -> heed::Result<u64> {
    space.iter().map(|tree| tree.len(txn)).sum()
}

pub(super) fn clear(space: &Space, txn: &mut RwTxn<'_>) -> heed::Result<()> {
    space.iter().try_for_each(|tree| tree.clear(txn))
}

/// Adds a key that is above all others of the space.
pub(super) fn append(space: &Space, txn: &mut RwTxn<'_>, key: &[u8], value: &[u8]) -> heed::Result<()> {
    space[tree_of(key)].put_with_flags(txn, PutFlags::APPEND, key, value)
}

/// Entries of a range, borrowed from the map.
pub struct LmdbRange<'a> {
    entries: RoRange<'a, Bytes, Bytes>,
    /// For a range over several trees: what is needed to go on.
    further: Option<Box<Further<'a>>>,
}

struct Further<'a> {
    space: Space,
    txn: &'a RoTxn<'a, AnyTls>,
    to: Option<Vec<u8>>,
    /// The next tree, and the last one.
    trees: (usize, usize),
}

fn entries<'a>(
    tree: Table,
    txn: &'a RoTxn<'_, AnyTls>,
    from: Bound<&[u8]>,
    to: Option<&[u8]>,
) -> Result<RoRange<'a, Bytes, Bytes>> {
    let bounds = (from, to.map_or(Bound::Unbounded, Bound::Excluded));
    tree.range(txn, &bounds)
        .map_err(|error| StoreError::from_heed("read a range", error))
}

pub(super) fn range<'a>(
    space: &Space,
    txn: &'a RoTxn<'a, AnyTls>,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<LmdbRange<'a>> {
    let first = tree_of(from);
    let last = to.map_or(TREES - 1, tree_of);
    let further = (first < last).then(|| {
        Box::new(Further {
            space: *space,
            txn,
            to: to.map(<[u8]>::to_vec),
            trees: (first + 1, last),
        })
    });
    Ok(LmdbRange {
        entries: entries(space[first], txn, Bound::Included(from), to)?,
        further,
    })
}

impl<'a> Iterator for LmdbRange<'a> {
    type Item = Result<Entry<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(entry.map_err(|error| StoreError::from_heed("read the next entry", error)));
            }
            let further = self.further.as_mut()?;
            let (next, last) = further.trees;
            if next > last {
                return None;
            }
            further.trees.0 += 1;
            match entries(
                further.space[next],
                further.txn,
                Bound::Unbounded,
                further.to.as_deref(),
            ) {
                Ok(entries) => self.entries = entries,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The last keys of the large tables, as far as a write transaction has needed them.
#[derive(Default)]
pub(super) struct Ends([Option<Vec<u8>>; TREES]);

impl Ends {
    /// Sets the value of a key. What belongs at a table's end is appended: also the last entry when it grows, or its page would be split in halves.
    pub(super) fn put(
        &mut self,
        space: &Space,
        txn: &mut RwTxn<'_>,
        key: &[u8],
        value: &[u8],
    ) -> heed::Result<()> {
        let place = tree_of(key);
        let tree = space[place];
        if place == 0 {
            return tree.put(txn, key, value);
        }
        let end = match &mut self.0[place] {
            Some(end) => end,
            unknown => {
                let end = tree.last(txn)?.map_or_else(Vec::new, |(key, _)| key.to_vec());
                unknown.insert(end)
            }
        };
        match key.cmp(end.as_slice()) {
            Ordering::Less => tree.put(txn, key, value),
            Ordering::Equal if tree.get(txn, key)?.map(<[u8]>::len) >= Some(value.len()) => {
                tree.put(txn, key, value)
            }
            order => {
                if order == Ordering::Equal {
                    tree.delete(txn, key)?;
                } else {
                    key.clone_into(end);
                }
                tree.put_with_flags(txn, PutFlags::APPEND, key, value)
            }
        }
    }

    pub(super) fn delete(&mut self, space: &Space, txn: &mut RwTxn<'_>, key: &[u8]) -> heed::Result<bool> {
        let place = tree_of(key);
        if self.0[place].as_deref() == Some(key) {
            self.0[place] = None;
        }
        space[place].delete(txn, key)
    }
}
