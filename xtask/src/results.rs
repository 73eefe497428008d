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

/// Understands libtest's lines. With `--nocapture` a test's own lines stand between its name and its result, with `--show-output` in a
/// section behind all results.
#[derive(Default)]
struct Reader {
    /// Whose lines these are.
    current: Option<String>,
    results: Results,
    /// What each test has printed.
    said: BTreeMap<String, Vec<String>>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let section = line
            .strip_prefix("---- ")
            .and_then(|line| line.strip_suffix(" stdout ----"));
        if let Some(name) = section {
            self.current = Some(name.to_owned());
            return;
        }
        let mut said = line;
        if let Some((name, rest)) = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "))
        {
            self.current = Some(name.to_owned());
            said = rest;
        }
        match (said, &self.current) {
            ("ok" | "FAILED", Some(name)) => {
                self.results.insert(name.clone(), said == "ok");
                self.current = None;
            }
            ("successes:" | "failures:", _) => self.current = None,
            (said, Some(name)) if !said.is_empty() => {
                let lines = self.said.entry(name.clone()).or_default();
                lines.push(said.replace('|', "/"));
            }
            _ => {}
        }
    }

    fn report(&self, head: &str) -> String {
        let row = |(name, passed): (&String, &bool)| {
            let verdict = if *passed { "ok" } else { "FAILED" };
            let said = self.said.get(name).map(Vec::as_slice).unwrap_or_default();
            // What a failed test shows of its cluster is for who debugs it.
            let said: Vec<&str> = said
                .iter()
                .map(String::as_str)
                .take_while(|line| !line.starts_with("--- "))
                .collect();
            format!("| `{name}` | {verdict} | {} |", said.join("<br>"))
        };
        let rows: Vec<String> = self.results.iter().map(row).collect();
        format!(
            "{head}\n\n| test | result | what it saw |\n|---|---|---|\n{}\n",
            rows.join("\n")
        )
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
            "successes:",
            "",
            "---- a::one stdout ----",
            "it took 1 s",
            "",
            "failures:",
            "---- a::two stdout ----",
            "Error: no",
            "--- kubectl get pods",
            "test result: FAILED. 2 passed; 1 failed",
        ] {
            reader.line(line);
        }
        let expected = [("a::one", true), ("a::two", false), ("three", true)];
        let expected: Results = expected.map(|(name, passed)| (name.to_owned(), passed)).into();
        assert_eq!(reader.results, expected);
        let report = reader.report("# Report");
        for row in [
            "| `three` | ok | it says something<br>and more |",
            "| `a::one` | ok | it took 1 s |",
            "| `a::two` | FAILED | Error: no |",
        ] {
            assert!(report.contains(row), "{report}");
        }
        assert_eq!(report.lines().filter_map(reported).collect::<Results>(), expected);
    }
}
