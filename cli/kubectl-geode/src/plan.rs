//! `kubectl geode plan NAME [-f FILE]`: what a changed manifest would come to, before anything moves; or what is left of the manifest that is there. The
//! API server fills in what the file leaves open and refuses what it would refuse; nothing is changed.

use crate::args::{PlanArgs, PlanFormat};
use crate::kubectl::Kubectl;
use anyhow::{Context, Result, bail};
use geode_api::{ConditionType, GeodeCluster, restart_rank, upgrade_path};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What is done about a field of the spec that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Every pod is another one afterwards: observers first, the leader last.
    Restarts,
    /// Members are added or leave, one at a time.
    Membership,
    /// Volumes grow while they are used, or members are replaced.
    Volumes,
    /// Objects beside the pods change.
    Objects,
    /// A person takes something over from the operator.
    Maintenance,
    /// Nothing now.
    Nothing,
}

impl Effect {
    fn of(field: &str) -> Self {
        match field {
            "version" | "image" | "timing" | "resources" | "config" | "archive" | "tls" => Self::Restarts,
            "members" | "observers" => Self::Membership,
            "storage" => Self::Volumes,
            "services" => Self::Objects,
            "maintenance" => Self::Maintenance,
            _ => Self::Nothing,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Restarts => "every pod restarts, one at a time",
            Self::Membership => "members join or leave, one at a time; no other pod restarts",
            Self::Volumes => {
                "volumes grow while they are used, without a restart; with storage.replaceMembers members are replaced one at a time"
            }
            Self::Objects => "services change; no pod restarts",
            Self::Maintenance => "a person takes over: see kubectl geode why",
            Self::Nothing => "nothing happens now",
        }
    }
}

/// A field of the spec that is to be another one.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    field: String,
    effect: Effect,
}

/// What is known before anything moves.
#[derive(Debug, Default)]
struct Plan {
    changes: Vec<Change>,
    /// Pods in the order of their restarts.
    restarts: Vec<String>,
    /// Why it would not begin, or not end.
    obstacles: Vec<String>,
}

pub(crate) fn run(kubectl: &Kubectl, args: &PlanArgs) -> Result<ExitCode> {
    let now = kubectl.cluster(&args.name)?;
    let wanted = match &args.filename {
        Some(file) => {
            let dry = [
                "apply",
                "--dry-run=server",
                "--filename",
                file,
                "--output",
                "json",
            ];
            let wanted: GeodeCluster =
                serde_json::from_value(kubectl.json(&dry)?).context("read the manifest")?;
            if wanted.metadata.name != now.metadata.name {
                bail!("{file} is not the manifest of the GeodeCluster {}", args.name);
            }
            wanted
        }
        None => now.clone(),
    };
    let plan = plan(&now, &wanted)?;
    match args.output {
        PlanFormat::Text => print!("{}", text(&args.name, &plan)),
        PlanFormat::Json => println!("{:#}", document(&args.name, &plan)),
    }
    Ok(if plan.obstacles.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn plan(now: &GeodeCluster, wanted: &GeodeCluster) -> Result<Plan> {
    let status = now.status.clone().unwrap_or_default();
    let mut plan = Plan {
        changes: changes(
            &serde_json::to_value(&now.spec)?,
            &serde_json::to_value(&wanted.spec)?,
        ),
        ..Plan::default()
    };
    let ran = status.images.as_ref().and_then(|images| tag(&images.server));
    let asked = wanted.spec.image.as_deref().and_then(tag);
    let asked = asked.or(wanted.spec.version.as_deref());
    let is_other_version = asked.is_some() && ran.is_some() && asked != ran;
    if let (Some(ran), Some(to)) = (ran, asked)
        && let Err(error) = upgrade_path(ran, to)
    {
        plan.obstacles.push(format!(
            "the members run {ran}, and {to} must not follow: {error}"
        ));
    }
    let restarts = plan
        .changes
        .iter()
        .any(|change| change.effect == Effect::Restarts);
    if restarts || is_other_version {
        let leader = status.leader.clone().unwrap_or_default();
        plan.restarts = status.members.iter().map(|member| member.pod.clone()).collect();
        plan.restarts.sort_by_key(|pod| restart_rank(pod, &leader));
    }
    for kind in [ConditionType::Stalled, ConditionType::Maintenance] {
        let raised = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == kind.to_string() && condition.status == "True");
        plan.obstacles
            .extend(raised.map(|condition| format!("{kind}: {}", condition.message)));
    }
    Ok(plan)
}

fn changes(now: &Value, wanted: &Value) -> Vec<Change> {
    let fields = |spec: &Value| spec.as_object().cloned().unwrap_or_default();
    let (now, wanted) = (fields(now), fields(wanted));
    let mut names: Vec<&String> = now.keys().chain(wanted.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|field| now.get(*field) != wanted.get(*field))
        .map(|field| Change {
            field: field.clone(),
            effect: Effect::of(field),
        })
        .collect()
}

fn tag(image: &str) -> Option<&str> {
    image.rsplit_once(':').map(|(_, tag)| tag)
}

fn text(name: &str, plan: &Plan) -> String {
    let mut text = String::new();
    if plan.changes.is_empty() && plan.restarts.is_empty() {
        text += &format!("{name}: nothing is to be changed\n");
    }
    for Change { field, effect } in &plan.changes {
        text += &format!("spec.{field}: {}\n", effect.text());
    }
    for (number, pod) in plan.restarts.iter().enumerate() {
        text += &format!("  {}. {pod} restarts\n", number + 1);
    }
    for obstacle in &plan.obstacles {
        text += &format!("Waits or is refused: {obstacle}\n");
    }
    text
}

fn document(name: &str, plan: &Plan) -> Value {
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| json!({"field": format!("spec.{}", change.field), "effect": change.effect.text()}))
        .collect();
    json!({"cluster": name, "changes": changes, "restarts": plan.restarts, "obstacles": plan.obstacles})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(spec: &Value) -> GeodeCluster {
        let members =
            ["a-0", "a-1", "a-2"].map(|pod| json!({"pod": pod, "role": "follower", "state": "Running"}));
        serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"}, "spec": spec,
            "status": {"leader": "a-2", "members": members, "images": {"server": "geode:0.1.0", "sidecar": "s:0.1.0"}},
        }))
        .unwrap()
    }

    fn planned(wanted: &Value) -> Plan {
        plan(&cluster(&json!({})), &cluster(wanted)).unwrap()
    }

    #[test]
    fn a_change_of_what_pods_are_restarts_them_with_the_leader_last_and_other_changes_restart_none() {
        let config = planned(&json!({"config": {"performance": {"query_timeout": "30s"}}}));
        assert_eq!(config.restarts, ["a-1", "a-0", "a-2"]);
        assert!(
            text("a", &config).contains("spec.config: every pod restarts"),
            "{config:?}"
        );
        for (spec, effect) in [
            (json!({"members": 5}), Effect::Membership),
            (json!({"storage": {"size": "20Gi"}}), Effect::Volumes),
            (json!({"deletionPolicy": "Delete"}), Effect::Nothing),
        ] {
            let plan = planned(&spec);
            assert_eq!(
                plan.changes
                    .iter()
                    .map(|change| change.effect)
                    .collect::<Vec<_>>(),
                [effect]
            );
            assert!(plan.restarts.is_empty(), "{plan:?}");
        }
    }

    #[test]
    fn nothing_changes_nothing_and_a_version_that_must_not_follow_is_an_obstacle() {
        let same = planned(&json!({}));
        assert!(text("a", &same).contains("nothing is to be changed"));
        let skips = planned(&json!({"version": "0.3.0"}));
        assert!(skips.obstacles[0].contains("upgrade to 0.2 first"), "{skips:?}");
        assert_eq!(planned(&json!({"version": "0.2.0"})).restarts.len(), 3);
    }
}
