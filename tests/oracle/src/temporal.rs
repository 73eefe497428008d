//! Dates, times and durations, read from the text that they are written as: their order, their parts, and dates that are moved.
//!
//! The parser's own type carries them and says of which kind they are. The calendar is counted month by month, so nothing of the engine's is
//! shared. Years are those of the generator, from [`FIRST_YEAR`] on.

use geode_types::{Temporal, TemporalKind};
use std::cmp::Ordering;

const FIRST_YEAR: i128 = 1900;
const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;
/// The average month of the Gregorian calendar: a 4800th of 400 years, which are 146,097 days.
const MONTH: i128 = 146_097 * DAY / 4_800;

fn integer(text: &str) -> i128 {
    text.parse().unwrap_or_default()
}

/// A number with a fraction, in billionths.
fn billionths(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    integer(whole) * SECOND + integer(&format!("{fraction:0<9}"))
}

/// `21:40:32.142` in nanoseconds.
fn clock(text: &str) -> i128 {
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (hours, minutes) = (integer(part()), integer(part()));
    (hours * 60 + minutes) * 60 * SECOND + billionths(part())
}

fn days_in(year: i128, month: i128) -> i128 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of `2015-07-21`.
fn civil(text: &str) -> [i128; 3] {
    let mut parts = text.splitn(3, '-');
    [(); 3].map(|()| integer(parts.next().unwrap_or_default()))
}

/// Days since the first one of [`FIRST_YEAR`].
fn days(text: &str) -> i128 {
    let [year, month, day] = civil(text);
    let months = (FIRST_YEAR..year).flat_map(|year| (1..=12).map(move |month| (year, month)));
    let months = months.chain((1..month).map(|month| (year, month)));
    months.map(|(year, month)| days_in(year, month)).sum::<i128>() + day - 1
}

/// When something is, on a clock and a calendar that begin anywhere, and where.
struct Moment {
    nanos: i128,
    /// Nanoseconds by which clocks there are ahead.
    offset: i128,
    zone: String,
}

/// Date, time of day and offset as they are shown; what there is not is empty.
fn shown(value: &Temporal) -> [String; 3] {
    let text = value.to_string();
    let text = text.split('[').next().unwrap_or_default();
    let (date, time) = match value.kind() {
        TemporalKind::Date => (text, ""),
        TemporalKind::LocalTime | TemporalKind::Time => ("", text),
        _ => text.split_once('T').unwrap_or((text, "")),
    };
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, offset) = time.split_at(end);
    [date, time, offset].map(str::to_owned)
}

fn moment(value: &Temporal) -> Moment {
    let [date, time, offset] = shown(value);
    let offset = match (offset.strip_prefix('+'), offset.strip_prefix('-')) {
        (Some(ahead), _) => clock(ahead),
        (_, Some(behind)) => -clock(behind),
        _ => 0,
    };
    let day = if date.is_empty() { 0 } else { days(&date) };
    let text = value.to_string();
    let zone = text.split_once('[').map_or("", |(_, zone)| zone);
    Moment {
        nanos: day * DAY + clock(&time) - offset,
        offset,
        zone: zone.to_owned(),
    }
}

/// Months, days and nanoseconds of `P1Y2M3DT4H5M6.5S`, in which every part has its own sign.
fn parts(duration: &Temporal) -> [i128; 3] {
    let (mut months, mut days, mut nanos) = (0, 0, 0);
    let (mut is_time, mut number) = (false, String::new());
    for letter in duration.to_string().chars() {
        if letter.is_ascii_digit() || letter == '-' || letter == '.' {
            number.push(letter);
            continue;
        }
        let amount = match number.strip_prefix('-') {
            Some(magnitude) => -billionths(magnitude),
            None => billionths(&number),
        };
        number.clear();
        match (letter, is_time) {
            ('T', _) => is_time = true,
            ('Y', _) => months += 12 * amount / SECOND,
            ('M', false) => months += amount / SECOND,
            ('D', _) => days += amount / SECOND,
            ('H', _) => nanos += 3600 * amount,
            ('M', true) => nanos += 60 * amount,
            ('S', _) => nanos += amount,
            _ => {}
        }
    }
    [months, days, nanos]
}

/// Two are equal when they read the same (openCypher CIP 2015-08-06).
pub(crate) fn equal(left: &Temporal, right: &Temporal) -> bool {
    left.kind() == right.kind() && left.to_string() == right.to_string()
}

/// The order for `<`: within a kind, and of durations when no part objects, as a month has no length.
pub(crate) fn compare(left: &Temporal, right: &Temporal) -> Option<Ordering> {
    if left.kind() != right.kind() {
        return None;
    }
    if left.kind() != TemporalKind::Duration {
        return Some(order(left, right));
    }
    let pairs = parts(left).into_iter().zip(parts(right));
    let orders: Vec<Ordering> = pairs.map(|(left, right)| left.cmp(&right)).collect();
    let is_among = |order| orders.contains(&order);
    match (is_among(Ordering::Less), is_among(Ordering::Greater)) {
        (true, true) => None,
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) => Some(Ordering::Equal),
    }
}

/// The order of ORDER BY within a kind: by the moment, then by offset and zone; durations by their average length, then by their parts.
pub(crate) fn order(left: &Temporal, right: &Temporal) -> Ordering {
    if left.kind() == TemporalKind::Duration {
        let key = |value: &Temporal| {
            let [months, days, nanos] = parts(value);
            (months * MONTH + days * DAY + nanos, months, days)
        };
        return key(left).cmp(&key(right));
    }
    let key = |value: &Temporal| {
        let Moment { nanos, offset, zone } = moment(value);
        (nanos, offset, zone)
    };
    key(left).cmp(&key(right))
}

/// Where the kinds stand in the order of all values.
pub(crate) fn rank(value: &Temporal) -> u8 {
    match value.kind() {
        TemporalKind::DateTime => 0,
        TemporalKind::LocalDateTime => 1,
        TemporalKind::Date => 2,
        TemporalKind::Time => 3,
        TemporalKind::LocalTime => 4,
        TemporalKind::Duration => 5,
    }
}

/// `date.month` and its kin, as far as the generator asks for them.
pub(crate) fn component(value: &Temporal, name: &str) -> Option<i64> {
    let [date, _, _] = shown(value);
    let place = ["year", "month", "day"].iter().position(|known| *known == name)?;
    if date.is_empty() || value.kind() == TemporalKind::Duration {
        return None;
    }
    i64::try_from(civil(&date)[place]).ok()
}

/// A date later or earlier: months first, to the last day of a month that is too short, then days and the whole days of the time.
pub(crate) fn moved(date: &Temporal, duration: &Temporal, sign: i128) -> Option<Temporal> {
    if date.kind() != TemporalKind::Date || duration.kind() != TemporalKind::Duration {
        return None;
    }
    let [year, month, day] = civil(&date.to_string());
    let [more_months, more_days, nanos] = parts(duration);
    let mut months = year * 12 + month - 1 + sign * more_months;
    let length = |months: i128| days_in(months.div_euclid(12), months.rem_euclid(12) + 1);
    let mut day = day.min(length(months)) + sign * (more_days + nanos / DAY);
    while day > length(months) {
        day -= length(months);
        months += 1;
    }
    while day < 1 {
        months -= 1;
        day += length(months);
    }
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    Temporal::parse(TemporalKind::Date, &format!("{year:04}-{month:02}-{day:02}")).ok()
}
