//! Order and page.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::columns::Wanted;
use super::eval::eval;
use super::rows::{ALLOCATION_BYTES, Rows, row_bytes};
use crate::datum::Datum;
use crate::error;
use crate::expr::Expr;
use crate::plan::logical::SortKey;
use crate::semantics::total_order;
use geode_types::{ErrorClass, QueryError};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

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
    rows: Vec<Sorted>,
    /// Without a page: what was sorted before, run by run, so that no single sort takes long.
    runs: Vec<Vec<Sorted>>,
    width: usize,
    held: (usize, usize),
    merged: Option<Merge<'p>>,
}

/// A row and the values that it is sorted by.
type Sorted = (Vec<Datum>, Vec<Datum>);

/// How many rows are sorted at once.
const RUN_ROWS: usize = 16 << 10;

impl<'p> Sort<'p> {
    pub(super) fn new(keys: &'p [SortKey], page: Option<(Option<&'p Expr>, &'p Expr)>) -> Self {
        Self {
            keys,
            page,
            wanted: None,
            bound: None,
            rows: Vec::new(),
            runs: Vec::new(),
            width: 0,
            held: (0, 0),
            merged: None,
        }
    }

    fn take(&mut self, mut rows: Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.width = rows.width();
        if let (None, Some((offset, limit))) = (self.wanted, self.page) {
            self.wanted =
                Some(count(offset, 0, "OFFSET", cx)?.saturating_add(count(Some(limit), 0, "LIMIT", cx)?));
        }
        let wanted = Wanted::of(self.keys.iter().map(|key| &key.expr));
        wanted.load(&mut rows, cx)?;
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
            let bytes = held_bytes(row, &keys);
            self.held = (self.held.0 + 1, self.held.1 + bytes);
            cx.hold(1, bytes)?;
            let keys = std::mem::replace(&mut keys, Vec::with_capacity(self.keys.len()));
            self.rows.push((keys, row.to_vec()));
            match self.wanted {
                Some(wanted) if self.rows.len() >= wanted.saturating_mul(2).max(LEAST_CUT) => {
                    self.cut(wanted, cx);
                }
                None if self.rows.len() >= RUN_ROWS => {
                    self.order();
                    self.runs.push(std::mem::take(&mut self.rows));
                }
                _ => {}
            }
        }
        cx.forget_columns();
        Ok(())
    }

    /// Forgets what cannot be on the page. The sort is stable, so equal rows keep their order.
    fn cut(&mut self, wanted: usize, cx: &mut Cx<'_>) {
        self.order();
        for (keys, row) in self.rows.drain(wanted.min(self.rows.len())..) {
            let bytes = held_bytes(&row, &keys);
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

/// What a row costs while it waits: two allocations, and its place among the others, which is there twice while they are sorted.
fn held_bytes(row: &[Datum], keys: &[Datum]) -> usize {
    row_bytes(row) + row_bytes(keys) + 2 * ALLOCATION_BYTES + size_of::<Sorted>()
}

/// Sorted runs as one: the least of their first rows comes next, of equal ones that of the earlier run.
struct Merge<'p> {
    runs: Vec<std::vec::IntoIter<Sorted>>,
    heads: BinaryHeap<Head<'p>>,
}

/// The first row of a run that is not handed out.
struct Head<'p> {
    keys: &'p [SortKey],
    sorted: Sorted,
    run: usize,
}

impl<'p> Merge<'p> {
    fn new(keys: &'p [SortKey], runs: Vec<Vec<Sorted>>) -> Self {
        let mut runs: Vec<_> = runs.into_iter().map(Vec::into_iter).collect();
        let heads = runs.iter_mut().enumerate().filter_map(|(run, rows)| {
            let sorted = rows.next()?;
            Some(Head { keys, sorted, run })
        });
        let heads = heads.collect();
        Self { runs, heads }
    }

    fn next(&mut self) -> Option<Vec<Datum>> {
        let mut head = self.heads.peek_mut()?;
        match self.runs.get_mut(head.run).and_then(Iterator::next) {
            Some(next) => Some(std::mem::replace(&mut head.sorted, next).1),
            None => Some(PeekMut::pop(head).sorted.1),
        }
    }
}

/// A heap has the greatest on top, so the least row is the greatest head.
impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = compare(self.keys, &other.sorted.0, &self.sorted.0);
        order.then_with(|| other.run.cmp(&self.run))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

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
                self.take(rows, cx)?;
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.merged.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => {
                self.order();
                self.runs.push(std::mem::take(&mut self.rows));
                self.merged = Some(Merge::new(self.keys, std::mem::take(&mut self.runs)));
            }
        }
        let mut out = Rows::new(self.width);
        while let Some(row) = self.merged.as_mut().and_then(Merge::next) {
            out.push(&row);
            if out.is_full(cx.batch_rows) {
                break;
            }
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
