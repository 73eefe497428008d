//! Where patterns begin: all nodes, those with a label, or the one with a number, for each incoming row.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::eval::eval;
use super::rows::Rows;
use super::rowwise::RowWise;
use crate::datum::Datum;
use crate::expr::Expr;
use crate::names::NameIndex;
use geode_graph::GraphId;
use geode_types::{NodeId, QueryError};

/// The first page is a row, the next twice as large and so on: a LIMIT behind often needs no more than the first.
const FIRST_PAGE_ROWS: usize = 1;

/// Reads page by page for a single row; for several rows it reads the ids once and keeps them.
pub(super) struct Scan {
    slot: usize,
    label: Option<NameIndex>,
    input: Option<Rows>,
    at: usize,
    after: Option<NodeId>,
    kept: Option<Vec<NodeId>>,
    kept_at: usize,
    page_rows: usize,
}

impl Scan {
    pub(super) fn new(slot: usize, label: Option<NameIndex>) -> Self {
        Self {
            slot,
            label,
            input: None,
            at: 0,
            after: None,
            kept: None,
            kept_at: 0,
            page_rows: FIRST_PAGE_ROWS,
        }
    }

    /// Up to a page of ids for the current row; fewer means that the row is done.
    fn page(
        &mut self,
        label: Option<u32>,
        several: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<NodeId>, QueryError> {
        if several && self.kept.is_none() {
            let mut ids = Vec::new();
            loop {
                let before = ids.len();
                cx.graph
                    .scan_nodes(label, ids.last().copied(), cx.batch_rows, &mut ids)?;
                cx.hold(0, (ids.len() - before) * size_of::<NodeId>())?;
                if ids.len() - before < cx.batch_rows {
                    break;
                }
                cx.check()?;
            }
            self.kept = Some(ids);
            self.kept_at = 0;
        }
        if let Some(ids) = &self.kept {
            let page: Vec<NodeId> = ids
                .iter()
                .skip(self.kept_at)
                .take(self.page_rows)
                .copied()
                .collect();
            self.kept_at += page.len();
            return Ok(page);
        }
        let mut page = Vec::new();
        cx.graph
            .scan_nodes(label, self.after, self.page_rows, &mut page)?;
        self.after = page.last().copied().or(self.after);
        Ok(page)
    }
}

impl Operator for Scan {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                (self.input, self.at, self.after, self.kept_at) = (Some(rows), 0, None, 0);
            }
            Input::Pull => {}
            Input::End => {
                let kept = self.kept.take().map_or(0, |ids| ids.len());
                cx.release(0, kept * size_of::<NodeId>());
                return Ok(Output::End);
            }
        }
        let Some(rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        let label = match self.label {
            None => None,
            Some(name) => match cx.resolve(name)? {
                Some(id) => Some(id),
                None => return Ok(Output::NeedInput),
            },
        };
        let several = rows.len() > 1;
        let mut out = Rows::new(rows.width());
        while self.at < rows.len() && out.len() < self.page_rows {
            let page = self.page(label, several, cx)?;
            for id in &page {
                out.push(rows.row(self.at))[self.slot] = Datum::Node(*id);
            }
            if page.len() < self.page_rows {
                self.at += 1;
                (self.after, self.kept_at) = (None, 0);
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

/// The node with the number that the expression gives for the row. What equals no number of a node gives no row.
pub(super) fn seek(slot: usize, id: &Expr) -> impl Operator + '_ {
    RowWise(move |rows: Rows, cx: &mut Cx<'_>| {
        let mut out = Rows::new(rows.width());
        for row in rows.iter() {
            let number = match eval(id, row, cx)? {
                Datum::Int(number) => u64::try_from(number).ok(),
                // Numbers are equal across their types; the predicate that follows decides about fractions.
                Datum::Float(number) if number >= 0.0 => Some(number as u64),
                _ => None,
            };
            // An id of another graph is no node of this one.
            if let Some(node) = number
                .map(NodeId)
                .filter(|node| GraphId::of_node(*node) == cx.graph.graph())
                && cx.graph.node_exists(node)?
            {
                out.push(row)[slot] = Datum::Node(node);
            }
        }
        Ok(out)
    })
}
