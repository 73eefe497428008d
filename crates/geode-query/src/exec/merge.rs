//! MERGE: row by row, since a row must find what the row before has created.

use super::Cx;
use super::build::build;
use super::chain::Operator;
use super::rows::Rows;
use super::write::{Barrier, create, merge_on_null, set_now};
use crate::datum::Datum;
use crate::error;
use crate::plan::logical::{CreateElement, Merge, Properties};
use crate::plan::physical::Op;
use geode_types::QueryError;

pub(super) fn merge<'p>(inner: &'p [Op<'p>], merge: &'p Merge) -> Box<dyn Operator + 'p> {
    Box::new(Barrier::new(move |batches: &mut [Rows], cx: &mut Cx<'_>| {
        for rows in batches {
            let mut out = Rows::new(rows.width());
            for row in rows.iter() {
                cx.check()?;
                refuse_nulls(merge, row, cx)?;
                let found = matches(inner, row, rows.width(), cx)?;
                if found.is_empty() {
                    let created = out.push(row);
                    create(&merge.create, created, true, cx)?;
                    let created = out.row(out.len() - 1).to_vec();
                    set_now(&merge.on_create, &created, cx)?;
                } else {
                    for row in found.iter() {
                        set_now(&merge.on_match, row, cx)?;
                        out.push(row);
                    }
                }
            }
            *rows = out;
        }
        Ok(())
    }))
}

fn matches(inner: &[Op<'_>], row: &[Datum], width: usize, cx: &mut Cx<'_>) -> Result<Rows, QueryError> {
    let mut argument = Rows::new(width);
    argument.push(row);
    cx.arguments.push(argument);
    let mut chain = build(inner, &[]);
    let mut found = Rows::new(width);
    let result = loop {
        match chain.next(cx) {
            Ok(Some(rows)) => rows.iter().for_each(|row| {
                found.push(row);
            }),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    cx.arguments.pop();
    result.map(|()| found)
}

/// A null in the pattern would never match and so create again and again.
fn refuse_nulls(merge: &Merge, row: &[Datum], cx: &mut Cx<'_>) -> Result<(), QueryError> {
    for node in merge.pattern.nodes.iter().filter(|node| node.bound) {
        if row[node.slot].is_null() {
            return Err(error::type_error(
                "InvalidArgumentType",
                "MERGE needs a node at each end of an edge, and one is null",
            ));
        }
    }
    for element in &merge.create {
        if let CreateElement::Node {
            properties: Properties::Entries(entries),
            ..
        }
        | CreateElement::Edge {
            properties: Properties::Entries(entries),
            ..
        } = element
        {
            for (key, value) in entries {
                // A value that names what the pattern itself creates is only known afterwards.
                let known = value.slots().iter().all(|slot| !row[*slot].is_null());
                if known && super::eval::eval(value, row, cx)?.is_null() {
                    return Err(merge_on_null(&cx.name(*key)));
                }
            }
        }
    }
    Ok(())
}
