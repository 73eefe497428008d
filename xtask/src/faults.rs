//! `cargo xtask faults`: the matrix of faults, which test shows what happens, and how that test ended when it was run last.
//! Rows come from `tests/faults.txt`; results from `cargo xtask test` and `cargo xtask e2e` on this machine.

use crate::paths;
use crate::progress::note;
use crate::results::{Results, known};
use anyhow::{Context, Result, bail};
use std::fs;

const SOURCE: &str = "tests/faults.txt";
const MATRIX: &str = "docs/fault-matrix.md";

/// Writes the matrix.
pub(crate) fn run() -> Result<()> {
    let source = fs::read_to_string(paths::repository().join(SOURCE)).context(SOURCE)?;
    let results = known()?;
    let mut text = format!(
        "# Faults\n\nWritten by `cargo xtask faults` from `{SOURCE}` and the last results of `cargo xtask test` and `cargo xtask e2e`. The simulation \
         draws its faults from the seed; every seed has several.\n\n| # | fault | shown by | last result |\n|---|---|---|---|\n"
    );
    let mut unknown = Vec::new();
    for row in source
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        text += &line(row, &results, &mut unknown)?;
    }
    if !unknown.is_empty() {
        bail!(
            "no results of {}; run `cargo xtask test` and `cargo xtask e2e`, or mend {SOURCE}",
            unknown.join(", ")
        );
    }
    fs::write(paths::repository().join(MATRIX), text).context(MATRIX)?;
    note(&format!("wrote {MATRIX}"));
    Ok(())
}

/// A row of the source: number, fault, and tests with commas between them, or `-` and what it waits for.
fn line(row: &str, results: &Results, unknown: &mut Vec<String>) -> Result<String> {
    let mut parts = row.split('|').map(str::trim);
    let (Some(number), Some(fault), Some(tests)) = (parts.next(), parts.next(), parts.next()) else {
        bail!("{SOURCE}: {row:?} has fewer than three parts");
    };
    if let Some(missing) = tests.strip_prefix('-') {
        return Ok(format!("| {number} | {fault} | – | {} |\n", missing.trim()));
    }
    let names: Vec<&str> = tests.split(',').map(str::trim).collect();
    let ends = |name: &&str| {
        results
            .iter()
            .find(|(known, _)| known.rsplit("::").next() == Some(name))
            .map(|(_, passed)| *passed)
    };
    let all: Vec<Option<bool>> = names.iter().map(ends).collect();
    for (name, _) in names.iter().zip(&all).filter(|(_, end)| end.is_none()) {
        unknown.push((*name).to_owned());
    }
    let verdict = if all.iter().all(|end| *end == Some(true)) {
        "ok"
    } else {
        "FAILED"
    };
    let shown: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Ok(format!(
        "| {number} | {fault} | {} | {verdict} |\n",
        shown.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_its_tests_and_the_worst_result() {
        let results: Results = [("m::a".to_owned(), true), ("b".to_owned(), false)].into();
        let mut unknown = Vec::new();
        let mut shown = |row: &str| line(row, &results, &mut unknown).unwrap();
        assert_eq!(shown("1 | kill | a"), "| 1 | kill | `a` | ok |\n");
        assert_eq!(shown("2 | cut | a, b"), "| 2 | cut | `a`, `b` | FAILED |\n");
        assert_eq!(shown("3 | age | - issue 5"), "| 3 | age | – | issue 5 |\n");
        shown("4 | x | c");
        assert_eq!(unknown, ["c"]);
    }
}
