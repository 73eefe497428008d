//! Functions of numbers.

use super::{
    Function, Run, bool_type, decimal_or_float_type, first_type, float_type, function, int_type, wrong_type,
};
use crate::datum::Datum;
use crate::error;
use crate::number::Number;
use crate::types::TypeSet;
use geode_types::{Decimal, QueryError, Temporal};

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
        sinh,
        cosh,
        tanh,
        coth,
        haversin,
        degrees,
        radians,
    ] = floats! {
        "sqrt" => f64::sqrt,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "cot" => |x| x.tan().recip(),
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "coth" => |x| x.tanh().recip(),
        "haversin" => |x| (1.0 - x.cos()) / 2.0,
        "degrees" => f64::to_degrees,
        "radians" => f64::to_radians,
    };
    [
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
        sinh,
        cosh,
        tanh,
        coth,
        haversin,
        degrees,
        radians,
        function("ceil", &[NUMBER], decimal_or_float_type, Run::Pure(ceil)).alias(&["ceiling"]),
        function("floor", &[NUMBER], decimal_or_float_type, Run::Pure(floor)),
        function("log", &[NUMBER, NUMBER], float_type, Run::Pure(log)).optional(1),
        function("isNaN", &[NUMBER], bool_type, Run::Pure(is_nan)),
        function("abs", &[NUMBER.or(TypeSet::DURATION)], first_type, Run::Pure(abs)),
        function("sign", &[NUMBER], int_type, Run::Pure(sign)),
        function(
            "round",
            &[NUMBER, TypeSet::INT, TypeSet::STRING],
            decimal_or_float_type,
            Run::Pure(round),
        )
        .optional(1),
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
    Number::of(datum)
        .map(Number::float)
        .ok_or_else(|| wrong_type(function, "a number", datum))
}

fn abs(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Int(number) => number
            .checked_abs()
            .map(Datum::Int)
            .ok_or_else(|| error::overflow("the absolute value")),
        Datum::Decimal(number) => Ok(Datum::Decimal(number.abs())),
        Datum::Temporal(Temporal::Duration(duration)) => {
            let zero = geode_types::temporal::Duration::default();
            let positive = if duration.as_ref() < &zero {
                duration.negated()
            } else {
                Ok(**duration)
            };
            positive
                .map(|duration| Datum::Temporal(duration.into()))
                .map_err(|failure| error::temporal(&failure))
        }
        other => Ok(Datum::Float(float("abs", other)?.abs())),
    }
}

fn ceil(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Decimal(number) => Ok(Datum::Decimal(number.ceil())),
        other => Ok(Datum::Float(float("ceil", other)?.ceil())),
    }
}

fn floor(arguments: &[Datum]) -> Result<Datum, QueryError> {
    match &arguments[0] {
        Datum::Decimal(number) => Ok(Datum::Decimal(number.floor())),
        other => Ok(Datum::Float(float("floor", other)?.floor())),
    }
}

/// Cypher's `log(x)` is the natural logarithm, GQL's `LOG(base, x)` has a base.
fn log(arguments: &[Datum]) -> Result<Datum, QueryError> {
    let first = float("log", &arguments[0])?;
    Ok(Datum::Float(match arguments.get(1) {
        None => first.ln(),
        Some(number) => float("log", number)?.log(first),
    }))
}

fn is_nan(arguments: &[Datum]) -> Result<Datum, QueryError> {
    Ok(Datum::Bool(float("isNaN", &arguments[0])?.is_nan()))
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

type Rounding = fn(f64) -> f64;

/// The ways to decide between two neighbours.
const MODES: &[(&str, Rounding)] = &[
    ("UP", |x| if x < 0.0 { x.floor() } else { x.ceil() }),
    ("DOWN", f64::trunc),
    ("CEILING", f64::ceil),
    ("FLOOR", f64::floor),
    ("HALF_UP", f64::round),
    ("HALF_DOWN", |x| {
        if (x - x.trunc()).abs() > 0.5 {
            x.round()
        } else {
            x.trunc()
        }
    }),
    ("HALF_EVEN", f64::round_ties_even),
];

/// Half away from zero, or by a mode; with a second argument, to so many decimals.
fn round(arguments: &[Datum]) -> Result<Datum, QueryError> {
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
    let mode = match arguments.get(2) {
        None => f64::round,
        Some(Datum::String(wanted)) => {
            let known = MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            let names: Vec<&str> = MODES.iter().map(|(name, _)| *name).collect();
            known.map(|(_, mode)| *mode).ok_or_else(|| {
                let message = format!("round() knows the modes {}", names.join(", "));
                error::argument("InvalidArgumentValue", message)
            })?
        }
        Some(other) => return Err(wrong_type("round", "the name of a mode", other)),
    };
    if let (Datum::Decimal(number), None) = (&arguments[0], arguments.get(2)) {
        let away_from_zero = geode_types::RoundingStrategy::MidpointAwayFromZero;
        let rounded: Decimal = number.round_dp_with_strategy(decimals as u32, away_from_zero);
        return Ok(Datum::Decimal(rounded));
    }
    let number = float("round", &arguments[0])?;
    let scale = 10f64.powi(decimals);
    let scaled = mode(number * scale) / scale;
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
