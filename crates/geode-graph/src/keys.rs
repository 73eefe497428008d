//! The key space: every key is `space (1) | …`; numbers are big-endian or shortened (see [`Key::id`]), so that byte order is the order of ids.
//!
//! Spaces below [`FIRST_HASHED`] describe the member (its position, Raft's blobs); the others are the replicated graph. The large ones
//! are the store's [`geode_store::LARGE_TABLES`].

use geode_store::LARGE_TABLES;
use geode_types::{EdgeId, NodeId};
use uuid::Uuid;

/// How far the log has been applied. In snapshots, outside the state hash.
pub(crate) const POSITION: u8 = 0x01;
/// Raft's own blobs. Neither in snapshots nor in the hash.
pub(crate) const META: u8 = 0x02;
/// Everything from here on is replicated content.
pub(crate) const FIRST_HASHED: u8 = 0x10;
pub(crate) const COUNTERS: u8 = 0x10;
pub(crate) const TOKEN_NAMES: u8 = 0x11;
pub(crate) const TOKEN_IDS: u8 = 0x12;
pub(crate) const USERS: u8 = 0x13;
pub(crate) const SESSIONS: u8 = 0x14;
pub(crate) const SESSION_AGES: u8 = 0x15;
pub(crate) const REQUESTS: u8 = 0x16;
pub(crate) const CHECKPOINTS: u8 = 0x17;
pub(crate) const RULES: u8 = 0x18;
/// The feature level.
pub(crate) const LEVEL: u8 = 0x19;
/// Roles, and what users may do by themselves.
pub(crate) const ROLES: u8 = 0x1e;
/// Schemas, graphs and graph types.
pub(crate) const OBJECTS: u8 = 0x1c;
/// Graphs that are to be emptied.
pub(crate) const DROPPED_GRAPHS: u8 = 0x1d;
pub(crate) const NODES: u8 = LARGE_TABLES.start;
pub(crate) const EDGES: u8 = NODES + 1;
pub(crate) const ADJACENCY: u8 = NODES + 2;
pub(crate) const LABELS: u8 = NODES + 3;
pub(crate) const INDEX: u8 = NODES + 4;
pub(crate) const LAST_SPACE: u8 = INDEX;

/// Ids stay below this, so that none takes more than seven bytes, and the first byte of an id in a key is never 0xff, the mark of a tail block.
pub(crate) const MAX_ID: u64 = 1 << 56;
/// Length of a space.
pub(crate) const HEAD: usize = 1;
/// Ids below this are a byte of their own. For others the first byte says how many follow.
const SHORT_IDS: u64 = 0xf8;
/// Ids that share a block of edge records.
pub(crate) const EDGES_PER_BLOCK: u64 = 32;
/// The suffix of an adjacency list's last block.
pub(crate) const TAIL: u8 = 0xff;

/// A key on the stack: long enough for all but names.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Key {
    const CAPACITY: usize = 48;

    pub(crate) fn new(space: u8) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        bytes[0] = space;
        Self { bytes, len: HEAD }
    }

    pub(crate) fn push(mut self, part: &[u8]) -> Self {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        self
    }

    pub(crate) fn u8(self, part: u8) -> Self {
        self.push(&[part])
    }

    pub(crate) fn u32(self, part: u32) -> Self {
        self.push(&part.to_be_bytes())
    }

    pub(crate) fn u64(self, part: u64) -> Self {
        self.push(&part.to_be_bytes())
    }

    /// An id below [`MAX_ID`] in as few bytes as it needs. Shorter ones are less, and none is the beginning of another.
    pub(crate) fn id(self, id: u64) -> Self {
        if id < SHORT_IDS {
            return self.u8(id as u8);
        }
        let bytes = id.to_be_bytes();
        let rest = &bytes[id.leading_zeros() as usize / 8..];
        self.u8(SHORT_IDS as u8 + rest.len() as u8 - 1).push(rest)
    }

    /// The first key that does not begin with this one.
    pub(crate) fn end(mut self) -> Self {
        while self.len > 0 {
            let last = self.len - 1;
            if self.bytes[last] < 0xff {
                self.bytes[last] += 1;
                break;
            }
            self.len = last;
        }
        self
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

pub(crate) fn node(id: NodeId) -> Key {
    Key::new(NODES).id(id.0)
}

/// The block of an edge: `EDGES_PER_BLOCK` records with ids that follow each other.
pub(crate) fn edge_block(id: EdgeId) -> Key {
    Key::new(EDGES).id(id.0 / EDGES_PER_BLOCK)
}

/// All nodes with a label.
pub(crate) fn labelled(label: u32) -> Key {
    Key::new(LABELS).id(u64::from(label))
}

pub(crate) fn label(label: u32, node: NodeId) -> Key {
    labelled(label).id(node.0)
}

pub(crate) fn session(session: Uuid) -> Key {
    Key::new(SESSIONS).push(session.as_bytes())
}

pub(crate) fn request(session: Uuid, sequence: u64) -> Key {
    Key::new(REQUESTS).push(session.as_bytes()).u64(sequence)
}

/// A key that ends with a name.
pub(crate) fn named(space: u8, kind: Option<u8>, name: &str) -> Vec<u8> {
    let mut key = Key::new(space).to_vec();
    key.extend(kind);
    key.extend_from_slice(name.as_bytes());
    key
}

/// Takes what [`Key::id`] wrote from the front of a key. Only the form that it writes is accepted.
#[inline]
pub(crate) fn take_id(key: &mut &[u8]) -> Option<u64> {
    let (first, rest) = key.split_first()?;
    let longer = first.checked_sub(SHORT_IDS as u8);
    let (id, rest) = match longer {
        None => (u64::from(*first), rest),
        Some(longer) => {
            let (bytes, rest) = rest.split_at_checked(usize::from(longer) + 1)?;
            let mut whole = [0; 8];
            whole[8 - bytes.len()..].copy_from_slice(bytes);
            (u64::from_be_bytes(whole), rest)
        }
    };
    *key = rest;
    let shortest = longer.map_or(0, |longer| SHORT_IDS.max(1 << (8 * u32::from(longer))));
    (shortest..MAX_ID).contains(&id).then_some(id)
}

/// The id behind a prefix of this length, if nothing follows it.
#[inline]
pub(crate) fn id_at(key: &[u8], at: usize) -> Option<u64> {
    let mut rest = key.get(at..)?;
    let id = take_id(&mut rest)?;
    rest.is_empty().then_some(id)
}

/// The big-endian number at this place of a key.
pub(crate) fn u64_at(key: &[u8], at: usize) -> Option<u64> {
    key.get(at..at + 8)
        .and_then(|part| part.try_into().ok())
        .map(u64::from_be_bytes)
}

/// The big-endian number at this place of a key.
pub(crate) fn u32_at(key: &[u8], at: usize) -> Option<u32> {
    key.get(at..at + 4)
        .and_then(|part| part.try_into().ok())
        .map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(id: u64) -> Vec<u8> {
        Key::new(NODES).id(id)[HEAD..].to_vec()
    }

    #[test]
    fn the_format_of_ids_stays_what_it_is() {
        assert_eq!(id(0), [0]);
        assert_eq!(id(247), [247]);
        assert_eq!(id(248), [0xf8, 248]);
        assert_eq!(id(256), [0xf9, 1, 0]);
        assert_eq!(id(MAX_ID - 1), [0xfe, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn an_id_in_more_bytes_than_it_needs_is_refused() {
        for bytes in [
            &[0xf8, 3][..],
            &[0xf9, 0, 255],
            &[0xff, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0xf9, 1],
            &[],
        ] {
            assert_eq!(take_id(&mut &*bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_their_ids(bits in (0u32..56, 0u32..56), parts in (any::<u64>(), any::<u64>())) {
            let (a, b) = ((parts.0 % MAX_ID) >> bits.0, (parts.1 % MAX_ID) >> bits.1);
            prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
            let joined = [id(a), id(b)].concat();
            let mut rest = joined.as_slice();
            prop_assert_eq!((take_id(&mut rest), take_id(&mut rest), rest), (Some(a), Some(b), &[][..]));
        }
    }
}
