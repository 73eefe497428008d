//! The reference evaluator: nested loops over the syntax tree, by the rules of openCypher 9 and ISO/IEC 39075. No planner, no index, no batch.
//!
//! Every clause takes all rows of the one before and hands on all of its own. Where a rule leaves the order of rows open the evaluator can
//! take another one each time ([`Evaluator::in_order`]), so that an answer which depends on it is told from one that does not. Which of rows
//! that count as one stays (1 or 1.0), or comes first, is not left to chance: see [`Evaluator::arrange`].

mod expression;
mod function;
mod matching;
mod projection;
mod update;

use crate::choices::random;
use crate::graph::Graph;
use crate::value::{Val, same_row};
use geode_gql::Dialect;
use geode_gql::ast::{Clause, ClauseKind, LinearQuery, Query, SetOperation};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Variables and their values.
pub(crate) type Row = BTreeMap<String, Val>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The statement fails, by the rules.
    Error(String),
    /// The rules leave the outcome open.
    Open,
    /// More rows than a naive evaluator should look at.
    TooMuch,
    /// The evaluator does not know this construct.
    Unknown(String),
}

/// What most functions here return.
pub(crate) type Outcome<T> = Result<T, Fault>;

pub(crate) fn error<T>(message: &str) -> Outcome<T> {
    Err(Fault::Error(message.to_owned()))
}

fn unknown<T>(what: &str) -> Outcome<T> {
    Err(Fault::Unknown(what.to_owned()))
}

/// What a query answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Val>>,
}

impl Table {
    /// The columns as variables.
    fn into_rows(self) -> Vec<Row> {
        let Self { columns, rows } = self;
        let rows = rows.into_iter();
        rows.map(|row| columns.iter().cloned().zip(row).collect())
            .collect()
    }
}

/// How many rows and bindings a statement may make.
const FUEL: usize = 20_000;

/// A graph and one statement on it.
#[derive(Debug)]
pub(crate) struct Evaluator {
    pub(crate) graph: Graph,
    dialect: Dialect,
    /// What the order of rows is drawn from; `None` leaves them as they come.
    order: Option<u64>,
    /// The number of that order.
    turn: u64,
    fuel: usize,
    /// The rows of the group whose aggregates are computed.
    group: Option<Vec<Row>>,
}

impl Evaluator {
    /// An evaluator whose rows come in the order of this number; 0 is the order in which they are made.
    pub(crate) fn in_order(graph: Graph, dialect: Dialect, order: u64) -> Self {
        Self {
            graph,
            dialect,
            order: (order > 0).then_some(order),
            turn: order,
            fuel: FUEL,
            group: None,
        }
    }

    /// Runs a query on one row without variables.
    pub(crate) fn run(&mut self, query: &Query) -> Outcome<Table> {
        let mut table = self.query(query, vec![Row::new()])?;
        // Without RETURN rows exist only for those who count them: EXISTS and COUNT.
        table.rows.retain(|row| !row.is_empty());
        Ok(table)
    }

    fn spend(&mut self, rows: usize) -> Outcome<()> {
        self.fuel = self.fuel.checked_sub(rows).ok_or(Fault::TooMuch)?;
        Ok(())
    }

    /// Puts what has no order of its own into another one (Fisher and Yates).
    fn shuffle<T>(&mut self, items: &mut [T]) {
        if let Some(state) = &mut self.order {
            for at in (1..items.len()).rev() {
                items.swap(at, (random(state) % (at as u64 + 1)) as usize);
            }
        }
    }

    /// Orders what may count as one before the first of it is taken: in the first two orders of rows by text, up and down. So an answer
    /// that depends on which it is differs between these two for certain.
    fn arrange<T>(&self, items: &mut [T], text: impl Fn(&T) -> String) {
        match self.turn {
            0 => items.sort_by_cached_key(text),
            1 => items.sort_by_cached_key(|item| Reverse(text(item))),
            _ => {}
        }
    }

    /// Each of equal rows once.
    fn distinct(&self, mut rows: Vec<Vec<Val>>) -> Vec<Vec<Val>> {
        self.arrange(&mut rows, |row| format!("{row:?}"));
        let mut kept: Vec<Vec<Val>> = Vec::new();
        for row in rows {
            if !kept.iter().any(|other| same_row(other, &row)) {
                kept.push(row);
            }
        }
        kept
    }

    fn query(&mut self, query: &Query, rows: Vec<Row>) -> Outcome<Table> {
        let group = self.group.take();
        let mut table = self.linear(&query.first, rows.clone())?;
        for (operator, operand) in &query.rest {
            let right = self.linear(operand, rows.clone())?;
            table = self.combine(table, operator.operation, right);
            self.shuffle(&mut table.rows);
        }
        self.group = group;
        Ok(table)
    }

    fn linear(&mut self, query: &LinearQuery, mut rows: Vec<Row>) -> Outcome<Table> {
        for (at, clause) in query.clauses.iter().enumerate() {
            match &clause.kind {
                ClauseKind::Return(projection) => return self.project(projection, rows),
                ClauseKind::Composite(last) if at + 1 == query.clauses.len() => {
                    return self.query(last, rows);
                }
                ClauseKind::Finish => return Ok(Table::default()),
                _ => rows = self.clause(clause, rows)?,
            }
            self.spend(rows.len())?;
        }
        let rows = rows.iter().map(|_| Vec::new()).collect();
        Ok(Table {
            columns: Vec::new(),
            rows,
        })
    }

    fn clause(&mut self, clause: &Clause, mut rows: Vec<Row>) -> Outcome<Vec<Row>> {
        match &clause.kind {
            ClauseKind::Match {
                optional,
                repeatable,
                patterns,
                condition,
            } => {
                let mut out = Vec::new();
                for row in rows {
                    let found = self.matches(patterns, condition.as_ref(), &row, *repeatable)?;
                    if found.is_empty() && *optional {
                        out.push(matching::with_nulls(patterns, row));
                    }
                    out.extend(found);
                }
                self.shuffle(&mut out);
                Ok(out)
            }
            ClauseKind::Filter(condition) => self.filter(condition, rows),
            ClauseKind::Let(items) => {
                for row in &mut rows {
                    for (name, value) in items {
                        let value = self.value(value, row)?;
                        row.insert(name.text.clone(), value);
                    }
                }
                Ok(rows)
            }
            ClauseKind::For {
                variable,
                list,
                counter: None,
            } => {
                let mut out = Vec::new();
                for row in rows {
                    let items = match self.value(list, &row)? {
                        Val::Null => Vec::new(),
                        Val::List(items) => items,
                        only => vec![only],
                    };
                    out.extend(items.into_iter().map(|item| with(&row, &variable.text, item)));
                }
                Ok(out)
            }
            ClauseKind::With(projection) => Ok(self.project(projection, rows)?.into_rows()),
            ClauseKind::Composite(query) => Ok(self.query(query, rows)?.into_rows()),
            ClauseKind::CallQuery {
                optional: false,
                variables: Some(variables),
                query,
            } => {
                let mut out = Vec::new();
                for row in rows {
                    let seen = |name: &String| variables.iter().any(|variable| variable.text == *name);
                    let inner = row.iter().filter(|(name, _)| seen(name));
                    let inner = inner.map(|(name, value)| (name.clone(), value.clone())).collect();
                    let Table { columns, rows } = self.query(query, vec![inner])?;
                    for cells in rows {
                        let mut row = row.clone();
                        row.extend(columns.iter().cloned().zip(cells));
                        out.push(row);
                    }
                }
                self.shuffle(&mut out);
                Ok(out)
            }
            _ => self.update(clause, rows),
        }
    }

    /// The rows of which the condition is true: neither false nor unknown.
    fn filter(&mut self, condition: &geode_gql::ast::Expr, rows: Vec<Row>) -> Outcome<Vec<Row>> {
        let mut out = Vec::new();
        for row in rows {
            if self.truth(condition, &row)? == Some(true) {
                out.push(row);
            }
        }
        Ok(out)
    }

    /// The operations on two results (ISO/IEC 39075, 14.2).
    fn combine(&self, mut left: Table, operation: SetOperation, right: Table) -> Table {
        let columns = left.columns;
        let counted =
            |rows: &[Vec<Val>], row: &[Val]| rows.iter().filter(|other| same_row(other, row)).count();
        self.arrange(&mut left.rows, |row| format!("{row:?}"));
        let rows = match operation {
            SetOperation::Union { all: true } => [left.rows, right.rows].concat(),
            SetOperation::Union { all: false } => self.distinct([left.rows, right.rows].concat()),
            SetOperation::Except { all: false } => {
                let rows = left.rows.into_iter();
                self.distinct(rows.filter(|row| counted(&right.rows, row) == 0).collect())
            }
            SetOperation::Intersect { all: false } => {
                let rows = left.rows.into_iter();
                self.distinct(rows.filter(|row| counted(&right.rows, row) > 0).collect())
            }
            SetOperation::Except { all: true } | SetOperation::Intersect { all: true } => {
                let keeps_common = matches!(operation, SetOperation::Intersect { .. });
                let mut kept: Vec<Vec<Val>> = Vec::new();
                let mut seen: Vec<Vec<Val>> = Vec::new();
                for row in left.rows {
                    let is_common = counted(&seen, &row) < counted(&right.rows, &row);
                    seen.push(row.clone());
                    if is_common == keeps_common {
                        kept.push(row);
                    }
                }
                kept
            }
            SetOperation::Otherwise if left.rows.is_empty() => right.rows,
            SetOperation::Otherwise => left.rows,
        };
        Table { columns, rows }
    }
}

/// The row with one more variable.
fn with(row: &Row, name: &str, value: Val) -> Row {
    let mut row = row.clone();
    row.insert(name.to_owned(), value);
    row
}
