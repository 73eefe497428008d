//! `cargo xtask guides DIR`: are the statements of the guides all among the scenarios, letter for letter?
//!
//! The copies are part of the repository and run without the guides; this compares them when the guides are there. What the copies have is
//! taken out of each guide, and nothing that looks like a statement may be left.

use crate::paths;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

const COPIES: &str = "crates/geode-query/tests/scenarios/guides";

/// What statements consist of. They are upper case in the guides, so that prose has none of them.
const BEGINNINGS: [&str; 22] = [
    "ALTER ",
    "BEGIN TRANSACTION",
    "COMMIT",
    "CREATE (",
    "CREATE CHECKPOINT",
    "CREATE GRAPH",
    "CREATE POLICY",
    "CREATE USER",
    "DROP ",
    "GRANT ",
    "INSERT (",
    "KILL ",
    "MATCH (",
    "MERGE ",
    "ON MATCH",
    "ORDER BY",
    "RETURN ",
    "ROLLBACK",
    "SELECT",
    "SET ",
    "UNWIND ",
    "WHERE ",
];

/// Compares all guides with their copies.
pub(crate) fn run(guides: &Path) -> Result<()> {
    let mut problems = Vec::new();
    let mut count = 0;
    let mut names = Vec::new();
    for entry in fs::read_dir(guides).with_context(|| format!("the guides in {}", guides.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            names.push(path);
        }
    }
    names.sort();
    for path in names {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let copy = paths::repository().join(COPIES).join(format!("{name}.gql"));
        let guide = fs::read_to_string(&path)?;
        let copy = fs::read_to_string(&copy)
            .with_context(|| format!("{} has no copy {}", path.display(), copy.display()))?;
        let statements = statements(&copy);
        count += statements.len();
        problems.extend(
            compare(&guide, &statements)
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    if count == 0 {
        bail!("there are no guides in {}", guides.display());
    }
    println!("{count} statements, all of the guides'");
    Ok(())
}

/// The statements that a scenario file has of its guide: each `--- query`, or the template that stands before it.
fn statements(copy: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_template = false;
    for part in copy.split("\n--- ").skip(1) {
        let part = part.split("\n===").next().unwrap_or_default();
        let (section, body) = part.split_once('\n').unwrap_or((part, ""));
        match section {
            "source" => found.push(plain(body)),
            "query" if !is_template => found.push(plain(body)),
            _ => {}
        }
        is_template = section == "source";
    }
    found
}

/// What is wrong: statements that the guide does not have, lines of it that are in no statement.
fn compare(guide: &str, statements: &[String]) -> Vec<String> {
    let mut rest = plain(guide);
    let mut problems = Vec::new();
    let mut longest_first: Vec<&String> = statements.iter().collect();
    longest_first.sort_by_key(|statement| std::cmp::Reverse(statement.len()));
    longest_first.dedup();
    for statement in longest_first {
        if !rest.contains(statement.as_str()) {
            problems.push(format!("the guide does not have\n{statement}"));
        }
        rest = rest.replace(statement.as_str(), "\0");
    }
    let left = rest
        .lines()
        .filter(|line| BEGINNINGS.iter().any(|beginning| has_word(line, beginning)));
    problems.extend(left.map(|line| format!("no scenario has\n{line}")));
    problems
}

/// Whether the text has these words, and not as the end of a longer one.
fn has_word(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
    })
}

/// Lines without indentation, none of them empty: how a guide is laid out says nothing.
fn plain(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "Reads\n\n  -- all\n  MATCH (n)\n  RETURN n;\nRun \"MATCH (n)\" and \"UNWIND range(1, {k}) AS i CREATE (:A {{}})\".\n";
    const COPY: &str = "=== Reads: all\n--- query\n-- all\nMATCH (n)\nRETURN n;\n--- rows\nn\n=== Reads: more\n--- query\nMATCH (n)\n--- rows\nn\n\
                        --- source\nUNWIND range(1, {k}) AS i CREATE (:A {{}})\n--- query\nUNWIND range(1, 2) AS i CREATE (:A {})\n--- after\nMATCH (a) RETURN a\n";

    #[test]
    fn a_copy_with_every_statement_is_whole() {
        assert_eq!(statements(COPY).len(), 3);
        assert_eq!(compare(GUIDE, &statements(COPY)), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_or_not_of_the_guide_is_named() {
        let copied = statements(COPY);
        let missing = compare(GUIDE, &copied[1..]);
        assert_eq!(missing, ["no scenario has\nRETURN n;"]);
        let more = compare(GUIDE, &[copied, vec!["MATCH (m)".to_owned()]].concat());
        assert_eq!(more, ["the guide does not have\nMATCH (m)"]);
    }
}
