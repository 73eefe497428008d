//! The short way to read the commonest values: without memory of their own, and without going through [`super::Value`].

use super::codec::{FALSE, FLOAT, INT, NULL, STRING, TRUE, read_byte, read_bytes, read_signed};

/// A value that needs no memory beside the bytes that it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit floating point number.
    Float(f64),
    /// Text.
    String(&'a str),
}

/// The value of these bytes, if it is one of these and nothing follows it. For anything else, damage included, ask
/// [`super::codec::decode_value`].
#[inline]
pub fn decode_scalar(mut bytes: &[u8]) -> Option<Scalar<'_>> {
    let input = &mut bytes;
    let scalar = match read_byte(input).ok()? {
        NULL => Scalar::Null,
        FALSE => Scalar::Bool(false),
        TRUE => Scalar::Bool(true),
        INT => Scalar::Int(read_signed(input).ok()?),
        FLOAT => {
            let (number, rest) = input.split_first_chunk::<8>()?;
            *input = rest;
            Scalar::Float(f64::from_le_bytes(*number))
        }
        STRING => Scalar::String(std::str::from_utf8(read_bytes(input).ok()?).ok()?),
        _ => return None,
    };
    input.is_empty().then_some(scalar)
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;
    use crate::encode_value;

    fn bytes(value: Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode_value(&value, &mut out);
        out
    }

    #[test]
    fn scalars_are_what_was_encoded_and_nothing_else_is_one() {
        for (value, scalar) in [
            (Value::Null, Scalar::Null),
            (Value::Bool(true), Scalar::Bool(true)),
            (Value::Bool(false), Scalar::Bool(false)),
            (Value::Int(i64::MIN), Scalar::Int(i64::MIN)),
            (Value::Int(1 << 40), Scalar::Int(1 << 40)),
            (Value::Float(-0.5), Scalar::Float(-0.5)),
            (Value::from("é"), Scalar::String("é")),
        ] {
            let mut encoded = bytes(value);
            assert_eq!(decode_scalar(&encoded), Some(scalar));
            encoded.push(0);
            assert_eq!(decode_scalar(&encoded), None, "something follows {scalar:?}");
            encoded.truncate(encoded.len() - 2);
            assert_ne!(decode_scalar(&encoded), Some(scalar));
        }
        assert_eq!(decode_scalar(&bytes(Value::List(vec![]))), None);
        assert_eq!(decode_scalar(&bytes(Value::Bytes(vec![1]))), None);
        assert_eq!(decode_scalar(&[STRING, 1, 0xff]), None);
        assert_eq!(decode_scalar(&[]), None);
    }
}
