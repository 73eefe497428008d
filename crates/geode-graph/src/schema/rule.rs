//! What a graph promises about its nodes: indexes and constraints, which share their names, and how each is stored.

use super::value_key;
use crate::codec::{
    DecodeError, Decoded, end_of, put_bytes, put_u64, take_count, take_str, take_u8, take_u32, take_u64,
};
use crate::graphs::GraphId;
use crate::record::{NodeRecord, property_in};
use geode_types::{NodeId, TemporalKind, Value};
use smallvec::SmallVec;

/// The most properties of an index or a constraint.
pub const MAX_RULE_KEYS: usize = 8;

/// The number of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// An index or a constraint on the nodes with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its number.
    pub id: RuleId,
    /// Its name, unique among rules.
    pub name: String,
    /// The number of the label.
    pub label: u32,
    /// The numbers of the property keys, in the order of the index.
    pub keys: SmallVec<[u32; 2]>,
    /// What it is.
    pub kind: RuleKind,
    /// How far it is.
    pub state: RuleState,
}

/// What a rule promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Nodes are found by their values; nothing is promised.
    Index,
    /// No two nodes have the same values in all keys. The same means as for DISTINCT: NaN is NaN, although nothing equals it. The counts of
    /// distinct values and fsck mean the same. Members decide it in `apply`, so another meaning would need a feature level.
    Unique,
    /// Every node has all keys, and no two have the same values in all of them.
    NodeKey,
    /// Every node has the key.
    NotNull,
    /// A value of the key has one of these types, as bits of [`PropertyType`].
    Typed(u16),
}

/// A type that a constraint can ask for, as a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum PropertyType {
    /// Truth values.
    Bool = 1,
    /// Integers.
    Int = 2,
    /// Floats.
    Float = 4,
    /// Texts.
    String = 8,
    /// Byte strings.
    Bytes = 16,
    /// Lists.
    List = 32,
    /// Exact decimal numbers.
    Decimal = 64,
    /// Dates.
    Date = 128,
    /// Times of day.
    LocalTime = 256,
    /// Times of day with an offset.
    Time = 512,
    /// Dates and times.
    LocalDateTime = 1024,
    /// Dates and times in a zone.
    DateTime = 2048,
    /// Durations.
    Duration = 4096,
}

impl PropertyType {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Bool, "BOOLEAN"),
        (Self::Int, "INTEGER"),
        (Self::Float, "FLOAT"),
        (Self::String, "STRING"),
        (Self::Bytes, "BYTES"),
        (Self::List, "LIST"),
        (Self::Decimal, "DECIMAL"),
        (Self::Date, "DATE"),
        (Self::LocalTime, "LOCAL TIME"),
        (Self::Time, "ZONED TIME"),
        (Self::LocalDateTime, "LOCAL DATETIME"),
        (Self::DateTime, "ZONED DATETIME"),
        (Self::Duration, "DURATION"),
    ];

    /// The type of a temporal kind.
    pub fn of_kind(kind: TemporalKind) -> Self {
        match kind {
            TemporalKind::Date => Self::Date,
            TemporalKind::LocalTime => Self::LocalTime,
            TemporalKind::Time => Self::Time,
            TemporalKind::LocalDateTime => Self::LocalDateTime,
            TemporalKind::DateTime => Self::DateTime,
            TemporalKind::Duration => Self::Duration,
        }
    }

    fn bit_of(value: &Value) -> u16 {
        match value {
            Value::Bool(_) => Self::Bool as u16,
            Value::Int(_) => Self::Int as u16,
            Value::Float(_) => Self::Float as u16,
            Value::String(_) => Self::String as u16,
            Value::Bytes(_) => Self::Bytes as u16,
            Value::List(_) => Self::List as u16,
            Value::Decimal(_) => Self::Decimal as u16,
            Value::Temporal(value) => Self::of_kind(value.kind()) as u16,
            Value::Null | Value::Map(_) | Value::Node(_) | Value::Edge(_) | Value::Path(_) => 0,
        }
    }
}

/// How far a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Nodes up to this one have been looked at. New writes keep it already; nothing is found by it yet.
    Building(NodeId),
    /// In force.
    Online,
    /// Its entries are being removed. It is there no more for anybody else; the node is the one that broke it while it was built.
    Dropping(Option<NodeId>),
}

impl Rule {
    /// Whether it has entries in the store.
    pub fn is_index(&self) -> bool {
        matches!(self.kind, RuleKind::Index | RuleKind::Unique | RuleKind::NodeKey)
    }

    /// Whether it is more than an index.
    pub fn is_constraint(&self) -> bool {
        self.kind != RuleKind::Index
    }

    /// Whether no two nodes have the same values.
    pub fn is_unique(&self) -> bool {
        matches!(self.kind, RuleKind::Unique | RuleKind::NodeKey)
    }

    /// Whether writes have to keep it.
    pub fn is_kept(&self) -> bool {
        !matches!(self.state, RuleState::Dropping(_))
    }

    /// Indexes and constraints are about the nodes of the home graph.
    pub(crate) fn concerns(node: NodeId) -> bool {
        GraphId::of_node(node).is_home()
    }

    /// The values of a node as the key of its entry; none when the node is not in the index.
    pub(crate) fn values(&self, record: &NodeRecord) -> Option<Vec<u8>> {
        if !record.labels.contains(&self.label) {
            return None;
        }
        let mut out = Vec::with_capacity(16 * self.keys.len());
        for key in &self.keys {
            value_key::put(property_in(&record.properties, *key)?, self.room(), &mut out);
        }
        Some(out)
    }

    pub(super) fn room(&self) -> usize {
        value_key::room(self.keys.len())
    }

    /// What a node lacks for itself; uniqueness is not asked.
    pub(crate) fn broken_by(&self, record: &NodeRecord) -> Option<Broken> {
        if !record.labels.contains(&self.label) {
            return None;
        }
        let value = |key: &u32| property_in(&record.properties, *key);
        match self.kind {
            RuleKind::Index | RuleKind::Unique => None,
            RuleKind::NodeKey | RuleKind::NotNull => {
                let missing = self.keys.iter().find(|key| value(key).is_none())?;
                Some(Broken::Missing(*missing))
            }
            RuleKind::Typed(types) => {
                let key = self.keys.first()?;
                let found = value(key)?;
                (PropertyType::bit_of(found) & types == 0).then_some(Broken::Mistyped(*key))
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(self.name.as_bytes(), out);
        put_u64(u64::from(self.label), out);
        put_u64(self.keys.len() as u64, out);
        self.keys.iter().for_each(|key| put_u64(u64::from(*key), out));
        match self.kind {
            RuleKind::Index => out.push(0),
            RuleKind::Unique => out.push(1),
            RuleKind::NodeKey => out.push(2),
            RuleKind::NotNull => out.push(3),
            RuleKind::Typed(types) => {
                out.push(4);
                put_u64(u64::from(types), out);
            }
        }
        match self.state {
            RuleState::Building(after) => {
                out.push(0);
                put_u64(after.0, out);
            }
            RuleState::Online => out.push(1),
            RuleState::Dropping(broken_by) => {
                out.push(2);
                // Ids begin with 1.
                put_u64(broken_by.map_or(0, |node| node.0), out);
            }
        }
    }

    pub(crate) fn take(id: RuleId, input: &mut &[u8]) -> Decoded<Self> {
        let name = take_str(input)?.to_owned();
        let label = take_u32(input)?;
        let count = take_count(input)?;
        if count == 0 || count > MAX_RULE_KEYS {
            return Err(DecodeError::Overflow);
        }
        let mut keys = SmallVec::with_capacity(count);
        for _ in 0..count {
            keys.push(take_u32(input)?);
        }
        let kind = match take_u8(input)? {
            0 => RuleKind::Index,
            1 => RuleKind::Unique,
            2 => RuleKind::NodeKey,
            3 => RuleKind::NotNull,
            4 => RuleKind::Typed(u16::try_from(take_u64(input)?).map_err(|_| DecodeError::Overflow)?),
            other => return Err(DecodeError::UnknownTag(other)),
        };
        let state = match take_u8(input)? {
            0 => RuleState::Building(NodeId(take_u64(input)?)),
            1 => RuleState::Online,
            2 => RuleState::Dropping(Some(take_u64(input)?).filter(|node| *node > 0).map(NodeId)),
            other => return Err(DecodeError::UnknownTag(other)),
        };
        Ok(Self {
            id,
            name,
            label,
            keys,
            kind,
            state,
        })
    }

    pub(crate) fn decode(id: RuleId, mut bytes: &[u8]) -> Decoded<Self> {
        let rule = Self::take(id, &mut bytes)?;
        end_of(bytes).map(|()| rule)
    }
}

/// What is wrong with a node under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It has no value for this key.
    Missing(u32),
    /// The value of this key has another type.
    Mistyped(u32),
    /// Another node has the same values.
    Taken(NodeId),
}
