//! Queries within expressions, run for one row.

use super::Cx;
use super::composite::Composite;
use super::eval::eval;
use super::rows::Rows;
use crate::datum::Datum;
use crate::error;
use crate::expr::Subquery;
use geode_gql::ast::SubqueryKind;
use geode_types::QueryError;
use std::ops::ControlFlow;

/// What becomes of a row, and whether there may be more.
type Take<'t> = &'t mut dyn FnMut(&[Datum]) -> Result<ControlFlow<()>, QueryError>;

/// The value of a subquery for a row.
pub(super) fn value(subquery: &Subquery, row: &[Datum], cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    let mut imports = Vec::with_capacity(subquery.imports.len());
    for import in &subquery.imports {
        imports.push(eval(import, row, cx)?);
    }
    // Within the subquery, these are cells of its row.
    let locals = std::mem::take(&mut cx.locals);
    let result = match subquery.kind {
        SubqueryKind::Exists => exists(subquery, &imports, cx),
        SubqueryKind::Count => count(subquery, &imports, cx),
        SubqueryKind::Collect => collect(subquery, &imports, cx),
        SubqueryKind::Value => only(subquery, &imports, cx),
    };
    cx.locals = locals;
    result.map_err(|error| cx.placed(error, subquery.span))
}

fn exists(subquery: &Subquery, imports: &[Datum], cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    let mut found = false;
    each_row(subquery, imports, cx, &mut |_| {
        found = true;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(Datum::Bool(found))
}

fn count(subquery: &Subquery, imports: &[Datum], cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    let mut count = 0;
    each_row(subquery, imports, cx, &mut |_| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Datum::Int(count))
}

fn collect(subquery: &Subquery, imports: &[Datum], cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    let mut items: Vec<Datum> = Vec::new();
    let (mut bytes, most) = (0, cx.context.limits.max_memory_bytes);
    each_row(subquery, imports, cx, &mut |row| {
        let item = row.first().cloned().unwrap_or_default();
        bytes += size_of::<Datum>() + item.heap_bytes();
        if bytes > most {
            let message = format!("the list of a subquery needs more than {most} bytes (max_memory_bytes)");
            return Err(error::limit("OutOfMemory", message));
        }
        items.push(item);
        Ok(ControlFlow::Continue(()))
    })?;
    cx.admit(Datum::list(items))
}

fn only(subquery: &Subquery, imports: &[Datum], cx: &mut Cx<'_>) -> Result<Datum, QueryError> {
    let mut value = None;
    each_row(subquery, imports, cx, &mut |row| {
        if value.is_some() {
            let message = "VALUE { … } gives more than one row";
            return Err(
                error::argument("SubqueryNotSingular", message).hint("add LIMIT 1, or use COLLECT { … }")
            );
        }
        value = Some(row.first().cloned().unwrap_or_default());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(value.unwrap_or_default())
}

/// Runs the plan on a row that begins with these values.
fn each_row(
    subquery: &Subquery,
    imports: &[Datum],
    cx: &mut Cx<'_>,
    take: Take<'_>,
) -> Result<(), QueryError> {
    let Some(lowered) = cx.subqueries.get(subquery.plan) else {
        return Ok(());
    };
    let mut argument = Rows::new(imports.len());
    argument.push(imports);
    let mut composite = Composite::new(lowered, Some(argument));
    while let Some(rows) = composite.next(cx)? {
        for row in rows.iter() {
            if take(row)?.is_break() {
                composite.close(cx);
                return Ok(());
            }
        }
    }
    Ok(())
}
