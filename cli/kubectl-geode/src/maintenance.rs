//! `kubectl geode maintenance|fence|hibernate on|off NAME`: what a person takes over from the operator for a while. Each sets a field of
//! `spec.maintenance`; whether it may be done now is the operator's decision, and `kubectl geode why NAME` says how it stands.

use crate::args::{FenceArgs, HibernateArgs, PauseArgs, Switch};
use crate::duration;
use crate::kubectl::Kubectl;
use anyhow::{Result, bail};
use geode_api::{GeodeCluster, MaintenanceSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::process::ExitCode;

/// A pause that is forgotten must not be for ever.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(1);

pub(crate) fn pause(kubectl: &Kubectl, args: &PauseArgs) -> Result<ExitCode> {
    let paused = match args.switch {
        Switch::On => {
            let until = end(Timestamp::now(), &args.duration)?;
            json!({ "until": until.to_string(), "reason": args.reason })
        }
        Switch::Off => Value::Null,
    };
    merge(kubectl, &args.name, json!({ "paused": paused }))?;
    match args.switch {
        Switch::On => println!(
            "The operator leaves {} alone for {}; elections go on without it.",
            args.name, args.duration
        ),
        Switch::Off => println!("The operator looks after {} again.", args.name),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn fence(kubectl: &Kubectl, args: &FenceArgs) -> Result<ExitCode> {
    let cluster = kubectl.cluster(&args.name)?;
    let fenced = fenced(&cluster, args)?;
    let mut change = json!({ "fenced": fenced });
    if let Some(token) = &args.allow_quorum_loss {
        change["allowQuorumLoss"] = token.as_str().into();
    } else if matches!(args.switch, Switch::Off) && !maintenance(&cluster).hibernate {
        change["allowQuorumLoss"] = Value::Null;
    }
    merge(kubectl, &args.name, change)?;
    println!("Fenced from now on: {}.", named(&fenced));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn hibernate(kubectl: &Kubectl, args: &HibernateArgs) -> Result<ExitCode> {
    let change = match args.switch {
        Switch::On => json!({ "hibernate": true, "allowQuorumLoss": args.allow_quorum_loss }),
        Switch::Off => json!({ "hibernate": null, "allowQuorumLoss": null }),
    };
    merge(kubectl, &args.name, change)?;
    match args.switch {
        Switch::On => println!(
            "{} goes to sleep: observers first, then voters; all volumes stay.",
            args.name
        ),
        Switch::Off => println!("{} wakes with the same members.", args.name),
    }
    Ok(ExitCode::SUCCESS)
}

fn merge(kubectl: &Kubectl, name: &str, change: Value) -> Result<()> {
    let patch = json!({ "spec": { "maintenance": change } }).to_string();
    kubectl.merge("geodecluster", name, &patch).map(drop)
}

fn maintenance(cluster: &GeodeCluster) -> MaintenanceSpec {
    cluster.spec.maintenance.clone().unwrap_or_default()
}

/// The pods to be fenced from now on.
fn fenced(cluster: &GeodeCluster, args: &FenceArgs) -> Result<Vec<String>> {
    let known = cluster.status.iter().flat_map(|status| &status.members);
    let mut fenced = maintenance(cluster).fenced;
    match args.switch {
        Switch::On if known.clone().all(|member| member.pod != args.pod) => bail!(
            "{} has no pod {}; its pods are {}",
            args.name,
            args.pod,
            named(&known.map(|member| member.pod.clone()).collect::<Vec<_>>())
        ),
        Switch::On if !fenced.contains(&args.pod) => fenced.push(args.pod.clone()),
        Switch::On => {}
        Switch::Off => fenced.retain(|pod| *pod != args.pod),
    }
    Ok(fenced)
}

fn named(pods: &[String]) -> String {
    if pods.is_empty() {
        "nobody".to_owned()
    } else {
        pods.join(", ")
    }
}

/// When a pause of this length ends.
fn end(now: Timestamp, duration: &str) -> Result<Timestamp> {
    let length = duration::parse(duration)?;
    if length < PAUSE_MIN || length > PAUSE_MAX {
        bail!("a pause lasts from 1s to 7d, so that none is forgotten; {duration} does not");
    }
    Ok(Timestamp::from_second(now.as_second() + length.as_secs())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(switch: Switch, pod: &str) -> FenceArgs {
        FenceArgs {
            switch,
            name: "a".into(),
            pod: pod.into(),
            allow_quorum_loss: None,
        }
    }

    fn cluster(fenced: &[&str]) -> GeodeCluster {
        let member = |pod| json!({"pod": pod, "role": "follower", "state": "Running"});
        serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"},
            "spec": {"maintenance": {"fenced": fenced}},
            "status": {"members": [member("a-0"), member("a-1"), member("a-2")]},
        }))
        .unwrap()
    }

    #[test]
    fn fencing_adds_a_pod_once_and_lifting_it_keeps_the_others() {
        for (before, switch, pod, after) in [
            (&[][..], Switch::On, "a-1", &["a-1"][..]),
            (&["a-1"], Switch::On, "a-1", &["a-1"]),
            (&["a-1", "a-2"], Switch::Off, "a-1", &["a-2"]),
            (&["a-2"], Switch::Off, "a-1", &["a-2"]),
        ] {
            assert_eq!(fenced(&cluster(before), &args(switch, pod)).unwrap(), after);
        }
        let error = fenced(&cluster(&[]), &args(Switch::On, "a-7"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("its pods are a-0, a-1, a-2"), "{error}");
    }

    #[test]
    fn a_pause_has_an_end_within_a_week() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (duration, until) in [
            ("90s", "2026-03-01T12:01:30Z"),
            ("2h", "2026-03-01T14:00:00Z"),
            ("7d", "2026-03-08T12:00:00Z"),
        ] {
            assert_eq!(end(now, duration).unwrap().to_string(), until);
        }
        for (duration, said) in [
            ("8d", "from 1s to 7d"),
            ("0s", "from 1s to 7d"),
            ("5", "is no duration"),
        ] {
            let error = end(now, duration).unwrap_err().to_string();
            assert!(error.contains(said), "{duration}: {error}");
        }
    }
}
