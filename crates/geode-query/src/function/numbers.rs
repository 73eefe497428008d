//! Functions of numbers.

use super::{Function, Run, first_type, float_type, function, int_type, wrong_type};
use crate::datum::Datum;
use crate::error;
use crate::types::TypeSet;
use geode_types::QueryError;

const NUMBER: TypeSet = TypeSet::NUMBER;

macro_rules! floats {
    ($($name:literal $(| $alias:literal)* => $compute:expr),* $(,)?) => {
        [$(function($name, &[NUMBER], float_type, Run::Pure(|arguments| {
            let compute: fn(f64) -> f64 = $compute;
            Ok(Datum::Float(compute(float($name, &arguments[0])?)))
        })).alias(&[$($alias),*])),*]
    };
}

pub(super) const FUNCTIONS: &[Function] = &{
    let [
        ceil,
        floor,
        sqrt,
        exp,
        ln,
        log10,
        sin,
        cos,
        tan,
        cot,
        asin,
        acos,
        atan,
        degrees,
        radians,
    ] = floats! {
        "ceil" | "ceiling" => f64::ceil,
        "floor" => f64::floor,
        "sqrt" => f64::sqrt,
        "exp" => f64::exp,
        "ln" | "log" => f64::ln,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "cot" => |x| x.tan().recip(),
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "degrees" => f64::to_degrees,
        "radians" => f64::to_radians,
    };
    [
        ceil,
        floor,
        sqrt,
        exp,
        ln,
        log10,
        sin,
        cos,
        tan,
        cot,
        asin,
        acos,
        atan,
        degrees,
        radians,
        function("abs", &[NUMBER], first_type, Run::Pure(abs)),
        function("sign", &[NUMBER], int_type, Run::Pure(sign)),
        function("round", &[NUMBER, TypeSet::INT], float_type, Run::Pure(round)).optional(1),
        function("power", &[NUMBER, NUMBER], float_type, Run::Pure(power)).alias(&["pow"]),
        function("mod", &[NUMBER, NUMBER], first_type, Run::Pure(modulo)),
        function("atan2", &[NUMBER, NUMBER], float_type, Run::Pure(atan2)),
        function(
            "pi",
            &[],
            float_type,
            Run::Pure(|_| Ok(Datum::Float(std::f64::consts::PI))),
        ),
        function(
            "e",
            &[],
            float_type,
            Run::Pure(|_| Ok(Datum::Float(std::f64::consts::E))),
        ),
    ]
};

fn float(function: &str, datum: &Datum) -> Result<f64, QueryError> {
    match datum {
        Datum::Int(number) => Ok(*number as f64),
        Datum::Float(number) => Ok(*number),
        other => Err(wrong_type(function, "a number", other)),
    }
}

fn abs(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Int(number) => number
            .checked_abs()
            .map(Datum::Int)
            .ok_or_else(|| error::overflow("the absolute value")),
        other => Ok(Datum::Float(float("abs", other)?.abs())),
    }
}

fn sign(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let number = float("sign", &arguments[0])?;
    Ok(Datum::Int(if number > 0.0 {
        1
    } else if number < 0.0 {
        -1
    } else {
        0
    }))
}

/// Half away from zero; with a second argument, to so many decimals.
fn round(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let number = float("round", &arguments[0])?;
    let decimals = match arguments.get(1) {
        None => 0,
        Some(Datum::Int(decimals)) if (0..=15).contains(decimals) => *decimals as i32,
        Some(_) => {
            return Err(error::argument(
                "NumberOutOfRange",
                "round() keeps 0 to 15 decimals",
            ));
        }
    };
    let scale = 10f64.powi(decimals);
    let scaled = (number * scale).round() / scale;
    Ok(Datum::Float(if scaled.is_finite() { scaled } else { number }))
}

fn power(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::Float(
        float("power", &arguments[0])?.powf(float("power", &arguments[1])?),
    ))
}

fn atan2(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::Float(
        float("atan2", &arguments[0])?.atan2(float("atan2", &arguments[1])?),
    ))
}

fn modulo(arguments: &[Datum]) -> Result<Datum, QueryError> {
    crate::exec::arithmetic::modulo(&arguments[0], &arguments[1])
}
