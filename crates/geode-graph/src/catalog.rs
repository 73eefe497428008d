//! The catalog: names of labels, edge types and property keys, each kind with dense numbers of its own that records carry.
//! A number is given once and never taken back.

use crate::codec::{DecodeError, Decoded};
use crate::error::{GraphError, Result};
use crate::keys::{self, HEAD, Key, TOKEN_IDS, TOKEN_NAMES};
use geode_store::Reader;
use std::sync::Arc;

/// The longest name of a label, type, property or user, so that it fits a key.
pub const MAX_NAME_BYTES: usize = 480;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// A node's label.
    Label,
    /// An edge's type.
    EdgeType,
    /// A property's key.
    PropertyKey,
}

impl TokenKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 3] = [Self::Label, Self::EdgeType, Self::PropertyKey];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Decoded<Self> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or(DecodeError::UnknownTag(code))
    }
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        Err(GraphError::NameLength(name.len()))
    } else {
        Ok(())
    }
}

pub(crate) fn id_key(kind: TokenKind, name: &str) -> Vec<u8> {
    keys::named(TOKEN_IDS, Some(kind.code()), name)
}

pub(crate) fn name_key(kind: TokenKind, id: u32) -> Key {
    Key::new(TOKEN_NAMES).u8(kind.code()).u32(id)
}

/// The number of a name. A name that can't be defined has none.
pub(crate) fn id(read: &impl Reader, kind: TokenKind, name: &str) -> Result<Option<u32>> {
    if check_name(name).is_err() {
        return Ok(None);
    }
    let Some(bytes) = read.get(&id_key(kind, name))? else {
        return Ok(None);
    };
    let id = keys::u32_at(bytes, 0)
        .ok_or_else(|| GraphError::corrupt(format!("the number of {kind:?} {name}")))?;
    Ok(Some(id))
}

/// The name of a number.
pub(crate) fn name(read: &impl Reader, kind: TokenKind, id: u32) -> Result<Option<Arc<str>>> {
    let Some(bytes) = read.get(&name_key(kind, id))? else {
        return Ok(None);
    };
    let name =
        std::str::from_utf8(bytes).map_err(|_| GraphError::corrupt(format!("the name of {kind:?} {id}")))?;
    Ok(Some(name.into()))
}

/// All numbers and names of a kind, ascending by number.
pub(crate) fn all(read: &impl Reader, kind: TokenKind) -> Result<Vec<(u32, Arc<str>)>> {
    let start = Key::new(TOKEN_NAMES).u8(kind.code());
    let mut tokens = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let id = keys::u32_at(key, HEAD + 1);
        let (Some(id), Ok(name)) = (id, std::str::from_utf8(bytes)) else {
            return Err(GraphError::corrupt(format!("a name of kind {kind:?}")));
        };
        tokens.push((id, name.into()));
    }
    Ok(tokens)
}
