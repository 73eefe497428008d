//! What became of each test when it was run last: read from what the test runner prints, kept in the cache for `cargo xtask faults`. Tests that CI
//! does not run have their last results in a report that is committed.

use crate::paths;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

/// `true`: it passed.
pub(crate) type Results = BTreeMap<String, bool>;

/// The committed report of `cargo xtask e2e --all`.
const REPORT: &str = "docs/e2e-report.md";

fn file() -> Result<PathBuf> {
    Ok(paths::cache()?.join("test-results"))
}

/// All that is known: what was run here counts more than what the report says.
pub(crate) fn known() -> Result<Results> {
    let report = fs::read_to_string(paths::repository().join(REPORT)).unwrap_or_default();
    let mut all: Results = report.lines().filter_map(reported).collect();
    all.extend(run_here()?);
    Ok(all)
}

/// A line of the report.
fn reported(line: &str) -> Option<(String, bool)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    let name = cells.next()?.strip_suffix('`')?;
    Some((name.to_owned(), cells.next()? == "ok"))
}

fn run_here() -> Result<Results> {
    let text = fs::read_to_string(file()?).unwrap_or_default();
    let line = |line: &str| Some((line.split_once(' ')?.1.to_owned(), line.starts_with("ok ")));
    Ok(text.lines().filter_map(line).collect())
}

/// Runs tests, passes on what they print, and remembers how each ended.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    passing_on(command).and_then(|(reader, status)| end(reader, status))
}

/// The same, and writes the report of them.
pub(crate) fn run_and_report(command: &mut Command, head: &str) -> Result<()> {
    let (reader, status) = passing_on(command)?;
    fs::write(paths::repository().join(REPORT), reader.report(head)).context(REPORT)?;
    end(reader, status)
}

fn passing_on(command: &mut Command) -> Result<(Reader, ExitStatus)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("start the tests")?;
    let printed = child.stdout.take().context("the tests' output")?;
    let mut reader = Reader::default();
    for line in BufReader::new(printed).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        reader.line(&line);
    }
    Ok((reader, child.wait()?))
}

/// The same, but what they print is printed when all of it is there: others run meanwhile.
pub(crate) fn run_quietly(name: &str, command: &mut Command) -> Result<()> {
    let ended = command.stdin(Stdio::null()).output().context("start the tests")?;
    let printed = String::from_utf8_lossy(&ended.stdout);
    let mut reader = Reader::default();
    printed.lines().for_each(|line| reader.line(line));
    let complaints = String::from_utf8_lossy(&ended.stderr);
    println!("     Running {name}\n{complaints}{printed}");
    end(reader, ended.status)
}

/// Remembers how each test ended.
fn end(reader: Reader, status: ExitStatus) -> Result<()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = run_here()?;
    all.extend(reader.results);
    let lines: Vec<String> = all
        .iter()
        .map(|(name, passed)| format!("{} {name}", if *passed { "ok" } else { "FAILED" }))
        .collect();
    fs::write(file()?, lines.join("\n")).context("write the results")?;
    if !status.success() {
        bail!("the tests ended with {status}");
    }
    Ok(())
}

/// Understands libtest's lines. With `--nocapture` a test's own lines stand between its name and its result.
#[derive(Default)]
struct Reader {
    current: Option<Current>,
    results: Results,
    /// Rows of the report.
    rows: Vec<String>,
}

/// A test that runs, and what it has printed.
struct Current {
    name: String,
    said: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let mut said = line;
        if let Some((name, rest)) = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "))
        {
            self.current = Some(Current {
                name: name.to_owned(),
                said: Vec::new(),
            });
            said = rest;
        }
        let passed = match said {
            "ok" => true,
            "FAILED" => false,
            other => {
                if let Some(current) = self.current.as_mut().filter(|_| !other.is_empty()) {
                    current.said.push(other.replace('|', "/"));
                }
                return;
            }
        };
        if let Some(Current { name, said }) = self.current.take() {
            let verdict = if passed { "ok" } else { "FAILED" };
            self.rows
                .push(format!("| `{name}` | {verdict} | {} |", said.join("<br>")));
            self.results.insert(name, passed);
        }
    }

    fn report(&self, head: &str) -> String {
        let rows = self.rows.join("\n");
        format!("{head}\n\n| test | result | what it saw |\n|---|---|---|\n{rows}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_with_and_without_captured_output() {
        let mut reader = Reader::default();
        for line in [
            "test a::one ... ok",
            "test a::two ... FAILED",
            "test three ... it says something",
            "and more",
            "ok",
            "ok",
            "test result: ok. 3 passed; 0 failed",
        ] {
            reader.line(line);
        }
        let expected = [("a::one", true), ("a::two", false), ("three", true)];
        let expected: Results = expected.map(|(name, passed)| (name.to_owned(), passed)).into();
        assert_eq!(reader.results, expected);
        let report = reader.report("# Report");
        assert!(
            report.contains("| `three` | ok | it says something<br>and more |"),
            "{report}"
        );
        assert_eq!(report.lines().filter_map(reported).collect::<Results>(), expected);
    }
}
