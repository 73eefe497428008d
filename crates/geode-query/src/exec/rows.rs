//! A batch of rows of one layout, cells side by side.

use super::columns::Column;
use crate::datum::Datum;
use std::sync::Arc;

/// How many bytes of new values make a batch full before it has the rows of one: chains of edges can be long.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// About what an allocation costs besides what is in it: the allocator's own bytes, and the vector that points to it.
pub(crate) const ALLOCATION_BYTES: usize = 16 + size_of::<Vec<Datum>>();

/// About what a key in a hash table costs besides its values: an allocation, and a place in a table that is half empty and twice there while
/// it grows.
pub(crate) const KEY_BYTES: usize = 96;

/// Rows of equal width.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    width: usize,
    count: usize,
    cells: Vec<Datum>,
    /// Bytes of values that nothing else has.
    weight: usize,
    /// Properties of nodes in the rows that have been read already. They are gone as soon as a row is changed or added.
    columns: Vec<Arc<Column>>,
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            count: 0,
            cells: Vec::new(),
            weight: 0,
            columns: Vec::new(),
        }
    }

    /// Properties that have been read, with a value for each row.
    pub(crate) fn columns(&self) -> &[Arc<Column>] {
        &self.columns
    }

    /// Hands on properties of all rows.
    pub(crate) fn add_column(&mut self, column: Arc<Column>) {
        debug_assert_eq!(column.values.len(), self.count);
        self.columns.push(column);
    }

    /// Sets a cell of a row. What was read of other cells stays.
    pub(crate) fn set(&mut self, at: usize, slot: usize, value: Datum) {
        self.columns.retain(|column| column.slot != slot);
        self.cells[at * self.width + slot] = value;
    }

    /// Says that a row has so many bytes that nothing else has.
    pub(crate) fn add_weight(&mut self, bytes: usize) {
        self.weight += bytes;
    }

    /// Whether whoever fills the batch shall hand it on.
    pub(crate) fn is_full(&self, batch_rows: usize) -> bool {
        self.count >= batch_rows || self.weight >= BATCH_BYTES
    }

    /// Cuts off the rows from a place on.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let cells = self.cells.split_off(at * self.width);
        let count = self.count - at;
        self.count = at;
        self.columns.clear();
        Self {
            width: self.width,
            count,
            cells,
            weight: 0,
            columns: Vec::new(),
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Where the first row is in memory.
    pub(crate) fn base(&self) -> usize {
        self.cells.as_ptr().addr()
    }

    /// How far the next row is in memory.
    pub(crate) fn stride(&self) -> usize {
        self.width * size_of::<Datum>()
    }

    pub(crate) fn row(&self, at: usize) -> &[Datum] {
        &self.cells[at * self.width..(at + 1) * self.width]
    }

    pub(crate) fn row_mut(&mut self, at: usize) -> &mut [Datum] {
        self.columns.clear();
        &mut self.cells[at * self.width..(at + 1) * self.width]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Datum]> {
        (0..self.count).map(|at| self.row(at))
    }

    /// Appends a copy of a row of the same layout and returns it for changes.
    pub(crate) fn push(&mut self, row: &[Datum]) -> &mut [Datum] {
        self.cells.extend_from_slice(row);
        self.count += 1;
        let at = self.count - 1;
        self.row_mut(at)
    }

    /// Appends so many copies of a row.
    pub(crate) fn fill(&mut self, row: &[Datum], copies: usize) {
        self.cells.reserve(row.len() * copies);
        for _ in 0..copies {
            self.cells.extend_from_slice(row);
        }
        self.count += copies;
    }

    /// Appends a row of nulls and returns it for changes.
    pub(crate) fn push_nulls(&mut self) -> &mut [Datum] {
        self.cells.resize(self.cells.len() + self.width, Datum::Null);
        self.count += 1;
        let at = self.count - 1;
        self.row_mut(at)
    }

    /// Keeps the rows whose flag is set.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        if keep.iter().all(|keep| *keep) {
            return;
        }
        let mut kept = Self::new(self.width);
        kept.columns = std::mem::take(&mut self.columns)
            .into_iter()
            .map(|column| Column::retain(column, keep))
            .collect();
        for (at, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            let start = at * self.width;
            kept.cells.extend(
                self.cells[start..start + self.width]
                    .iter_mut()
                    .map(std::mem::take),
            );
            kept.count += 1;
        }
        *self = kept;
    }

    /// About how much memory the rows take.
    pub(crate) fn bytes(&self) -> usize {
        let read = self.columns.iter().map(|column| row_bytes(&column.values));
        row_bytes(&self.cells) + read.sum::<usize>()
    }
}

/// About how much memory a row takes.
pub(crate) fn row_bytes(row: &[Datum]) -> usize {
    row.iter()
        .map(|cell| size_of::<Datum>() + cell.heap_bytes())
        .sum()
}
