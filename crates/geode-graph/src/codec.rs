//! LEB128 numbers and length-prefixed bytes, shared by records, commands and blocks. Reading never trusts a length.

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early, or a count promises more than there is.
    #[error("the bytes end too early")]
    Truncated,
    /// A number does not fit its type.
    #[error("a number does not fit its type")]
    Overflow,
    /// A tag or version that this version does not know.
    #[error("unknown tag {0:#04x}; was it written by a newer version?")]
    UnknownTag(u8),
    /// Text that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A property value that is not a value.
    #[error("a property value cannot be read")]
    BadValue,
    /// Ids or keys that must ascend do not.
    #[error("entries are not in ascending order")]
    Unsorted,
    /// Bytes after the end.
    #[error("bytes follow the end")]
    Trailing,
}

pub(crate) type Decoded<T> = Result<T, DecodeError>;

pub(crate) fn put_u64(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_u64(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[inline]
pub(crate) fn take_u8(input: &mut &[u8]) -> Decoded<u8> {
    let (byte, rest) = input.split_first().ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok(*byte)
}

#[inline]
pub(crate) fn take_u64(input: &mut &[u8]) -> Decoded<u64> {
    // Most numbers are short.
    if let [byte @ 0..0x80, rest @ ..] = *input {
        *input = rest;
        return Ok(u64::from(*byte));
    }
    let mut number = 0u64;
    let mut shift = 0;
    loop {
        let byte = take_u8(input)?;
        let part = u64::from(byte & 0x7f);
        if shift > 63 || (shift == 63 && part > 1) {
            return Err(DecodeError::Overflow);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
    }
}

#[inline]
pub(crate) fn take_u32(input: &mut &[u8]) -> Decoded<u32> {
    u32::try_from(take_u64(input)?).map_err(|_| DecodeError::Overflow)
}

/// A count of things of at least one byte each, so that a forged count allocates nothing large.
#[inline]
pub(crate) fn take_count(input: &mut &[u8]) -> Decoded<usize> {
    let count = take_u64(input)?;
    if count > input.len() as u64 {
        Err(DecodeError::Truncated)
    } else {
        Ok(count as usize)
    }
}

#[inline]
pub(crate) fn take_bytes<'a>(input: &mut &'a [u8]) -> Decoded<&'a [u8]> {
    let length = take_count(input)?;
    let (bytes, rest) = input.split_at(length);
    *input = rest;
    Ok(bytes)
}

pub(crate) fn take_str<'a>(input: &mut &'a [u8]) -> Decoded<&'a str> {
    std::str::from_utf8(take_bytes(input)?).map_err(|_| DecodeError::NotUtf8)
}

pub(crate) fn take_array<const N: usize>(input: &mut &[u8]) -> Decoded<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok(*bytes)
}

pub(crate) fn end_of(input: &[u8]) -> Decoded<()> {
    if input.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::Trailing)
    }
}
