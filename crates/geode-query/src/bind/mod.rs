//! Names → meanings: the syntax tree becomes a logical plan, or an error with a place.
//!
//! The binder knows the scopes of variables, the functions and what can be said about types before anything runs. It does not know
//! the catalog: an unknown label matches nothing, as GQL has it for open graphs, and is created by the first INSERT that names it.

mod call;
mod chain;
mod env;
mod expr;
mod operators;
mod pattern;
mod projection;
mod scope;
mod subquery;
mod write;

use crate::catalog::{self, GraphChoice};
use crate::error::INVALID_VALUE_TYPE;
use crate::expr::Expr;
use crate::names::Names;
use crate::plan::logical::{LinearPlan, Plan, QueryPlan, Segment, Step};
use crate::system::SystemTables;
use crate::types::{Type, TypeSet};
use env::Env;
use geode_gql::ast::{self, Clause, ClauseKind, LinearQuery, Name, Query};
use geode_gql::{Dialect, Source, Span, syntax_error};
use geode_types::{ErrorClass, QueryError, nearest};
use scope::Scope;
use std::collections::HashSet;
use std::sync::Arc;

type Bound<T> = Result<T, QueryError>;

/// A parameter and where it is first used.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub name: Arc<str>,
    pub span: Span,
}

/// A query with meaning.
#[derive(Debug)]
pub(crate) struct BoundQuery {
    pub plan: Plan,
    /// The parameters that the query reads.
    pub params: Vec<Param>,
    /// Whether it reads a system table.
    pub system: bool,
}

/// Binds a query.
pub(crate) fn bind(
    query: &Query,
    text: &str,
    dialect: Dialect,
    system: &dyn SystemTables,
) -> Bound<BoundQuery> {
    let mut binder = Binder {
        source: Source::new(text),
        dialect,
        system,
        names: Names::default(),
        params: Vec::new(),
        param_names: HashSet::new(),
        plan: LinearPlan::default(),
        segment: Segment(0),
        scope: Scope::default(),
        start: None,
        standalone: false,
        subqueries: Vec::new(),
        reads_system: false,
        schema: None,
        switches: false,
    };
    let (query, columns) = binder.composite(query)?;
    let plan = Plan {
        writes: query.writes(),
        switches: binder.switches,
        query,
        columns: columns.unwrap_or_default(),
        subqueries: binder.subqueries,
        names: binder.names,
    };
    Ok(BoundQuery {
        plan,
        params: binder.params,
        system: binder.reads_system,
    })
}

fn list(columns: Option<&Vec<String>>) -> String {
    columns.map_or_else(
        || "no result".to_owned(),
        |columns| format!("({})", columns.join(", ")),
    )
}

struct Binder<'a> {
    source: Source<'a>,
    dialect: Dialect,
    system: &'a dyn SystemTables,
    names: Names,
    params: Vec<Param>,
    param_names: HashSet<Arc<str>>,
    plan: LinearPlan,
    segment: Segment,
    /// The variables that the next clause sees.
    scope: Scope,
    /// What a linear query begins with, when it is part of a subquery.
    start: Option<Start>,
    /// Whether the clause is a statement of its own.
    standalone: bool,
    /// Plans of the subqueries that are bound.
    subqueries: Vec<QueryPlan>,
    reads_system: bool,
    /// What `AT` says, for the rest of the statement.
    schema: Option<ast::SchemaRef>,
    /// Whether any clause chooses a graph.
    switches: bool,
}

/// The begin of a subquery.
#[derive(Clone)]
struct Start {
    /// What is known of the row around it, in its first cells.
    scope: Scope,
    /// Whether it may end without RETURN: only its rows count.
    may_end_open: bool,
}

impl Binder<'_> {
    fn error(&self, span: Span, detail: &str, message: impl Into<String>) -> QueryError {
        syntax_error(self.source, span, detail, message)
    }

    /// A reference to something that is not there: 42002.
    fn reference_error(&self, span: Span, detail: &str, message: impl Into<String>) -> QueryError {
        QueryError::compile(ErrorClass::SyntaxError, detail, "42002", message).at(self.source.position(span))
    }

    fn undefined_variable(&self, name: &str, span: Span, scope: &Scope) -> QueryError {
        let error = self.reference_error(
            span,
            "UndefinedVariable",
            format!("the variable {name} is not defined here"),
        );
        match nearest(name, scope.names()).filter(|_| name.len() <= 64) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None if scope.is_empty() => {
                error.hint("no variable is defined at this point; text needs quotes: 'like this'")
            }
            None => error.hint(format!("known here: {}", scope.some_names())),
        }
    }

    fn type_conflict(&self, name: &Name, is: &str, wanted: &str) -> QueryError {
        let message = format!(
            "the variable {} is {is} and cannot be used as {wanted}",
            name.text
        );
        self.error(name.span, "VariableTypeConflict", message)
    }

    fn already_bound(&self, name: &Name) -> QueryError {
        let message = format!("the variable {} is already bound", name.text);
        self.error(name.span, "VariableAlreadyBound", message)
            .hint("choose another name")
    }

    /// Refuses an operand that can never have a fitting type.
    fn require(&self, ty: &Type, wanted: TypeSet, span: Span, what: &str) -> Bound<()> {
        if ty.can_be(wanted) {
            return Ok(());
        }
        let message = format!("{what} needs {}, not {}", wanted.names(), ty.name());
        let error = QueryError::compile(
            ErrorClass::SyntaxError,
            "InvalidArgumentType",
            INVALID_VALUE_TYPE,
            message,
        );
        Err(error.at(self.source.position(span)))
    }

    /// A fresh cell in the current layout.
    fn new_slot(&mut self) -> usize {
        let width = &mut self.plan.widths[self.segment.0];
        *width += 1;
        *width - 1
    }

    /// Begins a new layout of so many cells.
    fn new_segment(&mut self, width: usize) -> Segment {
        self.segment = Segment(self.plan.widths.len());
        self.plan.widths.push(width);
        self.segment
    }

    fn step(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    fn param(&mut self, name: &str, span: Span) -> Arc<str> {
        if let Some(known) = self.param_names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.param_names.insert(name.clone());
        self.params.push(Param {
            name: name.clone(),
            span,
        });
        name
    }

    /// An expression over the current scope, without aggregates.
    fn plain(&mut self, expr: &ast::Expr, place: &'static str) -> Bound<(Expr, Type)> {
        let scope = std::mem::take(&mut self.scope);
        let bound = self.expr(expr, &mut Env::plain(&scope, place));
        self.scope = scope;
        bound
    }

    fn condition(&mut self, expr: &ast::Expr, place: &'static str) -> Bound<Expr> {
        let scope = std::mem::take(&mut self.scope);
        let bound = self.truth(expr, place, &mut Env::plain(&scope, place));
        self.scope = scope;
        bound
    }

    /// Linear queries with set operators between them, and their columns.
    fn composite(&mut self, query: &Query) -> Bound<(QueryPlan, Option<Vec<String>>)> {
        let alone = query.rest.is_empty();
        let columns = self.linear_query(&query.first, alone)?;
        let mut parts = vec![std::mem::take(&mut self.plan)];
        for (operator, linear) in &query.rest {
            self.check_set_operator(query, *operator)?;
            let others = self.linear_query(linear, false)?;
            if others != columns {
                let message = format!(
                    "{} joins results of equal columns, not {} and {}",
                    operator.operation.text(),
                    list(columns.as_ref()),
                    list(others.as_ref())
                );
                return Err(self
                    .error(operator.span, "DifferentColumnsInUnion", message)
                    .hint("give the columns the same names in the same order with AS"));
            }
            parts.push(std::mem::take(&mut self.plan));
        }
        let operation = query.rest.first().map(|(operator, _)| operator.operation);
        Ok((QueryPlan { parts, operation }, columns))
    }

    /// One operator a query: mixed, they would need a precedence (ISO/IEC 39075, 14.2, has none).
    fn check_set_operator(&self, query: &Query, operator: ast::SetOperator) -> Bound<()> {
        let first = query.rest.first().map(|(first, _)| first.operation);
        let Some(other) = first.filter(|first| *first != operator.operation) else {
            return Ok(());
        };
        let (first, second) = (other.text(), operator.operation.text());
        let message = format!("{first} and {second} cannot be mixed in one statement");
        Err(self
            .error(operator.span, "InvalidClauseComposition", message)
            .hint("put one of them in braces: { … UNION … } EXCEPT …"))
    }

    /// Begins a plan: with one row of nothing, or with the row around a subquery.
    fn begin(&mut self) {
        self.plan = LinearPlan::default();
        self.scope = self
            .start
            .as_ref()
            .map(|start| start.scope.clone())
            .unwrap_or_default();
        let segment = self.new_segment(self.scope.len());
        self.step(match self.start {
            None => Step::Unit { segment },
            Some(_) => Step::Argument,
        });
    }

    /// The columns, or none when the query returns nothing. `alone` is a query without set operators.
    fn linear_query(&mut self, query: &LinearQuery, alone: bool) -> Bound<Option<Vec<String>>> {
        self.begin();
        self.standalone = alone && self.start.is_none() && query.clauses.len() == 1;
        let mut columns = None;
        for (at, clause) in query.clauses.iter().enumerate() {
            columns = self.clause(clause, at == 0)?;
        }
        let may_end_open = self.start.as_ref().is_some_and(|start| start.may_end_open);
        match query.clauses.last() {
            Some(Clause {
                kind: ClauseKind::Return(_),
                ..
            }) => {}
            Some(Clause {
                kind: ClauseKind::Composite(_) | ClauseKind::CallProcedure(_),
                ..
            }) if columns.is_some() => {}
            Some(_) if may_end_open => {}
            Some(Clause { kind, .. }) if ends_a_statement(kind) => self.step(Step::Discard),
            Some(clause) => {
                let message = "the statement ends without a result";
                return Err(self
                    .error(clause.span, "InvalidClauseComposition", message)
                    .hint("add RETURN, or FINISH for no result"));
            }
            None => {}
        }
        Ok(columns)
    }

    fn clause(&mut self, clause: &Clause, first: bool) -> Bound<Option<Vec<String>>> {
        match &clause.kind {
            ClauseKind::Match {
                optional,
                repeatable,
                patterns,
                condition,
            } => {
                let modes = (*optional, *repeatable);
                self.match_clause(modes, patterns, condition.as_ref(), clause.span)?;
            }
            ClauseKind::Filter(condition) => {
                let condition = self.condition(condition, "FILTER")?;
                self.step(Step::Filter(condition));
            }
            ClauseKind::Let(bindings) => {
                for (name, value) in bindings {
                    self.let_binding(name, value)?;
                }
            }
            ClauseKind::For {
                variable,
                list,
                counter,
            } => self.for_clause(variable, list, counter.as_ref())?,
            ClauseKind::With(projection) => {
                self.projection(projection, true, clause.span)?;
            }
            ClauseKind::Return(projection) => {
                return self.projection(projection, false, clause.span).map(Some);
            }
            ClauseKind::Finish => {}
            ClauseKind::Use(graph) => {
                self.switches = true;
                self.step(Step::Use(GraphChoice {
                    graph: graph.clone(),
                    at: self.schema.clone(),
                    span: clause.span,
                }));
            }
            ClauseKind::At(schema) => {
                if !first {
                    let message = "AT says at the beginning of a statement where names are looked up";
                    return Err(self.error(clause.span, "InvalidClauseComposition", message));
                }
                self.schema = Some(schema.clone());
            }
            ClauseKind::Table(name) => self.table(name, clause.span, first)?,
            ClauseKind::CallProcedure(call) => return self.call_procedure(call),
            ClauseKind::CallQuery {
                optional,
                variables,
                query,
            } => self.call_query(*optional, variables.as_deref(), query, clause.span)?,
            ClauseKind::Foreach {
                variable,
                list,
                clauses,
            } => self.foreach(variable, list, clauses, clause.span)?,
            ClauseKind::Composite(query) => return self.fed(query),
            ClauseKind::Insert(patterns) => self.insert(patterns)?,
            ClauseKind::Merge {
                pattern,
                on_create,
                on_match,
            } => self.merge(pattern, on_create, on_match)?,
            ClauseKind::Set(items) => {
                let actions = self.set_items(items)?;
                self.step(Step::Set(actions));
            }
            ClauseKind::Remove(items) => {
                let actions = self.remove_items(items)?;
                self.step(Step::Set(actions));
            }
            ClauseKind::Delete { detach, targets } => self.delete(*detach, targets)?,
        }
        Ok(None)
    }

    fn let_binding(&mut self, name: &Name, value: &ast::Expr) -> Bound<()> {
        if self.scope.get(&name.text).is_some() {
            return Err(self.already_bound(name));
        }
        let (value, ty) = self.plain(value, "LET")?;
        let slot = self.new_slot();
        self.scope.define(&name.text, slot, ty);
        self.step(Step::Extend(vec![(slot, value)]));
        Ok(())
    }

    fn for_clause(&mut self, variable: &Name, list: &ast::Expr, counter: Option<&ast::Counter>) -> Bound<()> {
        let (bound, ty) = self.plain(list, "UNWIND")?;
        if self.scope.get(&variable.text).is_some() {
            return Err(self.already_bound(variable));
        }
        let slot = self.new_slot();
        self.scope.define(&variable.text, slot, ty.element());
        let mut numbered = None;
        if let Some(counter) = counter {
            if self.scope.get(&counter.variable.text).is_some() {
                return Err(self.already_bound(&counter.variable));
            }
            let slot = self.new_slot();
            self.scope.define(&counter.variable.text, slot, Type::Int);
            numbered = Some((slot, counter.first));
        }
        self.step(Step::Unwind {
            list: bound,
            slot,
            counter: numbered,
        });
        Ok(())
    }

    fn table(&mut self, name: &[Name], span: Span, first: bool) -> Bound<()> {
        if !first {
            let message = "SELECT … FROM a system table must be the first clause";
            return Err(self.error(span, "InvalidClauseComposition", message));
        }
        let full = name
            .iter()
            .map(|part| part.text.as_str())
            .collect::<Vec<_>>()
            .join(".")
            .to_lowercase();
        let of_graph = catalog::columns(&full)
            .or_else(|| crate::schema::columns(&full))
            .map(|columns| {
                columns
                    .iter()
                    .map(|column| (*column).to_owned())
                    .collect::<Vec<_>>()
            });
        self.reads_system |= of_graph.is_none();
        let Some(columns) = of_graph.or_else(|| self.system.columns(&full)) else {
            let mut known = self.system.names();
            known.extend(crate::schema::names().chain(catalog::NAMES).map(str::to_owned));
            let error =
                self.reference_error(span, "UnknownTable", format!("there is no system table {full}"));
            let nearest = nearest(&full, known.iter().map(String::as_str)).filter(|_| full.len() <= 64);
            return Err(match nearest {
                Some(near) => error.hint(format!("did you mean {near}? Known tables: {}", known.join(", "))),
                None => error.hint(format!("known tables: {}", known.join(", "))),
            });
        };
        self.plan.steps.clear();
        let segment = self.new_segment(columns.len());
        for (slot, column) in columns.iter().enumerate() {
            self.scope.define(column, slot, Type::Any);
        }
        self.step(Step::Table { name: full, segment });
        Ok(())
    }
}

/// Clauses that change something need no result behind them.
fn ends_a_statement(kind: &ClauseKind) -> bool {
    matches!(
        kind,
        ClauseKind::Finish
            | ClauseKind::Insert(_)
            | ClauseKind::Merge { .. }
            | ClauseKind::Set(_)
            | ClauseKind::Remove(_)
            | ClauseKind::Delete { .. }
            | ClauseKind::Composite(_)
            | ClauseKind::CallProcedure(_)
            | ClauseKind::CallQuery { .. }
            | ClauseKind::Foreach { .. }
    )
}
