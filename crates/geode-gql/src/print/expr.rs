//! Expressions: parentheses where an operand binds looser than its place asks for.

use super::names::{Key, Parameter, in_backticks};
use super::{Joined, Opt, each};
use crate::ast::{
    AccessStep, BinaryOp, Expr, ExprKind, Literal, LogicalOp, MapProjection, NormalForm, PathSearch,
    PatternComprehension, Predicate, Quantification, Reduction, StringOp, UnaryOp,
};
use geode_types::TemporalKind;
use std::fmt::{self, Display, Formatter};

/// How tightly an expression holds together, loosest first, as the parser has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    Xor,
    And,
    Not,
    Compare,
    Predicate,
    Sum,
    Product,
    Power,
    Sign,
    Access,
    Primary,
}

fn level(expr: &Expr) -> Level {
    match &expr.kind {
        ExprKind::Logical(LogicalOp::Or, _) => Level::Or,
        ExprKind::Logical(LogicalOp::Xor, _) => Level::Xor,
        ExprKind::Logical(LogicalOp::And, _) => Level::And,
        ExprKind::Unary(UnaryOp::Not, _) => Level::Not,
        ExprKind::Compare(..) => Level::Compare,
        ExprKind::IsNull(..)
        | ExprKind::IsTruth(..)
        | ExprKind::IsLabeled(..)
        | ExprKind::Is(..)
        | ExprKind::In(..)
        | ExprKind::StringMatch(..) => Level::Predicate,
        ExprKind::Chain(_, rest) => rest.first().map_or(Level::Sum, |(op, _)| chain_level(*op)),
        ExprKind::Unary(UnaryOp::Minus | UnaryOp::Plus, _) => Level::Sign,
        ExprKind::Literal(Literal::Int(number)) if *number < 0 => Level::Sign,
        ExprKind::Access(base, steps) if shortest_path(base, steps).is_none() => Level::Access,
        _ => Level::Primary,
    }
}

fn chain_level(op: BinaryOp) -> Level {
    match op {
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Concat => Level::Sum,
        BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => Level::Product,
        BinaryOp::Power => Level::Power,
    }
}

/// The next tighter level: what the operands of a chain have at least.
fn above(level: Level) -> Level {
    match level {
        Level::Or => Level::Xor,
        Level::Xor => Level::And,
        Level::And => Level::Not,
        Level::Sum => Level::Product,
        Level::Product => Level::Power,
        Level::Power => Level::Sign,
        // Operands of comparisons are sums, although a predicate would do: `(x IS NULL) <-[…` would be read as a pattern.
        Level::Not | Level::Compare | Level::Predicate => Level::Sum,
        Level::Sign | Level::Access | Level::Primary => Level::Primary,
    }
}

/// An expression where one of at least this level is wanted.
struct Operand<'a>(&'a Expr, Level);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if level(self.0) < self.1 {
            write!(f, "({})", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// A text as a literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The target of an assignment in front of its `.key`.
pub(super) fn accessible(expr: &Expr) -> impl Display + '_ {
    Operand(expr, Level::Access)
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Literal(literal) => write!(f, "{literal}"),
            ExprKind::Parameter(name) => write!(f, "{}", Parameter(name)),
            ExprKind::Variable(name) => write!(f, "{}", super::names::Bare(name)),
            ExprKind::Access(base, steps) => access(base, steps, f),
            ExprKind::List(items) => write!(f, "[{}]", Joined(items, ", ")),
            ExprKind::Map(entries) => {
                f.write_str("{")?;
                each(entries, ", ", f, |(key, value), f| {
                    write!(f, "{}: {value}", Key(&key.text))
                })?;
                f.write_str("}")
            }
            ExprKind::Unary(op, operand) => unary(*op, operand, f),
            ExprKind::Chain(first, rest) => {
                let least = above(level(self));
                write!(f, "{}", Operand(first, least))?;
                rest.iter()
                    .try_for_each(|(op, operand)| write!(f, " {} {}", op.text(), Operand(operand, least)))
            }
            ExprKind::Logical(op, operands) => {
                let least = above(level(self));
                let between = format!(" {} ", op.text());
                each(operands, &between, f, |operand, f| {
                    write!(f, "{}", Operand(operand, least))
                })
            }
            ExprKind::Compare(first, rest) => {
                write!(f, "{}", Operand(first, Level::Sum))?;
                rest.iter().try_for_each(|(op, operand)| {
                    write!(f, " {} {}", op.text(), Operand(operand, Level::Sum))
                })
            }
            ExprKind::IsNull(..)
            | ExprKind::IsTruth(..)
            | ExprKind::IsLabeled(..)
            | ExprKind::Is(..)
            | ExprKind::In(..)
            | ExprKind::StringMatch(..) => predicate(&self.kind, f),
            _ => compound(&self.kind, f),
        }
    }
}

fn unary(op: UnaryOp, operand: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    match (op, &operand.kind) {
        (UnaryOp::Not, _) => write!(f, "NOT {}", Operand(operand, Level::Not)),
        // A sign directly before digits belongs to them.
        (UnaryOp::Minus, ExprKind::Literal(Literal::Int(0..))) => write!(f, "-({operand})"),
        // Two signs in a row begin a comment.
        (UnaryOp::Minus, _) => write!(f, "- {}", Operand(operand, Level::Sign)),
        (UnaryOp::Plus, _) => write!(f, "+ {}", Operand(operand, Level::Sign)),
    }
}

/// In parentheses of their own: `[x IN l]` is a comprehension and `x IS TYPED A | B` one type, whatever stands behind.
fn predicate(kind: &ExprKind, f: &mut Formatter<'_>) -> fmt::Result {
    fn sum(expr: &Expr) -> Operand<'_> {
        Operand(expr, Level::Sum)
    }
    let is = |negated: &bool| if *negated { "IS NOT" } else { "IS" };
    match kind {
        ExprKind::IsNull(operand, negated) => write!(f, "({} {} NULL)", sum(operand), is(negated)),
        ExprKind::IsTruth(operand, truth, negated) => {
            let word = truth.map_or("UNKNOWN", |truth| if truth { "TRUE" } else { "FALSE" });
            write!(f, "({} {} {word})", sum(operand), is(negated))
        }
        ExprKind::IsLabeled(operand, labels, negated) => {
            write!(f, "({} {} LABELED {labels})", sum(operand), is(negated))
        }
        ExprKind::Is(operand, asked, negated) => {
            write!(f, "({} {} ", sum(operand), is(negated))?;
            match asked.as_ref() {
                Predicate::Typed(value_type) => write!(f, "TYPED {value_type})"),
                Predicate::Normalized(form) => write!(f, "{form} NORMALIZED)"),
                Predicate::Directed => f.write_str("DIRECTED)"),
                Predicate::Source(edge) => write!(f, "SOURCE OF {})", sum(edge)),
                Predicate::Destination(edge) => write!(f, "DESTINATION OF {})", sum(edge)),
            }
        }
        ExprKind::In(operand, list) => write!(f, "({} IN {})", sum(operand), sum(list)),
        ExprKind::StringMatch(op, operand, part) => {
            let words = match op {
                StringOp::StartsWith => "STARTS WITH",
                StringOp::EndsWith => "ENDS WITH",
                StringOp::Contains => "CONTAINS",
            };
            write!(f, "({} {words} {})", sum(operand), sum(part))
        }
        _ => Ok(()),
    }
}

/// The kinds with a beginning and an end.
fn compound(kind: &ExprKind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            write!(f, "CASE{}", Opt(" ", operand.as_ref()))?;
            for (when, then) in branches {
                write!(f, " WHEN {when} THEN {then}")?;
            }
            write!(f, "{} END", Opt(" ELSE ", otherwise.as_ref()))
        }
        ExprKind::Call {
            name,
            distinct,
            arguments,
        } => call(&name.text, *distinct, arguments, f),
        ExprKind::CountStar => f.write_str("count(*)"),
        ExprKind::Cast(operand, target) => write!(f, "CAST({operand} AS {target})"),
        ExprKind::Quantified {
            kind,
            variable,
            list,
            condition,
        } => {
            let word = match kind {
                Quantification::All => "all",
                Quantification::Any => "any",
                Quantification::None => "none",
                Quantification::Single => "single",
            };
            write!(f, "{word}({variable} IN {list} WHERE {condition})")
        }
        ExprKind::Reduce(reduction) => {
            let Reduction {
                total,
                initial,
                variable,
                list,
                next,
            } = reduction.as_ref();
            write!(f, "reduce({total} = {initial}, {variable} IN {list} | {next})")
        }
        ExprKind::Comprehension {
            variable,
            list,
            condition,
            result,
        } => {
            // Read as the predicate IN at first, whose list is a sum.
            let list = Operand(list, Level::Sum);
            let (condition, result) = (Opt(" WHERE ", condition.as_ref()), Opt(" | ", result.as_ref()));
            write!(f, "[{variable} IN {list}{condition}{result}]")
        }
        // What stands behind would be read as more of the pattern.
        ExprKind::Pattern(pattern) => write!(f, "({pattern})"),
        ExprKind::PatternComprehension(comprehension) => pattern_comprehension(comprehension, f),
        ExprKind::MapProjection(projection) => map_projection(projection, f),
        ExprKind::Subquery(kind, query) => write!(f, "{} {{ {query} }}", kind.text()),
        _ => Ok(()),
    }
}

fn call(name: &str, distinct: bool, arguments: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    let word = if distinct { "DISTINCT " } else { "" };
    // PROPERTY_EXISTS(n, name) takes a name and not a text when its first argument is one word (ISO/IEC 39075, 19.13).
    if let [element, property] = arguments
        && name.eq_ignore_ascii_case("PROPERTY_EXISTS")
        && is_one_word(element)
        && let ExprKind::Literal(Literal::String(property)) = &property.kind
    {
        return write!(f, "{name}({word}{element}, {})", Key(property));
    }
    write!(f, "{name}({word}{})", Joined(arguments, ", "))
}

fn is_one_word(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Variable(_) | ExprKind::Parameter(_) => true,
        ExprKind::Literal(Literal::Temporal(_)) => false,
        ExprKind::Literal(_) => level(expr) == Level::Primary,
        _ => false,
    }
}

fn access(base: &Expr, steps: &[AccessStep], f: &mut Formatter<'_>) -> fmt::Result {
    if let Some(path) = shortest_path(base, steps) {
        return write!(f, "shortestPath({})", path.pattern.elements());
    }
    write!(f, "{}", Operand(base, Level::Primary))?;
    for step in steps {
        match step {
            AccessStep::Key(name) => write!(f, ".{}", Key(&name.text))?,
            AccessStep::Index(index) => write!(f, "[{index}]")?,
            AccessStep::Slice(from, to) => {
                write!(f, "[{}..{}]", Opt("", from.as_ref()), Opt("", to.as_ref()))?;
            }
        }
    }
    Ok(())
}

/// The pattern of `shortestPath(…)`, which is read as the first element of a comprehension.
fn shortest_path<'a>(base: &'a Expr, steps: &[AccessStep]) -> Option<&'a PatternComprehension> {
    let ExprKind::PatternComprehension(comprehension) = &base.kind else {
        return None;
    };
    let [AccessStep::Index(index)] = steps else {
        return None;
    };
    let first = matches!(index.kind, ExprKind::Literal(Literal::Int(0)));
    (first && comprehension.pattern.search == PathSearch::Shortest(1)).then_some(comprehension.as_ref())
}

fn pattern_comprehension(comprehension: &PatternComprehension, f: &mut Formatter<'_>) -> fmt::Result {
    let PatternComprehension {
        pattern,
        condition,
        result,
    } = comprehension;
    // The pattern of a written comprehension has no search.
    if pattern.search != PathSearch::Every {
        return write!(f, "allShortestPaths({})", pattern.elements());
    }
    write!(f, "[{pattern}{} | {result}]", Opt(" WHERE ", condition.as_ref()))
}

fn map_projection(projection: &MapProjection, f: &mut Formatter<'_>) -> fmt::Result {
    // `record {…}` and `exists {…}` are something else, `` `record` {…} `` is not.
    match &projection.base.kind {
        ExprKind::Variable(name) => in_backticks(name, f)?,
        _ => write!(f, "{}", projection.base)?,
    }
    f.write_str(" {")?;
    if projection.all {
        f.write_str(if projection.entries.is_empty() {
            ".*"
        } else {
            ".*, "
        })?;
    }
    each(&projection.entries, ", ", f, |(key, value), f| {
        write!(f, "{}: {value}", Key(&key.text))
    })?;
    f.write_str("}")
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(true) => f.write_str("TRUE"),
            Self::Bool(false) => f.write_str("FALSE"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Decimal(number) => write!(f, "{number}M"),
            Self::String(text) => f.write_str(&quoted(text)),
            Self::Bytes(bytes) => {
                f.write_str("X'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
            Self::Temporal(value) => {
                let word = match value.kind() {
                    TemporalKind::Date => "DATE",
                    TemporalKind::LocalTime | TemporalKind::Time => "TIME",
                    TemporalKind::LocalDateTime | TemporalKind::DateTime => "DATETIME",
                    TemporalKind::Duration => "DURATION",
                };
                write!(f, "{word} {}", quoted(&value.to_string()))
            }
        }
    }
}

impl Display for NormalForm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, form)| form == self);
        f.write_str(named.map_or("NFC", |(name, _)| name))
    }
}
