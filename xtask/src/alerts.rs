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
/// For a Prometheus that reads rule files, and for the chart's PrometheusRule.
const COPIES: [&str; 2] = ["manifests/alerts.yaml", "charts/geode-operator/files/alerts.yaml"];

/// The files that are made from the rules.
pub(crate) fn copies() -> Result<BTreeMap<String, String>> {
    let rules = rules()?;
    let groups = rules
        .find("\ngroups:\n")
        .context("alerts/rules.yaml has no groups")?;
    let copy = format!("{HEADER}{}", &rules[groups + 1..]);
    Ok(COPIES.map(|path| (path.to_owned(), copy.clone())).into())
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

    /// The names of the alerts, each with its runbook.
    fn alerts() -> Vec<(String, String)> {
        let rules = rules().unwrap();
        let values = |key: &str| {
            let values = rules.lines().filter_map(|line| line.trim().strip_prefix(key));
            values.map(|value| value.trim().to_owned()).collect::<Vec<_>>()
        };
        let (names, runbooks) = (values("- alert:"), values("runbook_url:"));
        assert_eq!(names.len(), runbooks.len(), "an alert without runbook_url");
        names.into_iter().zip(runbooks).collect()
    }

    #[test]
    fn every_alert_has_a_runbook_that_names_it() {
        for (alert, runbook) in alerts() {
            let text = fs::read_to_string(paths::repository().join(&runbook));
            let text = text.unwrap_or_else(|error| panic!("{alert}: {runbook}: {error}"));
            assert!(
                text.contains(&format!("`{alert}`")),
                "{runbook} does not name {alert}"
            );
        }
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
        for (alert, _) in alerts() {
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
        for (alert, _) in alerts() {
            assert!(
                reference.contains(&format!("`{alert}`")),
                "docs/reference.md does not name {alert}"
            );
        }
    }
}
