//! Operators that look at one batch at a time: filters, computed cells, unwinding, new layouts.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::columns::Wanted;
use super::eval::{eval, holds};
use super::reading::keep_nodes;
use super::rows::{BATCH_BYTES, Rows};
use crate::datum::{Datum, List};
use crate::error;
use crate::expr::{Expr, LabelTest};
use crate::plan::reads::Reads;
use geode_types::QueryError;
use std::sync::Arc;

/// Turns each batch into another one.
pub(super) struct RowWise<F>(pub F);

impl<F: FnMut(Rows, &mut Cx<'_>) -> Result<Rows, QueryError>> Operator for RowWise<F> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        Ok(match input {
            Input::Pull => Output::NeedInput,
            Input::Rows(rows) => Output::Rows((self.0)(rows, cx)?),
            Input::End => Output::End,
        })
    }
}

pub(super) fn keep(
    mut rows: Rows,
    test: impl FnMut(&[Datum]) -> Result<bool, QueryError>,
) -> Result<Rows, QueryError> {
    let flags = flags(&rows, test)?;
    rows.retain(&flags);
    Ok(rows)
}

fn flags(
    rows: &Rows,
    test: impl FnMut(&[Datum]) -> Result<bool, QueryError>,
) -> Result<Vec<bool>, QueryError> {
    rows.iter().map(test).collect()
}

/// Rows for which the conditions hold, which are looked at in turn.
pub(super) fn filter<'p>(conditions: Vec<&'p Expr>) -> Box<dyn Operator + 'p> {
    let wanted = Wanted::of(conditions.iter().copied());
    Box::new(RowWise(move |mut rows: Rows, cx: &mut Cx<'_>| {
        wanted.load(&mut rows, cx)?;
        let flags = flags(&rows, |row| {
            for condition in &conditions {
                if !holds(condition, row, cx)? {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        // Before rows are dropped: columns that nothing else has are not copied for it.
        cx.forget_columns();
        rows.retain(&flags?);
        Ok(rows)
    }))
}

/// Rows whose element passes the label test, and more if it is a node.
pub(super) fn labels<'p>(slot: usize, test: &'p LabelTest, reads: &'p Reads<'p>) -> Box<dyn Operator + 'p> {
    Box::new(RowWise(move |rows: Rows, cx: &mut Cx<'_>| {
        keep_nodes(rows, slot, Some(test), reads, cx)
    }))
}

/// Rows whose cell is a node; null drops the row, anything else is an error.
pub(super) fn check_node<'p>(slot: usize) -> Box<dyn Operator + 'p> {
    Box::new(RowWise(move |rows, _cx: &mut Cx<'_>| {
        keep(rows, |row| match &row[slot] {
            Datum::Node(_) => Ok(true),
            Datum::Null => Ok(false),
            other => Err(error::type_error(
                "InvalidArgumentType",
                format!("a pattern needs a node here, not {}", other.type_name()),
            )),
        })
    }))
}

/// Computes cells.
pub(super) fn extend<'p>(cells: &'p [(usize, Expr)]) -> Box<dyn Operator + 'p> {
    let wanted = Wanted::of(cells.iter().map(|(_, expr)| expr)).without(cells.iter().map(|(slot, _)| *slot));
    Box::new(Extend {
        cells,
        wanted,
        input: None,
    })
}

struct Extend<'p> {
    cells: &'p [(usize, Expr)],
    wanted: Wanted,
    /// Rows of a batch that was full with what was computed before them.
    input: Option<Rows>,
}

impl Operator for Extend<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => self.input = Some(rows),
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        let Some(mut rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        self.wanted.load(&mut rows, cx)?;
        let mut bytes = 0;
        for at in 0..rows.len() {
            for (slot, expr) in self.cells {
                let value = eval(expr, rows.row(at), cx)?;
                bytes += value.own_bytes();
                rows.row_mut(at)[*slot] = value;
                if bytes > BATCH_BYTES {
                    cx.admit_bytes(cx.memory() + bytes)?;
                }
            }
            if bytes > BATCH_BYTES && at + 1 < rows.len() {
                self.input = Some(rows.split_off(at + 1));
                break;
            }
        }
        cx.forget_columns();
        Ok(Output::Rows(rows))
    }
}

/// Takes over these cells into a new layout.
pub(super) fn compact<'p>(slots: &'p [usize], width: usize) -> Box<dyn Operator + 'p> {
    Box::new(RowWise(move |rows: Rows, _cx: &mut Cx<'_>| {
        let mut compacted = Rows::new(width);
        for row in rows.iter() {
            let target = compacted.push_nulls();
            for (cell, slot) in target.iter_mut().zip(slots) {
                *cell = row[*slot].clone();
            }
        }
        Ok(compacted)
    }))
}

/// Swallows everything.
pub(super) fn discard<'p>() -> Box<dyn Operator + 'p> {
    Box::new(RowWise(|rows: Rows, _cx: &mut Cx<'_>| {
        Ok(Rows::new(rows.width()))
    }))
}

/// A row for each element of a list.
pub(super) struct Unwind<'p> {
    pub list: &'p Expr,
    pub slot: usize,
    pub counter: Option<(usize, i64)>,
    pub input: Option<Rows>,
    /// The row under way.
    pub at: usize,
    /// Its list and the next element.
    pub items: Option<(Arc<List>, usize)>,
    /// Bytes of the list when nobody else has it.
    pub held: usize,
}

impl Unwind<'_> {
    /// The list of a row, which is kept until all of its elements are rows.
    fn begin(&mut self, row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let value = eval(self.list, row, cx)?;
        self.held = value.own_bytes();
        cx.hold(0, self.held)?;
        self.items = Some((elements(value), 0));
        Ok(())
    }
}

impl Operator for Unwind<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => (self.input, self.at, self.items) = (Some(rows), 0, None),
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        let Some(rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        let mut out = Rows::new(rows.width());
        while self.at < rows.len() {
            let row = rows.row(self.at);
            if self.items.is_none() {
                self.begin(row, cx)?;
            }
            while let Some((items, next)) = &mut self.items
                && *next < items.len()
            {
                if out.len() >= cx.batch_rows {
                    self.input = Some(rows);
                    return Ok(Output::Rows(out));
                }
                let target = out.push(row);
                target[self.slot] = items[*next].clone();
                if let Some((slot, first)) = self.counter {
                    target[slot] = Datum::Int(first + *next as i64);
                }
                *next += 1;
            }
            self.at += 1;
            self.items = None;
            cx.release(0, std::mem::take(&mut self.held));
        }
        Ok(if out.is_empty() {
            Output::NeedInput
        } else {
            Output::Rows(out)
        })
    }
}

/// Null unwinds to nothing, a single value to itself.
fn elements(value: Datum) -> Arc<List> {
    match value {
        Datum::Null => Arc::default(),
        Datum::List(items) => items,
        other => Arc::new(List::new(vec![other])),
    }
}
