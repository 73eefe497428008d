//! Which alerts fire in a moment: the metrics of a cluster's members and of the operator are scraped as Prometheus would, and promtool evaluates
//! the rules on them. Two scrapes make a history: ten minutes of the first, and then the second, which stays or goes on as it went.

use crate::{Cluster, environment, kubectl};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RULES: &str = include_str!("../../alerts/rules.yaml");
const MOMENTS: &str = include_str!("../../alerts/moments.json");
const OPERATOR: &str = "app.kubernetes.io/name=geode-operator";
/// Minutes of the first scrape.
const BEFORE: usize = 10;
/// Minutes of the second: longer than any rule waits.
const AFTER: usize = 90;

/// What was scraped: series and their values.
#[derive(Clone, Debug)]
pub struct Scrape {
    series: BTreeMap<String, String>,
    at: SystemTime,
}

/// What comes after the second scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Everything stays as it is.
    Stays,
    /// Every figure goes on changing as it did between the two scrapes.
    GoesOn,
    /// Everything stays as it is, and so much time has passed since.
    StaysFor(Duration),
}

impl Scrape {
    /// Scrapes every pod of the cluster and the operator. A pod that does not answer is down.
    pub fn take(cluster: &Cluster) -> Result<Self> {
        let mut scrape = Self {
            series: BTreeMap::new(),
            at: SystemTime::now(),
        };
        for pod in cluster.pods()?.keys() {
            let target = format!(
                "job=\"geode\",namespace=\"{}\",geode_cluster=\"{}\",instance=\"{pod}\"",
                cluster.namespace, cluster.name
            );
            scrape.target(&target, &page(&cluster.namespace, pod, 9090));
        }
        let namespace = environment("GEODE_OPERATOR_NAMESPACE")?;
        let list = kubectl(&["get", "pods", "-n", &namespace, "-l", OPERATOR, "-o", "name"])?;
        for pod in list.lines().filter_map(|line| line.strip_prefix("pod/")) {
            let target = format!("job=\"geode-operator\",instance=\"{pod}\"");
            let page = page(&namespace, pod, 8080).map(|page| only_of(&page, &cluster.namespace));
            scrape.target(&target, &page);
        }
        Ok(scrape)
    }

    fn target(&mut self, target: &str, page: &Result<String>) {
        self.series
            .insert(format!("up{{{target}}}"), u8::from(page.is_ok()).to_string());
        let samples = page.iter().flat_map(|page| page.lines());
        for (series, value) in samples
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
        {
            let series = match series.split_once('{') {
                Some((name, labels)) => format!("{name}{{{target},{labels}"),
                None => format!("{series}{{{target}}}"),
            };
            self.series.insert(series, value.to_owned());
        }
    }

    /// The values of a metric, one for each target and further labels.
    pub fn values(&self, metric: &str) -> Vec<f64> {
        let samples = self
            .series
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(metric));
        samples.filter_map(|(_, value)| value.parse().ok()).collect()
    }

    /// Whether a series of the metric with this label has a value other than 0.
    pub fn says(&self, metric: &str, label: &str) -> bool {
        self.series
            .iter()
            .any(|(series, value)| series.starts_with(metric) && series.contains(label) && value != "0")
    }
}

/// Operators look after other tests' clusters too.
fn only_of(page: &str, namespace: &str) -> String {
    let ours = format!("namespace=\"{namespace}\"");
    let lines = page
        .lines()
        .filter(|line| !line.contains("namespace=\"") || line.contains(&ours));
    lines.collect::<Vec<_>>().join("\n")
}

/// Through the API server, as no program of ours is in the pods' network.
fn page(namespace: &str, pod: &str, port: u16) -> Result<String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
    kubectl(&["get", "--raw", &path, "--request-timeout", "5s"])
}

/// What `alerts/moments.json` promises for a moment has to be among what fires.
pub fn ensure_fire(moment: &str, fired: &BTreeSet<String>) -> Result<()> {
    println!("{moment}: {fired:?}");
    let moments: serde_json::Value = serde_json::from_str(MOMENTS)?;
    let found = moments
        .as_array()
        .into_iter()
        .flatten()
        .find(|known| known["moment"] == moment)
        .with_context(|| format!("alerts/moments.json has no moment {moment:?}"))?;
    let promised = found["alerts"].as_array().into_iter().flatten();
    let missing: Vec<&str> = promised
        .filter_map(|alert| alert.as_str())
        .filter(|alert| !fired.contains(*alert))
        .collect();
    ensure!(missing.is_empty(), "{moment}: {missing:?} did not fire");
    Ok(())
}

/// The alerts that fire at some time of this history.
pub fn firing(before: &Scrape, after: &Scrape, then: Then) -> Result<BTreeSet<String>> {
    let test = history(before, after, then)?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("rules.yaml"), RULES)?;
    std::fs::write(folder.path().join("test.yaml"), test)?;
    let output = Command::new(environment("PROMTOOL")?)
        .args(["test", "rules", "test.yaml"])
        .current_dir(folder.path())
        .output()?;
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(BTreeSet::new());
    }
    let got = said.split_once("got: {");
    let (_, got) = got.with_context(|| format!("promtool cannot evaluate the metrics: {said}"))?;
    let names = got.split("alertname=\"").skip(1);
    Ok(names
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect())
}

/// As a test of promtool, which is told that nothing fires, and then says what does.
fn history(before: &Scrape, after: &Scrape, then: Then) -> Result<String> {
    let passed = match then {
        Then::StaysFor(passed) => passed,
        Then::Stays | Then::GoesOn => Duration::ZERO,
    };
    let minutes = after.at.duration_since(before.at)?.as_secs_f64() / 60.0;
    let start = (after.at + passed).duration_since(UNIX_EPOCH)?.as_secs() - 60 * BEFORE as u64;
    let mut test = format!(
        "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    start_timestamp: {start}\n    input_series:\n"
    );
    let series: BTreeSet<&String> = before.series.keys().chain(after.series.keys()).collect();
    for series in series {
        let values = match (before.series.get(series), after.series.get(series)) {
            (Some(before), Some(after)) if then == Then::GoesOn => {
                format!("{before}x{BEFORE} {}", line(before, after, minutes))
            }
            (Some(before), Some(after)) => format!("{before}x{BEFORE} {after}x{AFTER}"),
            (Some(before), None) => format!("{before}x{BEFORE} stale"),
            (None, after) => format!("_x{} {}x{AFTER}", BEFORE + 1, after.map_or("0", String::as_str)),
        };
        let _ = write!(
            test,
            "      - series: '{}'\n        values: '{values}'\n",
            series.replace('\'', "''")
        );
    }
    let _ = write!(
        test,
        "    promql_expr_test:\n      - expr: max_over_time(ALERTS{{alertstate=\"firing\"}}[{}m])\n        eval_time: {}m\n        exp_samples: []\n",
        AFTER - 1,
        BEFORE + AFTER
    );
    Ok(test)
}

/// The value, and then a straight line through both.
fn line(before: &str, after: &str, minutes: f64) -> String {
    match (before.parse::<f64>(), after.parse::<f64>()) {
        (Ok(before), Ok(after)) if before.is_finite() && after.is_finite() && minutes > 0.0 => {
            let each = (after - before) / minutes;
            let sign = if each < 0.0 { '-' } else { '+' };
            format!("{after:.6}{sign}{:.6}x{AFTER}", each.abs())
        }
        _ => format!("{after}x{AFTER}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(seconds: u64, series: &[(&str, &str)]) -> Scrape {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Scrape {
            series: series.iter().map(pair).collect(),
            at: UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_history_stays_or_goes_on_as_it_went() {
        let before = scrape(1000, &[("a", "1"), ("gone", "7")]);
        let after = scrape(1030, &[("a", "3"), ("new", "5")]);
        let stays = history(&before, &after, Then::Stays).unwrap();
        for line in [
            "'1x10 3x90'",
            "'7x10 stale'",
            "'_x11 5x90'",
            "start_timestamp: 430\n",
        ] {
            assert!(stays.contains(line), "{line} in {stays}");
        }
        let goes_on = history(&before, &after, Then::GoesOn).unwrap();
        assert!(goes_on.contains("'1x10 3.000000+4.000000x90'"), "{goes_on}");
        let day = Duration::from_secs(86400);
        let later = history(&before, &after, Then::StaysFor(day)).unwrap();
        assert!(later.contains("start_timestamp: 86830\n"), "{later}");
    }
}
