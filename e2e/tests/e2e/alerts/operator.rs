//! Alerts about the operator, and about what it would have done.

use super::{PATIENCE, archiving};
use anyhow::{Context, Result, ensure};
use geode_e2e::{
    Cluster, S3, Scrape, Then, ensure_fire, environment, firing, kubectl, kubectl_input, wait_for,
};
use serde_json::json;
use std::time::{Duration, SystemTime};

const OPERATOR: &str = "deployment/geode-operator";
const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn alerts_about_the_operator_fire_in_their_moments() -> Result<()> {
    let cluster = Cluster::alone("operated")?;
    let healthy = archiving(&cluster, &S3::from_environment()?, &json!({}))?;
    kubectl(&[
        "geode",
        "backup",
        &cluster.name,
        "-n",
        &cluster.namespace,
        "--wait",
    ])?;
    bad_manifest(&cluster, &healthy)?;
    quota(&cluster)?;
    let away = Away::begin(&cluster)?;
    let moments = absent(&cluster, &healthy);
    away.end()?;
    moments?;
    cluster.wait_ready()?;
    Ok(())
}

fn bad_manifest(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    let bad = cluster.sibling("bad");
    bad.apply(&json!({"config": {"sever": {"listen": "x"}}}))?;
    let (stalled, _) = wait_for("it stalls", PATIENCE, || {
        let scrape = Scrape::take(cluster)?;
        let says = scrape.says("geode_operator_cluster_condition", "reason=\"InvalidSpec\"");
        Ok(says.then_some(scrape))
    })?;
    ensure_fire("a manifest cannot work", &firing(healthy, &stalled, Then::Stays)?)?;
    kubectl(&["delete", "geodecluster", "bad", "-n", &cluster.namespace]).map(drop)
}

fn quota(cluster: &Cluster) -> Result<()> {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "nothing", "namespace": cluster.namespace},
        "spec": {"hard": {"count/configmaps": "0", "count/secrets": "0", "count/services": "0"}},
    });
    kubectl_input(&["apply", "-f", "-"], &quota.to_string())?;
    wait_for("the quota is in force", PATIENCE, || {
        let status = "jsonpath={.status.hard}";
        let told = kubectl(&[
            "get",
            "resourcequota",
            "nothing",
            "-n",
            &cluster.namespace,
            "-o",
            status,
        ])?;
        Ok((!told.is_empty()).then_some(()))
    })?;
    let poor = cluster.sibling("poor");
    poor.apply(&json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    // The pauses between attempts grow to half a minute.
    std::thread::sleep(Duration::from_secs(60));
    let first = Scrape::take(cluster)?;
    std::thread::sleep(Duration::from_secs(120));
    let second = Scrape::take(cluster)?;
    kubectl(&["delete", "resourcequota", "nothing", "-n", &cluster.namespace])?;
    kubectl(&["delete", "geodecluster", "poor", "-n", &cluster.namespace])?;
    ensure_fire(
        "a quota lets the operator make nothing",
        &firing(&first, &second, Then::GoesOn)?,
    )
}

/// No operator runs until this ends.
struct Away {
    namespace: String,
    replicas: String,
}

impl Away {
    fn begin(cluster: &Cluster) -> Result<Self> {
        let namespace = environment("GEODE_OPERATOR_NAMESPACE")?;
        let replicas = "jsonpath={.spec.replicas}";
        let replicas = kubectl(&["get", OPERATOR, "-n", &namespace, "-o", replicas])?;
        let away = Self { namespace, replicas };
        away.scale("0")?;
        wait_for("no operator runs", PATIENCE, || {
            let active = Scrape::take(cluster)?.values("geode_operator_active");
            Ok(active.is_empty().then_some(()))
        })?;
        Ok(away)
    }

    fn scale(&self, replicas: &str) -> Result<()> {
        let replicas = format!("--replicas={replicas}");
        kubectl(&["scale", OPERATOR, "-n", &self.namespace, &replicas]).map(drop)
    }

    fn end(self) -> Result<()> {
        self.scale(&self.replicas)?;
        kubectl(&[
            "rollout",
            "status",
            OPERATOR,
            "-n",
            &self.namespace,
            "--timeout=120s",
        ])
        .map(drop)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let _ = self.scale(&self.replicas);
    }
}

fn absent(cluster: &Cluster, healthy: &Scrape) -> Result<()> {
    let alone = Scrape::take(cluster)?;
    ensure_fire("the operator is away", &firing(healthy, &alone, Then::Stays)?)?;
    let ends = alone.values("geode_tls_certificate_expiry_timestamp");
    let end = ends.into_iter().reduce(f64::min).context("certificates")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let left = Duration::from_secs_f64(end).saturating_sub(now);
    ensure!(left > 21 * DAY, "a new certificate ends in {left:?}");
    ensure_fire(
        "the operator has been away until certificates end soon, and no backup was taken meanwhile",
        &firing(healthy, &alone, Then::StaysFor(left.saturating_sub(13 * DAY)))?,
    )
}
