//! Reading nodes for an operator that finds or tests them: their labels and the tests of their properties are looked at where they are
//! stored, and only of those that pass something is decoded.

use super::Cx;
use super::columns::{Column, SlotNodes, datum_of};
use super::eval::{compared, eval, has_labels, holds};
use super::rows::Rows;
use super::rowwise::keep;
use super::table;
use crate::datum::Datum;
use crate::expr::LabelTest;
use crate::names::NameIndex;
use crate::plan::reads::{MOST_KEYS, Reads};
use geode_gql::ast::CompareOp;
use geode_graph::{NodeView, Property};
use geode_types::{NodeId, QueryError, Scalar};
use std::cmp::Ordering;
use std::sync::Arc;

/// What is asked of nodes, with the catalog's numbers and the values of parameters.
pub(super) struct Reading<'p> {
    labels: Option<Labels<'p>>,
    /// Numbers of keys, ascending.
    keys: Vec<u32>,
    tests: Vec<Test>,
    columns: Vec<Values>,
    failure: Option<QueryError>,
}

/// A label test whose names are resolved.
struct Labels<'p> {
    test: &'p LabelTest,
    /// What has no number is on no node.
    ids: Vec<(NameIndex, Option<u32>)>,
}

/// A test of a property.
struct Test {
    /// Which of the keys; none when no node has such a property.
    place: Option<usize>,
    op: CompareOp,
    value: Datum,
}

/// Values of a property, one for each node that passed.
struct Values {
    place: usize,
    key: NameIndex,
    values: Vec<Datum>,
}

impl<'p> Reading<'p> {
    pub(super) fn new(
        labels: Option<&'p LabelTest>,
        reads: &Reads<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Self, QueryError> {
        let mut numbered = Vec::with_capacity(reads.keys.len());
        for key in reads.keys.iter().take(MOST_KEYS) {
            if let Some(id) = cx.resolve(*key)? {
                numbered.push((id, *key));
            }
        }
        numbered.sort_unstable_by_key(|(id, _)| *id);
        let place = |key: NameIndex| numbered.iter().position(|(_, other)| *other == key);
        let mut tests = Vec::with_capacity(reads.tests.len());
        for test in &reads.tests {
            tests.push(Test {
                place: place(test.key),
                op: test.op,
                value: eval(test.value, &[], cx)?,
            });
        }
        let columns = numbered.iter().enumerate().map(|(place, (_, key))| Values {
            place,
            key: *key,
            values: Vec::new(),
        });
        Ok(Self {
            labels: labels.map(|test| Labels::new(test, cx)).transpose()?,
            columns: columns.collect(),
            keys: numbered.into_iter().map(|(id, _)| id).collect(),
            tests,
            failure: None,
        })
    }

    /// Takes a node, unless it does not pass; whether it did.
    #[inline]
    pub(super) fn take(&mut self, node: &NodeView<'_>) -> geode_graph::Result<bool> {
        if let Some(labels) = &self.labels
            && !labels.hold(node)?
        {
            return Ok(false);
        }
        if self.keys.is_empty() {
            return Ok(self.tests.is_empty());
        }
        let mut found: [Option<Property<'_>>; MOST_KEYS] = [None; MOST_KEYS];
        node.properties(&self.keys, |place, property| found[place] = Some(property))?;
        for test in &self.tests {
            let property = test.place.and_then(|place| found[place]);
            match test.holds(property) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => self.failure = Some(error),
            }
        }
        for column in &mut self.columns {
            column.values.push(match found[column.place] {
                None => Datum::Null,
                Some(property) => datum_of(&property).unwrap_or_else(|error| {
                    self.failure = Some(error);
                    Datum::Null
                }),
            });
        }
        Ok(true)
    }

    /// The columns of the nodes taken, in the order in which they were.
    pub(super) fn finish(self, slot: usize) -> Result<Vec<Column>, QueryError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let columns = self.columns.into_iter().map(|column| Column {
            slot,
            key: column.key,
            values: column.values,
        });
        Ok(columns.collect())
    }
}

impl<'p> Labels<'p> {
    fn new(test: &'p LabelTest, cx: &mut Cx<'_>) -> Result<Self, QueryError> {
        let mut ids = Vec::new();
        for label in test.labels() {
            ids.push((label, cx.resolve(label)?));
        }
        Ok(Self { test, ids })
    }

    fn hold(&self, node: &NodeView<'_>) -> geode_graph::Result<bool> {
        if let (LabelTest::Name { .. }, [(_, id)]) = (self.test, self.ids.as_slice()) {
            return id.map_or(Ok(false), |id| node.has_label(id));
        }
        let labels = node.labels()?;
        let has = &mut |label: NameIndex, _| {
            let known = self.ids.iter().find(|(known, _)| *known == label);
            known
                .and_then(|(_, id)| *id)
                .is_some_and(|id| labels.contains(&id))
        };
        Ok(self.test.holds(!labels.is_empty(), has))
    }
}

impl Test {
    /// Whether the comparison is true of what was found. Numbers and strings are compared where they are stored.
    #[inline]
    fn holds(&self, property: Option<Property<'_>>) -> Result<bool, QueryError> {
        // Nothing is true of null.
        let Some(property) = property else {
            return Ok(false);
        };
        match (property.scalar(), &self.value) {
            (Some(Scalar::Int(left)), Datum::Int(right)) => Ok(ordered(self.op, left.cmp(right))),
            (Some(Scalar::String(left)), Datum::String(right)) => {
                Ok(ordered(self.op, left.cmp(right.as_ref())))
            }
            _ => Ok(compared(self.op, &datum_of(&property)?, &self.value) == Some(true)),
        }
    }
}

fn ordered(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Equal => order.is_eq(),
        CompareOp::NotEqual => order.is_ne(),
        CompareOp::Less => order.is_lt(),
        CompareOp::LessEqual => order.is_le(),
        CompareOp::Greater => order.is_gt(),
        CompareOp::GreaterEqual => order.is_ge(),
    }
}

/// Rows whose node passes. Each node is read once, and the rows carry its properties on.
pub(super) fn keep_nodes(
    rows: Rows,
    slot: usize,
    labels: Option<&LabelTest>,
    reads: &Reads<'_>,
    cx: &mut Cx<'_>,
) -> Result<Rows, QueryError> {
    // Who has written may meet what it has deleted, which is an error of its own.
    if cx.graph.has_writes() || !rows.iter().all(|row| matches!(row[slot], Datum::Node(_))) {
        return keep_one_by_one(rows, slot, labels, reads, cx);
    }
    let mut known = table::table(reads, cx);
    let mut nodes = None;
    if known.is_none() {
        let looked_up = nodes.insert(SlotNodes::of(&rows, slot));
        known = table::prepare(slot, labels, reads, looked_up, cx)?;
    }
    if let Some(table) = known
        && let Some(places) = table.places(&rows, slot)
    {
        return Ok(keep_places(rows, &places, table.columns()));
    }
    let nodes = nodes.unwrap_or_else(|| SlotNodes::of(&rows, slot));
    let mut reading = Reading::new(labels, reads, cx)?;
    let mut passed = vec![None; nodes.ids.len()];
    let (mut read, mut taken) = (0, 0);
    cx.graph.visit_nodes(&nodes.ids, &mut |place, node| {
        read += 1;
        if reading.take(&node)? {
            passed[place] = Some(taken);
            taken += 1;
        }
        Ok(())
    })?;
    if read < nodes.ids.len() {
        return keep_one_by_one(rows, slot, labels, reads, cx);
    }
    let of_row = |place: &Option<u32>| place.and_then(|place| passed[place as usize]);
    let places: Vec<Option<usize>> = nodes.places.iter().map(of_row).collect();
    Ok(keep_places(rows, &places, &reading.finish(slot)?))
}

/// Rows that have a place, with the values that stand there.
fn keep_places(mut rows: Rows, places: &[Option<usize>], columns: &[Column]) -> Rows {
    let flags: Vec<bool> = places.iter().map(Option::is_some).collect();
    rows.retain(&flags);
    for column in columns {
        let kept = places.iter().flatten();
        rows.add_column(Arc::new(Column {
            values: kept.map(|place| column.values[*place].clone()).collect(),
            ..*column
        }));
    }
    rows
}

/// The same row by row, as an expression would do it.
fn keep_one_by_one(
    rows: Rows,
    slot: usize,
    labels: Option<&LabelTest>,
    reads: &Reads<'_>,
    cx: &mut Cx<'_>,
) -> Result<Rows, QueryError> {
    keep(rows, |row| {
        if let Some(labels) = labels
            && has_labels(&row[slot], labels, cx)? != Some(true)
        {
            return Ok(false);
        }
        for test in &reads.tests {
            if !holds(test.condition, row, cx)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Nodes that a scan found, each in a row like the given one.
pub(super) fn rows_of(row: &[Datum], slot: usize, ids: &[NodeId], columns: Vec<Column>) -> Rows {
    let mut rows = Rows::new(row.len());
    rows.fill(row, ids.len());
    for (at, id) in ids.iter().enumerate() {
        rows.row_mut(at)[slot] = Datum::Node(*id);
    }
    for column in columns {
        rows.add_column(Arc::new(column));
    }
    rows
}
