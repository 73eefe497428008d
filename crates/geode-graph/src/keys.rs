//! The key space: every key is `group (2) | space (1) | …`, numbers big-endian, so that byte order is the order of ids.
//!
//! Spaces below [`FIRST_HASHED`] describe the member (its position, Raft's blobs); the others are the replicated graph.

use geode_types::{EdgeId, GroupId, NodeId};
use uuid::Uuid;

/// The one Raft group of this version. Sharding will make it a parameter.
pub(crate) const GROUP: GroupId = GroupId(0);

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
pub(crate) const NODES: u8 = 0x20;
pub(crate) const EDGES: u8 = 0x21;
pub(crate) const ADJACENCY: u8 = 0x22;
pub(crate) const LABELS: u8 = 0x23;
pub(crate) const LAST_SPACE: u8 = LABELS;

/// Ids stay below this, so that the first byte of an id in a key is never 0xff, the mark of a tail block.
pub(crate) const MAX_ID: u64 = 1 << 56;
/// Length of `group | space`.
pub(crate) const HEAD: usize = 3;
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
        bytes[..2].copy_from_slice(&GROUP.0.to_be_bytes());
        bytes[2] = space;
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
    Key::new(NODES).u64(id.0)
}

pub(crate) fn edge(id: EdgeId) -> Key {
    Key::new(EDGES).u64(id.0)
}

pub(crate) fn label(label: u32, node: NodeId) -> Key {
    Key::new(LABELS).u32(label).u64(node.0)
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
