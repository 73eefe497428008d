//! The counters: the next free ids, and how many nodes and edges there are, in total and by label and type (what a planner
//! calls statistics).

use crate::catalog::TokenKind;
use crate::codec::{Decoded, end_of, put_u64, take_u32, take_u64};
use crate::error::{GraphError, Result};
use crate::keys::{COUNTERS, Key};
use geode_store::{Reader, WriteTxn};

const TOTALS: u8 = 0;
const BY_LABEL: u8 = 1;
const BY_TYPE: u8 = 2;
const BY_RULE: u8 = 3;

/// The counters of the whole graph.
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

fn key_of(kind: TokenKind, id: u32) -> Key {
    Key::new(COUNTERS)
        .u8(if kind == TokenKind::Label {
            BY_LABEL
        } else {
            BY_TYPE
        })
        .u32(id)
}

/// Where the counts of an index stand.
pub(crate) fn rule_key(rule: u32) -> Key {
    Key::new(COUNTERS).u8(BY_RULE).u32(rule)
}

/// How many nodes have the label, or edges the type.
pub(crate) fn count(read: &impl Reader, kind: TokenKind, id: u32) -> Result<u64> {
    let Some(mut bytes) = read.get(&key_of(kind, id))? else {
        return Ok(0);
    };
    take_u64(&mut bytes).map_err(GraphError::undecodable("a counter"))
}

/// Adds to the count of a label or type. `None` when it would fall below zero.
pub(crate) fn add(tx: &mut impl WriteTxn, kind: TokenKind, id: u32, change: i64) -> Result<Option<()>> {
    let Some(now) = count(tx, kind, id)?.checked_add_signed(change) else {
        return Ok(None);
    };
    let key = key_of(kind, id);
    if now == 0 {
        tx.delete(&key)?;
    } else {
        let mut bytes = Vec::with_capacity(8);
        put_u64(now, &mut bytes);
        tx.put(&key, &bytes)?;
    }
    Ok(Some(()))
}
