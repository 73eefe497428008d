//! What the catalog has: schemas, graphs and graph types by their paths (`/schema/graph`), each kind with names of its own.

use super::{GraphId, GraphType};
use crate::catalog::check_name;
use crate::codec::{DecodeError, Decoded, end_of, put_u64, take_u8, take_u64};
use crate::error::{GraphError, Result};
use crate::keys::{self, HEAD, Key, OBJECTS};
use geode_store::Reader;

/// The kinds of things that have names in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A schema. The root, `/`, is always there and not stored.
    Schema,
    /// A graph. The home graph is always there and not stored.
    Graph,
    /// A graph type.
    GraphType,
}

impl ObjectKind {
    const ALL: [Self; 3] = [Self::Schema, Self::Graph, Self::GraphType];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Decoded<Self> {
        let kind = Self::ALL.get(usize::from(code)).copied();
        kind.ok_or(DecodeError::UnknownTag(code))
    }

    /// How messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Graph => "graph",
            Self::GraphType => "graph type",
        }
    }
}

/// A graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphRecord {
    /// Its number.
    pub id: GraphId,
    /// What may be in it; without a type everything.
    pub graph_type: Option<GraphType>,
}

/// Something with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A schema.
    Schema,
    /// A graph.
    Graph(GraphRecord),
    /// A graph type.
    GraphType(GraphType),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Schema => ObjectKind::Schema,
            Self::Graph(_) => ObjectKind::Graph,
            Self::GraphType(_) => ObjectKind::GraphType,
        }
    }

    /// Without its kind, which is in the key.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Schema => {}
            Self::Graph(graph) => {
                put_u64(u64::from(graph.id.0), out);
                out.push(u8::from(graph.graph_type.is_some()));
                graph.graph_type.iter().for_each(|found| found.encode(out));
            }
            Self::GraphType(graph_type) => graph_type.encode(out),
        }
    }

    pub(crate) fn take(kind: ObjectKind, input: &mut &[u8]) -> Decoded<Self> {
        Ok(match kind {
            ObjectKind::Schema => Self::Schema,
            ObjectKind::Graph => {
                let id = take_u64(input)?;
                let id = GraphId(u16::try_from(id).map_err(|_| DecodeError::BadValue)?);
                let graph_type = match take_u8(input)? {
                    0 => None,
                    1 => Some(GraphType::take(input)?),
                    other => return Err(DecodeError::UnknownTag(other)),
                };
                Self::Graph(GraphRecord { id, graph_type })
            }
            ObjectKind::GraphType => Self::GraphType(GraphType::take(input)?),
        })
    }

    pub(crate) fn decode(kind: ObjectKind, mut bytes: &[u8]) -> Decoded<Self> {
        let object = Self::take(kind, &mut bytes)?;
        end_of(bytes).map(|()| object)
    }
}

pub(crate) fn key(kind: ObjectKind, path: &str) -> Vec<u8> {
    keys::named(OBJECTS, Some(kind.code()), path)
}

/// What has this path.
pub fn object(read: &impl Reader, kind: ObjectKind, path: &str) -> Result<Option<Object>> {
    if check_name(path).is_err() {
        return Ok(None);
    }
    let Some(bytes) = read.get(&key(kind, path))? else {
        return Ok(None);
    };
    Object::decode(kind, bytes)
        .map(Some)
        .map_err(GraphError::undecodable(format_args!("{} {path}", kind.name())))
}

/// All of a kind, by path.
pub fn objects(read: &impl Reader, kind: ObjectKind) -> Result<Vec<(String, Object)>> {
    let start = Key::new(OBJECTS).u8(kind.code());
    let mut all = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let path = key.get(HEAD + 1..).map(|path| String::from_utf8(path.to_vec()));
        let Some(Ok(path)) = path else {
            return Err(GraphError::corrupt(format!("the path of a {}", kind.name())));
        };
        let object = Object::decode(kind, bytes).map_err(GraphError::undecodable(kind.name()))?;
        all.push((path, object));
    }
    Ok(all)
}
