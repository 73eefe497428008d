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

/// CALL. A query that writes begins when all rows are there, so that none of them is found by what it writes, and its rows go on when it has
/// ended for all of them, so that what follows sees all that it wrote.
pub(super) struct Apply<'p> {
    spec: &'p Spec,
    query: &'p LoweredQuery<'p>,
    waits: bool,
    ended: bool,
    batches: VecDeque<Rows>,
    /// What a query that writes has given.
    given: Option<VecDeque<Rows>>,
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
            given: None,
            held: (0, 0),
            at: 0,
            running: None,
        }
    }

    fn take(&mut self, rows: Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        if self.waits {
            hold(&mut self.held, &rows, cx)?;
        }
        self.batches.push_back(rows);
        Ok(())
    }

    /// The next rows of what was taken.
    fn next(&mut self, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
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
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    fn all(&mut self, cx: &mut Cx<'_>) -> Result<VecDeque<Rows>, QueryError> {
        let mut given = VecDeque::new();
        while let Some(rows) = self.next(cx)? {
            hold(&mut self.held, &rows, cx)?;
            given.push_back(rows);
        }
        Ok(given)
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
        if self.waits && self.given.is_none() {
            self.given = Some(self.all(cx)?);
        }
        let next = match &mut self.given {
            Some(given) => given.pop_front(),
            None => self.next(cx)?,
        };
        if let Some(rows) = next {
            return Ok(Output::Rows(rows));
        }
        if !self.ended {
            return Ok(Output::NeedInput);
        }
        let (rows, bytes) = std::mem::take(&mut self.held);
        cx.release(rows, bytes);
        Ok(Output::End)
    }
}

/// A query that takes all rows as its working table. One that writes ends before its rows go on, as with CALL.
pub(super) struct Feed<'p> {
    query: &'p LoweredQuery<'p>,
    width: usize,
    waits: bool,
    rows: Option<Rows>,
    held: (usize, usize),
    running: Option<Composite<'p>>,
    given: Option<VecDeque<Rows>>,
}

impl<'p> Feed<'p> {
    pub(super) fn new(query: &'p LoweredQuery<'p>, width: usize, waits: bool) -> Self {
        Self {
            query,
            width,
            waits,
            rows: None,
            held: (0, 0),
            running: None,
            given: None,
        }
    }

    fn all(&mut self, running: &mut Composite<'p>, cx: &mut Cx<'_>) -> Result<VecDeque<Rows>, QueryError> {
        let mut given = VecDeque::new();
        while let Some(rows) = running.next(cx)? {
            hold(&mut self.held, &rows, cx)?;
            given.push_back(rows);
        }
        Ok(given)
    }
}

impl Operator for Feed<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                hold(&mut self.held, &rows, cx)?;
                let all = self.rows.get_or_insert_with(|| Rows::new(rows.width()));
                rows.iter().for_each(|row| {
                    all.push(row);
                });
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.running.is_none() && self.given.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => {
                let all = self.rows.take().unwrap_or_default();
                let mut running = Composite::new(self.query, Some(all));
                if self.waits {
                    self.given = Some(self.all(&mut running, cx)?);
                } else {
                    self.running = Some(running);
                }
            }
        }
        let next = match (&mut self.given, &mut self.running) {
            (Some(given), _) => given.pop_front(),
            (None, Some(running)) => running.next(cx)?,
            (None, None) => None,
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

/// Notes rows that are kept.
fn hold(held: &mut (usize, usize), rows: &Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
    let (count, bytes) = (rows.len(), rows.bytes());
    *held = (held.0 + count, held.1 + bytes);
    cx.hold(count, bytes)
}
