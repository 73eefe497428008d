//! Physical operators → running ones.

use super::apply::{Apply, Feed};
use super::chain::{Chain, Operator, Stage};
use super::collect::{self, Distinct, Group};
use super::columns::Wanted;
use super::degree::degree;
use super::expand::{Expansion, between, endpoints};
use super::index::IndexSeek;
use super::intersect::Intersection;
use super::merge::merge;
use super::optional::Optional;
use super::parallel::Parallel;
use super::rows::Rows;
use super::scan::{Scan, seek};
use super::sort::{Page, Sort};
use super::source::{Argument, Table, Unit};
use super::{profile, rowwise, write};
use crate::plan::explain::op_name;
use crate::plan::logical::{Segment, Step};
use crate::plan::physical::Op;
use geode_graph::{GraphId, NodeScan};

/// Where no operator of a plan is.
const NO_PLACE: usize = 0;

/// A chain of fresh operators. `widths` are the layouts of the plan; nested chains begin none.
pub(super) fn build<'p>(ops: &'p [Op<'p>], widths: &[usize]) -> Chain<'p> {
    let mut stages = Vec::with_capacity(ops.len());
    let mut graph = None;
    let mut left = ops;
    while let Some((op, behind)) = left.split_first() {
        match op {
            Op::Use(chosen) => graph = Some(*chosen),
            Op::Scan { reach, .. } if *reach > 0 => {
                let (shared, behind) = left.split_at(*reach);
                let wanted = behind.first().map(wanted_by).unwrap_or_default();
                stages.push(Stage {
                    graph,
                    name: "Parallel",
                    operator: Box::new(Parallel::new(shared, wanted, widths)),
                    // Its operators have their own accounts.
                    place: NO_PLACE,
                });
                left = behind;
                continue;
            }
            op => stages.push(stage(op, graph, widths)),
        }
        left = behind;
    }
    Chain::new(stages)
}

/// The operators of [`Parallel`] on a part of the scan that they begin with, for this row.
pub(super) fn build_part<'p>(
    ops: &'p [Op<'p>],
    widths: &[usize],
    row: Rows,
    part: NodeScan,
    page_rows: usize,
) -> Chain<'p> {
    let mut stages: Vec<Stage<'p>> = ops.iter().map(|op| stage(op, None, widths)).collect();
    if let (
        Some(first),
        Some(Op::Scan {
            slot, label, reads, ..
        }),
    ) = (stages.first_mut(), ops.first())
    {
        first.operator = Box::new(Scan::new(*slot, *label, reads).on(row, part, page_rows));
    }
    Chain::new(stages)
}

/// What an operator reads of nodes for a whole batch at once.
fn wanted_by(op: &Op<'_>) -> Wanted {
    match op {
        Op::Step(Step::Aggregate { keys, calls, .. }) => collect::wanted(keys, calls),
        Op::CountEdges { keys, calls, .. } => collect::wanted(keys, calls),
        Op::Top { keys, .. } => Wanted::of(keys.iter().map(|key| &key.expr)),
        Op::Step(Step::Sort(keys)) => Wanted::of(keys.iter().map(|key| &key.expr)),
        _ => Wanted::default(),
    }
}

fn stage<'p>(op: &'p Op<'p>, graph: Option<GraphId>, widths: &[usize]) -> Stage<'p> {
    Stage {
        graph,
        name: op_name(op),
        operator: operator(op, widths),
        place: profile::place(op),
    }
}

fn operator<'p>(op: &'p Op<'p>, widths: &[usize]) -> Box<dyn Operator + 'p> {
    match op {
        Op::Step(step) => step_operator(step, widths),
        // A choice of graph is taken out before.
        Op::Argument | Op::Use(_) => Box::new(Argument::default()),
        Op::Top { keys, offset, limit } => Box::new(Sort::new(keys, Some((*offset, limit)))),
        Op::DrainingPage { offset, limit } => Box::new(Page::new(*offset, *limit, true)),
        Op::CheckNode { slot } => rowwise::check_node(*slot),
        Op::Seek { slot, id } => Box::new(seek(*slot, id)),
        Op::IndexSeek { slot, seek } => Box::new(IndexSeek::new(*slot, seek)),
        Op::Scan {
            slot, label, reads, ..
        } => Box::new(Scan::new(*slot, *label, reads)),
        Op::Expand(spec) if spec.to_bound => Box::new(between(spec.clone())),
        Op::Expand(spec) => Box::new(Expansion::new(spec.clone())),
        Op::RepeatPath(spec) => Box::new(super::repeat_path::RepeatPath::new(spec)),
        Op::Repeat(spec) => super::repeat::repeat(spec),
        Op::EachEdge {
            slot,
            element,
            condition,
        } => super::repeat::each_edge(*slot, *element, condition),
        Op::Intersect(spec) => Box::new(Intersection::new(spec)),
        Op::Degree(spec) => Box::new(degree(spec)),
        Op::CountEdges {
            keys,
            calls,
            segment,
            weight,
        } => Box::new(Group::new(keys, calls, width_of(*segment, widths), Some(*weight))),
        Op::Endpoints(spec) => Box::new(endpoints(spec.clone())),
        Op::Labels { slot, test, reads } => rowwise::labels(*slot, test, reads),
        Op::Filter(conditions) => rowwise::filter(conditions.clone()),
        Op::Paths(paths) => rowwise::extend(paths),
        Op::Optional { inner, marker } => Box::new(Optional::new(inner, *marker)),
        Op::Apply { apply, query } => Box::new(Apply::new(apply, query)),
        Op::Feed { query, width, writes } => Box::new(Feed::new(query, *width, *writes)),
        Op::Merge { inner, merge: spec } => merge(inner, spec),
    }
}

fn width_of(segment: Segment, widths: &[usize]) -> usize {
    widths.get(segment.0).copied().unwrap_or_default()
}

fn step_operator<'p>(step: &'p Step, widths: &[usize]) -> Box<dyn Operator + 'p> {
    let width = |segment: &Segment| width_of(*segment, widths);
    match step {
        Step::Unit { segment } => Box::new(Unit {
            width: width(segment),
            done: false,
        }),
        Step::Table { name, segment } => Box::new(Table {
            name,
            width: width(segment),
            rows: None,
        }),
        Step::Filter(condition) => rowwise::filter(vec![condition]),
        Step::Extend(cells) => rowwise::extend(cells),
        Step::Unwind { list, slot, counter } => Box::new(rowwise::Unwind {
            list,
            slot: *slot,
            counter: *counter,
            input: None,
            at: 0,
            items: None,
            held: 0,
        }),
        Step::Aggregate { keys, calls, segment } => Box::new(Group::new(keys, calls, width(segment), None)),
        Step::Distinct(slots) => Box::new(Distinct::new(slots)),
        Step::Sort(keys) => Box::new(Sort::new(keys, None)),
        Step::Page { offset, limit } => Box::new(Page::new(offset.as_ref(), limit.as_ref(), false)),
        Step::Procedure(spec) => super::procedure::procedure(spec),
        Step::Compact { slots, segment } => rowwise::compact(slots, width(segment)),
        Step::Insert(elements) => write::insert(elements),
        Step::Set(actions) => write::set(actions),
        Step::Delete { detach, targets } => write::delete(*detach, targets),
        // Lowering has replaced all but the first; an empty result is the harmless reading of a plan that was not lowered.
        Step::Discard
        | Step::Argument
        | Step::Match(_)
        | Step::Merge(_)
        | Step::Apply(_)
        | Step::Use(_)
        | Step::Feed { .. } => rowwise::discard(),
    }
}
