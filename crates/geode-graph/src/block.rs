//! The adjacency block: `(other node, edge)` pairs, ascending, as differences.
//!
//! First the number of pairs; then for each pair the growth of the other node and the zigzag change of the edge id, both
//! LEB128, starting from zero.

use crate::codec::{DecodeError, Decoded, end_of, put_u64, take_count, take_u64, unzigzag, zigzag};

/// A block is split when it would be larger: with key and header, two of them then fit a page of 4 KB without overflow pages.
pub(crate) const MAX_BLOCK_BYTES: usize = 1960;
/// A block that shrinks below this looks for a neighbour to merge with.
pub(crate) const MIN_BLOCK_BYTES: usize = MAX_BLOCK_BYTES / 4;
/// Two blocks are merged when they are not larger than this together, so that they are not split again soon.
pub(crate) const MERGED_BLOCK_BYTES: usize = MAX_BLOCK_BYTES / 2;

/// The node at the other end, and the edge.
pub(crate) type Pair = (u64, u64);

pub(crate) fn encode(pairs: &[Pair]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pairs.len() * 5 + 2);
    put_u64(pairs.len() as u64, &mut out);
    let mut previous = (0u64, 0u64);
    for pair in pairs {
        put_u64(pair.0 - previous.0, &mut out);
        put_u64(zigzag(pair.1.wrapping_sub(previous.1) as i64), &mut out);
        previous = *pair;
    }
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Decoded<Vec<Pair>> {
    let mut pairs = Vec::new();
    visit(bytes, |pair| pairs.push(pair))?;
    Ok(pairs)
}

/// How many bytes a pair takes behind another one.
pub(crate) fn pair_bytes(previous: Pair, pair: Pair) -> usize {
    let length = |number: u64| (64 - number.leading_zeros() as usize).div_ceil(7).max(1);
    length(pair.0 - previous.0) + length(zigzag(pair.1.wrapping_sub(previous.1) as i64))
}

/// The number of pairs, without reading them.
pub(crate) fn count(mut bytes: &[u8]) -> Decoded<usize> {
    take_count(&mut bytes)
}

/// Calls `each` for every pair in order.
#[inline]
pub(crate) fn visit(mut bytes: &[u8], mut each: impl FnMut(Pair)) -> Decoded<()> {
    let mut previous = (0u64, 0u64);
    let count = take_count(&mut bytes)?;
    for place in 0..count {
        let other = previous
            .0
            .checked_add(take_u64(&mut bytes)?)
            .ok_or(DecodeError::Overflow)?;
        let edge = previous.1.wrapping_add(unzigzag(take_u64(&mut bytes)?) as u64);
        if place > 0 && (other, edge) <= previous {
            return Err(DecodeError::Unsorted);
        }
        previous = (other, edge);
        each(previous);
    }
    end_of(bytes)
}
