//! Dates.

use super::calendar::{
    DAYS, YEARS, civil_from_days, days_from_civil, days_in_month, days_in_year, first_monday, week_of,
    weekday, weeks_in_year,
};
use super::error::TemporalError;
use std::fmt;

/// A day of the proleptic Gregorian calendar, of the years -999,999,999 to 999,999,999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    days: i64,
}

fn within(what: &'static str, value: i64, least: i64, most: i64) -> Result<i64, TemporalError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(TemporalError::range(what, value))
    }
}

fn checked_year(year: i64) -> Result<i64, TemporalError> {
    within("year", year, *YEARS.start(), *YEARS.end())
}

impl Date {
    /// 1970-01-01.
    pub const EPOCH: Self = Self { days: 0 };

    /// The date so many days after 1970-01-01.
    pub fn from_epoch_days(days: i64) -> Result<Self, TemporalError> {
        if DAYS.contains(&days) {
            Ok(Self { days })
        } else {
            Err(TemporalError::range(
                "date",
                format!("{days} days from 1970-01-01"),
            ))
        }
    }

    /// Days since 1970-01-01.
    pub fn epoch_days(self) -> i64 {
        self.days
    }

    /// A date by month and day.
    pub fn from_month(year: i64, month: i64, day: i64) -> Result<Self, TemporalError> {
        checked_year(year)?;
        within("month", month, 1, 12)?;
        within("day", day, 1, days_in_month(year, month))?;
        Self::from_epoch_days(days_from_civil(year, month, day))
    }

    /// A date by week and day of the week, of a week-based year.
    pub fn from_week(year: i64, week: i64, day_of_week: i64) -> Result<Self, TemporalError> {
        checked_year(year)?;
        within("week", week, 1, weeks_in_year(year))?;
        within("dayOfWeek", day_of_week, 1, 7)?;
        Self::from_epoch_days(first_monday(year) + (week - 1) * 7 + day_of_week - 1)
    }

    /// A date by quarter and day of the quarter.
    pub fn from_quarter(year: i64, quarter: i64, day_of_quarter: i64) -> Result<Self, TemporalError> {
        checked_year(year)?;
        within("quarter", quarter, 1, 4)?;
        let first = quarter * 3 - 2;
        let days = (first..first + 3).map(|month| days_in_month(year, month)).sum();
        within("dayOfQuarter", day_of_quarter, 1, days)?;
        Self::from_epoch_days(days_from_civil(year, first, 1) + day_of_quarter - 1)
    }

    /// A date by the day of the year.
    pub fn from_ordinal(year: i64, ordinal_day: i64) -> Result<Self, TemporalError> {
        checked_year(year)?;
        within("ordinalDay", ordinal_day, 1, days_in_year(year))?;
        Self::from_epoch_days(days_from_civil(year, 1, 1) + ordinal_day - 1)
    }

    /// The date of a month that has this day, or the month's last one.
    pub(super) fn clipped(year: i64, month: i64, day: i64) -> Result<Self, TemporalError> {
        checked_year(year)?;
        within("month", month, 1, 12)?;
        Self::from_month(year, month, day.min(days_in_month(year, month)))
    }

    /// Year, month, day.
    pub fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.days)
    }

    pub(super) fn year(self) -> i64 {
        self.civil().0
    }

    /// The week-based year, which is another one around New Year, and the week.
    pub(super) fn week(self) -> (i64, i64) {
        week_of(self.days)
    }

    /// 1 is Monday.
    pub(super) fn weekday(self) -> i64 {
        weekday(self.days)
    }

    pub(super) fn quarter(self) -> i64 {
        (self.civil().1 - 1) / 3 + 1
    }

    pub(super) fn day_of_quarter(self) -> i64 {
        let (year, month, _) = self.civil();
        self.days - days_from_civil(year, (month - 1) / 3 * 3 + 1, 1) + 1
    }

    pub(super) fn ordinal_day(self) -> i64 {
        self.days - days_from_civil(self.year(), 1, 1) + 1
    }

    /// Some months later; a day that the month does not have becomes its last one.
    pub(super) fn plus_months(self, months: i64) -> Result<Self, TemporalError> {
        let (year, month, day) = self.civil();
        let total = (year * 12 + month - 1)
            .checked_add(months)
            .ok_or_else(|| TemporalError::range("date", format!("{self} and {months} months")))?;
        Self::clipped(total.div_euclid(12), total.rem_euclid(12) + 1, day)
    }

    pub(super) fn plus_days(self, days: i64) -> Result<Self, TemporalError> {
        let sum = self.days.checked_add(days);
        sum.map_or_else(
            || Err(TemporalError::range("date", format!("{self} and {days} days"))),
            Self::from_epoch_days,
        )
    }
}

/// `2015-07-21`; years beyond four digits have a sign.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        if (0..=9999).contains(&year) {
            write!(f, "{year:04}-{month:02}-{day:02}")
        } else {
            write!(f, "{year:+05}-{month:02}-{day:02}")
        }
    }
}
