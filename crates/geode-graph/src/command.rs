//! What stands in the Raft log, and its bytes.
//!
//! `version (1) | kind (1) | …`, numbers LEB128, records as they are stored (docs/formats/command.md). Tags are for ever: a
//! log segment in the archive is read by every later version.

use crate::catalog::TokenKind;
use crate::codec::{
    DecodeError, Decoded, end_of, put_bytes, put_u64, take_array, take_count, take_str, take_u8, take_u32,
    take_u64, unzigzag, zigzag,
};
use crate::graphs::{GraphId, Object, ObjectKind};
use crate::record::{EdgeRecord, NodeRecord, PropertyList, put_properties, take_properties};
use crate::roles::RoleRecord;
use crate::schema::{Rule, RuleId};
use crate::summary::CommitSummary;
use crate::users::UserRecord;
use geode_types::{EdgeId, FeatureLevel, NodeId, RequestId, Term};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

const VERSION: u8 = 1;
const COMMIT: u8 = 1;
const CUT: u8 = 2;
const STEP: u8 = 3;
const RAISE: u8 = 4;

const CREATE_NODE: u8 = 1;
const UPDATE_NODE: u8 = 2;
const DELETE_NODE: u8 = 3;
const CREATE_EDGE: u8 = 4;
const UPDATE_EDGE: u8 = 5;
const DELETE_EDGE: u8 = 6;
const DEFINE_TOKEN: u8 = 7;
const PUT_USER: u8 = 8;
const DROP_USER: u8 = 9;
const PUT_CHECKPOINT: u8 = 10;
const DROP_CHECKPOINT: u8 = 11;
const PUT_RULE: u8 = 12;
const DROP_RULE: u8 = 13;
const PUT_OBJECT: u8 = 32;
const DROP_OBJECT: u8 = 33;
const PURGE_GRAPH: u8 = 34;
const PUT_ROLE: u8 = 48;
const DROP_ROLE: u8 = 49;

/// An entry of the log that is about the graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A certified transaction.
    Commit(Box<Commit>),
    /// Ends the log segment, so that it can be archived.
    Cut {
        /// When the leader proposed it, in microseconds since 1970.
        at_micros: i64,
    },
    /// Carries on with an index that is being built or dropped. It follows from the graph alone, so nobody certifies it.
    Step {
        /// Which.
        rule: RuleId,
        /// Up to where it has come; elsewhere the command does nothing.
        after: NodeId,
        /// The most nodes or entries to take.
        limit: u32,
    },
    /// From here on there may be commands of a level: the leader has seen that all members understand it.
    Raise {
        /// The level.
        to: FeatureLevel,
    },
}

/// A certified transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// What makes a retry recognisable, when the client sent it.
    pub request_id: Option<RequestId>,
    /// The term in which it was certified; in any other term it is void.
    pub certified_term: Term,
    /// The certifier's number of this commit.
    pub sequence: u64,
    /// When it was certified, in microseconds since 1970.
    pub at_micros: i64,
    /// What it changes, in an order that can be applied as it stands.
    pub effects: Vec<Effect>,
    /// What a retry of the request is told.
    pub summary: CommitSummary,
}

/// One change of the graph, decided: it carries the result, not how to compute it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A node that did not exist.
    CreateNode {
        /// Its id.
        id: NodeId,
        /// Its content.
        record: NodeRecord,
    },
    /// The new content of a node.
    UpdateNode {
        /// Its id.
        id: NodeId,
        /// Its whole content.
        record: NodeRecord,
    },
    /// A node that has no edges any more.
    DeleteNode {
        /// Its id.
        id: NodeId,
    },
    /// An edge that did not exist.
    CreateEdge {
        /// Its id.
        id: EdgeId,
        /// Its content.
        record: EdgeRecord,
    },
    /// The new properties of an edge.
    UpdateEdge {
        /// Its id.
        id: EdgeId,
        /// All its properties.
        properties: PropertyList,
    },
    /// An edge.
    DeleteEdge {
        /// Its id.
        id: EdgeId,
    },
    /// A name gets its number.
    DefineToken {
        /// What it names.
        kind: TokenKind,
        /// Its number.
        id: u32,
        /// The name.
        name: String,
    },
    /// A user is created or changed.
    PutUser(UserRecord),
    /// A user is removed.
    DropUser {
        /// The name.
        name: String,
    },
    /// The moment of this commit gets a name.
    PutCheckpoint {
        /// The name.
        name: String,
    },
    /// A checkpoint is removed.
    DropCheckpoint {
        /// The name.
        name: String,
    },
    /// An index or a constraint is created. Its first nodes are looked at at once.
    PutRule(Rule),
    /// An index or a constraint is removed, its first entries at once.
    DropRule {
        /// Its number.
        id: RuleId,
    },
    /// A schema, a graph or a graph type, new or in place of another one.
    PutObject {
        /// Its path.
        path: String,
        /// What it is.
        object: Object,
    },
    /// A schema, a graph or a graph type that was there. What is in the graph goes later.
    DropObject {
        /// Its kind.
        kind: ObjectKind,
        /// Its path.
        path: String,
    },
    /// The next part of a dropped graph goes.
    PurgeGraph {
        /// Which.
        graph: GraphId,
    },
    /// A role, or what a user may do by itself, is created or changed.
    PutRole(RoleRecord),
    /// It is removed.
    DropRole {
        /// The name.
        name: String,
    },
}

impl Command {
    /// The bytes of the log entry.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Commit(commit) => {
                out.push(COMMIT);
                commit.encode(&mut out);
            }
            Self::Cut { at_micros } => {
                out.push(CUT);
                put_u64(zigzag(*at_micros), &mut out);
            }
            Self::Step { rule, after, limit } => {
                out.push(STEP);
                put_u64(u64::from(rule.0), &mut out);
                put_u64(after.0, &mut out);
                put_u64(u64::from(*limit), &mut out);
            }
            Self::Raise { to } => out.extend_from_slice(&[RAISE, to.0]),
        }
        out
    }

    /// Reads what [`Command::encode`] wrote; never panics, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = bytes;
        match take_u8(&mut input)? {
            VERSION => {}
            other => return Err(DecodeError::UnknownTag(other)),
        }
        let command = match take_u8(&mut input)? {
            COMMIT => Self::Commit(Box::new(Commit::take(&mut input)?)),
            CUT => Self::Cut {
                at_micros: unzigzag(take_u64(&mut input)?),
            },
            STEP => Self::Step {
                rule: RuleId(take_u32(&mut input)?),
                after: NodeId(take_u64(&mut input)?),
                limit: take_u32(&mut input)?,
            },
            RAISE => Self::Raise {
                to: FeatureLevel(take_u8(&mut input)?),
            },
            other => return Err(DecodeError::UnknownTag(other)),
        };
        end_of(input).map(|()| command)
    }
}

/// The same bytes as [`Command::encode`], for containers that speak serde.
impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> serde::de::Visitor<'de> for Bytes {
            type Value = Command;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of a command")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Command, E> {
                Command::decode(bytes).map_err(E::custom)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Command, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Command::decode(&bytes).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

impl Commit {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.request_id {
            None => out.push(0),
            Some(request) => {
                out.push(1);
                out.extend_from_slice(request.session.as_bytes());
                put_u64(request.sequence, out);
            }
        }
        put_u64(self.certified_term.0, out);
        put_u64(self.sequence, out);
        put_u64(zigzag(self.at_micros), out);
        self.summary.encode(out);
        put_u64(self.effects.len() as u64, out);
        self.effects.iter().for_each(|effect| effect.encode(out));
    }

    fn take(input: &mut &[u8]) -> Decoded<Self> {
        let request_id = match take_u8(input)? {
            0 => None,
            1 => {
                let session = Uuid::from_bytes(take_array(input)?);
                Some(RequestId {
                    session,
                    sequence: take_u64(input)?,
                })
            }
            other => return Err(DecodeError::UnknownTag(other)),
        };
        let certified_term = Term(take_u64(input)?);
        let sequence = take_u64(input)?;
        let at_micros = unzigzag(take_u64(input)?);
        let summary = CommitSummary::take(input)?;
        let count = take_count(input)?;
        let mut effects = Vec::with_capacity(count.min(1 << 12));
        for _ in 0..count {
            effects.push(Effect::take(input)?);
        }
        Ok(Self {
            request_id,
            certified_term,
            sequence,
            at_micros,
            effects,
            summary,
        })
    }
}

impl Effect {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::CreateNode { id, record } | Self::UpdateNode { id, record } => {
                out.push(if matches!(self, Self::CreateNode { .. }) {
                    CREATE_NODE
                } else {
                    UPDATE_NODE
                });
                put_u64(id.0, out);
                record.encode(out);
            }
            Self::DeleteNode { id } => {
                out.push(DELETE_NODE);
                put_u64(id.0, out);
            }
            Self::CreateEdge { id, record } => {
                out.push(CREATE_EDGE);
                put_u64(id.0, out);
                record.encode(out);
            }
            Self::UpdateEdge { id, properties } => {
                out.push(UPDATE_EDGE);
                put_u64(id.0, out);
                put_properties(properties, out);
            }
            Self::DeleteEdge { id } => {
                out.push(DELETE_EDGE);
                put_u64(id.0, out);
            }
            Self::DefineToken { kind, id, name } => {
                out.extend_from_slice(&[DEFINE_TOKEN, kind.code()]);
                put_u64(u64::from(*id), out);
                put_bytes(name.as_bytes(), out);
            }
            Self::PutUser(user) => {
                out.push(PUT_USER);
                put_bytes(user.name.as_bytes(), out);
                user.encode(out);
            }
            Self::DropUser { name } => {
                out.push(DROP_USER);
                put_bytes(name.as_bytes(), out);
            }
            Self::PutCheckpoint { name } => {
                out.push(PUT_CHECKPOINT);
                put_bytes(name.as_bytes(), out);
            }
            Self::DropCheckpoint { name } => {
                out.push(DROP_CHECKPOINT);
                put_bytes(name.as_bytes(), out);
            }
            Self::PutRule(rule) => {
                out.push(PUT_RULE);
                put_u64(u64::from(rule.id.0), out);
                rule.encode(out);
            }
            Self::DropRule { id } => {
                out.push(DROP_RULE);
                put_u64(u64::from(id.0), out);
            }
            Self::PutObject { path, object } => {
                out.extend_from_slice(&[PUT_OBJECT, object.kind().code()]);
                put_bytes(path.as_bytes(), out);
                object.encode(out);
            }
            Self::DropObject { kind, path } => {
                out.extend_from_slice(&[DROP_OBJECT, kind.code()]);
                put_bytes(path.as_bytes(), out);
            }
            Self::PurgeGraph { graph } => {
                out.push(PURGE_GRAPH);
                put_u64(u64::from(graph.0), out);
            }
            Self::PutRole(role) => {
                out.push(PUT_ROLE);
                put_bytes(role.name.as_bytes(), out);
                role.encode(out);
            }
            Self::DropRole { name } => {
                out.push(DROP_ROLE);
                put_bytes(name.as_bytes(), out);
            }
        }
    }

    fn take(input: &mut &[u8]) -> Decoded<Self> {
        Ok(match take_u8(input)? {
            CREATE_NODE => Self::CreateNode {
                id: NodeId(take_u64(input)?),
                record: NodeRecord::take(input)?,
            },
            UPDATE_NODE => Self::UpdateNode {
                id: NodeId(take_u64(input)?),
                record: NodeRecord::take(input)?,
            },
            DELETE_NODE => Self::DeleteNode {
                id: NodeId(take_u64(input)?),
            },
            CREATE_EDGE => Self::CreateEdge {
                id: EdgeId(take_u64(input)?),
                record: EdgeRecord::take(input)?,
            },
            UPDATE_EDGE => Self::UpdateEdge {
                id: EdgeId(take_u64(input)?),
                properties: take_properties(input)?,
            },
            DELETE_EDGE => Self::DeleteEdge {
                id: EdgeId(take_u64(input)?),
            },
            DEFINE_TOKEN => Self::DefineToken {
                kind: TokenKind::from_code(take_u8(input)?)?,
                id: take_u32(input)?,
                name: take_str(input)?.to_owned(),
            },
            PUT_USER => {
                let name = take_str(input)?.to_owned();
                Self::PutUser(UserRecord::take(name, input)?)
            }
            DROP_USER => Self::DropUser {
                name: take_str(input)?.to_owned(),
            },
            PUT_CHECKPOINT => Self::PutCheckpoint {
                name: take_str(input)?.to_owned(),
            },
            DROP_CHECKPOINT => Self::DropCheckpoint {
                name: take_str(input)?.to_owned(),
            },
            PUT_RULE => {
                let id = RuleId(take_u32(input)?);
                Self::PutRule(Rule::take(id, input)?)
            }
            DROP_RULE => Self::DropRule {
                id: RuleId(take_u32(input)?),
            },
            PUT_OBJECT => {
                let kind = ObjectKind::from_code(take_u8(input)?)?;
                let path = take_str(input)?.to_owned();
                let object = Object::take(kind, input)?;
                Self::PutObject { path, object }
            }
            DROP_OBJECT => Self::DropObject {
                kind: ObjectKind::from_code(take_u8(input)?)?,
                path: take_str(input)?.to_owned(),
            },
            PURGE_GRAPH => Self::PurgeGraph {
                graph: GraphId(u16::try_from(take_u64(input)?).map_err(|_| DecodeError::BadValue)?),
            },
            PUT_ROLE => {
                let name = take_str(input)?.to_owned();
                Self::PutRole(RoleRecord::take(name, input)?)
            }
            DROP_ROLE => Self::DropRole {
                name: take_str(input)?.to_owned(),
            },
            other => return Err(DecodeError::UnknownTag(other)),
        })
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
