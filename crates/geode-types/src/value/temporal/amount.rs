//! Exact decimal amounts: what a person writes as `0.1` must not become a nanosecond less.

use super::error::TemporalError;
use rust_decimal::Decimal;

/// Digits behind the point that are kept.
const MAX_SCALE: usize = 18;

/// `mantissa / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    mantissa: i128,
    /// A power of ten.
    unit: i128,
}

impl Amount {
    /// Reads digits with an optional sign and point (or comma, as ISO 8601 prefers).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let fraction = &fraction[..fraction.len().min(MAX_SCALE)];
        let unit = 10i128.pow(fraction.len() as u32);
        let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Self {
            mantissa: if negative { -mantissa } else { mantissa },
            unit,
        })
    }

    pub(super) fn numerator(self) -> i128 {
        self.mantissa
    }

    pub(super) fn denominator(self) -> i128 {
        self.unit
    }
}

impl From<i64> for Amount {
    fn from(number: i64) -> Self {
        Self {
            mantissa: i128::from(number),
            unit: 1,
        }
    }
}

impl From<Decimal> for Amount {
    fn from(number: Decimal) -> Self {
        Self {
            mantissa: number.mantissa(),
            unit: 10i128.pow(number.scale()),
        }
    }
}

/// The decimal number that the float is written as.
impl TryFrom<f64> for Amount {
    type Error = TemporalError;

    fn try_from(number: f64) -> Result<Self, TemporalError> {
        // Display never uses an exponent, and words (NaN, inf) are no amounts.
        Self::parse(&number.to_string()).ok_or_else(|| TemporalError::range("amount", number))
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn an_amount_is_the_decimal_number_that_was_written() {
        let amount = Amount::try_from(70.3).unwrap();
        assert_eq!((amount.numerator(), amount.denominator()), (703, 10));
        let small = Amount::try_from(-1e-300).unwrap();
        assert_eq!(small.numerator(), 0);
        for none in [f64::NAN, f64::INFINITY, 1e300] {
            assert!(Amount::try_from(none).is_err());
        }
        for none in ["", "-", ".", "1.x", "1e5", ".5"] {
            assert_eq!(Amount::parse(none), None, "{none}");
        }
    }
}
