//! SET CONSISTENCY LEVEL, SET READ PREFERENCE and SET READ STALENESS: extensions, as ISO/IEC 39075 knows no replicas.

use super::{Parsed, Parser};
use crate::literal;
use crate::token::TokenKind;
use geode_types::{ConsistencyLevel, ReadPreference, ReadSetting};
use std::time::Duration;

/// Units of time in one and in many, and their milliseconds.
const UNITS: [([&str; 2], u64); 4] = [
    (["SECONDS", "SECOND"], 1000),
    (["MILLISECONDS", "MILLISECOND"], 1),
    (["MINUTES", "MINUTE"], 60_000),
    (["HOURS", "HOUR"], 3_600_000),
];

impl Parser<'_> {
    /// How the session shall read, if that is said here.
    pub(super) fn read_setting(&mut self) -> Parsed<Option<ReadSetting>> {
        const LEVEL: &[&str] = &["SET", "CONSISTENCY", "LEVEL"];
        const PREFERENCE: &[&str] = &["SET", "READ", "PREFERENCE"];
        const STALENESS: &[&str] = &["SET", "READ", "STALENESS"];
        let known = [LEVEL, PREFERENCE, STALENESS];
        let Some(words) = known.into_iter().find(|words| self.begins_with(words)) else {
            return Ok(None);
        };
        self.extension(self.span(), words.join(" "), "");
        for _ in words {
            self.advance();
        }
        let setting = if words == LEVEL {
            let mut levels = ConsistencyLevel::ALL.into_iter();
            levels
                .find(|level| self.eat_keyword(level.name()))
                .map(ReadSetting::Level)
        } else if words == PREFERENCE {
            let mut preferences = ReadPreference::ALL.into_iter();
            preferences
                .find(|preference| self.eat_keyword(preference.name()))
                .map(ReadSetting::Preference)
        } else {
            Some(ReadSetting::Staleness(self.staleness()?))
        };
        match setting {
            Some(setting) => Ok(Some(setting)),
            None => Err(self.unexpected()),
        }
    }

    /// `5 seconds`.
    fn staleness(&mut self) -> Parsed<Duration> {
        if self.token().kind != TokenKind::Int {
            return self.missing("a number and a unit of time, such as 5 SECONDS");
        }
        let number = self.advance().span;
        for (words, milliseconds) in UNITS {
            if words.into_iter().any(|word| self.eat_keyword(word)) {
                let magnitude = literal::integer(self.source.slice(number));
                let bound = magnitude.and_then(|magnitude| magnitude.checked_mul(milliseconds));
                return bound.map(Duration::from_millis).ok_or_else(|| {
                    let span = self.since(number);
                    self.error(
                        span,
                        "NumberTooLarge",
                        "the time does not fit 64 bits of milliseconds",
                    )
                });
            }
        }
        Err(self.unexpected())
    }
}
