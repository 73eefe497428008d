//! Times of day, without and with an offset from UTC.

use super::calendar::{NANOS_PER_DAY, NANOS_PER_SECOND};
use super::error::TemporalError;
use super::zone::Offset;
use std::cmp::Ordering;
use std::fmt;

/// A time of day to the nanosecond, anywhere on earth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    nanos: i64,
}

fn below(what: &'static str, value: i64, limit: i64) -> Result<i64, TemporalError> {
    if (0..limit).contains(&value) {
        Ok(value)
    } else {
        Err(TemporalError::range(what, value))
    }
}

impl LocalTime {
    /// 00:00.
    pub const MIDNIGHT: Self = Self { nanos: 0 };

    /// A time by its parts.
    pub fn new(hour: i64, minute: i64, second: i64, nanosecond: i64) -> Result<Self, TemporalError> {
        below("hour", hour, 24)?;
        below("minute", minute, 60)?;
        below("second", second, 60)?;
        below("nanosecond", nanosecond, NANOS_PER_SECOND)?;
        Self::from_nanos(((hour * 60 + minute) * 60 + second) * NANOS_PER_SECOND + nanosecond)
    }

    /// A time by the nanoseconds since midnight.
    pub fn from_nanos(nanos: i64) -> Result<Self, TemporalError> {
        below("time of day", nanos, NANOS_PER_DAY).map(|nanos| Self { nanos })
    }

    /// Nanoseconds since midnight.
    pub fn nanos(self) -> i64 {
        self.nanos
    }

    pub(super) fn hour(self) -> i64 {
        self.nanos / NANOS_PER_SECOND / 3600
    }

    pub(super) fn minute(self) -> i64 {
        self.nanos / NANOS_PER_SECOND / 60 % 60
    }

    pub(super) fn second(self) -> i64 {
        self.nanos / NANOS_PER_SECOND % 60
    }

    /// The part below a second.
    pub(super) fn nanosecond(self) -> i64 {
        self.nanos % NANOS_PER_SECOND
    }

    /// Around the clock.
    pub(super) fn wrapping_add(self, nanos: i128) -> Self {
        let sum = (i128::from(self.nanos) + nanos).rem_euclid(i128::from(NANOS_PER_DAY));
        Self { nanos: sum as i64 }
    }

    /// Down to a multiple of a unit.
    pub(super) fn floor(self, unit_nanos: i64) -> Self {
        Self {
            nanos: self.nanos - self.nanos % unit_nanos,
        }
    }
}

/// `21:40:32.142`; seconds and their fraction only as far as they are not zero.
impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())?;
        let (second, nanosecond) = (self.second(), self.nanosecond());
        if second != 0 || nanosecond != 0 {
            write!(f, ":{second:02}")?;
        }
        if nanosecond != 0 {
            let digits = format!("{nanosecond:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// A time of day with its offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    /// What a clock there shows.
    pub local: LocalTime,
    /// How far that clock is ahead of UTC.
    pub offset: Offset,
}

impl Time {
    /// Nanoseconds since midnight in UTC; below zero or beyond a day where the offset leads there.
    pub(super) fn utc_nanos(self) -> i64 {
        self.local.nanos - i64::from(self.offset.seconds()) * NANOS_PER_SECOND
    }

    /// The same moment on a clock with another offset.
    pub(super) fn at_offset(self, offset: Offset) -> Self {
        let ahead = i128::from(offset.seconds() - self.offset.seconds()) * i128::from(NANOS_PER_SECOND);
        Self {
            local: self.local.wrapping_add(ahead),
            offset,
        }
    }
}

/// By the moment; of the same moment, the smaller offset first. So two times are equal only when their offsets are.
impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.utc_nanos(), self.offset).cmp(&(other.utc_nanos(), other.offset))
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.local, self.offset)
    }
}
