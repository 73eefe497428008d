//! Evaluates bound expressions for a row.

use super::{Cx, access, arithmetic};
use crate::datum::{Datum, List};
use crate::error;
use crate::expr::{Expr, LabelTest, Step, Test};
use crate::function;
use crate::names::NameIndex;
use crate::semantics::{Comparison, compare, equals};
use geode_gql::Span;
use geode_gql::ast::{BinaryOp, CompareOp, LogicalOp, Quantification, StringOp};
use geode_types::QueryError;
use std::cmp::Ordering;
use std::sync::Arc;

type Evaluated = Result<Datum, QueryError>;

/// A call that looks at so many bytes counts as one more step of work.
const BYTES_OF_A_STEP: usize = 512;

/// The value of an expression.
pub(crate) fn eval(expr: &Expr, row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    match expr {
        Expr::Const(value) => Ok(value.clone()),
        Expr::Param(name) => Ok(cx.param(name)),
        Expr::Slot(slot) => Ok(row[*slot].clone()),
        Expr::Local(depth) => Ok(cx.locals[*depth].clone()),
        Expr::Access(base, steps) => accessed(base, steps, row, cx),
        Expr::List(items) => {
            let items = all(items, row, cx)?;
            cx.admit(Datum::list(items))
        }
        Expr::Map(entries) => map(entries, row, cx),
        Expr::Not(operand) => Ok(truth_datum(
            truth(&eval(operand, row, cx)?, "NOT")?.map(|truth| !truth),
        )),
        Expr::Negate(operand, span) => {
            arithmetic::negate(&eval(operand, row, cx)?).map_err(|error| cx.placed(error, *span))
        }
        Expr::Chain(first, rest) => chain(first, rest, row, cx),
        Expr::Logical(op, operands) => logical(*op, operands, row, cx),
        Expr::Compare(first, rest) => comparison(first, rest, row, cx),
        Expr::IsNull(operand, negated) => Ok(Datum::Bool(eval(operand, row, cx)?.is_null() != *negated)),
        Expr::IsTruth(operand, wanted, negated) => {
            let truth = truth(&eval(operand, row, cx)?, "IS")?;
            Ok(Datum::Bool((truth == *wanted) != *negated))
        }
        Expr::HasLabels(operand, test, negated) => {
            let element = eval(operand, row, cx)?;
            Ok(truth_datum(
                has_labels(&element, test, cx)?.map(|has| has != *negated),
            ))
        }
        Expr::In(needle, list) => contained(&eval(needle, row, cx)?, &eval(list, row, cx)?),
        Expr::StringMatch(op, text, part) => {
            Ok(string_match(*op, &eval(text, row, cx)?, &eval(part, row, cx)?))
        }
        Expr::Case {
            operand,
            branches,
            otherwise,
        } => case(operand.as_deref(), branches, otherwise.as_deref(), row, cx),
        Expr::Call(called, arguments, span) => {
            let arguments = all(arguments, row, cx)?;
            let bytes: usize = arguments.iter().map(Datum::heap_bytes).sum();
            cx.worked(1 + bytes / BYTES_OF_A_STEP)?;
            let called = called.call(cx, &arguments);
            called
                .and_then(|value| cx.admit(value))
                .map_err(|error| cx.placed(error, *span))
        }
        Expr::Cast(operand, target, span) => {
            function::cast(&eval(operand, row, cx)?, target).map_err(|error| cx.placed(error, *span))
        }
        Expr::Is(operand, test, negated) => {
            let value = eval(operand, row, cx)?;
            let truth = is(&value, test, row, cx)?;
            Ok(truth_datum(truth.map(|truth| truth != *negated)))
        }
        Expr::Quantified {
            kind,
            list,
            condition,
        } => quantified(*kind, list, condition, row, cx),
        Expr::Reduce { initial, list, next } => reduce(initial, list, next, row, cx),
        Expr::Comprehension {
            list,
            condition,
            result,
        } => comprehension(list, condition.as_deref(), result.as_deref(), row, cx),
        Expr::Path { nodes, edges } => super::repeat::path(nodes, edges, row, cx),
        Expr::Subquery(subquery) => super::subquery::value(subquery, row, cx),
    }
}

/// Whether a condition holds: null counts as no.
pub(crate) fn holds(expr: &Expr, row: &[Datum], cx: &mut Cx<'_>) -> Result<bool, QueryError> {
    Ok(truth(&eval(expr, row, cx)?, "WHERE")? == Some(true))
}

fn all(items: &[Expr], row: &[Datum], cx: &mut Cx<'_>) -> Result<Vec<Datum>, QueryError> {
    items.iter().map(|item| eval(item, row, cx)).collect()
}

fn truth(value: &Datum, operator: &str) -> Result<Option<bool>, QueryError> {
    match value {
        Datum::Null => Ok(None),
        Datum::Bool(truth) => Ok(Some(*truth)),
        other => Err(error::type_error(
            "InvalidArgumentType",
            format!("{operator} needs a truth value, not {}", other.type_name()),
        )),
    }
}

fn truth_datum(truth: Option<bool>) -> Datum {
    truth.map_or(Datum::Null, Datum::Bool)
}

fn map(entries: &[(Arc<str>, Expr)], row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    let entries = entries
        .iter()
        .map(|(key, value)| Ok((key.clone(), eval(value, row, cx)?)));
    let entries = entries.collect::<Result<_, QueryError>>()?;
    cx.admit(Datum::map(entries))
}

fn chain(first: &Expr, rest: &[(BinaryOp, Expr, Span)], row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    let mut left = eval(first, row, cx)?;
    for (op, operand, span) in rest {
        let right = eval(operand, row, cx)?;
        if matches!(op, BinaryOp::Add | BinaryOp::Concat) {
            // Before both are put together, not behind.
            let bytes = left.heap_bytes().saturating_add(right.heap_bytes());
            cx.admit_bytes(bytes)?;
            cx.worked(bytes / BYTES_OF_A_STEP)?;
        }
        left = arithmetic::binary(*op, &left, &right).map_err(|error| cx.placed(error, *span))?;
    }
    cx.admit(left)
}

fn logical(op: LogicalOp, operands: &[Expr], row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    let mut result = Some(op == LogicalOp::And);
    for operand in operands {
        let next = truth(&eval(operand, row, cx)?, op.text())?;
        result = match (op, result, next) {
            (LogicalOp::And, _, Some(false)) => return Ok(Datum::Bool(false)),
            (LogicalOp::Or, _, Some(true)) => return Ok(Datum::Bool(true)),
            (LogicalOp::Xor, Some(left), Some(right)) => Some(left != right),
            (LogicalOp::And | LogicalOp::Or, Some(_), Some(_)) => result,
            _ => None,
        };
    }
    Ok(truth_datum(result))
}

fn comparison(first: &Expr, rest: &[(CompareOp, Expr)], row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    let mut left = eval(first, row, cx)?;
    let mut result = Some(true);
    for (op, operand) in rest {
        let right = eval(operand, row, cx)?;
        match compared(*op, &left, &right) {
            Some(true) => {}
            Some(false) => return Ok(Datum::Bool(false)),
            None => result = None,
        }
        left = right;
    }
    Ok(truth_datum(result))
}

/// One comparison; `None` is unknown.
pub(crate) fn compared(op: CompareOp, left: &Datum, right: &Datum) -> Option<bool> {
    let ordered = |test: fn(Ordering) -> bool| match compare(left, right) {
        Comparison::Ordered(order) => Some(test(order)),
        Comparison::Unordered => Some(false),
        Comparison::Unknown => None,
    };
    match op {
        CompareOp::Equal => equals(left, right),
        CompareOp::NotEqual => equals(left, right).map(|equal| !equal),
        CompareOp::Less => ordered(Ordering::is_lt),
        CompareOp::LessEqual => ordered(Ordering::is_le),
        CompareOp::Greater => ordered(Ordering::is_gt),
        CompareOp::GreaterEqual => ordered(Ordering::is_ge),
    }
}

/// What IS asks of a value; null has a type and nothing else.
fn is(value: &Datum, test: &Test, row: &[Datum], cx: &mut Cx<'_>) -> Result<Option<bool>, QueryError> {
    match (test, value) {
        (Test::Typed(ty), _) => Ok(Some(function::has_type(value, ty))),
        (Test::Normalized(form), _) => function::is_normalized(value, *form),
        (Test::Directed | Test::End { .. }, Datum::Null) => Ok(None),
        (Test::Directed, Datum::Edge(_)) => Ok(Some(true)),
        (Test::End { edge, start }, Datum::Node(node)) => match eval(edge, row, cx)? {
            Datum::Null => Ok(None),
            Datum::Edge(edge) => {
                let (from, to) = cx.edge_ends(edge.id)?;
                Ok(Some(*node == if *start { from } else { to }))
            }
            other => Err(no_test(&other)),
        },
        (_, other) => Err(no_test(other)),
    }
}

fn no_test(value: &Datum) -> QueryError {
    let message = format!("edges have ends that are nodes; {} is neither", value.type_name());
    error::type_error("InvalidArgumentType", message)
}

/// Whether a node's labels or an edge's type satisfy a test; null for null.
pub(crate) fn has_labels(
    element: &Datum,
    test: &LabelTest,
    cx: &mut Cx<'_>,
) -> Result<Option<bool>, QueryError> {
    match element {
        Datum::Null => Ok(None),
        Datum::Node(id) => {
            let labels = cx
                .graph
                .node_labels(*id)?
                .ok_or_else(|| error::deleted("this node"))?;
            label_test(test, &labels, cx).map(Some)
        }
        Datum::Edge(edge) => named_test(test, true, &[edge.edge_type], &mut |_, edge_type| {
            cx.resolve(edge_type)
        })
        .map(Some),
        other => {
            let message = format!("only nodes and edges have labels, not {}", other.type_name());
            Err(error::type_error("InvalidArgumentType", message))
        }
    }
}

/// Whether a node with these labels satisfies a test.
fn label_test(test: &LabelTest, labels: &[u32], cx: &mut Cx<'_>) -> Result<bool, QueryError> {
    named_test(test, !labels.is_empty(), labels, &mut |label, _| {
        cx.resolve(label)
    })
}

fn named_test(
    test: &LabelTest,
    any: bool,
    names: &[u32],
    resolve: &mut dyn FnMut(NameIndex, NameIndex) -> Result<Option<u32>, QueryError>,
) -> Result<bool, QueryError> {
    let mut failure = None;
    let holds = test.holds(any, &mut |label, edge_type| match resolve(label, edge_type) {
        Ok(id) => id.is_some_and(|id| names.contains(&id)),
        Err(error) => {
            failure = Some(error);
            false
        }
    });
    failure.map_or(Ok(holds), Err)
}

fn contained(needle: &Datum, list: &Datum) -> Evaluated {
    let items = match list {
        Datum::Null => return Ok(Datum::Null),
        Datum::List(items) => items,
        other => {
            return Err(error::type_error(
                "InvalidArgumentType",
                format!("IN needs a list, not {}", other.type_name()),
            ));
        }
    };
    let mut result = Some(false);
    for item in items.iter() {
        match equals(needle, item) {
            Some(true) => return Ok(Datum::Bool(true)),
            Some(false) => {}
            None => result = None,
        }
    }
    Ok(truth_datum(result))
}

/// Anything but two strings is unknown.
fn string_match(op: StringOp, text: &Datum, part: &Datum) -> Datum {
    let (Datum::String(text), Datum::String(part)) = (text, part) else {
        return Datum::Null;
    };
    Datum::Bool(match op {
        StringOp::StartsWith => text.starts_with(part.as_ref()),
        StringOp::EndsWith => text.ends_with(part.as_ref()),
        StringOp::Contains => text.contains(part.as_ref()),
    })
}

fn case(
    operand: Option<&Expr>,
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
    row: &[Datum],
    cx: &mut Cx<'_>,
) -> Evaluated {
    let operand = operand.map(|operand| eval(operand, row, cx)).transpose()?;
    for (when, then) in branches {
        let when = eval(when, row, cx)?;
        let chosen = match &operand {
            Some(operand) => equals(operand, &when) == Some(true),
            None => truth(&when, "CASE WHEN")? == Some(true),
        };
        if chosen {
            return eval(then, row, cx);
        }
    }
    otherwise.map_or(Ok(Datum::Null), |otherwise| eval(otherwise, row, cx))
}

fn accessed(base: &Expr, steps: &[Step], row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    if let (Expr::Slot(slot), [Step::Key(key, _), rest @ ..]) = (base, steps)
        && let Some(value) = cx.columns.get(row, *slot, *key)
    {
        let value = value.clone();
        return stepped(value, rest, row, cx);
    }
    let value = eval(base, row, cx)?;
    stepped(value, steps, row, cx)
}

fn stepped(mut value: Datum, steps: &[Step], row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    for step in steps {
        value = match step {
            Step::Key(key, span) => access::key(&value, *key, cx).map_err(|error| cx.placed(error, *span))?,
            Step::Index(index, span) => {
                let index = eval(index, row, cx)?;
                access::index(&value, &index, cx).map_err(|error| cx.placed(error, *span))?
            }
            Step::Slice(from, to, span) => {
                let mut bound =
                    |bound: &Option<Expr>| bound.as_ref().map(|bound| eval(bound, row, cx)).transpose();
                let (from, to) = (bound(from)?, bound(to)?);
                access::slice(&value, from.as_ref(), to.as_ref()).map_err(|error| cx.placed(error, *span))?
            }
        };
    }
    Ok(value)
}

fn items(list: &Expr, row: &[Datum], cx: &mut Cx<'_>) -> Result<Option<Arc<List>>, QueryError> {
    match eval(list, row, cx)? {
        Datum::Null => Ok(None),
        Datum::List(items) => Ok(Some(items)),
        other => Err(error::type_error(
            "InvalidArgumentType",
            format!("a list is needed here, not {}", other.type_name()),
        )),
    }
}

/// Evaluates with one more local variable.
fn with_local<T>(
    value: &Datum,
    cx: &mut Cx<'_>,
    run: impl FnOnce(&mut Cx<'_>) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    cx.locals.push(value.clone());
    let result = run(cx);
    cx.locals.pop();
    result
}

fn quantified(
    kind: Quantification,
    list: &Expr,
    condition: &Expr,
    row: &[Datum],
    cx: &mut Cx<'_>,
) -> Evaluated {
    let Some(items) = items(list, row, cx)? else {
        return Ok(Datum::Null);
    };
    let (mut yes, mut unknown) = (0usize, 0usize);
    for item in items.iter() {
        cx.worked(1)?;
        match with_local(item, cx, |cx| truth(&eval(condition, row, cx)?, "a quantifier"))? {
            Some(true) => yes += 1,
            Some(false) => {}
            None => unknown += 1,
        }
    }
    let no = items.len() - yes - unknown;
    Ok(truth_datum(match kind {
        Quantification::All if no > 0 => Some(false),
        Quantification::Any if yes > 0 => Some(true),
        Quantification::None if yes > 0 => Some(false),
        Quantification::Single if yes > 1 => Some(false),
        _ if unknown > 0 => None,
        Quantification::All | Quantification::None => Some(true),
        Quantification::Any => Some(false),
        Quantification::Single => Some(yes == 1),
    }))
}

/// Null when the list is null.
fn reduce(initial: &Expr, list: &Expr, next: &Expr, row: &[Datum], cx: &mut Cx<'_>) -> Evaluated {
    let mut total = eval(initial, row, cx)?;
    let Some(items) = items(list, row, cx)? else {
        return Ok(Datum::Null);
    };
    for item in items.iter() {
        cx.worked(1)?;
        total = with_local(&total, cx, |cx| with_local(item, cx, |cx| eval(next, row, cx)))?;
    }
    Ok(total)
}

fn comprehension(
    list: &Expr,
    condition: Option<&Expr>,
    result: Option<&Expr>,
    row: &[Datum],
    cx: &mut Cx<'_>,
) -> Evaluated {
    let Some(items) = items(list, row, cx)? else {
        return Ok(Datum::Null);
    };
    let mut out = Vec::new();
    for item in items.iter() {
        cx.worked(1)?;
        let mapped = with_local(item, cx, |cx| {
            if let Some(condition) = condition
                && !holds(condition, row, cx)?
            {
                return Ok(None);
            }
            result
                .map_or_else(|| Ok(item.clone()), |result| eval(result, row, cx))
                .map(Some)
        })?;
        out.extend(mapped);
    }
    cx.admit(Datum::list(out))
}
