//! Constants. Some of each type equal some of another one, or nearly do.

use super::Generator;

/// Values of several types, some of them equal.
const MIXED: [&str; 12] = [
    "1", "1.0", "'a'", "true", "2", "0.5", "'b'", "[1]", "[1.0, 2]", "false", "-1", "['a']",
];

/// Numbers of all types: equal ones, those that only rounding makes equal, and those that are none or endless.
const NUMBERS: [&str; 24] = [
    "1",
    "1.0M",
    "1.0",
    "2",
    "2.0M",
    "0.5M",
    "0.5",
    "2.50M",
    "0.1",
    "0.1M",
    "-1",
    "-1.5",
    "-0.0",
    "(0.0 / 0.0)",
    "(1.0 / 0.0)",
    "(-1.0 / 0.0)",
    "9007199254740993",
    "9007199254740992.0",
    "9007199254740993.0M",
    "9223372036854775807",
    "9223372036854775808.0",
    "1e300",
    "[(0.0 / 0.0)]",
    "[0.5M, 1]",
];

/// Values of all temporal kinds: the same moment elsewhere, and durations of which none is known to be the longer one.
const TIMES: [&str; 18] = [
    "DATE '2024-02-29'",
    "DATE '2024-03-01'",
    "DATETIME '2024-02-29T12:00:00Z'",
    "DATETIME '2024-02-29T13:00:00+01:00'",
    "DATETIME '2024-02-29T13:00:00+01:00[Europe/Stockholm]'",
    "DATETIME '2024-02-29T12:00:00.5Z'",
    "DATETIME '2024-02-29T12:00:00'",
    "DATETIME '2024-02-29T00:00:00'",
    "TIME '12:00:00'",
    "TIME '12:00:00.5'",
    "TIME '13:00:00+01:00'",
    "TIME '12:00:00Z'",
    "DURATION 'P1M'",
    "DURATION 'P30D'",
    "DURATION 'P1DT1S'",
    "DURATION 'PT24H'",
    "DURATION 'PT0.5S'",
    "[DATE '2024-02-29']",
];

/// Dates at the ends of months.
const DAYS: [&str; 6] = [
    "DATE '2024-02-29'",
    "DATE '2024-01-31'",
    "DATE '2023-12-31'",
    "DATE '2024-03-01'",
    "DATE '2023-02-28'",
    "DATE '1999-12-31'",
];

/// What dates are moved by.
const STEPS: [&str; 6] = [
    "DURATION 'P1D'",
    "DURATION 'P1M'",
    "DURATION 'P1Y'",
    "DURATION 'P1M1D'",
    "DURATION 'PT36H'",
    "DURATION 'P13M31D'",
];

/// How many values of any type there are.
pub(super) const COUNT: usize = MIXED.len() + NUMBERS.len() + TIMES.len();

/// One of them by its number.
pub(super) fn any_of(number: usize) -> &'static str {
    let mut all = MIXED.iter().chain(&NUMBERS).chain(&TIMES);
    all.nth(number).copied().unwrap_or("null")
}

impl Generator<'_> {
    /// A value of any type that a property can have.
    pub(super) fn mixed(&mut self) -> &'static str {
        match self.below(8) {
            0..=3 => self.one(&MIXED),
            4..=6 => self.one(&NUMBERS),
            _ => self.one(&TIMES),
        }
    }

    pub(super) fn number(&mut self) -> &'static str {
        self.one(&NUMBERS)
    }

    pub(super) fn date(&mut self) -> &'static str {
        self.one(&DAYS)
    }

    pub(super) fn step_of_time(&mut self) -> &'static str {
        self.one(&STEPS)
    }
}
