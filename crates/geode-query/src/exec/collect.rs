//! Grouping and duplicates.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::eval::eval;
use super::rows::{BATCH_ROWS, Rows};
use crate::aggregate::{Accumulator, AggregateCall};
use crate::datum::Datum;
use crate::expr::Expr;
use crate::semantics::Key;
use geode_types::QueryError;
use std::collections::{HashMap, HashSet};

/// Groups in the order of their first rows.
pub(super) struct Group<'p> {
    pub keys: &'p [Expr],
    pub calls: &'p [AggregateCall],
    pub width: usize,
    index: HashMap<Key, usize>,
    groups: Vec<(Key, Vec<Accumulator>)>,
    held: (usize, usize),
    results: Option<std::vec::IntoIter<(Key, Vec<Accumulator>)>>,
}

impl<'p> Group<'p> {
    pub(super) fn new(keys: &'p [Expr], calls: &'p [AggregateCall], width: usize) -> Self {
        Self {
            keys,
            calls,
            width,
            index: HashMap::new(),
            groups: Vec::new(),
            held: (0, 0),
            results: None,
        }
    }

    fn group(&mut self, key: Key, cx: &mut Cx<'_>) -> Result<usize, QueryError> {
        if let Some(known) = self.index.get(&key) {
            return Ok(*known);
        }
        let bytes = key
            .0
            .iter()
            .map(|cell| size_of::<Datum>() * 2 + cell.heap_bytes())
            .sum::<usize>()
            + self.calls.len() * size_of::<Accumulator>();
        self.hold(1, bytes, cx)?;
        let at = self.groups.len();
        self.groups
            .push((key.clone(), self.calls.iter().map(Accumulator::new).collect()));
        self.index.insert(key, at);
        Ok(at)
    }

    fn hold(&mut self, rows: usize, bytes: usize, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.held = (self.held.0 + rows, self.held.1 + bytes);
        cx.hold(rows, bytes)
    }

    fn add(&mut self, row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let key = self
            .keys
            .iter()
            .map(|key| eval(key, row, cx))
            .collect::<Result<Box<[Datum]>, _>>()?;
        let group = self.group(Key(key), cx)?;
        let mut bytes = 0;
        for (at, call) in self.calls.iter().enumerate() {
            let value = call
                .argument
                .as_ref()
                .map_or(Ok(Datum::Null), |argument| eval(argument, row, cx))?;
            let parameter = call
                .parameter
                .as_ref()
                .map(|parameter| eval(parameter, row, cx))
                .transpose()?;
            let added = self.groups[group].1[at].add(value, parameter);
            bytes += added.map_err(|error| cx.placed(error, call.span))?;
        }
        if bytes > 0 {
            self.hold(0, bytes, cx)?;
        }
        Ok(())
    }

    /// Without keys there is one group even when there was no row.
    fn finish(&mut self) -> std::vec::IntoIter<(Key, Vec<Accumulator>)> {
        self.index.clear();
        if self.groups.is_empty() && self.keys.is_empty() {
            self.groups.push((
                Key(Box::default()),
                self.calls.iter().map(Accumulator::new).collect(),
            ));
        }
        std::mem::take(&mut self.groups).into_iter()
    }
}

impl Operator for Group<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                for row in rows.iter() {
                    self.add(row, cx)?;
                }
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.results.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => self.results = Some(self.finish()),
        }
        let mut out = Rows::new(self.width);
        for (key, accumulators) in self.results.iter_mut().flatten().take(BATCH_ROWS) {
            let target = out.push_nulls();
            let (keys, results) = target.split_at_mut(key.0.len());
            keys.clone_from_slice(&key.0);
            for (cell, accumulator) in results.iter_mut().zip(accumulators) {
                *cell = accumulator.finish()?;
            }
        }
        if out.is_empty() {
            cx.release(self.held.0, self.held.1);
            return Ok(Output::End);
        }
        Ok(Output::Rows(out))
    }
}

/// The first of the rows that agree in some cells.
pub(super) struct Distinct<'p> {
    slots: &'p [usize],
    seen: HashSet<Key>,
    held: (usize, usize),
}

impl<'p> Distinct<'p> {
    pub(super) fn new(slots: &'p [usize]) -> Self {
        Self {
            slots,
            seen: HashSet::new(),
            held: (0, 0),
        }
    }
}

impl Operator for Distinct<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        let mut rows = match input {
            Input::Pull => return Ok(Output::NeedInput),
            Input::Rows(rows) => rows,
            Input::End => {
                cx.release(self.held.0, self.held.1);
                return Ok(Output::End);
            }
        };
        let mut keep = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            let key = Key(self.slots.iter().map(|slot| row[*slot].clone()).collect());
            let bytes = key
                .0
                .iter()
                .map(|cell| size_of::<Datum>() + cell.heap_bytes())
                .sum::<usize>();
            let new = self.seen.insert(key);
            if new {
                self.held = (self.held.0 + 1, self.held.1 + bytes);
                cx.hold(1, bytes)?;
            }
            keep.push(new);
        }
        rows.retain(&keep);
        Ok(Output::Rows(rows))
    }
}
