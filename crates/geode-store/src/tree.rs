//! A sorted map whose clone costs nothing and shares what does not change: two levels, chunks of entries behind `Arc`.
//! It is what gives [`crate::MemStore`] immutable snapshots.

use std::sync::Arc;

/// A chunk that grows beyond this is split in two.
const CHUNK_ENTRIES: usize = 128;

type Pair = (Arc<[u8]>, Arc<[u8]>);
type Chunk = Arc<Vec<Pair>>;

/// The map. Chunks are never empty and follow each other in order.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    chunks: Arc<Vec<Chunk>>,
    entries: usize,
    bytes: usize,
}

/// Where an entry is or would stand.
#[derive(Clone, Copy)]
struct Place {
    chunk: usize,
    slot: usize,
}

impl Tree {
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first place whose key is not less than `key`.
    fn seek(&self, key: &[u8]) -> Place {
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(|(last, _)| **last < *key));
        let slot = self
            .chunks
            .get(chunk)
            .map_or(0, |pairs| pairs.partition_point(|(k, _)| **k < *key));
        Place { chunk, slot }
    }

    fn at(&self, place: Place) -> Option<(&[u8], &[u8])> {
        self.chunks
            .get(place.chunk)?
            .get(place.slot)
            .map(|(key, value)| (&**key, &**value))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.at(self.seek(key))
            .filter(|(found, _)| *found == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn range<'a>(&'a self, from: &[u8], to: Option<&[u8]>) -> TreeRange<'a> {
        TreeRange {
            tree: self,
            next: self.seek(from),
            to: to.map(<[u8]>::to_vec),
        }
    }

    pub(crate) fn before(&self, key: &[u8]) -> Option<(&[u8], &[u8])> {
        let place = self.seek(key);
        if place.slot > 0 {
            return self.at(Place {
                slot: place.slot - 1,
                ..place
            });
        }
        let chunk = place.chunk.checked_sub(1)?;
        self.chunks
            .get(chunk)?
            .last()
            .map(|(key, value)| (&**key, &**value))
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        let mut place = self.seek(key);
        let replaced = self
            .at(place)
            .filter(|(found, _)| *found == key)
            .map(|(_, old)| old.len());
        let chunks = Arc::make_mut(&mut self.chunks);
        if place.chunk == chunks.len() {
            // Beyond the end: into the last chunk, so that ascending puts fill chunks.
            match chunks.last() {
                None => chunks.push(Chunk::default()),
                Some(last) => {
                    place = Place {
                        chunk: place.chunk - 1,
                        slot: last.len(),
                    }
                }
            }
        }
        let pairs = Arc::make_mut(&mut chunks[place.chunk]);
        if let Some(old) = replaced {
            pairs[place.slot].1 = value.into();
            self.bytes = self.bytes - old + value.len();
            return;
        }
        pairs.insert(place.slot, (key.into(), value.into()));
        self.entries += 1;
        self.bytes += key.len() + value.len();
        if pairs.len() > CHUNK_ENTRIES {
            let appended = place.slot + 1 == pairs.len();
            let upper = pairs.split_off(if appended { place.slot } else { pairs.len() / 2 });
            chunks.insert(place.chunk + 1, Arc::new(upper));
        }
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> bool {
        let place = self.seek(key);
        let Some((found, value)) = self.at(place) else {
            return false;
        };
        if found != key {
            return false;
        }
        self.bytes -= key.len() + value.len();
        self.entries -= 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        let pairs = Arc::make_mut(&mut chunks[place.chunk]);
        pairs.remove(place.slot);
        if pairs.is_empty() {
            chunks.remove(place.chunk);
        }
        true
    }
}

/// Entries of a [`Tree`] in order.
pub(crate) struct TreeRange<'a> {
    tree: &'a Tree,
    next: Place,
    to: Option<Vec<u8>>,
}

impl<'a> Iterator for TreeRange<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.tree.at(self.next)?;
        if self.to.as_ref().is_some_and(|to| entry.0 >= to.as_slice()) {
            return None;
        }
        self.next.slot += 1;
        if self.next.slot == self.tree.chunks[self.next.chunk].len() {
            self.next = Place {
                chunk: self.next.chunk + 1,
                slot: 0,
            };
        }
        Some(entry)
    }
}
