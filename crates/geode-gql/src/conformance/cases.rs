//! Counting cases in scenario files; the build script uses this too, so it is on its own.

use std::collections::BTreeMap;

/// Adds the cases of a file: accepted statements, refused statements, and queries with their results, by feature.
pub(crate) fn count(text: &str, counts: &mut BTreeMap<String, [usize; 3]>) {
    let mut feature = String::new();
    let mut lines_of = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            name.split_whitespace()
                .next()
                .unwrap_or_default()
                .clone_into(&mut feature);
            lines_of = None;
        } else if let Some(section) = line.strip_prefix("--- ") {
            lines_of = match section {
                "accepted" => Some(0),
                "refused" => Some(1),
                _ => None,
            };
            let column = match section {
                "error" => Some(1),
                "rows" | "rows in order" => Some(2),
                _ => None,
            };
            if let Some(column) = column {
                counts.entry(feature.clone()).or_default()[column] += 1;
            }
        } else if let Some(column) = lines_of.filter(|_| !line.trim().is_empty()) {
            counts.entry(feature.clone()).or_default()[column] += 1;
        }
    }
}
