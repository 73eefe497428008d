//! Property values as bytes whose order is the values' order: the keys of indexes.
//!
//! Values that are equal (`1 = 1.0`, `0.0 = -0.0`) have the same bytes; within a type a smaller value has smaller bytes. No encoding is
//! the beginning of another, so they can stand one behind the other in a key. A value that is longer than its place in the key keeps its
//! beginning and gets a hash: equality stays exact, and ranges are widened to all values with that beginning. Whoever seeks tests the
//! condition again, so what an index returns may be too much and never too little.

use geode_types::Value;
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
/// Integers up to this are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

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

/// Appends the beginning that all values have which equal this one or, where it is too long, begin like it. Whether it is the whole value.
pub(super) fn put_beginning(value: &Value, room: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    encode(value, out);
    let whole = out.len() - start <= room;
    out.truncate(out.len().min(start + room));
    whole
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
        Value::Int(_) | Value::Float(_) => Some((NUMBER, NUMBER + 1)),
        Value::String(_) => Some((STRING, STRING + 1)),
        Value::Bytes(_) => Some((BYTES, BYTES + 1)),
        Value::Bool(_) => Some((FALSE, TRUE + 1)),
        _ => None,
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(number) => put_int(*number, out),
        Value::Float(number) => put_float(*number, 0, out),
        Value::String(text) => put_text(STRING, text.as_bytes(), out),
        Value::Bytes(bytes) => put_text(BYTES, bytes, out),
        Value::List(items) => {
            out.push(LIST);
            items.iter().for_each(|item| encode(item, out));
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

/// An integer as the greatest float that is not above it, and what is missing.
fn put_int(number: i64, out: &mut Vec<u8>) {
    let mut float = number as f64;
    // Rounding went up, perhaps to 2^63, which no i64 is.
    if float as i128 > i128::from(number) {
        float = float.next_down();
    }
    let rest = i128::from(number) - float as i128;
    put_float(float, rest as u16, out);
}

/// Floats in their order: the sign flips all bits of negative ones and the first of the others. Only behind floats that leave integers
/// out stands how far above them the number is.
fn put_float(float: f64, rest: u16, out: &mut Vec<u8>) {
    let float = if float.is_nan() {
        f64::NAN.abs()
    } else if float == 0.0 {
        0.0
    } else {
        float
    };
    let bits = float.to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
    if float.abs() >= EXACT {
        out.extend_from_slice(&rest.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn key(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        put(value, room(1), &mut out);
        out
    }

    #[test]
    fn the_format_stays_what_it_is() {
        assert_eq!(key(&Value::Int(1)), [8, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(key(&Value::Float(-0.0)), [8, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            key(&Value::Int(i64::MAX)),
            [8, 0xc3, 0xdf, 255, 255, 255, 255, 255, 255, 3, 255]
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

    /// Exact, by way of 128-bit integers and the fraction.
    fn order(left: &Value, right: &Value) -> Ordering {
        let split = |value: &Value| match value {
            Value::Int(number) => (i128::from(*number), 0.0),
            Value::Float(number) => (number.floor() as i128, number - number.floor()),
            _ => (0, 0.0),
        };
        let (left, right) = (split(left), split(right));
        left.0.cmp(&right.0).then(left.1.total_cmp(&right.1))
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
