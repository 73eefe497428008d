//! Expressions as s-expressions.

use super::{join, labels};
use crate::ast::{AccessStep, BinaryOp, CompareOp, Expr, ExprKind, Literal, Name, Predicate, UnaryOp};

/// An expression as an s-expression.
pub fn expression_to_sexpr(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Literal(literal) => constant(literal),
        ExprKind::Parameter(name) => format!("${name}"),
        ExprKind::Variable(name) => name.clone(),
        ExprKind::Access(base, steps) => format!("(at {} {})", print(base), join(steps.iter().map(step))),
        ExprKind::List(items) => format!("[{}]", list(items)),
        ExprKind::Map(entries) => format!(
            "{{{}}}",
            join(entries.iter().map(|(key, value)| pair(key, value)))
        ),
        ExprKind::Unary(op, operand) => format!("({} {})", unary(*op), print(operand)),
        ExprKind::Chain(first, rest) => chain(first, rest),
        ExprKind::Logical(op, operands) => format!("({} {})", op.text().to_lowercase(), list(operands)),
        ExprKind::Compare(first, rest) => {
            let links = rest
                .iter()
                .map(|(op, operand)| format!("{} {}", CompareOp::text(*op), print(operand)));
            format!("(compare {} {})", print(first), join(links))
        }
        ExprKind::IsNull(operand, negated) => format!("({}null {})", is(*negated), print(operand)),
        ExprKind::IsTruth(operand, truth, negated) => {
            let word = truth.map_or("unknown", |truth| if truth { "true" } else { "false" });
            format!("({}{word} {})", is(*negated), print(operand))
        }
        ExprKind::IsLabeled(operand, expr, negated) => {
            format!("({}labeled {} {})", is(*negated), print(operand), labels(expr))
        }
        ExprKind::In(operand, container) => format!("(in {} {})", print(operand), print(container)),
        ExprKind::StringMatch(op, operand, part) => {
            format!(
                "({} {} {})",
                format!("{op:?}").to_lowercase(),
                print(operand),
                print(part)
            )
        }
        _ => compound(expr),
    }
}

/// The kinds with parts of their own: calls, CASE, list expressions.
fn compound(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            let mut parts = vec!["case".to_owned()];
            parts.extend(operand.iter().map(|operand| print(operand)));
            parts.extend(
                branches
                    .iter()
                    .map(|(when, then)| format!("(when {} {})", print(when), print(then))),
            );
            parts.extend(
                otherwise
                    .iter()
                    .map(|otherwise| format!("(else {})", print(otherwise))),
            );
            format!("({})", parts.join(" "))
        }
        ExprKind::Call {
            name,
            distinct,
            arguments,
        } => {
            let mut parts = vec![name.text.clone()];
            parts.extend(distinct.then(|| "distinct".to_owned()));
            parts.extend(arguments.iter().map(print));
            format!("({})", parts.join(" "))
        }
        ExprKind::Cast(operand, target) => format!("(cast {} {target})", print(operand)),
        ExprKind::Is(operand, predicate, negated) => asked(operand, predicate, *negated),
        ExprKind::Quantified {
            kind,
            variable,
            list,
            condition,
        } => {
            let kind = format!("{kind:?}").to_lowercase();
            format!("({kind} {} {} {})", variable.text, print(list), print(condition))
        }
        ExprKind::Comprehension {
            variable,
            list,
            condition,
            result,
        } => {
            let mut parts = vec!["each".to_owned(), variable.text.clone(), print(list)];
            parts.extend(
                condition
                    .iter()
                    .map(|condition| format!("(where {})", print(condition))),
            );
            parts.extend(result.iter().map(|result| format!("(yield {})", print(result))));
            format!("({})", parts.join(" "))
        }
        ExprKind::Reduce(reduction) => format!(
            "(reduce {} {} {} {} {})",
            reduction.total.text,
            print(&reduction.initial),
            reduction.variable.text,
            print(&reduction.list),
            print(&reduction.next)
        ),
        _ => of_patterns(expr),
    }
}

/// The kinds with patterns, queries and choices in them, and `count(*)`.
fn of_patterns(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Pattern(pattern) => format!("(pattern {})", super::path(pattern)),
        ExprKind::PatternComprehension(comprehension) => {
            let mut parts = vec!["match-each".to_owned(), super::path(&comprehension.pattern)];
            let condition = comprehension.condition.iter();
            parts.extend(condition.map(|condition| format!("(where {})", print(condition))));
            parts.push(format!("(yield {})", print(&comprehension.result)));
            format!("({})", parts.join(" "))
        }
        ExprKind::MapProjection(projection) => {
            let all = if projection.all { ".* " } else { "" };
            let entries = projection.entries.iter().map(|(key, value)| pair(key, value));
            format!("(project {} {{{all}{}}})", print(&projection.base), join(entries))
        }
        ExprKind::Subquery(kind, query) => {
            format!("({} {})", kind.text().to_lowercase(), super::query(query))
        }
        _ => "(count *)".to_owned(),
    }
}

fn print(expr: &Expr) -> String {
    expression_to_sexpr(expr)
}

pub(super) fn list(items: &[Expr]) -> String {
    join(items.iter().map(print))
}

pub(super) fn pair(key: &Name, value: &Expr) -> String {
    format!("{}: {}", key.text, print(value))
}

fn asked(operand: &Expr, predicate: &Predicate, negated: bool) -> String {
    let (is, operand) = (is(negated), print(operand));
    match predicate {
        Predicate::Typed(ty) => format!("({is}typed {operand} {ty})"),
        Predicate::Normalized(form) => format!("({is}normalized {operand} {form:?})"),
        Predicate::Directed => format!("({is}directed {operand})"),
        Predicate::Source(edge) => format!("({is}source {operand} {})", print(edge)),
        Predicate::Destination(edge) => format!("({is}destination {operand} {})", print(edge)),
    }
}

fn is(negated: bool) -> &'static str {
    if negated { "is-not-" } else { "is-" }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Not => "not",
        UnaryOp::Minus => "-",
        UnaryOp::Plus => "+",
    }
}

/// `(chain a + b - c)`: flat, as it is stored.
fn chain(first: &Expr, rest: &[(BinaryOp, Expr)]) -> String {
    let links = rest
        .iter()
        .map(|(op, operand)| format!("{} {}", op.text(), print(operand)));
    format!("(chain {} {})", print(first), join(links))
}

fn constant(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(truth) => truth.to_string(),
        Literal::Int(number) => number.to_string(),
        Literal::Float(number) => format!("{number:?}"),
        Literal::String(text) => format!("{text:?}"),
        Literal::Bytes(bytes) => format!("{bytes:02x?}"),
        Literal::Decimal(number) => format!("{number}m"),
        Literal::Temporal(value) => format!("({} {value})", value.kind().name()),
    }
}

fn step(step: &AccessStep) -> String {
    match step {
        AccessStep::Key(name) => format!(".{}", name.text),
        AccessStep::Index(index) => format!("[{}]", print(index)),
        AccessStep::Slice(from, to) => {
            let bound = |bound: &Option<Expr>| bound.as_ref().map(print).unwrap_or_default();
            format!("[{}..{}]", bound(from), bound(to))
        }
    }
}
