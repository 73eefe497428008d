//! Grouping and duplicates.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::columns::Wanted;
use super::eval::eval;
use super::rows::{KEY_BYTES, Rows};
use super::seen::{IdHasher, Seen};
use crate::aggregate::{Accumulator, AggregateCall};
use crate::datum::Datum;
use crate::expr::Expr;
use crate::semantics::{Key, equivalent, hash_all};
use geode_types::QueryError;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// Groups in the order of their first rows.
pub(super) struct Group<'p> {
    keys: &'p [Expr],
    calls: &'p [AggregateCall],
    width: usize,
    /// The cell that says how many rows a row stands for, when all that is asked for is their number.
    weight: Option<usize>,
    wanted: Wanted,
    hasher: RandomState,
    /// The newest group of each hash.
    index: HashMap<u64, usize, BuildHasherDefault<IdHasher>>,
    groups: Vec<GroupState>,
    held: (usize, usize),
    results: Option<std::vec::IntoIter<GroupState>>,
}

struct GroupState {
    key: Key,
    accumulators: Vec<Accumulator>,
    /// An older group of the same hash.
    older: Option<usize>,
}

impl<'p> Group<'p> {
    pub(super) fn new(
        keys: &'p [Expr],
        calls: &'p [AggregateCall],
        width: usize,
        weight: Option<usize>,
    ) -> Self {
        let arguments = calls
            .iter()
            .flat_map(|call| call.argument.iter().chain(&call.parameter));
        Self {
            keys,
            calls,
            width,
            weight,
            wanted: Wanted::of(keys.iter().chain(arguments)),
            hasher: RandomState::new(),
            index: HashMap::default(),
            groups: Vec::new(),
            held: (0, 0),
            results: None,
        }
    }

    /// The group of a key, new if need be. The key is taken out of `key` only then.
    fn group(&mut self, key: &mut Vec<Datum>, cx: &mut Cx<'_>) -> Result<usize, QueryError> {
        let hash = self.hasher.hash_one(Part(key));
        let newest = self.index.get(&hash).copied();
        let mut known = newest;
        while let Some(at) = known {
            let group = &self.groups[at];
            if group
                .key
                .0
                .iter()
                .zip(key.iter())
                .all(|(left, right)| equivalent(left, right))
            {
                return Ok(at);
            }
            known = group.older;
        }
        let bytes = key
            .iter()
            .map(|cell| size_of::<Datum>() + cell.heap_bytes())
            .sum::<usize>()
            + size_of::<GroupState>()
            + KEY_BYTES
            + self.calls.len() * size_of::<Accumulator>();
        self.hold(1, bytes, cx)?;
        let at = self.groups.len();
        self.groups.push(GroupState {
            key: Key(std::mem::take(key).into()),
            accumulators: self.calls.iter().map(Accumulator::new).collect(),
            older: newest,
        });
        self.index.insert(hash, at);
        Ok(at)
    }

    fn hold(&mut self, rows: usize, bytes: usize, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.held = (self.held.0 + rows, self.held.1 + bytes);
        cx.hold(rows, bytes)
    }

    fn add(&mut self, row: &[Datum], key: &mut Vec<Datum>, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        key.clear();
        for expr in self.keys {
            key.push(eval(expr, row, cx)?);
        }
        let group = self.group(key, cx)?;
        if let Some(weight) = self.weight {
            if let Datum::Int(rows) = row[weight] {
                let accumulators = &mut self.groups[group].accumulators;
                for accumulator in accumulators {
                    accumulator.add_rows(rows);
                }
            }
            return Ok(());
        }
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
            let added = self.groups[group].accumulators[at].add(value, parameter);
            bytes += added.map_err(|error| cx.placed(error, call.span))?;
        }
        if bytes > 0 {
            self.hold(0, bytes, cx)?;
        }
        Ok(())
    }

    /// Without keys there is one group even when there was no row.
    fn finish(&mut self) -> std::vec::IntoIter<GroupState> {
        self.index.clear();
        if self.groups.is_empty() && self.keys.is_empty() {
            self.groups.push(GroupState {
                key: Key(Box::default()),
                accumulators: self.calls.iter().map(Accumulator::new).collect(),
                older: None,
            });
        }
        std::mem::take(&mut self.groups).into_iter()
    }
}

/// A key that is not in a group yet; hashes like [`Key`].
struct Part<'k>(&'k [Datum]);

impl Hash for Part<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_all(self.0, state);
    }
}

impl Operator for Group<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                self.wanted.load(&rows, cx)?;
                let mut key = Vec::with_capacity(self.keys.len());
                for row in rows.iter() {
                    self.add(row, &mut key, cx)?;
                }
                cx.forget_columns();
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.results.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => self.results = Some(self.finish()),
        }
        let mut out = Rows::new(self.width);
        for group in self.results.iter_mut().flatten().take(cx.batch_rows) {
            let target = out.push_nulls();
            let (keys, results) = target.split_at_mut(group.key.0.len());
            keys.clone_from_slice(&group.key.0);
            for (cell, accumulator) in results.iter_mut().zip(group.accumulators) {
                *cell = cx.admit(accumulator.finish()?)?;
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
    seen: Seen,
    held: (usize, usize),
}

impl<'p> Distinct<'p> {
    pub(super) fn new(slots: &'p [usize]) -> Self {
        Self {
            slots,
            seen: Seen::default(),
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
            let key: Box<[Datum]> = self.slots.iter().map(|slot| row[*slot].clone()).collect();
            let bytes = Seen::bytes_of(&key);
            let new = self.seen.insert_all(key);
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
