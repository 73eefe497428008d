//! Binds operators, CASE and list expressions, and refuses operands whose types can never fit.

use super::expr::Env;
use super::{Binder, Bound};
use crate::expr::Expr;
use crate::types::{Type, TypeSet};
use geode_gql::Span;
use geode_gql::ast::{self, BinaryOp, ExprKind, UnaryOp};

impl Binder<'_> {
    pub(super) fn operator(&mut self, expr: &ast::Expr, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        match &expr.kind {
            ExprKind::Unary(op, operand) => self.unary(*op, operand, expr.span, env),
            ExprKind::Chain(first, rest) => self.chain(first, rest, env),
            ExprKind::Logical(op, operands) => {
                let operands = operands.iter().map(|operand| self.truth(operand, op.text(), env));
                Ok((Expr::Logical(*op, operands.collect::<Bound<_>>()?), Type::Bool))
            }
            ExprKind::Compare(first, rest) => {
                let first = Box::new(self.expr(first, env)?.0);
                let rest = rest
                    .iter()
                    .map(|(op, operand)| Ok((*op, self.expr(operand, env)?.0)));
                Ok((Expr::Compare(first, rest.collect::<Bound<_>>()?), Type::Bool))
            }
            ExprKind::IsNull(operand, negated) => Ok((
                Expr::IsNull(Box::new(self.expr(operand, env)?.0), *negated),
                Type::Bool,
            )),
            ExprKind::IsTruth(operand, truth, negated) => {
                let operand = self.truth(operand, "IS", env)?;
                Ok((Expr::IsTruth(Box::new(operand), *truth, *negated), Type::Bool))
            }
            ExprKind::IsLabeled(operand, labels, negated) => {
                let (bound, ty) = self.expr(operand, env)?;
                self.require(&ty, TypeSet::NODE.or(TypeSet::EDGE), operand.span, "a label test")?;
                Ok((
                    Expr::HasLabels(Box::new(bound), self.label_test(labels), *negated),
                    Type::Bool,
                ))
            }
            ExprKind::In(needle, list) => {
                let needle = self.expr(needle, env)?.0;
                let (bound, ty) = self.expr(list, env)?;
                self.require(&ty, TypeSet::LIST, list.span, "IN")?;
                Ok((Expr::In(Box::new(needle), Box::new(bound)), Type::Bool))
            }
            ExprKind::StringMatch(op, text, part) => {
                let (text, part) = (self.expr(text, env)?.0, self.expr(part, env)?.0);
                Ok((Expr::StringMatch(*op, Box::new(text), Box::new(part)), Type::Bool))
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand.as_deref(), branches, otherwise.as_deref(), env),
            ExprKind::Quantified { .. } | ExprKind::Comprehension { .. } => self.list_expression(expr, env),
            // The other kinds are bound where expressions begin; a variable that is none of them cannot be one of these.
            _ => Err(self.error(expr.span, "UnexpectedSyntax", "this expression cannot stand here")),
        }
    }

    /// Quantifiers and comprehensions: expressions with a variable of their own.
    fn list_expression(&mut self, expr: &ast::Expr, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        match &expr.kind {
            ExprKind::Quantified {
                kind,
                variable,
                list,
                condition,
            } => {
                let (bound, ty) = self.list(list, "a quantifier", env)?;
                let (condition_bound, condition_type) =
                    self.with_local(variable, ty.element(), condition, env)?;
                self.require(
                    &condition_type,
                    TypeSet::BOOL,
                    condition.span,
                    "a quantifier's condition",
                )?;
                let (list, condition) = (Box::new(bound), Box::new(condition_bound));
                Ok((
                    Expr::Quantified {
                        kind: *kind,
                        list,
                        condition,
                    },
                    Type::Bool,
                ))
            }
            ExprKind::Comprehension {
                variable,
                list,
                condition,
                result,
            } => {
                let (bound, ty) = self.list(list, "a list comprehension", env)?;
                let mut kept = None;
                if let Some(condition) = condition {
                    let (condition_bound, condition_type) =
                        self.with_local(variable, ty.element(), condition, env)?;
                    self.require(
                        &condition_type,
                        TypeSet::BOOL,
                        condition.span,
                        "a list comprehension's condition",
                    )?;
                    kept = Some(Box::new(condition_bound));
                }
                let (mut mapped, mut element) = (None, ty.element());
                if let Some(result) = result {
                    let (result, ty) = self.with_local(variable, element, result, env)?;
                    (mapped, element) = (Some(Box::new(result)), ty);
                }
                let comprehension = Expr::Comprehension {
                    list: Box::new(bound),
                    condition: kept,
                    result: mapped,
                };
                Ok((comprehension, Type::List(Box::new(element))))
            }
            _ => Err(self.error(expr.span, "UnexpectedSyntax", "this expression cannot stand here")),
        }
    }

    fn truth(&mut self, operand: &ast::Expr, operator: &str, env: &mut Env<'_>) -> Bound<Expr> {
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
        self.require(&ty, TypeSet::NUMBER, operand.span, "a sign")?;
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
                self.require(&ty, TypeSet::NUMBER, left_span, op.text())?;
                self.require(&right_type, TypeSet::NUMBER, operand.span, op.text())?;
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
            let when = if searched {
                self.truth(when, "CASE WHEN", env)?
            } else {
                self.expr(when, env)?.0
            };
            let (then, then_type) = self.expr(then, env)?;
            ty = ty.join(then_type);
            bound.push((when, then));
        }
        let otherwise = match otherwise {
            None => None,
            Some(otherwise) => {
                let (otherwise, otherwise_type) = self.expr(otherwise, env)?;
                ty = ty.join(otherwise_type);
                Some(Box::new(otherwise))
            }
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
