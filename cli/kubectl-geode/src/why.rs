//! `kubectl geode why NAME`: what the operator waits for, since when, and what would unblock it. All of it is in the status of the cluster and of
//! what was ordered for it; this puts it on one screen, the worst first.

use crate::args::{WhyArgs, WhyFormat};
use crate::kubectl::Kubectl;
use crate::why_orders::{KINDS, Order, waiting};
use anyhow::Result;
use geode_api::{ConditionType, GeodeCluster, Reason, remedy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use std::process::ExitCode;

/// The conditions that are right when they are `True`, in the order in which they matter; all others are right when they are `False`.
const GOOD_WHEN_TRUE: [ConditionType; 4] = [
    ConditionType::QuorumHealthy,
    ConditionType::Ready,
    ConditionType::ObserversReady,
    ConditionType::Archiving,
];

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    condition: String,
    reason: String,
    waits_for: String,
    since: Timestamp,
    unblocks: Option<String>,
}

pub(crate) fn run(kubectl: &Kubectl, args: &WhyArgs) -> Result<ExitCode> {
    let cluster = kubectl.cluster(&args.name)?;
    // Who may not list them still learns what the cluster itself waits for.
    let orders = match kubectl.json(&["get", KINDS, "--output", "json"]) {
        Ok(list) => waiting(&args.name, &list),
        Err(error) => {
            eprintln!("backups, restores and schedules cannot be listed: {error:#}");
            Vec::new()
        }
    };
    let now = Timestamp::now();
    match args.output {
        WhyFormat::Text => print!("{}", text(&cluster, &orders, now)),
        WhyFormat::Json => println!("{:#}", document(&cluster, &orders, now)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not as it should be, the worst first. A condition that says the same as one before it is left out.
fn answers(cluster: &GeodeCluster) -> Vec<Answer> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let status = cluster.status.clone().unwrap_or_default();
    let named = |kind: ConditionType| {
        let kind = kind.to_string();
        status
            .conditions
            .iter()
            .find(move |condition| condition.type_ == kind)
    };
    let bad = |condition: &&Condition, good: &str| condition.status != good;
    let first = [ConditionType::Maintenance, ConditionType::Stalled];
    let raised = first
        .into_iter()
        .filter_map(named)
        .filter(|condition| bad(condition, "False"));
    let missing = GOOD_WHEN_TRUE
        .into_iter()
        .filter_map(named)
        .filter(|condition| bad(condition, "True"));
    let mut answers: Vec<Answer> = Vec::new();
    for condition in raised.chain(missing) {
        // That there is no archive is a choice.
        let chosen = Reason::parse(&condition.reason) == Some(Reason::ArchiveNotConfigured);
        let said = answers
            .iter()
            .any(|before| before.reason == condition.reason && before.waits_for == condition.message);
        if !chosen && !said {
            answers.push(answer(name, condition));
        }
    }
    answers
}

fn answer(name: &str, condition: &Condition) -> Answer {
    Answer {
        condition: format!("{}={}", condition.type_, condition.status),
        reason: condition.reason.clone(),
        waits_for: condition.message.clone(),
        since: condition.last_transition_time.0,
        unblocks: Reason::parse(&condition.reason)
            .and_then(remedy)
            .map(|remedy| remedy.replace("NAME", name)),
    }
}

/// Whether the operator has seen the manifest as it is.
fn is_current(cluster: &GeodeCluster) -> bool {
    let seen = cluster
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    seen.is_some() && seen == cluster.metadata.generation
}

/// Members that are not simply there.
fn ailing(cluster: &GeodeCluster) -> Vec<(String, String)> {
    let status = cluster.status.clone().unwrap_or_default();
    let members = status.members.into_iter();
    members
        .filter(|member| member.state != "Running")
        .map(|member| {
            let said = member
                .message
                .map_or_else(String::new, |said| format!(": {said}"));
            (member.pod, format!("{}{said}", member.state))
        })
        .collect()
}

fn text(cluster: &GeodeCluster, orders: &[Order], now: Timestamp) -> String {
    let name = cluster.metadata.name.clone().unwrap_or_default();
    if !is_current(cluster) {
        return format!(
            "{name}: the operator has not looked at this manifest yet.\nIf that stays so, see whether it runs: kubectl get pods --all-namespaces -l app.kubernetes.io/name=geode-operator\n"
        );
    }
    let answers = answers(cluster);
    if answers.is_empty() && orders.is_empty() {
        return format!("{name}: nothing is waited for; all is as the manifest says.\n");
    }
    let mut text = format!("{name}\n");
    for answer in &answers {
        text += &format!(
            "\n{} ({})\n  waits for  {}\n  since      {} ({})\n",
            answer.condition,
            answer.reason,
            answer.waits_for,
            answer.since,
            ago(now, answer.since),
        );
        if let Some(unblocks) = &answer.unblocks {
            text += &format!("  unblocks   {unblocks}\n");
        }
    }
    let ailing = ailing(cluster);
    if !ailing.is_empty() {
        text += "\nMembers\n";
        for (pod, said) in ailing {
            text += &format!("  {pod}  {said}\n");
        }
    }
    for order in orders {
        text += &format!(
            "\n{} ({})\n  waits for  {}\n  since      {} ({})\n",
            order.object,
            order.reason,
            order.waits_for,
            order.since,
            ago(now, order.since),
        );
    }
    text
}

/// What scripts rely on.
fn document(cluster: &GeodeCluster, orders: &[Order], now: Timestamp) -> Value {
    let answers = answers(cluster);
    let answers: Vec<Value> = answers
        .iter()
        .map(|answer| {
            json!({
                "condition": answer.condition, "reason": answer.reason, "waitsFor": answer.waits_for,
                "since": answer.since.to_string(), "seconds": seconds(now, answer.since), "unblocks": answer.unblocks,
            })
        })
        .collect();
    let ailing: Vec<Value> = ailing(cluster)
        .into_iter()
        .map(|(pod, said)| json!({ "pod": pod, "state": said }))
        .collect();
    let orders: Vec<Value> = orders
        .iter()
        .map(|order| {
            json!({
                "object": order.object, "reason": order.reason, "waitsFor": order.waits_for,
                "since": order.since.to_string(), "seconds": seconds(now, order.since),
            })
        })
        .collect();
    json!({
        "cluster": cluster.metadata.name, "namespace": cluster.metadata.namespace,
        "current": is_current(cluster), "waits": answers, "members": ailing, "orders": orders,
    })
}

fn seconds(now: Timestamp, since: Timestamp) -> i64 {
    now.duration_since(since).as_secs().max(0)
}

/// `2 d 3 h`, `5 min`, `12 s`.
fn ago(now: Timestamp, since: Timestamp) -> String {
    let seconds = seconds(now, since);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(conditions: &[(&str, &str, &str, &str)]) -> GeodeCluster {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason, message)| {
                json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-03-01T12:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a", "generation": 2}, "spec": {},
            "status": {
                "observedGeneration": 2, "conditions": conditions,
                "members": [{"pod": "a-1", "role": "unknown", "state": "Unreachable", "message": "a-1 does not run"}],
            },
        }))
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_screen_says_what_is_waited_for_since_when_and_what_would_end_it() {
        let waiting = cluster(&[
            ("Ready", "False", "MemberNotReady", "a-1 does not run"),
            ("Stalled", "False", "Idle", ""),
            ("QuorumHealthy", "True", "LeaderElected", "a-0 leads"),
            (
                "Archiving",
                "False",
                "ArchiveNotConfigured",
                "spec.archive is absent",
            ),
            ("ObserversReady", "True", "AllMembersReady", ""),
        ]);
        let said = text(&waiting, &[], at("2026-03-01T13:05:00Z"));
        for line in [
            "Ready=False (MemberNotReady)",
            "waits for  a-1 does not run",
            "since      2026-03-01T12:00:00Z (1 h 5 min)",
            "`kubectl geode logs a --pod POD`",
            "a-1  Unreachable: a-1 does not run",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        assert!(!said.contains("Archiving"), "an archive is a choice: {said}");
        let document = document(&waiting, &[], at("2026-03-01T12:00:09Z"));
        assert_eq!(document["waits"][0]["seconds"], 9);
        assert_eq!(document["waits"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_is_said_twice_is_shown_once_and_what_needs_a_person_comes_first() {
        let stuck = cluster(&[
            ("Ready", "False", "DataLost", "every volume is empty"),
            ("Stalled", "True", "DataLost", "every volume is empty"),
            ("QuorumHealthy", "Unknown", "NotObserved", "no member answers"),
        ]);
        let answers = answers(&stuck);
        let conditions: Vec<&str> = answers.iter().map(|answer| answer.condition.as_str()).collect();
        assert_eq!(conditions, ["Stalled=True", "QuorumHealthy=Unknown"]);
        assert!(answers[0].unblocks.as_ref().unwrap().contains("geode restore a"));
    }

    #[test]
    fn all_is_well_and_not_looked_at_yet_are_told_apart() {
        let now = at("2026-03-01T12:00:00Z");
        let mut well = cluster(&[("Ready", "True", "AllMembersReady", "")]);
        assert!(text(&well, &[], now).contains("nothing is waited for"));
        let backup = Order {
            object: "geodebackup/a-1".into(),
            reason: "BackupRunning".into(),
            waits_for: "filed with a-2".into(),
            since: at("2026-03-01T11:59:00Z"),
        };
        let said = text(&well, std::slice::from_ref(&backup), now);
        assert!(
            said.contains("geodebackup/a-1 (BackupRunning)") && said.contains("(1 min)"),
            "{said}"
        );
        assert_eq!(document(&well, &[backup], now)["orders"][0]["seconds"], 60);
        well.metadata.generation = Some(3);
        assert!(text(&well, &[], now).contains("has not looked at this manifest yet"));
    }

    #[test]
    fn times_are_short() {
        let since = at("2026-03-01T12:00:00Z");
        for (now, said) in [
            ("2026-03-01T12:00:12Z", "12 s"),
            ("2026-03-01T12:05:12Z", "5 min"),
            ("2026-03-01T14:05:12Z", "2 h 5 min"),
            ("2026-03-04T14:05:12Z", "3 d 2 h"),
            ("2026-03-01T11:59:00Z", "0 s"),
        ] {
            assert_eq!(ago(at(now), since), said);
        }
    }
}
