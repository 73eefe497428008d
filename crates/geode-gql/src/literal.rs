//! Decodes the contents of literals: escapes, number bases, hexadecimal bytes.

use crate::token::TokenKind;
use crate::{Source, Span, syntax_error};
use geode_types::temporal::Duration;
use geode_types::{Decimal, QueryError};

/// Whether the characters of a number token form a number of its kind.
pub(crate) fn number_is_well_formed(text: &str, kind: TokenKind) -> bool {
    if text.ends_with('_') || text.contains("__") {
        return false;
    }
    let digits = plain(text);
    match kind {
        TokenKind::Float | TokenKind::Decimal => without_suffix(&digits).parse::<f64>().is_ok(),
        _ => match base(&digits) {
            Some((radix, digits)) => !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)),
            None => digits.bytes().all(|byte| byte.is_ascii_digit()),
        },
    }
}

/// The magnitude of an integer literal, or `None` when it does not fit 64 bits.
pub(crate) fn integer(text: &str) -> Option<u64> {
    let digits = plain(text);
    match base(&digits) {
        Some((radix, digits)) => u64::from_str_radix(digits, radix).ok(),
        None => digits.parse().ok(),
    }
}

/// A float literal, or `None` when it is infinite in 64 bits.
pub(crate) fn float(text: &str) -> Option<f64> {
    without_suffix(&plain(text))
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// A decimal literal, or `None` when it has more digits than are kept.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let digits = plain(text);
    let digits = without_suffix(&digits);
    if digits.contains(['e', 'E']) {
        Decimal::from_scientific(digits).ok()
    } else {
        Decimal::from_str_exact(digits).ok()
    }
}

/// Units of time behind a number: their seconds and nanoseconds. `m` and `d` are suffixes of numbers (ISO/IEC 39075, 21.2), so a minute
/// is `min`, and days have no unit.
const UNITS_OF_TIME: [(&str, i64, i64); 6] = [
    ("ns", 0, 1),
    ("us", 0, 1_000),
    ("ms", 0, 1_000_000),
    ("s", 1, 0),
    ("min", 60, 0),
    ("h", 3600, 0),
];

/// A whole number with a unit of time behind it, or `None` when it is something else or too long.
pub(crate) fn amount_of_time(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c != '_' && !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit);
    let (_, seconds, nanos) = UNITS_OF_TIME
        .into_iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(unit))?;
    if !number_is_well_formed(digits, TokenKind::Int) {
        return None;
    }
    let number = i64::try_from(integer(digits)?).ok()?;
    Duration::new(0, 0, number.checked_mul(seconds)?, number.checked_mul(nanos)?).ok()
}

fn without_suffix(digits: &str) -> &str {
    digits.trim_end_matches(['m', 'M', 'f', 'F', 'd', 'D'])
}

fn plain(text: &str) -> String {
    text.replace('_', "")
}

fn base(digits: &str) -> Option<(u32, &str)> {
    let (prefix, rest) = digits.split_at_checked(2)?;
    let radix = match prefix {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return None,
    };
    Some((radix, rest))
}

/// The text of a quoted token: quotes off, doubled quotes single, escapes decoded.
pub(crate) fn text(source: Source<'_>, span: Span) -> Result<String, QueryError> {
    let raw = source.slice(span);
    let mut chars = raw.char_indices();
    let quote = chars.next().map_or('\'', |(_, c)| c);
    let escapes = quote != '`';
    let mut out = String::with_capacity(raw.len());
    while let Some((offset, c)) = chars.next() {
        if c == quote {
            if chars.next().is_some() {
                out.push(quote);
            }
        } else if c == '\\' && escapes {
            let (_, escape) = chars.next().unwrap_or((0, '\\'));
            let start = span.start as usize + offset;
            match escape {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                '\\' | '\'' | '"' | '`' => out.push(escape),
                'u' | 'U' => out.push(code_point(source, &mut chars, escape, start)?),
                other => {
                    let at = Span::new(start, start + 1 + other.len_utf8());
                    let message = format!("\\{other} is not an escape sequence");
                    return Err(syntax_error(source, at, "UnexpectedSyntax", message)
                        .hint("known are \\\\ \\' \\\" \\` \\n \\t \\r \\b \\f \\uXXXX \\UXXXXXX; a backslash itself is \\\\"));
                }
            }
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

fn code_point(
    source: Source<'_>,
    chars: &mut std::str::CharIndices<'_>,
    escape: char,
    start: usize,
) -> Result<char, QueryError> {
    let length = if escape == 'u' { 4 } else { 6 };
    let digits: String = chars.as_str().chars().take(length).collect();
    let well_formed = digits.chars().count() == length && digits.chars().all(|c| c.is_ascii_hexdigit());
    let decoded = well_formed
        .then(|| u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32))
        .flatten();
    let Some(decoded) = decoded else {
        let message = format!("\\{escape} needs {length} hexadecimal digits that name a Unicode character");
        return Err(syntax_error(
            source,
            Span::new(start, start + 2),
            "InvalidUnicodeLiteral",
            message,
        ));
    };
    for _ in 0..length {
        chars.next();
    }
    Ok(decoded)
}

/// The bytes of an `X'…'` token; blanks between digits are allowed, as ISO 39075 has it.
pub(crate) fn bytes(source: Source<'_>, span: Span) -> Result<Vec<u8>, QueryError> {
    let raw = source.slice(span);
    let inner = raw.get(2..raw.len().saturating_sub(1)).unwrap_or_default();
    let digits: Vec<u32> = inner
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap_or(16))
        .collect();
    if !digits.len().is_multiple_of(2) || digits.contains(&16) {
        let message = "a byte string needs pairs of hexadecimal digits, such as X'00FF'";
        return Err(syntax_error(source, span, "UnexpectedSyntax", message));
    }
    Ok(digits
        .chunks_exact(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect())
}
