//! Where patterns begin: all nodes, those with a label, or the one with a number, for each incoming row.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::eval::eval;
use super::reading::{Reading, keep_nodes, rows_of};
use super::rows::Rows;
use super::rowwise::RowWise;
use crate::datum::Datum;
use crate::expr::Expr;
use crate::names::NameIndex;
use crate::number::Number;
use crate::plan::reads::Reads;
use geode_graph::{GraphId, NodeScan};
use geode_types::{NodeId, QueryError};

/// The first page is a row, the next twice as large and so on: a LIMIT behind often needs no more than the first.
pub(super) const FIRST_PAGE_ROWS: usize = 1;

/// Reads page by page for a single row; for several rows it reads the ids once and keeps them.
pub(super) struct Scan<'p> {
    slot: usize,
    label: Option<NameIndex>,
    reads: &'p Reads<'p>,
    input: Option<Rows>,
    at: usize,
    /// How far the scan for a single row is.
    scan: NodeScan,
    kept: Option<Vec<NodeId>>,
    kept_at: usize,
    page_rows: usize,
}

impl<'p> Scan<'p> {
    pub(super) fn new(slot: usize, label: Option<NameIndex>, reads: &'p Reads<'p>) -> Self {
        Self {
            slot,
            label,
            reads,
            input: None,
            at: 0,
            scan: NodeScan::default(),
            kept: None,
            kept_at: 0,
            page_rows: FIRST_PAGE_ROWS,
        }
    }

    /// Begins with a part of the scan, for a row that is known already.
    pub(super) fn on(self, row: Rows, part: NodeScan, page_rows: usize) -> Self {
        Self {
            input: Some(row),
            scan: part,
            page_rows,
            ..self
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
            .scan_nodes(label, self.scan.after, self.page_rows, &mut page)?;
        page.retain(|id| self.scan.is_before_end(*id));
        self.scan.after = page.last().copied().or(self.scan.after);
        Ok(page)
    }

    /// A page for each row until there are enough.
    fn pages(&mut self, rows: &Rows, label: Option<u32>, cx: &mut Cx<'_>) -> Result<Rows, QueryError> {
        let several = rows.len() > 1;
        let mut out = Rows::new(rows.width());
        while self.at < rows.len() && out.len() < self.page_rows {
            let page = self.page(label, several, cx)?;
            for id in &page {
                out.push(rows.row(self.at))[self.slot] = Datum::Node(*id);
            }
            if page.len() < self.page_rows {
                self.at += 1;
                (self.scan, self.kept_at) = (NodeScan::default(), 0);
            }
        }
        if self.reads.tests.is_empty() {
            return Ok(out);
        }
        keep_nodes(out, self.slot, None, self.reads, cx)
    }

    /// A page for the only row there is, of nodes that are tested while they are read.
    fn read_page(&mut self, rows: &Rows, label: Option<u32>, cx: &mut Cx<'_>) -> Result<Rows, QueryError> {
        let mut reading = Reading::new(None, self.reads, cx)?;
        let mut ids = Vec::new();
        let is_done = cx
            .graph
            .visit_scan(label, &mut self.scan, self.page_rows, &mut |id, node| {
                if reading.take(&node)? {
                    ids.push(id);
                }
                Ok(())
            })?;
        self.at += usize::from(is_done);
        Ok(rows_of(rows.row(0), self.slot, &ids, reading.finish(self.slot)?))
    }
}

impl Operator for Scan<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => {
                (self.input, self.at, self.kept_at) = (Some(rows), 0, 0);
                self.scan = NodeScan::default();
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
        // Who has written reads row by row, as expressions do.
        let reads_nodes = rows.len() == 1 && self.kept.is_none() && !self.reads.keys.is_empty();
        let out = if reads_nodes && !cx.graph.has_writes() {
            self.read_page(&rows, label, cx)?
        } else {
            self.pages(&rows, label, cx)?
        };
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
            // Numbers are equal across their types.
            let number = Number::of(&eval(id, row, cx)?).and_then(Number::integer);
            // An id of another graph is no node of this one.
            if let Some(node) = number
                .and_then(|number| u64::try_from(number).ok())
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
