//! A manifest that cannot work is refused by the API server with a sentence, or stalls with a reason.

use anyhow::{Result, ensure};
use geode_e2e::{Cluster, kubectl_input, kubectl_status};
use serde_json::{Value, json};

#[test]
fn manifests_that_cannot_work_are_refused_with_a_sentence() -> Result<()> {
    let cluster = Cluster::new("bad")?;
    let cases: [(&str, Value, &str); 5] = [
        ("an even number of members", json!({"members": 2}), "members"),
        ("no members", json!({"members": 0}), "members"),
        ("an unknown field", json!({"memebrs": 3}), "memebrs"),
        ("an unreadable size", json!({"storage": {"size": "lots"}}), "size"),
        (
            "an unknown config key",
            json!({"config": {"sever": {"listen": "x"}}}),
            "did you mean server",
        ),
    ];
    for (label, spec, word) in cases {
        let manifest = json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster",
            "metadata": {"name": "bad", "namespace": cluster.namespace}, "spec": spec,
        });
        let applied = kubectl_input(&["apply", "--validate=strict", "-f", "-"], &manifest.to_string());
        let said = match applied {
            Err(refused) => format!("{refused:#}"),
            Ok(_) => {
                let wait = [
                    "wait",
                    "--for=condition=Stalled",
                    "geodecluster/bad",
                    "-n",
                    &cluster.namespace,
                    "--timeout=20s",
                ];
                ensure!(
                    kubectl_status(&wait)?.status.success(),
                    "{label}: accepted, and not Stalled"
                );
                cluster.object()?["status"]["conditions"].to_string()
            }
        };
        println!("{label}: {}", said.trim());
        ensure!(said.contains(word), "{label}: {said} does not name {word}");
        kubectl_status(&[
            "delete",
            "geodecluster",
            "bad",
            "-n",
            &cluster.namespace,
            "--ignore-not-found",
        ])?;
    }
    Ok(())
}
