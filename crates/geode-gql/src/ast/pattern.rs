//! Patterns of nodes and edges.

use super::{Expr, Name};
use crate::Span;

/// `[p =] (a)-[e]->(b)…`: a start node and steps from it.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPattern {
    /// `p =`.
    pub variable: Option<Name>,
    /// Which of the paths.
    pub search: PathSearch,
    /// What it must not repeat.
    pub mode: Option<PathMode>,
    /// Where the path starts.
    pub start: NodePattern,
    /// An edge and the node at its other end, each.
    pub steps: Vec<(EdgePattern, NodePattern)>,
    /// Where.
    pub span: Span,
}

impl PathPattern {
    /// The nodes from left to right.
    pub fn nodes(&self) -> impl Iterator<Item = &NodePattern> {
        std::iter::once(&self.start).chain(self.steps.iter().map(|(_, node)| node))
    }
}

/// Which paths are taken of those that join the same two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathSearch {
    /// Every one.
    #[default]
    Every,
    /// So many of the shortest: `ANY SHORTEST`, `SHORTEST k`, `shortestPath(…)`; also `ANY k`, which leaves the choice open.
    Shortest(u64),
    /// All of the so many smallest lengths: `ALL SHORTEST`, `SHORTEST k GROUPS`, `allShortestPaths(…)`.
    ShortestGroups(u64),
}

/// What a path must not repeat (ISO/IEC 39075, 16.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathMode {
    /// It may repeat everything.
    Walk,
    /// No edge twice.
    Trail,
    /// No node twice, but it may end where it began.
    Simple,
    /// No node twice.
    Acyclic,
}

/// `(n:Label {key: value} WHERE condition)`.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePattern {
    /// The variable.
    pub variable: Option<Name>,
    /// The labels that it must carry.
    pub labels: Option<LabelExpr>,
    /// Properties that it must have: a map or, for `INSERT`, a parameter.
    pub properties: Option<Expr>,
    /// `WHERE` inside the parentheses.
    pub condition: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// `-[e:TYPE {key: value} WHERE condition]->` with an optional quantifier, or in its place a path in parentheses with one.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgePattern {
    /// The path in parentheses, which has no variable, labels, properties and condition of its own.
    pub group: Option<Box<PathGroup>>,
    /// The variable.
    pub variable: Option<Name>,
    /// Which way.
    pub direction: Direction,
    /// The types that it may have.
    pub labels: Option<LabelExpr>,
    /// Properties that it must have.
    pub properties: Option<Expr>,
    /// `WHERE` inside the brackets.
    pub condition: Option<Expr>,
    /// How many edges in a row.
    pub quantifier: Option<Quantifier>,
    /// Where.
    pub span: Span,
}

/// `((a)-[e]->(b) WHERE condition)`: a path that is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct PathGroup {
    /// The path.
    pub pattern: PathPattern,
    /// What holds of each of its repetitions.
    pub condition: Option<Expr>,
}

/// Which way an edge pattern points, read from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `-[]->`.
    Right,
    /// `<-[]-`.
    Left,
    /// `-[]-`.
    Any,
    /// `<-[]->`: GQL's "left or right".
    LeftOrRight,
    /// `~[]~` and its kin: edges without direction.
    Undirected,
}

/// `{2}`, `{1,3}`, `*`, `+`, `?` after an edge, `*1..3` within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantifier {
    /// At least.
    pub min: u64,
    /// At most; `None` is no bound.
    pub max: Option<u64>,
    /// Written `?`: the variable is the edge or null, not a list.
    pub question: bool,
    /// Where.
    pub span: Span,
}

/// What the labels of a node or the type of an edge must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelExpr {
    /// This label.
    Name(Name),
    /// `%`: any label at all.
    Wildcard(Span),
    /// `!a`.
    Not(Box<LabelExpr>),
    /// `a & b`, `:a:b`.
    And(Vec<LabelExpr>),
    /// `a | b`.
    Or(Vec<LabelExpr>),
}

impl LabelExpr {
    /// The names when the expression is a plain list of them (`:A:B`, `:A&B`), as writing clauses need it.
    pub fn conjunction(&self) -> Option<Vec<&Name>> {
        match self {
            Self::Name(name) => Some(vec![name]),
            Self::And(parts) => {
                let lists: Option<Vec<_>> = parts.iter().map(Self::conjunction).collect();
                Some(lists?.concat())
            }
            Self::Wildcard(_) | Self::Not(_) | Self::Or(_) => None,
        }
    }
}
