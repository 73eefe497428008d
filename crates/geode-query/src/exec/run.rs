//! One execution: plan for this graph, pull the rows, hand them out.

use super::composite::Composite;
use super::cx::Cx;
use super::output::Output;
use super::profile::{Counted, Profile};
use super::{Context, Params};
use crate::bind::Param;
use crate::catalog::GraphChoice;
use crate::exec::graph::Graph;
use crate::names::NameIndex;
use crate::plan::access::Index;
use crate::plan::explain::{PlanNode, query_nodes};
use crate::plan::logical::Plan;
use crate::plan::matching::Statistics;
use crate::plan::physical::{LoweredQuery, lower_query};
use geode_gql::Source;
use geode_graph::{GraphId, Rule, RuleState};
use geode_types::{ErrorClass, QueryError, Summary, Value};
use std::ops::ControlFlow;

/// The counts of the catalog, as the planner asks for them.
impl Statistics for Cx<'_> {
    fn nodes(&mut self, label: Option<NameIndex>) -> Result<f64, QueryError> {
        let id = match label {
            None => None,
            Some(name) => match self.resolve(name)? {
                None => return Ok(0.0),
                id => id,
            },
        };
        Ok(self.graph.node_count(id)? as f64)
    }

    fn edges(&mut self, edge_type: Option<NameIndex>) -> Result<f64, QueryError> {
        let id = match edge_type {
            None => None,
            Some(name) => match self.resolve(name)? {
                None => return Ok(0.0),
                id => id,
            },
        };
        Ok(self.graph.edge_count(id)? as f64)
    }

    fn indexes(&mut self, label: NameIndex, keys: &[NameIndex]) -> Result<Vec<Index>, QueryError> {
        let Some(label) = self.resolve(label)? else {
            return Ok(Vec::new());
        };
        let mut named = Vec::with_capacity(keys.len());
        for key in keys {
            named.push((self.resolve(*key)?, *key));
        }
        if self.without_indexes || !self.graph.graph().is_home() {
            return Ok(Vec::new());
        }
        let rules = self.graph.rules()?;
        let usable = |rule: &&Rule| rule.is_index() && rule.label == label && rule.state == RuleState::Online;
        let mut indexes = Vec::new();
        for rule in rules.iter().filter(usable) {
            let name_of = |key: &u32| {
                named
                    .iter()
                    .find(|(id, _)| *id == Some(*key))
                    .map(|(_, name)| *name)
            };
            indexes.push(Index {
                keys: rule.keys.iter().map(name_of).collect(),
                statistics: self.graph.index_statistics(rule.id)?,
                rule: rule.clone(),
            });
        }
        Ok(indexes)
    }

    fn shares_scan(&self, nodes: f64) -> bool {
        nodes >= self.context.limits.parallel_nodes as f64 && !self.graph.notes_reads()
    }

    fn graph(&self) -> GraphId {
        self.graph.graph()
    }

    fn enter(&mut self, choice: &GraphChoice) -> Result<GraphId, QueryError> {
        let graph = self
            .graph_of(choice)
            .map_err(|error| self.placed(error, choice.span))?;
        self.graph.use_graph(graph);
        Ok(graph)
    }

    fn return_to(&mut self, graph: GraphId) {
        self.graph.use_graph(graph);
    }
}

/// Runs a plan to its end.
pub(crate) fn run(
    plan: &Plan,
    text: &str,
    wanted: &[Param],
    graph: &mut dyn Graph,
    params: &Params,
    context: &Context<'_>,
    sink: &mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
) -> Result<(), QueryError> {
    let mut cx = Cx::new(graph, context, Source::new(text), &plan.names, wanted, params)?;
    let subqueries = lower_subqueries(plan, &mut cx)?;
    cx.subqueries = &subqueries;
    let query = lower_query(&plan.query, plan.writes, &mut cx)?;
    pull(&query, &mut cx, sink)
}

fn pull(
    query: &LoweredQuery<'_>,
    cx: &mut Cx<'_>,
    sink: &mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
) -> Result<(), QueryError> {
    let mut composite = Composite::new(query, None);
    let mut output = Output::default();
    while let Some(rows) = composite.next(cx)? {
        for (at, row) in rows.iter().enumerate() {
            let is_full = output.push(row, cx)?;
            if (is_full || at + 1 == rows.len()) && output.hand_on(sink, cx).is_break() {
                return Err(receiver_has_gone());
            }
        }
    }
    Ok(())
}

fn receiver_has_gone() -> QueryError {
    let message = "the receiver of the rows has gone";
    QueryError::runtime(ErrorClass::UnavailableError, "Cancelled", "5GC01", message)
}

fn lower_subqueries<'p>(plan: &'p Plan, cx: &mut Cx<'_>) -> Result<Vec<LoweredQuery<'p>>, QueryError> {
    // Where a subquery stands decides on its graph, and indexes are about one graph: where graphs change, it does without.
    cx.without_indexes = plan.switches;
    let lowered = plan
        .subqueries
        .iter()
        .map(|subquery| lower_query(subquery, false, cx))
        .collect();
    cx.without_indexes = false;
    lowered
}

/// The physical plan for this graph, without running it.
pub(crate) fn explain(
    plan: &Plan,
    wanted: &[Param],
    graph: &mut dyn Graph,
    params: &Params,
    context: &Context<'_>,
) -> Result<Vec<PlanNode>, QueryError> {
    let mut cx = Cx::new(graph, context, Source::new(""), &plan.names, wanted, params)?;
    let query = lower_query(&plan.query, plan.writes, &mut cx)?;
    let subqueries = lower_subqueries(plan, &mut cx)?;
    Ok(plan_nodes(plan, &query, &subqueries, None))
}

/// The physical plan with what each operator did. The rows of the result are made and dropped.
pub(crate) fn profile(
    plan: &Plan,
    text: &str,
    wanted: &[Param],
    graph: &mut dyn Graph,
    params: &Params,
    context: &Context<'_>,
) -> Result<Vec<PlanNode>, QueryError> {
    let mut counted = Counted::new(graph);
    let mut cx = Cx::new(
        &mut counted,
        context,
        Source::new(text),
        &plan.names,
        wanted,
        params,
    )?;
    let subqueries = lower_subqueries(plan, &mut cx)?;
    cx.subqueries = &subqueries;
    cx.profile = Some(Profile::default());
    let query = lower_query(&plan.query, plan.writes, &mut cx)?;
    pull(&query, &mut cx, &mut |_| ControlFlow::Continue(()))?;
    Ok(plan_nodes(plan, &query, &subqueries, cx.profile.as_ref()))
}

fn plan_nodes(
    plan: &Plan,
    query: &LoweredQuery<'_>,
    subqueries: &[LoweredQuery<'_>],
    profile: Option<&Profile>,
) -> Vec<PlanNode> {
    let mut nodes = query_nodes(query, &plan.names, profile);
    for (number, subquery) in subqueries.iter().enumerate() {
        let within = query_nodes(subquery, &plan.names, profile);
        nodes.push(PlanNode::title(format!("Subquery {number}"), within));
    }
    nodes
}

/// What the transaction has changed so far.
pub(crate) fn summary(graph: &dyn Graph) -> Summary {
    graph.summary()
}
