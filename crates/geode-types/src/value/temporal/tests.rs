//! What users rely on: forms that are read and written, the calendar's corners, clocks that are put forward and back.

use super::*;

fn parsed(kind: TemporalKind, text: &str) -> Temporal {
    Temporal::parse(kind, text).unwrap_or_else(|error| panic!("{error}"))
}

fn datetime(text: &str) -> Temporal {
    parsed(TemporalKind::DateTime, text)
}

fn duration(text: &str) -> Duration {
    Duration::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_form_of_iso_8601_is_read_and_one_is_written() {
    use TemporalKind as K;
    let cases = [
        (K::Date, "20150721", "2015-07-21"),
        (K::Date, "2015-W30-2", "2015-07-21"),
        (K::Date, "2015W302", "2015-07-21"),
        (K::Date, "2015-W30", "2015-07-20"),
        (K::Date, "2015-Q2-60", "2015-05-30"),
        (K::Date, "2015Q260", "2015-05-30"),
        (K::Date, "2015-202", "2015-07-21"),
        (K::Date, "2015202", "2015-07-21"),
        (K::Date, "201507", "2015-07-01"),
        (K::Date, "2015", "2015-01-01"),
        (K::Date, "-0001-02-03", "-0001-02-03"),
        (K::Date, "+12015-02-03", "+12015-02-03"),
        (K::LocalTime, "214032.142", "21:40:32.142"),
        (K::LocalTime, "21", "21:00"),
        (K::Time, "2140-00:00", "21:40Z"),
        (K::Time, "22+18:00", "22:00+18:00"),
        (K::Time, "12:34:56-02:05:07", "12:34:56-02:05:07"),
        (K::LocalDateTime, "2015-W30T2140", "2015-07-20T21:40"),
        (K::DateTime, "2015T214032-0100", "2015-01-01T21:40:32-01:00"),
        (
            K::DateTime,
            "2015-07-21T21:40:32.142-04[america/new_york]",
            "2015-07-21T21:40:32.142-04:00[America/New_York]",
        ),
        (
            K::DateTime,
            "1818-07-21T21:40:32.142[Europe/Stockholm]",
            "1818-07-21T21:40:32.142+00:53:28[Europe/Stockholm]",
        ),
        (K::Duration, "P5M1.5D", "P5M1DT12H"),
        (K::Duration, "P0.75M", "P22DT19H51M49.5S"),
        (K::Duration, "PT0.75M", "PT45S"),
        (
            K::Duration,
            "P2012-02-02T14:37:21.545",
            "P2012Y2M2DT14H37M21.545S",
        ),
        (K::Duration, "-P1DT2H", "P-1DT-2H"),
        (K::Duration, "PT-1.6S", "PT-1.6S"),
    ];
    for (kind, text, canonical) in cases {
        let value = parsed(kind, text);
        assert_eq!(value.to_string(), canonical, "{text}");
        assert_eq!(parsed(kind, canonical), value);
    }
}

#[test]
fn text_that_is_no_value_is_refused() {
    use TemporalKind as K;
    let cases = [
        (K::Date, ""),
        (K::Date, "2015-02-29"),
        (K::Date, "2015-13"),
        (K::Date, "2015-W54"),
        (K::Date, "2015-366"),
        (K::Date, "2015-0721"),
        (K::Date, "201507-21"),
        (K::Date, "2015-07-21T10"),
        (K::Date, "+1000000000-01-01"),
        (K::LocalTime, "24:00"),
        (K::LocalTime, "21:4032"),
        (K::LocalTime, "21:40:32.1234567890"),
        (K::Time, "21:40+19:00"),
        (K::Time, "21:40+01:60"),
        (K::DateTime, "2015-07-21T21:40[Mars/Olympus]"),
        (K::DateTime, "2015-07-21T21:40+05:00[Europe/Stockholm]"),
        (K::DateTime, "2015-07-21T21:40[Europe/Stockholm"),
        (K::Duration, "P"),
        (K::Duration, "PT"),
        (K::Duration, "P1S"),
        (K::Duration, "P1D1M"),
        (K::Duration, "1D"),
        (K::Duration, "P9223372036854775808M"),
        (K::Duration, "P1Dé"),
    ];
    for (kind, text) in cases {
        assert!(Temporal::parse(kind, text).is_err(), "{text}");
    }
}

#[test]
fn clocks_that_are_put_forward_and_back_are_read_as_zones_have_it() {
    let gap = datetime("2017-03-26T02:30[Europe/Stockholm]");
    assert_eq!(gap.to_string(), "2017-03-26T03:30+02:00[Europe/Stockholm]");
    let first = datetime("2017-10-29T02:30[Europe/Stockholm]");
    assert_eq!(first.to_string(), "2017-10-29T02:30+02:00[Europe/Stockholm]");
    let second = datetime("2017-10-29T02:30+01:00[Europe/Stockholm]");
    assert_eq!(second.to_string(), "2017-10-29T02:30+01:00[Europe/Stockholm]");
    assert!(first < second);
    let hour = duration("PT1H");
    assert_eq!(first.plus(&hour), Ok(second));
    let day = datetime("2017-10-28T12:00[Europe/Stockholm]").plus(&duration("P1D"));
    assert_eq!(day, Ok(datetime("2017-10-29T12:00+01:00[Europe/Stockholm]")));
}

#[test]
fn zones_have_rules_for_every_year() {
    for (text, offset) in [
        ("+999999999-07-01T00:00[Europe/Stockholm]", "+02:00"),
        ("+999999999-01-01T00:00[Europe/Stockholm]", "+01:00"),
        ("-999999999-07-01T00:00[Europe/Stockholm]", "+00:53:28"),
        ("9999-12-31T00:00[Pacific/Honolulu]", "-10:00"),
    ] {
        assert_eq!(
            datetime(text).component("offset"),
            Some(ComponentValue::Text(offset.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn a_duration_between_two_values_leads_from_one_to_the_other() {
    let cases = [
        ("2018-01-31T00:00Z", "2018-03-01T00:00Z", "P1M1D"),
        (
            "2018-01-02T10:00:00.1Z",
            "2018-01-01T10:00:00.2Z",
            "PT-23H-59M-59.9S",
        ),
        (
            "2017-10-28T23:00+02:00[Europe/Stockholm]",
            "2017-10-29T04:00+01:00[Europe/Stockholm]",
            "PT6H",
        ),
        (
            "2018-07-21T21:40:36.143+05:00",
            "1984-07-21T22:40:36.143+02:00",
            "P-33Y-11M-30DT-20H",
        ),
        // Both are at two o'clock, which the clocks of both nights show twice; the first is the second of its night.
        (
            "2021-10-31T02:00+01:00[Europe/Stockholm]",
            "2022-10-30T00:00Z",
            "P11M30DT-1H",
        ),
    ];
    for (from, to, between) in cases {
        let (from, to) = (datetime(from), datetime(to));
        let found = Duration::between(&from, &to).unwrap_or_default();
        assert_eq!(found.to_string(), between, "{from} {to}");
    }
}

#[test]
fn arithmetic_beyond_the_range_fails_and_does_not_wrap() {
    let last = parsed(TemporalKind::Date, "+999999999-12-31");
    for text in ["P1D", "P1M", "P9223372036854D", "PT24H"] {
        assert!(last.plus(&duration(text)).is_err(), "{text}");
    }
    assert!(Duration::new(i64::MAX, 0, 0, 0).is_err());
    assert!(Duration::new(0, 0, i64::MAX, 999_999_999).is_ok());
    assert!(duration("PT1S").divided(Amount::from(0)).is_err());
    let long = Duration::new(0, 0, i64::MAX, 0).unwrap_or_default();
    assert!(long.times(Amount::from(2)).is_err());
    assert!(long.plus(&duration("PT1S")).is_err());
}

#[test]
fn a_fraction_is_exactly_what_was_written() {
    let minute = duration("PT1M");
    let factor = |number: f64| Amount::try_from(number).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(minute.times(factor(0.1)), Ok(duration("PT6S")));
    assert_eq!(minute.divided(factor(0.1)), Ok(duration("PT10M")));
    assert_eq!(
        duration("P14DT58390.000000001S")
            .divided(factor(2.0))
            .map(|d| d.to_string()),
        Ok("P7DT8H6M35S".into())
    );
    let parts = [("seconds", Component::Float(70.3))];
    assert_eq!(Duration::from_components(parts), Ok(duration("PT1M10.3S")));
    let parts = [
        ("days", Component::Float(1.5)),
        ("weeks", Component::Float(-0.25)),
    ];
    assert_eq!(Duration::from_components(parts), Ok(duration("PT-6H")));
}
