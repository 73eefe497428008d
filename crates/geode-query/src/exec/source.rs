//! Operators without input: one empty row, the rows of an enclosing operator, a system table.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::rows::Rows;
use crate::catalog;
use crate::datum::Datum;
use crate::schema;
use geode_types::{ErrorClass, QueryError, Value};

/// One row of nulls.
pub(super) struct Unit {
    pub width: usize,
    pub done: bool,
}

impl Operator for Unit {
    fn run(&mut self, _input: Input, _cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(Output::End);
        }
        let mut rows = Rows::new(self.width);
        rows.push_nulls();
        Ok(Output::Rows(rows))
    }
}

/// The rows that the enclosing operator put on the stack of arguments.
#[derive(Default)]
pub(super) struct Argument {
    pub done: bool,
}

impl Operator for Argument {
    fn run(&mut self, _input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(Output::End);
        }
        Ok(Output::Rows(cx.arguments.last().cloned().unwrap_or_default()))
    }
}

/// The rows of a system table, or of one about the graph's schema.
pub(super) struct Table<'p> {
    pub name: &'p str,
    pub width: usize,
    pub rows: Option<std::vec::IntoIter<Vec<Value>>>,
}

impl Operator for Table<'_> {
    fn run(&mut self, _input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        let columns = match self.rows {
            Some(_) => 0,
            None => cx
                .context
                .system
                .columns(self.name)
                .map_or(0, |columns| columns.len()),
        };
        let source = match &mut self.rows {
            Some(rows) => rows,
            none => {
                let access = cx.context.access;
                let rows = match catalog::rows(self.name, cx.graph, access)? {
                    Some(rows) => rows,
                    None if schema::columns(self.name).is_some() => {
                        schema::rows(self.name, cx.graph, access)?
                    }
                    None => cx.context.system.rows(self.name),
                };
                none.insert(rows.into_iter())
            }
        };
        let mut rows = Rows::new(self.width);
        for values in source.by_ref().take(cx.batch_rows) {
            if values.len() > self.width || (columns != 0 && values.len() != columns) {
                let message = format!("the table {} delivered a row of the wrong width", self.name);
                return Err(QueryError::runtime(
                    ErrorClass::InternalError,
                    "BadSystemTable",
                    "5GI04",
                    message,
                ));
            }
            let row = rows.push_nulls();
            for (cell, value) in row.iter_mut().zip(values) {
                *cell = Datum::from_value(value)?;
            }
        }
        Ok(if rows.is_empty() {
            Output::End
        } else {
            Output::Rows(rows)
        })
    }
}
