//! Dates with a time of day, without and with a time zone.

use super::calendar::{NANOS_PER_SECOND, SECONDS_PER_DAY};
use super::date::Date;
use super::duration::Duration;
use super::error::TemporalError;
use super::time::LocalTime;
use super::zone::{LocalOffset, Offset, TimeZone, Zone};
use std::cmp::Ordering;
use std::fmt;

/// A date and a time of day, anywhere on earth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDateTime {
    /// The date.
    pub date: Date,
    /// The time.
    pub time: LocalTime,
}

impl LocalDateTime {
    /// A date and time by the seconds since 1970-01-01T00:00 and the nanoseconds beyond.
    pub fn from_seconds(seconds: i64, nanosecond: i64) -> Result<Self, TemporalError> {
        let day = Date::from_epoch_days(seconds.div_euclid(SECONDS_PER_DAY))?;
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        Ok(Self {
            date: day,
            time: LocalTime::new(of_day / 3600, of_day / 60 % 60, of_day % 60, nanosecond)?,
        })
    }

    /// Seconds since 1970-01-01T00:00.
    pub fn seconds(self) -> i64 {
        self.date.epoch_days() * SECONDS_PER_DAY + self.time.nanos() / NANOS_PER_SECOND
    }

    fn total_nanos(self) -> i128 {
        i128::from(self.seconds()) * i128::from(NANOS_PER_SECOND) + i128::from(self.time.nanosecond())
    }

    fn from_total_nanos(nanos: i128) -> Result<Self, TemporalError> {
        let second = i128::from(NANOS_PER_SECOND);
        let seconds = i64::try_from(nanos.div_euclid(second))
            .map_err(|_| TemporalError::range("date", format!("{nanos} nanoseconds from 1970")))?;
        Self::from_seconds(seconds, nanos.rem_euclid(second) as i64)
    }

    pub(super) fn nanos_until(self, other: Self) -> i128 {
        other.total_nanos() - self.total_nanos()
    }

    fn plus_calendar(self, duration: &Duration) -> Result<Self, TemporalError> {
        let date = self
            .date
            .plus_months(duration.months())?
            .plus_days(duration.days())?;
        Ok(Self { date, ..self })
    }

    /// Months first, then days, then the rest.
    pub(super) fn plus(self, duration: &Duration) -> Result<Self, TemporalError> {
        Self::from_total_nanos(self.plus_calendar(duration)?.total_nanos() + duration.clock_nanos())
    }
}

impl fmt::Display for LocalDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date, self.time)
    }
}

/// A moment as a place shows it. The offset is part of the value, so that what is stored means the same under every version of the zone
/// database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    local: LocalDateTime,
    offset: Offset,
    zone: Option<Zone>,
}

impl DateTime {
    /// The moment when clocks of the time zone show a local time. Where they are put forward over it, it is as much later; what they show
    /// twice is the first of the two, unless `preferred` is the offset of the second.
    pub fn from_local(
        local: LocalDateTime,
        in_zone: TimeZone,
        preferred: Option<Offset>,
    ) -> Result<Self, TemporalError> {
        let zone = match in_zone {
            TimeZone::Offset(offset) => {
                return Ok(Self {
                    local,
                    offset,
                    zone: None,
                });
            }
            TimeZone::Zone(zone) => zone,
        };
        let (local, offset) = match zone.offset_of_local(local.seconds()) {
            LocalOffset::One(offset) => (local, offset),
            LocalOffset::Twice { after, .. } if preferred == Some(after) => (local, after),
            LocalOffset::Twice { before, .. } => (local, before),
            LocalOffset::Gap { before, after } => {
                let skipped = i64::from(after.seconds() - before.seconds());
                let later = LocalDateTime::from_seconds(local.seconds() + skipped, local.time.nanosecond())?;
                (later, after)
            }
        };
        Ok(Self {
            local,
            offset,
            zone: Some(zone),
        })
    }

    /// The moment so many seconds and nanoseconds after 1970-01-01T00:00Z.
    pub fn from_epoch(seconds: i64, nanosecond: i64, zone: TimeZone) -> Result<Self, TemporalError> {
        let offset = zone.offset_at(seconds);
        let shown = seconds
            .checked_add(i64::from(offset.seconds()))
            .ok_or_else(|| TemporalError::range("date", format!("{seconds} seconds from 1970")))?;
        Ok(Self {
            local: LocalDateTime::from_seconds(shown, nanosecond)?,
            offset,
            zone: match zone {
                TimeZone::Offset(_) => None,
                TimeZone::Zone(zone) => Some(zone),
            },
        })
    }

    /// A date and time as they were stored; the zone's rules are not asked.
    pub(crate) fn from_stored(local: LocalDateTime, offset: Offset, zone: Option<Zone>) -> Self {
        Self { local, offset, zone }
    }

    /// What clocks there show.
    pub fn local(&self) -> LocalDateTime {
        self.local
    }

    /// How far they are ahead of UTC.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The zone's name, if it has one.
    pub fn zone(&self) -> Option<Zone> {
        self.zone
    }

    /// The zone, or else the offset.
    pub fn time_zone(&self) -> TimeZone {
        self.zone.map_or(TimeZone::Offset(self.offset), TimeZone::Zone)
    }

    /// Seconds since 1970-01-01T00:00Z.
    pub fn epoch_seconds(&self) -> i64 {
        self.local.seconds() - i64::from(self.offset.seconds())
    }

    /// The same moment elsewhere.
    pub(super) fn at_zone(&self, zone: TimeZone) -> Result<Self, TemporalError> {
        Self::from_epoch(self.epoch_seconds(), self.local.time.nanosecond(), zone)
    }

    pub(super) fn nanos_until(&self, other: &Self) -> i128 {
        let offsets = i128::from(self.offset.seconds() - other.offset.seconds());
        self.local.nanos_until(other.local) + offsets * i128::from(NANOS_PER_SECOND)
    }

    /// Months and days on the calendar of the place, then the rest as time that passes.
    pub(super) fn plus(&self, duration: &Duration) -> Result<Self, TemporalError> {
        let local = self.local.plus_calendar(duration)?;
        let day = if local == self.local {
            *self
        } else {
            Self::from_local(local, self.time_zone(), Some(self.offset))?
        };
        let utc = day.local.total_nanos() - i128::from(day.offset.seconds()) * i128::from(NANOS_PER_SECOND);
        let moment = LocalDateTime::from_total_nanos(utc + duration.clock_nanos())?;
        Self::from_epoch(moment.seconds(), moment.time.nanosecond(), self.time_zone())
    }
}

/// By the moment; of the same moment, the smaller offset first, then by the zone's name. So two are equal only when they read the same.
impl Ord for DateTime {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |value: &Self| {
            (
                value.epoch_seconds(),
                value.local.time.nanosecond(),
                value.offset,
                value.zone,
            )
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for DateTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.local, self.offset)?;
        match self.zone {
            Some(zone) => write!(f, "[{}]", zone.name()),
            None => Ok(()),
        }
    }
}
