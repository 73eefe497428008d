//! `cargo xtask mutants [NAME]`: does a test fail when something is broken on purpose? Builds the tests with the feature
//! `geode-mutation/on`, switches one defect on at a time, and writes down which tests notice it first: under a defect the suites are run
//! from the least powerful level up, and no further than to the first that fails. Only the control run, without a defect, runs all.

use crate::cargo::{EVERYTHING, cargo};
use crate::programs::{self, Program};
use crate::progress::{note, step};
use crate::{paths, prerequisites};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is run, from the least powerful level up: names of test programs, as cargo calls their targets. The first are libraries' own tests.
const SUITES: [Suite; 4] = [
    ("unit", &["geode_log", "geode_graph", "geode_server"]),
    ("log", &["log"]),
    ("graph", &["graph"]),
    ("simulation", &["simulation"]),
];
/// Seeds of the simulation under each defect.
const SEEDS: &str = "24";
const SOURCE: &str = "crates/geode-mutation/src/lib.rs";
const REPORT: &str = "docs/mutations.md";
/// A suite that takes longer hangs, which is a way to notice, seconds.
const PATIENCE_SECONDS: &str = "600";
/// How many tests are named in a cell.
const NAMED: usize = 3;

/// A level of tests, and its programs.
type Suite = (&'static str, &'static [&'static str]);

/// A defect, as `geode-mutation` declares it.
struct Mutation {
    name: String,
    what: String,
}

/// What noticed a defect: the first suite that failed, and the tests of it that did.
type Noticed = Option<(&'static str, Vec<String>)>;

/// Runs the suites under every defect, or under one.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    prerequisites::for_builds()?;
    let source = fs::read_to_string(paths::repository().join(SOURCE)).context(SOURCE)?;
    let all = declared(&source);
    let chosen: Vec<&Mutation> = all
        .iter()
        .filter(|mutation| only.is_none_or(|only| mutation.name == only))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = all.iter().map(|mutation| mutation.name.as_str()).collect();
        bail!("there is no such mutation; choose one of {}", names.join(", "));
    }
    let programs = step("building the tests with mutations", test_programs)?;
    step("nothing is broken: everything passes", || {
        for (suite, names) in SUITES {
            let failed = failures(&programs, names, None)?;
            if !failed.is_empty() {
                bail!("{suite} fails without a mutation: {}", failed.join(", "));
            }
        }
        Ok(())
    })?;
    let mut rows = Vec::new();
    for mutation in chosen {
        let noticed = step(&mutation.name, || {
            first_to_notice(|names| failures(&programs, names, Some(&mutation.name)))
        })?;
        rows.push((mutation, noticed));
    }
    let report = report(&rows);
    println!("{report}");
    if only.is_none() {
        fs::write(paths::repository().join(REPORT), &report).context(REPORT)?;
        note(&format!("wrote {REPORT}"));
    }
    let unseen = rows.iter().filter(|(_, noticed)| noticed.is_none());
    let unseen: Vec<&str> = unseen.map(|(mutation, _)| mutation.name.as_str()).collect();
    if !unseen.is_empty() {
        bail!("no test notices {}", unseen.join(", "));
    }
    Ok(())
}

/// Runs suites until one fails.
fn first_to_notice(mut failures: impl FnMut(&[&str]) -> Result<Vec<String>>) -> Result<Noticed> {
    for (suite, names) in SUITES {
        let failed = failures(names)?;
        if !failed.is_empty() {
            return Ok(Some((suite, failed)));
        }
    }
    Ok(None)
}

/// The test programs by the names of their targets.
fn test_programs() -> Result<Vec<Program>> {
    let mut build = cargo("test")?;
    build
        .args(EVERYTHING)
        .args(["--exclude", "geode-e2e", "--features", "geode-mutation/on"])
        .arg("--lib");
    for name in SUITES[1..].iter().flat_map(|(_, names)| *names) {
        build.args(["--test", name]);
    }
    programs::build(&mut build)
}

/// The tests of these programs that fail under a mutation.
fn failures(programs: &[Program], names: &[&str], mutation: Option<&str>) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    for name in names {
        let program = programs.iter().find(|program| program.name == *name);
        let program = program.with_context(|| format!("cargo built no test program {name}"))?;
        failed.extend(failures_of(&program.path, mutation)?);
    }
    Ok(failed)
}

fn failures_of(program: &Path, mutation: Option<&str>) -> Result<Vec<String>> {
    let mut command = Command::new("timeout");
    command
        .arg(PATIENCE_SECONDS)
        .arg(program)
        .env("GEODE_SEEDS", SEEDS);
    if let Some(mutation) = mutation {
        command.env("GEODE_MUTATION", mutation);
    }
    let ended = command
        .current_dir(paths::repository())
        .stdin(Stdio::null())
        .output()
        .context("run the tests")?;
    let said = String::from_utf8_lossy(&ended.stdout);
    let mut failed: Vec<String> = said.lines().filter_map(failed_test).collect();
    if failed.is_empty() && !ended.status.success() {
        failed.push(match ended.status.code() {
            Some(124) => format!("no end within {PATIENCE_SECONDS} s"),
            _ => format!("the tests ended with {}", ended.status),
        });
    }
    Ok(failed)
}

fn failed_test(line: &str) -> Option<String> {
    let test = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(test.to_owned())
}

/// Names and sentences of the variants, in their order.
fn declared(source: &str) -> Vec<Mutation> {
    let body = source
        .split_once("pub enum Mutation {")
        .map_or("", |(_, body)| body);
    let body = body.split_once("\n}").map_or(body, |(body, _)| body);
    let mut what = String::new();
    let mut found = Vec::new();
    for line in body.lines().map(str::trim) {
        match (line.strip_prefix("/// "), line.strip_suffix(',')) {
            (Some(sentence), _) => sentence.clone_into(&mut what),
            (None, Some(name)) => found.push(Mutation {
                name: name.to_owned(),
                what: std::mem::take(&mut what),
            }),
            (None, None) => {}
        }
    }
    found
}

fn report(rows: &[(&Mutation, Noticed)]) -> String {
    let levels: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "# Deliberate defects\n\nWritten by `cargo xtask mutants`: each defect is switched on alone, by `GEODE_MUTATION`, in tests that \
         are built with the feature `geode-mutation/on`. The levels are run in the order {}; what is named is the first level \
         that fails, and the tests of it that do. Higher ones are not run then.\n\n\
         | defect | what is broken | noticed first by | tests |\n|---|---|---|---|\n",
        levels.join(", ")
    );
    for (mutation, noticed) in rows {
        let (suite, tests) = match noticed {
            Some((suite, failed)) => (*suite, cell(failed)),
            None => ("nothing", "–".to_owned()),
        };
        text += &format!(
            "| `{}` | {} | {suite} | {tests} |\n",
            mutation.name, mutation.what
        );
    }
    text
}

fn cell(failed: &[String]) -> String {
    let mut names: Vec<String> = failed
        .iter()
        .take(NAMED)
        .map(|test| format!("`{test}`"))
        .collect();
    if failed.len() > NAMED {
        names.push(format!("{} more", failed.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_found_with_their_sentences() {
        let source =
            "pub enum Mutation {\n    /// Bad.\n    One,\n    /// Worse.\n    Two,\n}\n\nimpl Mutation {}";
        let found: Vec<_> = declared(source)
            .into_iter()
            .map(|mutation| (mutation.name, mutation.what))
            .collect();
        let expected =
            [("One", "Bad."), ("Two", "Worse.")].map(|(name, what)| (name.to_owned(), what.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn higher_levels_are_not_run_once_a_level_has_noticed() {
        let mut ran = Vec::new();
        let noticed = first_to_notice(|names| {
            ran.push(names[0].to_owned());
            Ok(if names == ["log"] {
                vec!["a_test".to_owned()]
            } else {
                Vec::new()
            })
        });
        assert_eq!(noticed.unwrap(), Some(("log", vec!["a_test".to_owned()])));
        assert_eq!(ran, ["geode_log", "log"]);
        assert_eq!(first_to_notice(|_| Ok(Vec::new())).unwrap(), None);
    }

    #[test]
    fn failing_tests_are_read_from_what_the_runner_prints() {
        assert_eq!(failed_test("test raft::a ... FAILED").as_deref(), Some("raft::a"));
        assert_eq!(failed_test("test raft::a ... ok"), None);
    }
}
