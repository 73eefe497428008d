//! OPTIONAL MATCH: the matches of each row, or the row itself with nulls.

use super::Cx;
use super::build::build;
use super::chain::{Chain, Input, Operator, Output};
use super::rows::Rows;
use crate::datum::Datum;
use crate::plan::physical::Op;
use geode_types::QueryError;

/// Runs the inner operators on a whole batch; a marker in each row tells which ones found a match.
pub(super) struct Optional<'p> {
    inner: &'p [Op<'p>],
    marker: usize,
    batch: Option<Batch<'p>>,
}

struct Batch<'p> {
    rows: Rows,
    matched: Vec<bool>,
    /// None when it has ended and only the rows without a match are left.
    chain: Option<Chain<'p>>,
    next: usize,
}

impl<'p> Optional<'p> {
    pub(super) fn new(inner: &'p [Op<'p>], marker: usize) -> Self {
        Self {
            inner,
            marker,
            batch: None,
        }
    }
}

impl Operator for Optional<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(mut rows) => {
                for at in 0..rows.len() {
                    rows.row_mut(at)[self.marker] = Datum::Int(at as i64);
                }
                let chain = Some(build(self.inner, &[]));
                self.batch = Some(Batch {
                    matched: vec![false; rows.len()],
                    rows,
                    chain,
                    next: 0,
                });
            }
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        let Some(batch) = &mut self.batch else {
            return Ok(Output::NeedInput);
        };
        if let Some(chain) = &mut batch.chain {
            cx.arguments.push(std::mem::take(&mut batch.rows));
            let found = chain.next(cx);
            batch.rows = cx.arguments.pop().unwrap_or_default();
            if let Some(found) = found? {
                for row in found.iter() {
                    if let Datum::Int(at) = row[self.marker] {
                        batch.matched[at as usize] = true;
                    }
                }
                return Ok(Output::Rows(found));
            }
            batch.chain = None;
        }
        let mut out = Rows::new(batch.rows.width());
        while batch.next < batch.rows.len() && out.len() < cx.batch_rows {
            if !batch.matched[batch.next] {
                out.push(batch.rows.row(batch.next));
            }
            batch.next += 1;
        }
        if out.is_empty() {
            self.batch = None;
            return Ok(Output::NeedInput);
        }
        Ok(Output::Rows(out))
    }
}
