//! Kubernetes quantities: what the API server normalises when it stores an object.

/// The number that a quantity such as `10Gi`, `500m` or `1e9` stands for, in thousandths.
fn thousandths(quantity: &str) -> Option<u128> {
    let unit_at = quantity
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(unit_at);
    let number: f64 = number.parse().ok()?;
    let scale = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024f64,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => exponent(unit)?,
    };
    Some((number * scale * 1e3).round() as u128)
}

fn exponent(unit: &str) -> Option<f64> {
    let exponent: i32 = unit.strip_prefix(['e', 'E'])?.parse().ok()?;
    (0..=30).contains(&exponent).then(|| 10f64.powi(exponent))
}

/// Whether both texts are quantities of the same amount: the API server stores `1024Mi` as `1Gi`.
pub(crate) fn same(left: &str, right: &str) -> bool {
    matches!((thousandths(left), thousandths(right)), (Some(left), Some(right)) if left == right)
}

/// Whether `left` is the smaller amount. Never, when one of them is no quantity.
pub(crate) fn smaller(left: &str, right: &str) -> bool {
    matches!((thousandths(left), thousandths(right)), (Some(left), Some(right)) if left < right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_compared_by_what_they_stand_for() {
        for (left, right, is_same, is_smaller) in [
            ("1024Mi", "1Gi", true, false),
            ("1000m", "1", true, false),
            ("1.5G", "1500M", true, false),
            ("1e9", "1G", true, false),
            ("500m", "1", false, true),
            ("1G", "1Gi", false, true),
            ("lots", "lots", false, false),
            ("", "1", false, false),
        ] {
            assert_eq!(
                (same(left, right), smaller(left, right)),
                (is_same, is_smaller),
                "{left} {right}"
            );
        }
    }
}
