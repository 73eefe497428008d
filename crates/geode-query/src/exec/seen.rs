//! What has been seen already: nodes by their numbers, anything else by equivalence.

use super::rows::{KEY_BYTES, row_bytes};
use crate::datum::Datum;
use crate::semantics::Key;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// A set of rows, or parts of rows.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    nodes: HashSet<u64, BuildHasherDefault<IdHasher>>,
    others: HashSet<Key>,
}

impl Seen {
    /// About what a set needs for these values.
    pub(crate) fn bytes_of(values: &[Datum]) -> usize {
        match values {
            [Datum::Node(_)] => size_of::<Datum>(),
            _ => row_bytes(values) + KEY_BYTES,
        }
    }

    /// Whether the value was not there before. A node is equivalent to nothing but itself.
    pub(crate) fn insert(&mut self, value: &Datum) -> bool {
        match value {
            Datum::Node(id) => self.nodes.insert(id.0),
            other => self.others.insert(Key(Box::new([other.clone()]))),
        }
    }

    /// The same for several values at a time. Only one of both methods is used on a set.
    pub(crate) fn insert_all(&mut self, values: Box<[Datum]>) -> bool {
        match &*values {
            [value] => self.insert(value),
            _ => self.others.insert(Key(values)),
        }
    }
}

/// Mixes an id, which nobody but the leader chooses: no more is needed than that neighbours spread (Fibonacci hashing, Knuth 6.4).
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let mixed = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
