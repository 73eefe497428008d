//! The state hash: SHA-256 over the replicated content, equal on members that have applied the same entries.
//!
//! It covers content, not layout: an adjacency list is hashed as its pairs, however they are cut into blocks, and the member's
//! own keys (position, Raft's blobs) are left out. So it also survives a snapshot, a restore and a change of block sizes.

use crate::adjacency::BlockKey;
use crate::block;
use crate::error::{GraphError, Result};
use crate::keys::{ADJACENCY, FIRST_HASHED, Key, LAST_SPACE};
use geode_store::Reader;
use sha2::{Digest, Sha256};

/// The hash of everything that is replicated.
pub fn state_hash(read: &impl Reader) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    };
    for entry in read.range(&Key::new(FIRST_HASHED), Some(&Key::new(LAST_SPACE).end()))? {
        let (key, value) = entry?;
        if key.first() != Some(&ADJACENCY) {
            add(key);
            add(value);
            continue;
        }
        let at = BlockKey::parse(key)?;
        let mut pair_bytes = [0; 30];
        pair_bytes[..8].copy_from_slice(&at.node.0.to_be_bytes());
        pair_bytes[8] = ADJACENCY;
        pair_bytes[9] = u8::from(at.outgoing);
        pair_bytes[10..14].copy_from_slice(&at.edge_type.to_be_bytes());
        block::visit(value, |(other, edge)| {
            pair_bytes[14..22].copy_from_slice(&other.to_be_bytes());
            pair_bytes[22..].copy_from_slice(&edge.to_be_bytes());
            add(&pair_bytes);
        })
        .map_err(GraphError::undecodable(format_args!(
            "an adjacency block of node {}",
            at.node
        )))?;
    }
    Ok(hash.finalize().into())
}
