//! What the three programs tell the outside: logs ([`init_logging`]), metrics ([`render`]) and small HTTP pages ([`http`]).
//!
//! It knows no metric: each program registers its own with a [`prometheus::Registry`] that it passes around.

pub mod http;
mod logging;

pub use logging::{LoggingError, init_logging};
pub use prometheus;

use std::collections::BTreeSet;

/// The registry's metrics in the Prometheus text format.
pub fn render(registry: &prometheus::Registry) -> String {
    prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be rendered");
            String::new()
        })
}

/// The names of Geode's metrics in the expressions of a file of alert rules, or in a page of metrics. A histogram is named without `_bucket`,
/// `_sum` and `_count`.
pub fn metric_names(text: &str) -> BTreeSet<String> {
    // Names of groups, labels and sentences are no metrics.
    let is_prose = |line: &&str| {
        ["- name:", "#", "summary:", "description:"]
            .iter()
            .any(|start| line.trim().starts_with(start))
    };
    let lines = text.lines().filter(|line| !is_prose(line));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let names = words.filter(|word| word.starts_with("geode_") && *word != "geode_cluster");
    let base = |name: &str| {
        let suffix = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        suffix.unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_expressions_and_pages() {
        let text = "- name: geode_alerts\n# geode_prose\nexpr: sum by (geode_cluster) (rate(geode_a_bucket[5m])) / geode_b{x=\"y\"} > 1\ndescription: geode_c\ngeode_d 3\n";
        let names: Vec<String> = metric_names(text).into_iter().collect();
        assert_eq!(names, ["geode_a", "geode_b", "geode_d"]);
    }
}
