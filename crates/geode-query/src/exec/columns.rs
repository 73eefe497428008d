//! Properties of nodes, read for a whole batch at once: nodes that lie close together are read in one pass, and each node once for all
//! its properties that an operator needs. Rows carry on what has been read of them, so that the next operator need not read it again.
//!
//! An expression finds the value by the place of its row in memory, so rows of another batch are never taken for those of this one. Where a
//! value is not there it is read as ever.

use super::Cx;
use super::rows::Rows;
use crate::datum::Datum;
use crate::expr::{Expr, Step};
use crate::names::NameIndex;
use geode_graph::Property;
use geode_types::{NodeId, QueryError, Scalar};
use std::sync::Arc;

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

    /// Reads what is wanted for these rows and not carried by them, for as long as they are not changed or dropped:
    /// [`Cx::forget_columns`] ends it.
    pub(super) fn load(&self, rows: &mut Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        cx.forget_columns();
        // Who has written may meet what it has deleted, which is an error of its own, or what it has changed since.
        if self.slots.is_empty() || cx.graph.has_writes() {
            return Ok(());
        }
        let mut columns = Vec::new();
        for (slot, names) in &self.slots {
            let mut missing = Vec::new();
            for name in names {
                match rows.columns().iter().find(|column| column.is(*slot, *name)) {
                    Some(column) => columns.push(column.clone()),
                    None => missing.push(*name),
                }
            }
            if rows.len() >= LEAST_ROWS {
                for column in read(rows, *slot, &missing, cx)? {
                    columns.push(column.clone());
                    rows.add_column(column);
                }
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

/// Properties of the nodes in a slot, unless there is something else in it. Null has no properties, and those are null.
fn read(
    rows: &Rows,
    slot: usize,
    names: &[NameIndex],
    cx: &mut Cx<'_>,
) -> Result<Vec<Arc<Column>>, QueryError> {
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        if let Some(id) = cx.resolve(*name)? {
            keys.push((id, *name));
        }
    }
    keys.sort_unstable_by_key(|(id, _)| *id);
    keys.dedup();
    let is_fit = |row: &[Datum]| matches!(row[slot], Datum::Node(_) | Datum::Null);
    if keys.is_empty() || !rows.iter().all(is_fit) {
        return Ok(Vec::new());
    }
    let ids: Vec<u32> = keys.iter().map(|(id, _)| *id).collect();
    let nodes = SlotNodes::of(rows, slot);
    let mut found: Vec<Vec<Datum>> = vec![vec![Datum::Null; nodes.ids.len()]; ids.len()];
    let mut failure = None;
    cx.graph.visit_nodes(&nodes.ids, &mut |place, node| {
        node.properties(&ids, |at, property| match datum_of(&property) {
            Ok(value) => found[at][place] = value,
            Err(error) => failure = Some(error),
        })
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    let columns = keys.iter().zip(found).map(|((_, key), values)| {
        let values = nodes.by_row(values);
        Arc::new(Column {
            slot,
            key: *key,
            values,
        })
    });
    Ok(columns.collect())
}

/// A property that was read.
#[inline]
pub(super) fn datum_of(property: &Property<'_>) -> Result<Datum, QueryError> {
    match property.scalar() {
        Some(Scalar::Int(number)) => Ok(Datum::Int(number)),
        Some(Scalar::Null) => Ok(Datum::Null),
        Some(Scalar::Bool(truth)) => Ok(Datum::Bool(truth)),
        Some(Scalar::Float(number)) => Ok(Datum::Float(number)),
        Some(Scalar::String(text)) => Ok(Datum::string(text)),
        None => Datum::from_value(property.value()?),
    }
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
        let mut places = vec![None; range.len()];
        let mut of_rows = Vec::with_capacity(range.len());
        for (place, at) in range.enumerate() {
            if let Datum::Node(id) = rows.row(at)[slot] {
                of_rows.push((id, place as u32));
            }
        }
        if !of_rows.is_sorted() {
            of_rows.sort_unstable();
        }
        let mut ids: Vec<NodeId> = Vec::with_capacity(of_rows.len());
        for (id, place) in of_rows {
            if ids.last() != Some(&id) {
                ids.push(id);
            }
            places[place as usize] = Some(ids.len() as u32 - 1);
        }
        Self { ids, places }
    }

    /// Values of the nodes as values of the rows; null for rows without a node.
    fn by_row(&self, values: Vec<Datum>) -> Vec<Datum> {
        // Each row has a node of its own, in their order: a scan.
        if self.ids.len() == self.places.len() && self.ids.len() == values.len() && self.is_in_order() {
            return values;
        }
        let of_row = |place: &Option<u32>| place.map_or(Datum::Null, |place| values[place as usize].clone());
        self.places.iter().map(of_row).collect()
    }

    fn is_in_order(&self) -> bool {
        let mut places = self.places.iter().enumerate();
        places.all(|(at, place)| *place == Some(at as u32))
    }
}

/// A property of the nodes in a slot of a batch, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub slot: usize,
    pub key: NameIndex,
    pub values: Vec<Datum>,
}

impl Column {
    pub(super) fn is(&self, slot: usize, key: NameIndex) -> bool {
        self.slot == slot && self.key == key
    }

    /// The same of the rows whose flag is set.
    pub(super) fn retain(column: Arc<Self>, keep: &[bool]) -> Arc<Self> {
        let mut column = Arc::unwrap_or_clone(column);
        let mut flags = keep.iter();
        column
            .values
            .retain(|_| flags.next().copied().unwrap_or_default());
        Arc::new(column)
    }
}

/// The values of a batch.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Where the first row is in memory, and how far the next.
    base: usize,
    stride: usize,
    columns: Vec<Arc<Column>>,
}

impl Columns {
    /// The property of the node in a slot of this row, if it has been read.
    pub(super) fn get(&self, row: &[Datum], slot: usize, key: NameIndex) -> Option<&Datum> {
        if self.columns.is_empty() {
            return None;
        }
        let at = row.as_ptr().addr().checked_sub(self.base)? / self.stride.max(1);
        let column = self.columns.iter().find(|column| column.is(slot, key))?;
        column.values.get(at)
    }

    /// The property of the nodes in a slot, if it has been read.
    pub(super) fn whole(&self, slot: usize, key: NameIndex) -> Option<Arc<Column>> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.is(slot, key)).cloned()
    }
}

/// Where the values of an expression are for the rows of a batch.
pub(super) enum Source<'e> {
    Column(Arc<Column>),
    Slot(usize),
    /// To be computed for each row.
    Expr(&'e Expr),
}

impl<'e> Source<'e> {
    pub(super) fn of(expr: &'e Expr, cx: &Cx<'_>) -> Self {
        match expr {
            Expr::Slot(slot) => Self::Slot(*slot),
            Expr::Access(_, steps) if steps.len() == 1 => property_of_slot(expr)
                .and_then(|(slot, key)| cx.columns.whole(slot, key))
                .map_or(Self::Expr(expr), Self::Column),
            other => Self::Expr(other),
        }
    }
}
