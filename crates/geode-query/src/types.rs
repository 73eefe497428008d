//! What the binder knows about a value's type before anything runs.

use geode_types::TemporalKind;

/// A static type; `Any` is "not known".
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Any,
    Null,
    Bool,
    Int,
    Float,
    Decimal,
    String,
    Bytes,
    Temporal(TemporalKind),
    List(Box<Type>),
    Map,
    Node,
    Edge,
    Path,
}

/// A set of types, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeSet(u32);

impl TypeSet {
    pub(crate) const BOOL: Self = Self(1);
    pub(crate) const INT: Self = Self(2);
    pub(crate) const FLOAT: Self = Self(4);
    pub(crate) const DECIMAL: Self = Self(1024);
    pub(crate) const NUMBER: Self = Self(4 + 2 + 1024);
    pub(crate) const STRING: Self = Self(8);
    pub(crate) const BYTES: Self = Self(16);
    pub(crate) const LIST: Self = Self(32);
    pub(crate) const MAP: Self = Self(64);
    pub(crate) const NODE: Self = Self(128);
    pub(crate) const EDGE: Self = Self(256);
    pub(crate) const PATH: Self = Self(512);
    /// Dates and times.
    pub(crate) const INSTANT: Self = Self(2048);
    pub(crate) const DURATION: Self = Self(4096);
    pub(crate) const TEMPORAL: Self = Self(2048 + 4096);
    pub(crate) const ANY: Self = Self(8191);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the members, for a message.
    pub(crate) fn names(self) -> String {
        let all = [
            (Self::BOOL, "BOOL"),
            (Self::INT, "INT"),
            (Self::FLOAT, "FLOAT"),
            (Self::DECIMAL, "DECIMAL"),
            (Self::STRING, "STRING"),
            (Self::BYTES, "BYTES"),
            (Self::INSTANT, "DATE, TIME, DATETIME"),
            (Self::DURATION, "DURATION"),
            (Self::LIST, "LIST"),
            (Self::MAP, "RECORD"),
            (Self::NODE, "NODE"),
            (Self::EDGE, "EDGE"),
            (Self::PATH, "PATH"),
        ];
        let names: Vec<&str> = all
            .iter()
            .filter(|(member, _)| self.meets(*member))
            .map(|(_, name)| *name)
            .collect();
        names.join(" or ")
    }
}

impl Type {
    fn set(&self) -> TypeSet {
        match self {
            Self::Any | Self::Null => TypeSet::ANY,
            Self::Bool => TypeSet::BOOL,
            Self::Int => TypeSet::INT,
            Self::Float => TypeSet::FLOAT,
            Self::String => TypeSet::STRING,
            Self::Bytes => TypeSet::BYTES,
            Self::Decimal => TypeSet::DECIMAL,
            Self::Temporal(TemporalKind::Duration) => TypeSet::DURATION,
            Self::Temporal(_) => TypeSet::INSTANT,
            Self::List(_) => TypeSet::LIST,
            Self::Map => TypeSet::MAP,
            Self::Node => TypeSet::NODE,
            Self::Edge => TypeSet::EDGE,
            Self::Path => TypeSet::PATH,
        }
    }

    /// Whether a value of this type can be one of `wanted`, as far as is known; null can be anything.
    pub(crate) fn can_be(&self, wanted: TypeSet) -> bool {
        self.set().meets(wanted)
    }

    /// The type of something that is either.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (left, right) if left == right => left,
            (Self::Null, other) | (other, Self::Null) => other,
            (Self::List(left), Self::List(right)) => Self::List(Box::new(left.join(*right))),
            _ => Self::Any,
        }
    }

    /// The type of a list's elements.
    pub(crate) fn element(&self) -> Self {
        match self {
            Self::List(element) => element.as_ref().clone(),
            Self::Null => Self::Null,
            _ => Self::Any,
        }
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::Null => "NULL",
            Self::Bool => "BOOL",
            Self::Int => "INT",
            Self::Float => "FLOAT",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Decimal => "DECIMAL",
            Self::Temporal(kind) => kind.type_name(),
            Self::List(_) => "LIST",
            Self::Map => "RECORD",
            Self::Node => "NODE",
            Self::Edge => "EDGE",
            Self::Path => "PATH",
        }
    }
}
