//! Temporal values: dates, times of day, both together, with and without a time zone, and durations
//! (ISO/IEC 39075 clauses 4.16.6 and 4.16.7, openCypher CIP 2015-08-06).
//!
//! Pure: nothing here reads a clock. The one thing from outside is the zone database that is compiled in, and a value that has a zone
//! carries the offset that was looked up when it was made.

mod access;
mod amount;
mod between;
mod calendar;
mod components;
mod date;
mod datetime;
mod duration;
mod error;
mod parse;
mod time;
mod truncate;
mod zone;

pub use access::ComponentValue;
pub use amount::Amount;
pub use components::{Component, Components};
pub use date::Date;
pub use datetime::{DateTime, LocalDateTime};
pub use duration::Duration;
pub use error::TemporalError;
pub use time::{LocalTime, Time};
pub use zone::{Offset, TimeZone, Zone};

use std::fmt;
use std::sync::Arc;

/// The kinds of temporal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemporalKind {
    /// A date.
    Date,
    /// A time of day.
    LocalTime,
    /// A time of day with an offset.
    Time,
    /// A date and time.
    LocalDateTime,
    /// A date and time in a time zone.
    DateTime,
    /// A duration.
    Duration,
}

impl TemporalKind {
    /// As functions and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::LocalTime => "localtime",
            Self::Time => "time",
            Self::LocalDateTime => "localdatetime",
            Self::DateTime => "datetime",
            Self::Duration => "duration",
        }
    }

    /// As GQL calls the type (ISO/IEC 39075, 18.9).
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Date => "DATE",
            Self::LocalTime => "LOCAL TIME",
            Self::Time => "ZONED TIME",
            Self::LocalDateTime => "LOCAL DATETIME",
            Self::DateTime => "ZONED DATETIME",
            Self::Duration => "DURATION",
        }
    }

    fn has_date(self) -> bool {
        matches!(self, Self::Date | Self::LocalDateTime | Self::DateTime)
    }

    fn has_time(self) -> bool {
        !matches!(self, Self::Date | Self::Duration)
    }

    fn has_zone(self) -> bool {
        matches!(self, Self::Time | Self::DateTime)
    }
}

/// A temporal value. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Temporal {
    /// A date.
    Date(Date),
    /// A time of day.
    LocalTime(LocalTime),
    /// A time of day with an offset.
    Time(Time),
    /// A date and time.
    LocalDateTime(LocalDateTime),
    /// A date and time in a time zone.
    DateTime(Arc<DateTime>),
    /// A duration.
    Duration(Arc<Duration>),
}

impl From<DateTime> for Temporal {
    fn from(value: DateTime) -> Self {
        Self::DateTime(Arc::new(value))
    }
}

impl From<Duration> for Temporal {
    fn from(value: Duration) -> Self {
        Self::Duration(Arc::new(value))
    }
}

impl Temporal {
    /// Which kind it is.
    pub fn kind(&self) -> TemporalKind {
        match self {
            Self::Date(_) => TemporalKind::Date,
            Self::LocalTime(_) => TemporalKind::LocalTime,
            Self::Time(_) => TemporalKind::Time,
            Self::LocalDateTime(_) => TemporalKind::LocalDateTime,
            Self::DateTime(_) => TemporalKind::DateTime,
            Self::Duration(_) => TemporalKind::Duration,
        }
    }

    /// Reads the text form of a kind.
    pub fn parse(kind: TemporalKind, text: &str) -> Result<Self, TemporalError> {
        Ok(match kind {
            TemporalKind::Date => Self::Date(Date::parse(text)?),
            TemporalKind::LocalTime => Self::LocalTime(LocalTime::parse(text)?),
            TemporalKind::Time => Self::Time(Time::parse(text)?),
            TemporalKind::LocalDateTime => Self::LocalDateTime(LocalDateTime::parse(text)?),
            TemporalKind::DateTime => DateTime::parse(text)?.into(),
            TemporalKind::Duration => Duration::parse(text)?.into(),
        })
    }

    /// What clocks of a time zone show at a moment, in microseconds since 1970 in UTC.
    pub fn now(kind: TemporalKind, micros: i64, zone: TimeZone) -> Result<Self, TemporalError> {
        let nanosecond = micros.rem_euclid(1_000_000) * 1_000;
        let moment = DateTime::from_epoch(micros.div_euclid(1_000_000), nanosecond, zone)?;
        Self::from(moment).converted(kind)
    }

    /// The part of a value that another kind has; a missing time is midnight, a missing zone is UTC.
    pub fn converted(&self, kind: TemporalKind) -> Result<Self, TemporalError> {
        if self.kind() == kind {
            return Ok(self.clone());
        }
        let impossible = || {
            TemporalError::Components(format!(
                "a {} cannot be made a {}",
                self.kind().name(),
                kind.name()
            ))
        };
        let date = || self.date().ok_or_else(impossible);
        let time = || self.local_time().ok_or_else(impossible);
        let both = || {
            Ok::<_, TemporalError>(LocalDateTime {
                date: date()?,
                time: self.local_time().unwrap_or(LocalTime::MIDNIGHT),
            })
        };
        Ok(match kind {
            TemporalKind::Date => Self::Date(date()?),
            TemporalKind::LocalTime => Self::LocalTime(time()?),
            TemporalKind::Time => Self::Time(Time {
                local: time()?,
                offset: self.offset().unwrap_or(Offset::UTC),
            }),
            TemporalKind::LocalDateTime => Self::LocalDateTime(both()?),
            TemporalKind::DateTime => DateTime::from_local(both()?, TimeZone::UTC, None)?.into(),
            TemporalKind::Duration => return Err(impossible()),
        })
    }

    /// Its date, if it has one.
    pub fn date(&self) -> Option<Date> {
        match self {
            Self::Date(date) => Some(*date),
            Self::LocalDateTime(value) => Some(value.date),
            Self::DateTime(value) => Some(value.local().date),
            Self::LocalTime(_) | Self::Time(_) | Self::Duration(_) => None,
        }
    }

    /// What a clock shows, if it has a time of day.
    pub fn local_time(&self) -> Option<LocalTime> {
        match self {
            Self::LocalTime(time) => Some(*time),
            Self::Time(time) => Some(time.local),
            Self::LocalDateTime(value) => Some(value.time),
            Self::DateTime(value) => Some(value.local().time),
            Self::Date(_) | Self::Duration(_) => None,
        }
    }

    fn offset(&self) -> Option<Offset> {
        match self {
            Self::Time(time) => Some(time.offset),
            Self::DateTime(value) => Some(value.offset()),
            _ => None,
        }
    }

    fn time_zone(&self) -> Option<TimeZone> {
        match self {
            Self::Time(time) => Some(TimeZone::Offset(time.offset)),
            Self::DateTime(value) => Some(value.time_zone()),
            _ => None,
        }
    }

    /// The value a duration later. A date takes whole days of it, a time of day goes round the clock.
    pub fn plus(&self, duration: &Duration) -> Result<Self, TemporalError> {
        Ok(match self {
            Self::Date(date) => {
                let days = duration
                    .days()
                    .checked_add(duration.clock_days())
                    .ok_or_else(|| TemporalError::range("date", format!("{date} and {duration}")))?;
                Self::Date(date.plus_months(duration.months())?.plus_days(days)?)
            }
            Self::LocalTime(time) => Self::LocalTime(time.wrapping_add(duration.clock_nanos())),
            Self::Time(time) => Self::Time(Time {
                local: time.local.wrapping_add(duration.clock_nanos()),
                ..*time
            }),
            Self::LocalDateTime(value) => Self::LocalDateTime(value.plus(duration)?),
            Self::DateTime(value) => value.plus(duration)?.into(),
            Self::Duration(value) => value.plus(duration)?.into(),
        })
    }
}

/// The form of ISO 8601 that is read back as the same value.
impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(value) => value.fmt(f),
            Self::LocalTime(value) => value.fmt(f),
            Self::Time(value) => value.fmt(f),
            Self::LocalDateTime(value) => value.fmt(f),
            Self::DateTime(value) => value.fmt(f),
            Self::Duration(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
