//! RETURN, WITH and SELECT: columns, groups, DISTINCT, order, page (openCypher 9, "RETURN", "Aggregation"; ISO/IEC 39075, 14.11 and 14.12).

use super::expression::arithmetic;
use super::{Evaluator, Outcome, Row, Table, error, unknown};
use crate::graph::show;
use crate::value::{Val, order, same_row};
use geode_gql::Dialect;
use geode_gql::ast::{BinaryOp, Expr, ExprKind, Projection, SortItem};
use std::cmp::Ordering;

/// Whether a function of this name aggregates.
pub(super) fn is_aggregate(name: &str) -> bool {
    ["count", "sum", "avg", "min", "max", "collect"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether an aggregate stands in the expression. Those within subqueries are about rows of their own.
fn aggregates(expr: &Expr) -> bool {
    let all = |exprs: &[Expr]| exprs.iter().any(aggregates);
    match &expr.kind {
        ExprKind::CountStar => true,
        ExprKind::Call { name, arguments, .. } => is_aggregate(&name.text) || all(arguments),
        ExprKind::List(items) | ExprKind::Logical(_, items) => all(items),
        ExprKind::Map(entries) => entries.iter().any(|(_, value)| aggregates(value)),
        ExprKind::Chain(first, rest) => {
            aggregates(first) || rest.iter().any(|(_, operand)| aggregates(operand))
        }
        ExprKind::Compare(first, rest) => {
            aggregates(first) || rest.iter().any(|(_, operand)| aggregates(operand))
        }
        ExprKind::Unary(_, operand) | ExprKind::IsNull(operand, _) => aggregates(operand),
        ExprKind::Access(base, _) => aggregates(base),
        ExprKind::In(left, right) => aggregates(left) || aggregates(right),
        _ => false,
    }
}

/// The name and the expression of a column; a variable that `*` stands for has none.
type Column<'e> = (String, Option<&'e Expr>);

/// What rows are grouped by: what GROUP BY says, where the name of a column stands for its expression, or else every column without an
/// aggregate.
fn grouping<'e>(projection: &'e Projection, items: &[Column<'e>]) -> Vec<Column<'e>> {
    let Some(keys) = &projection.group_by else {
        let is_key = |expr: Option<&Expr>| !expr.is_some_and(aggregates);
        return items.iter().filter(|(_, expr)| is_key(*expr)).cloned().collect();
    };
    let named = |key: &'e Expr| match &key.kind {
        ExprKind::Variable(name) => items.iter().find(|(known, _)| known == name).cloned(),
        _ => None,
    };
    keys.iter()
        .map(|key| named(key).unwrap_or_else(|| (String::new(), Some(key))))
        .collect()
}

/// A row of the result and what ORDER BY and WHERE behind it may look at.
struct Projected {
    cells: Vec<Val>,
    visible: Row,
}

impl Evaluator {
    pub(super) fn project(&mut self, projection: &Projection, rows: Vec<Row>) -> Outcome<Table> {
        let mut items: Vec<Column<'_>> = Vec::new();
        if projection.star.is_some() {
            let Some(row) = rows.first() else {
                return Ok(Table::default());
            };
            items.extend(row.keys().map(|name| (name.clone(), None)));
        }
        for item in &projection.items {
            let name = match (&item.alias, &item.expr.kind) {
                (Some(alias), _) => alias.text.clone(),
                (None, ExprKind::Variable(name)) => name.clone(),
                _ => format!("column {}", items.len()),
            };
            items.push((name, Some(&item.expr)));
        }
        let is_grouped = projection.group_by.is_some()
            || projection.having.is_some()
            || items.iter().any(|(_, expr)| expr.is_some_and(aggregates));
        let mut projected = if is_grouped {
            let keys = grouping(projection, &items);
            self.grouped(&items, &keys, projection.having.as_ref(), rows)?
        } else {
            self.computed(&items, rows)?
        };
        let columns: Vec<String> = items.into_iter().map(|(name, _)| name).collect();
        if projection.distinct {
            let kept = self.distinct(projected.into_iter().map(|row| row.cells).collect());
            let visible = |cells: &Vec<Val>| columns.iter().cloned().zip(cells.iter().cloned()).collect();
            projected = kept
                .into_iter()
                .map(|cells| Projected {
                    visible: visible(&cells),
                    cells,
                })
                .collect();
        }
        if projection.distinct || is_grouped {
            self.shuffle(&mut projected);
        }
        if !projection.order_by.is_empty() {
            projected = self.sorted(&projection.order_by, projected)?;
        }
        let skipped = self.page(projection.offset.as_ref())?.unwrap_or(0);
        let most = self.page(projection.limit.as_ref())?.unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        for row in projected.into_iter().skip(skipped).take(most) {
            let kept = match &projection.condition {
                Some(condition) => self.truth(condition, &row.visible)? == Some(true),
                None => true,
            };
            if kept {
                rows.push(row.cells);
            }
        }
        Ok(Table { columns, rows })
    }

    fn computed(&mut self, items: &[Column<'_>], rows: Vec<Row>) -> Outcome<Vec<Projected>> {
        let mut out = Vec::new();
        for row in rows {
            let (mut cells, mut visible) = (Vec::new(), row.clone());
            for (name, expr) in items {
                let value = match expr {
                    Some(expr) => self.value(expr, &row)?,
                    None => row.get(name).cloned().unwrap_or(Val::Null),
                };
                visible.insert(name.clone(), value.clone());
                cells.push(value);
            }
            out.push(Projected { cells, visible });
        }
        Ok(out)
    }

    /// Groups rows by the keys. Without a key there is one group, also of no rows.
    fn grouped(
        &mut self,
        items: &[Column<'_>],
        keys: &[Column<'_>],
        having: Option<&Expr>,
        rows: Vec<Row>,
    ) -> Outcome<Vec<Projected>> {
        let mut keyed = Vec::new();
        for row in rows {
            let mut key = Vec::new();
            for (name, expr) in keys {
                key.push(match expr {
                    Some(expr) => self.value(expr, &row)?,
                    None => row.get(name).cloned().unwrap_or(Val::Null),
                });
            }
            keyed.push((key, row));
        }
        self.arrange(&mut keyed, |(key, _)| format!("{key:?}"));
        let mut groups: Vec<(Vec<Val>, Vec<Row>)> = Vec::new();
        if keys.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        for (key, row) in keyed {
            match groups.iter_mut().find(|(known, _)| same_row(known, &key)) {
                Some((_, members)) => members.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        let mut out = Vec::new();
        for (key, members) in groups {
            let mut cells = Vec::new();
            let shared = members.first().cloned().unwrap_or_default();
            let around = self.group.replace(members);
            for (name, expr) in items {
                let place = keys
                    .iter()
                    .position(|(_, known)| known.is_some() && known == expr);
                cells.push(match (place, expr) {
                    (Some(place), _) => key[place].clone(),
                    (None, Some(expr)) => self.value(expr, &shared)?,
                    (None, None) => shared.get(name).cloned().unwrap_or(Val::Null),
                });
            }
            // Behind the columns, so that what fails in them does.
            let is_kept = having.map_or(Ok(Some(true)), |having| self.truth(having, &shared))?;
            self.group = around;
            if is_kept == Some(true) {
                let names = items.iter().map(|(name, _)| name.clone());
                out.push(Projected {
                    visible: names.zip(cells.iter().cloned()).collect(),
                    cells,
                });
            }
        }
        Ok(out)
    }

    fn sorted(&mut self, keys: &[SortItem], mut rows: Vec<Projected>) -> Outcome<Vec<Projected>> {
        // By what rows show first: of those that tie at a LIMIT one order keeps the first and another one the last, which are equal only when
        // all are.
        self.arrange(&mut rows, |row| {
            let shown: Vec<_> = row.cells.iter().map(|cell| self.graph.value(cell)).collect();
            format!("{} {:?}", show(&shown), row.cells)
        });
        let mut keyed = Vec::new();
        for row in rows {
            let mut values = Vec::new();
            for key in keys {
                values.push(self.value(&key.expr, &row.visible)?);
            }
            keyed.push((values, row));
        }
        keyed.sort_by(|(left, _), (right, _)| {
            let pairs = keys.iter().zip(left.iter().zip(right));
            let mut orders = pairs.map(|(key, (left, right))| in_order(key, left, right));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    fn page(&mut self, bound: Option<&Expr>) -> Outcome<Option<usize>> {
        let Some(bound) = bound else { return Ok(None) };
        match self.value(bound, &Row::new())? {
            Val::Int(number) if number >= 0 => Ok(Some(number as usize)),
            _ => error("a page that is no number"),
        }
    }

    pub(super) fn count_rows(&self) -> Outcome<Val> {
        match &self.group {
            Some(rows) => Ok(Val::Int(rows.len() as i64)),
            None => unknown("an aggregate without a group"),
        }
    }

    /// An aggregate of the group's rows, without nulls.
    pub(super) fn aggregate(&mut self, name: &str, is_distinct: bool, arguments: &[Expr]) -> Outcome<Val> {
        let (Some(rows), [argument]) = (self.group.take(), arguments) else {
            return unknown("an aggregate without a group");
        };
        let mut values = Vec::new();
        for row in &rows {
            values.push(self.value(argument, row)?);
        }
        self.group = Some(rows);
        values.retain(|value| *value != Val::Null);
        if is_distinct {
            let rows = self.distinct(values.into_iter().map(|value| vec![value]).collect());
            values = rows.into_iter().flatten().collect();
        }
        self.arrange(&mut values, |value| format!("{value:?}"));
        let sum = |values: &[Val]| {
            let mut values = values.iter();
            let first = values.next().cloned().unwrap_or(Val::Int(0));
            values.try_fold(first, |total, value| arithmetic(BinaryOp::Add, &total, value))
        };
        Ok(match name.to_lowercase().as_str() {
            "count" => Val::Int(values.len() as i64),
            "collect" => Val::List(values),
            "min" => values.into_iter().min_by(order).unwrap_or(Val::Null),
            "max" => values.into_iter().rev().max_by(order).unwrap_or(Val::Null),
            "sum" if values.is_empty() && self.dialect != Dialect::Cypher => Val::Null,
            "sum" => sum(&values)?,
            "avg" if values.is_empty() => Val::Null,
            "avg" => arithmetic(BinaryOp::Divide, &sum(&values)?, &Val::Float(values.len() as f64))?,
            _ => return unknown(name),
        })
    }
}

/// Nulls are the largest values unless it is said where they go.
fn in_order(key: &SortItem, left: &Val, right: &Val) -> Ordering {
    let nulls_first = key.nulls_first.unwrap_or(key.descending);
    match (*left == Val::Null, *right == Val::Null) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) if key.descending => order(right, left),
        (false, false) => order(left, right),
    }
}
