//! Order and page.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::columns::Wanted;
use super::eval::eval;
use super::rows::{Rows, row_bytes};
use crate::datum::Datum;
use crate::error;
use crate::expr::Expr;
use crate::plan::logical::SortKey;
use crate::semantics::total_order;
use geode_types::{ErrorClass, QueryError};
use std::cmp::Ordering;

/// With a page, rows are sorted and cut when there are so many at least.
const LEAST_CUT: usize = 64;

/// Sorts everything, or keeps only the first rows when a page follows.
pub(super) struct Sort<'p> {
    keys: &'p [SortKey],
    page: Option<(Option<&'p Expr>, &'p Expr)>,
    /// How many rows the page can show; known with the first rows.
    wanted: Option<usize>,
    /// The keys of the last row that the page can show as yet: what is not less cannot be on it.
    bound: Option<Vec<Datum>>,
    rows: Vec<(Vec<Datum>, Vec<Datum>)>,
    width: usize,
    held: (usize, usize),
    sorted: Option<std::vec::IntoIter<(Vec<Datum>, Vec<Datum>)>>,
}

impl<'p> Sort<'p> {
    pub(super) fn new(keys: &'p [SortKey], page: Option<(Option<&'p Expr>, &'p Expr)>) -> Self {
        Self {
            keys,
            page,
            wanted: None,
            bound: None,
            rows: Vec::new(),
            width: 0,
            held: (0, 0),
            sorted: None,
        }
    }

    fn take(&mut self, rows: &Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.width = rows.width();
        if let (None, Some((offset, limit))) = (self.wanted, self.page) {
            self.wanted =
                Some(count(offset, 0, "OFFSET", cx)?.saturating_add(count(Some(limit), 0, "LIMIT", cx)?));
        }
        let wanted = Wanted::of(self.keys.iter().map(|key| &key.expr));
        wanted.load(rows, cx)?;
        let mut keys = Vec::with_capacity(self.keys.len());
        for row in rows.iter() {
            keys.clear();
            for key in self.keys {
                keys.push(eval(&key.expr, row, cx)?);
            }
            if let Some(bound) = &self.bound
                && compare(self.keys, &keys, bound).is_ge()
            {
                continue;
            }
            let bytes = row_bytes(row) + row_bytes(&keys);
            self.held = (self.held.0 + 1, self.held.1 + bytes);
            cx.hold(1, bytes)?;
            self.rows.push((std::mem::take(&mut keys), row.to_vec()));
            if let Some(wanted) = self.wanted
                && self.rows.len() >= wanted.saturating_mul(2).max(LEAST_CUT)
            {
                self.cut(wanted, cx);
            }
        }
        cx.forget_columns();
        Ok(())
    }

    /// Forgets what cannot be on the page. The sort is stable, so equal rows keep their order.
    fn cut(&mut self, wanted: usize, cx: &mut Cx<'_>) {
        self.order();
        for (keys, row) in self.rows.drain(wanted.min(self.rows.len())..) {
            let bytes = row_bytes(&row) + row_bytes(&keys);
            self.held = (self.held.0.saturating_sub(1), self.held.1.saturating_sub(bytes));
            cx.release(1, bytes);
        }
        self.bound = self.rows.last().map(|(keys, _)| keys.clone());
    }

    fn order(&mut self) {
        let keys = self.keys;
        self.rows.sort_by(|left, right| compare(keys, &left.0, &right.0));
    }
}

/// The order of two rows by their keys.
fn compare(keys: &[SortKey], left: &[Datum], right: &[Datum]) -> Ordering {
    let mut orders = keys
        .iter()
        .zip(left.iter().zip(right))
        .map(|(key, (left, right))| ordered(key, left, right));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn ordered(key: &SortKey, left: &Datum, right: &Datum) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if key.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if key.nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) if key.descending => total_order(right, left),
        (false, false) => total_order(left, right),
    }
}

impl Operator for Sort<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                self.take(&rows, cx)?;
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.sorted.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => {
                self.order();
                self.sorted = Some(std::mem::take(&mut self.rows).into_iter());
            }
        }
        let mut out = Rows::new(self.width);
        for (_, row) in self.sorted.iter_mut().flatten().take(cx.batch_rows) {
            out.push(&row);
        }
        if out.is_empty() {
            cx.release(self.held.0, self.held.1);
            return Ok(Output::End);
        }
        Ok(Output::Rows(out))
    }
}

/// Skips and cuts. With `drain` it still pulls what it does not show, because pulling writes.
pub(super) struct Page<'p> {
    offset: Option<&'p Expr>,
    limit: Option<&'p Expr>,
    drain: bool,
    /// Rows still to skip and to show.
    left: Option<(usize, usize)>,
}

impl<'p> Page<'p> {
    pub(super) fn new(offset: Option<&'p Expr>, limit: Option<&'p Expr>, drain: bool) -> Self {
        Self {
            offset,
            limit,
            drain,
            left: None,
        }
    }
}

impl Operator for Page<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        let (skip, show) = match &mut self.left {
            Some(left) => left,
            none => none.insert((
                count(self.offset, 0, "OFFSET", cx)?,
                count(self.limit, usize::MAX, "LIMIT", cx)?,
            )),
        };
        let full = *show == 0;
        match input {
            Input::End => Ok(Output::End),
            _ if full && !self.drain => Ok(Output::End),
            Input::Pull => Ok(Output::NeedInput),
            Input::Rows(rows) => {
                let from = (*skip).min(rows.len());
                let to = from.saturating_add(*show).min(rows.len());
                *skip -= from;
                *show -= to - from;
                if from == 0 && to == rows.len() {
                    return Ok(Output::Rows(rows));
                }
                let mut out = Rows::new(rows.width());
                (from..to).for_each(|at| {
                    out.push(rows.row(at));
                });
                Ok(Output::Rows(out))
            }
        }
    }
}

/// The value of OFFSET or LIMIT.
fn count(expr: Option<&Expr>, missing: usize, clause: &str, cx: &mut Cx<'_>) -> Result<usize, QueryError> {
    let Some(expr) = expr else { return Ok(missing) };
    match eval(expr, &[], cx)? {
        Datum::Int(number) => usize::try_from(number).map_err(|_| {
            let message = format!("{clause} must not be negative, and is {number}");
            let mut error = QueryError::runtime(
                ErrorClass::SyntaxError,
                "NegativeIntegerArgument",
                "22G02",
                message,
            );
            error.hint = Some(format!("pass 0 or more to {clause}"));
            error
        }),
        other => {
            let message = format!("{clause} takes an integer, not {}", other.type_name());
            Err(QueryError::runtime(
                ErrorClass::SyntaxError,
                "InvalidArgumentType",
                error::INVALID_VALUE_TYPE,
                message,
            ))
        }
    }
}
