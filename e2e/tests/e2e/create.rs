//! One manifest is enough, and nothing but a change of the manifest changes a pod.

use anyhow::{Result, ensure};
use geode_e2e::{Cluster, environment, kubectl, kubectl_input, wait_for};
use std::time::Duration;

#[test]
fn the_quickstart_sample_becomes_ready_and_stays_untouched() -> Result<()> {
    let cluster = Cluster::alone("quickstart")?;
    let sample = std::fs::read_to_string("../manifests/samples/quickstart.yaml")?;
    kubectl_input(&["apply", "-n", &cluster.namespace, "-f", "-"], &sample)?;
    let took = cluster.wait_ready()?;
    println!("quickstart Ready after {:.1} s", took.as_secs_f64());
    ensure!(
        took < Duration::from_secs(60),
        "Ready took {took:?}, promised under 60 s"
    );
    let before = cluster.fingerprint()?;
    ensure!(before.len() == 3, "three members, found {}", before.len());

    kubectl_input(&["apply", "-n", &cluster.namespace, "-f", "-"], &sample)?;
    std::thread::sleep(Duration::from_secs(5));
    ensure!(
        cluster.fingerprint()? == before,
        "applying the same manifest again changed a pod"
    );

    operator(&["rollout", "restart"], &[])?;
    std::thread::sleep(SETTLING);
    ensure!(
        cluster.fingerprint()? == before,
        "restarting the operator changed a pod"
    );
    cluster.wait_ready()?;

    // A newer operator comes with other images for new clusters.
    operator(
        &["set", "env"],
        &["GEODE_IMAGE=geode:next", "SIDECAR_IMAGE=geode-sidecar:next"],
    )?;
    std::thread::sleep(SETTLING);
    let after = cluster.fingerprint();
    operator(&["rollout", "undo"], &[])?;
    ensure!(after? == before, "another version of the operator changed a pod");
    cluster.wait_ready()?;
    Ok(())
}

/// Within this time the new operator has looked at every cluster.
const SETTLING: Duration = Duration::from_secs(10);

/// Changes the operator's deployment, and waits until only the new operator is there.
fn operator(verb: &[&str], what: &[&str]) -> Result<()> {
    let namespace = environment("GEODE_OPERATOR_NAMESPACE")?;
    let deployment = ["deployment/geode-operator", "-n", &namespace];
    kubectl(&[verb, &deployment, what].concat())?;
    kubectl(&[&["rollout", "status", "--timeout=90s"], &deployment[..]].concat())?;
    Ok(())
}

#[test]
fn every_member_answers_what_was_written_at_its_lsn() -> Result<()> {
    let cluster = Cluster::new("read")?;
    cluster.apply(&serde_json::json!({"timing": "fast", "storage": {"size": "1Gi"}}))?;
    cluster.wait_ready()?;
    let wrote = cluster.query(
        "INSERT (:Person {name: $name})-[:KNOWS]->(:Person {name: 'Charles'})",
        &["--param", "name=\"Ada\""],
    )?;
    let lsn = wrote["lsn"].as_str().unwrap_or_default().to_owned();
    for pod in cluster.pods()?.keys() {
        let flags = ["--read-lsn", lsn.as_str(), "--via", pod];
        let (answer, _) = wait_for("a read at its LSN", Duration::from_secs(10), || {
            cluster
                .query("MATCH (a:Person)-[:KNOWS]->(b) RETURN a.name, b.name", &flags)
                .map(Some)
        })?;
        ensure!(
            answer["rows"] == serde_json::json!([["Ada", "Charles"]]),
            "{pod} answered {answer}"
        );
    }
    let refused = geode_e2e::kubectl_status(&[
        "geode",
        "query",
        "read",
        "-n",
        &cluster.namespace,
        "MATCH (n RETURN n",
        "-o",
        "json",
    ])?;
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(
        refused.status.code() == Some(1) && said.contains("line"),
        "a wrong query was answered with {said}"
    );
    Ok(())
}
