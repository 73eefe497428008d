//! The degrees of many nodes in one pass over their adjacency lists, of which only the heads of blocks are looked at.

use crate::adjacency::{self, IN, OUT};
use crate::block;
use crate::error::Result;
use crate::keys::Key;
use geode_store::Reader;
use geode_types::NodeId;

/// After so many blocks of other lists in a row the next list is looked up instead of walked to.
const OTHERS_MAX: usize = 8;

/// The lists that are counted, one after the other.
struct Lists<'n> {
    nodes: &'n [NodeId],
    code: u8,
    edge_type: Option<u32>,
    at: usize,
    /// The keys of the blocks of the list at this place.
    start: Key,
    end: Key,
}

impl Lists<'_> {
    fn keys(node: NodeId, code: u8, edge_type: Option<u32>) -> (Key, Key) {
        let start = match edge_type {
            Some(edge_type) => adjacency::list_key(node, code, edge_type),
            None => adjacency::node_key(node).u8(code),
        };
        (start, start.end())
    }

    /// Goes on to the first list that does not end before a key; whether there is one.
    fn reach(&mut self, key: &[u8]) -> bool {
        while key >= &*self.end {
            self.at += 1;
            let Some(node) = self.nodes.get(self.at) else {
                return false;
            };
            (self.start, self.end) = Self::keys(*node, self.code, self.edge_type);
        }
        true
    }
}

/// For nodes, ascending and each once, how many edges they have in one direction, of a type or of all.
pub(crate) fn count(
    read: &impl Reader,
    nodes: &[NodeId],
    outgoing: bool,
    edge_type: Option<u32>,
) -> Result<Vec<u64>> {
    let mut counts = vec![0; nodes.len()];
    let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else {
        return Ok(counts);
    };
    let code = if outgoing { OUT } else { IN };
    let (start, end) = Lists::keys(*first, code, edge_type);
    let mut lists = Lists {
        nodes,
        code,
        edge_type,
        at: 0,
        start,
        end,
    };
    let (_, behind) = Lists::keys(*last, code, edge_type);
    'lists: loop {
        let from = lists.start;
        let mut others = 0;
        for entry in read.range(&from, Some(&behind))? {
            let (key, value) = entry?;
            if !lists.reach(key) {
                return Ok(counts);
            }
            if key >= &*lists.start {
                let pairs = block::count(value);
                counts[lists.at] += pairs.map_err(|_| adjacency::damaged(nodes[lists.at]))? as u64;
                others = 0;
            } else {
                others += 1;
                if others > OTHERS_MAX {
                    continue 'lists;
                }
            }
        }
        return Ok(counts);
    }
}
