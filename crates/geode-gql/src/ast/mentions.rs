//! Which variables a part of a statement names. An over-estimate: a name that the part itself defines counts, too.

use super::{
    AccessStep, ClauseKind, Expr, ExprKind, PathPattern, Predicate, Projection, Query, RemoveItem, SetItem,
    Yield,
};
use std::collections::BTreeSet;

/// The variables that a part of a statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions<'a> {
    /// Their names.
    pub names: BTreeSet<&'a str>,
    /// Whether it also says `*`: all that there are.
    pub star: bool,
}

impl<'a> Mentions<'a> {
    /// Of an expression.
    pub fn of(expr: &'a Expr) -> Self {
        let mut mentions = Self::default();
        mentions.expr(expr);
        mentions
    }

    /// Adds those of an expression.
    pub fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::CountStar => {}
            ExprKind::Variable(name) => drop(self.names.insert(name)),
            ExprKind::Access(base, steps) => {
                self.expr(base);
                for step in steps {
                    match step {
                        AccessStep::Key(_) => {}
                        AccessStep::Index(index) => self.expr(index),
                        AccessStep::Slice(from, to) => self.all(from.iter().chain(to)),
                    }
                }
            }
            ExprKind::List(items) | ExprKind::Logical(_, items) | ExprKind::Call { arguments: items, .. } => {
                self.all(items);
            }
            ExprKind::Map(entries) => self.all(entries.iter().map(|(_, value)| value)),
            ExprKind::Unary(_, operand)
            | ExprKind::IsNull(operand, _)
            | ExprKind::IsTruth(operand, ..)
            | ExprKind::IsLabeled(operand, ..)
            | ExprKind::Cast(operand, _) => self.expr(operand),
            ExprKind::Is(operand, predicate, _) => {
                self.expr(operand);
                if let Predicate::Source(edge) | Predicate::Destination(edge) = predicate.as_ref() {
                    self.expr(edge);
                }
            }
            ExprKind::Chain(first, rest) => {
                self.expr(first);
                self.all(rest.iter().map(|(_, operand)| operand));
            }
            ExprKind::Compare(first, rest) => {
                self.expr(first);
                self.all(rest.iter().map(|(_, operand)| operand));
            }
            ExprKind::In(left, right) | ExprKind::StringMatch(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                self.all(operand.iter().chain(otherwise).map(Box::as_ref));
                self.all(branches.iter().flat_map(|(when, then)| [when, then]));
            }
            ExprKind::Quantified { list, condition, .. } => {
                self.expr(list);
                self.expr(condition);
            }
            ExprKind::Comprehension {
                list,
                condition,
                result,
                ..
            } => {
                self.expr(list);
                self.all(condition.iter().chain(result).map(Box::as_ref));
            }
            ExprKind::Reduce(reduction) => {
                self.all([&reduction.initial, &reduction.list, &reduction.next]);
            }
            ExprKind::Pattern(pattern) => self.pattern(pattern),
            ExprKind::PatternComprehension(comprehension) => {
                self.pattern(&comprehension.pattern);
                self.all(comprehension.condition.iter().chain([&comprehension.result]));
            }
            ExprKind::MapProjection(projection) => {
                self.expr(&projection.base);
                self.all(projection.entries.iter().map(|(_, value)| value));
            }
            ExprKind::Subquery(_, query) => self.query(query),
        }
    }

    fn all(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        exprs.into_iter().for_each(|expr| self.expr(expr));
    }

    fn patterns(&mut self, patterns: &'a [PathPattern]) {
        for pattern in patterns {
            self.pattern(pattern);
        }
    }

    /// Adds those of a pattern.
    pub fn pattern(&mut self, pattern: &'a PathPattern) {
        self.names
            .extend(pattern.variable.as_ref().map(|name| name.text.as_str()));
        for node in pattern.nodes() {
            self.names
                .extend(node.variable.as_ref().map(|name| name.text.as_str()));
            self.all(node.properties.iter().chain(&node.condition));
        }
        for (edge, _) in &pattern.steps {
            if let Some(group) = &edge.group {
                self.pattern(&group.pattern);
                self.all(&group.condition);
            }
            self.names
                .extend(edge.variable.as_ref().map(|name| name.text.as_str()));
            self.all(edge.properties.iter().chain(&edge.condition));
        }
    }

    /// Adds those of a query.
    pub fn query(&mut self, query: &'a Query) {
        let others = query.rest.iter().map(|(_, linear)| linear);
        for clause in std::iter::once(&query.first)
            .chain(others)
            .flat_map(|linear| &linear.clauses)
        {
            self.clause(&clause.kind);
        }
    }

    /// Adds those of a clause.
    pub fn clause(&mut self, clause: &'a ClauseKind) {
        match clause {
            ClauseKind::Match {
                patterns, condition, ..
            } => {
                self.patterns(patterns);
                self.all(condition);
            }
            ClauseKind::Filter(condition) => self.expr(condition),
            ClauseKind::Let(bindings) => self.all(bindings.iter().map(|(_, value)| value)),
            ClauseKind::For { list, .. } => self.expr(list),
            ClauseKind::With(projection) | ClauseKind::Return(projection) => self.projection(projection),
            ClauseKind::Finish | ClauseKind::Use(_) | ClauseKind::At(_) | ClauseKind::Table(_) => {}
            ClauseKind::CallProcedure(call) => {
                self.all(call.arguments.iter().flatten());
                if let Some(Yield::Items(_, condition)) = &call.yields {
                    self.all(condition);
                }
            }
            ClauseKind::CallQuery { variables, query, .. } => {
                let names = variables.iter().flatten().map(|name| name.text.as_str());
                self.names.extend(names);
                self.query(query);
            }
            ClauseKind::Foreach { list, clauses, .. } => {
                self.expr(list);
                for clause in clauses {
                    self.clause(&clause.kind);
                }
            }
            ClauseKind::Composite(query) => self.query(query),
            ClauseKind::Insert(patterns) => self.patterns(patterns),
            ClauseKind::Merge {
                pattern,
                on_create,
                on_match,
            } => {
                self.pattern(pattern);
                on_create
                    .iter()
                    .chain(on_match)
                    .for_each(|item| self.set_item(item));
            }
            ClauseKind::Set(items) => items.iter().for_each(|item| self.set_item(item)),
            ClauseKind::Remove(items) => items.iter().for_each(|item| match item {
                RemoveItem::Property { target, .. } => self.expr(target),
                RemoveItem::Labels { target, .. } => drop(self.names.insert(&target.text)),
            }),
            ClauseKind::Delete { targets, .. } => self.all(targets),
        }
    }

    fn set_item(&mut self, item: &'a SetItem) {
        match item {
            SetItem::Property { target, value, .. } => self.all([target, value]),
            SetItem::Properties { target, value, .. } => {
                self.names.insert(&target.text);
                self.expr(value);
            }
            SetItem::Labels { target, .. } => drop(self.names.insert(&target.text)),
        }
    }

    fn projection(&mut self, projection: &'a Projection) {
        self.star |= projection.star.is_some();
        self.all(projection.items.iter().map(|item| &item.expr));
        self.all(projection.group_by.iter().flatten());
        self.all(&projection.having);
        self.all(projection.order_by.iter().map(|item| &item.expr));
        let page = projection.offset.iter().chain(&projection.limit);
        self.all(page.chain(&projection.condition));
    }
}
