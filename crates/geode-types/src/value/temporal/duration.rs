//! Durations: months, days and time that passes, kept apart because neither a month nor a day has a fixed length
//! (openCypher CIP 2015-08-06).

use super::amount::Amount;
use super::calendar::{NANOS_PER_DAY, NANOS_PER_SECOND, SECONDS_PER_DAY};
use super::error::TemporalError;
use std::cmp::Ordering;
use std::fmt;

/// The average month of the Gregorian calendar, 30.436875 days: what a fraction of a month is a fraction of.
const SECONDS_PER_MONTH: i64 = 2_629_746;

/// An amount of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Duration {
    months: i64,
    days: i64,
    seconds: i64,
    /// Always counted upwards from `seconds`, also when those are negative.
    nanos: u32,
}

/// What an amount can be counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Months(i128),
    Days(i128),
    Nanos(i128),
}

/// The units by their names as keys of a map.
pub(super) const UNITS: &[(&str, Unit)] = &[
    ("years", Unit::Months(12)),
    ("quarters", Unit::Months(3)),
    ("months", Unit::Months(1)),
    ("weeks", Unit::Days(7)),
    ("days", Unit::Days(1)),
    ("hours", Unit::Nanos(3_600_000_000_000)),
    ("minutes", Unit::Nanos(60_000_000_000)),
    ("seconds", Unit::Nanos(1_000_000_000)),
    ("milliseconds", Unit::Nanos(1_000_000)),
    ("microseconds", Unit::Nanos(1_000)),
    ("nanoseconds", Unit::Nanos(1)),
];

/// A sum of amounts in different units. Fractions of months become days, fractions of days become time, and what is below a nanosecond
/// is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    months: i128,
    days: i128,
    /// Fractions of months and days, in nanoseconds.
    part_of_days: i128,
    nanos: i128,
}

fn overflow() -> TemporalError {
    TemporalError::range("duration", "its parts leave 64 bits")
}

/// `count * numerator / denominator`: the whole part, and the rest in units of `unit` of them.
fn scaled(count: i128, numerator: i128, denominator: i128, unit: i128) -> Option<(i128, i128)> {
    let product = count.checked_mul(numerator)?;
    let whole = product.checked_div(denominator)?;
    let rest = product.checked_rem(denominator)?.checked_mul(unit)? / denominator;
    Some((whole, rest))
}

impl Sum {
    pub(super) fn add(&mut self, unit: Unit, amount: Amount) -> Result<(), TemporalError> {
        self.checked_add(unit, amount.numerator(), amount.denominator())
            .ok_or_else(overflow)
    }

    fn checked_add(&mut self, unit: Unit, numerator: i128, denominator: i128) -> Option<()> {
        let day = i128::from(NANOS_PER_DAY);
        let month = i128::from(SECONDS_PER_MONTH) * i128::from(NANOS_PER_SECOND);
        match unit {
            Unit::Months(count) => {
                let (whole, rest) = scaled(count, numerator, denominator, month)?;
                self.months = self.months.checked_add(whole)?;
                self.part_of_days = self.part_of_days.checked_add(rest)?;
            }
            Unit::Days(count) => {
                let (whole, rest) = scaled(count, numerator, denominator, day)?;
                self.days = self.days.checked_add(whole)?;
                self.part_of_days = self.part_of_days.checked_add(rest)?;
            }
            Unit::Nanos(count) => {
                let (whole, _) = scaled(count, numerator, denominator, 1)?;
                self.nanos = self.nanos.checked_add(whole)?;
            }
        }
        Some(())
    }

    pub(super) fn finish(self) -> Result<Duration, TemporalError> {
        // Days and their fractions are one number before it is split, so that 1.5 and -0.75 days are 18 hours.
        let day = i128::from(NANOS_PER_DAY);
        let (mut days, mut rest) = (self.days + self.part_of_days / day, self.part_of_days % day);
        if days > 0 && rest < 0 {
            (days, rest) = (days - 1, rest + day);
        } else if days < 0 && rest > 0 {
            (days, rest) = (days + 1, rest - day);
        }
        let nanos = self.nanos.checked_add(rest).ok_or_else(overflow)?;
        Duration::from_wide(self.months, days, nanos)
    }
}

impl Duration {
    /// A duration by its parts. The parts together have to stay within 64 bits of seconds.
    pub fn new(months: i64, days: i64, seconds: i64, nanos: i64) -> Result<Self, TemporalError> {
        let clock = i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(nanos);
        Self::from_wide(i128::from(months), i128::from(days), clock)
    }

    pub(super) fn from_wide(months: i128, days: i128, nanos: i128) -> Result<Self, TemporalError> {
        let second = i128::from(NANOS_PER_SECOND);
        let narrow = |wide: i128| i64::try_from(wide).map_err(|_| overflow());
        let duration = Self {
            months: narrow(months)?,
            days: narrow(days)?,
            seconds: narrow(nanos.div_euclid(second))?,
            nanos: nanos.rem_euclid(second) as u32,
        };
        narrow(duration.average_nanos().div_euclid(second)).map(|_| duration)
    }

    /// Months.
    pub fn months(&self) -> i64 {
        self.months
    }

    /// Days.
    pub fn days(&self) -> i64 {
        self.days
    }

    /// Whole seconds, rounded down.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// What is left over the seconds, in nanoseconds; never negative.
    pub fn nanos(&self) -> u32 {
        self.nanos
    }

    /// The part that is neither months nor days.
    pub(super) fn clock_nanos(&self) -> i128 {
        i128::from(self.seconds) * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos)
    }

    /// Days that the part below days amounts to, towards zero.
    pub(super) fn clock_days(&self) -> i64 {
        (self.clock_nanos() / i128::from(NANOS_PER_DAY)) as i64
    }

    fn average_nanos(&self) -> i128 {
        let seconds = i128::from(self.months) * i128::from(SECONDS_PER_MONTH)
            + i128::from(self.days) * i128::from(SECONDS_PER_DAY);
        seconds * i128::from(NANOS_PER_SECOND) + self.clock_nanos()
    }

    /// How two durations stand to each other when their months, days and time all say the same.
    pub fn order_of_all_parts(&self, other: &Self) -> Option<Ordering> {
        let parts = [
            self.months.cmp(&other.months),
            self.days.cmp(&other.days),
            self.clock_nanos().cmp(&other.clock_nanos()),
        ];
        let mut decided = parts.into_iter().filter(|order| order.is_ne());
        let first = decided.next().unwrap_or(Ordering::Equal);
        decided.all(|order| order == first).then_some(first)
    }

    /// Part by part.
    pub fn plus(&self, other: &Self) -> Result<Self, TemporalError> {
        Self::from_wide(
            i128::from(self.months) + i128::from(other.months),
            i128::from(self.days) + i128::from(other.days),
            self.clock_nanos() + other.clock_nanos(),
        )
    }

    /// As long in the other direction.
    pub fn negated(&self) -> Result<Self, TemporalError> {
        Self::from_wide(
            -i128::from(self.months),
            -i128::from(self.days),
            -self.clock_nanos(),
        )
    }

    /// So many times as long.
    pub fn times(&self, factor: Amount) -> Result<Self, TemporalError> {
        self.scale(factor.numerator(), factor.denominator())
    }

    /// One of so many parts; none for zero of them.
    pub fn divided(&self, divisor: Amount) -> Result<Self, TemporalError> {
        self.scale(divisor.denominator(), divisor.numerator())
    }

    fn scale(&self, numerator: i128, denominator: i128) -> Result<Self, TemporalError> {
        let mut sum = Sum::default();
        let parts = [
            (Unit::Months(1), i128::from(self.months)),
            (Unit::Days(1), i128::from(self.days)),
            (Unit::Nanos(1), self.clock_nanos()),
        ];
        for (unit, count) in parts {
            count
                .checked_mul(numerator)
                .and_then(|product| sum.checked_add(unit, product, denominator))
                .ok_or_else(overflow)?;
        }
        sum.finish()
    }
}

/// By average length. Durations of the same average length are told apart by their parts, so that the order is total and equal means the
/// same parts.
impl Ord for Duration {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |value: &Self| (value.average_nanos(), value.months, value.days);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Duration {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `P12Y5M14DT16H13M10.5S`; every part has its own sign, parts of zero are left out.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        let mut put = |count: i128, letter: &str| match count {
            0 => Ok(()),
            count => write!(f, "{count}{letter}"),
        };
        put(i128::from(self.months / 12), "Y")?;
        put(i128::from(self.months % 12), "M")?;
        put(i128::from(self.days), "D")?;
        let clock = self.clock_nanos();
        let nothing = self.months == 0 && self.days == 0 && clock == 0;
        if nothing {
            return f.write_str("T0S");
        }
        if clock == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        let second = i128::from(NANOS_PER_SECOND);
        let mut put = |count: i128, letter: &str| match count {
            0 => Ok(()),
            count => write!(f, "{count}{letter}"),
        };
        put(clock / (3600 * second), "H")?;
        put(clock / (60 * second) % 60, "M")?;
        let below_minute = clock % (60 * second);
        if below_minute == 0 {
            return Ok(());
        }
        let sign = if below_minute < 0 { "-" } else { "" };
        let (whole, part) = (below_minute.abs() / second, below_minute.abs() % second);
        if part == 0 {
            return write!(f, "{sign}{whole}S");
        }
        let digits = format!("{part:09}");
        write!(f, "{sign}{whole}.{}S", digits.trim_end_matches('0'))
    }
}
