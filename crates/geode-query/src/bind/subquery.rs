//! Queries within expressions: EXISTS, COUNT, COLLECT, VALUE, patterns where a truth value is asked for, pattern comprehensions.
//!
//! Each becomes a plan of its own, whose rows begin with the values that it uses of the row around it. So a subquery can stand wherever
//! an expression can, and knows nothing of the layout around it.

use super::env::Env;
use super::pattern::Building;
use super::scope::Scope;
use super::{Binder, Bound, Start};
use crate::expr::{Expr, Subquery};
use crate::plan::logical::{QueryPlan, Step};
use crate::types::Type;
use geode_gql::Span;
use geode_gql::ast::{self, Mentions, PathPattern, PatternComprehension, Query, SubqueryKind};

impl Binder<'_> {
    /// `EXISTS { … }` and its kin.
    pub(super) fn subquery(
        &mut self,
        kind: SubqueryKind,
        query: &Query,
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let mut mentions = Mentions::default();
        mentions.query(query);
        let may_end_open = matches!(kind, SubqueryKind::Exists | SubqueryKind::Count);
        let (subquery, element) = self.nested(kind, &mentions, may_end_open, span, env, |binder| {
            let (plan, columns) = binder.composite(query)?;
            if plan.writes() {
                let message = format!("{} {{ … }} asks and must not change anything", kind.text());
                return Err(binder.error(span, "InvalidClauseComposition", message));
            }
            if may_end_open {
                return Ok((plan, Type::Any));
            }
            match columns.as_deref() {
                Some([only]) => {
                    let ty = binder
                        .scope
                        .get(only)
                        .map_or(Type::Any, |variable| variable.ty.clone());
                    Ok((plan, ty))
                }
                _ => {
                    let message = format!("{} {{ … }} returns one column", kind.text());
                    Err(binder
                        .error(span, "InvalidNumberOfColumns", message)
                        .hint("end it with RETURN and one expression"))
                }
            }
        })?;
        let ty = match kind {
            SubqueryKind::Exists => Type::Bool,
            SubqueryKind::Count => Type::Int,
            SubqueryKind::Collect => Type::List(Box::new(element)),
            SubqueryKind::Value => element,
        };
        Ok((subquery, ty))
    }

    /// Whether there is a path. It may name only variables that are there.
    pub(super) fn pattern_predicate(&mut self, pattern: &PathPattern, env: &mut Env<'_>) -> Bound<Expr> {
        let edges = pattern
            .steps
            .iter()
            .filter_map(|(edge, _)| edge.variable.as_ref());
        let named = pattern
            .nodes()
            .filter_map(|node| node.variable.as_ref())
            .chain(edges);
        for name in named {
            if !env.knows(&name.text) {
                let error = self.undefined_variable(&name.text, name.span, env.scope);
                return Err(error.hint(format!(
                    "a pattern in a condition defines nothing; use EXISTS {{ … }}, or leave the name {} away",
                    name.text
                )));
            }
        }
        let mut mentions = Mentions::default();
        mentions.pattern(pattern);
        let kind = SubqueryKind::Exists;
        let bound = self.nested(kind, &mentions, true, pattern.span, env, |binder| {
            binder.begin();
            let matched = binder.pattern(std::slice::from_ref(pattern), Building::default(), pattern.span)?;
            binder.step(Step::Match(Box::new(matched)));
            Ok((binder.only_part(), Type::Any))
        });
        Ok(bound?.0)
    }

    /// A list with an element for each match.
    pub(super) fn pattern_comprehension(
        &mut self,
        comprehension: &PatternComprehension,
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let PatternComprehension {
            pattern,
            condition,
            result,
        } = comprehension;
        let mut mentions = Mentions::default();
        mentions.pattern(pattern);
        condition
            .iter()
            .chain([result])
            .for_each(|expr| mentions.expr(expr));
        let kind = SubqueryKind::Collect;
        let (subquery, element) = self.nested(kind, &mentions, true, span, env, |binder| {
            binder.begin();
            let building = Building::with_condition(condition.as_ref());
            let matched = binder.pattern(std::slice::from_ref(pattern), building, pattern.span)?;
            binder.step(Step::Match(Box::new(matched)));
            let (value, ty) = binder.plain(result, "a pattern comprehension")?;
            let slot = binder.new_slot();
            binder.step(Step::Extend(vec![(slot, value)]));
            let segment = binder.new_segment(1);
            binder.step(Step::Compact {
                slots: vec![slot],
                segment,
            });
            Ok((binder.only_part(), ty))
        })?;
        Ok((subquery, Type::List(Box::new(element))))
    }

    fn only_part(&mut self) -> QueryPlan {
        QueryPlan {
            parts: vec![std::mem::take(&mut self.plan)],
            operation: None,
        }
    }

    /// Binds a plan of its own. What it mentions of the variables around it becomes its first cells.
    fn nested(
        &mut self,
        kind: SubqueryKind,
        mentions: &Mentions<'_>,
        may_end_open: bool,
        span: Span,
        env: &mut Env<'_>,
        bind: impl FnOnce(&mut Self) -> Bound<(QueryPlan, Type)>,
    ) -> Bound<(Expr, Type)> {
        let names = env.names(mentions);
        let (imports, (plan, ty)) = self.inner(&names, may_end_open, span, env, bind)?;
        self.subqueries.push(plan);
        let subquery = Subquery {
            kind,
            plan: self.subqueries.len() - 1,
            imports,
            span,
        };
        Ok((Expr::Subquery(Box::new(subquery)), ty))
    }

    /// Binds something that begins with the values of these variables, and knows nothing else of what is around it.
    pub(super) fn inner<T>(
        &mut self,
        names: &[String],
        may_end_open: bool,
        span: Span,
        env: &mut Env<'_>,
        bind: impl FnOnce(&mut Self) -> Bound<T>,
    ) -> Bound<(Vec<Expr>, T)> {
        let (mut imports, mut scope) = (Vec::new(), Scope::default());
        for name in names {
            let variable = ast::Expr {
                kind: ast::ExprKind::Variable(name.clone()),
                span,
            };
            let (value, ty) = self.expr(&variable, env)?;
            scope.define(name, imports.len(), ty);
            imports.push(value);
        }
        let outer = (
            std::mem::take(&mut self.plan),
            self.segment,
            std::mem::take(&mut self.scope),
            self.start.replace(Start { scope, may_end_open }),
        );
        let bound = bind(self);
        (self.plan, self.segment, self.scope, self.start) = outer;
        Ok((imports, bound?))
    }
}
