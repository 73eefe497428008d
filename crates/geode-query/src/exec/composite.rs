//! Linear queries joined by UNION, EXCEPT, INTERSECT or OTHERWISE, as one source of rows (ISO/IEC 39075, 14.2).

use super::Cx;
use super::build::build;
use super::chain::Chain;
use super::cx::Net;
use super::rows::{KEY_BYTES, Rows, row_bytes};
use crate::datum::Datum;
use crate::plan::physical::LoweredQuery;
use crate::semantics::Key;
use geode_gql::ast::SetOperation;
use geode_types::QueryError;
use std::collections::{HashMap, HashSet};

/// A query under way.
pub(crate) struct Composite<'p> {
    query: &'p LoweredQuery<'p>,
    /// The rows that each part begins with; their cells are the first ones of its layout.
    argument: Option<Rows>,
    part: usize,
    chain: Option<Chain<'p>>,
    /// Whether the part under way has given a row.
    gave: bool,
    seen: HashSet<Key>,
    /// How often each row occurs in the other parts, for EXCEPT and INTERSECT.
    others: Option<Vec<HashMap<Key, usize>>>,
    /// What it and its operators hold of the statement's account. Operators give back what they hold when they come to their end, and not all
    /// do: those before a LIMIT do not, nor those of an EXISTS that has found a row.
    taken: Net,
}

impl<'p> Composite<'p> {
    pub(crate) fn new(query: &'p LoweredQuery<'p>, argument: Option<Rows>) -> Self {
        Self {
            query,
            argument,
            part: 0,
            chain: None,
            gave: false,
            seen: HashSet::new(),
            others: None,
            taken: Net::default(),
        }
    }

    /// The next rows, or none at the end.
    pub(crate) fn next(&mut self, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
        let before = cx.taken();
        let next = self.advance(cx);
        self.taken.note(before, cx.taken());
        if !matches!(next, Ok(Some(_))) {
            self.close(cx);
        }
        next
    }

    /// Gives back what is held. Whoever wants no further rows says so.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        self.chain = None;
        self.part = self.query.parts.len();
        cx.settle(std::mem::take(&mut self.taken));
    }

    fn advance(&mut self, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
        let against_others = matches!(
            self.query.operation,
            Some(SetOperation::Except { .. } | SetOperation::Intersect { .. })
        );
        if against_others && self.others.is_none() {
            let mut others = Vec::new();
            for part in 1..self.query.parts.len() {
                others.push(self.counts(part, cx)?);
            }
            self.others = Some(others);
        }
        while self.part < self.query.parts.len() {
            let Some(mut rows) = self.next_of(self.part, cx)? else {
                let first_wins = self.query.operation == Some(SetOperation::Otherwise) && self.gave;
                self.part += 1;
                if first_wins || against_others {
                    break;
                }
                continue;
            };
            self.gave = true;
            if matches!(
                self.query.operation,
                None | Some(SetOperation::Union { all: true } | SetOperation::Otherwise)
            ) {
                return Ok(Some(rows));
            }
            let mut keep = Vec::with_capacity(rows.len());
            for row in rows.iter() {
                keep.push(self.keeps(row, cx)?);
            }
            rows.retain(&keep);
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    /// The next rows of one part, which begins when none is under way.
    fn next_of(&mut self, part: usize, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
        let Some((ops, widths)) = self.query.parts.get(part) else {
            return Ok(None);
        };
        let mut argument = None;
        let chain = match &mut self.chain {
            Some(chain) => chain,
            none => {
                let width = widths.first().copied().unwrap_or_default();
                argument = self.argument.as_ref().map(|rows| widened(rows, width));
                none.insert(build(ops, widths))
            }
        };
        // Only a plan's first operator takes its argument, on its first call.
        let depth = cx.arguments.len();
        cx.arguments.extend(argument);
        let rows = chain.next(cx);
        cx.arguments.truncate(depth);
        let rows = rows?;
        if rows.is_none() {
            self.chain = None;
        }
        Ok(rows)
    }

    fn counts(&mut self, part: usize, cx: &mut Cx<'_>) -> Result<HashMap<Key, usize>, QueryError> {
        let mut counts: HashMap<Key, usize> = HashMap::new();
        while let Some(rows) = self.next_of(part, cx)? {
            for row in rows.iter() {
                let key = Key(row.into());
                if !counts.contains_key(&key) {
                    hold(row, cx)?;
                }
                *counts.entry(key).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn keeps(&mut self, row: &[Datum], cx: &mut Cx<'_>) -> Result<bool, QueryError> {
        let others = self.others.as_deref_mut().unwrap_or_default();
        let key = || Key(row.into());
        let new = match self.query.operation {
            None | Some(SetOperation::Union { all: true } | SetOperation::Otherwise) => return Ok(true),
            Some(SetOperation::Except { all: true }) => {
                return Ok(!others.iter_mut().any(|counts| take(counts, &key())));
            }
            Some(SetOperation::Intersect { all: true }) => {
                let key = key();
                let everywhere = others
                    .iter()
                    .all(|counts| counts.get(&key).is_some_and(|count| *count > 0));
                if everywhere {
                    for counts in others {
                        take(counts, &key);
                    }
                }
                return Ok(everywhere);
            }
            Some(SetOperation::Union { all: false }) => true,
            Some(SetOperation::Except { all: false }) => {
                !others.iter().any(|counts| counts.contains_key(&key()))
            }
            Some(SetOperation::Intersect { all: false }) => {
                others.iter().all(|counts| counts.contains_key(&key()))
            }
        };
        let first = new && self.seen.insert(key());
        if first {
            hold(row, cx)?;
        }
        Ok(first)
    }
}

/// Accounts for a row that is kept as a key.
fn hold(row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
    cx.hold(1, row_bytes(row) + KEY_BYTES)
}

/// Takes one occurrence of a row, if there is one.
fn take(counts: &mut HashMap<Key, usize>, key: &Key) -> bool {
    let Some(count) = counts.get_mut(key).filter(|count| **count > 0) else {
        return false;
    };
    *count -= 1;
    true
}

/// The same rows with further cells, which are null.
fn widened(rows: &Rows, width: usize) -> Rows {
    let mut wide = Rows::new(width);
    for row in rows.iter() {
        for (cell, value) in wide.push_nulls().iter_mut().zip(row) {
            *cell = value.clone();
        }
    }
    wide
}
