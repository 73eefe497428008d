//! Grouping and duplicates.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::columns::{Source, Wanted};
use super::eval::eval;
use super::rows::{KEY_BYTES, Rows};
use super::seen::{IdHasher, Seen};
use crate::aggregate::{Accumulator, AggregateCall};
use crate::datum::Datum;
use crate::expr::Expr;
use crate::semantics::{equivalent, hash};
use foldhash::fast::RandomState;
use geode_types::QueryError;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

/// Groups in the order of their first rows.
pub(super) struct Group<'p> {
    keys: &'p [Expr],
    calls: &'p [AggregateCall],
    width: usize,
    /// The cell that says how many rows a row stands for, when all that is asked for is their number.
    weight: Option<usize>,
    wanted: Wanted,
    /// Seeded anew for each statement, as users choose the keys.
    hasher: RandomState,
    /// The newest group of each hash.
    index: HashMap<u64, usize, BuildHasherDefault<IdHasher>>,
    /// The keys of the groups, one group's after the other's.
    key_cells: Vec<Datum>,
    groups: Vec<GroupState>,
    held: (usize, usize),
    /// The next group of the result.
    next: Option<usize>,
}

struct GroupState {
    /// An older group of the same hash.
    older: Option<usize>,
    /// How many rows it has, when that is all that is asked for.
    rows: i64,
    accumulators: Vec<Accumulator>,
}

/// What a batch gives: where the values of keys and arguments are.
struct Batch<'p> {
    keys: Vec<Source<'p>>,
    arguments: Vec<Option<Source<'p>>>,
    /// Keys that had to be computed for the row under way.
    computed: Vec<Datum>,
}

impl<'p> Batch<'p> {
    fn new(keys: &'p [Expr], calls: &'p [AggregateCall], cx: &Cx<'_>) -> Self {
        Self {
            keys: keys.iter().map(|key| Source::of(key, cx)).collect(),
            arguments: calls
                .iter()
                .map(|call| call.argument.as_ref().map(|argument| Source::of(argument, cx)))
                .collect(),
            computed: vec![Datum::Null; keys.len()],
        }
    }

    fn compute_keys(&mut self, row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
        for (key, source) in self.keys.iter().enumerate() {
            if let Source::Expr(expr) = source {
                self.computed[key] = eval(expr, row, cx)?;
            }
        }
        Ok(())
    }

    fn key<'b>(&'b self, row: &'b [Datum], at: usize) -> impl Iterator<Item = &'b Datum> + Clone {
        // By number, here and below: iterators that are zipped for each row are not inlined.
        (0..self.keys.len()).map(move |key| match &self.keys[key] {
            Source::Column(column) => &column.values[at],
            Source::Slot(slot) => &row[*slot],
            Source::Expr(_) => &self.computed[key],
        })
    }
}

/// What grouping reads of nodes.
pub(super) fn wanted(keys: &[Expr], calls: &[AggregateCall]) -> Wanted {
    let arguments = calls
        .iter()
        .flat_map(|call| call.argument.iter().chain(&call.parameter));
    Wanted::of(keys.iter().chain(arguments))
}

impl<'p> Group<'p> {
    pub(super) fn new(
        keys: &'p [Expr],
        calls: &'p [AggregateCall],
        width: usize,
        weight: Option<usize>,
    ) -> Self {
        Self {
            keys,
            calls,
            width,
            weight,
            wanted: wanted(keys, calls),
            hasher: RandomState::default(),
            index: HashMap::default(),
            key_cells: Vec::new(),
            groups: Vec::new(),
            held: (0, 0),
            next: None,
        }
    }

    fn key_of(&self, group: usize) -> &[Datum] {
        &self.key_cells[group * self.keys.len()..(group + 1) * self.keys.len()]
    }

    /// The group of a key, new if need be.
    fn group<'k>(
        &mut self,
        key: impl Iterator<Item = &'k Datum> + Clone,
        cx: &mut Cx<'_>,
    ) -> Result<usize, QueryError> {
        let mut hasher = self.hasher.build_hasher();
        key.clone().for_each(|cell| hash(cell, &mut hasher));
        let hash = hasher.finish();
        let newest = self.index.get(&hash).copied();
        let mut known = newest;
        while let Some(at) = known {
            let cells = self.key_of(at);
            if key
                .clone()
                .enumerate()
                .all(|(place, cell)| equivalent(cell, &cells[place]))
            {
                return Ok(at);
            }
            known = self.groups[at].older;
        }
        // Vectors that grow have room for twice as much.
        let cells = key.clone().map(|cell| 2 * size_of::<Datum>() + cell.heap_bytes());
        let accumulators = match self.weight {
            Some(_) => 0,
            None => self.calls.len() * size_of::<Accumulator>(),
        };
        let bytes = cells.sum::<usize>() + 2 * size_of::<GroupState>() + KEY_BYTES + accumulators;
        self.hold(1, bytes, cx)?;
        let at = self.groups.len();
        self.groups.push(self.new_group(newest));
        self.key_cells.extend(key.cloned());
        self.index.insert(hash, at);
        Ok(at)
    }

    fn new_group(&self, older: Option<usize>) -> GroupState {
        GroupState {
            older,
            rows: 0,
            accumulators: match self.weight {
                Some(_) => Vec::new(),
                None => self.calls.iter().map(Accumulator::new).collect(),
            },
        }
    }

    fn hold(&mut self, rows: usize, bytes: usize, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.held = (self.held.0 + rows, self.held.1 + bytes);
        cx.hold(rows, bytes)
    }

    fn add_all(&mut self, mut rows: Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        self.wanted.load(&mut rows, cx)?;
        let mut batch = Batch::new(self.keys, self.calls, cx);
        for (at, row) in rows.iter().enumerate() {
            batch.compute_keys(row, cx)?;
            let group = self.group(batch.key(row, at), cx)?;
            if let Some(weight) = self.weight {
                if let Datum::Int(rows) = row[weight] {
                    self.groups[group].rows += rows;
                }
            } else {
                self.add(group, &batch, row, at, cx)?;
            }
        }
        cx.forget_columns();
        Ok(())
    }

    /// Adds a row to a group.
    fn add(
        &mut self,
        group: usize,
        batch: &Batch<'_>,
        row: &[Datum],
        row_at: usize,
        cx: &mut Cx<'_>,
    ) -> Result<(), QueryError> {
        let mut bytes = 0;
        for (at, call) in self.calls.iter().enumerate() {
            let computed;
            let value = match &batch.arguments[at] {
                None => &Datum::Null,
                Some(Source::Column(column)) => &column.values[row_at],
                Some(Source::Slot(slot)) => &row[*slot],
                Some(Source::Expr(argument)) => {
                    computed = eval(argument, row, cx)?;
                    &computed
                }
            };
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
    fn finish(&mut self) {
        self.index = HashMap::default();
        if self.groups.is_empty() && self.keys.is_empty() {
            self.groups.push(self.new_group(None));
        }
        self.next = Some(0);
    }

    /// The next groups as rows.
    fn results(&mut self, cx: &Cx<'_>) -> Result<Rows, QueryError> {
        let mut out = Rows::new(self.width);
        let from = self.next.unwrap_or_default();
        let to = (from + cx.batch_rows).min(self.groups.len());
        for at in from..to {
            let target = out.push_nulls();
            let (keys, results) = target.split_at_mut(self.keys.len());
            let group = &mut self.groups[at];
            match self.weight {
                Some(_) => results[..self.calls.len()].fill(Datum::Int(group.rows)),
                None => {
                    for (cell, accumulator) in results.iter_mut().zip(std::mem::take(&mut group.accumulators))
                    {
                        *cell = cx.admit(accumulator.finish()?)?;
                    }
                }
            }
            keys.clone_from_slice(self.key_of(at));
        }
        self.next = Some(to);
        Ok(out)
    }
}

impl Operator for Group<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                self.add_all(rows, cx)?;
                return Ok(Output::NeedInput);
            }
            Input::Pull if self.next.is_none() => return Ok(Output::NeedInput),
            Input::Pull => {}
            Input::End => self.finish(),
        }
        let out = self.results(cx)?;
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
