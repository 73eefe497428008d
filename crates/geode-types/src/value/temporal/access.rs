//! The components of values: `d.week`, `t.offset`, `x.minutesOfHour`.

use super::date::Date;
use super::duration::Duration;
use super::time::LocalTime;
use super::{DateTime, Temporal};

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentValue {
    /// A number.
    Int(i64),
    /// An offset or a zone.
    Text(String),
}

impl Temporal {
    /// A component by its name; none if there is none of that name, or if it leaves 64 bits.
    pub fn component(&self, name: &str) -> Option<ComponentValue> {
        let date = self.date().and_then(|date| of_date(date, name));
        let number = date
            .or_else(|| self.local_time().and_then(|time| of_time(time, name)))
            .or_else(|| self.offset().and_then(|offset| of_offset(offset.seconds(), name)))
            .or_else(|| match self {
                Self::DateTime(value) => of_moment(value, name),
                Self::Duration(value) => of_duration(value, name),
                _ => None,
            });
        if let Some(number) = number {
            return Some(ComponentValue::Int(number));
        }
        match name {
            "timezone" => self.time_zone().map(|zone| zone.to_string()),
            "offset" => self.offset().map(|offset| offset.to_string()),
            _ => None,
        }
        .map(ComponentValue::Text)
    }
}

fn of_date(date: Date, name: &str) -> Option<i64> {
    let (year, month, day) = date.civil();
    Some(match name {
        "year" => year,
        "quarter" => date.quarter(),
        "month" => month,
        "week" => date.week().1,
        "weekYear" => date.week().0,
        "day" => day,
        "ordinalDay" => date.ordinal_day(),
        "weekDay" | "dayOfWeek" => date.weekday(),
        "dayOfQuarter" => date.day_of_quarter(),
        _ => return None,
    })
}

fn of_time(time: LocalTime, name: &str) -> Option<i64> {
    Some(match name {
        "hour" => time.hour(),
        "minute" => time.minute(),
        "second" => time.second(),
        "millisecond" => time.nanosecond() / 1_000_000,
        "microsecond" => time.nanosecond() / 1_000,
        "nanosecond" => time.nanosecond(),
        _ => return None,
    })
}

fn of_offset(seconds: i32, name: &str) -> Option<i64> {
    match name {
        "offsetMinutes" => Some(i64::from(seconds / 60)),
        "offsetSeconds" => Some(i64::from(seconds)),
        _ => None,
    }
}

fn of_moment(value: &DateTime, name: &str) -> Option<i64> {
    let seconds = value.epoch_seconds();
    match name {
        "epochSeconds" => Some(seconds),
        "epochMillis" => seconds
            .checked_mul(1000)?
            .checked_add(value.local().time.nanosecond() / 1_000_000),
        _ => None,
    }
}

fn of_duration(value: &Duration, name: &str) -> Option<i64> {
    let (months, days, seconds) = (value.months(), value.days(), value.seconds());
    let nanos = i64::from(value.nanos());
    let clock = |unit: i128| i64::try_from(value.clock_nanos().div_euclid(unit)).ok();
    Some(match name {
        "years" => months / 12,
        "quarters" => months / 3,
        "months" => months,
        "weeks" => days / 7,
        "days" => days,
        "hours" => seconds / 3600,
        "minutes" => seconds / 60,
        "seconds" => seconds,
        "milliseconds" => clock(1_000_000)?,
        "microseconds" => clock(1_000)?,
        "nanoseconds" => clock(1)?,
        "quartersOfYear" => months / 3 % 4,
        "monthsOfQuarter" => months % 3,
        "monthsOfYear" => months % 12,
        "daysOfWeek" => days % 7,
        "minutesOfHour" => seconds / 60 % 60,
        "secondsOfMinute" => seconds % 60,
        "millisecondsOfSecond" => nanos / 1_000_000,
        "microsecondsOfSecond" => nanos / 1_000,
        "nanosecondsOfSecond" => nanos,
        _ => return None,
    })
}
