//! The counters: the next free ids, and how many nodes and edges there are, in total and by label and type (what a planner
//! calls statistics).

use crate::catalog::TokenKind;
use crate::codec::{Decoded, end_of, put_u64, take_u32, take_u64};
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::keys::{self, COUNTERS, HEAD, Key};
use geode_store::{Reader, WriteTxn};

const TOTALS: u8 = 0;
const BY_LABEL: u8 = 1;
const BY_TYPE: u8 = 2;
const BY_RULE: u8 = 3;
/// The same of a graph that is not the home graph: its number stands behind these.
const OF_GRAPH: u8 = 0x10;
const OF_GRAPH_BY_LABEL: u8 = 0x11;
const OF_GRAPH_BY_TYPE: u8 = 0x12;
const NEXT_GRAPH: u8 = 0x1f;

/// The counters of the home graph, and those that are of no graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) next_node: u64,
    pub(crate) next_edge: u64,
    /// By kind.
    pub(crate) next_token: [u32; 3],
    pub(crate) nodes: u64,
    pub(crate) edges: u64,
    /// Remembered by the session table.
    pub(crate) sessions: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            next_node: 1,
            next_edge: 1,
            next_token: [1; 3],
            nodes: 0,
            edges: 0,
            sessions: 0,
        }
    }
}

impl Totals {
    pub(crate) fn read(read: &impl Reader) -> Result<Self> {
        match read.get(&Key::new(COUNTERS).u8(TOTALS))? {
            None => Ok(Self::default()),
            Some(bytes) => Self::decode(bytes).map_err(GraphError::undecodable("the counters")),
        }
    }

    pub(crate) fn write(&self, tx: &mut impl WriteTxn) -> Result<()> {
        let mut bytes = Vec::with_capacity(32);
        put_u64(self.next_node, &mut bytes);
        put_u64(self.next_edge, &mut bytes);
        self.next_token
            .iter()
            .for_each(|next| put_u64(u64::from(*next), &mut bytes));
        put_u64(self.nodes, &mut bytes);
        put_u64(self.edges, &mut bytes);
        put_u64(self.sessions, &mut bytes);
        Ok(tx.put(&Key::new(COUNTERS).u8(TOTALS), &bytes)?)
    }

    fn decode(mut bytes: &[u8]) -> Decoded<Self> {
        let input = &mut bytes;
        let totals = Self {
            next_node: take_u64(input)?,
            next_edge: take_u64(input)?,
            next_token: [take_u32(input)?, take_u32(input)?, take_u32(input)?],
            nodes: take_u64(input)?,
            edges: take_u64(input)?,
            sessions: take_u64(input)?,
        };
        end_of(bytes).map(|()| totals)
    }
}

/// The next free ids of a graph, and how much is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) next_node: u64,
    pub(crate) next_edge: u64,
    pub(crate) nodes: u64,
    pub(crate) edges: u64,
}

/// Where the counts of an index stand.
pub(crate) fn rule_key(rule: u32) -> Key {
    Key::new(COUNTERS).u8(BY_RULE).u32(rule)
}

impl Sizes {
    /// Those of an empty graph. No id is 0.
    pub(crate) fn empty(graph: GraphId) -> Self {
        let first = graph.ids().start + 1;
        Self {
            next_node: first,
            next_edge: first,
            nodes: 0,
            edges: 0,
        }
    }

    pub(crate) fn read(read: &impl Reader, graph: GraphId) -> Result<Self> {
        if graph.is_home() {
            return Totals::read(read).map(|totals| totals.home());
        }
        match read.get(&graph_key(OF_GRAPH, graph))? {
            None => Ok(Self::empty(graph)),
            Some(bytes) => Self::decode(bytes).map_err(GraphError::undecodable("the counters of a graph")),
        }
    }

    /// Of a graph that is not the home graph; that one's are in [`Totals`].
    pub(crate) fn write(&self, tx: &mut impl WriteTxn, graph: GraphId) -> Result<()> {
        let mut bytes = Vec::with_capacity(32);
        for number in [self.next_node, self.next_edge, self.nodes, self.edges] {
            put_u64(number, &mut bytes);
        }
        Ok(tx.put(&graph_key(OF_GRAPH, graph), &bytes)?)
    }

    fn decode(mut bytes: &[u8]) -> Decoded<Self> {
        let input = &mut bytes;
        let sizes = Self {
            next_node: take_u64(input)?,
            next_edge: take_u64(input)?,
            nodes: take_u64(input)?,
            edges: take_u64(input)?,
        };
        end_of(bytes).map(|()| sizes)
    }
}

impl Totals {
    /// The part that is about the home graph.
    pub(crate) fn home(&self) -> Sizes {
        Sizes {
            next_node: self.next_node,
            next_edge: self.next_edge,
            nodes: self.nodes,
            edges: self.edges,
        }
    }

    pub(crate) fn set_home(&mut self, sizes: Sizes) {
        self.next_node = sizes.next_node;
        self.next_edge = sizes.next_edge;
        self.nodes = sizes.nodes;
        self.edges = sizes.edges;
    }
}

fn graph_key(what: u8, graph: GraphId) -> Key {
    Key::new(COUNTERS).u8(what).push(&graph.0.to_be_bytes())
}

/// The number of the next graph that is created.
pub(crate) fn next_graph(read: &impl Reader) -> Result<u32> {
    let Some(mut bytes) = read.get(&Key::new(COUNTERS).u8(NEXT_GRAPH))? else {
        return Ok(1);
    };
    take_u32(&mut bytes).map_err(GraphError::undecodable("the number of the next graph"))
}

/// Graphs below this number have been created.
pub(crate) fn set_next_graph(tx: &mut impl WriteTxn, next: u32) -> Result<()> {
    let mut bytes = Vec::with_capacity(5);
    put_u64(u64::from(next), &mut bytes);
    Ok(tx.put(&Key::new(COUNTERS).u8(NEXT_GRAPH), &bytes)?)
}

/// The graphs that have counters, without the home graph.
pub(crate) fn graphs(read: &impl Reader) -> Result<Vec<(GraphId, Sizes)>> {
    let start = Key::new(COUNTERS).u8(OF_GRAPH);
    let mut all = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let number = key.get(HEAD + 1..).and_then(|number| number.try_into().ok());
        let number = number.map(u16::from_be_bytes);
        let graph = GraphId(number.ok_or_else(|| GraphError::corrupt("the counters of a graph"))?);
        all.push((
            graph,
            Sizes::decode(bytes).map_err(GraphError::undecodable("the counters of a graph"))?,
        ));
    }
    Ok(all)
}

/// The labels that nodes of a graph have.
pub(crate) fn labels_of(read: &impl Reader, graph: GraphId) -> Result<Vec<u32>> {
    let start = if graph.is_home() {
        Key::new(COUNTERS).u8(BY_LABEL)
    } else {
        graph_key(OF_GRAPH_BY_LABEL, graph)
    };
    let mut labels = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, _) = entry?;
        let label = keys::u32_at(key, start.len());
        labels.push(label.ok_or_else(|| GraphError::corrupt("the counter of a label"))?);
    }
    Ok(labels)
}

/// Where the counters of a graph stand; of the home graph those in [`Totals`] are not among them, and those of its indexes are.
pub(crate) fn ranges_of(graph: GraphId) -> [(Key, Key); 3] {
    let starts = if graph.is_home() {
        [BY_RULE, BY_TYPE, BY_LABEL].map(|what| Key::new(COUNTERS).u8(what))
    } else {
        [OF_GRAPH_BY_TYPE, OF_GRAPH_BY_LABEL, OF_GRAPH].map(|what| graph_key(what, graph))
    };
    starts.map(|start| (start, start.end()))
}

fn key_of(graph: GraphId, kind: TokenKind, id: u32) -> Key {
    let of_nodes = kind == TokenKind::Label;
    let key = match (graph.is_home(), of_nodes) {
        (true, true) => Key::new(COUNTERS).u8(BY_LABEL),
        (true, false) => Key::new(COUNTERS).u8(BY_TYPE),
        (false, true) => graph_key(OF_GRAPH_BY_LABEL, graph),
        (false, false) => graph_key(OF_GRAPH_BY_TYPE, graph),
    };
    key.u32(id)
}

/// How many nodes of a graph have the label, or edges the type.
pub(crate) fn count(read: &impl Reader, graph: GraphId, kind: TokenKind, id: u32) -> Result<u64> {
    let Some(mut bytes) = read.get(&key_of(graph, kind, id))? else {
        return Ok(0);
    };
    take_u64(&mut bytes).map_err(GraphError::undecodable("a counter"))
}

/// Adds to the count of a label or type. `None` when it would fall below zero.
pub(crate) fn add(
    tx: &mut impl WriteTxn,
    graph: GraphId,
    kind: TokenKind,
    id: u32,
    change: i64,
) -> Result<Option<()>> {
    let Some(now) = count(tx, graph, kind, id)?.checked_add_signed(change) else {
        return Ok(None);
    };
    let key = key_of(graph, kind, id);
    if now == 0 {
        tx.delete(&key)?;
    } else {
        let mut bytes = Vec::with_capacity(8);
        put_u64(now, &mut bytes);
        tx.put(&key, &bytes)?;
    }
    Ok(Some(()))
}
