//! Queries as clauses: for each row (CALL), or for all rows at once (a composite query behind NEXT).

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::composite::Composite;
use super::eval::eval;
use super::rows::Rows;
use crate::plan::logical::Apply as Spec;
use crate::plan::physical::LoweredQuery;
use geode_types::QueryError;
use std::collections::VecDeque;

/// CALL. A query that writes begins when all rows are there, so that none of them is found by what it writes.
pub(super) struct Apply<'p> {
    spec: &'p Spec,
    query: &'p LoweredQuery<'p>,
    waits: bool,
    ended: bool,
    batches: VecDeque<Rows>,
    held: (usize, usize),
    /// The row of the first batch under way, its query, and whether that has given a row.
    at: usize,
    running: Option<(Composite<'p>, bool)>,
}

impl<'p> Apply<'p> {
    pub(super) fn new(spec: &'p Spec, query: &'p LoweredQuery<'p>) -> Self {
        Self {
            spec,
            query,
            waits: spec.query.writes(),
            ended: false,
            batches: VecDeque::new(),
            held: (0, 0),
            at: 0,
            running: None,
        }
    }

    fn take(&mut self, rows: Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        if self.waits {
            let (count, bytes) = (rows.len(), rows.bytes());
            self.held = (self.held.0 + count, self.held.1 + bytes);
            cx.hold(count, bytes)?;
        }
        self.batches.push_back(rows);
        Ok(())
    }

    /// Goes on with the query of one row; whether it has ended.
    fn advance(
        &mut self,
        row: &[crate::datum::Datum],
        out: &mut Rows,
        cx: &mut Cx<'_>,
    ) -> Result<bool, QueryError> {
        let (composite, gave) = match &mut self.running {
            Some(running) => running,
            none => {
                let mut imports = Vec::with_capacity(self.spec.imports.len());
                for import in &self.spec.imports {
                    imports.push(eval(import, row, cx)?);
                }
                let mut argument = Rows::new(imports.len());
                argument.push(&imports);
                none.insert((Composite::new(self.query, Some(argument)), false))
            }
        };
        if let Some(rows) = composite.next(cx)? {
            for inner in rows.iter() {
                if let Some(outputs) = &self.spec.outputs {
                    *gave = true;
                    let target = out.push(row);
                    for (slot, value) in outputs.iter().zip(inner) {
                        target[*slot] = value.clone();
                    }
                }
            }
            return Ok(false);
        }
        if self.spec.outputs.is_none() || (self.spec.optional && !*gave) {
            out.push(row);
        }
        self.running = None;
        Ok(true)
    }
}

impl Operator for Apply<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                self.take(rows, cx)?;
                if self.waits {
                    return Ok(Output::NeedInput);
                }
            }
            Input::Pull => {}
            Input::End => self.ended = true,
        }
        if self.waits && !self.ended {
            return Ok(Output::NeedInput);
        }
        while let Some(rows) = self.batches.pop_front() {
            let mut out = Rows::new(rows.width());
            while self.at < rows.len() && !out.is_full(cx.batch_rows) {
                if self.advance(rows.row(self.at), &mut out, cx)? {
                    self.at += 1;
                }
            }
            if self.at < rows.len() {
                self.batches.push_front(rows);
            } else {
                self.at = 0;
            }
            if !out.is_empty() {
                return Ok(Output::Rows(out));
            }
        }
        if !self.ended {
            return Ok(Output::NeedInput);
        }
        let (rows, bytes) = std::mem::take(&mut self.held);
        cx.release(rows, bytes);
        Ok(Output::End)
    }
}

/// A query that takes all rows as its working table.
pub(super) struct Feed<'p> {
    query: &'p LoweredQuery<'p>,
    width: usize,
    rows: Option<Rows>,
    held: (usize, usize),
    running: Option<Composite<'p>>,
}

impl<'p> Feed<'p> {
    pub(super) fn new(query: &'p LoweredQuery<'p>, width: usize) -> Self {
        Self {
            query,
            width,
            rows: None,
            held: (0, 0),
            running: None,
        }
    }
}

impl Operator for Feed<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                let (count, bytes) = (rows.len(), rows.bytes());
                self.held = (self.held.0 + count, self.held.1 + bytes);
                cx.hold(count, bytes)?;
                let all = self.rows.get_or_insert_with(|| Rows::new(rows.width()));
                rows.iter().for_each(|row| {
                    all.push(row);
                });
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.running.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => {
                let all = self.rows.take().unwrap_or_default();
                self.running = Some(Composite::new(self.query, Some(all)));
            }
        }
        let next = match &mut self.running {
            Some(running) => running.next(cx)?,
            None => None,
        };
        let Some(rows) = next else {
            let (rows, bytes) = std::mem::take(&mut self.held);
            cx.release(rows, bytes);
            return Ok(Output::End);
        };
        let mut out = Rows::new(self.width);
        for row in rows.iter() {
            for (cell, value) in out.push_nulls().iter_mut().zip(row) {
                *cell = value.clone();
            }
        }
        Ok(Output::Rows(out))
    }
}
