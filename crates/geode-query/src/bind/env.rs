//! Where an expression stands, and what that means for names and aggregates.

use super::scope::Scope;
use crate::aggregate::AggregateCall;
use crate::types::Type;
use geode_gql::ast::{self, ExprKind, Mentions};
use geode_gql::expression_to_sexpr;
use std::collections::HashMap;

/// Where an expression stands: what it can name, and what becomes of aggregates.
pub(super) struct Env<'e> {
    pub scope: &'e Scope,
    /// Variables of enclosing list expressions, outermost first.
    pub locals: Vec<(String, Type)>,
    pub mode: Mode<'e>,
    /// The clause, for messages.
    pub place: &'static str,
}

pub(super) enum Mode<'e> {
    /// Aggregates are refused.
    Plain,
    /// An item that is computed per group: it consists of grouping keys and aggregates over `scope`.
    Grouped {
        keys: &'e Columns<'e>,
        calls: &'e mut Vec<AggregateCall>,
        any_key: bool,
    },
    /// ORDER BY or WHERE behind DISTINCT or aggregates: `scope` holds the columns; an expression that equals a column's is that
    /// column. `before` is what could be named in the columns. Beside an aggregate, a variable that is none of the columns is
    /// ambiguous; otherwise it is gone.
    Columns {
        columns: &'e Columns<'e>,
        before: &'e Scope,
        aggregates: bool,
    },
    /// Within an aggregate's arguments.
    Aggregated,
}

/// Expressions that have a cell already.
#[derive(Default)]
pub(super) struct Columns<'e> {
    by_text: HashMap<String, Vec<(&'e ast::Expr, usize, Type)>>,
}

impl<'e> Columns<'e> {
    pub(super) fn add(&mut self, expr: &'e ast::Expr, slot: usize, ty: Type) {
        self.by_text
            .entry(expression_to_sexpr(expr))
            .or_default()
            .push((expr, slot, ty));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_text.values().map(Vec::len).sum()
    }

    pub(super) fn find(&self, expr: &ast::Expr) -> Option<(usize, Type)> {
        if self.by_text.is_empty() || matches!(expr.kind, ExprKind::Literal(_)) {
            return None;
        }
        let candidates = self.by_text.get(&expression_to_sexpr(expr))?;
        candidates
            .iter()
            .find(|(known, ..)| *known == expr)
            .map(|(_, slot, ty)| (*slot, ty.clone()))
    }

    /// Whether a column's expression mentions a variable.
    pub(super) fn mention(&self, variable: &str) -> bool {
        self.by_text
            .values()
            .flatten()
            .any(|(expr, ..)| super::projection::mentions(expr, variable))
    }
}

impl<'e> Env<'e> {
    pub(super) fn plain(scope: &'e Scope, place: &'static str) -> Self {
        Self {
            scope,
            locals: Vec::new(),
            mode: Mode::Plain,
            place,
        }
    }

    /// Whether a variable of this name can be named here.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.locals.iter().any(|(local, _)| local == name) || self.scope.get(name).is_some()
    }

    /// The variables that can be named here and are mentioned, each once.
    pub(super) fn names(&self, mentions: &Mentions<'_>) -> Vec<String> {
        let locals = self.locals.iter().map(|(name, _)| name.as_str());
        let mut names: Vec<String> = Vec::new();
        for name in self.scope.names().chain(locals) {
            let wanted = mentions.star || mentions.names.contains(name);
            if wanted && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    pub(super) fn new(scope: &'e Scope, mode: Mode<'e>, place: &'static str) -> Self {
        Self {
            scope,
            locals: Vec::new(),
            mode,
            place,
        }
    }
}

/// An expression that is a grouping key or a column. Beside aggregates only variables and properties count as keys, unless GROUP BY
/// names the key: openCypher wants `a.x + b.x + count(*)` to be refused rather than guessed.
pub(super) fn known_column(expr: &ast::Expr, env: &Env<'_>) -> Option<(usize, Type)> {
    if env
        .locals
        .iter()
        .any(|(local, _)| super::projection::mentions(expr, local))
    {
        return None;
    }
    match &env.mode {
        Mode::Grouped { keys, any_key, .. }
            if *any_key || matches!(expr.kind, ExprKind::Variable(_) | ExprKind::Access(..)) =>
        {
            keys.find(expr)
        }
        Mode::Columns { columns, .. } if !matches!(expr.kind, ExprKind::Variable(_)) => columns.find(expr),
        _ => None,
    }
}
