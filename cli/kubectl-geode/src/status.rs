//! `kubectl geode status NAME`: what the operator reports, at most two seconds old.

use crate::args::{StatusArgs, StatusFormat};
use crate::kubectl::Kubectl;
use anyhow::{Context, Result};
use geode_api::GeodeCluster;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(crate) fn run(kubectl: &Kubectl, args: &StatusArgs) -> Result<ExitCode> {
    let cluster = kubectl.cluster(&args.name)?;
    match args.output {
        StatusFormat::Json => println!("{:#}", document(&cluster)),
        StatusFormat::Yaml => print!(
            "{}",
            serde_saphyr::to_string(&document(&cluster)).context("print as YAML")?
        ),
        StatusFormat::Table => print!("{}", table(&cluster)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What scripts rely on (design.md, section 7).
fn document(cluster: &GeodeCluster) -> Value {
    let status = cluster.status.clone().unwrap_or_default();
    json!({
        "cluster": cluster.metadata.name,
        "namespace": cluster.metadata.namespace,
        "clusterId": status.cluster_id,
        "leader": status.leader,
        "term": status.term,
        "members": status.members,
        "archive": status.archive,
        "conditions": status.conditions,
    })
}

fn table(cluster: &GeodeCluster) -> String {
    let status = cluster.status.clone().unwrap_or_default();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let observers = status
        .observers
        .filter(|_| cluster.spec.observers.replicas > 0)
        .map_or_else(String::new, |observers| {
            format!(", {} observers up", observers.ready)
        });
    let mut text = format!(
        "Cluster   {} ({} members up{observers})\nLeader    {}, term {}\n",
        cluster.metadata.name.clone().unwrap_or_default(),
        or_dash(status.ready),
        or_dash(status.leader),
        or_dash(status.term.map(|term| term.to_string())),
    );
    if let Some(archive) = &status.archive {
        let lag = archive
            .lag_seconds
            .map_or_else(String::new, |lag| format!(", {lag} s behind"));
        text += &format!("Archived  up to {}{lag}\n", archive.archived_up_to);
    }
    let mut rows = vec![["POD", "ROLE", "STATE", "LAG", "APPLIED", "VERSION", "ID"].map(str::to_owned)];
    rows.extend(status.members.iter().map(|member| {
        [
            member.pod.clone(),
            member.role.clone(),
            member.state.clone(),
            or_dash(member.lag_ms.map(|lag| format!("{lag} ms"))),
            or_dash(member.applied.map(|applied| applied.to_string())),
            or_dash(member.version.clone()),
            or_dash(member.node_id.map(|id| id.to_string())),
        ]
    }));
    text += &format!("\n{}\n", columns(&rows));
    let mut rows = vec![["CONDITION", "STATUS", "REASON", "MESSAGE"].map(str::to_owned)];
    rows.extend(status.conditions.iter().map(|condition| {
        [
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            condition.message.clone(),
        ]
    }));
    text + &columns(&rows)
}

/// Left-aligned columns, two spaces apart.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_what_scripts_rely_on() {
        let cluster: GeodeCluster = serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"}, "spec": {},
            "status": {
                "leader": "a-1", "term": 7, "archive": {"archivedUpTo": "0/12", "lagSeconds": 0},
                "members": [{"pod": "a-1", "nodeId": 5, "role": "leader", "state": "Running", "lagMs": 0, "applied": 12, "version": "0.1.0"}],
            },
        }))
        .unwrap();
        let document = document(&cluster);
        assert_eq!(document["leader"], "a-1");
        assert_eq!(document["archive"]["archivedUpTo"], "0/12");
        for field in ["pod", "nodeId", "role", "state", "lagMs", "applied", "version"] {
            assert!(!document["members"][0][field].is_null(), "{field}");
        }
        assert!(table(&cluster).contains("a-1  leader  Running  0 ms  12"));
    }

    #[test]
    fn observers_are_counted_apart() {
        let cluster: GeodeCluster = serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"},
            "spec": {"observers": {"replicas": 2}},
            "status": {"ready": "3/3", "observers": {"ready": "1/2", "replicas": 2, "selector": "x=y"}},
        }))
        .unwrap();
        let said = table(&cluster);
        assert!(
            said.starts_with("Cluster   a (3/3 members up, 1/2 observers up)\n"),
            "{said}"
        );
    }
}
