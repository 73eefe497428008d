//! Expressions.

use super::{LabelExpr, Name, PathPattern, Query, ValueType};
use crate::Span;
use geode_types::{Decimal, Temporal};

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// What an expression computes.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A constant.
    Literal(Literal),
    /// `$name`.
    Parameter(String),
    /// A variable.
    Variable(String),
    /// `base.key`, `base[i]`, `base[i..j]`, one after the other.
    Access(Box<Expr>, Vec<AccessStep>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{key: value}`.
    Map(Vec<(Name, Expr)>),
    /// A prefix operator.
    Unary(UnaryOp, Box<Expr>),
    /// Arithmetic of one precedence level, from left to right.
    Chain(Box<Expr>, Vec<(BinaryOp, Expr)>),
    /// `a AND b AND c`.
    Logical(LogicalOp, Vec<Expr>),
    /// `a < b <= c`, meaning `a < b AND b <= c`.
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    /// `IS [NOT] NULL`.
    IsNull(Box<Expr>, bool),
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`: the truth value (`None` is unknown) and whether it is negated.
    IsTruth(Box<Expr>, Option<bool>, bool),
    /// `n:A:B`, `n IS [NOT] LABELED A`; the flag negates.
    IsLabeled(Box<Expr>, LabelExpr, bool),
    /// `a IN list`.
    In(Box<Expr>, Box<Expr>),
    /// `STARTS WITH`, `ENDS WITH`, `CONTAINS`.
    StringMatch(StringOp, Box<Expr>, Box<Expr>),
    /// `CASE [operand] WHEN … THEN … ELSE … END`.
    Case {
        /// Compared with each `WHEN`; without it each is a condition.
        operand: Option<Box<Expr>>,
        /// `WHEN`, `THEN`.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`.
        otherwise: Option<Box<Expr>>,
    },
    /// `name(arguments)`.
    Call {
        /// The function.
        name: Name,
        /// `DISTINCT` before the arguments.
        distinct: bool,
        /// The arguments.
        arguments: Vec<Expr>,
    },
    /// `count(*)`.
    CountStar,
    /// `CAST(x AS type)`.
    Cast(Box<Expr>, ValueType),
    /// `x IS [NOT] TYPED type` and its kin; the flag negates.
    Is(Box<Expr>, Box<Predicate>, bool),
    /// `all | any | none | single (x IN list WHERE condition)`.
    Quantified {
        /// Which.
        kind: Quantification,
        /// The variable.
        variable: Name,
        /// What is looked at.
        list: Box<Expr>,
        /// What is asked of each element.
        condition: Box<Expr>,
    },
    /// `reduce(total = 0, x IN list | total + x)`.
    Reduce(Box<Reduction>),
    /// `[x IN list WHERE condition | result]`.
    Comprehension {
        /// The variable.
        variable: Name,
        /// What is taken apart.
        list: Box<Expr>,
        /// Which elements.
        condition: Option<Box<Expr>>,
        /// What becomes of each.
        result: Option<Box<Expr>>,
    },
    /// `(a)-[:T]->(b)` where a truth value is asked for: whether there is such a path.
    Pattern(Box<PathPattern>),
    /// `[p = (a)-->(b) WHERE condition | result]`.
    PatternComprehension(Box<PatternComprehension>),
    /// `n {.name, .*, age: 36, other}`.
    MapProjection(Box<MapProjection>),
    /// `EXISTS { … }`, `COUNT { … }`, `COLLECT { … }`, `VALUE { … }`.
    Subquery(SubqueryKind, Box<Query>),
}

/// A list with an element for each match of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternComprehension {
    /// What is matched.
    pub pattern: PathPattern,
    /// Which matches.
    pub condition: Option<Expr>,
    /// What becomes of each.
    pub result: Expr,
}

/// A map of chosen properties and other values (Cypher); null when its base is null.
#[derive(Clone, Debug, PartialEq)]
pub struct MapProjection {
    /// What has the properties: a variable.
    pub base: Expr,
    /// `.*`: every property, under the entries.
    pub all: bool,
    /// The entries; `.name` is the property of the base.
    pub entries: Vec<(Name, Expr)>,
}

/// What is made of the rows of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubqueryKind {
    /// Whether there are any.
    Exists,
    /// How many there are.
    Count,
    /// The values of their only column.
    Collect,
    /// The value of the only column of the only row; null when there is none.
    Value,
}

impl SubqueryKind {
    /// The keyword.
    pub fn text(self) -> &'static str {
        match self {
            Self::Exists => "EXISTS",
            Self::Count => "COUNT",
            Self::Collect => "COLLECT",
            Self::Value => "VALUE",
        }
    }
}

/// What goes through a list and keeps one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// The name of the value that is kept.
    pub total: Name,
    /// What it is at first.
    pub initial: Expr,
    /// The variable.
    pub variable: Name,
    /// What is gone through.
    pub list: Expr,
    /// What the value becomes at each element.
    pub next: Expr,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `NULL`, and `UNKNOWN`, which is the null among the truth values.
    Null,
    /// `TRUE`, `FALSE`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `1.5M`.
    Decimal(Decimal),
    /// `DATE '2015-07-21'` and its kin.
    Temporal(Temporal),
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq)]
pub enum AccessStep {
    /// `.key`.
    Key(Name),
    /// `[i]`.
    Index(Expr),
    /// `[i..j]`.
    Slice(Option<Expr>, Option<Expr>),
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `NOT`.
    Not,
    /// `-`.
    Minus,
    /// `+`.
    Plus,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`: numbers, strings, lists.
    Add,
    /// `-`.
    Subtract,
    /// `||`: strings, lists, byte strings, paths.
    Concat,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
    /// `^`.
    Power,
}

impl BinaryOp {
    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concat => "||",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
        }
    }
}

/// `AND`, `OR`, `XOR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalOp {
    /// `AND`.
    And,
    /// `OR`.
    Or,
    /// `XOR`.
    Xor,
}

impl LogicalOp {
    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
        }
    }
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`.
    Equal,
    /// `<>`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
}

impl CompareOp {
    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }
}

/// Tests of a string against a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringOp {
    /// `STARTS WITH`.
    StartsWith,
    /// `ENDS WITH`.
    EndsWith,
    /// `CONTAINS`.
    Contains,
}

/// Which elements of a list must satisfy a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantification {
    /// Every one.
    All,
    /// At least one.
    Any,
    /// Not one.
    None,
    /// Exactly one.
    Single,
}

/// What IS can ask of a value (ISO/IEC 39075, 19.6 to 19.10).
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// `TYPED type`.
    Typed(ValueType),
    /// `[NFC | NFD | NFKC | NFKD] NORMALIZED`.
    Normalized(NormalForm),
    /// `DIRECTED`.
    Directed,
    /// `SOURCE OF edge`.
    Source(Expr),
    /// `DESTINATION OF edge`.
    Destination(Expr),
}

/// The normal forms of Unicode (UAX 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalForm {
    /// Canonically composed.
    Nfc,
    /// Canonically decomposed.
    Nfd,
    /// Compatibly composed.
    Nfkc,
    /// Compatibly decomposed.
    Nfkd,
}

impl NormalForm {
    /// Every form with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("NFC", Self::Nfc),
        ("NFD", Self::Nfd),
        ("NFKC", Self::Nfkc),
        ("NFKD", Self::Nfkd),
    ];

    /// The form of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, form)| *form)
    }
}
