//! Logical plans: a chain of steps per linear query. Each works on the rows of the one before.
//!
//! Rows have a layout per *segment*: within one, steps only fill further cells; a step that names a segment begins a new layout.

use crate::aggregate::AggregateCall;
use crate::catalog::GraphChoice;
use crate::expr::{Expr, LabelTest};
use crate::names::{NameIndex, Names};
use crate::system::ParameterType;
use geode_gql::Span;
use geode_gql::ast::{PathSearch, SetOperation};
use geode_graph::Direction;

/// Number of a row layout within its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment(pub usize);

/// A whole query.
#[derive(Debug)]
pub(crate) struct Plan {
    pub query: QueryPlan,
    /// The result's columns; empty when nothing is returned.
    pub columns: Vec<String>,
    /// Queries within expressions, by number.
    pub subqueries: Vec<QueryPlan>,
    /// What the steps' name numbers stand for.
    pub names: Names,
    /// Whether any step chooses a graph.
    pub switches: bool,
    /// Whether any step writes.
    pub writes: bool,
}

/// Linear queries and how their results become one.
#[derive(Debug, Default)]
pub(crate) struct QueryPlan {
    /// At least one.
    pub parts: Vec<LinearPlan>,
    /// What joins neighbours; of no meaning for a single part.
    pub operation: Option<SetOperation>,
}

impl QueryPlan {
    /// Whether any step writes.
    pub(crate) fn writes(&self) -> bool {
        self.parts.iter().flat_map(|part| &part.steps).any(Step::writes)
    }
}

/// One linear query.
#[derive(Debug, Default)]
pub(crate) struct LinearPlan {
    pub steps: Vec<Step>,
    /// Cells per row, by segment.
    pub widths: Vec<usize>,
}

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    /// One row without values.
    Unit { segment: Segment },
    /// The rows that the plan around hands in.
    Argument,
    /// The rows of a system table.
    Table { name: String, segment: Segment },
    /// The steps behind it work on this graph.
    Use(GraphChoice),
    /// Matches of a pattern.
    Match(Box<Match>),
    /// Rows for which the condition is true.
    Filter(Expr),
    /// Computes cells.
    Extend(Vec<(usize, Expr)>),
    /// A row for each element of a list.
    Unwind {
        list: Expr,
        slot: usize,
        counter: Option<(usize, i64)>,
    },
    /// Groups; the new layout holds the keys, then the aggregates.
    Aggregate {
        keys: Vec<Expr>,
        calls: Vec<AggregateCall>,
        segment: Segment,
    },
    /// One row of those that agree in these cells.
    Distinct(Vec<usize>),
    /// Orders the rows.
    Sort(Vec<SortKey>),
    /// Skips and cuts.
    Page {
        offset: Option<Expr>,
        limit: Option<Expr>,
    },
    /// For each row the rows of a query.
    Apply(Box<Apply>),
    /// All rows go into a query, whose rows come out.
    Feed { query: Box<QueryPlan>, segment: Segment },
    /// For each row the rows of a procedure.
    Procedure(Box<Procedure>),
    /// Keeps only these cells, in this order.
    Compact { slots: Vec<usize>, segment: Segment },
    /// Creates nodes and edges.
    Insert(Vec<CreateElement>),
    /// Matches a pattern or creates it.
    Merge(Box<Merge>),
    /// Changes properties and labels.
    Set(Vec<SetAction>),
    /// Deletes nodes, edges, paths.
    Delete { detach: bool, targets: Vec<Expr> },
    /// Swallows the rows of a statement that returns nothing.
    Discard,
}

/// A query that is run for each row.
#[derive(Debug)]
pub(crate) struct Apply {
    pub query: QueryPlan,
    /// The first cells of its rows.
    pub imports: Vec<Expr>,
    /// Where its columns go. None when it returns nothing: then the row goes on as it is.
    pub outputs: Option<Vec<usize>>,
    /// Whether a row without a result goes on, with nulls.
    pub optional: bool,
}

/// A procedure that is called for each row.
#[derive(Debug)]
pub(crate) struct Procedure {
    pub name: String,
    /// Each with the type that it is made.
    pub arguments: Vec<(Expr, ParameterType)>,
    /// Columns of the result and where they go.
    pub outputs: Vec<(usize, usize)>,
    /// Whether it has no result at all, so that the row goes on as it is.
    pub is_void: bool,
    pub span: Span,
}

/// A key of ORDER BY.
#[derive(Debug)]
pub(crate) struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

/// A pattern as a graph of its own: terms by number, joined by edges, restricted by predicates.
#[derive(Debug, Default)]
pub(crate) struct Match {
    /// For OPTIONAL: the cell that numbers the incoming rows while their matches are looked for.
    pub optional: Option<usize>,
    /// Whether an edge may be matched more than once.
    pub repeatable: bool,
    pub nodes: Vec<NodeTerm>,
    pub edges: Vec<EdgeTerm>,
    /// Conjuncts; each is applied as soon as its slots are filled.
    pub predicates: Vec<Predicate>,
    /// Path variables and their elements.
    pub paths: Vec<(usize, Expr)>,
}

/// A node of a pattern.
#[derive(Debug)]
pub(crate) struct NodeTerm {
    pub slot: usize,
    /// Filled by an earlier step.
    pub bound: bool,
    pub labels: Option<LabelTest>,
}

/// An edge of a pattern, or a chain of edges.
#[derive(Debug)]
pub(crate) struct EdgeTerm {
    pub slot: usize,
    /// Filled by an earlier step.
    pub bound: bool,
    /// Numbers of node terms.
    pub from: usize,
    pub to: usize,
    pub direction: EdgeDirection,
    /// The types it may have; empty is any.
    pub types: Vec<NameIndex>,
    /// A label expression that is no plain choice of types.
    pub test: Option<LabelTest>,
    /// The number of its path pattern.
    pub path: usize,
    /// Whether that path takes no edge twice even where edges may repeat.
    pub trail: bool,
    /// When it stands for a chain of edges.
    pub repeat: Option<Box<Repeat>>,
}

impl EdgeTerm {
    /// The cells of the variables of a repeated path.
    pub(crate) fn variables(&self) -> impl Iterator<Item = usize> {
        let group = self.repeat.as_ref().and_then(|repeat| repeat.group_of.as_ref());
        group
            .into_iter()
            .flat_map(|group| group.variables.iter().copied())
    }
}

/// How often an edge is followed.
#[derive(Debug)]
pub(crate) struct Repeat {
    pub min: usize,
    /// `usize::MAX` is no bound.
    pub max: usize,
    /// Whether the variable is the list of the edges; otherwise it is the only edge, or null when there is none.
    pub group: bool,
    /// Whether an edge may be in the chain more than once.
    pub walk: bool,
    /// Which of the chains that join the same two nodes.
    pub search: PathSearch,
    /// The cell in which `conditions` find the edge that is looked at.
    pub element: usize,
    /// What holds of every edge of the chain.
    pub conditions: Vec<Predicate>,
    /// When a path is repeated and not an edge.
    pub group_of: Option<Group>,
}

/// A path that is repeated.
#[derive(Debug)]
pub(crate) struct Group {
    /// Gives, for a node at which a repetition begins, the node at its end, its path, and the values of its variables.
    pub query: QueryPlan,
    /// What it uses of the row around it, behind the node at which it begins.
    pub imports: Vec<Expr>,
    /// Where the variables go.
    pub variables: Vec<usize>,
    /// As lists with an element for each repetition; otherwise as they are, or null when there is no repetition.
    pub as_lists: bool,
}

/// Seen from the term `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeDirection {
    Out,
    In,
    Both,
}

impl EdgeDirection {
    /// As the graph calls it.
    pub(crate) fn of_graph(self) -> Direction {
        match self {
            Self::Out => Direction::Out,
            Self::In => Direction::In,
            Self::Both => Direction::Both,
        }
    }

    /// Seen from the other end.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Out,
            Self::Both => Self::Both,
        }
    }
}

/// A conjunct of a pattern's conditions.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub expr: Expr,
    pub slots: Vec<usize>,
    /// `(slot, n)` when it is `id(slot) = n`, and `n` does not depend on the slot: the node can be looked up.
    pub id_of: Option<(usize, Expr)>,
    /// `(slot)` when it compares a property of this slot for equality: a hint on selectivity.
    pub equality_on: Option<usize>,
}

/// The properties of something that is created.
#[derive(Debug)]
pub(crate) enum Properties {
    Entries(Vec<(NameIndex, Expr)>),
    Dynamic(Expr),
}

/// Something to create. Order matters: ends come before their edges.
#[derive(Debug)]
pub(crate) enum CreateElement {
    Node {
        slot: usize,
        labels: Vec<NameIndex>,
        properties: Properties,
    },
    Edge {
        slot: usize,
        edge_type: NameIndex,
        start: usize,
        end: usize,
        properties: Properties,
    },
    Path {
        slot: usize,
        path: Expr,
    },
}

impl CreateElement {
    /// The cell that it fills.
    pub(crate) fn slot(&self) -> usize {
        match self {
            Self::Node { slot, .. } | Self::Edge { slot, .. } | Self::Path { slot, .. } => *slot,
        }
    }

    /// What its properties are computed from.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let (entries, map) = match self {
            Self::Node { properties, .. } | Self::Edge { properties, .. } => match properties {
                Properties::Entries(entries) => (Some(entries), None),
                Properties::Dynamic(map) => (None, Some(map)),
            },
            Self::Path { .. } => (None, None),
        };
        let entries = entries.into_iter().flatten().map(|(_, value)| value);
        entries.chain(map)
    }
}

/// MERGE.
#[derive(Debug)]
pub(crate) struct Merge {
    pub pattern: Match,
    pub create: Vec<CreateElement>,
    pub on_create: Vec<SetAction>,
    pub on_match: Vec<SetAction>,
}

/// One change of SET or REMOVE.
#[derive(Debug)]
pub(crate) enum SetAction {
    /// `value` null removes.
    Property {
        target: Expr,
        key: NameIndex,
        value: Expr,
    },
    /// All properties at once; `merge` keeps the others.
    Properties { slot: usize, value: Expr, merge: bool },
    Labels {
        slot: usize,
        labels: Vec<NameIndex>,
        add: bool,
    },
}

impl Plan {
    /// Whether it only creates what it names, from values that are there.
    pub(crate) fn is_short(&self) -> bool {
        let mut steps = self.query.parts.iter().flat_map(|part| &part.steps);
        steps.all(|step| match step {
            Step::Unit { .. } | Step::Compact { .. } | Step::Discard => true,
            Step::Extend(cells) => cells.iter().all(|(_, expr)| expr.is_plain()),
            Step::Insert(elements) => elements.iter().all(|element| match element {
                CreateElement::Node { properties, .. } | CreateElement::Edge { properties, .. } => {
                    properties.are_plain()
                }
                CreateElement::Path { .. } => true,
            }),
            _ => false,
        })
    }
}

impl Properties {
    fn are_plain(&self) -> bool {
        match self {
            Self::Entries(entries) => entries.iter().all(|(_, expr)| expr.is_plain()),
            Self::Dynamic(expr) => expr.is_plain(),
        }
    }
}

impl Step {
    /// Whether the step changes the graph.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Insert(_) | Self::Merge(_) | Self::Set(_) | Self::Delete { .. } => true,
            Self::Apply(apply) => apply.query.writes(),
            Self::Feed { query, .. } => query.writes(),
            _ => false,
        }
    }
}
