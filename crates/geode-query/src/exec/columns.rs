//! Properties of nodes, read for a whole batch at once: nodes that lie close together are read in one pass, and each node once for all
//! its properties that an operator needs.
//!
//! An expression finds the value by the place of its row in memory, so rows of another batch are never taken for those of this one. Where a
//! value is not there it is read as ever.

use super::Cx;
use super::rows::Rows;
use crate::datum::Datum;
use crate::expr::{Expr, Step};
use crate::names::NameIndex;
use geode_types::{NodeId, QueryError};

/// Fewer rows are read one by one.
const LEAST_ROWS: usize = 4;

/// What some expressions read of nodes in slots.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// By slot, each with its keys.
    slots: Vec<(usize, Vec<NameIndex>)>,
}

impl Wanted {
    pub(super) fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut wanted = Self::default();
        for expr in exprs {
            expr.visit(&mut |expr| {
                if let Some((slot, key)) = property_of_slot(expr) {
                    wanted.add(slot, key);
                }
            });
        }
        wanted
    }

    fn add(&mut self, slot: usize, key: NameIndex) {
        match self.slots.iter_mut().find(|(known, _)| *known == slot) {
            Some((_, keys)) if keys.contains(&key) => {}
            Some((_, keys)) => keys.push(key),
            None => self.slots.push((slot, vec![key])),
        }
    }

    /// Leaves out a slot that changes while the batch is worked on.
    pub(super) fn without(mut self, slots: impl Iterator<Item = usize>) -> Self {
        for slot in slots {
            self.slots.retain(|(known, _)| *known != slot);
        }
        self
    }

    /// Reads what is wanted for these rows, for as long as they are not changed or dropped: [`Cx::forget_columns`] ends it.
    pub(super) fn load(&self, rows: &Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        cx.forget_columns();
        // Who has written may meet what it has deleted, which is an error of its own.
        if self.slots.is_empty() || rows.len() < LEAST_ROWS || cx.graph.has_writes() {
            return Ok(());
        }
        let mut columns = Vec::new();
        for (slot, names) in &self.slots {
            let mut keys = Vec::with_capacity(names.len());
            for name in names {
                if let Some(id) = cx.resolve(*name)? {
                    keys.push((id, *name));
                }
            }
            keys.sort_unstable_by_key(|(id, _)| *id);
            keys.dedup();
            let ids: Vec<u32> = keys.iter().map(|(id, _)| *id).collect();
            let nodes = SlotNodes::of(rows, *slot);
            let values = read(&nodes, &ids, cx)?;
            for (at, (_, key)) in keys.iter().enumerate() {
                let of_row =
                    |place: &Option<u32>| place.map(|place| values[place as usize * ids.len() + at].clone());
                columns.push(Column {
                    slot: *slot,
                    key: *key,
                    values: nodes.places.iter().map(of_row).collect(),
                });
            }
        }
        cx.columns = Columns {
            base: rows.base(),
            stride: rows.stride(),
            columns,
        };
        Ok(())
    }
}

fn read(nodes: &SlotNodes, keys: &[u32], cx: &mut Cx<'_>) -> Result<Vec<Datum>, QueryError> {
    let mut values = vec![Datum::Null; nodes.ids.len() * keys.len()];
    let mut failure = None;
    cx.graph.visit_nodes(&nodes.ids, &mut |place, node| {
        node.properties(keys, |at, value| match Datum::from_value(value) {
            Ok(value) => values[place * keys.len() + at] = value,
            Err(error) => failure = Some(error),
        })
    })?;
    failure.map_or(Ok(values), Err)
}

fn property_of_slot(expr: &Expr) -> Option<(usize, NameIndex)> {
    let Expr::Access(base, steps) = expr else {
        return None;
    };
    match (base.as_ref(), steps.as_slice()) {
        (Expr::Slot(slot), [Step::Key(key, _), ..]) => Some((*slot, *key)),
        _ => None,
    }
}

/// The nodes in a slot of a batch: ascending, each once, and for each row which of them it has.
pub(super) struct SlotNodes {
    pub ids: Vec<NodeId>,
    pub places: Vec<Option<u32>>,
}

impl SlotNodes {
    pub(super) fn of(rows: &Rows, slot: usize) -> Self {
        Self::in_range(rows, slot, 0..rows.len())
    }

    pub(super) fn in_range(rows: &Rows, slot: usize, range: std::ops::Range<usize>) -> Self {
        let node = |at: usize| {
            if let Datum::Node(id) = rows.row(at)[slot] {
                Some(id)
            } else {
                None
            }
        };
        let mut ids: Vec<NodeId> = range.clone().filter_map(node).collect();
        if ids.len() == range.len() && ids.is_sorted_by(|left, right| left < right) {
            let places = (0..ids.len() as u32).map(Some).collect();
            return Self { ids, places };
        }
        ids.sort_unstable();
        ids.dedup();
        let place = |id: NodeId| ids.binary_search(&id).ok().map(|place| place as u32);
        let places = range.map(|at| node(at).and_then(place)).collect();
        Self { ids, places }
    }
}

/// The values of a batch.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Where the first row is in memory, and how far the next.
    base: usize,
    stride: usize,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    slot: usize,
    key: NameIndex,
    values: Vec<Option<Datum>>,
}

impl Columns {
    /// The property of the node in a slot of this row, if it has been read.
    pub(super) fn get(&self, row: &[Datum], slot: usize, key: NameIndex) -> Option<&Datum> {
        if self.columns.is_empty() {
            return None;
        }
        let at = row.as_ptr().addr().checked_sub(self.base)? / self.stride.max(1);
        let column = self
            .columns
            .iter()
            .find(|column| column.slot == slot && column.key == key)?;
        column.values.get(at)?.as_ref()
    }
}
