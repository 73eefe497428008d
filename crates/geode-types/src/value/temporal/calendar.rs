//! The proleptic Gregorian calendar of ISO 8601 as arithmetic on days since 1970-01-01: months, weeks, quarters, days of the year.

/// The first and the last year that a value can lie in (openCypher CIP 2015-08-06).
pub(super) const YEARS: std::ops::RangeInclusive<i64> = -999_999_999..=999_999_999;

/// The days of the first and the last year, in days since 1970-01-01.
pub(super) const DAYS: std::ops::RangeInclusive<i64> = -365_243_219_162..=365_241_780_471;

pub(super) const SECONDS_PER_DAY: i64 = 86_400;
pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const NANOS_PER_DAY: i64 = SECONDS_PER_DAY * NANOS_PER_SECOND;

/// Days since 1970-01-01 of a date whose month and day are in range (H. Hinnant, "chrono-compatible low-level date algorithms").
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day since 1970-01-01.
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

pub(super) fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

pub(super) fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 1 is Monday, 7 is Sunday.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// Monday of the first week of a week-based year: the week that has 4 January in it.
pub(super) fn first_monday(week_year: i64) -> i64 {
    let fourth = days_from_civil(week_year, 1, 4);
    fourth - (weekday(fourth) - 1)
}

/// Week-based year and week of a day (ISO 8601: the week belongs to the year that its Thursday is in).
pub(super) fn week_of(days: i64) -> (i64, i64) {
    let thursday = days - (weekday(days) - 1) + 3;
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// 52 or 53.
pub(super) fn weeks_in_year(week_year: i64) -> i64 {
    (first_monday(week_year + 1) - first_monday(week_year)) / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_over_the_whole_range() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(-999_999_999, 1, 1), *DAYS.start());
        assert_eq!(days_from_civil(999_999_999, 12, 31), *DAYS.end());
        let around = |middle: i64| (middle - 1500)..(middle + 1500);
        for days in around(0).chain(around(-719_468)).chain(around(365_241_778_000)) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            let (week_year, week) = week_of(days);
            assert_eq!(first_monday(week_year) + (week - 1) * 7 + weekday(days) - 1, days);
            assert!((1..=weeks_in_year(week_year)).contains(&week));
        }
    }

    #[test]
    fn weeks_at_the_turn_of_a_year_belong_to_the_year_of_their_thursday() {
        assert_eq!(week_of(days_from_civil(1984, 1, 1)), (1983, 52));
        assert_eq!(week_of(days_from_civil(1818, 12, 28)), (1818, 53));
        assert_eq!(week_of(days_from_civil(1816, 12, 31)), (1817, 1));
        assert_eq!(weeks_in_year(2020), 53);
        assert_eq!(weeks_in_year(2021), 52);
    }
}
