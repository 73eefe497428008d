//! Property values as bytes whose order is the values' order: the keys of indexes.
//!
//! Values that are equal (`1 = 1.0`, `0.0 = -0.0`) have the same bytes; within a type a smaller value has smaller bytes. No encoding is
//! the beginning of another, so they can stand one behind the other in a key. A value that is longer than its place in the key keeps its
//! beginning and gets a hash: equality stays exact, and ranges are widened to all values with that beginning. Whoever seeks tests the
//! condition again, so what an index returns may be too much and never too little.

use geode_types::{Decimal, Temporal, TemporalKind, Value, encode_value};
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_128;

/// Ends lists, and texts together with [`TEXT_END`].
const END: u8 = 0x00;
const NULL: u8 = 0x01;
const LIST: u8 = 0x02;
const MAP: u8 = 0x03;
const BYTES: u8 = 0x04;
const STRING: u8 = 0x05;
const FALSE: u8 = 0x06;
const TRUE: u8 = 0x07;
const NUMBER: u8 = 0x08;
/// What no property holds.
const ELEMENT: u8 = 0x09;
const DATE: u8 = 0x0a;
const LOCAL_TIME: u8 = 0x0b;
const TIME: u8 = 0x0c;
const LOCAL_DATETIME: u8 = 0x0d;
const DATETIME: u8 = 0x0e;
const DURATION: u8 = 0x0f;

/// How a number stands to the float nearest to it; other than equal, all of it follows.
const BELOW: u8 = 0;
const EQUAL: u8 = 1;
const ABOVE: u8 = 2;
/// Digits behind the point that a decimal can have.
const SCALE: u32 = 28;
/// Digits behind the point that a float can have.
const FLOAT_DIGITS: usize = 1074;

/// Follows a zero byte within a text, so that it is not its end.
const ESCAPE: u8 = 0xff;
/// Follows the zero byte at the end of a text.
const TEXT_END: u8 = 0x01;
/// Bytes of the hash behind a shortened value.
const HASH_BYTES: usize = 16;
/// The most bytes of one key for all values together: LMDB's 511 without the table, the rule's number, the node's and a length.
const VALUES_BYTES: usize = 496;
/// The longest beginning of a single value.
const LONGEST: usize = 240;
/// How many bytes each of `count` values may take before it is shortened.
pub(crate) fn room(count: usize) -> usize {
    (VALUES_BYTES / count.max(1))
        .saturating_sub(HASH_BYTES)
        .min(LONGEST)
}

/// Appends a value that may take `room` bytes.
pub(crate) fn put(value: &Value, room: usize, out: &mut Vec<u8>) {
    let start = out.len();
    encode(value, out);
    if out.len() - start > room {
        let hash = xxh3_128(&out[start..]);
        out.truncate(start + room);
        out.extend_from_slice(&hash.to_be_bytes());
    }
}

/// The bytes of a value in an index of one property.
pub fn index_key(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(value, room(1), &mut out);
    out
}

/// Appends the beginning of all values that are in no order with this one: those that equal it, those that begin like it when it is too long
/// for its place, and those of the same moment elsewhere.
pub(super) fn put_beginning(value: &Value, room: usize, out: &mut Vec<u8>) {
    let start = out.len();
    if let Value::Temporal(value) = value {
        put_moment(value, out);
        return;
    }
    encode(value, out);
    out.truncate(out.len().min(start + room));
}

/// Appends what every text begins with that begins with `prefix`.
pub(super) fn put_prefix(prefix: &str, room: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(STRING);
    escape(prefix.as_bytes(), out);
    out.truncate(out.len().min(start + room));
}

/// The first bytes of the values that can be less or greater than this one, as a range; `None` when no index range says so.
pub(super) fn comparable(value: &Value) -> Option<(u8, u8)> {
    match value {
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) => Some((NUMBER, NUMBER + 1)),
        Value::String(_) => Some((STRING, STRING + 1)),
        Value::Bytes(_) => Some((BYTES, BYTES + 1)),
        Value::Bool(_) => Some((FALSE, TRUE + 1)),
        Value::Temporal(value) => Some((tag_of(value), tag_of(value) + 1)),
        _ => None,
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(number) => put_int(*number, out),
        Value::Float(number) => put_number(*number, Ordering::Equal, || [0; 24], out),
        Value::Decimal(number) => put_decimal(*number, out),
        Value::Temporal(moment) => {
            put_moment(moment, out);
            put_identity(value, moment, out);
        }
        Value::String(text) => put_text(STRING, text.as_bytes(), out),
        Value::Bytes(bytes) => put_text(BYTES, bytes, out),
        Value::List(items) => {
            out.push(LIST);
            for item in items {
                encode(item, out);
            }
            out.push(END);
        }
        Value::Map(entries) => {
            out.push(MAP);
            for (name, item) in entries {
                put_text(STRING, name.as_bytes(), out);
                encode(item, out);
            }
            out.push(END);
        }
        Value::Node(_) | Value::Edge(_) | Value::Path(_) => out.push(ELEMENT),
    }
}

fn put_text(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    escape(bytes, out);
    out.extend_from_slice(&[END, TEXT_END]);
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == END {
            out.push(ESCAPE);
        }
    }
}

fn tag_of(value: &Temporal) -> u8 {
    match value.kind() {
        TemporalKind::Date => DATE,
        TemporalKind::LocalTime => LOCAL_TIME,
        TemporalKind::Time => TIME,
        TemporalKind::LocalDateTime => LOCAL_DATETIME,
        TemporalKind::DateTime => DATETIME,
        TemporalKind::Duration => DURATION,
    }
}

/// The kind and when it is. Times with offsets and durations have no more than their kind: how two of them stand is asked behind.
fn put_moment(value: &Temporal, out: &mut Vec<u8>) {
    out.push(tag_of(value));
    let mut put = |number: i64| out.extend_from_slice(&(number as u64 ^ 1 << 63).to_be_bytes());
    match value {
        Temporal::Date(date) => put(date.epoch_days()),
        Temporal::LocalTime(time) => put(time.nanos()),
        Temporal::LocalDateTime(at) => {
            put(at.seconds());
            put(at.time.nanos());
        }
        Temporal::DateTime(at) => put(at.epoch_seconds()),
        Temporal::Time(_) | Temporal::Duration(_) => {}
    }
}

/// All of a value of which the moment is not all; equal ones have equal bytes.
fn put_identity(value: &Value, moment: &Temporal, out: &mut Vec<u8>) {
    if matches!(
        moment,
        Temporal::DateTime(_) | Temporal::Time(_) | Temporal::Duration(_)
    ) {
        let mut bytes = Vec::new();
        encode_value(value, &mut bytes);
        escape(&bytes, out);
        out.extend_from_slice(&[END, TEXT_END]);
    }
}

fn put_int(number: i64, out: &mut Vec<u8>) {
    let float = number as f64;
    let order = i128::from(number).cmp(&(float as i128));
    put_number(float, order, || fixed(i128::from(number), SCALE), out);
}

fn put_decimal(number: Decimal, out: &mut Vec<u8>) {
    // Decimal's own conversion computes and so rounds twice; its text is exact.
    let float: f64 = number.to_string().parse().unwrap_or_default();
    let order = order_of_digits(number, float);
    put_number(
        float,
        order,
        || fixed(number.mantissa(), SCALE - number.scale()),
        out,
    );
}

/// How a decimal stands to its nearest float, which has the same sign: digit by digit.
fn order_of_digits(number: Decimal, float: f64) -> Ordering {
    let digits = |text: String| {
        let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |parts| parts);
        (
            whole.len(),
            whole.to_owned(),
            fraction.trim_end_matches('0').to_owned(),
        )
    };
    let order = digits(number.abs().to_string()).cmp(&digits(format!("{:.FLOAT_DIGITS$}", float.abs())));
    if number.is_sign_negative() {
        order.reverse()
    } else {
        order
    }
}

/// `number · 10^powers` as 192 bits, in the order of the numbers.
fn fixed(number: i128, powers: u32) -> [u8; 24] {
    let magnitude = number.unsigned_abs();
    let mut words = [magnitude as u64, (magnitude >> 64) as u64, 0];
    for _ in 0..powers {
        let mut carry = 0u128;
        for word in &mut words {
            let product = u128::from(*word) * 10 + carry;
            (*word, carry) = (product as u64, product >> 64);
        }
    }
    if number < 0 {
        let mut carry = true;
        for word in &mut words {
            (*word, carry) = (!*word).overflowing_add(u64::from(carry));
        }
    }
    words[2] ^= 1 << 63;
    let mut bytes = [0; 24];
    for (place, word) in words.iter().rev().enumerate() {
        bytes[place * 8..place * 8 + 8].copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// The nearest float, how the number stands to it, and all of it unless it is the float. Floats in their order: the sign flips all bits of
/// negative ones and the first of the others.
fn put_number(nearest: f64, order: Ordering, whole: impl FnOnce() -> [u8; 24], out: &mut Vec<u8>) {
    let float = if nearest.is_nan() {
        f64::NAN.abs()
    } else if nearest == 0.0 {
        0.0
    } else {
        nearest
    };
    let bits = float.to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
    match order {
        Ordering::Equal => out.push(EQUAL),
        Ordering::Less => {
            out.push(BELOW);
            out.extend_from_slice(&whole());
        }
        Ordering::Greater => {
            out.push(ABOVE);
            out.extend_from_slice(&whole());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::temporal;
    use proptest::prelude::*;

    fn key(value: &Value) -> Vec<u8> {
        index_key(value)
    }

    #[test]
    fn the_format_stays_what_it_is() {
        assert_eq!(key(&Value::Int(1)), [8, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(key(&Value::Float(-0.0)), [8, 0x80, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(key(&decimal("1.0")), key(&Value::Int(1)));
        let most = key(&Value::Int(i64::MAX));
        assert_eq!(
            (most.len(), &most[..10]),
            (34, &[8, 0xc3, 0xe0, 0, 0, 0, 0, 0, 0, 0][..])
        );
        let day = temporal::Date::from_epoch_days(1).unwrap();
        assert_eq!(
            key(&Value::Temporal(Temporal::Date(day))),
            [10, 0x80, 0, 0, 0, 0, 0, 0, 1]
        );
        assert_eq!(key(&"a\0b".into()), [5, b'a', 0, 255, b'b', 0, 1]);
        assert_eq!(key(&Value::List(vec![true.into(), Value::Null])), [2, 7, 1, 0]);
        assert_eq!(key(&"x".repeat(500).into()).len(), room(1) + HASH_BYTES);
    }

    #[test]
    fn all_values_of_a_key_fit_it() {
        for count in 1..=8 {
            assert!(count * (room(count) + HASH_BYTES) <= VALUES_BYTES, "{count}");
        }
    }

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    /// Exact, by all digits.
    fn order(left: &Value, right: &Value) -> Ordering {
        let split = |value: &Value| {
            let text = match value {
                Value::Int(number) => number.to_string(),
                Value::Float(number) => format!("{number:.1074}"),
                Value::Decimal(number) => number.to_string(),
                _ => String::new(),
            };
            let digits = text.trim_start_matches('-');
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let fraction = fraction.trim_end_matches('0').to_owned();
            let is_zero = whole == "0" && fraction.is_empty();
            (
                text.starts_with('-') && !is_zero,
                (whole.len(), whole.to_owned(), fraction),
            )
        };
        match (split(left), split(right)) {
            ((false, left), (false, right)) => left.cmp(&right),
            ((true, left), (true, right)) => right.cmp(&left),
            ((left, _), (right, _)) => right.cmp(&left),
        }
    }

    fn number() -> impl Strategy<Value = Value> {
        let edges = [
            0,
            1,
            -1,
            1 << 53,
            (1 << 53) + 1,
            -(1 << 53) - 1,
            i64::MAX,
            i64::MIN,
            i64::MAX - 512,
        ];
        let floats = [
            0.0,
            -0.0,
            0.5,
            -0.5,
            9.2e18,
            -9.3e18,
            1e30,
            -1e30,
            9_007_199_254_740_993.0,
        ];
        prop_oneof![
            any::<i64>().prop_map(Value::Int),
            prop::sample::select(edges.to_vec()).prop_map(Value::Int),
            prop::sample::select(floats.to_vec()).prop_map(Value::Float),
            (-1e19..1e19).prop_map(Value::Float),
            (-100i64..100).prop_map(|number| Value::Float(number as f64 / 4.0)),
            (-30i64..30).prop_map(Value::Int),
            prop::sample::select(vec![
                "0.1",
                "-0.1",
                "0.5",
                "2.50",
                "9007199254740993",
                "79228162514264337593543950335",
                "-0.0000000000000000000000000001"
            ])
            .prop_map(decimal),
            (any::<i64>(), 0u32..20).prop_map(|(digits, scale)| Value::Decimal(Decimal::new(digits, scale))),
            Just(Value::Float(0.1)),
        ]
    }

    proptest! {
        #[test]
        fn numbers_of_both_kinds_are_in_one_order(left in number(), right in number()) {
            prop_assert_eq!(key(&left).cmp(&key(&right)), order(&left, &right), "{:?} {:?}", left, right);
        }

        #[test]
        fn texts_are_in_their_order_and_none_begins_another(left in "[a-c\0]{0,4}", right in "[a-c\0]{0,4}") {
            let (a, b) = (key(&left.as_str().into()), key(&right.as_str().into()));
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
            prop_assert!(a == b || !a.starts_with(&b));
        }

        #[test]
        fn a_prefix_covers_what_begins_with_it(text in "[ab\0]{0,300}", cut in 0usize..300) {
            let cut = cut.min(text.len());
            let mut prefix = Vec::new();
            put_prefix(&text[..cut], room(2), &mut prefix);
            let mut whole = Vec::new();
            put(&text.as_str().into(), room(2), &mut whole);
            prop_assert!(whole.starts_with(&prefix));
        }
    }
}
