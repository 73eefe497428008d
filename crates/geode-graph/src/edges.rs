//! Edge records in blocks of [`EDGES_PER_BLOCK`] ids that follow each other: a small edge costs its type and ends, not an entry of the store.
//!
//! A block is a list of entries, ascending by id. First a byte: the id within the block, and one of three forms.
//! *Plain*: type and ends follow, there are no properties. *Short*: a length and the record. *Apart*: the record is too large to be
//! copied whenever a neighbour changes, and stands under a key of its own: the block's, and the id within the block.
//! Which form a record has follows from its bytes, so that equal graphs have equal blocks.

use crate::codec::{DecodeError, Decoded, put_bytes, take_bytes, take_u8};
use crate::error::{GraphError, Result};
use crate::keys::{self, EDGES, EDGES_PER_BLOCK, HEAD, Key, MAX_ID};
use crate::record::{
    EdgeRecord, EdgeRef, PropertyList, find_property, put_ends, put_properties, take_ends, take_properties,
};
use geode_store::{Reader, WriteTxn};
use geode_types::{EdgeId, Value};

/// A record of more bytes stands apart. A block of the longest records is then within half a page of 4 KB.
const SHORT_BYTES_MAX: usize = 56;
/// The bits of an entry's first byte that are the id within the block.
const PLACE: u8 = EDGES_PER_BLOCK as u8 - 1;
const SHORT: u8 = 0x40;
const APART: u8 = 0x80;

/// A stored edge, its properties still as bytes (none at all when it has no properties).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stored<'a> {
    pub(crate) edge: EdgeRef,
    properties: &'a [u8],
    /// Whether it has a key of its own.
    pub(crate) apart: bool,
}

impl<'a> Stored<'a> {
    fn take(edge: EdgeId, input: &mut &'a [u8]) -> Decoded<Self> {
        let (edge_type, start, end) = take_ends(input)?;
        let edge = EdgeRef {
            edge,
            edge_type,
            start,
            end,
        };
        Ok(Self {
            edge,
            properties: &[],
            apart: false,
        })
    }

    fn whole(edge: EdgeId, mut record: &'a [u8]) -> Decoded<Self> {
        let ends = Self::take(edge, &mut record)?;
        Ok(Self {
            properties: record,
            ..ends
        })
    }

    fn damaged(&self) -> impl FnOnce(DecodeError) -> GraphError {
        damaged(self.edge.edge)
    }

    pub(crate) fn properties(&self) -> Result<PropertyList> {
        let mut rest = self.properties;
        if rest.is_empty() {
            return Ok(PropertyList::new());
        }
        let properties = take_properties(&mut rest).map_err(self.damaged())?;
        crate::codec::end_of(rest).map_err(self.damaged())?;
        Ok(properties)
    }

    pub(crate) fn property(&self, key: u32) -> Result<Option<Value>> {
        if self.properties.is_empty() {
            return Ok(None);
        }
        find_property(self.properties, key).map_err(self.damaged())
    }

    pub(crate) fn record(&self) -> Result<EdgeRecord> {
        Ok(EdgeRecord {
            edge_type: self.edge.edge_type,
            start: self.edge.start,
            end: self.edge.end,
            properties: self.properties()?,
        })
    }
}

fn damaged(edge: EdgeId) -> impl FnOnce(DecodeError) -> GraphError {
    move |error| GraphError::undecodable(format_args!("edge {edge}"))(error)
}

/// An entry of a block; `None` for a record that stands apart.
type Entry<'a> = (EdgeId, Option<Stored<'a>>);

/// The entries of a block.
struct Entries<'a> {
    block: u64,
    rest: &'a [u8],
    least: u8,
}

impl<'a> Entries<'a> {
    fn new(block: u64, rest: &'a [u8]) -> Self {
        Self {
            block,
            rest,
            least: 0,
        }
    }

    fn entry(&mut self) -> Decoded<Entry<'a>> {
        let head = take_u8(&mut self.rest)?;
        let place = head & PLACE;
        if place < self.least {
            return Err(DecodeError::Unsorted);
        }
        self.least = place + 1;
        let edge = EdgeId(self.block * EDGES_PER_BLOCK + u64::from(place));
        let stored = match head & !PLACE {
            0 => Some(Stored::take(edge, &mut self.rest)?),
            SHORT => Some(Stored::whole(edge, take_bytes(&mut self.rest)?)?),
            APART => None,
            other => return Err(DecodeError::UnknownTag(other)),
        };
        Ok((edge, stored))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let block = self.block;
        Some(self.entry().map_err(|error| {
            // What follows cannot be read either.
            self.rest = &[];
            GraphError::undecodable(format_args!("block {block} of edges"))(error)
        }))
    }
}

fn apart_key(edge: EdgeId) -> Key {
    keys::edge_block(edge).u8((edge.0 % EDGES_PER_BLOCK) as u8)
}

fn apart(read: &impl Reader, edge: EdgeId) -> Result<Stored<'_>> {
    let record = read.get(&apart_key(edge))?;
    let record = record.ok_or_else(|| GraphError::corrupt(format!("edge {edge}: its record is missing")))?;
    let stored = Stored::whole(edge, record).map_err(damaged(edge))?;
    Ok(Stored {
        apart: true,
        ..stored
    })
}

/// An edge.
pub(crate) fn find(read: &impl Reader, edge: EdgeId) -> Result<Option<Stored<'_>>> {
    if edge.0 >= MAX_ID {
        return Ok(None);
    }
    let Some(block) = read.get(&keys::edge_block(edge))? else {
        return Ok(None);
    };
    for entry in Entries::new(edge.0 / EDGES_PER_BLOCK, block) {
        let (id, stored) = entry?;
        if id == edge {
            return stored.map_or_else(|| apart(read, edge), Ok).map(Some);
        }
        if id > edge {
            break;
        }
    }
    Ok(None)
}

/// Edges ascending from `from`.
pub(crate) fn from<R: Reader>(read: &R, from: EdgeId) -> Result<impl Iterator<Item = Result<Stored<'_>>>> {
    let blocks = read.range(&keys::edge_block(from), Some(&Key::new(EDGES).end()))?;
    let stored = blocks.flat_map(move |entry| {
        let entries = entry
            .map_err(GraphError::from)
            .and_then(|(key, value)| in_entry(key, value));
        let (entries, error) = match entries {
            Ok(entries) => (entries, None),
            Err(error) => (Entries::new(0, &[]), Some(Err(error))),
        };
        error.into_iter().chain(entries.map(|entry| {
            let (edge, stored) = entry?;
            stored.map_or_else(|| apart(read, edge), Ok)
        }))
    });
    Ok(stored.skip_while(move |stored| stored.as_ref().is_ok_and(|stored| stored.edge.edge < from)))
}

/// Whether this key of the space of edges is that of a record that stands apart.
pub(crate) fn stands_apart(key: &[u8]) -> bool {
    keys::id_at(key, HEAD).is_none()
}

/// The entries of a key of the space of edges: none, if it is a record that stands apart.
fn in_entry<'a>(key: &[u8], value: &'a [u8]) -> Result<Entries<'a>> {
    let mut rest = key.get(HEAD..).unwrap_or_default();
    let block = keys::take_id(&mut rest).filter(|block| *block < MAX_ID / EDGES_PER_BLOCK && rest.len() <= 1);
    let block = block.ok_or_else(|| GraphError::corrupt("the key of a block of edges"))?;
    Ok(Entries::new(block, if rest.is_empty() { value } else { &[] }))
}

/// Changes edges, block by block: it keeps the block that it works on until an edge of another one comes, so that loading writes a block once.
#[derive(Default)]
pub(crate) struct EdgeWriter(Option<Block>);

/// A block in memory: places within it and what stands there, as bytes; nothing for a record that stands apart.
struct Block {
    key: Key,
    entries: Vec<(u8, Vec<u8>)>,
    changed: bool,
}

impl Block {
    fn load(read: &impl Reader, edge: EdgeId) -> Result<Self> {
        let key = keys::edge_block(edge);
        let mut entries = Vec::new();
        if let Some(mut value) = read.get(&key)? {
            let mut reading = Entries::new(edge.0 / EDGES_PER_BLOCK, value);
            while let Some(entry) = reading.next() {
                let (id, _) = entry?;
                let (this, rest) = value.split_at(value.len() - reading.rest.len());
                entries.push(((id.0 % EDGES_PER_BLOCK) as u8, this.to_vec()));
                value = rest;
            }
        }
        Ok(Self {
            key,
            entries,
            changed: false,
        })
    }

    fn store(self, tx: &mut impl WriteTxn) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let bytes: Vec<u8> = self.entries.into_iter().flat_map(|(_, entry)| entry).collect();
        if bytes.is_empty() {
            tx.delete(&self.key)?;
        } else {
            tx.put(&self.key, &bytes)?;
        }
        Ok(())
    }
}

impl EdgeWriter {
    fn block(&mut self, tx: &mut impl WriteTxn, edge: EdgeId) -> Result<&mut Block> {
        let key = keys::edge_block(edge);
        if self.0.as_ref().is_none_or(|block| *block.key != *key) {
            self.store(tx)?;
            self.0 = Some(Block::load(tx, edge)?);
        }
        Ok(self.0.as_mut().expect("invariant: it was put there"))
    }

    /// Writes what is kept. To be called before anything else reads edges.
    pub(crate) fn store(&mut self, tx: &mut impl WriteTxn) -> Result<()> {
        self.0.take().map_or(Ok(()), |block| block.store(tx))
    }

    /// The record of an edge.
    pub(crate) fn get(&mut self, tx: &mut impl WriteTxn, edge: EdgeId) -> Result<Option<EdgeRecord>> {
        let block = self.block(tx, edge)?;
        let place = (edge.0 % EDGES_PER_BLOCK) as u8;
        let Ok(at) = block.entries.binary_search_by_key(&place, |(place, _)| *place) else {
            return Ok(None);
        };
        let mut entries = Entries::new(edge.0 / EDGES_PER_BLOCK, &block.entries[at].1);
        let stored = entries.entry().map_err(damaged(edge))?.1;
        stored.map_or_else(|| apart(tx, edge), Ok)?.record().map(Some)
    }

    /// Stores the record of an edge, new or not.
    pub(crate) fn put(&mut self, tx: &mut impl WriteTxn, edge: EdgeId, record: &EdgeRecord) -> Result<()> {
        let place = (edge.0 % EDGES_PER_BLOCK) as u8;
        let mut bytes = Vec::with_capacity(16);
        put_ends(record, &mut bytes);
        let mut entry = vec![place];
        if record.properties.is_empty() {
            entry.append(&mut bytes);
        } else {
            put_properties(&record.properties, &mut bytes);
            if bytes.len() <= SHORT_BYTES_MAX {
                entry[0] |= SHORT;
                put_bytes(&bytes, &mut entry);
                bytes.clear();
            } else {
                entry[0] |= APART;
            }
        }
        self.replace(tx, edge, Some(entry))?;
        if !bytes.is_empty() {
            tx.put(&apart_key(edge), &bytes)?;
        }
        Ok(())
    }

    /// Removes the record of an edge.
    pub(crate) fn remove(&mut self, tx: &mut impl WriteTxn, edge: EdgeId) -> Result<()> {
        self.replace(tx, edge, None)
    }

    /// Changes the entry of an edge. A record that stood apart goes.
    fn replace(&mut self, tx: &mut impl WriteTxn, edge: EdgeId, entry: Option<Vec<u8>>) -> Result<()> {
        let place = (edge.0 % EDGES_PER_BLOCK) as u8;
        let block = self.block(tx, edge)?;
        block.changed = true;
        let before = match block.entries.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => match entry {
                Some(entry) => std::mem::replace(&mut block.entries[at].1, entry),
                None => block.entries.remove(at).1,
            },
            Err(at) => {
                if let Some(entry) = entry {
                    block.entries.insert(at, (place, entry));
                }
                Vec::new()
            }
        };
        if before.first().is_some_and(|head| head & APART != 0) {
            tx.delete(&apart_key(edge))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_store::{MemStore, Store};
    use geode_types::NodeId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn record(end: u64, text: usize) -> EdgeRecord {
        let name = (text > 0).then(|| (3, Value::from("x".repeat(text))));
        EdgeRecord {
            edge_type: 1,
            start: NodeId(5),
            end: NodeId(end),
            properties: name.into_iter().collect(),
        }
    }

    fn stored(changes: &[(u64, Option<EdgeRecord>)]) -> MemStore {
        let store = MemStore::new();
        let mut tx = store.write().unwrap();
        let mut writer = EdgeWriter::default();
        for (id, change) in changes {
            match change {
                Some(record) => writer.put(&mut tx, EdgeId(*id), record).unwrap(),
                None => writer.remove(&mut tx, EdgeId(*id)).unwrap(),
            }
        }
        writer.store(&mut tx).unwrap();
        tx.commit().unwrap();
        store
    }

    fn entries(store: &MemStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let read = store.read().unwrap();
        let entries = read.range(&[0], None).unwrap();
        entries
            .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
            .collect()
    }

    #[test]
    fn the_format_stays_what_it_is() {
        let store = stored(&[
            (33, Some(record(300, 0))),
            (34, Some(record(7, 2))),
            (63, Some(record(8, 100))),
        ]);
        let entries = entries(&store);
        assert_eq!(entries[0].0, [EDGES, 1]);
        let text = [1, 5, 7, 1, 3, 4, 5, 2, b'x', b'x'];
        let block = [&[1, 1, 5, 172, 2][..], &[2 | SHORT, 10], &text, &[31 | APART]].concat();
        assert_eq!(entries[0].1, block);
        assert_eq!(
            (entries[1].0.as_slice(), entries[1].1.len()),
            (&[EDGES, 1, 31][..], 108)
        );
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn damage_is_an_error_and_nothing_is_read_twice() {
        let read = |bytes: &'static [u8]| Entries::new(0, bytes).collect::<Result<Vec<_>>>();
        assert!(read(&[2, 1, 5, 7, 2, 1, 5, 7]).is_err());
        assert!(read(&[2, 1, 5]).is_err());
        assert!(read(&[2 | SHORT | APART]).is_err());
        assert!(read(&[2, 1, 5, 7, 3, 1, 5, 7]).is_ok());
    }

    proptest! {
        #[test]
        fn edges_are_what_was_put_last_and_the_bytes_do_not_tell_the_way(
            changes in prop::collection::vec((1u64..100, prop::option::of((1u64..1 << 40, 0usize..120))), 0..80),
        ) {
            let changes: Vec<_> = changes
                .into_iter()
                .map(|(id, change)| (id, change.map(|(end, text)| record(end, text))))
                .collect();
            let store = stored(&changes);
            let mut model = BTreeMap::new();
            for (id, change) in changes {
                match change {
                    Some(record) => model.insert(id, record),
                    None => model.remove(&id),
                };
            }
            let read = store.read().unwrap();
            for start in [0, 1, 31, 32, 50] {
                let found: Vec<_> = from(&read, EdgeId(start))
                    .unwrap()
                    .map(|stored| stored.and_then(|stored| Ok((stored.edge.edge.0, stored.record()?))).unwrap())
                    .collect();
                let wanted: Vec<_> = model.range(start..).map(|(id, record)| (*id, record.clone())).collect();
                prop_assert_eq!(found, wanted);
            }
            for id in 0..101 {
                let found = find(&read, EdgeId(id)).unwrap().map(|stored| stored.record().unwrap());
                prop_assert_eq!(found, model.get(&id).cloned());
            }
            let straight: Vec<_> = model.into_iter().map(|(id, record)| (id, Some(record))).collect();
            prop_assert_eq!(entries(&store), entries(&stored(&straight)));
        }
    }
}
