//! `date.truncate('week', …)` and its kin: a value cut off below a unit (openCypher CIP 2015-08-06, "Truncating").

use super::components::Components;
use super::date::Date;
use super::error::TemporalError;
use super::time::LocalTime;
use super::{Temporal, TemporalKind};

/// Units of the calendar, larger than a day.
const CALENDAR: &[&str] = &[
    "millennium",
    "century",
    "decade",
    "year",
    "weekYear",
    "quarter",
    "month",
    "week",
];

/// Units within a day, in nanoseconds.
const CLOCK: &[(&str, i64)] = &[
    ("day", super::calendar::NANOS_PER_DAY),
    ("hour", 3_600_000_000_000),
    ("minute", 60_000_000_000),
    ("second", 1_000_000_000),
    ("millisecond", 1_000_000),
    ("microsecond", 1_000),
];

impl Temporal {
    /// The last value of a kind at or before `self` that begins a unit, with some components replaced.
    pub fn truncated(
        &self,
        kind: TemporalKind,
        unit: &str,
        mut components: Components<'_>,
    ) -> Result<Self, TemporalError> {
        let (date, time) = (self.date(), self.local_time());
        let lacks_date = kind.has_date() && date.is_none();
        let lacks_time = kind.has_time() && !kind.has_date() && time.is_none();
        if lacks_date || lacks_time {
            return Err(TemporalError::Components(format!(
                "a {} cannot be truncated to a {}",
                self.kind().name(),
                kind.name()
            )));
        }
        let calendar = CALENDAR.iter().find(|known| known.eq_ignore_ascii_case(unit));
        if let Some(unit) = calendar.filter(|_| kind.has_date()) {
            let date = date.map(|date| date_truncated(date, unit)).transpose()?;
            return components.build_on(kind, date, Some(LocalTime::MIDNIGHT), self.time_zone());
        }
        let clock = CLOCK.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit));
        match clock {
            Some((name, nanos)) if *name == "day" || (kind.has_time() && time.is_some()) => {
                let time = time.unwrap_or(LocalTime::MIDNIGHT).floor(*nanos);
                components.keep_below_second(time, *nanos);
                components.build_on(kind, date, Some(time), self.time_zone())
            }
            _ => Err(TemporalError::Components(format!(
                "a {} cannot be truncated to a {} at the unit {unit:?}",
                self.kind().name(),
                kind.name()
            ))),
        }
    }
}

fn date_truncated(date: Date, unit: &str) -> Result<Date, TemporalError> {
    let (year, month, _) = date.civil();
    let years = |count: i64| Date::from_month(year.div_euclid(count) * count, 1, 1);
    match unit {
        "millennium" => years(1000),
        "century" => years(100),
        "decade" => years(10),
        "year" => years(1),
        "weekYear" => Date::from_week(date.week().0, 1, 1),
        "quarter" => Date::from_month(year, (month - 1) / 3 * 3 + 1, 1),
        "month" => Date::from_month(year, month, 1),
        _ => date.plus_days(1 - date.weekday()),
    }
}
