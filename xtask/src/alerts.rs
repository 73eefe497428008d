//! The alert rules: `alerts/rules.yaml` is their source, `alerts/tests.yaml` their tests, which promtool runs. Copies for users are made by
//! `cargo xtask generate`. What the metrics in them mean is known to the programs alone; their own tests look for the names.

use crate::command::{output, passthrough};
use crate::generate::HEADER;
use crate::paths;
use crate::tools::{self, Tool};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

const FOLDER: &str = "alerts";
const RULES: &str = "rules.yaml";
const TESTS: &str = "tests.yaml";
const MOMENTS: &str = "moments.json";
const TABLE: &str = "docs/alerts.md";
/// For a Prometheus that reads rule files, and for the chart's PrometheusRule.
const COPIES: [&str; 2] = ["manifests/alerts.yaml", "charts/geode-operator/files/alerts.yaml"];

/// The files that are made from the rules.
pub(crate) fn copies() -> Result<BTreeMap<String, String>> {
    let rules = rules()?;
    let groups = rules
        .find("\ngroups:\n")
        .context("alerts/rules.yaml has no groups")?;
    let copy = format!("{HEADER}{}", &rules[groups + 1..]);
    let mut files: BTreeMap<_, _> = COPIES.map(|path| (path.to_owned(), copy.clone())).into();
    files.insert(TABLE.to_owned(), table(&alerts(&rules), &moments()?)?);
    Ok(files)
}

/// An alert and its runbook, from the root of the repository.
struct Alert<'a> {
    name: &'a str,
    runbook: &'a str,
}

fn alerts(rules: &str) -> Vec<Alert<'_>> {
    let values = |key: &'static str| {
        let lines = rules.lines().map(str::trim);
        lines.filter_map(move |line| line.strip_prefix(key).map(str::trim))
    };
    let pairs = values("- alert:").zip(values("runbook_url:"));
    pairs.map(|(name, runbook)| Alert { name, runbook }).collect()
}

/// When alerts are seen to fire.
#[derive(serde::Deserialize)]
struct Moment {
    moment: String,
    /// The test that brings it about.
    test: String,
    alerts: Vec<String>,
}

fn moments() -> Result<Vec<Moment>> {
    let path = paths::repository().join(FOLDER).join(MOMENTS);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// What is known of each alert.
fn table(alerts: &[Alert], moments: &[Moment]) -> Result<String> {
    let mut text = "# Alerts, and the moments that are to make them fire\n\nMade by `cargo xtask generate` from `alerts/rules.yaml` and `alerts/moments.json`. Each alert \
         has tests of promtool in `alerts/tests.yaml`, in which it fires and is silent. The tests named here bring the moment about on a real cluster \
         where that is possible, scrape its pods, and evaluate the rules on what they say.\n\n| alert | fires when | shown by | runbook |\n|---|---|---|---|\n"
        .to_owned();
    for Alert { name, runbook } in alerts {
        let found = moments
            .iter()
            .find(|moment| moment.alerts.iter().any(|alert| alert == name));
        let Moment { moment, test, .. } =
            found.with_context(|| format!("{FOLDER}/{MOMENTS} has no moment for {name}"))?;
        let link = runbook.trim_start_matches("docs/");
        let page = link.trim_start_matches("runbooks/").trim_end_matches(".md");
        text += &format!("| `{name}` | {moment} | `{test}` | [{page}]({link}) |\n");
    }
    Ok(text)
}

/// Every alert fires when it should and is silent when it should be.
pub(crate) fn test() -> Result<()> {
    let promtool = tools::ensure(Tool::Promtool)?;
    let folder = paths::repository().join(FOLDER);
    let mut check = Command::new(&promtool);
    check
        .current_dir(&folder)
        .args(["check", "rules", "--lint-fatal", RULES]);
    output(&mut check)?;
    let mut test = Command::new(promtool);
    passthrough(test.current_dir(&folder).args(["test", "rules", TESTS]))
}

fn rules() -> Result<String> {
    let path = paths::repository().join(FOLDER).join(RULES);
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_a_runbook_that_names_it() {
        let rules = rules().unwrap();
        assert_eq!(alerts(&rules).len(), rules.matches("- alert:").count());
        for Alert { name, runbook } in alerts(&rules) {
            let text = fs::read_to_string(paths::repository().join(runbook));
            let text = text.unwrap_or_else(|error| panic!("{name}: {runbook}: {error}"));
            assert!(
                text.contains(&format!("`{name}`")),
                "{runbook} does not name {name}"
            );
        }
    }

    #[test]
    fn every_alert_has_a_moment_whose_test_exists_and_no_moment_is_about_another() {
        let (rules, moments) = (rules().unwrap(), moments().unwrap());
        let known = alerts(&rules);
        table(&known, &moments).unwrap();
        let folders = [
            "e2e/tests",
            "server/src",
            "operator/planner/tests",
            "operator/src",
        ];
        let sources = folders.map(|folder| sources(&paths::repository().join(folder)));
        for Moment { moment, test, alerts } in moments {
            let is_there = sources.iter().any(|text| text.contains(&format!("fn {test}(")));
            assert!(is_there, "{moment}: no test {test}");
            for alert in alerts {
                assert!(known.iter().any(|known| known.name == alert), "no alert {alert}");
            }
        }
    }

    /// Everything below a folder.
    fn sources(folder: &std::path::Path) -> String {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| {
                if path.is_dir() {
                    sources(&path)
                } else {
                    fs::read_to_string(path).unwrap()
                }
            })
            .collect()
    }

    #[test]
    fn every_runbook_is_in_the_index_and_says_what_to_do() {
        let folder = paths::repository().join("docs/runbooks");
        let index = fs::read_to_string(folder.join("README.md")).unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name == "README.md" {
                continue;
            }
            let path = paths::repository().join("docs/runbooks").join(&name);
            let text = fs::read_to_string(path).unwrap();
            assert!(index.contains(&format!("({name})")), "{name} is not in the index");
            for part in ["Symptom", "Means", "Look", "Do", "Over when"] {
                assert!(
                    text.contains(&format!("- **{part}**: ")),
                    "{name} has no part {part}"
                );
            }
        }
    }

    #[test]
    fn every_alert_has_a_test_in_which_it_fires_and_is_silent() {
        let tests = fs::read_to_string(paths::repository().join(FOLDER).join(TESTS)).unwrap();
        let rules = rules().unwrap();
        for Alert { name: alert, .. } in alerts(&rules) {
            let asked = format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
            let expected: Vec<&str> = tests
                .split("- expr: ")
                .filter(|part| part.starts_with(&asked))
                .filter_map(|part| {
                    part.lines()
                        .find_map(|line| line.trim().strip_prefix("exp_samples: "))
                })
                .collect();
            let silent = expected.iter().filter(|samples| **samples == "[]").count();
            assert!(
                silent > 0 && silent < expected.len(),
                "{alert}: {expected:?}; it must be seen firing and silent"
            );
        }
    }

    #[test]
    fn every_alert_is_in_the_reference() {
        let reference = fs::read_to_string(paths::repository().join("docs/reference.md")).unwrap();
        let rules = rules().unwrap();
        for Alert { name: alert, .. } in alerts(&rules) {
            assert!(
                reference.contains(&format!("`{alert}`")),
                "docs/reference.md does not name {alert}"
            );
        }
    }
}
