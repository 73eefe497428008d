//! Value types: what CAST converts to and IS TYPED asks for.

use geode_types::TemporalKind;
use std::fmt;

/// A value type (ISO/IEC 39075, 18.9). Null belongs to every type but those with `NOT NULL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `ANY`.
    Any,
    /// `NULL`.
    Null,
    /// `NOTHING`: no value has it.
    Nothing,
    /// `BOOL`.
    Bool,
    /// `INT` and its kin: integers of a range.
    Int {
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
    },
    /// `FLOAT`.
    Float,
    /// `DECIMAL(precision, scale)`: how many digits, and how many of them behind the point.
    Decimal(Option<(u32, u32)>),
    /// `STRING(most)`, in characters.
    String(Option<u32>),
    /// `BYTES(most)`.
    Bytes(Option<u32>),
    /// Dates, times and durations.
    Temporal(TemporalKind),
    /// `LIST<type>`.
    List(Box<ValueType>),
    /// `RECORD`.
    Record,
    /// `NODE`.
    Node,
    /// `EDGE`.
    Edge,
    /// `PATH`.
    Path,
    /// `type NOT NULL`.
    NotNull(Box<ValueType>),
    /// `type | type`.
    Union(Vec<ValueType>),
}

impl ValueType {
    /// `INT`: all integers that there are.
    pub const INT: Self = Self::Int {
        least: i64::MIN,
        most: i64::MAX,
    };
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limited = |f: &mut fmt::Formatter<'_>, name: &str, most: &Option<u32>| match most {
            Some(most) => write!(f, "{name}({most})"),
            None => f.write_str(name),
        };
        match self {
            Self::Any => f.write_str("ANY"),
            Self::Null => f.write_str("NULL"),
            Self::Nothing => f.write_str("NOTHING"),
            Self::Bool => f.write_str("BOOL"),
            Self::Int { least: i64::MIN, .. } => f.write_str("INT"),
            Self::Int {
                least: 0,
                most: i64::MAX,
            } => f.write_str("UINT64"),
            Self::Int { least: 0, most } => write!(f, "UINT{}", most.ilog2() + 1),
            Self::Int { most, .. } => write!(f, "INT{}", most.ilog2() + 2),
            Self::Float => f.write_str("FLOAT"),
            Self::Decimal(None) => f.write_str("DECIMAL"),
            Self::Decimal(Some((precision, scale))) => write!(f, "DECIMAL({precision}, {scale})"),
            Self::String(most) => limited(f, "STRING", most),
            Self::Bytes(most) => limited(f, "BYTES", most),
            Self::Temporal(kind) => f.write_str(kind.type_name()),
            Self::List(element) => write!(f, "LIST<{element}>"),
            Self::Record => f.write_str("RECORD"),
            Self::Node => f.write_str("NODE"),
            Self::Edge => f.write_str("EDGE"),
            Self::Path => f.write_str("PATH"),
            Self::NotNull(inner) => write!(f, "{} NOT NULL", Single(inner)),
            Self::Union(types) => {
                for (at, member) in types.iter().enumerate() {
                    let bar = if at == 0 { "" } else { " | " };
                    write!(f, "{bar}{}", Single(member))?;
                }
                Ok(())
            }
        }
    }
}

/// A type where only one can stand: several are put into `ANY<…>`.
struct Single<'a>(&'a ValueType);

impl fmt::Display for Single<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            several @ ValueType::Union(_) => write!(f, "ANY<{several}>"),
            one => write!(f, "{one}"),
        }
    }
}
