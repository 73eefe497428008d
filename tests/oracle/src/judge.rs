//! What the rules say about a statement: its answer, that it fails, or that the answer is open.
//!
//! A statement is evaluated with rows in several orders. An answer that depends on the order is no promise, and nothing is asked of the engine.
//! What breaks a constraint at its end fails, and so does a constraint that is broken already.

use crate::evaluate::{Evaluator, Fault};
use crate::graph::{Graph, Rule, show};
use crate::value::Val;
use geode_gql::ast::{ClauseKind, Query, RuleDefinition, RuleKind, SchemaCommand};
use geode_gql::{Dialect, Statement};

/// How many orders of rows are looked at.
const ORDERS: u64 = 3;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// These rows in this order.
    List(Vec<String>),
    /// These rows, sorted here, in any order.
    Bag(Vec<String>),
    /// An error.
    Fails(String),
    /// The rules leave it open.
    Open,
}

/// A verdict on a statement.
#[derive(Debug)]
pub(crate) enum Judged {
    /// The answer, and the graph afterwards; `None` when that is open.
    Known(Answer, Option<Graph>),
    /// There are too many rows for a naive evaluator.
    TooMuch,
    /// The statement cannot be evaluated: a defect of the generator or the evaluator.
    NotUnderstood(String),
}

/// Evaluates a statement on a graph.
pub(crate) fn judge(graph: &Graph, text: &str, dialect: Dialect) -> Judged {
    let query = match geode_gql::parse(text, dialect) {
        Ok(Statement::Query(query)) => query,
        Ok(Statement::Schema(SchemaCommand::Create(definition))) => return constrain(graph, &definition),
        Ok(_) => return Judged::NotUnderstood("no query".to_owned()),
        Err(error) => return Judged::NotUnderstood(error.to_string()),
    };
    let (mut answers, mut graphs, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for order in 0..ORDERS {
        let mut evaluator = Evaluator::in_order(graph.clone(), dialect, order);
        match evaluator.run(&query) {
            Ok(_) if evaluator.graph.is_broken() => faults.push("a constraint is broken".to_owned()),
            Ok(table) => {
                let text = |row: &Vec<Val>| {
                    row.iter()
                        .map(|value| evaluator.graph.value(value))
                        .collect::<Vec<_>>()
                };
                answers.push(
                    table
                        .rows
                        .iter()
                        .map(|row| show(&text(row)))
                        .collect::<Vec<String>>(),
                );
                graphs.push(evaluator.graph);
            }
            Err(Fault::Error(message)) => faults.push(message),
            Err(Fault::Open) => return Judged::Known(Answer::Open, None),
            Err(Fault::TooMuch) => return Judged::TooMuch,
            Err(Fault::Unknown(what)) => return Judged::NotUnderstood(what),
        }
    }
    match faults.pop() {
        Some(message) if answers.is_empty() => Judged::Known(Answer::Fails(message), Some(graph.clone())),
        Some(_) => Judged::Known(Answer::Open, None),
        None => Judged::Known(agreed(answers, is_ordered(&query)), agreed_graph(graphs)),
    }
}

/// Creates a constraint.
fn constrain(graph: &Graph, definition: &RuleDefinition) -> Judged {
    let (is_unique, is_present) = match definition.kind {
        RuleKind::Unique => (true, false),
        RuleKind::NodeKey => (true, true),
        RuleKind::NotNull => (false, true),
        RuleKind::Index | RuleKind::Typed(_) => return Judged::NotUnderstood("no such rule".to_owned()),
    };
    let rule = Rule {
        label: definition.label.text.clone(),
        keys: definition.keys.iter().map(|key| key.text.clone()).collect(),
        is_unique,
        is_present,
    };
    let fails = |why: &str| Judged::Known(Answer::Fails(why.to_owned()), Some(graph.clone()));
    if graph.rules.iter().any(|known| known.is_like(&rule)) {
        return fails("there is one");
    }
    let mut after = graph.clone();
    after.rules.push(rule);
    if after.is_broken() {
        return fails("the graph breaks it");
    }
    Judged::Known(Answer::Bag(Vec::new()), Some(after))
}

/// The answer that all orders lead to.
fn agreed(mut answers: Vec<Vec<String>>, ordered: bool) -> Answer {
    let equal = |answers: &[Vec<String>]| answers.windows(2).all(|pair| pair[0] == pair[1]);
    if ordered && equal(&answers) {
        return answers.pop().map_or(Answer::Open, Answer::List);
    }
    for rows in &mut answers {
        rows.sort();
    }
    if equal(&answers) {
        answers.pop().map_or(Answer::Open, Answer::Bag)
    } else {
        Answer::Open
    }
}

fn agreed_graph(mut graphs: Vec<Graph>) -> Option<Graph> {
    let dumps: Vec<_> = graphs.iter().map(Graph::dump).collect();
    if dumps.windows(2).all(|pair| pair[0] == pair[1]) {
        graphs.pop()
    } else {
        None
    }
}

/// Whether the statement ends with ORDER BY.
fn is_ordered(query: &Query) -> bool {
    let last = query.first.clauses.last().map(|clause| &clause.kind);
    query.rest.is_empty()
        && matches!(last, Some(ClauseKind::Return(projection)) if !projection.order_by.is_empty())
}
