//! Physical plans: the operators of this run, borrowing from the logical plan. Patterns become scans and expansions in an order
//! chosen by [`super::matching`]; the other steps run as they stand.

use super::access::Seek;
use super::logical::{
    Apply, EdgeDirection, Group, LinearPlan, Match, Merge, QueryPlan, Segment, SortKey, Step,
};
use super::matching::{Statistics, order_match};
use super::reach;
use super::reads::{Reads, read_once};
use crate::aggregate::{Aggregate, AggregateCall};
use crate::expr::{Expr, LabelTest};
use crate::names::NameIndex;
use geode_gql::ast::{PathSearch, SetOperation};
use geode_graph::GraphId;
use geode_types::QueryError;

/// One operator.
#[derive(Debug)]
pub(crate) enum Op<'p> {
    /// A logical step that needs no choice.
    Step(&'p Step),
    /// No operator: those behind it work on this graph.
    Use(GraphId),
    /// The rows handed in by the enclosing operator.
    Argument,
    /// Sorts, keeping only what the page behind it can show.
    Top {
        keys: &'p [SortKey],
        offset: Option<&'p Expr>,
        limit: &'p Expr,
    },
    /// The page of a statement that writes: what it cuts off is still computed.
    DrainingPage {
        offset: Option<&'p Expr>,
        limit: Option<&'p Expr>,
    },
    /// Drops rows where the cell is null, refuses those where it is no node.
    CheckNode { slot: usize },
    /// The node of this number, if it is there.
    Seek { slot: usize, id: &'p Expr },
    /// Nodes that an index has for some conditions, perhaps more.
    IndexSeek { slot: usize, seek: Seek<'p> },
    /// Every node with the label, or every node.
    Scan {
        slot: usize,
        label: Option<NameIndex>,
        reads: Reads<'p>,
        /// How many operators, from this one on, run on parts of the scan side by side; 0: none.
        reach: usize,
    },
    /// The edges of a node.
    Expand(Expand<'p>),
    /// Chains of edges from a node.
    Repeat(Repeat<'p>),
    /// Repetitions of a path from a node.
    RepeatPath(RepeatPath<'p>),
    /// Rows in which a condition holds of every edge of a chain; each is looked at in the cell `element`.
    EachEdge {
        slot: usize,
        element: usize,
        condition: &'p Expr,
    },
    /// Nodes that two known ones share as neighbours.
    Intersect(Intersect<'p>),
    /// The number of edges of a node, into the cell of the edge.
    Degree(Expand<'p>),
    /// Groups of which only the number of rows is asked for, and each row stands for as many as a cell says.
    CountEdges {
        keys: &'p [Expr],
        calls: &'p [AggregateCall],
        segment: Segment,
        weight: usize,
    },
    /// The ends of an edge that is already known.
    Endpoints(Expand<'p>),
    /// Rows whose element passes a label test.
    Labels {
        slot: usize,
        test: &'p LabelTest,
        reads: Reads<'p>,
    },
    /// Rows for which conditions hold.
    Filter(Vec<&'p Expr>),
    /// Path variables.
    Paths(&'p [(usize, Expr)]),
    /// All matches of each row, or the row itself when there are none.
    Optional { inner: Vec<Op<'p>>, marker: usize },
    /// The rows of a query for each row.
    Apply {
        apply: &'p Apply,
        query: LoweredQuery<'p>,
    },
    /// The rows that a query makes of all rows.
    Feed {
        query: LoweredQuery<'p>,
        width: usize,
        writes: bool,
    },
    /// All matches of each row, or what is created when there are none.
    Merge { inner: Vec<Op<'p>>, merge: &'p Merge },
}

/// How an edge of a pattern is followed.
#[derive(Clone, Debug)]
pub(crate) struct Expand<'p> {
    pub from: usize,
    pub edge: usize,
    pub to: usize,
    pub direction: EdgeDirection,
    pub types: &'p [NameIndex],
    pub test: Option<&'p LabelTest>,
    /// Whether `from` and `to` are filled already, so that the edge only has to join them. `from` always is, except in
    /// [`Op::Endpoints`].
    pub from_bound: bool,
    pub to_bound: bool,
    /// Edges of the same MATCH that must be different ones.
    pub distinct_from: Vec<usize>,
}

/// How a chain of edges is followed.
#[derive(Clone, Debug)]
pub(crate) struct Repeat<'p> {
    pub expand: Expand<'p>,
    pub min: usize,
    pub max: usize,
    pub group: bool,
    pub walk: bool,
    pub search: PathSearch,
    /// Whether the chain is walked from the end of the pattern's edge to its start.
    pub backwards: bool,
    /// Whether the edges are known and only have to be walked.
    pub edges_bound: bool,
    pub element: usize,
    /// What can be asked of each edge while the chain is walked.
    pub conditions: Vec<&'p Expr>,
}

/// How a path is repeated.
#[derive(Debug)]
pub(crate) struct RepeatPath<'p> {
    pub expand: Expand<'p>,
    pub min: usize,
    pub max: usize,
    pub walk: bool,
    pub group: &'p Group,
    pub query: LoweredQuery<'p>,
}

/// The operators of a query.
#[derive(Debug)]
pub(crate) struct LoweredQuery<'p> {
    /// Linear queries, each with the widths of its layouts.
    pub parts: Vec<(Vec<Op<'p>>, &'p [usize])>,
    /// What joins them.
    pub operation: Option<SetOperation>,
}

/// Chooses the operators of a query. `writes` tells whether the statement writes.
pub(crate) fn lower_query<'p>(
    query: &'p QueryPlan,
    writes: bool,
    statistics: &mut dyn Statistics,
) -> Result<LoweredQuery<'p>, QueryError> {
    let parts = query.parts.iter().map(|part| {
        let ops = lower(part, writes, statistics)?;
        Ok((ops, part.widths.as_slice()))
    });
    Ok(LoweredQuery {
        parts: parts.collect::<Result<_, QueryError>>()?,
        operation: query.operation,
    })
}

/// Two edges with a common end that is not known yet.
#[derive(Debug)]
pub(crate) struct Intersect<'p> {
    pub left: Arm<'p>,
    pub right: Arm<'p>,
    /// The common end.
    pub to: usize,
    /// Whether the two must be different edges.
    pub are_different: bool,
}

/// An edge from a known node to the common end.
#[derive(Debug)]
pub(crate) struct Arm<'p> {
    pub from: usize,
    pub edge: usize,
    /// Seen from the known node.
    pub direction: EdgeDirection,
    pub types: &'p [NameIndex],
    pub test: Option<&'p LabelTest>,
    /// Edges matched before that must be different ones.
    pub distinct_from: Vec<usize>,
}

impl<'p> Arm<'p> {
    /// The edge from its known end, which may be `to` in the pattern.
    fn new(expand: &Expand<'p>, common: usize, other: usize) -> Self {
        let (from, direction) = if expand.to == common {
            (expand.from, expand.direction)
        } else {
            (expand.to, expand.direction.reversed())
        };
        Self {
            from,
            edge: expand.edge,
            direction,
            types: expand.types,
            test: expand.test,
            distinct_from: expand
                .distinct_from
                .iter()
                .copied()
                .filter(|edge| *edge != other)
                .collect(),
        }
    }
}

/// Chooses the operators of a linear plan.
fn lower<'p>(
    plan: &'p LinearPlan,
    writes: bool,
    statistics: &mut dyn Statistics,
) -> Result<Vec<Op<'p>>, QueryError> {
    let mut ops = Vec::with_capacity(plan.steps.len());
    let graph = statistics.graph();
    let mut steps = plan.steps.iter().peekable();
    while let Some(step) = steps.next() {
        match (step, steps.peek()) {
            (Step::Argument, _) => ops.push(Op::Argument),
            (Step::Apply(apply), _) => {
                let query = lower_query(&apply.query, writes, statistics)?;
                ops.push(Op::Apply { apply, query });
            }
            (Step::Feed { query, segment }, _) => ops.push(Op::Feed {
                query: lower_query(query, writes, statistics)?,
                width: plan.widths.get(segment.0).copied().unwrap_or_default(),
                writes: step.writes(),
            }),
            (Step::Use(choice), _) => ops.push(Op::Use(statistics.enter(choice)?)),
            (Step::Match(pattern), next) => {
                let counted = next.and_then(|next| counted(pattern, next));
                lower_match(pattern, &mut ops, statistics)?;
                if let Some(count) = counted.and_then(|count| count_edges(&mut ops, count)) {
                    ops.push(count);
                    steps.next();
                }
            }
            (Step::Merge(merge), _) => {
                let mut inner = vec![Op::Argument];
                inner.extend(order_match(&merge.pattern, statistics)?);
                ops.push(Op::Merge { inner, merge });
            }
            (
                Step::Sort(keys),
                Some(Step::Page {
                    offset,
                    limit: Some(limit),
                }),
            ) => {
                ops.push(Op::Top {
                    keys,
                    offset: offset.as_ref(),
                    limit,
                });
            }
            (Step::Page { offset, limit }, _) if writes => {
                ops.push(Op::DrainingPage {
                    offset: offset.as_ref(),
                    limit: limit.as_ref(),
                });
            }
            _ => ops.push(Op::Step(step)),
        }
    }
    statistics.return_to(graph);
    let mut ops = read_once(ops);
    reach::note(&mut ops, statistics)?;
    Ok(ops)
}

/// What an aggregation asks that follows a pattern: its keys, its calls and its layout, when all calls count rows.
type Counted<'p> = (&'p [Expr], &'p [AggregateCall], Segment);

fn counted<'p>(pattern: &Match, next: &'p Step) -> Option<Counted<'p>> {
    let Step::Aggregate { keys, calls, segment } = next else {
        return None;
    };
    // What a pattern finds is never null, so counting it is counting rows.
    let is_found = |slot: &usize| {
        pattern.nodes.iter().any(|node| node.slot == *slot)
            || pattern.edges.iter().any(|edge| edge.slot == *slot)
    };
    let counts_rows = |call: &AggregateCall| match (call.function, &call.argument) {
        (Aggregate::CountRows, _) => true,
        (Aggregate::Count, Some(Expr::Slot(slot))) => !call.distinct && is_found(slot),
        _ => false,
    };
    let is_fit = pattern.optional.is_none() && pattern.paths.is_empty() && calls.iter().all(counts_rows);
    is_fit.then_some((keys, calls, *segment))
}

/// When the last thing that a pattern does is to follow an edge that nobody asks about, its edges are only counted.
fn count_edges<'p>(ops: &mut Vec<Op<'p>>, (keys, calls, segment): Counted<'p>) -> Option<Op<'p>> {
    let Some(Op::Expand(expand)) = ops.last() else {
        return None;
    };
    let is_read = |slot| keys.iter().any(|key| key.slots().contains(&slot));
    if expand.to_bound
        || expand.test.is_some()
        || !expand.distinct_from.is_empty()
        || is_read(expand.edge)
        || is_read(expand.to)
    {
        return None;
    }
    let expand = expand.clone();
    let weight = expand.edge;
    ops.pop();
    ops.push(Op::Degree(expand));
    Some(Op::CountEdges {
        keys,
        calls,
        segment,
        weight,
    })
}

/// Where an edge leads to a node and the next edge only has to join that node to a known one, both are looked for at once. What lies between
/// them tests the node, and does so afterwards.
fn intersect<'p>(ops: Vec<Op<'p>>) -> Vec<Op<'p>> {
    let mut joined: Vec<Op<'p>> = Vec::with_capacity(ops.len());
    for op in ops {
        if let Op::Expand(second) = &op
            && second.to_bound
            && let Some(at) = joined
                .iter()
                .rposition(|op| !matches!(op, Op::Labels { .. } | Op::Filter(_)))
            && let Some(Op::Expand(first)) = joined.get(at)
            && !first.to_bound
            && first.from != first.to
            && (second.from == first.to) != (second.to == first.to)
        {
            let common = first.to;
            let both = Intersect {
                left: Arm::new(first, common, second.edge),
                right: Arm::new(second, common, first.edge),
                to: common,
                are_different: second.distinct_from.contains(&first.edge),
            };
            joined[at] = Op::Intersect(both);
            continue;
        }
        joined.push(op);
    }
    joined
}

fn lower_match<'p>(
    pattern: &'p Match,
    ops: &mut Vec<Op<'p>>,
    statistics: &mut dyn Statistics,
) -> Result<(), QueryError> {
    let ordered = intersect(order_match(pattern, statistics)?);
    match pattern.optional {
        None => ops.extend(ordered),
        Some(marker) => {
            let mut inner = vec![Op::Argument];
            inner.extend(ordered);
            ops.push(Op::Optional { inner, marker });
        }
    }
    Ok(())
}
