//! One execution: plan for this graph, pull the rows, hand them out.

use super::composite::Composite;
use super::cx::Cx;
use super::output::to_value;
use super::{Context, Params};
use crate::bind::Param;
use crate::exec::graph::Graph;
use crate::names::NameIndex;
use crate::plan::explain::explain_query;
use crate::plan::logical::Plan;
use crate::plan::matching::Statistics;
use crate::plan::physical::{LoweredQuery, lower_query};
use geode_gql::Source;
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
    let mut composite = Composite::new(&query, None);
    while let Some(rows) = composite.next(&mut cx)? {
        let values = rows.iter().map(|row| {
            row.iter()
                .map(|cell| to_value(cell, &cx))
                .collect::<Result<Vec<_>, _>>()
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        if sink(values).is_break() {
            let message = "the receiver of the rows has gone";
            return Err(QueryError::runtime(
                ErrorClass::UnavailableError,
                "Cancelled",
                "5GC01",
                message,
            ));
        }
    }
    Ok(())
}

fn lower_subqueries<'p>(plan: &'p Plan, cx: &mut Cx<'_>) -> Result<Vec<LoweredQuery<'p>>, QueryError> {
    plan.subqueries
        .iter()
        .map(|subquery| lower_query(subquery, false, cx))
        .collect()
}

/// The physical plan as text, for this graph.
pub(crate) fn explain(
    plan: &Plan,
    wanted: &[Param],
    graph: &mut dyn Graph,
    params: &Params,
) -> Result<String, QueryError> {
    let context = Context::default();
    let mut cx = Cx::new(graph, &context, Source::new(""), &plan.names, wanted, params)?;
    let mut out = String::new();
    explain_query(
        &lower_query(&plan.query, plan.writes, &mut cx)?,
        &plan.names,
        0,
        &mut out,
    );
    for (number, subquery) in lower_subqueries(plan, &mut cx)?.iter().enumerate() {
        out.push_str(&format!("Subquery {number}\n"));
        explain_query(subquery, &plan.names, 2, &mut out);
    }
    Ok(out)
}

/// What the transaction has changed so far.
pub(crate) fn summary(graph: &dyn Graph) -> Summary {
    graph.summary()
}
