//! What became of each test when it was run last: read from what the test runner prints, kept in the cache for `cargo xtask faults`.

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

fn file() -> Result<PathBuf> {
    Ok(paths::cache()?.join("test-results"))
}

/// All that is known.
pub(crate) fn known() -> Result<Results> {
    let text = fs::read_to_string(file()?).unwrap_or_default();
    let line = |line: &str| Some((line.split_once(' ')?.1.to_owned(), line.starts_with("ok ")));
    Ok(text.lines().filter_map(line).collect())
}

/// Runs tests, passes on what they print, and remembers how each ended.
pub(crate) fn run(command: &mut Command) -> Result<()> {
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
    end(reader, child.wait()?)
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
    let mut all = known()?;
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
    current: Option<String>,
    results: Results,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let mut said = line;
        if let Some((name, rest)) = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "))
        {
            self.current = Some(name.to_owned());
            said = rest;
        }
        let passed = match said {
            "ok" => true,
            "FAILED" => false,
            _ => return,
        };
        if let Some(name) = self.current.take() {
            self.results.insert(name, passed);
        }
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
        assert_eq!(
            reader.results,
            expected.map(|(name, passed)| (name.to_owned(), passed)).into()
        );
    }
}
