//! RETURN and WITH: columns, groups, order, page.
//!
//! Without aggregates a column is computed beside the variables, so ORDER BY sees both. With DISTINCT or aggregates only columns are
//! left, and ORDER BY may use them by name or by repeating their expression.

use super::env::{Columns, Env, Mode};
use super::scope::Scope;
use super::{Binder, Bound};
use crate::aggregate::{Aggregate, AggregateCall};
use crate::expr::Expr;
use crate::plan::logical::{SortKey, Step};
use crate::types::{Type, TypeSet};
use geode_gql::Span;
use geode_gql::ast::{self, AccessStep, ExprKind, Literal, Mentions, Projection, UnaryOp};
use geode_types::{ErrorClass, QueryError};
use std::collections::HashSet;

/// A column before it is bound. `*` has no expression of its own.
struct Column<'e> {
    name: String,
    expr: Option<&'e ast::Expr>,
    span: Span,
}

/// A column with its cell.
struct Placed {
    slot: usize,
    ty: Type,
}

impl Binder<'_> {
    /// Plans a projection; the scope afterwards holds its columns, whose names are returned.
    pub(super) fn projection(
        &mut self,
        projection: &Projection,
        is_with: bool,
        span: Span,
    ) -> Bound<Vec<String>> {
        let (columns, unnamed) = self.columns(projection, is_with, span)?;
        let aggregated = projection.group_by.is_some()
            || projection.having.is_some()
            || projection.items.iter().any(|item| has_aggregate(&item.expr));
        let before = std::mem::take(&mut self.scope);
        let placed = if aggregated {
            self.grouped(projection, &columns, &before)?
        } else {
            self.computed(&columns, &before, if is_with { "WITH" } else { "RETURN" })?
        };
        if projection.distinct {
            self.step(Step::Distinct(placed.iter().map(|column| column.slot).collect()));
        }
        let only_columns = aggregated || projection.distinct;
        let mut visible = if only_columns {
            Scope::default()
        } else {
            before.clone()
        };
        let mut repeated = Columns::default();
        for (column, place) in columns.iter().zip(&placed) {
            visible.define(&column.name, place.slot, place.ty.clone());
            if let (true, Some(expr)) = (only_columns, column.expr) {
                repeated.add(expr, place.slot, place.ty.clone());
            }
        }
        self.order_and_page(projection, &visible, only_columns.then_some((&repeated, &before)))?;
        // What is wrong with expressions is said first, as openCypher's kit has it.
        if let Some(error) = unnamed {
            return Err(error);
        }
        Ok(self.finish(columns, placed))
    }

    /// Drops everything but the columns.
    fn finish(&mut self, columns: Vec<Column<'_>>, placed: Vec<Placed>) -> Vec<String> {
        let slots = placed.iter().map(|column| column.slot).collect();
        let segment = self.new_segment(placed.len());
        self.step(Step::Compact { slots, segment });
        self.scope = Scope::default();
        for (slot, (column, place)) in columns.iter().zip(placed).enumerate() {
            self.scope.define(&column.name, slot, place.ty);
        }
        columns.into_iter().map(|column| column.name).collect()
    }

    /// The columns, and the error of those that have no name and need one.
    fn columns<'e>(
        &self,
        projection: &'e Projection,
        is_with: bool,
        span: Span,
    ) -> Bound<(Vec<Column<'e>>, Option<QueryError>)> {
        let (mut columns, mut unnamed) = (Vec::new(), None);
        if let Some(star) = projection.star {
            if self.scope.is_empty() && !is_with {
                let message = "* stands for all variables, and there are none";
                return Err(self.error(star, "NoVariablesInScope", message));
            }
            columns.extend(self.scope.names().map(|name| Column {
                name: name.to_owned(),
                expr: None,
                span: star,
            }));
        }
        for item in &projection.items {
            let name = match (&item.alias, &item.expr.kind) {
                (Some(alias), _) => alias.text.clone(),
                (None, ExprKind::Variable(name)) => name.clone(),
                (None, _) if is_with => {
                    let message = "an expression in WITH needs a name";
                    unnamed.get_or_insert_with(|| {
                        self.error(item.expr.span, "NoExpressionAlias", message)
                            .hint("write AS name behind it")
                    });
                    self.source.slice(item.expr.span).to_owned()
                }
                (None, _) => self.source.slice(item.expr.span).to_owned(),
            };
            columns.push(Column {
                name,
                expr: Some(&item.expr),
                span: item.alias.as_ref().map_or(item.expr.span, |alias| alias.span),
            });
        }
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(column.name.as_str())) {
            let message = format!("two columns are called {}", twice.name);
            return Err(self
                .error(twice.span, "ColumnNameConflict", message)
                .hint("rename one with AS"));
        }
        if columns.is_empty() && !is_with {
            return Err(self.error(span, "UnexpectedSyntax", "the result has no columns"));
        }
        Ok((columns, unnamed))
    }

    /// Columns without aggregates: variables stay where they are, the rest is computed into new cells.
    fn computed(
        &mut self,
        columns: &[Column<'_>],
        before: &Scope,
        place: &'static str,
    ) -> Bound<Vec<Placed>> {
        let (mut placed, mut cells) = (Vec::new(), Vec::new());
        for column in columns {
            let (expr, ty) = match column.expr {
                Some(expr) => self.expr(expr, &mut Env::plain(before, place))?,
                None => whole_variable(&column.name, before),
            };
            placed.push(self.place(expr, ty, &mut cells));
        }
        self.extend(cells);
        Ok(placed)
    }

    fn place(&mut self, expr: Expr, ty: Type, cells: &mut Vec<(usize, Expr)>) -> Placed {
        if let Expr::Slot(slot) = expr {
            return Placed { slot, ty };
        }
        let slot = self.new_slot();
        cells.push((slot, expr));
        Placed { slot, ty }
    }

    /// Computes cells, if there are any.
    pub(super) fn extend(&mut self, cells: Vec<(usize, Expr)>) {
        if !cells.is_empty() {
            self.step(Step::Extend(cells));
        }
    }

    /// Columns with aggregates: rows are grouped by the keys, then the columns are computed from keys and aggregates.
    fn grouped(
        &mut self,
        projection: &Projection,
        columns: &[Column<'_>],
        before: &Scope,
    ) -> Bound<Vec<Placed>> {
        let names: Vec<ast::Expr> = columns
            .iter()
            .map(|column| ast::Expr {
                kind: ExprKind::Variable(column.name.clone()),
                span: column.span,
            })
            .collect();
        let mut key_exprs: Vec<&ast::Expr> = Vec::new();
        match &projection.group_by {
            Some(keys) => {
                for key in keys {
                    key_exprs.push(self.grouping_key(key, columns)?);
                }
            }
            None => {
                let without = columns
                    .iter()
                    .zip(&names)
                    .filter(|(column, _)| !column.expr.is_some_and(has_aggregate));
                key_exprs.extend(without.map(|(column, name)| column.expr.unwrap_or(name)));
            }
        }
        let (mut keys, mut known) = (Vec::new(), Columns::default());
        for (slot, key) in key_exprs.into_iter().enumerate() {
            let (bound, ty) = self.expr(key, &mut Env::plain(before, "GROUP BY"))?;
            keys.push(bound);
            known.add(key, slot, ty);
        }
        let mut calls: Vec<AggregateCall> = Vec::new();
        let mut bound = Vec::new();
        for (column, name) in columns.iter().zip(&names) {
            let expr = column.expr.unwrap_or(name);
            bound.push(match known.find(expr) {
                Some((slot, ty)) => (Expr::Slot(slot), ty),
                None => {
                    let mode = Mode::Grouped {
                        keys: &known,
                        calls: &mut calls,
                        any_key: projection.group_by.is_some(),
                    };
                    self.expr(expr, &mut Env::new(before, mode, "an aggregation"))?
                }
            });
        }
        let having = match &projection.having {
            None => None,
            Some(having) => {
                let mode = Mode::Grouped {
                    keys: &known,
                    calls: &mut calls,
                    any_key: true,
                };
                Some(self.truth(having, "HAVING", &mut Env::new(before, mode, "HAVING"))?)
            }
        };
        let segment = self.new_segment(keys.len() + calls.len());
        self.step(Step::Aggregate { keys, calls, segment });
        if let Some(having) = having {
            self.step(Step::Filter(having));
        }
        let (mut placed, mut cells) = (Vec::new(), Vec::new());
        for (expr, ty) in bound {
            placed.push(self.place(expr, ty, &mut cells));
        }
        self.extend(cells);
        Ok(placed)
    }

    /// A key of GROUP BY: the name of a column stands for its expression.
    fn grouping_key<'e>(&self, key: &'e ast::Expr, columns: &[Column<'e>]) -> Bound<&'e ast::Expr> {
        let mut resolved = key;
        if let ExprKind::Variable(name) = &key.kind
            && let Some(Column { expr: Some(expr), .. }) = columns.iter().find(|column| column.name == *name)
        {
            resolved = expr;
        }
        if has_aggregate(resolved) {
            return Err(self.error(
                key.span,
                "InvalidAggregation",
                "rows cannot be grouped by an aggregate",
            ));
        }
        Ok(resolved)
    }

    fn order_and_page(
        &mut self,
        projection: &Projection,
        visible: &Scope,
        columns: Option<(&Columns<'_>, &Scope)>,
    ) -> Bound<()> {
        let env = |place: &'static str, expr: &ast::Expr| match columns {
            Some((columns, before)) => {
                let mode = Mode::Columns {
                    columns,
                    before,
                    aggregates: has_aggregate(expr),
                };
                Env::new(visible, mode, place)
            }
            None => Env::plain(visible, place),
        };
        if !projection.order_by.is_empty() {
            let mut keys = Vec::with_capacity(projection.order_by.len());
            for item in &projection.order_by {
                let (expr, _) = self.expr(&item.expr, &mut env("ORDER BY", &item.expr))?;
                let nulls_first = item.nulls_first.unwrap_or(item.descending);
                keys.push(SortKey {
                    expr,
                    descending: item.descending,
                    nulls_first,
                });
            }
            self.step(Step::Sort(keys));
        }
        if projection.offset.is_some() || projection.limit.is_some() {
            let offset = projection
                .offset
                .as_ref()
                .map(|offset| self.page_bound(offset, visible, "OFFSET"))
                .transpose()?;
            let limit = projection
                .limit
                .as_ref()
                .map(|limit| self.page_bound(limit, visible, "LIMIT"))
                .transpose()?;
            self.step(Step::Page { offset, limit });
        }
        if let Some(condition) = &projection.condition {
            let bound = self.truth(condition, "WHERE", &mut env("WHERE", condition))?;
            self.step(Step::Filter(bound));
        }
        Ok(())
    }

    /// OFFSET and LIMIT are known before the first row.
    fn page_bound(&mut self, expr: &ast::Expr, visible: &Scope, clause: &'static str) -> Bound<Expr> {
        if visible.names().any(|name| mentions(expr, name)) {
            let message = format!("{clause} cannot depend on a row's values");
            return Err(self
                .error(expr.span, "NonConstantExpression", message)
                .hint("use a number or a parameter"));
        }
        let none = Scope::default();
        let (bound, ty) = self.expr(expr, &mut Env::plain(&none, clause))?;
        self.require(&ty, TypeSet::INT, expr.span, clause)?;
        if is_negative(expr) {
            let message = format!("{clause} must not be negative");
            let error = QueryError::compile(
                ErrorClass::SyntaxError,
                "NegativeIntegerArgument",
                "22G02",
                message,
            );
            return Err(error.at(self.source.position(expr.span)));
        }
        Ok(bound)
    }
}

fn whole_variable(name: &str, scope: &Scope) -> (Expr, Type) {
    scope
        .get(name)
        .map_or((Expr::Const(crate::datum::Datum::Null), Type::Any), |variable| {
            (Expr::Slot(variable.slot), variable.ty.clone())
        })
}

fn is_negative(expr: &ast::Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(Literal::Int(number)) => *number < 0,
        ExprKind::Unary(UnaryOp::Minus, operand) => {
            matches!(operand.kind, ExprKind::Literal(Literal::Int(number)) if number > 0)
        }
        _ => false,
    }
}

/// Whether an aggregate stands anywhere in the expression.
pub(super) fn has_aggregate(expr: &ast::Expr) -> bool {
    let aggregate = match &expr.kind {
        ExprKind::CountStar => true,
        ExprKind::Call { name, .. } => Aggregate::by_name(&name.text).is_some(),
        _ => false,
    };
    aggregate || any_child(expr, &mut has_aggregate)
}

/// Whether a variable of this name stands anywhere in the expression.
pub(super) fn mentions(expr: &ast::Expr, variable: &str) -> bool {
    let mentions = Mentions::of(expr);
    mentions.star || mentions.names.contains(variable)
}

fn any_child(expr: &ast::Expr, test: &mut impl FnMut(&ast::Expr) -> bool) -> bool {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::Variable(_) | ExprKind::CountStar => false,
        ExprKind::MapProjection(projection) => projection.entries.iter().any(|(_, value)| test(value)),
        // Aggregates within are about their own rows.
        ExprKind::Pattern(_) | ExprKind::PatternComprehension(_) | ExprKind::Subquery(..) => false,
        ExprKind::Access(base, steps) => {
            test(base)
                || steps.iter().any(|step| match step {
                    AccessStep::Key(_) => false,
                    AccessStep::Index(index) => test(index),
                    AccessStep::Slice(from, to) => from.iter().chain(to).any(&mut *test),
                })
        }
        ExprKind::List(items) | ExprKind::Logical(_, items) => items.iter().any(test),
        ExprKind::Map(entries) => entries.iter().any(|(_, value)| test(value)),
        ExprKind::Unary(_, operand)
        | ExprKind::IsNull(operand, _)
        | ExprKind::IsTruth(operand, ..)
        | ExprKind::IsLabeled(operand, ..)
        | ExprKind::Cast(operand, _) => test(operand),
        ExprKind::Is(operand, predicate, _) => {
            test(operand)
                || match predicate.as_ref() {
                    ast::Predicate::Source(edge) | ast::Predicate::Destination(edge) => test(edge),
                    _ => false,
                }
        }
        ExprKind::Chain(first, rest) => test(first) || rest.iter().any(|(_, operand)| test(operand)),
        ExprKind::Compare(first, rest) => test(first) || rest.iter().any(|(_, operand)| test(operand)),
        ExprKind::In(left, right) | ExprKind::StringMatch(_, left, right) => test(left) || test(right),
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            operand.iter().chain(otherwise).any(|part| test(part))
                || branches.iter().any(|(when, then)| test(when) || test(then))
        }
        ExprKind::Call { arguments, .. } => arguments.iter().any(test),
        ExprKind::Quantified { list, condition, .. } => test(list) || test(condition),
        ExprKind::Reduce(reduction) => {
            test(&reduction.initial) || test(&reduction.list) || test(&reduction.next)
        }
        ExprKind::Comprehension {
            list,
            condition,
            result,
            ..
        } => test(list) || condition.iter().chain(result).any(|part| test(part)),
    }
}
