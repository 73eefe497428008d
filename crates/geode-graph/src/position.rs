//! How far the log has been applied, and the opaque blobs that Raft keeps beside it.

use crate::codec::{Decoded, end_of, put_u64, take_u64};
use crate::error::{GraphError, Result};
use crate::keys::{Key, META, POSITION, named};
use geode_store::{Reader, WriteTxn};
use geode_types::{LogIndex, Term};
use serde::{Deserialize, Serialize};

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    /// The term of the entry.
    pub term: Term,
    /// Its index.
    pub index: LogIndex,
}

/// What a store contains: every entry up to `index`, every certified commit up to `sequence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The term of the last applied entry.
    pub term: Term,
    /// The index of the last applied entry.
    pub index: LogIndex,
    /// The number of the last commit; it grows over terms as well.
    pub sequence: u64,
}

impl Position {
    /// The place in the log.
    pub fn log(&self) -> LogPosition {
        LogPosition {
            term: self.term,
            index: self.index,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(self.term.0, out);
        put_u64(self.index.0, out);
        put_u64(self.sequence, out);
    }

    pub(crate) fn take(input: &mut &[u8]) -> Decoded<Self> {
        Ok(Self {
            term: Term(take_u64(input)?),
            index: LogIndex(take_u64(input)?),
            sequence: take_u64(input)?,
        })
    }
}

/// How far the log has been applied; zero in an empty store.
pub fn position(read: &impl Reader) -> Result<Position> {
    let Some(mut bytes) = read.get(&Key::new(POSITION))? else {
        return Ok(Position::default());
    };
    let position = Position::take(&mut bytes).and_then(|position| end_of(bytes).map(|()| position));
    position.map_err(GraphError::undecodable("the applied position"))
}

pub(crate) fn put_position(tx: &mut impl WriteTxn, position: &Position) -> Result<()> {
    let mut bytes = Vec::with_capacity(24);
    position.encode(&mut bytes);
    Ok(tx.put(&Key::new(POSITION), &bytes)?)
}

/// Keeps a blob of this member under a name, in the same store transaction as everything else. It is neither part of the
/// state hash nor of snapshots.
pub fn put_meta(tx: &mut impl WriteTxn, name: &str, bytes: &[u8]) -> Result<()> {
    Ok(tx.put(&named(META, None, name), bytes)?)
}

/// A blob of this member.
pub fn meta(read: &impl Reader, name: &str) -> Result<Option<Vec<u8>>> {
    Ok(read.get(&named(META, None, name))?.map(<[u8]>::to_vec))
}
