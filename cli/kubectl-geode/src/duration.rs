//! Durations on the command line: `90s`, `30m`, `2h`, `7d`.

use anyhow::{Result, anyhow};
use k8s_openapi::jiff::SignedDuration;

pub(crate) fn parse(text: &str) -> Result<SignedDuration> {
    let wrong = || anyhow!("{text} is no duration; write a number with s, m, h or d, for example 1h");
    let unit_at = text
        .find(|character: char| !character.is_ascii_digit())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    Ok(SignedDuration::from_secs(number.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("2h", 7_200),
            ("7d", 604_800),
            ("0s", 0),
        ] {
            assert_eq!(parse(text).unwrap().as_secs(), seconds);
        }
        for text in ["5", "h", "5w", "", "-1h"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("is no duration"), "{text}: {error}");
        }
    }
}
