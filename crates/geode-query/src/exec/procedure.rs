//! Procedures: the rows that one gives for each row.

use super::Cx;
use super::chain::Operator;
use super::eval::eval;
use super::output::to_value;
use super::rows::Rows;
use super::rowwise::RowWise;
use crate::datum::Datum;
use crate::error;
use crate::plan::logical::Procedure;
use crate::system::ParameterType;
use geode_types::{QueryError, Value};

/// CALL of a procedure.
pub(super) fn procedure<'p>(spec: &'p Procedure) -> Box<dyn Operator + 'p> {
    Box::new(RowWise(move |rows: Rows, cx: &mut Cx<'_>| {
        let mut out = Rows::new(rows.width());
        for row in rows.iter() {
            cx.check()?;
            let called = call(spec, row, cx).map_err(|error| cx.placed(error, spec.span))?;
            if spec.is_void {
                out.push(row);
                continue;
            }
            for given in called {
                let target = out.push(row);
                for (column, slot) in &spec.outputs {
                    target[*slot] = match given.get(*column) {
                        Some(value) => Datum::from_value(value.clone())?,
                        None => Datum::Null,
                    };
                }
            }
        }
        Ok(out)
    }))
}

fn call(spec: &Procedure, row: &[Datum], cx: &mut Cx<'_>) -> Result<Vec<Vec<Value>>, QueryError> {
    let mut arguments = Vec::with_capacity(spec.arguments.len());
    for (argument, wanted) in &spec.arguments {
        let value = eval(argument, row, cx)?;
        let value = to_value(&value, cx)?;
        arguments.push(passed(value, *wanted, &spec.name)?);
    }
    cx.context.system.call(&spec.name, &arguments)
}

/// The value as the procedure takes it; integers become floats where floats are asked for.
fn passed(value: Value, wanted: ParameterType, name: &str) -> Result<Value, QueryError> {
    let fits = match (&value, wanted) {
        (Value::Int(number), ParameterType::Float) => return Ok(Value::Float(*number as f64)),
        (Value::Null, _)
        | (_, ParameterType::Any)
        | (Value::Bool(_), ParameterType::Bool)
        | (Value::Int(_), ParameterType::Int | ParameterType::Number)
        | (Value::Float(_), ParameterType::Float | ParameterType::Number)
        | (Value::String(_), ParameterType::String)
        | (Value::List(_), ParameterType::List)
        | (Value::Map(_), ParameterType::Map) => true,
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    let message = format!("{name}() takes {wanted:?} here, not {}", value.type_name());
    Err(error::type_error("InvalidArgumentType", message))
}
