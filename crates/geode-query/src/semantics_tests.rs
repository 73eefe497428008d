//! The laws between the three comparisons.

use super::*;
use proptest::prelude::*;
use std::hash::DefaultHasher;

fn datum() -> impl Strategy<Value = Datum> {
    let leaf = prop_oneof![
        Just(Datum::Null),
        any::<bool>().prop_map(Datum::Bool),
        prop::sample::select(vec![0, 1, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1]).prop_map(Datum::Int),
        prop::sample::select(vec![
            0.0,
            -0.0,
            0.1,
            1.0,
            1.5,
            f64::NAN,
            f64::INFINITY,
            -1e300,
            9_007_199_254_740_992.0,
            9.3e18
        ])
        .prop_map(Datum::Float),
        "[ab]{0,2}".prop_map(|text| Datum::string(&text)),
        prop::sample::select(vec![
            "0",
            "1",
            "1.0",
            "1.5",
            "0.1",
            "-0.10",
            "9007199254740993",
            "9223372036854775807",
            "79228162514264337593543950335"
        ])
        .prop_map(|text| Datum::Decimal(text.parse().unwrap_or_default())),
        prop::sample::select(vec![
            (TemporalKind::Date, "2015-07-21"),
            (TemporalKind::LocalDateTime, "2015-07-21"),
            (TemporalKind::DateTime, "2015-07-21T12:00Z"),
            (TemporalKind::DateTime, "2015-07-21T14:00+02:00"),
            (TemporalKind::Time, "12:00Z"),
            (TemporalKind::Time, "13:00+01:00"),
            (TemporalKind::Duration, "P1D"),
            (TemporalKind::Duration, "PT24H"),
            (TemporalKind::Duration, "P1M"),
        ])
        .prop_filter_map("a value", |(kind, text)| Temporal::parse(kind, text).ok())
        .prop_map(Datum::Temporal),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Datum::list),
            prop::collection::vec(("[ab]", inner), 0..3).prop_map(|entries| Datum::map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.into(), value))
                    .collect()
            )),
        ]
    })
}

fn hashed(datum: &Datum) -> u64 {
    let mut hasher = DefaultHasher::new();
    Key(Box::new([datum.clone()])).hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_total_order_is_one(a in datum(), b in datum(), c in datum()) {
        prop_assert_eq!(total_order(&a, &b), total_order(&b, &a).reverse());
        prop_assert_eq!(total_order(&a, &a), Ordering::Equal);
        if total_order(&a, &b).is_le() && total_order(&b, &c).is_le() {
            prop_assert!(total_order(&a, &c).is_le());
        }
    }

    #[test]
    fn equivalent_values_hash_alike(a in datum(), b in datum()) {
        if equivalent(&a, &b) {
            prop_assert_eq!(hashed(&a), hashed(&b));
        }
    }

    #[test]
    fn equality_and_comparison_agree_with_the_order_where_they_decide(a in datum(), b in datum()) {
        if equals(&a, &b) == Some(true) {
            prop_assert!(equivalent(&a, &b));
        }
        if let Comparison::Ordered(order) = compare(&a, &b) {
            prop_assert_eq!(order, total_order(&a, &b));
        }
        prop_assert_eq!(equals(&a, &b), equals(&b, &a));
    }
}

#[test]
fn null_equals_nothing_and_is_equivalent_to_itself() {
    assert_eq!(equals(&Datum::Null, &Datum::Null), None);
    assert!(equivalent(&Datum::Null, &Datum::Null));
    assert_eq!(
        equals(&Datum::Float(f64::NAN), &Datum::Float(f64::NAN)),
        Some(false)
    );
    assert!(equivalent(&Datum::Float(f64::NAN), &Datum::Float(f64::NAN)));
}
