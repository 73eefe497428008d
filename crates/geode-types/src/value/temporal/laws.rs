//! Laws that hold for all values.

use super::*;
use crate::{Value, decode_value, encode_value, from_json, to_json};
use proptest::prelude::*;

const KINDS: [TemporalKind; 6] = [
    TemporalKind::Date,
    TemporalKind::LocalTime,
    TemporalKind::Time,
    TemporalKind::LocalDateTime,
    TemporalKind::DateTime,
    TemporalKind::Duration,
];

const ZONES: [&str; 5] = [
    "Europe/Stockholm",
    "America/St_Johns",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "UTC",
];

fn date() -> impl Strategy<Value = Date> {
    // Within two days of an end a zone's clocks can show a day that is none.
    let all = -365_243_219_160i64..=365_241_780_469;
    prop_oneof![all, -800_000i64..40_000].prop_map(|days| Date::from_epoch_days(days).unwrap_or(Date::EPOCH))
}

fn local_time() -> impl Strategy<Value = LocalTime> {
    let fraction = prop_oneof![Just(0i64), Just(5_000_000), 0i64..1_000_000_000];
    ((0i64..86_400), fraction).prop_map(|(second, nano)| {
        LocalTime::from_nanos(second * 1_000_000_000 + nano).unwrap_or(LocalTime::MIDNIGHT)
    })
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![
        Just(Offset::UTC),
        (-64_800i64..=64_800).prop_map(|seconds| Offset::new(seconds).unwrap_or_default()),
    ]
}

fn local_date_time() -> impl Strategy<Value = LocalDateTime> {
    (date(), local_time()).prop_map(|(date, time)| LocalDateTime { date, time })
}

fn time_zone() -> impl Strategy<Value = TimeZone> {
    prop_oneof![
        offset().prop_map(TimeZone::Offset),
        prop::sample::select(ZONES.to_vec())
            .prop_map(|name| Zone::named(name).map_or(TimeZone::UTC, TimeZone::Zone)),
    ]
}

fn date_time() -> impl Strategy<Value = DateTime> {
    (local_date_time(), time_zone()).prop_filter_map("in range", |(local, zone)| {
        DateTime::from_local(local, zone, None).ok()
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    let small = -400i64..400;
    let seconds = prop_oneof![-200_000i64..200_000, -1_000_000_000_000i64..1_000_000_000_000];
    (small.clone(), small, seconds, -1_000_000_000i64..1_000_000_000).prop_map(
        |(months, days, seconds, nanos)| Duration::new(months, days, seconds, nanos).unwrap_or_default(),
    )
}

fn temporal() -> impl Strategy<Value = Temporal> {
    prop_oneof![
        date().prop_map(Temporal::Date),
        local_time().prop_map(Temporal::LocalTime),
        (local_time(), offset()).prop_map(|(local, offset)| Temporal::Time(Time { local, offset })),
        local_date_time().prop_map(Temporal::LocalDateTime),
        date_time().prop_map(Temporal::from),
        duration().prop_map(Temporal::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read_back(value in temporal()) {
        prop_assert_eq!(Temporal::parse(value.kind(), &value.to_string()), Ok(value));
    }

    #[test]
    fn both_encodings_keep_a_value(value in temporal()) {
        let value = Value::Temporal(value);
        let mut bytes = Vec::new();
        encode_value(&value, &mut bytes);
        prop_assert_eq!(decode_value(&mut bytes.as_slice()), Ok(value.clone()));
        prop_assert_eq!(from_json(&to_json(&value)), Ok(value));
    }

    #[test]
    fn the_order_is_total(a in temporal(), b in temporal(), c in temporal()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn adding_and_taking_away_days_and_time_leads_back(value in local_date_time(), days in -4000i64..4000, seconds in -1_000_000i64..1_000_000) {
        let duration = Duration::new(0, days, seconds, 0).unwrap_or_default();
        let value = Temporal::LocalDateTime(value);
        if let (Ok(moved), Ok(back)) = (value.plus(&duration), duration.negated()) {
            prop_assert_eq!(moved.plus(&back), Ok(value));
        }
    }

    #[test]
    fn a_duration_between_leads_from_one_to_the_other(a in date_time(), b in date_time()) {
        let (from, to) = (Temporal::from(a), Temporal::from(b));
        let between = Duration::between(&from, &to);
        if let Ok(between) = between {
            let reached = from.plus(&between);
            if let Ok(Temporal::DateTime(reached)) = reached {
                prop_assert_eq!(reached.nanos_until(&b), 0, "{} {} {}", from, to, between);
            }
        }
    }

    #[test]
    fn cutting_off_never_goes_forward_and_changes_nothing_the_second_time(
        value in local_date_time(),
        unit in prop::sample::select(vec!["millennium", "year", "weekYear", "quarter", "month", "week", "day", "hour", "second", "microsecond"]),
    ) {
        let value = Temporal::LocalDateTime(value);
        if let Ok(cut) = value.truncated(value.kind(), unit, Components::default()) {
            prop_assert!(cut <= value);
            prop_assert_eq!(cut.truncated(cut.kind(), unit, Components::default()), Ok(cut));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9PTWQZYMDHS:.,\\[\\]/aé ]{0,24}") {
        for kind in KINDS {
            let _ = Temporal::parse(kind, &text);
        }
        let _ = TimeZone::parse(&text);
        let _ = Duration::parse_interval(&text, None);
    }

    #[test]
    fn a_duration_times_a_number_divided_by_it_is_itself(value in duration(), factor in 1i64..1000) {
        let product = value.times(Amount::from(factor));
        if let Ok(product) = product {
            prop_assert_eq!(product.divided(Amount::from(factor)), Ok(value));
        }
    }
}
