//! Adjacency lists: for each node, direction and edge type the neighbours in ascending order, in blocks.
//!
//! Key: `space | node | direction (1) | type | last pair of the block`; the last block of a list ends with [`TAIL`] instead of the
//! pair, so a list that fits one block has a short key that never changes. A pair belongs to the first block whose
//! key is not less than the pair's.

use crate::block::{self, MAX_BLOCK_BYTES, MERGED_BLOCK_BYTES, MIN_BLOCK_BYTES, Pair};
use crate::error::{GraphError, Result};
use crate::keys::{self, ADJACENCY, HEAD, Key, TAIL};
use geode_store::{Reader, WriteTxn};
use geode_types::{EdgeId, NodeId};

/// Which edges of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Those that start there.
    Out,
    /// Those that end there.
    In,
    /// All.
    Both,
}

impl Direction {
    pub(crate) fn includes(self, outgoing: bool) -> bool {
        match self {
            Self::Out => outgoing,
            Self::In => !outgoing,
            Self::Both => true,
        }
    }
}

/// An edge as seen from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Adjacent {
    /// The edge.
    pub edge: EdgeId,
    /// The id of its type.
    pub edge_type: u32,
    /// The node at the other end.
    pub other: NodeId,
    /// Whether it starts at the node that was asked about.
    pub outgoing: bool,
}

/// An edge that appears in or vanishes from one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    pub(crate) node: NodeId,
    /// The code of the direction.
    pub(crate) direction: u8,
    pub(crate) edge_type: u32,
    pub(crate) pair: Pair,
    pub(crate) add: bool,
}

pub(crate) const OUT: u8 = 0;
pub(crate) const IN: u8 = 1;
/// Each piece of a split block has a count and a first pair in full; without room for them a tiny last piece would remain.
const PIECE_SLACK: usize = 32;

/// What a block's key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockKey {
    pub(crate) node: NodeId,
    pub(crate) outgoing: bool,
    pub(crate) edge_type: u32,
    /// `None` for the tail.
    pub(crate) last: Option<Pair>,
}

impl BlockKey {
    pub(crate) fn parse(key: &[u8]) -> Result<Self> {
        let parse = || {
            let mut rest = key.get(HEAD..)?;
            let node = NodeId(keys::take_id(&mut rest)?);
            let (direction, after) = rest.split_first()?;
            rest = after;
            let outgoing = match *direction {
                OUT => true,
                IN => false,
                _ => return None,
            };
            let edge_type = u32::try_from(keys::take_id(&mut rest)?).ok()?;
            let last = if rest == [TAIL] {
                None
            } else {
                let pair = (keys::take_id(&mut rest)?, keys::take_id(&mut rest)?);
                rest.is_empty().then_some(Some(pair))?
            };
            Some(Self {
                node,
                outgoing,
                edge_type,
                last,
            })
        };
        parse().ok_or_else(|| GraphError::corrupt(format!("an adjacency key of {} bytes", key.len())))
    }
}

pub(crate) fn node_key(node: NodeId) -> Key {
    Key::new(ADJACENCY).id(node.0)
}

pub(crate) fn list_key(node: NodeId, direction: u8, edge_type: u32) -> Key {
    node_key(node).u8(direction).id(u64::from(edge_type))
}

pub(crate) fn damaged(node: NodeId) -> GraphError {
    GraphError::corrupt(format!("an adjacency block of node {node}"))
}

/// Calls `each` with the edges of a node, list by list. A self loop is seen once when both directions are asked for.
pub(crate) fn visit(
    read: &impl Reader,
    node: NodeId,
    direction: Direction,
    types: Option<&[u32]>,
    mut each: impl FnMut(Adjacent),
) -> Result<()> {
    let both = direction == Direction::Both;
    ranges(node, direction, types, |start| {
        for entry in read.range(&start, Some(&start.end()))? {
            let (key, value) = entry?;
            let at = BlockKey::parse(key)?;
            let (outgoing, edge_type) = (at.outgoing, at.edge_type);
            block::visit(value, |(other, edge)| {
                let other = NodeId(other);
                if !(both && !outgoing && other == node) {
                    each(Adjacent {
                        edge: EdgeId(edge),
                        edge_type,
                        other,
                        outgoing,
                    });
                }
            })
            .map_err(|_| damaged(node))?;
        }
        Ok(())
    })
}

/// Calls `each` with the edges between two nodes, as the first one has them. Only the blocks are read that can hold them.
pub(crate) fn between(
    read: &impl Reader,
    (node, other): (NodeId, NodeId),
    direction: Direction,
    types: &[u32],
    mut each: impl FnMut(Adjacent),
) -> Result<()> {
    let both = direction == Direction::Both;
    ranges(node, direction, Some(types), |list| {
        for entry in read.range(&list.id(other.0), Some(&list.end()))? {
            let (key, value) = entry?;
            let at = BlockKey::parse(key)?;
            let (outgoing, edge_type) = (at.outgoing, at.edge_type);
            let mut last = 0;
            block::visit(value, |(found, edge)| {
                last = found;
                if found == other.0 && !(both && !outgoing && other == node) {
                    each(Adjacent {
                        edge: EdgeId(edge),
                        edge_type,
                        other,
                        outgoing,
                    });
                }
            })
            .map_err(|_| damaged(node))?;
            if last > other.0 {
                break;
            }
        }
        Ok(())
    })
}

/// The number of edges of a node; a self loop counts once in each direction asked for.
pub(crate) fn degree(
    read: &impl Reader,
    node: NodeId,
    direction: Direction,
    types: Option<&[u32]>,
) -> Result<u64> {
    let mut degree = 0;
    ranges(node, direction, types, |start| {
        for entry in read.range(&start, Some(&start.end()))? {
            degree += block::count(entry?.1).map_err(|_| damaged(node))? as u64;
        }
        Ok(())
    })?;
    Ok(degree)
}

/// Whether a node has any edge.
pub(crate) fn is_connected(read: &impl Reader, node: NodeId) -> Result<bool> {
    let start = node_key(node);
    Ok(read
        .range(&start, Some(&start.end()))?
        .next()
        .transpose()?
        .is_some())
}

/// Whether a list holds this pair.
pub(crate) fn contains(
    read: &impl Reader,
    node: NodeId,
    direction: u8,
    edge_type: u32,
    pair: Pair,
) -> Result<bool> {
    let list = list_key(node, direction, edge_type);
    let wanted = list.id(pair.0).id(pair.1);
    let Some((_, value)) = read.range(&wanted, Some(&list.end()))?.next().transpose()? else {
        return Ok(false);
    };
    let mut found = false;
    block::visit(value, |held| found |= held == pair).map_err(|_| damaged(node))?;
    Ok(found)
}

/// The prefixes that together hold the wanted lists.
fn ranges(
    node: NodeId,
    direction: Direction,
    types: Option<&[u32]>,
    mut each: impl FnMut(Key) -> Result<()>,
) -> Result<()> {
    let codes: &[u8] = match direction {
        Direction::Out => &[OUT],
        Direction::In => &[IN],
        Direction::Both => &[OUT, IN],
    };
    match types {
        None if direction == Direction::Both => each(node_key(node)),
        None => each(node_key(node).u8(codes[0])),
        Some(types) => {
            for code in codes {
                for (place, edge_type) in types.iter().enumerate() {
                    if !types[..place].contains(edge_type) {
                        each(list_key(node, *code, *edge_type))?;
                    }
                }
            }
            Ok(())
        }
    }
}

/// Applies changes, sorted. An edge that is added twice or removed without being there is an error with its reason.
pub(crate) fn change(tx: &mut impl WriteTxn, changes: &[Change]) -> Result<std::result::Result<(), String>> {
    let same_list =
        |a: &Change, b: &Change| (a.node, a.direction, a.edge_type) == (b.node, b.direction, b.edge_type);
    for list in changes.chunk_by(same_list) {
        let mut rest = list;
        while let Some(first) = rest.first() {
            let loaded = Loaded::find(tx, first)?;
            let fits = rest.partition_point(|change| loaded.last.is_none_or(|last| change.pair <= last));
            let (these, later) = rest.split_at(fits);
            if let Err(what) = loaded.rewrite(tx, these)? {
                return Ok(Err(what));
            }
            rest = later;
        }
    }
    Ok(Ok(()))
}

/// The block that a pair belongs to, which may not exist yet.
struct Loaded {
    list: Key,
    key: Vec<u8>,
    last: Option<Pair>,
    pairs: Vec<Pair>,
}

impl Loaded {
    fn find(tx: &impl WriteTxn, change: &Change) -> Result<Self> {
        let list = list_key(change.node, change.direction, change.edge_type);
        let wanted = list.id(change.pair.0).id(change.pair.1);
        match tx.range(&wanted, Some(&list.end()))?.next().transpose()? {
            Some((key, value)) => Self::parse(list, key, value),
            None => Ok(Self {
                list,
                key: list.u8(TAIL).to_vec(),
                last: None,
                pairs: Vec::new(),
            }),
        }
    }

    fn parse(list: Key, key: &[u8], value: &[u8]) -> Result<Self> {
        let at = BlockKey::parse(key)?;
        let pairs = block::decode(value).map_err(|_| damaged(at.node))?;
        Ok(Self {
            list,
            key: key.to_vec(),
            last: at.last,
            pairs,
        })
    }

    fn rewrite(
        mut self,
        tx: &mut impl WriteTxn,
        changes: &[Change],
    ) -> Result<std::result::Result<(), String>> {
        let appends = self.pairs.last().is_some_and(|last| changes[0].pair > *last);
        let removes = changes.iter().any(|change| !change.add);
        self.pairs = match merged(&self.pairs, changes) {
            Ok(pairs) => pairs,
            Err(change) => {
                let verb = if change.add {
                    "added twice"
                } else {
                    "removed but absent"
                };
                return Ok(Err(format!(
                    "edge {} of node {} is {verb}",
                    change.pair.1, change.node
                )));
            }
        };
        if self.pairs.is_empty() {
            tx.delete(&self.key)?;
            return Ok(Ok(()));
        }
        let bytes = block::encode(&self.pairs);
        if bytes.len() > MAX_BLOCK_BYTES {
            self.split(tx, bytes.len(), appends)?;
        } else if !(removes && bytes.len() < MIN_BLOCK_BYTES && self.merge(tx)?) {
            tx.put(&self.key, &bytes)?;
        }
        Ok(Ok(()))
    }

    /// Cuts the pairs into blocks: full ones when the list grows at its end, else even ones, which have room to grow.
    fn split(&self, tx: &mut impl WriteTxn, bytes: usize, appends: bool) -> Result<()> {
        let target = if appends {
            MAX_BLOCK_BYTES
        } else {
            let pieces = bytes.div_ceil(MAX_BLOCK_BYTES * 3 / 4);
            bytes.div_ceil(pieces) + PIECE_SLACK
        };
        let mut rest = self.pairs.as_slice();
        loop {
            let (piece, later) = rest.split_at(prefix_within(rest, target));
            if later.is_empty() {
                tx.put(&self.key, &block::encode(piece))?;
                return Ok(());
            }
            let last = piece[piece.len() - 1];
            tx.put(&self.list.id(last.0).id(last.1), &block::encode(piece))?;
            rest = later;
        }
    }

    /// Joins a small block with the next one, or a tail with the one before. Whether it did.
    fn merge(&self, tx: &mut impl WriteTxn) -> Result<bool> {
        let neighbour = if self.last.is_some() {
            let mut after = self.key.clone();
            after.push(0);
            tx.range(&after, Some(&self.list.end()))?.next().transpose()?
        } else {
            tx.last(&self.list, &self.key)?
        };
        let Some((key, value)) = neighbour else {
            return Ok(false);
        };
        let other = Self::parse(self.list, key, value)?;
        let (low, high) = if self.last.is_some() {
            (self, &other)
        } else {
            (&other, self)
        };
        let joined = block::encode(&[low.pairs.as_slice(), high.pairs.as_slice()].concat());
        if joined.len() > MERGED_BLOCK_BYTES {
            return Ok(false);
        }
        tx.delete(&low.key)?;
        tx.put(&high.key, &joined)?;
        Ok(true)
    }
}

/// How many pairs fit into this many bytes when encoded; at least one.
fn prefix_within(pairs: &[Pair], target: usize) -> usize {
    // Two bytes for the count: a block holds fewer than 2^14 pairs.
    let mut bytes = 2;
    let mut previous = (0, 0);
    for (place, pair) in pairs.iter().enumerate() {
        bytes += block::pair_bytes(previous, *pair);
        if bytes > target && place > 0 {
            return place;
        }
        previous = *pair;
    }
    pairs.len()
}

fn merged(pairs: &[Pair], changes: &[Change]) -> std::result::Result<Vec<Pair>, Change> {
    let mut out = Vec::with_capacity(pairs.len() + changes.len());
    let mut rest = pairs;
    for change in changes {
        let before = rest.partition_point(|pair| *pair < change.pair);
        out.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        let present = rest.first() == Some(&change.pair) || out.last() == Some(&change.pair);
        if present == change.add {
            return Err(*change);
        }
        if change.add {
            out.push(change.pair);
        } else {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    out.extend_from_slice(rest);
    Ok(out)
}
