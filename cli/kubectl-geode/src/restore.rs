//! `kubectl geode restore CLUSTER` creates a `GeodeRestore`, in place or of a new cluster; `undo`, `redo` and `release` change one. The operator does the
//! rest, so whoever ends this program ends only the waiting.

use crate::args::{RestoreArgs, RestoreChange};
use crate::kubectl::Kubectl;
use anyhow::{Context, Result, bail};
use geode_api::{ConditionType, GROUP, GeodeRestore, GeodeRestoreStatus, RestorePhase, VERSION};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn run(kubectl: &Kubectl, args: &RestoreArgs) -> Result<ExitCode> {
    let (name, wait, done): (String, bool, fn(&GeodeRestoreStatus) -> bool) = match &args.change {
        Some(RestoreChange::Undo(of)) => {
            change(kubectl, &of.name, &json!({"undo": true}))?;
            (of.name.clone(), of.wait, |status| {
                status.phase == RestorePhase::Undone
            })
        }
        Some(RestoreChange::Redo(of)) => {
            change(kubectl, &of.name, &json!({"undo": false}))?;
            (of.name.clone(), of.wait, |status| {
                status.phase == RestorePhase::Completed
            })
        }
        Some(RestoreChange::Release(of)) => {
            change(kubectl, &of.name, &json!({"release": true}))?;
            (of.name.clone(), of.wait, |status| status.kept_volumes.is_empty())
        }
        None => (create(kubectl, args)?, args.wait || args.preview, |status| {
            matches!(status.phase, RestorePhase::Previewed | RestorePhase::Completed)
        }),
    };
    if !wait {
        println!("see `kubectl get geoderestore {name}`");
        return Ok(ExitCode::SUCCESS);
    }
    let mut said = String::new();
    loop {
        let object = kubectl.json(&["get", "geoderestore", &name, "--output", "json"])?;
        let restore: GeodeRestore = serde_json::from_value(object).context("read the GeodeRestore")?;
        let status = restore.status.clone().unwrap_or_default();
        let current = status.observed_generation == restore.metadata.generation;
        if current && let Some(reason) = stalled(&status) {
            bail!("geoderestore/{name}: {reason}");
        }
        if current && done(&status) {
            println!("{}", text(&name, &restore));
            return Ok(ExitCode::SUCCESS);
        }
        let message = status.message.unwrap_or_default();
        if message != said {
            eprintln!("{message}");
            said = message;
        }
        sleep(ASK_EVERY);
    }
}

fn create(kubectl: &Kubectl, args: &RestoreArgs) -> Result<String> {
    let cluster = args.name.as_deref().unwrap_or_default();
    let new = match &args.new_cluster {
        Some(file) => Some(new_cluster(kubectl, cluster, file)?),
        None => {
            kubectl.cluster(cluster)?;
            None
        }
    };
    let created = kubectl.create(&manifest(cluster, args, new))?;
    let name = created["metadata"]["name"].as_str().unwrap_or_default();
    println!("geoderestore/{name} created");
    Ok(name.to_owned())
}

/// The spec in a manifest of a GeodeCluster that is not there yet: kubectl reads it, the API server judges it with the GeodeRestore.
fn new_cluster(kubectl: &Kubectl, cluster: &str, file: &str) -> Result<Value> {
    let dry = [
        "create",
        "--dry-run=client",
        "--filename",
        file,
        "--output",
        "json",
    ];
    let object = kubectl.json(&dry)?;
    if object["kind"] != "GeodeCluster" || object["metadata"]["name"] != cluster {
        bail!("{file} is not the manifest of the GeodeCluster {cluster}");
    }
    Ok(object["spec"].clone())
}

fn manifest(cluster: &str, args: &RestoreArgs, new: Option<Value>) -> Value {
    let mut spec = json!({ "cluster": cluster, "preview": args.preview });
    if let Some(new) = new {
        spec["newCluster"] = new;
    }
    if let Some(source) = &args.source {
        spec["source"] = source.as_str().into();
    }
    if !args.graphs.is_empty() {
        spec["graphs"] = json!(args.graphs);
    }
    for (field, given) in [
        ("time", &args.to_time),
        ("lsn", &args.to_lsn),
        ("checkpoint", &args.to_checkpoint),
    ] {
        if let Some(given) = given {
            spec["target"] = json!({ field: given });
        }
    }
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "GeodeRestore",
        "metadata": { "generateName": format!("{cluster}-") }, "spec": spec,
    })
}

fn change(kubectl: &Kubectl, name: &str, spec: &Value) -> Result<()> {
    let patch = json!({ "spec": spec }).to_string();
    kubectl.merge("geoderestore", name, &patch).map(drop)
}

fn stalled(status: &GeodeRestoreStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter();
    let stalled = conditions.find(|had| had.type_ == ConditionType::Stalled.to_string())?;
    (stalled.status == "True").then_some(stalled.message.as_str())
}

fn text(name: &str, restore: &GeodeRestore) -> String {
    let status = restore.status.clone().unwrap_or_default();
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let before = or_dash(&status.lsn_before);
    let seconds = status.seconds.unwrap_or_default();
    match (status.phase, &status.plan) {
        (RestorePhase::Previewed, Some(plan)) => format!(
            "geoderestore/{name} would begin with {} and go up to LSN {}, {} bytes; the database is at LSN {before}. Nothing was touched.",
            plan.location, plan.lsn, plan.bytes
        ),
        (RestorePhase::Undone, _) => {
            format!(
                "geoderestore/{name} is undone: the database from before serves, after {seconds} s; kept: {}",
                kept(&status)
            )
        }
        _ if restore.spec.new_cluster.is_some() => format!(
            "geoderestore/{name} completed: the new GeodeCluster {} serves, restored up to LSN {}; see `kubectl geode status {}`",
            restore.spec.cluster,
            or_dash(&status.lsn),
            restore.spec.cluster
        ),
        _ => format!(
            "geoderestore/{name} completed: restored up to LSN {}, the database before was at LSN {before}; nobody was served for {seconds} s; kept: {}",
            or_dash(&status.lsn),
            kept(&status)
        ),
    }
}

fn kept(status: &GeodeRestoreStatus) -> String {
    match status.kept_volumes.len() {
        0 => "nothing".to_owned(),
        count => format!("{count} volumes, until `kubectl geode restore release`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Verb};
    use clap::Parser;

    #[test]
    fn the_manifest_has_what_was_asked_for_and_nothing_else() {
        for (line, spec) in [
            (
                "kubectl-geode restore a",
                json!({"cluster": "a", "preview": false}),
            ),
            (
                "kubectl-geode restore a --to-lsn 0/5 --source s3://b/x --preview",
                json!({"cluster": "a", "preview": true, "source": "s3://b/x", "target": {"lsn": "0/5"}}),
            ),
            (
                "kubectl-geode restore a --graphs social,/old/news",
                json!({"cluster": "a", "preview": false, "graphs": ["social", "/old/news"]}),
            ),
            (
                "kubectl-geode restore a --new-cluster a.yaml --source s3://b/x",
                json!({"cluster": "a", "preview": false, "source": "s3://b/x", "newCluster": {"members": 1}}),
            ),
        ] {
            let Verb::Restore(args) = Cli::try_parse_from(line.split(' ')).unwrap().verb else {
                panic!("{line} is no restore")
            };
            let manifest = manifest(
                "a",
                &args,
                args.new_cluster.as_ref().map(|_| json!({"members": 1})),
            );
            assert_eq!(manifest["spec"], spec, "{line}");
            serde_json::from_value::<geode_api::GeodeRestoreSpec>(manifest["spec"].clone()).unwrap();
        }
    }
}
