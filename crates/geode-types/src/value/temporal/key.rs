//! Temporal values as bytes whose order is theirs, for keys of indexes.

use super::{DateTime, LocalDateTime, Temporal};

/// Ends the name of a zone, which never contains it.
const NAME_END: u8 = 0;

impl Temporal {
    /// Appends bytes that compare as values of one kind do; equal values have equal bytes, and none are the beginning of others.
    pub fn put_ordered(&self, out: &mut Vec<u8>) {
        match self {
            Self::Date(date) => put(date.epoch_days(), out),
            Self::LocalTime(time) => put(time.nanos(), out),
            Self::Time(time) => {
                put(time.utc_nanos(), out);
                put(time.offset.seconds().into(), out);
            }
            Self::LocalDateTime(value) => put_local(*value, out),
            Self::DateTime(value) => put_moment(value, out),
            Self::Duration(value) => {
                out.extend_from_slice(&(value.average_nanos() ^ i128::MIN).to_be_bytes());
                put(value.months(), out);
                put(value.days(), out);
            }
        }
    }
}

/// The sign bit is turned, so that negative numbers come first.
fn put(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(number ^ i64::MIN).to_be_bytes());
}

fn put_local(value: LocalDateTime, out: &mut Vec<u8>) {
    put(value.date.epoch_days(), out);
    put(value.time.nanos(), out);
}

fn put_moment(value: &DateTime, out: &mut Vec<u8>) {
    put(value.epoch_seconds(), out);
    put(value.local().time.nanosecond(), out);
    put(value.offset().seconds().into(), out);
    out.extend_from_slice(value.zone().map_or("", super::Zone::name).as_bytes());
    out.push(NAME_END);
}
