//! The duration between two values (openCypher CIP 2015-08-06, "Durations between"): a date, a time or a zone that only one of them has
//! is taken for both.

use super::Temporal;
use super::date::Date;
use super::datetime::{DateTime, LocalDateTime};
use super::duration::Duration;
use super::error::TemporalError;
use super::time::LocalTime;
use super::zone::TimeZone;

/// Two values that can be compared: both without a zone, or both in that of the first.
enum Aligned {
    Local(LocalDateTime, LocalDateTime),
    Zoned(DateTime, DateTime),
}

impl Duration {
    /// Months, then days, then the rest.
    pub fn between(from: &Temporal, to: &Temporal) -> Result<Self, TemporalError> {
        let aligned = Aligned::new(from, to)?;
        let (mut months, mut days) = (0, 0);
        let mut rest = aligned.nanos();
        if from.date().is_some() && to.date().is_some() {
            months = aligned.months();
            days = aligned.after(&Self::new(months, 0, 0, 0)?)?.days();
            // In one step, as it is added: a stop between them may be at a time that clocks show twice or not at all, and go on from another offset.
            rest = aligned.after(&Self::new(months, days, 0, 0)?)?.nanos();
        }
        Self::from_wide(i128::from(months), i128::from(days), rest)
    }

    /// Whole months.
    pub fn in_months(from: &Temporal, to: &Temporal) -> Result<Self, TemporalError> {
        let aligned = Aligned::new(from, to)?;
        let dates = from.date().is_some() && to.date().is_some();
        Self::new(if dates { aligned.months() } else { 0 }, 0, 0, 0)
    }

    /// Whole days.
    pub fn in_days(from: &Temporal, to: &Temporal) -> Result<Self, TemporalError> {
        let aligned = Aligned::new(from, to)?;
        let dates = from.date().is_some() && to.date().is_some();
        Self::new(0, if dates { aligned.days() } else { 0 }, 0, 0)
    }

    /// Time that passes.
    pub fn in_seconds(from: &Temporal, to: &Temporal) -> Result<Self, TemporalError> {
        Self::from_wide(0, 0, Aligned::new(from, to)?.nanos())
    }
}

impl Aligned {
    fn new(from: &Temporal, to: &Temporal) -> Result<Self, TemporalError> {
        if matches!(from, Temporal::Duration(_)) || matches!(to, Temporal::Duration(_)) {
            return Err(TemporalError::Components(
                "a duration lies between two dates or times, not between durations".to_owned(),
            ));
        }
        let date = from.date().or(to.date()).unwrap_or(Date::EPOCH);
        let local = |value: &Temporal, other: Date| LocalDateTime {
            date: value.date().unwrap_or(other),
            time: value.local_time().unwrap_or(LocalTime::MIDNIGHT),
        };
        let (start, end) = (local(from, to.date().unwrap_or(date)), local(to, date));
        let Some(zone) = from.time_zone().or(to.time_zone()) else {
            return Ok(Self::Local(start, end));
        };
        let zoned = |value: &Temporal, local: LocalDateTime, zone: TimeZone| match value {
            Temporal::DateTime(value) => Ok(**value),
            _ => DateTime::from_local(local, value.time_zone().unwrap_or(zone), None),
        };
        let start = zoned(from, start, zone)?;
        Ok(Self::Zoned(start, zoned(to, end, zone)?.at_zone(zone)?))
    }

    fn locals(&self) -> (LocalDateTime, LocalDateTime) {
        match self {
            Self::Local(from, to) => (*from, *to),
            Self::Zoned(from, to) => (from.local(), to.local()),
        }
    }

    /// The last day that is whole: a day is over when its time of day is reached again.
    fn last_date(&self) -> i64 {
        let (from, to) = self.locals();
        let days = to.date.epoch_days();
        if to.date > from.date && to.time < from.time {
            days - 1
        } else if to.date < from.date && to.time > from.time {
            days + 1
        } else {
            days
        }
    }

    fn months(&self) -> i64 {
        let (from, _) = self.locals();
        // 32 is more than any month has days, so that a month is only counted when its day is reached.
        let packed = |(year, month, day): (i64, i64, i64)| (year * 12 + month - 1) * 32 + day;
        let end = super::calendar::civil_from_days(self.last_date());
        (packed(end) - packed(from.date.civil())) / 32
    }

    fn days(&self) -> i64 {
        let (from, _) = self.locals();
        self.last_date() - from.date.epoch_days()
    }

    fn nanos(&self) -> i128 {
        match self {
            Self::Local(from, to) => from.nanos_until(*to),
            Self::Zoned(from, to) => from.nanos_until(to),
        }
    }

    /// With a later start.
    fn after(&self, duration: &Duration) -> Result<Self, TemporalError> {
        Ok(match self {
            Self::Local(from, to) => Self::Local(from.plus(duration)?, *to),
            Self::Zoned(from, to) => Self::Zoned(from.plus(duration)?, *to),
        })
    }
}
