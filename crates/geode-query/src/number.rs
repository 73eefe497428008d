//! Numbers of different types beside each other: integers and decimals are exact, and with a float everything is a float.

use crate::datum::Datum;
use geode_types::Decimal;
use std::cmp::Ordering;

/// A number of any type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i64),
    Decimal(Decimal),
    Float(f64),
}

impl Number {
    pub(crate) fn of(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Int(number) => Some(Self::Int(*number)),
            Datum::Decimal(number) => Some(Self::Decimal(*number)),
            Datum::Float(number) => Some(Self::Float(*number)),
            _ => None,
        }
    }

    /// The nearest float.
    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            // Decimal's own conversion computes and so rounds twice; its text is exact.
            Self::Decimal(number) => number.to_string().parse().unwrap_or(f64::NAN),
            Self::Float(number) => number,
        }
    }

    /// The same number as an integer, if it is one.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Decimal(number) => number.is_integer().then(|| i64::try_from(number.trunc()).ok())?,
            Self::Float(number) => {
                let whole = number as i64;
                (int_float(whole, number) == Some(Ordering::Equal)).then_some(whole)
            }
        }
    }

    /// The exact order; none when one is NaN.
    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(&right),
            (Self::Int(left), Self::Float(right)) => int_float(left, right),
            (Self::Float(left), Self::Int(right)) => int_float(right, left).map(Ordering::reverse),
            (Self::Decimal(left), Self::Decimal(right)) => Some(left.cmp(&right)),
            (Self::Decimal(left), Self::Int(right)) => Some(left.cmp(&right.into())),
            (Self::Int(left), Self::Decimal(right)) => Some(Decimal::from(left).cmp(&right)),
            (Self::Decimal(left), Self::Float(right)) => decimal_float(left, right),
            (Self::Float(left), Self::Decimal(right)) => decimal_float(right, left).map(Ordering::reverse),
        }
    }
}

fn int_float(int: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    Some(
        int.cmp(&(whole as i64))
            .then_with(|| 0.0f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)),
    )
}

/// Rounding keeps the order, so only a decimal whose nearest float is the other number needs all digits of that.
fn decimal_float(decimal: Decimal, float: f64) -> Option<Ordering> {
    match Number::Decimal(decimal).float().partial_cmp(&float)? {
        Ordering::Equal => {}
        decided => return Some(decided),
    }
    let exact = magnitude(&decimal.to_string()).cmp(&magnitude(&format!("{float:.1074}")));
    Some(if float < 0.0 { exact.reverse() } else { exact })
}

/// Digits before and behind the point, without sign and without zeros that say nothing: in this form text has the order of numbers when
/// the whole parts are equally long, as they are for numbers that round to the same.
fn magnitude(text: &str) -> (usize, String) {
    let (whole, fraction) = text
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or((text.trim_start_matches('-'), ""));
    let whole = whole.trim_start_matches('0');
    (whole.len(), format!("{whole}.{}", fraction.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_an_integer_when_it_equals_one_exactly() {
        let float = |number| Number::Float(number).integer();
        assert_eq!((float(-0.0), float(-3.0)), (Some(0), Some(-3)));
        // More digits than a conversion to a decimal keeps.
        let large = (1 << 53) + 2;
        assert_eq!(float(large as f64), Some(large));
        let most = i64::MAX - 1023;
        assert_eq!(float(most as f64), Some(most));
        assert_eq!(float(i64::MIN as f64), Some(i64::MIN));
        for none in [
            0.5,
            -1.5,
            9_223_372_036_854_775_808.0,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ] {
            assert_eq!(float(none), None, "{none}");
        }
        let decimal = |text: &str| Number::Decimal(text.parse().unwrap()).integer();
        assert_eq!((decimal("2.00"), decimal("2.50")), (Some(2), None));
        assert_eq!(decimal("9223372036854775808"), None);
    }
}
