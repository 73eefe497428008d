//! Emptying a dropped graph. Its name goes at once, what was in it in batches, each an effect of a commit: the same keys on every member,
//! and no entry of the log that takes long. Until then a mark says which graph is to be emptied; its number is never given again.

use super::GraphId;
use crate::counters;
use crate::error::{GraphError, Result};
use crate::keys::{self, ADJACENCY, DROPPED_GRAPHS, HEAD, INDEX, Key, NODES};
use geode_store::{Reader, WriteTxn};

/// Keys that one effect removes.
const BATCH_KEYS: usize = 4096;

fn mark_key(graph: GraphId) -> Key {
    Key::new(DROPPED_GRAPHS).push(&graph.0.to_be_bytes())
}

/// Says that a graph is to be emptied.
pub(crate) fn mark(tx: &mut impl WriteTxn, graph: GraphId) -> Result<()> {
    Ok(tx.put(&mark_key(graph), &[])?)
}

/// Whether a graph is to be emptied.
fn is_dropped(read: &impl Reader, graph: GraphId) -> Result<bool> {
    Ok(!graph.is_home() && read.get(&mark_key(graph))?.is_some())
}

/// The graphs that are to be emptied.
pub fn dropped_graphs(read: &impl Reader) -> Result<Vec<GraphId>> {
    let start = Key::new(DROPPED_GRAPHS);
    let mut graphs = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, _) = entry?;
        let number = key.get(HEAD..).and_then(|number| number.try_into().ok());
        let number = number.map(u16::from_be_bytes);
        graphs.push(GraphId(
            number.ok_or_else(|| GraphError::corrupt("the number of a dropped graph"))?,
        ));
    }
    Ok(graphs)
}

/// Removes the next keys of a dropped graph, and its mark with the last of them.
pub(crate) fn purge(tx: &mut impl WriteTxn, graph: GraphId) -> Result<()> {
    if !is_dropped(tx, graph)? {
        return Ok(());
    }
    let ranges = ranges_of(tx, graph)?;
    if remove_next(tx, &ranges)? {
        tx.delete(&mark_key(graph))?;
    }
    Ok(())
}

/// Where the keys of a graph are. The counters come last: they say in which label indexes nodes of the graph may be.
pub(super) fn ranges_of(read: &impl Reader, graph: GraphId) -> Result<Vec<(Key, Key)>> {
    let mut ranges: Vec<(Key, Key)> = Vec::new();
    for label in counters::labels_of(read, graph)? {
        ranges.push(graph.node_keys(keys::labelled(label)));
    }
    if graph.is_home() {
        // Indexes are about the home graph alone.
        ranges.push((Key::new(INDEX), Key::new(INDEX).end()));
    }
    ranges.push(graph.node_keys(Key::new(ADJACENCY)));
    ranges.push(graph.edge_keys());
    ranges.push(graph.node_keys(Key::new(NODES)));
    ranges.extend(counters::ranges_of(graph));
    Ok(ranges)
}

/// Removes the next keys of some ranges; whether none is left.
pub(super) fn remove_next(tx: &mut impl WriteTxn, ranges: &[(Key, Key)]) -> Result<bool> {
    let mut batch: Vec<Vec<u8>> = Vec::new();
    for (start, end) in ranges {
        for entry in tx.range(start, Some(end))? {
            if batch.len() == BATCH_KEYS {
                break;
            }
            batch.push(entry?.0.to_vec());
        }
    }
    for key in &batch {
        tx.delete(key)?;
    }
    Ok(batch.len() < BATCH_KEYS)
}
