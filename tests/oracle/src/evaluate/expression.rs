//! Expressions, with three truth values.

use super::matching::satisfies;
use super::{Evaluator, Outcome, Row, error, unknown, with};
use crate::temporal;
use crate::value::{Compared, Val, any, compare, equals, every};
use geode_gql::ast::{
    AccessStep, BinaryOp, CompareOp, Expr, ExprKind, LabelExpr, Literal, LogicalOp, Quantification, Query,
    StringOp, SubqueryKind, UnaryOp,
};
use geode_types::Temporal;
use std::cmp::Ordering;
use std::collections::BTreeMap;

impl Evaluator {
    /// The value of an expression that must be a truth value or null.
    pub(super) fn truth(&mut self, expr: &Expr, row: &Row) -> Outcome<Option<bool>> {
        match self.value(expr, row)? {
            Val::Bool(truth) => Ok(Some(truth)),
            Val::Null => Ok(None),
            _ => error("a condition is no truth value"),
        }
    }

    fn values(&mut self, exprs: &[Expr], row: &Row) -> Outcome<Vec<Val>> {
        exprs.iter().map(|expr| self.value(expr, row)).collect()
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expr: &Expr, row: &Row) -> Outcome<Val> {
        Ok(match &expr.kind {
            ExprKind::Literal(literal) => constant(literal)?,
            ExprKind::Variable(name) => match row.get(name) {
                Some(value) => value.clone(),
                None => return unknown(&format!("the variable {name}")),
            },
            ExprKind::Access(base, steps) => {
                let mut value = self.value(base, row)?;
                for step in steps {
                    value = self.access(value, step, row)?;
                }
                value
            }
            ExprKind::List(items) => Val::List(self.values(items, row)?),
            ExprKind::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    map.insert(key.text.clone(), self.value(value, row)?);
                }
                Val::Map(map)
            }
            ExprKind::Unary(UnaryOp::Not, operand) => {
                Val::of_truth(self.truth(operand, row)?.map(|truth| !truth))
            }
            ExprKind::Unary(UnaryOp::Minus, operand) => negated(&self.value(operand, row)?)?,
            ExprKind::Chain(first, rest) => {
                let mut left = self.value(first, row)?;
                for (operator, operand) in rest {
                    left = arithmetic(*operator, &left, &self.value(operand, row)?)?;
                }
                left
            }
            ExprKind::Logical(operator, operands) => self.logical(*operator, operands, row)?,
            ExprKind::Compare(first, rest) => {
                let mut left = self.value(first, row)?;
                let mut truths = Vec::new();
                for (operator, operand) in rest {
                    let right = self.value(operand, row)?;
                    truths.push(compared(*operator, &left, &right));
                    left = right;
                }
                Val::of_truth(every(truths))
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                let operand = operand
                    .as_ref()
                    .map(|operand| self.value(operand, row))
                    .transpose()?;
                for (when, then) in branches {
                    let taken = match &operand {
                        Some(operand) => equals(operand, &self.value(when, row)?),
                        None => self.truth(when, row)?,
                    };
                    if taken == Some(true) {
                        return self.value(then, row);
                    }
                }
                otherwise
                    .as_ref()
                    .map_or(Ok(Val::Null), |otherwise| self.value(otherwise, row))?
            }
            ExprKind::Call {
                name,
                distinct,
                arguments,
            } => {
                if super::projection::is_aggregate(&name.text) {
                    return self.aggregate(&name.text, *distinct, arguments);
                }
                let arguments = self.values(arguments, row)?;
                self.call(&name.text, &arguments)?
            }
            ExprKind::CountStar => self.count_rows()?,
            ExprKind::Subquery(kind, query) => self.subquery(*kind, query, row)?,
            _ => self.predicate(expr, row)?,
        })
    }

    fn subquery(&mut self, kind: SubqueryKind, query: &Query, row: &Row) -> Outcome<Val> {
        let mut rows = self.query(query, vec![row.clone()])?.rows;
        Ok(match kind {
            SubqueryKind::Exists => Val::Bool(!rows.is_empty()),
            SubqueryKind::Count => Val::Int(rows.len() as i64),
            SubqueryKind::Collect => Val::List(rows.into_iter().flatten().collect()),
            SubqueryKind::Value if rows.len() > 1 => return error("VALUE has more than one row"),
            SubqueryKind::Value => rows.pop().and_then(|mut row| row.pop()).unwrap_or(Val::Null),
        })
    }

    /// Predicates.
    fn predicate(&mut self, expr: &Expr, row: &Row) -> Outcome<Val> {
        Ok(match &expr.kind {
            ExprKind::IsNull(operand, negated) => {
                Val::Bool((self.value(operand, row)? == Val::Null) != *negated)
            }
            ExprKind::IsTruth(operand, wanted, negated) => {
                Val::Bool((self.truth(operand, row)? == *wanted) != *negated)
            }
            ExprKind::IsLabeled(operand, labels, negated) => {
                let element = self.value(operand, row)?;
                Val::of_truth(self.labelled(&element, labels)?.map(|truth| truth != *negated))
            }
            ExprKind::In(item, list) => {
                let item = self.value(item, row)?;
                match self.value(list, row)? {
                    Val::Null => Val::Null,
                    Val::List(items) => Val::of_truth(any(items.iter().map(|other| equals(&item, other)))),
                    _ => return error("IN needs a list"),
                }
            }
            ExprKind::StringMatch(operator, text, part) => {
                match (self.value(text, row)?, self.value(part, row)?) {
                    (Val::Str(text), Val::Str(part)) => Val::Bool(match operator {
                        StringOp::StartsWith => text.starts_with(&part),
                        StringOp::EndsWith => text.ends_with(&part),
                        StringOp::Contains => text.contains(&part),
                    }),
                    // openCypher's kit, "Handling non-string operands": null.
                    _ => Val::Null,
                }
            }
            ExprKind::Pattern(pattern) => Val::Bool(
                !self
                    .matches(std::slice::from_ref(pattern), None, row, false)?
                    .is_empty(),
            ),
            _ => self.of_elements(expr, row)?,
        })
    }

    /// Expressions that go through the elements of something.
    fn of_elements(&mut self, expr: &Expr, row: &Row) -> Outcome<Val> {
        match &expr.kind {
            ExprKind::Quantified {
                kind,
                variable,
                list,
                condition,
            } => {
                let Some(items) = self.list(list, row)? else {
                    return Ok(Val::Null);
                };
                let mut truths = Vec::new();
                for item in items {
                    truths.push(self.truth(condition, &with(row, &variable.text, item))?);
                }
                Ok(Val::of_truth(quantified(*kind, &truths)))
            }
            ExprKind::Reduce(reduction) => {
                let Some(items) = self.list(&reduction.list, row)? else {
                    return Ok(Val::Null);
                };
                let mut total = self.value(&reduction.initial, row)?;
                for item in items {
                    let inner = with(
                        &with(row, &reduction.total.text, total),
                        &reduction.variable.text,
                        item,
                    );
                    total = self.value(&reduction.next, &inner)?;
                }
                Ok(total)
            }
            ExprKind::Comprehension {
                variable,
                list,
                condition,
                result,
            } => {
                let Some(items) = self.list(list, row)? else {
                    return Ok(Val::Null);
                };
                let mut out = Vec::new();
                for item in items {
                    let inner = with(row, &variable.text, item.clone());
                    let kept = match condition {
                        Some(condition) => self.truth(condition, &inner)? == Some(true),
                        None => true,
                    };
                    if kept {
                        out.push(
                            result
                                .as_ref()
                                .map_or(Ok(item), |result| self.value(result, &inner))?,
                        );
                    }
                }
                Ok(Val::List(out))
            }
            ExprKind::PatternComprehension(comprehension) => {
                let mut out = Vec::new();
                let condition = comprehension.condition.as_ref();
                let pattern = std::slice::from_ref(&comprehension.pattern);
                let mut rows = self.matches(pattern, condition, row, false)?;
                self.shuffle(&mut rows);
                for row in rows {
                    out.push(self.value(&comprehension.result, &row)?);
                }
                Ok(Val::List(out))
            }
            ExprKind::MapProjection(projection) => {
                let base = self.value(&projection.base, row)?;
                if base == Val::Null {
                    return Ok(Val::Null);
                }
                let mut map = if projection.all {
                    self.properties(&base)?
                } else {
                    BTreeMap::new()
                };
                for (key, value) in &projection.entries {
                    map.insert(key.text.clone(), self.value(value, row)?);
                }
                Ok(Val::Map(map))
            }
            other => unknown(&format!("{other:?}")),
        }
    }

    fn list(&mut self, expr: &Expr, row: &Row) -> Outcome<Option<Vec<Val>>> {
        match self.value(expr, row)? {
            Val::Null => Ok(None),
            Val::List(items) => Ok(Some(items)),
            _ => error("not a list"),
        }
    }

    fn logical(&mut self, operator: LogicalOp, operands: &[Expr], row: &Row) -> Outcome<Val> {
        let mut truths = Vec::new();
        for operand in operands {
            truths.push(self.truth(operand, row)?);
        }
        Ok(Val::of_truth(match operator {
            LogicalOp::And => every(truths),
            LogicalOp::Or => any(truths),
            LogicalOp::Xor => truths
                .into_iter()
                .try_fold(false, |odd, truth| truth.map(|truth| odd != truth)),
        }))
    }

    fn labelled(&self, element: &Val, labels: &LabelExpr) -> Outcome<Option<bool>> {
        match element {
            Val::Null => Ok(None),
            Val::Node(at) => match &self.graph.nodes[*at] {
                Some(node) => {
                    let bears = |label: &str| node.labels.contains(label);
                    Ok(Some(satisfies(labels, &bears, !node.labels.is_empty())))
                }
                None => error("a deleted node"),
            },
            Val::Edge(at) => match &self.graph.edges[*at] {
                Some(edge) => Ok(Some(satisfies(labels, &|label| label == edge.kind, true))),
                None => error("a deleted edge"),
            },
            _ => error("only nodes and edges have labels"),
        }
    }

    /// All properties of a node, an edge or a map.
    pub(super) fn properties(&self, value: &Val) -> Outcome<BTreeMap<String, Val>> {
        let properties = match value {
            Val::Map(entries) => Some(entries),
            Val::Node(at) => self.graph.nodes[*at].as_ref().map(|node| &node.properties),
            Val::Edge(at) => self.graph.edges[*at].as_ref().map(|edge| &edge.properties),
            _ => None,
        };
        properties.map_or_else(
            || error("nothing that has properties"),
            |properties| Ok(properties.clone()),
        )
    }

    pub(super) fn property(&self, value: &Val, key: &str) -> Outcome<Val> {
        match value {
            Val::Null => Ok(Val::Null),
            Val::Temporal(value) => temporal::component(value, key).map_or_else(
                || unknown(&format!("{value}.{key}")),
                |number| Ok(Val::Int(number)),
            ),
            _ => Ok(self.properties(value)?.remove(key).unwrap_or(Val::Null)),
        }
    }

    fn access(&mut self, value: Val, step: &AccessStep, row: &Row) -> Outcome<Val> {
        match step {
            AccessStep::Key(key) => self.property(&value, &key.text),
            AccessStep::Index(index) => match (value, self.value(index, row)?) {
                (Val::Null, _) | (_, Val::Null) => Ok(Val::Null),
                (Val::List(items), Val::Int(index)) => {
                    let index = if index < 0 {
                        index + items.len() as i64
                    } else {
                        index
                    };
                    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
                    Ok(item.cloned().unwrap_or(Val::Null))
                }
                (map, Val::Str(key)) => self.property(&map, &key),
                _ => error("not an index"),
            },
            AccessStep::Slice(from, to) => {
                let Val::List(items) = value else {
                    return if value == Val::Null {
                        Ok(Val::Null)
                    } else {
                        error("not a list")
                    };
                };
                let length = items.len() as i64;
                let mut ends = [0, length];
                for (end, bound) in ends.iter_mut().zip([from, to]) {
                    let Some(bound) = bound else { continue };
                    match self.value(bound, row)? {
                        Val::Int(place) if place < 0 => *end = (place + length).max(0),
                        Val::Int(place) => *end = place.min(length),
                        Val::Null => return Ok(Val::Null),
                        _ => return error("not a bound"),
                    }
                }
                let [from, to] = ends;
                Ok(Val::List(
                    items
                        .into_iter()
                        .skip(from as usize)
                        .take((to - from).max(0) as usize)
                        .collect(),
                ))
            }
        }
    }
}

fn constant(literal: &Literal) -> Outcome<Val> {
    Ok(match literal {
        Literal::Null => Val::Null,
        Literal::Bool(truth) => Val::Bool(*truth),
        Literal::Int(number) => Val::Int(*number),
        Literal::Float(number) => Val::Float(*number),
        Literal::String(text) => Val::Str(text.clone()),
        Literal::Decimal(number) => Val::Decimal(*number),
        Literal::Temporal(value) => Val::Temporal(value.clone()),
        Literal::Bytes(_) => return unknown(&format!("{literal:?}")),
    })
}

fn compared(operator: CompareOp, left: &Val, right: &Val) -> Option<bool> {
    let ordered = |wanted: fn(Ordering) -> bool| match compare(left, right) {
        Compared::Ordered(order) => Some(wanted(order)),
        Compared::Never => Some(false),
        Compared::Unknown => None,
    };
    match operator {
        CompareOp::Equal => equals(left, right),
        CompareOp::NotEqual => equals(left, right).map(|equal| !equal),
        CompareOp::Less => ordered(Ordering::is_lt),
        CompareOp::LessEqual => ordered(Ordering::is_le),
        CompareOp::Greater => ordered(Ordering::is_gt),
        CompareOp::GreaterEqual => ordered(Ordering::is_ge),
    }
}

/// Over a list with unknown elements the answer is known when those that are known decide it.
fn quantified(kind: Quantification, truths: &[Option<bool>]) -> Option<bool> {
    let all = || truths.iter().copied();
    match kind {
        Quantification::All => every(all()),
        Quantification::Any => any(all()),
        Quantification::None => any(all()).map(|truth| !truth),
        Quantification::Single => match all().filter(|truth| *truth == Some(true)).count() {
            0 | 1 if all().any(|truth| truth.is_none()) => None,
            count => Some(count == 1),
        },
    }
}

/// `-value`. A float's zero has a sign.
fn negated(value: &Val) -> Outcome<Val> {
    match value {
        Val::Float(number) => Ok(Val::Float(-number)),
        value => arithmetic(BinaryOp::Subtract, &Val::Int(0), value),
    }
}

/// Arithmetic: integers stay integers and never wrap, null gives null.
pub(super) fn arithmetic(operator: BinaryOp, left: &Val, right: &Val) -> Outcome<Val> {
    if *left == Val::Null || *right == Val::Null {
        return Ok(Val::Null);
    }
    match (operator, left, right) {
        (BinaryOp::Add | BinaryOp::Concat, Val::List(left), Val::List(right)) => {
            Ok(Val::List([left.clone(), right.clone()].concat()))
        }
        (BinaryOp::Add | BinaryOp::Concat, Val::Str(left), Val::Str(right)) => {
            Ok(Val::Str(format!("{left}{right}")))
        }
        (BinaryOp::Add, Val::List(items), item) => {
            Ok(Val::List([items.clone(), vec![item.clone()]].concat()))
        }
        (BinaryOp::Add, item, Val::List(items)) => {
            Ok(Val::List([vec![item.clone()], items.clone()].concat()))
        }
        (BinaryOp::Add, Val::Temporal(date), Val::Temporal(duration)) => moved(date, duration, 1),
        (BinaryOp::Subtract, Val::Temporal(date), Val::Temporal(duration)) => moved(date, duration, -1),
        (_, Val::Decimal(_), _) | (_, _, Val::Decimal(_)) => unknown("arithmetic with decimals"),
        (BinaryOp::Divide | BinaryOp::Modulo, Val::Int(_), Val::Int(0)) => error("division by zero"),
        (_, Val::Int(left), Val::Int(right)) if operator != BinaryOp::Power => {
            let result = match operator {
                BinaryOp::Add => left.checked_add(*right),
                BinaryOp::Subtract => left.checked_sub(*right),
                BinaryOp::Multiply => left.checked_mul(*right),
                BinaryOp::Divide => left.checked_div(*right),
                BinaryOp::Modulo => left.checked_rem(*right),
                BinaryOp::Concat | BinaryOp::Power => None,
            };
            result.map_or_else(|| error("overflow"), |number| Ok(Val::Int(number)))
        }
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => Ok(Val::Float(match operator {
                BinaryOp::Add => left + right,
                BinaryOp::Subtract => left - right,
                BinaryOp::Multiply => left * right,
                BinaryOp::Divide => left / right,
                BinaryOp::Modulo => left % right,
                BinaryOp::Power => left.powf(right),
                BinaryOp::Concat => return error("|| of numbers"),
            })),
            _ => error("arithmetic on what is no number"),
        },
    }
}

fn moved(date: &Temporal, duration: &Temporal, sign: i128) -> Outcome<Val> {
    temporal::moved(date, duration, sign).map_or_else(
        || unknown("arithmetic with these times"),
        |date| Ok(Val::Temporal(date)),
    )
}
