//! Sizes and durations with units, as people write them: `300ms`, `5s`, `2GB`, `64MiB`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A length of time, written as a number with `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

/// A number of bytes, written as a number with `KB`, `MB`, `GB`, `TB` (powers of 1000) or `Ki`, `Mi`, `Gi`, `Ti`, also with `B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Duration {
    /// Milliseconds.
    pub const fn millis(count: u64) -> Self {
        Self(std::time::Duration::from_millis(count))
    }

    /// Seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(std::time::Duration::from_secs(count))
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let millis_per_unit = match unit {
            "ms" => 1.0,
            "s" | "" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        let millis = number * millis_per_unit;
        (millis < 1e15).then(|| Self::millis(millis.round() as u64))
    }
}

impl Bytes {
    /// Mebibytes.
    pub const fn mebi(count: u64) -> Self {
        Self(count << 20)
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let unit = unit.strip_suffix('B').unwrap_or(unit);
        let scale: f64 = match unit {
            "" => 1.0,
            "K" | "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "Ki" => 1024.0,
            "Mi" => 1_048_576.0,
            "Gi" => 1_073_741_824.0,
            "Ti" => 1_099_511_627_776.0,
            _ => return None,
        };
        let bytes = number * scale;
        (bytes < 1e18).then(|| Self(bytes.round() as u64))
    }
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) {
            write!(f, "{}s", millis / 1000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes > 0 && bytes.is_multiple_of(1 << 30) => write!(f, "{}Gi", bytes >> 30),
            bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => write!(f, "{}Mi", bytes >> 20),
            bytes => write!(f, "{bytes}"),
        }
    }
}

/// Accepts a string with a unit or a plain number.
struct Unit<T> {
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> de::Visitor<'_> for Unit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unit {
            expected: "a duration such as 300ms, 5s or 10m",
            parse: Self::parse,
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unit {
            expected: "a size such as 64MiB or 2GB",
            parse: Self::parse,
        })
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_mean_what_people_mean() {
        let durations = [
            ("300ms", 300),
            ("5s", 5_000),
            ("5", 5_000),
            ("1.5s", 1_500),
            ("10m", 600_000),
            ("1h", 3_600_000),
        ];
        for (text, millis) in durations {
            assert_eq!(Duration::parse(text), Some(Duration::millis(millis)), "{text}");
        }
        let sizes = [
            ("2GB", 2_000_000_000),
            ("64MiB", 64 << 20),
            ("64Mi", 64 << 20),
            ("1024", 1024),
            ("1 Gi", 1 << 30),
        ];
        for (text, bytes) in sizes {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
        for bad in ["", "s", "-5s", "5 parsecs", "1e30h"] {
            assert_eq!((Duration::parse(bad), Bytes::parse(bad)), (None, None), "{bad}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        for duration in [Duration::millis(300), Duration::seconds(90), Duration::seconds(0)] {
            assert_eq!(Duration::parse(&duration.to_string()), Some(duration));
        }
        for size in [Bytes(0), Bytes(1000), Bytes::mebi(64), Bytes::mebi(2048)] {
            assert_eq!(Bytes::parse(&size.to_string()), Some(size));
        }
    }
}
