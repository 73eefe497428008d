//! Rules about source files.

use crate::command::output;
use crate::paths;
use anyhow::{Context, Result};
use std::process::Command;

/// A file longer than this is more than one thing.
const LINES_MAX: usize = 500;
/// What unfinished or switched-off code contains. Split, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimple", "mented!("),
    concat!("#[ign", "ore"),
    concat!("FIX", "ME"),
];

/// End-to-end tests that CI leaves to a longer run say so, in these words.
const LONG: &str = concat!("#[ign", "ore = \"long: `cargo xtask e2e --all` runs it\"]");

pub(super) fn check() -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .arg(":!third_party")
        .current_dir(paths::repository());
    let mut broken = Vec::new();
    for file in output(&mut command)?.lines() {
        let path = paths::repository().join(file);
        if !path.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
        let is_test = file.contains("/tests/")
            || file.starts_with("tests/")
            || file.ends_with("_tests.rs")
            || file.ends_with("/tests.rs");
        let lines = text.lines().count();
        if lines > LINES_MAX && !is_test {
            broken.push(format!("{file}: {lines} lines, at most {LINES_MAX}"));
        }
        if !text.starts_with("//!") && !is_test {
            broken.push(format!(
                "{file}: begins without a `//!` line that says what the module owns"
            ));
        }
        for word in UNFINISHED {
            let is_long = |line: &str| file.starts_with("e2e/tests/") && line == LONG;
            let mut lines = text.lines();
            if let Some(line) = lines.position(|line| line.contains(word) && !is_long(line)) {
                broken.push(format!("{file}:{}: contains {word}", line + 1));
            }
        }
    }
    Ok(broken)
}
