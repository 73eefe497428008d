//! Reads the forms of ISO 8601: calendar, week, quarter and ordinal dates, each with or without separators and cut off at any part;
//! times likewise; offsets; zones in brackets (RFC 9557); durations by units or as a date and time.

use super::amount::Amount;
use super::date::Date;
use super::datetime::{DateTime, LocalDateTime};
use super::duration::{Duration, Sum, Unit};
use super::error::TemporalError;
use super::time::{LocalTime, Time};
use super::zone::{Offset, TimeZone, Zone};

/// What is left of the text.
struct Input<'a> {
    rest: &'a str,
}

impl<'a> Input<'a> {
    fn eat(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let first = self.rest.chars().next().filter(|c| wanted(*c))?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn eat_char(&mut self, wanted: char) -> bool {
        self.eat(|c| c == wanted).is_some()
    }

    fn eat_letter(&mut self, upper: char) -> bool {
        self.eat(|c| c.to_ascii_uppercase() == upper).is_some()
    }

    fn digits_ahead(&self) -> usize {
        self.rest.bytes().take_while(u8::is_ascii_digit).count()
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        if self.digits_ahead() < digits {
            return None;
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        number.parse().ok()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn done(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// A part that was read, or the reason why what was read is no value. The outer option: the text has none of the forms.
type Read<T> = Option<Result<T, TemporalError>>;

fn whole<T>(
    kind: &'static str,
    text: &str,
    read: impl Fn(&mut Input<'_>) -> Read<T>,
) -> Result<T, TemporalError> {
    let mut input = Input { rest: text.trim() };
    let value = read(&mut input).filter(|_| input.done().is_some());
    value.unwrap_or_else(|| Err(TemporalError::text(kind, text)))
}

impl Date {
    /// Reads a date.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        whole("date", text, date)
    }
}

impl LocalTime {
    /// Reads a time of day.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        whole("local time", text, |input| {
            input.eat_letter('T');
            local_time(input)
        })
    }
}

impl Time {
    /// Reads a time of day with an offset, UTC if there is none.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        whole("time", text, |input| {
            input.eat_letter('T');
            let local = local_time(input)?;
            let offset = offset(input)?;
            Some(local.and_then(|local| {
                Ok(Self {
                    local,
                    offset: offset?.unwrap_or(Offset::UTC),
                })
            }))
        })
    }
}

impl LocalDateTime {
    /// Reads a date and time; the time is midnight if there is none.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        whole("local datetime", text, local_date_time)
    }
}

impl DateTime {
    /// Reads a date and time with an offset, a zone or both; UTC if there is neither.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        whole("datetime", text, |input| {
            let local = local_date_time(input)?;
            let offset = offset(input)?;
            let zone = zone(input)?;
            Some(local.and_then(|local| with_zone(local, offset?, zone?)))
        })
    }
}

/// An offset beside a zone chooses between two readings of the clock, and must be one that the zone has at that time.
fn with_zone(
    local: LocalDateTime,
    offset: Option<Offset>,
    zone: Option<Zone>,
) -> Result<DateTime, TemporalError> {
    let Some(zone) = zone else {
        return DateTime::from_local(local, TimeZone::Offset(offset.unwrap_or(Offset::UTC)), None);
    };
    let value = DateTime::from_local(local, TimeZone::Zone(zone), offset)?;
    match offset {
        Some(offset) if offset != value.offset() => Err(TemporalError::Components(format!(
            "clocks in {} are not at {offset} but at {} then",
            zone.name(),
            value.offset()
        ))),
        _ => Ok(value),
    }
}

impl TimeZone {
    /// Reads an offset or the name of a zone.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        let mut input = Input { rest: text.trim() };
        let fixed = offset(&mut input).filter(|_| input.done().is_some());
        match fixed {
            Some(offset) => offset.map(|offset| Self::Offset(offset.unwrap_or(Offset::UTC))),
            None => Zone::named(text.trim()).map(Self::Zone),
        }
    }
}

impl Duration {
    /// Reads a duration.
    pub fn parse(text: &str) -> Result<Self, TemporalError> {
        whole("duration", text, |input| {
            let negative = match input.eat(|c| c == '-' || c == '+') {
                Some(sign) => sign == '-',
                None => false,
            };
            if !input.eat_letter('P') {
                return None;
            }
            let mark = input.rest;
            let read = duration_by_units(input).or_else(|| {
                input.rest = mark;
                duration_by_date(input)
            })?;
            Some(read.and_then(|duration| {
                if negative {
                    duration.negated()
                } else {
                    Ok(duration)
                }
            }))
        })
    }
}

/// A year has four digits, or a sign and up to nine.
fn year(input: &mut Input<'_>) -> Option<i64> {
    let Some(sign) = input.eat(|c| c == '+' || c == '-') else {
        return input.number(4);
    };
    let digits = input.digits_ahead();
    let number = input.number(digits).filter(|_| (1..=9).contains(&digits))?;
    Some(if sign == '-' { -number } else { number })
}

fn date(input: &mut Input<'_>) -> Read<Date> {
    let year = year(input)?;
    let separated = input.eat_char('-');
    if input.eat_letter('W') {
        let week = input.number(2)?;
        let day = last_part(input, separated, 1)?;
        return Some(Date::from_week(year, week, day));
    }
    if input.eat_letter('Q') {
        let quarter = input.number(1)?;
        let day = last_part(input, separated, 2)?;
        return Some(Date::from_quarter(year, quarter, day));
    }
    let digits = input.digits_ahead();
    if digits == 3 {
        return Some(Date::from_ordinal(year, input.number(3)?));
    }
    if digits == 0 && !separated {
        return Some(Date::from_month(year, 1, 1));
    }
    let month = input.number(2)?;
    let day = last_part(input, separated, 2)?;
    Some(Date::from_month(year, month, day))
}

/// The part behind a month, week or quarter: the first one if it is missing. None if the separators are mixed.
fn last_part(input: &mut Input<'_>, separated: bool, digits: usize) -> Option<i64> {
    if separated && !input.rest.starts_with('-') {
        return Some(1);
    }
    if separated {
        input.eat_char('-');
        return input.number(digits);
    }
    if input.digits_ahead() == 0 {
        Some(1)
    } else {
        input.number(digits)
    }
}

fn local_time(input: &mut Input<'_>) -> Read<LocalTime> {
    let hour = input.number(2)?;
    let separated = input.rest.starts_with(':');
    let next = |input: &mut Input<'_>| -> Option<Option<i64>> {
        if separated {
            return if input.eat_char(':') {
                input.number(2).map(Some)
            } else {
                Some(None)
            };
        }
        if input.digits_ahead() == 0 {
            Some(None)
        } else {
            input.number(2).map(Some)
        }
    };
    let minute = next(input)?;
    let second = if minute.is_some() { next(input)? } else { None };
    let nanosecond = if second.is_some() { fraction(input)? } else { 0 };
    Some(LocalTime::new(
        hour,
        minute.unwrap_or(0),
        second.unwrap_or(0),
        nanosecond,
    ))
}

/// Nanoseconds of `.142`; digits beyond the ninth are refused, because they would be lost.
fn fraction(input: &mut Input<'_>) -> Option<i64> {
    if input.eat(|c| c == '.' || c == ',').is_none() {
        return Some(0);
    }
    let digits = input.digits_ahead();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let number = input.number(digits)?;
    Some(number * 10i64.pow(9 - digits as u32))
}

fn local_date_time(input: &mut Input<'_>) -> Read<LocalDateTime> {
    let date = date(input)?;
    let time = if input.eat(|c| matches!(c, 'T' | 't' | ' ')).is_some() {
        local_time(input)?
    } else {
        Ok(LocalTime::MIDNIGHT)
    };
    Some(date.and_then(|date| Ok(LocalDateTime { date, time: time? })))
}

/// `Z`, `+01`, `+0100`, `+01:00`, with seconds too; none if the text goes on otherwise.
fn offset(input: &mut Input<'_>) -> Read<Option<Offset>> {
    if input.eat_letter('Z') {
        return Some(Ok(Some(Offset::UTC)));
    }
    let Some(sign) = input.eat(|c| matches!(c, '+' | '-' | '\u{2212}')) else {
        return Some(Ok(None));
    };
    let hours = input.number(2)?;
    let mut part = || -> Option<i64> {
        if input.eat_char(':') || input.digits_ahead() > 0 {
            input.number(2).filter(|number| *number < 60)
        } else {
            Some(0)
        }
    };
    let (minutes, seconds) = (part()?, part()?);
    let total = (hours * 60 + minutes) * 60 + seconds;
    Some(Offset::new(if sign == '+' { total } else { -total }).map(Some))
}

/// `[Europe/Stockholm]`.
fn zone(input: &mut Input<'_>) -> Read<Option<Zone>> {
    if !input.eat_char('[') {
        return Some(Ok(None));
    }
    let length = input.rest.find(']')?;
    let name = input.take(length);
    input.eat_char(']');
    Some(Zone::named(name).map(Some))
}

/// `12Y5M14DT16H12M70S`, each with sign and fraction.
fn duration_by_units(input: &mut Input<'_>) -> Read<Duration> {
    const CALENDAR: &[(char, Unit)] = &[
        ('Y', Unit::Months(12)),
        ('Q', Unit::Months(3)),
        ('M', Unit::Months(1)),
        ('W', Unit::Days(7)),
        ('D', Unit::Days(1)),
    ];
    const CLOCK: &[(char, Unit)] = &[
        ('H', Unit::Nanos(3_600_000_000_000)),
        ('M', Unit::Nanos(60_000_000_000)),
        ('S', Unit::Nanos(1_000_000_000)),
    ];
    let mut sum = Sum::default();
    let mut failure = None;
    let mut any = units(input, CALENDAR, &mut sum, &mut failure)?;
    if input.eat_letter('T') {
        let clock = units(input, CLOCK, &mut sum, &mut failure)?;
        if !clock {
            return None;
        }
        any = true;
    }
    if !any || !input.rest.is_empty() {
        return None;
    }
    Some(failure.map_or_else(|| sum.finish(), Err))
}

/// Amounts with their letters, in the order of the table; whether there was any.
fn units(
    input: &mut Input<'_>,
    table: &[(char, Unit)],
    sum: &mut Sum,
    failure: &mut Option<TemporalError>,
) -> Option<bool> {
    let mut left = table;
    let mut any = false;
    loop {
        let length = input
            .rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '+' | '-')))
            .unwrap_or(input.rest.len());
        if length == 0 {
            return Some(any);
        }
        let amount = Amount::parse(input.take(length))?;
        let letter = input.eat(|c| c.is_ascii_alphabetic())?.to_ascii_uppercase();
        let at = left.iter().position(|(known, _)| *known == letter)?;
        let (_, unit) = left.get(at)?;
        left = left.get(at + 1..)?;
        any = true;
        if let Err(error) = sum.add(*unit, amount) {
            failure.get_or_insert(error);
        }
    }
}

/// `2012-02-02T14:37:21.545`: as many years, months, days, hours, …
fn duration_by_date(input: &mut Input<'_>) -> Read<Duration> {
    let years = input.number(4)?;
    let separated = input.eat_char('-');
    let months = input.number(2).filter(|months| *months <= 12)?;
    if separated != input.eat_char('-') {
        return None;
    }
    let days = input.number(2).filter(|days| *days <= 31)?;
    let time = if input.eat_letter('T') {
        local_time(input)?
    } else {
        Ok(LocalTime::MIDNIGHT)
    };
    Some(time.and_then(|time| Duration::new(years * 12 + months, days, 0, time.nanos())))
}

impl Duration {
    /// Reads what stands behind INTERVAL in SQL: amounts with their units (`1 day 2 hours`), or one amount whose unit stands behind the
    /// text, or `1-6` YEAR TO MONTH, or `1 02:03:04.5` DAY TO SECOND.
    pub fn parse_interval(text: &str, unit: Option<&str>) -> Result<Self, TemporalError> {
        let refused = || TemporalError::text("duration", text);
        let trimmed = text.trim();
        let (negative, positive) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let read = match unit {
            Some("YEAR TO MONTH") => years_and_months(positive),
            Some("DAY TO SECOND") => days_and_time(positive),
            Some(unit) => Amount::parse(positive).and_then(|amount| named_amount(amount, unit)),
            None if positive.len() < trimmed.len() && positive.split_whitespace().count() > 2 => None,
            None => named_amounts(positive),
        };
        let duration = read.ok_or_else(refused)??;
        if negative {
            duration.negated()
        } else {
            Ok(duration)
        }
    }
}

fn named_amount(amount: Amount, unit: &str) -> Read<Duration> {
    let mut sum = Sum::default();
    let unit = unit_named(unit)?;
    Some(sum.add(unit, amount).and_then(|()| sum.finish()))
}

/// A unit by its name in singular or plural.
fn unit_named(name: &str) -> Option<Unit> {
    let found = super::duration::UNITS.iter().find(|(plural, _)| {
        let singular = plural.strip_suffix('s').unwrap_or(plural);
        plural.eq_ignore_ascii_case(name) || singular.eq_ignore_ascii_case(name)
    });
    found.map(|(_, unit)| *unit)
}

fn named_amounts(text: &str) -> Read<Duration> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return None;
    }
    let mut sum = Sum::default();
    for pair in words.chunks_exact(2) {
        let [amount, unit] = pair else { return None };
        if let Err(error) = sum.add(unit_named(unit)?, Amount::parse(amount)?) {
            return Some(Err(error));
        }
    }
    Some(sum.finish())
}

fn years_and_months(text: &str) -> Read<Duration> {
    let (years, months) = text.split_once('-')?;
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    let valid = years >= 0 && (0..12).contains(&months);
    let total = years.checked_mul(12)?.checked_add(months).filter(|_| valid)?;
    Some(Duration::new(total, 0, 0, 0))
}

fn days_and_time(text: &str) -> Read<Duration> {
    let (days, time) = text.split_once(' ')?;
    let days: i64 = days.parse().ok().filter(|days| *days >= 0)?;
    let mut input = Input { rest: time.trim() };
    let time = local_time(&mut input)?;
    input.done()?;
    Some(time.and_then(|time| Duration::new(0, days, 0, time.nanos())))
}
