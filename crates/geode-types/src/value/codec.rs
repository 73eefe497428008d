//! The binary form of a value: one tag byte, then its content. The same bytes stand in the store, in the log and on the wire
//! (docs/formats/value.md).
//!
//! Lengths and ids are LEB128, integers zigzag LEB128, floats 8 bytes little-endian. Tags are for ever: new kinds get new tags.

use super::temporal::{
    Date, DateTime, Duration, LocalDateTime, LocalTime, Offset, Temporal, TemporalError, Time, Zone,
};
use super::{EdgeValue, NodeValue, PathValue, Properties, Value};
use crate::{EdgeId, NodeId};
use rust_decimal::Decimal;

/// How deep lists and maps may nest, so that hostile bytes cannot exhaust the stack.
pub const MAX_VALUE_DEPTH: usize = 128;

/// The bytes are not a value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the value's bytes end too early")]
    Truncated,
    /// A tag that this version does not know.
    #[error("unknown value tag {0:#04x}; was it written by a newer version?")]
    UnknownTag(u8),
    /// Text that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// Nested deeper than [`MAX_VALUE_DEPTH`].
    #[error("a value is nested deeper than {MAX_VALUE_DEPTH}")]
    TooDeep,
    /// A number that does not fit.
    #[error("a number does not fit its type")]
    Overflow,
    /// A temporal value outside of its range, or in a time zone that this version does not know.
    #[error("a temporal value cannot be read: {0}")]
    Temporal(#[from] TemporalError),
}

pub(super) const NULL: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
pub(super) const INT: u8 = 3;
pub(super) const FLOAT: u8 = 4;
pub(super) const STRING: u8 = 5;
const BYTES: u8 = 6;
const LIST: u8 = 7;
const MAP: u8 = 8;
const NODE: u8 = 9;
const EDGE: u8 = 10;
const PATH: u8 = 11;
const DATE: u8 = 12;
const LOCAL_TIME: u8 = 13;
const TIME: u8 = 14;
const LOCAL_DATE_TIME: u8 = 15;
const DATE_TIME: u8 = 16;
const DATE_TIME_IN_ZONE: u8 = 17;
const DURATION: u8 = 18;
const DECIMAL: u8 = 19;

/// The mantissa of a decimal number has 96 bits and a sign.
const DECIMAL_BYTES: usize = 13;

/// Appends the value's bytes.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(number) => {
            out.push(INT);
            put_signed(*number, out);
        }
        Value::Float(number) => {
            out.push(FLOAT);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::String(text) => {
            out.push(STRING);
            put_bytes(text.as_bytes(), out);
        }
        Value::Bytes(bytes) => {
            out.push(BYTES);
            put_bytes(bytes, out);
        }
        Value::Decimal(number) => {
            out.push(DECIMAL);
            out.push(number.scale() as u8);
            out.extend_from_slice(&number.mantissa().to_le_bytes()[..DECIMAL_BYTES]);
        }
        Value::Temporal(value) => put_temporal(value, out),
        Value::List(items) => {
            out.push(LIST);
            put_unsigned(items.len() as u64, out);
            for item in items {
                encode_value(item, out);
            }
        }
        Value::Map(entries) => {
            out.push(MAP);
            put_properties(entries, out);
        }
        Value::Node(node) => {
            out.push(NODE);
            put_node(node, out);
        }
        Value::Edge(edge) => {
            out.push(EDGE);
            put_edge(edge, out);
        }
        Value::Path(path) => {
            out.push(PATH);
            put_unsigned(path.edges.len() as u64, out);
            for node in &path.nodes {
                put_node(node, out);
            }
            for edge in &path.edges {
                put_edge(edge, out);
            }
        }
    }
}

/// Reads one value and moves `input` past it.
pub fn decode_value(input: &mut &[u8]) -> Result<Value, CodecError> {
    read_value(input, 0)
}

fn put_unsigned(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_unsigned(((number << 1) ^ (number >> 63)) as u64, out);
}

fn put_temporal(value: &Temporal, out: &mut Vec<u8>) {
    let local = |tag: u8, local: LocalDateTime, out: &mut Vec<u8>| {
        out.push(tag);
        put_signed(local.date.epoch_days(), out);
        put_signed(local.time.nanos(), out);
    };
    match value {
        Temporal::Date(date) => {
            out.push(DATE);
            put_signed(date.epoch_days(), out);
        }
        Temporal::LocalTime(time) => {
            out.push(LOCAL_TIME);
            put_signed(time.nanos(), out);
        }
        Temporal::Time(time) => {
            out.push(TIME);
            put_signed(time.local.nanos(), out);
            put_signed(time.offset.seconds().into(), out);
        }
        Temporal::LocalDateTime(value) => local(LOCAL_DATE_TIME, *value, out),
        Temporal::DateTime(value) => {
            let zone = value.zone();
            local(zone.map_or(DATE_TIME, |_| DATE_TIME_IN_ZONE), value.local(), out);
            put_signed(value.offset().seconds().into(), out);
            if let Some(zone) = zone {
                put_bytes(zone.name().as_bytes(), out);
            }
        }
        Temporal::Duration(value) => {
            out.push(DURATION);
            put_signed(value.months(), out);
            put_signed(value.days(), out);
            put_signed(value.seconds(), out);
            put_unsigned(value.nanos().into(), out);
        }
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_unsigned(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_properties(entries: &Properties, out: &mut Vec<u8>) {
    put_unsigned(entries.len() as u64, out);
    for (name, value) in entries {
        put_bytes(name.as_bytes(), out);
        encode_value(value, out);
    }
}

fn put_node(node: &NodeValue, out: &mut Vec<u8>) {
    put_unsigned(node.id.0, out);
    put_unsigned(node.labels.len() as u64, out);
    node.labels
        .iter()
        .for_each(|label| put_bytes(label.as_bytes(), out));
    put_properties(&node.properties, out);
}

fn put_edge(edge: &EdgeValue, out: &mut Vec<u8>) {
    put_unsigned(edge.id.0, out);
    put_bytes(edge.edge_type.as_bytes(), out);
    put_unsigned(edge.start.0, out);
    put_unsigned(edge.end.0, out);
    put_properties(&edge.properties, out);
}

fn read_value(input: &mut &[u8], depth: usize) -> Result<Value, CodecError> {
    if depth > MAX_VALUE_DEPTH {
        return Err(CodecError::TooDeep);
    }
    Ok(match read_byte(input)? {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::Int(read_signed(input)?),
        FLOAT => {
            let (bytes, rest) = input.split_first_chunk::<8>().ok_or(CodecError::Truncated)?;
            *input = rest;
            Value::Float(f64::from_le_bytes(*bytes))
        }
        STRING => Value::String(read_string(input)?),
        BYTES => Value::Bytes(read_bytes(input)?.to_vec()),
        LIST => {
            let count = read_count(input)?;
            let mut items = Vec::with_capacity(count);
            for _ in 0..count {
                items.push(read_value(input, depth + 1)?);
            }
            Value::List(items)
        }
        MAP => Value::Map(read_properties(input, depth)?),
        NODE => Value::Node(Box::new(read_node(input, depth)?)),
        EDGE => Value::Edge(Box::new(read_edge(input, depth)?)),
        PATH => {
            let count = read_count(input)?;
            let mut path = PathValue {
                nodes: Vec::new(),
                edges: Vec::new(),
            };
            for _ in 0..=count {
                path.nodes.push(read_node(input, depth)?);
            }
            for _ in 0..count {
                path.edges.push(read_edge(input, depth)?);
            }
            Value::Path(Box::new(path))
        }
        DECIMAL => Value::Decimal(read_decimal(input)?),
        tag @ DATE..=DURATION => Value::Temporal(read_temporal(tag, input)?),
        tag => return Err(CodecError::UnknownTag(tag)),
    })
}

fn read_decimal(input: &mut &[u8]) -> Result<Decimal, CodecError> {
    let scale = read_byte(input)?;
    let (bytes, rest) = input
        .split_first_chunk::<DECIMAL_BYTES>()
        .ok_or(CodecError::Truncated)?;
    *input = rest;
    let sign = if bytes[DECIMAL_BYTES - 1] & 0x80 == 0 {
        0
    } else {
        0xff
    };
    let mut wide = [sign; 16];
    wide[..DECIMAL_BYTES].copy_from_slice(bytes);
    Decimal::try_from_i128_with_scale(i128::from_le_bytes(wide), scale.into())
        .map_err(|_| CodecError::Overflow)
}

fn read_temporal(tag: u8, input: &mut &[u8]) -> Result<Temporal, CodecError> {
    Ok(match tag {
        DATE => Temporal::Date(read_date(input)?),
        LOCAL_TIME => Temporal::LocalTime(read_time(input)?),
        TIME => Temporal::Time(Time {
            local: read_time(input)?,
            offset: read_offset(input)?,
        }),
        LOCAL_DATE_TIME => Temporal::LocalDateTime(read_local(input)?),
        DATE_TIME => DateTime::from_stored(read_local(input)?, read_offset(input)?, None).into(),
        DATE_TIME_IN_ZONE => {
            let (local, offset) = (read_local(input)?, read_offset(input)?);
            let zone = Zone::named(&read_string(input)?)?;
            DateTime::from_stored(local, offset, Some(zone)).into()
        }
        _ => {
            let (months, days, seconds) = (read_signed(input)?, read_signed(input)?, read_signed(input)?);
            let nanos = u32::try_from(read_unsigned(input)?).map_err(|_| CodecError::Overflow)?;
            Duration::new(months, days, seconds, nanos.into())?.into()
        }
    })
}

fn read_local(input: &mut &[u8]) -> Result<LocalDateTime, CodecError> {
    Ok(LocalDateTime {
        date: read_date(input)?,
        time: read_time(input)?,
    })
}

fn read_date(input: &mut &[u8]) -> Result<Date, CodecError> {
    Ok(Date::from_epoch_days(read_signed(input)?)?)
}

fn read_time(input: &mut &[u8]) -> Result<LocalTime, CodecError> {
    Ok(LocalTime::from_nanos(read_signed(input)?)?)
}

fn read_offset(input: &mut &[u8]) -> Result<Offset, CodecError> {
    Ok(Offset::new(read_signed(input)?)?)
}

#[inline]
pub(super) fn read_byte(input: &mut &[u8]) -> Result<u8, CodecError> {
    let (byte, rest) = input.split_first().ok_or(CodecError::Truncated)?;
    *input = rest;
    Ok(*byte)
}

#[inline]
pub(super) fn read_signed(input: &mut &[u8]) -> Result<i64, CodecError> {
    let number = read_unsigned(input)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[inline]
fn read_unsigned(input: &mut &[u8]) -> Result<u64, CodecError> {
    // Most numbers are short.
    if let [byte @ 0..0x80, rest @ ..] = *input {
        *input = rest;
        return Ok(u64::from(*byte));
    }
    let mut number = 0u64;
    for shift in (0..).step_by(7) {
        let byte = read_byte(input)?;
        let part = u64::from(byte & 0x7f);
        if shift > 63 || (shift == 63 && part > 1) {
            return Err(CodecError::Overflow);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(number)
}

/// A count of things that take at least one byte each: never more than what is left, so a forged count allocates nothing large.
fn read_count(input: &mut &[u8]) -> Result<usize, CodecError> {
    let count = read_unsigned(input)?;
    if count > input.len() as u64 {
        return Err(CodecError::Truncated);
    }
    Ok(count as usize)
}

#[inline]
pub(super) fn read_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], CodecError> {
    let length = read_count(input)?;
    let (bytes, rest) = input.split_at(length);
    *input = rest;
    Ok(bytes)
}

fn read_string(input: &mut &[u8]) -> Result<String, CodecError> {
    let bytes = read_bytes(input)?;
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| CodecError::NotUtf8)
}

fn read_properties(input: &mut &[u8], depth: usize) -> Result<Properties, CodecError> {
    let count = read_count(input)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push((read_string(input)?, read_value(input, depth + 1)?));
    }
    Ok(entries)
}

fn read_node(input: &mut &[u8], depth: usize) -> Result<NodeValue, CodecError> {
    let id = NodeId(read_unsigned(input)?);
    let count = read_count(input)?;
    let mut labels = Vec::with_capacity(count);
    for _ in 0..count {
        labels.push(read_string(input)?);
    }
    Ok(NodeValue {
        id,
        labels,
        properties: read_properties(input, depth)?,
    })
}

fn read_edge(input: &mut &[u8], depth: usize) -> Result<EdgeValue, CodecError> {
    Ok(EdgeValue {
        id: EdgeId(read_unsigned(input)?),
        edge_type: read_string(input)?,
        start: NodeId(read_unsigned(input)?),
        end: NodeId(read_unsigned(input)?),
        properties: read_properties(input, depth)?,
    })
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
