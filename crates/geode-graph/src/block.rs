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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_stays_what_it_is() {
        let pairs = [(5, 100), (5, 101), (300, 7)];
        let bytes = encode(&pairs);
        assert_eq!(bytes, [3, 5, 200, 1, 0, 2, 167, 2, 187, 1]);
        assert_eq!((decode(&bytes), count(&bytes)), (Ok(pairs.to_vec()), Ok(3)));
    }

    #[test]
    fn unsorted_and_overlong_blocks_are_refused() {
        assert_eq!(decode(&[2, 5, 2, 0, 0]), Err(DecodeError::Unsorted));
        assert_eq!(decode(&[1, 5, 2, 9]), Err(DecodeError::Trailing));
        assert_eq!(decode(&[9, 5, 2]), Err(DecodeError::Truncated));
    }

    proptest! {
        #[test]
        fn every_sorted_list_survives_its_bytes(set in prop::collection::btree_set((0u64..1 << 56, any::<u64>()), 0..50)) {
            let pairs: Vec<Pair> = set.into_iter().collect();
            let bytes = encode(&pairs);
            prop_assert_eq!(decode(&bytes), Ok(pairs.clone()));
            let mut previous = (0, 0);
            let sizes = pairs.iter().map(|pair| pair_bytes(std::mem::replace(&mut previous, *pair), *pair));
            prop_assert_eq!(sizes.sum::<usize>() + 1, bytes.len());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
