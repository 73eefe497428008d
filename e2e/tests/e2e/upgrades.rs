//! Upgrades under worse conditions than `rolling`: the operator dies after every step, the new program ends as soon as it starts, and the operator
//! itself becomes a newer one.

use crate::faults::kill_operator;
use crate::rolling::{GAP_MAX, PATIENCE, begin, ensure_version, images, replaced, spec, uids};
use anyhow::{Context, Result, ensure};
use geode_e2e::{Cluster, environment, kubectl, wait_for};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const OPERATOR: &str = "deployment/geode-operator";
/// A version whose server ends at once.
const CRASHES: &str = "0.1.0-crashes";

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn an_upgrade_goes_on_when_the_operator_dies_after_every_step() -> Result<()> {
    let cluster = Cluster::alone("stepwise")?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let (leader, ledger, before) = begin(&cluster)?;
    let version = environment("GEODE_NEXT_VERSION")?;
    cluster.apply(&spec(&json!({ "version": version })))?;
    kill_operator()?;
    let mut deaths = 0;
    let order = replaced(&cluster, &before, |order| {
        while deaths < order.len() {
            deaths += 1;
            kill_operator()?;
        }
        Ok(())
    })?;
    cluster.wait_ready()?;
    let account = ledger.finish()?;
    println!(
        "upgrade with an operator that dies after every step: {order:?}, longest gap {:.2} s, {} refused",
        account.longest_gap.as_secs_f64(),
        account.refused.len()
    );
    ensure!(
        order.len() == 3 && order.last() == Some(&leader),
        "{leader} led, and the order was {order:?}"
    );
    ensure_version(&cluster, &version, 3)?;
    account.ensure_gap_below(GAP_MAX)?;
    account.ensure_none_refused()?;
    account.check(&cluster)
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn while_members_of_two_versions_serve_nothing_is_written_that_the_older_ones_do_not_understand() -> Result<()>
{
    let cluster = Cluster::alone("mixed")?;
    // What members of the version before announce.
    cluster.apply(&spec(&json!({"config": {"cluster": {"feature_level_max": 1}}})))?;
    cluster.wait_ready()?;
    let (leader, ledger, before) = begin(&cluster)?;
    let create = || cluster.query("CREATE INDEX people FOR (n:Person) ON (n.name)", &[]);
    let mut refused = 0;
    let mut try_to_create = || -> Result<()> {
        let dated = cluster.query("INSERT (:Dated {at: DATE '2026-11-30'})", &[]);
        let created = dated.and_then(|_| create());
        let is_mixed = uids(&cluster)?
            .iter()
            .any(|(pod, uid)| before.get(pod) == Some(uid));
        match created {
            Ok(_) => ensure!(
                !is_mixed,
                "an index was created beside a member that does not know it"
            ),
            Err(error) if format!("{error:#}").contains("understands level 1") => refused += 1,
            // Nobody leads for a moment.
            Err(error) => println!("not now: {error:#}"),
        }
        Ok(())
    };
    try_to_create()?;
    cluster.apply(&spec(&json!({"version": environment("GEODE_NEXT_VERSION")?})))?;
    let order = replaced(&cluster, &before, |order| {
        if order.len() < before.len() {
            try_to_create()
        } else {
            Ok(())
        }
    })?;
    cluster.wait_ready()?;
    let (_, took) = wait_for("the new level", Duration::from_secs(30), || Ok(create().ok()))?;
    let account = ledger.finish()?;
    println!(
        "two versions: {order:?}, {refused} times refused, created {:.1} s after the last member, longest gap {:.2} s",
        took.as_secs_f64(),
        account.longest_gap.as_secs_f64()
    );
    ensure!(
        refused >= 2 && order.last() == Some(&leader),
        "{refused} {order:?}"
    );
    account.ensure_gap_below(GAP_MAX)?;
    account.check(&cluster)
}

/// Loads a program under the name of another one's image.
fn load(binary: &Path, image: &str) -> Result<()> {
    let output = Command::new(environment("XTASK")?)
        .args(["cluster", "load", "--binary"])
        .arg(binary)
        .args(["--as", image])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "load {image}: {said}");
    Ok(())
}

/// Images of [`CRASHES`]: a server that ends at once, and the sidecar as it is.
fn load_crashing_images() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("geode-e2e-crashes-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (source, program) = (folder.join("crash.c"), folder.join("geode"));
    std::fs::write(&source, "int main(void) { return 3; }\n")?;
    let compiled = Command::new("musl-gcc")
        .args(["-static", "-o"])
        .args([&program, &source])
        .status()?;
    ensure!(compiled.success(), "musl-gcc: {compiled}");
    load(&program, &format!("geodedb/geode:{CRASHES}"))?;
    let sidecar = Path::new(&environment("GEODE")?).with_file_name("geode-sidecar");
    load(&sidecar, &format!("geodedb/geode-sidecar:{CRASHES}"))?;
    Ok(std::fs::remove_dir_all(&folder)?)
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_program_that_ends_as_soon_as_it_starts_stops_the_upgrade_and_taking_it_back_mends_it() -> Result<()> {
    let cluster = Cluster::alone("crashing")?;
    load_crashing_images()?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let (leader, ledger, before) = begin(&cluster)?;
    cluster.apply(&spec(&json!({ "version": CRASHES })))?;
    let said = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned();
        let mut told = conditions.unwrap_or_default().into_iter();
        told.find(|condition| condition["message"].to_string().contains("CrashLoopBackOff"))
    };
    let (condition, took) = wait_for("a condition that names the crashes", PATIENCE, || {
        Ok(said(&cluster.object()?))
    })?;
    std::thread::sleep(Duration::from_secs(5));
    let after = uids(&cluster)?;
    let changed: Vec<&String> = after
        .iter()
        .filter(|(pod, uid)| before.get(*pod) != Some(*uid))
        .map(|(pod, _)| pod)
        .collect();
    println!(
        "crashes: told after {:.1} s, {changed:?} waits: {}",
        took.as_secs_f64(),
        condition["message"]
    );
    ensure!(
        changed.len() == 1 && *changed[0] != leader,
        "changed: {changed:?}"
    );
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let account = ledger.finish()?;
    println!(
        "crashes: longest gap {:.2} s, {} refused",
        account.longest_gap.as_secs_f64(),
        account.refused.len()
    );
    account.ensure_gap_below(GAP_MAX)?;
    account.ensure_none_refused()?;
    account.check(&cluster)
}

/// The operator as its next release would be: another pod, with other images for new clusters. It ends as it was.
struct Newer {
    namespace: String,
}

impl Newer {
    fn begin(version: &str) -> Result<Self> {
        let newer = Self {
            namespace: environment("GEODE_OPERATOR_NAMESPACE")?,
        };
        newer.release(version)?;
        Ok(newer)
    }

    fn release(&self, version: &str) -> Result<()> {
        let current = kubectl(&[
            "get",
            OPERATOR,
            "-n",
            &self.namespace,
            "-o",
            "jsonpath={.spec.template.spec.containers[0].env[?(@.name==\"GEODE_IMAGE\")].value}",
        ])?;
        let repository = current.rsplit_once(':').context("an image with a tag")?.0;
        let server = format!("GEODE_IMAGE={repository}:{version}");
        let sidecar = format!("SIDECAR_IMAGE={repository}-sidecar:{version}");
        kubectl(&["set", "env", OPERATOR, "-n", &self.namespace, &server, &sidecar])?;
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

impl Drop for Newer {
    fn drop(&mut self) {
        if let Err(error) = self.release(env!("CARGO_PKG_VERSION")) {
            eprintln!("{error:#}");
        }
    }
}

#[test]
#[ignore = "long: `cargo xtask e2e --all` runs it"]
fn a_newer_operator_restarts_no_pod_and_looks_after_the_cluster() -> Result<()> {
    let cluster = Cluster::alone("newer")?;
    cluster.apply(&spec(&json!({})))?;
    cluster.wait_ready()?;
    let before = uids(&cluster)?;
    let _newer = Newer::begin(&environment("GEODE_NEXT_VERSION")?)?;
    std::thread::sleep(Duration::from_secs(20));
    ensure!(uids(&cluster)? == before, "a pod is another one");
    // It works: a pod that is killed comes back, with the images from before.
    let victim = before.keys().next().context("a pod")?;
    cluster.kill(&[victim])?;
    wait_for("the pod is back", PATIENCE, || {
        Ok((uids(&cluster)?.get(victim) != before.get(victim)).then_some(()))
    })?;
    cluster.wait_ready()?;
    let images = images(&cluster)?;
    ensure!(
        images
            .iter()
            .all(|image| image.ends_with(concat!(":", env!("CARGO_PKG_VERSION")))),
        "{images:?}"
    );
    println!("operator upgrade: no pod restarted, images {images:?}");
    Ok(())
}
