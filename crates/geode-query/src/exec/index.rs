//! Finding nodes by their values: for each incoming row the ranges of an index that its conditions lead to.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::eval::eval;
use super::rows::Rows;
use crate::datum::Datum;
use crate::plan::access::{LastKey, Seek};
use geode_graph::{IndexCursor, KeyRange, Last, Probe};
use geode_types::{NodeId, QueryError, Value};

/// The first page is small: a LIMIT behind often needs no more.
const FIRST_PAGE_ROWS: usize = 16;
/// More combinations of listed values than this are not looked up one by one.
const MOST_RANGES: usize = 1 << 16;

/// Nodes with entries in an index. What comes out may be too much: the conditions are tested behind.
pub(super) struct IndexSeek<'p> {
    slot: usize,
    seek: &'p Seek<'p>,
    input: Option<Rows>,
    at: usize,
    /// The ranges of the row under way that are left, the last one first.
    ranges: Option<Vec<KeyRange>>,
    cursor: Option<IndexCursor>,
    page_rows: usize,
    nodes: Vec<NodeId>,
}

impl<'p> IndexSeek<'p> {
    pub(super) fn new(slot: usize, seek: &'p Seek<'p>) -> Self {
        Self {
            slot,
            seek,
            input: None,
            at: 0,
            ranges: None,
            cursor: None,
            page_rows: FIRST_PAGE_ROWS,
            nodes: Vec::new(),
        }
    }
}

impl Operator for IndexSeek<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                (self.input, self.at, self.ranges, self.cursor) = (Some(rows), 0, None, None);
            }
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        let Some(rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        let mut out = Rows::new(rows.width());
        while self.at < rows.len() && out.len() < self.page_rows {
            let row = rows.row(self.at);
            let ranges = match &mut self.ranges {
                Some(ranges) => ranges,
                none => none.insert(ranges(self.seek, row, cx)?),
            };
            let Some(range) = ranges.last() else {
                (self.at, self.ranges) = (self.at + 1, None);
                continue;
            };
            self.nodes.clear();
            let limit = self.page_rows - out.len();
            self.cursor = cx.graph.scan_index(
                self.seek.rule.id,
                range,
                self.cursor.take(),
                limit,
                &mut self.nodes,
            )?;
            if self.cursor.is_none() {
                ranges.pop();
            }
            for node in &self.nodes {
                out.push(row)[self.slot] = Datum::Node(*node);
            }
        }
        self.page_rows = cx.batch_rows.min(self.page_rows * 2);
        if self.at < rows.len() {
            self.input = Some(rows);
        }
        Ok(if out.is_empty() && self.input.is_none() {
            Output::NeedInput
        } else {
            Output::Rows(out)
        })
    }
}

/// A value to look for.
enum Wanted {
    /// A comparison with it is never true.
    Never,
    /// The index does not help.
    Anything,
    Value(Value),
}

fn wanted(datum: &Datum) -> Wanted {
    match datum {
        Datum::Null => Wanted::Never,
        other => other.to_property().map_or(Wanted::Anything, Wanted::Value),
    }
}

/// The ranges for a row, each once.
fn ranges(seek: &Seek<'_>, row: &[Datum], cx: &mut Cx<'_>) -> Result<Vec<KeyRange>, QueryError> {
    let mut combinations: Vec<Vec<Value>> = vec![Vec::new()];
    for (expr, is_list) in &seek.equal {
        let value = eval(expr, row, cx)?;
        let values = match (&value, is_list) {
            (Datum::List(items), true) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items.iter() {
                    match wanted(item) {
                        Wanted::Never => {}
                        Wanted::Anything => return Ok(vec![KeyRange::all()]),
                        Wanted::Value(value) => values.push(value),
                    }
                }
                values
            }
            (other, true) if !other.is_null() => return Ok(vec![KeyRange::all()]),
            (other, _) => match wanted(other) {
                Wanted::Never => return Ok(Vec::new()),
                Wanted::Anything => return Ok(vec![KeyRange::all()]),
                Wanted::Value(value) => vec![value],
            },
        };
        if combinations.len().saturating_mul(values.len()) > MOST_RANGES {
            return Ok(vec![KeyRange::all()]);
        }
        combinations = combinations
            .iter()
            .flat_map(|before| {
                values.iter().map(move |value| {
                    let mut combined = before.clone();
                    combined.push(value.clone());
                    combined
                })
            })
            .collect();
    }
    let mut bound = |expr: Option<&crate::expr::Expr>| -> Result<Option<Wanted>, QueryError> {
        expr.map(|expr| eval(expr, row, cx).map(|value| wanted(&value)))
            .transpose()
    };
    let (from, to) = match seek.last {
        LastKey::Any => (None, None),
        LastKey::Prefix(prefix) => (bound(Some(prefix))?, None),
        LastKey::Between(from, to) => (bound(from)?, bound(to)?),
    };
    if [&from, &to]
        .into_iter()
        .any(|bound| matches!(bound, Some(Wanted::Never)))
    {
        return Ok(Vec::new());
    }
    let value = |bound: &'_ Option<Wanted>| match bound {
        Some(Wanted::Value(value)) => Some(value.clone()),
        _ => None,
    };
    let (from, to) = (value(&from), value(&to));
    let last = match (&seek.last, &from) {
        (LastKey::Prefix(_), Some(Value::String(prefix))) => Last::Prefix(prefix),
        (LastKey::Between(..), _) if from.is_some() || to.is_some() => {
            Last::Between(from.as_ref(), to.as_ref())
        }
        _ => Last::Any,
    };
    let probes = combinations.iter().map(|equal| Probe { equal, last });
    let mut ranges: Vec<KeyRange> = probes.filter_map(|probe| probe.range(&seek.rule)).collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges.reverse();
    Ok(ranges)
}
