//! Which alerts fire if a cluster stays as it is: the metrics of its members and of the operator are scraped as Prometheus would, and promtool
//! evaluates the rules on them. Two scrapes make a history: ten minutes of the first, then forty of the second.

use crate::{Cluster, environment, kubectl};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alerts/rules.yaml");
const OPERATOR: &str = "app.kubernetes.io/name=geode-operator";

/// What was scraped: series and their values.
#[derive(Clone, Debug, Default)]
pub struct Scrape(BTreeMap<String, String>);

impl Scrape {
    /// Scrapes every pod of the cluster and the operator. A pod that does not answer is down.
    pub fn take(cluster: &Cluster) -> Result<Self> {
        let mut scrape = Self::default();
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
        self.0
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
            self.0.insert(series, value.to_owned());
        }
    }

    /// Whether the metric has this value somewhere.
    pub fn has(&self, metric: &str, value: &str) -> bool {
        self.0
            .iter()
            .any(|(series, found)| series.split('{').next() == Some(metric) && found == value)
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

/// The alerts that fire at some time, when the cluster was as `before` for ten minutes and is as `after` for forty.
pub fn firing(before: &Scrape, after: &Scrape) -> Result<BTreeSet<String>> {
    let mut test = format!(
        "rule_files: [{RULES}]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n"
    );
    let series: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
    for series in series {
        let values = match (before.0.get(series), after.0.get(series)) {
            (Some(before), Some(after)) => format!("{before}x10 {after}x40"),
            (Some(before), None) => format!("{before}x10 stale"),
            (None, after) => format!("_x11 {}x40", after.map_or("0", String::as_str)),
        };
        let _ = write!(
            test,
            "      - series: '{}'\n        values: '{values}'\n",
            series.replace('\'', "''")
        );
    }
    // Told that nothing fires, promtool says what does.
    test.push_str(
        "    promql_expr_test:\n      - expr: max_over_time(ALERTS{alertstate=\"firing\"}[39m])\n        eval_time: 50m\n        exp_samples: []\n",
    );
    let file = std::env::temp_dir().join(format!("geode-e2e-alerts-{}.yaml", std::process::id()));
    std::fs::write(&file, test)?;
    let output = Command::new(environment("PROMTOOL")?)
        .args(["test", "rules"])
        .arg(&file)
        .output()?;
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    std::fs::remove_file(&file)?;
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
