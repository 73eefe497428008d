//! Values from their components, as a map gives them: `{year: 1984, week: 10}`, or `{date: other, day: 28}`, which takes what is not
//! given from another value (openCypher CIP 2015-08-06, "Temporal instants from components" and "Projecting").

use super::amount::Amount;
use super::date::Date;
use super::datetime::{DateTime, LocalDateTime};
use super::duration::{Duration, Sum, UNITS};
use super::error::TemporalError;
use super::time::{LocalTime, Time};
use super::zone::{Offset, TimeZone};
use super::{Temporal, TemporalKind};

/// The value of a component.
#[derive(Clone, Copy, Debug)]
pub enum Component<'a> {
    /// Most components are integers.
    Int(i64),
    /// Parts of durations may have fractions.
    Float(f64),
    /// The time zone is text.
    Text(&'a str),
    /// `date`, `time` and `datetime` are temporal values.
    Temporal(&'a Temporal),
    /// Anything else, by the name of its type.
    Other(&'static str),
}

/// Components by name, each at most once.
#[derive(Clone, Debug, Default)]
pub struct Components<'a> {
    numbers: Vec<(&'static str, i64)>,
    date: Option<&'a Temporal>,
    time: Option<&'a Temporal>,
    zone: Option<TimeZone>,
}

const DATE_NAMES: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "dayOfQuarter",
    "day",
    "dayOfWeek",
    "ordinalDay",
];
const TIME_NAMES: &[&str] = &[
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "nanosecond",
];
const EPOCH_NAMES: &[&str] = &["epochSeconds", "epochMillis"];

fn refused(message: impl Into<String>) -> TemporalError {
    TemporalError::Components(message.into())
}

impl<'a> Components<'a> {
    /// The components of a map, for a value of this kind. Names are compared without case.
    pub fn new<'n>(
        kind: TemporalKind,
        entries: impl IntoIterator<Item = (&'n str, Component<'a>)>,
    ) -> Result<Self, TemporalError> {
        let mut components = Self::default();
        for (name, value) in entries {
            components.put(kind, name, value)?;
        }
        Ok(components)
    }

    fn put(&mut self, kind: TemporalKind, name: &str, value: Component<'a>) -> Result<(), TemporalError> {
        let known = |names: &[&'static str], applies: bool| {
            let found = names.iter().find(|known| known.eq_ignore_ascii_case(name));
            found.copied().filter(|_| applies)
        };
        let number = known(DATE_NAMES, kind.has_date())
            .or_else(|| known(TIME_NAMES, kind.has_time()))
            .or_else(|| known(EPOCH_NAMES, kind == TemporalKind::DateTime));
        if let Some(known) = number {
            let Component::Int(value) = value else {
                return Err(refused(format!("{known} has to be an integer")));
            };
            self.numbers.push((known, value));
            return Ok(());
        }
        let selector = known(&["date"], kind.has_date())
            .or_else(|| known(&["time"], kind.has_time()))
            .or_else(|| known(&["datetime"], kind.has_date() && kind.has_time()));
        match (selector, value) {
            (Some("date"), Component::Temporal(value)) if value.date().is_some() => self.date = Some(value),
            (Some("time"), Component::Temporal(value)) if value.local_time().is_some() => {
                self.time = Some(value);
            }
            (Some("datetime"), Component::Temporal(value))
                if value.date().is_some() && value.local_time().is_some() =>
            {
                (self.date, self.time) = (Some(value), Some(value));
            }
            (Some(selector), _) => {
                return Err(refused(format!("{selector} has to be a value with a {selector}")));
            }
            (None, Component::Text(zone)) if kind.has_zone() && name.eq_ignore_ascii_case("timezone") => {
                self.zone = Some(TimeZone::parse(zone)?);
            }
            (None, _) if kind.has_zone() && name.eq_ignore_ascii_case("timezone") => {
                return Err(refused(
                    "timezone has to be a string such as '+01:00' or 'Europe/Stockholm'",
                ));
            }
            (None, _) => return Err(refused(format!("a {} has no component {name}", kind.name()))),
        }
        Ok(())
    }

    /// The time zone, when nothing else is given: a request for the present moment there.
    pub fn only_zone(&self) -> Option<TimeZone> {
        let alone = self.numbers.is_empty() && self.date.is_none() && self.time.is_none();
        self.zone.filter(|_| alone)
    }

    fn get(&self, name: &str) -> Option<i64> {
        let found = self.numbers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.get(name).is_some())
    }

    /// The value itself.
    pub fn build(&self, kind: TemporalKind) -> Result<Temporal, TemporalError> {
        let date = self.date.and_then(Temporal::date);
        let time = self.time.and_then(Temporal::local_time);
        match kind {
            TemporalKind::Date => self.date_on(date).map(Temporal::Date),
            TemporalKind::LocalTime => self.time_on(time).map(Temporal::LocalTime),
            TemporalKind::Time => self.zoned_time(time),
            TemporalKind::LocalDateTime => self.date_time_on(date, time).map(Temporal::LocalDateTime),
            TemporalKind::DateTime => self.zoned_date_time(date, time),
            TemporalKind::Duration => Err(refused("a duration is made of amounts")),
        }
    }

    /// The components on top of a value that was cut off; a time zone replaces the value's and leaves the clock as it is.
    pub(super) fn build_on(
        &self,
        kind: TemporalKind,
        date: Option<Date>,
        time: Option<LocalTime>,
        zone: Option<TimeZone>,
    ) -> Result<Temporal, TemporalError> {
        let zone = self.zone.or(zone).unwrap_or(TimeZone::UTC);
        Ok(match kind {
            TemporalKind::Date => Temporal::Date(self.date_on(date)?),
            TemporalKind::LocalTime => Temporal::LocalTime(self.time_on(time)?),
            TemporalKind::Time => Temporal::Time(Time {
                local: self.time_on(time)?,
                offset: fixed(zone)?,
            }),
            TemporalKind::LocalDateTime => Temporal::LocalDateTime(self.date_time_on(date, time)?),
            TemporalKind::DateTime => {
                DateTime::from_local(self.date_time_on(date, time)?, zone, None)?.into()
            }
            TemporalKind::Duration => return Err(refused("a duration cannot be truncated")),
        })
    }

    /// Of the parts of a second that cutting off has left, those that the components do not name are kept.
    pub(super) fn keep_below_second(&mut self, time: LocalTime, unit_nanos: i64) {
        let finer = match unit_nanos {
            1_000_000 => &["microsecond", "nanosecond"][..],
            1_000 => &["nanosecond"][..],
            _ => return,
        };
        if !self.has(finer) {
            return;
        }
        let nanos = time.nanosecond();
        if self.get("millisecond").is_none() {
            self.numbers.push(("millisecond", nanos / 1_000_000));
        }
        if unit_nanos == 1_000 && self.get("microsecond").is_none() {
            self.numbers.push(("microsecond", nanos / 1_000 % 1_000));
        }
    }

    fn zoned_time(&self, base: Option<LocalTime>) -> Result<Temporal, TemporalError> {
        let local = self.time_on(base)?;
        let inherited = self.time.and_then(Temporal::offset);
        let wanted = self.zone.map(fixed).transpose()?;
        let time = Time {
            local,
            offset: inherited.or(wanted).unwrap_or(Offset::UTC),
        };
        Ok(Temporal::Time(
            wanted.map_or(time, |offset| time.at_offset(offset)),
        ))
    }

    /// A time that comes with a zone is read in that zone, and then shown in the one that was asked for.
    fn zoned_date_time(
        &self,
        date: Option<Date>,
        time: Option<LocalTime>,
    ) -> Result<Temporal, TemporalError> {
        if self.has(EPOCH_NAMES) {
            return self.since_epoch();
        }
        let local = self.date_time_on(date, time)?;
        let inherited = self.time.and_then(Temporal::time_zone);
        let preferred = self.time.and_then(Temporal::offset);
        let zone = inherited.or(self.zone).unwrap_or(TimeZone::UTC);
        let value = DateTime::from_local(local, zone, preferred)?;
        match self.zone {
            Some(wanted) if wanted != zone => value.at_zone(wanted).map(Temporal::from),
            _ => Ok(value.into()),
        }
    }

    fn since_epoch(&self) -> Result<Temporal, TemporalError> {
        let nanosecond = self.get("nanosecond").unwrap_or(0);
        let allowed = self.numbers.len() == 1 + usize::from(self.get("nanosecond").is_some());
        if !allowed || self.date.is_some() || self.time.is_some() {
            return Err(refused(
                "beside epochSeconds or epochMillis only nanosecond and timezone may be given",
            ));
        }
        let (seconds, base) = match (self.get("epochSeconds"), self.get("epochMillis")) {
            (Some(seconds), _) => (seconds, 0),
            (None, millis) => {
                let millis = millis.unwrap_or(0);
                (millis.div_euclid(1000), millis.rem_euclid(1000) * 1_000_000)
            }
        };
        let most = if base == 0 && self.get("epochSeconds").is_some() {
            1_000_000_000
        } else {
            1_000_000
        };
        if !(0..most).contains(&nanosecond) {
            return Err(TemporalError::range("nanosecond", nanosecond));
        }
        let zone = self.zone.unwrap_or(TimeZone::UTC);
        DateTime::from_epoch(seconds, base + nanosecond, zone).map(Temporal::from)
    }

    fn date_time_on(
        &self,
        date: Option<Date>,
        time: Option<LocalTime>,
    ) -> Result<LocalDateTime, TemporalError> {
        if time.is_none() && date.is_none() && self.has(TIME_NAMES) && !self.names_a_day() {
            return Err(refused("a time of day needs a whole date, down to the day"));
        }
        let no_time = time.is_none() && !self.has(TIME_NAMES);
        Ok(LocalDateTime {
            date: self.date_on(date)?,
            time: if no_time {
                LocalTime::MIDNIGHT
            } else {
                self.time_on(time)?
            },
        })
    }

    fn names_a_day(&self) -> bool {
        self.has(&["day", "dayOfWeek", "dayOfQuarter", "ordinalDay"])
    }

    fn date_on(&self, base: Option<Date>) -> Result<Date, TemporalError> {
        let forms: [&[&'static str]; 4] = [
            &["month", "day"],
            &["week", "dayOfWeek"],
            &["quarter", "dayOfQuarter"],
            &["ordinalDay"],
        ];
        let mut used = forms.iter().filter(|names| self.has(names));
        let form = used.next();
        if let (Some(first), Some(second)) = (form, used.next()) {
            let named = |names: &[&'static str]| names.iter().find(|name| self.get(name).is_some()).copied();
            return Err(refused(format!(
                "{} and {} belong to different ways to name a day",
                named(first).unwrap_or_default(),
                named(second).unwrap_or_default()
            )));
        }
        let Some(base) = base else {
            return self.date_from(form.copied());
        };
        let year = self.get("year");
        match form.and_then(|names| names.first().copied()) {
            Some("week") => {
                let (base_year, base_week) = base.week();
                let year = year.unwrap_or(base_year);
                let week = self
                    .get("week")
                    .unwrap_or_else(|| base_week.min(super::calendar::weeks_in_year(year)));
                Date::from_week(year, week, self.get("dayOfWeek").unwrap_or(base.weekday()))
            }
            Some("quarter") => {
                let year = year.unwrap_or(base.year());
                let quarter = self.get("quarter").unwrap_or(base.quarter());
                match self.get("dayOfQuarter") {
                    Some(day) => Date::from_quarter(year, quarter, day),
                    // The same month of the other quarter.
                    None => {
                        Date::from_quarter(year, quarter, 1)?;
                        let (_, month, day) = base.civil();
                        Date::clipped(year, quarter * 3 - 2 + (month - 1) % 3, day)
                    }
                }
            }
            Some("ordinalDay") => Date::from_ordinal(
                year.unwrap_or(base.year()),
                self.get("ordinalDay").unwrap_or(base.ordinal_day()),
            ),
            _ => {
                let (base_year, base_month, base_day) = base.civil();
                let year = year.unwrap_or(base_year);
                let month = self.get("month").unwrap_or(base_month);
                match self.get("day") {
                    Some(day) => Date::from_month(year, month, day),
                    None => Date::clipped(year, month, base_day),
                }
            }
        }
    }

    /// A date from its own components: what is left out is first of its kind, and nothing may be left out before something given.
    fn date_from(&self, form: Option<&[&str]>) -> Result<Date, TemporalError> {
        let year = self
            .get("year")
            .ok_or_else(|| refused("a date needs at least a year, or another date to start from"))?;
        let Some(form) = form else {
            return Date::from_month(year, 1, 1);
        };
        let first = form.first().copied().unwrap_or_default();
        let last = form.last().copied().unwrap_or_default();
        let Some(part) = self.get(first) else {
            return Err(refused(format!("{last} needs {first} beside it")));
        };
        let day = self.get(last).unwrap_or(1);
        match first {
            "week" => Date::from_week(year, part, day),
            "quarter" => Date::from_quarter(year, part, day),
            "ordinalDay" => Date::from_ordinal(year, part),
            _ => Date::from_month(year, part, day),
        }
    }

    fn time_on(&self, base: Option<LocalTime>) -> Result<LocalTime, TemporalError> {
        if base.is_none() {
            self.check_no_gap()?;
        }
        let base = base.unwrap_or(LocalTime::MIDNIGHT);
        LocalTime::new(
            self.get("hour").unwrap_or(base.hour()),
            self.get("minute").unwrap_or(base.minute()),
            self.get("second").unwrap_or(base.second()),
            self.below_second()?.unwrap_or(base.nanosecond()),
        )
    }

    fn check_no_gap(&self) -> Result<(), TemporalError> {
        let below: &[&str] = &["millisecond", "microsecond", "nanosecond"];
        let order: [(&str, &[&str]); 3] = [("hour", &["minute"]), ("minute", &["second"]), ("second", below)];
        for (needed, names) in order {
            if self.has(names) && self.get(needed).is_none() {
                return Err(refused(format!(
                    "{} needs {needed} beside it",
                    names.join(" or ")
                )));
            }
        }
        if self.get("hour").is_none() {
            return Err(refused(
                "a time needs at least an hour, or another time to start from",
            ));
        }
        Ok(())
    }

    /// Each part of a second counts what the larger ones beside it leave over.
    fn below_second(&self) -> Result<Option<i64>, TemporalError> {
        let parts = [
            ("millisecond", 1_000_000),
            ("microsecond", 1_000),
            ("nanosecond", 1),
        ];
        let mut total = None;
        let mut room = 1_000_000_000;
        for (name, unit) in parts {
            let Some(value) = self.get(name) else { continue };
            if !(0..room / unit).contains(&value) {
                return Err(TemporalError::range(name, value));
            }
            total = Some(total.unwrap_or(0) + value * unit);
            room = unit;
        }
        Ok(total)
    }
}

/// A time of day has no date on which a zone could be asked for its offset.
fn fixed(zone: TimeZone) -> Result<Offset, TemporalError> {
    match zone {
        TimeZone::Offset(offset) => Ok(offset),
        TimeZone::Zone(zone) => Err(refused(format!(
            "a time of day needs an offset such as '+01:00': the one of {} depends on the date",
            zone.name()
        ))),
    }
}

impl Duration {
    /// A duration from its amounts.
    pub fn from_components<'n>(
        entries: impl IntoIterator<Item = (&'n str, Component<'n>)>,
    ) -> Result<Self, TemporalError> {
        let mut sum = Sum::default();
        for (name, value) in entries {
            let (_, unit) = UNITS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .ok_or_else(|| refused(format!("a duration has no component {name}")))?;
            let amount = match value {
                Component::Int(number) => Amount::from(number),
                Component::Float(number) => Amount::try_from(number)?,
                _ => return Err(refused(format!("{name} has to be a number"))),
            };
            sum.add(*unit, amount)?;
        }
        sum.finish()
    }
}
