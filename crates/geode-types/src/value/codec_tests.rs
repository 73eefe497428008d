//! Values and their bytes, and bytes that are no value.

use super::*;
use crate::TemporalKind;

fn temporal(kind: TemporalKind, text: &str) -> Value {
    Temporal::parse(kind, text).unwrap().into()
}

fn samples() -> Vec<Value> {
    let node = NodeValue {
        id: NodeId(7),
        labels: vec!["A".into(), "B".into()],
        properties: vec![("k".into(), 1.into())],
    };
    let edge = EdgeValue {
        id: EdgeId(u64::MAX),
        edge_type: "KNOWS".into(),
        start: NodeId(7),
        end: NodeId(7),
        properties: vec![],
    };
    vec![
        Value::Null,
        true.into(),
        false.into(),
        0.into(),
        (-1).into(),
        i64::MIN.into(),
        i64::MAX.into(),
        1.5.into(),
        f64::NEG_INFINITY.into(),
        "żółw".into(),
        Value::Bytes(vec![0, 255]),
        Decimal::new(-12_345, 2).into(),
        Decimal::MAX.into(),
        Decimal::MIN.into(),
        temporal(TemporalKind::Date, "-999999999-01-01"),
        temporal(TemporalKind::LocalTime, "23:59:59.999999999"),
        temporal(TemporalKind::Time, "00:00-18:00"),
        temporal(TemporalKind::LocalDateTime, "+999999999-12-31T23:59"),
        temporal(TemporalKind::DateTime, "2015-07-21T21:40+01:30"),
        temporal(TemporalKind::DateTime, "2017-10-29T02:30+01:00[Europe/Stockholm]"),
        temporal(TemporalKind::Duration, "P-1Y3DT-0.000000001S"),
        vec![Value::Null, "x".into(), vec![].into()].into(),
        Value::Map(vec![("a".into(), Value::Null), ("b".into(), 2.into())]),
        Value::Node(Box::new(node.clone())),
        Value::Edge(Box::new(edge.clone())),
        Value::Path(Box::new(PathValue {
            nodes: vec![node.clone(), node],
            edges: vec![edge],
        })),
    ]
}

#[test]
fn every_kind_of_value_survives_its_binary_form() {
    for value in samples() {
        let mut bytes = Vec::new();
        encode_value(&value, &mut bytes);
        let mut input = bytes.as_slice();
        assert_eq!(decode_value(&mut input), Ok(value));
        assert!(input.is_empty());
    }
}

#[test]
fn truncated_bytes_are_refused_at_every_length() {
    for value in samples() {
        let mut bytes = Vec::new();
        encode_value(&value, &mut bytes);
        for length in 0..bytes.len() {
            assert!(
                decode_value(&mut &bytes[..length]).is_err(),
                "{value:?} cut at {length}"
            );
        }
    }
}

#[test]
fn forged_counts_and_bottomless_nesting_are_refused() {
    assert_eq!(
        decode_value(&mut [LIST, 0xff, 0xff, 0xff, 0xff, 0x0f].as_slice()),
        Err(CodecError::Truncated)
    );
    let deep: Vec<u8> = std::iter::repeat_n([LIST, 1], 10_000).flatten().collect();
    assert_eq!(decode_value(&mut deep.as_slice()), Err(CodecError::TooDeep));
    assert_eq!(
        decode_value(&mut [0xee].as_slice()),
        Err(CodecError::UnknownTag(0xee))
    );
    assert_eq!(
        decode_value(&mut [INT, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2].as_slice()),
        Err(CodecError::Overflow)
    );
}

#[test]
fn the_format_stays_what_it_is() {
    let mut bytes = Vec::new();
    encode_value(&Value::List(vec![1.into(), "a".into(), Value::Null]), &mut bytes);
    assert_eq!(bytes, [LIST, 3, INT, 2, STRING, 1, b'a', NULL]);
    let mut bytes = Vec::new();
    encode_value(
        &Value::List(vec![
            Decimal::new(-15, 1).into(),
            temporal(TemporalKind::DateTime, "1970-01-02T00:00:00.000000001Z[Etc/UTC]"),
            temporal(TemporalKind::Duration, "P1M2DT-1S"),
        ]),
        &mut bytes,
    );
    let mut golden = vec![LIST, 3, DECIMAL, 1, 0xf1];
    golden.extend([0xff; 12]);
    golden.extend([DATE_TIME_IN_ZONE, 2, 2, 0, 7]);
    golden.extend(b"Etc/UTC");
    golden.extend([DURATION, 2, 4, 1, 0]);
    assert_eq!(bytes, golden);
}
