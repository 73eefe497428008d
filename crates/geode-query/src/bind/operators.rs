//! Binds operators, CASE and list expressions, and refuses operands whose types can never fit.

use super::env::Env;
use super::{Binder, Bound};
use crate::datum::Datum;
use crate::expr::{Expr, Test};
use crate::function;
use crate::types::{Type, TypeSet};
use geode_gql::Span;
use geode_gql::ast::{self, BinaryOp, CompareOp, ExprKind, LogicalOp, Name, Quantification, UnaryOp};

impl Binder<'_> {
    /// Like [`Binder::expr`], this is on the path of nesting and only says who does the work.
    pub(super) fn operator(&mut self, expr: &ast::Expr, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        match &expr.kind {
            ExprKind::Unary(op, operand) => self.unary(*op, operand, expr.span, env),
            ExprKind::Chain(first, rest) => self.chain(first, rest, env),
            ExprKind::Logical(op, operands) => self.logical(*op, operands, env),
            ExprKind::Compare(first, rest) => self.comparison(first, rest, env),
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand.as_deref(), branches, otherwise.as_deref(), env),
            ExprKind::Quantified {
                kind,
                variable,
                list,
                condition,
            } => self.quantified(*kind, variable, list, condition, env),
            ExprKind::Comprehension {
                variable,
                list,
                condition,
                result,
            } => self.comprehension(variable, list, condition.as_deref(), result.as_deref(), env),
            ExprKind::Reduce(reduction) => self.reduce(reduction, env),
            ExprKind::PatternComprehension(comprehension) => {
                self.pattern_comprehension(comprehension, expr.span, env)
            }
            ExprKind::MapProjection(projection) => self.map_projection(projection, expr.span, env),
            ExprKind::Subquery(kind, query) => self.subquery(*kind, query, expr.span, env),
            ExprKind::Pattern(_) => {
                let message = "a pattern can only stand where a truth value is asked for";
                Err(self
                    .error(expr.span, "UnexpectedSyntax", message)
                    .hint("write EXISTS { … } for its existence, or [p = … | p] for its matches"))
            }
            _ => self.predicate(expr, env),
        }
    }

    /// Operators whose operands bind tighter than they do, so that they nest only through parentheses.
    fn predicate(&mut self, expr: &ast::Expr, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let bound = match &expr.kind {
            ExprKind::IsNull(operand, negated) => {
                Expr::IsNull(Box::new(self.expr(operand, env)?.0), *negated)
            }
            ExprKind::IsTruth(operand, truth, negated) => {
                Expr::IsTruth(Box::new(self.truth(operand, "IS", env)?), *truth, *negated)
            }
            ExprKind::IsLabeled(operand, labels, negated) => {
                let (bound, ty) = self.expr(operand, env)?;
                self.require(&ty, TypeSet::NODE.or(TypeSet::EDGE), operand.span, "a label test")?;
                Expr::HasLabels(Box::new(bound), self.label_test(labels), *negated)
            }
            ExprKind::In(needle, list) => {
                let needle = self.expr(needle, env)?.0;
                Expr::In(Box::new(needle), Box::new(self.list(list, "IN", env)?.0))
            }
            ExprKind::StringMatch(op, text, part) => {
                let text = self.expr(text, env)?.0;
                Expr::StringMatch(*op, Box::new(text), Box::new(self.expr(part, env)?.0))
            }
            ExprKind::Is(operand, predicate, negated) => {
                let (bound, ty) = self.expr(operand, env)?;
                let (test, wanted) = self.is_test(predicate, env)?;
                self.require(&ty, wanted, operand.span, "this test")?;
                Expr::Is(Box::new(bound), Box::new(test), *negated)
            }
            // The other kinds are bound before it comes to this.
            _ => return Err(self.error(expr.span, "UnexpectedSyntax", "this expression cannot stand here")),
        };
        Ok((bound, Type::Bool))
    }

    /// A test, and what it can be asked of.
    fn is_test(&mut self, predicate: &ast::Predicate, env: &mut Env<'_>) -> Bound<(Test, TypeSet)> {
        let end = |binder: &mut Self, edge: &ast::Expr, start: bool, env: &mut Env<'_>| {
            let (bound, ty) = binder.expr(edge, env)?;
            binder.require(&ty, TypeSet::EDGE, edge.span, "the end of an edge")?;
            Ok((Test::End { edge: bound, start }, TypeSet::NODE))
        };
        match predicate {
            ast::Predicate::Typed(ty) => Ok((Test::Typed(ty.clone()), TypeSet::ANY)),
            ast::Predicate::Normalized(form) => Ok((Test::Normalized(*form), TypeSet::STRING)),
            ast::Predicate::Directed => Ok((Test::Directed, TypeSet::EDGE)),
            ast::Predicate::Source(edge) => end(self, edge, true, env),
            ast::Predicate::Destination(edge) => end(self, edge, false, env),
        }
    }

    fn map_projection(
        &mut self,
        projection: &ast::MapProjection,
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let (base, ty) = self.expr(&projection.base, env)?;
        let with_properties = TypeSet::NODE.or(TypeSet::EDGE).or(TypeSet::MAP);
        self.require(&ty, with_properties, projection.base.span, "a map projection")?;
        let (entries, _) = self.map_of(&projection.entries, env)?;
        let all = Expr::Const(Datum::Bool(projection.all));
        let projected = Expr::Call(&function::MAP_PROJECTION, vec![base, all, entries], span);
        Ok((projected, Type::Map))
    }

    fn logical(&mut self, op: LogicalOp, operands: &[ast::Expr], env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let mut bound = Vec::with_capacity(operands.len());
        for operand in operands {
            bound.push(self.truth(operand, op.text(), env)?);
        }
        Ok((Expr::Logical(op, bound), Type::Bool))
    }

    fn comparison(
        &mut self,
        first: &ast::Expr,
        rest: &[(CompareOp, ast::Expr)],
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let first = Box::new(self.expr(first, env)?.0);
        let mut bound = Vec::with_capacity(rest.len());
        for (op, operand) in rest {
            bound.push((*op, self.expr(operand, env)?.0));
        }
        Ok((Expr::Compare(first, bound), Type::Bool))
    }

    fn quantified(
        &mut self,
        kind: Quantification,
        variable: &Name,
        list: &ast::Expr,
        condition: &ast::Expr,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let (list, ty) = self.list(list, "a quantifier", env)?;
        let condition = self.local_condition(variable, &ty, condition, env)?;
        Ok((
            Expr::Quantified {
                kind,
                list: Box::new(list),
                condition: Box::new(condition),
            },
            Type::Bool,
        ))
    }

    fn comprehension(
        &mut self,
        variable: &Name,
        list: &ast::Expr,
        condition: Option<&ast::Expr>,
        result: Option<&ast::Expr>,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let (list, ty) = self.list(list, "a list comprehension", env)?;
        let condition = match condition {
            Some(condition) => Some(Box::new(self.local_condition(variable, &ty, condition, env)?)),
            None => None,
        };
        let (result, element) = match result {
            Some(result) => {
                let (result, ty) = self.with_local(variable, ty.element(), result, env)?;
                (Some(Box::new(result)), ty)
            }
            None => (None, ty.element()),
        };
        Ok((
            Expr::Comprehension {
                list: Box::new(list),
                condition,
                result,
            },
            Type::List(Box::new(element)),
        ))
    }

    fn reduce(&mut self, reduction: &ast::Reduction, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let (initial, _) = self.expr(&reduction.initial, env)?;
        let (list, ty) = self.list(&reduction.list, "reduce()", env)?;
        // What is kept may change its type on the way.
        env.locals.push((reduction.total.text.clone(), Type::Any));
        let next = self.with_local(&reduction.variable, ty.element(), &reduction.next, env);
        env.locals.pop();
        Ok((
            Expr::Reduce {
                initial: Box::new(initial),
                list: Box::new(list),
                next: Box::new(next?.0),
            },
            Type::Any,
        ))
    }

    /// A condition on the elements of a list.
    fn local_condition(
        &mut self,
        variable: &Name,
        list: &Type,
        condition: &ast::Expr,
        env: &mut Env<'_>,
    ) -> Bound<Expr> {
        env.locals.push((variable.text.clone(), list.element()));
        let bound = self.truth(condition, "the condition of a list expression", env);
        env.locals.pop();
        bound
    }

    /// A truth value; a pattern stands for its existence here.
    pub(super) fn truth(&mut self, operand: &ast::Expr, operator: &str, env: &mut Env<'_>) -> Bound<Expr> {
        if let ExprKind::Pattern(pattern) = &operand.kind {
            return self.pattern_predicate(pattern, env);
        }
        let (bound, ty) = self.expr(operand, env)?;
        self.require(&ty, TypeSet::BOOL, operand.span, operator)?;
        Ok(bound)
    }

    fn list(&mut self, list: &ast::Expr, what: &str, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let (bound, ty) = self.expr(list, env)?;
        self.require(&ty, TypeSet::LIST, list.span, what)?;
        Ok((bound, ty))
    }

    fn unary(
        &mut self,
        op: UnaryOp,
        operand: &ast::Expr,
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        if op == UnaryOp::Not {
            return Ok((Expr::Not(Box::new(self.truth(operand, "NOT", env)?)), Type::Bool));
        }
        let (bound, ty) = self.expr(operand, env)?;
        self.require(&ty, TypeSet::NUMBER.or(TypeSet::DURATION), operand.span, "a sign")?;
        Ok((
            if op == UnaryOp::Minus {
                Expr::Negate(Box::new(bound), span)
            } else {
                bound
            },
            ty,
        ))
    }

    fn chain(
        &mut self,
        first: &ast::Expr,
        rest: &[(BinaryOp, ast::Expr)],
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let (bound, mut ty) = self.expr(first, env)?;
        let mut links = Vec::with_capacity(rest.len());
        let mut left_span = first.span;
        for (op, operand) in rest {
            let (right, right_type) = self.expr(operand, env)?;
            if !matches!(op, BinaryOp::Add | BinaryOp::Concat) {
                let operands = match op {
                    BinaryOp::Subtract => TypeSet::NUMBER.or(TypeSet::TEMPORAL),
                    BinaryOp::Multiply | BinaryOp::Divide => TypeSet::NUMBER.or(TypeSet::DURATION),
                    _ => TypeSet::NUMBER,
                };
                self.require(&ty, operands, left_span, op.text())?;
                self.require(&right_type, operands, operand.span, op.text())?;
            }
            ty = result_type(*op, &ty, &right_type);
            left_span = operand.span;
            links.push((*op, right, operand.span));
        }
        Ok((Expr::Chain(Box::new(bound), links), ty))
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let searched = operand.is_none();
        let operand = match operand {
            Some(operand) => Some(Box::new(self.expr(operand, env)?.0)),
            None => None,
        };
        let mut ty = Type::Null;
        let mut bound = Vec::with_capacity(branches.len());
        for (when, then) in branches {
            let when = self.when(when, searched, env)?;
            bound.push((when, self.alternative(then, &mut ty, env)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => Some(Box::new(self.alternative(otherwise, &mut ty, env)?)),
            None => None,
        };
        Ok((
            Expr::Case {
                operand,
                branches: bound,
                otherwise,
            },
            ty,
        ))
    }

    fn when(&mut self, when: &ast::Expr, searched: bool, env: &mut Env<'_>) -> Bound<Expr> {
        if searched {
            self.truth(when, "CASE WHEN", env)
        } else {
            Ok(self.expr(when, env)?.0)
        }
    }

    /// A possible value of CASE; its type joins those of the others.
    fn alternative(&mut self, value: &ast::Expr, ty: &mut Type, env: &mut Env<'_>) -> Bound<Expr> {
        let (bound, value_type) = self.expr(value, env)?;
        *ty = std::mem::replace(ty, Type::Null).join(value_type);
        Ok(bound)
    }
}

fn result_type(op: BinaryOp, left: &Type, right: &Type) -> Type {
    match (op, left, right) {
        (BinaryOp::Power, ..) => Type::Float,
        (_, Type::Int, Type::Int) => Type::Int,
        (_, Type::Float, Type::Int | Type::Float) | (_, Type::Int, Type::Float) => Type::Float,
        (BinaryOp::Add | BinaryOp::Concat, Type::List(left), Type::List(right)) => {
            Type::List(Box::new(left.as_ref().clone().join(right.as_ref().clone())))
        }
        (BinaryOp::Add | BinaryOp::Concat, Type::List(_), _)
        | (BinaryOp::Add | BinaryOp::Concat, _, Type::List(_)) => Type::List(Box::new(Type::Any)),
        (BinaryOp::Add | BinaryOp::Concat, Type::String, Type::String) => Type::String,
        _ => Type::Any,
    }
}
