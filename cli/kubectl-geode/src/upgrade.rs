//! `kubectl geode upgrade NAME --to VERSION [--plan] [--wait]`: says what will happen, refuses what would not end well, and sets `spec.version`.

use crate::args::UpgradeArgs;
use crate::duration;
use crate::kubectl::Kubectl;
use anyhow::{Context, Result, bail};
use geode_api::{
    BackupPhase, ConditionType, GeodeBackup, GeodeCluster, MemberStatus, restart_rank, upgrade_path,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_secs(1);

/// A pod that restarts.
#[derive(Debug, PartialEq, Eq)]
struct Restart {
    pod: String,
    observes: bool,
}

/// What is asked for.
struct Asked<'a> {
    to: &'a str,
    /// How old the newest base backup may be.
    within: SignedDuration,
    without_backup: bool,
    now: Timestamp,
}

/// What is known before anything moves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Preview {
    /// Pods in the order of their restarts.
    restarts: Vec<Restart>,
    /// Why it is not begun.
    obstacles: Vec<String>,
    /// What a person should know.
    notes: Vec<String>,
}

pub(crate) fn run(kubectl: &Kubectl, args: &UpgradeArgs, to: &str) -> Result<ExitCode> {
    let within = duration::parse(&args.backup_within)?;
    let cluster = kubectl.cluster(&args.name)?;
    let list = kubectl.json(&["get", "geodebackups", "--output", "json"])?;
    let backups: Vec<GeodeBackup> =
        serde_json::from_value(list["items"].clone()).context("read the backups")?;
    let asked = Asked {
        to,
        within,
        without_backup: args.without_backup,
        now: Timestamp::now(),
    };
    let preview = preview(&cluster, &backups, &asked);
    print!("{}", text(&args.name, to, &preview));
    let patch = json!({"spec": {"version": to}}).to_string();
    if !preview.obstacles.is_empty() {
        let name = &args.name;
        bail!(
            "nothing was changed. Set it all the same, for example to take back what does not start: \
             kubectl patch geodecluster {name} --type merge --patch '{patch}'"
        );
    }
    if args.plan {
        println!("\nNothing was changed. Without --plan it begins.");
        return Ok(ExitCode::SUCCESS);
    }
    kubectl.merge("geodecluster", &args.name, &patch)?;
    if args.wait {
        return wait(kubectl, args, to);
    }
    println!("\nBegun; see `kubectl geode status {}`.", args.name);
    Ok(ExitCode::SUCCESS)
}

/// Until every member runs it; a member that does not start is told, and waited for.
fn wait(kubectl: &Kubectl, args: &UpgradeArgs, to: &str) -> Result<ExitCode> {
    let mut said = String::new();
    loop {
        let cluster = kubectl.cluster(&args.name)?;
        if cluster.spec.version.as_deref() != Some(to) {
            bail!("somebody has changed spec.version meanwhile");
        }
        if is_done(&cluster, to) {
            println!("Every member runs {to}.");
            return Ok(ExitCode::SUCCESS);
        }
        if let Some((_, message)) = condition(&cluster, ConditionType::Ready)
            && message != said
        {
            eprintln!("{message}");
            said = message;
        }
        sleep(ASK_EVERY);
    }
}

/// The operator has seen the manifest and says that all members run this version, and all is well: a version that is being taken back is still
/// the last that all ran.
fn is_done(cluster: &GeodeCluster, version: &str) -> bool {
    let status = cluster.status.clone().unwrap_or_default();
    let runs = status
        .images
        .is_some_and(|images| tag(&images.server) == Some(version));
    let ready = condition(cluster, ConditionType::Ready).is_some_and(|(holds, _)| holds);
    status.observed_generation == cluster.metadata.generation && runs && ready
}

fn tag(image: &str) -> Option<&str> {
    image.rsplit_once(':').map(|(_, tag)| tag)
}

/// Whether a condition holds, and what it says.
fn condition(cluster: &GeodeCluster, kind: ConditionType) -> Option<(bool, String)> {
    let conditions = &cluster.status.as_ref()?.conditions;
    let found = conditions.iter().find(|had| had.type_ == kind.to_string())?;
    Some((found.status == "True", found.message.clone()))
}

fn restart(member: &MemberStatus) -> Restart {
    Restart {
        pod: member.pod.clone(),
        observes: member.role == "observer",
    }
}

/// When a base backup was complete. An incremental or differential one is an entry that the archived log leads to, and no copy of its own.
fn base_at(backup: &GeodeBackup) -> Option<Timestamp> {
    let status = backup.status.as_ref()?;
    let kind = status.kind.as_ref().unwrap_or(&backup.spec.kind);
    let is_base = status.phase == BackupPhase::Completed && kind == "full";
    status
        .completed_at
        .as_ref()
        .filter(|_| is_base)
        .map(|time| time.0)
}

fn preview(cluster: &GeodeCluster, backups: &[GeodeBackup], asked: &Asked<'_>) -> Preview {
    let to = asked.to;
    let status = cluster.status.clone().unwrap_or_default();
    let leader = status.leader.clone().unwrap_or_default();
    let mut preview = Preview {
        restarts: status.members.iter().map(restart).collect(),
        ..Preview::default()
    };
    preview
        .restarts
        .sort_by_key(|restart| restart_rank(&restart.pod, &leader));
    if let Some(image) = &cluster.spec.image {
        preview.obstacles.push(format!(
            "spec.image names {image}; change that, or remove it, instead of naming a version"
        ));
    }
    if is_done(cluster, to) {
        preview.obstacles.push(format!("every member runs {to} already"));
    }
    let ran = status.images.as_ref().and_then(|images| tag(&images.server));
    if let Some(Err(error)) = ran.map(|ran| upgrade_path(ran, to)) {
        preview.obstacles.push(format!(
            "the members run {}, and {to} must not follow: {error}",
            ran.unwrap_or_default()
        ));
    }
    match condition(cluster, ConditionType::Ready) {
        Some((true, _)) => {}
        Some((false, message)) => preview
            .obstacles
            .push(format!("the cluster is not Ready: {message}")),
        None => preview
            .obstacles
            .push("the operator has not looked at this cluster yet".to_owned()),
    }
    if let Some((false, message)) = condition(cluster, ConditionType::ObserversReady) {
        preview
            .obstacles
            .push(format!("it would wait for an observer: {message}"));
    }
    if cluster.spec.archive.is_none() {
        preview
            .notes
            .push("there is no archive: what the members lose is lost".to_owned());
        return preview;
    }
    if let Some((false, message)) = condition(cluster, ConditionType::Archiving) {
        preview
            .obstacles
            .push(format!("the archive does not get on: {message}"));
    }
    let name = cluster.metadata.name.clone().unwrap_or_default();
    let ours = backups.iter().filter(|backup| backup.spec.cluster == name);
    let newest = ours.filter_map(base_at).max();
    let said = match newest {
        Some(at) => format!("the newest base backup is of {at}"),
        None => "there is no base backup yet".to_owned(),
    };
    let is_recent = newest.is_some_and(|at| asked.now.duration_since(at) <= asked.within);
    if is_recent || asked.without_backup {
        preview.notes.push(said);
    } else {
        preview.obstacles.push(format!(
            "{said}: `kubectl geode backup {name} --wait` takes one; --without-backup does without, --backup-within says how old one may be"
        ));
    }
    preview
}

fn text(name: &str, to: &str, preview: &Preview) -> String {
    let mut text = format!("{name} to {to}\n");
    let all = preview.restarts.len();
    let voters = preview
        .restarts
        .iter()
        .filter(|restart| !restart.observes)
        .count();
    for (number, restart) in preview.restarts.iter().enumerate() {
        let what = match voters {
            _ if restart.observes => "observes, restarts, and has to catch up",
            1 => "restarts; nobody takes writes meanwhile",
            _ if number + 1 == all => "hands leadership over and restarts, last",
            _ => "restarts, and has to catch up",
        };
        text += &format!("  {}. {} {what}\n", number + 1, restart.pod);
    }
    for note in &preview.notes {
        text += &format!("  Note: {note}\n");
    }
    for obstacle in &preview.obstacles {
        text += &format!("  Refused: {obstacle}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn cluster(change: &Value) -> GeodeCluster {
        let ready = json!({"type": "Ready", "status": "True", "reason": "AllReady", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let member = |pod: &str, role: &str| json!({"pod": pod, "role": role, "state": "Running"});
        let members = [
            member("a-0", "follower"),
            member("a-1", "leader"),
            member("a-2", "follower"),
            member("a-observer-0", "observer"),
            member("a-observer-1", "observer"),
        ];
        let mut cluster = json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a", "generation": 2}, "spec": {},
            "status": {
                "leader": "a-1", "members": members, "conditions": [ready], "observedGeneration": 2,
                "images": {"server": "reg:5000/geode:1.0.0", "sidecar": "s:1.0.0"},
            },
        });
        for (path, value) in change.as_object().into_iter().flatten() {
            *cluster.pointer_mut(path).unwrap() = value.clone();
        }
        serde_json::from_value(cluster).unwrap()
    }

    fn asked(to: &str) -> Asked<'_> {
        Asked {
            to,
            within: SignedDuration::from_hours(24),
            without_backup: false,
            now: "2026-01-02T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_release_that_is_skipped_and_one_that_is_older_are_refused() {
        for (to, said) in [("1.2.0", "upgrade to 1.1 first"), ("0.9.0", "it is older")] {
            let plan = preview(&cluster(&json!({})), &[], &asked(to));
            assert!(
                plan.obstacles.iter().any(|obstacle| obstacle.contains(said)),
                "{plan:?}"
            );
        }
    }

    #[test]
    fn the_plan_names_the_restarts_in_their_order_and_a_missing_archive() {
        let plan = preview(&cluster(&json!({})), &[], &asked("1.1.0"));
        let pods: Vec<&str> = plan.restarts.iter().map(|restart| restart.pod.as_str()).collect();
        assert_eq!(pods, ["a-observer-1", "a-observer-0", "a-2", "a-0", "a-1"]);
        assert_eq!((plan.obstacles.len(), plan.notes.len()), (0, 1), "{plan:?}");
        let said = text("a", "1.1.0", &plan);
        assert!(
            said.contains("1. a-observer-1 observes, restarts, and has to catch up")
                && said.contains("5. a-1 hands leadership over and restarts, last"),
            "{said}"
        );
    }

    #[test]
    fn one_voter_goes_without_a_successor_whoever_observes() {
        let members = ["a-0", "a-observer-0"].map(|pod| {
            let role = if pod == "a-0" { "leader" } else { "observer" };
            json!({"pod": pod, "role": role, "state": "Running"})
        });
        let plan = preview(
            &cluster(&json!({"/status/members": members, "/status/leader": "a-0"})),
            &[],
            &asked("1.1.0"),
        );
        let said = text("a", "1.1.0", &plan);
        assert!(
            said.contains("2. a-0 restarts; nobody takes writes meanwhile"),
            "{said}"
        );
    }

    #[test]
    fn what_would_not_end_well_is_refused_with_its_reason() {
        for (change, said) in [
            (json!({"/spec": {"image": "x:1"}}), "spec.image names x:1"),
            (
                json!({"/status/conditions/0/status": "False", "/status/conditions/0/message": "a-2 is away"}),
                "not Ready: a-2 is away",
            ),
            (json!({"/status/conditions": []}), "has not looked"),
            (
                json!({"/status/conditions/0/type": "ObserversReady", "/status/conditions/0/status": "False", "/status/conditions/0/message": "a-observer-0 is away"}),
                "it would wait for an observer: a-observer-0 is away",
            ),
            (
                json!({"/spec": {"archive": {"s3": {"bucket": "b"}}}, "/status/conditions/0/type": "Archiving", "/status/conditions/0/status": "False"}),
                "the archive does not get on",
            ),
            (
                json!({"/status/images/server": "reg:5000/geode:1.1.0"}),
                "every member runs 1.1.0 already",
            ),
        ] {
            let plan = preview(&cluster(&change), &[], &asked("1.1.0"));
            assert!(
                plan.obstacles.iter().any(|obstacle| obstacle.contains(said)),
                "{change}: {plan:?}"
            );
        }
    }

    #[test]
    fn a_version_that_is_being_taken_back_is_not_called_done() {
        assert!(is_done(&cluster(&json!({})), "1.0.0"));
        let underway = cluster(&json!({"/status/conditions/0/status": "False"}));
        assert!(!is_done(&underway, "1.0.0"));
    }

    #[test]
    fn a_backup_that_goes_on_from_another_is_no_base_backup_whatever_was_asked_for() {
        let at = "2026-01-01T00:00:00Z";
        for (asked, taken, counts) in [
            ("full", Some("full"), true),
            ("full", None, true),
            ("incremental", Some("incremental"), false),
            ("differential", None, false),
            // There was none to go on from.
            ("incremental", Some("full"), true),
        ] {
            let backup = json!({
                "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup", "metadata": {"name": "x"},
                "spec": {"cluster": "a", "type": asked},
                "status": {"phase": "Completed", "completedAt": at, "type": taken},
            });
            let found = base_at(&serde_json::from_value(backup).unwrap());
            assert_eq!(found, counts.then(|| at.parse().unwrap()), "{asked} {taken:?}");
        }
    }

    #[test]
    fn the_newest_complete_backup_of_this_cluster_is_named() {
        let backup = |cluster: &str, phase: &str, at: &str| -> GeodeBackup {
            serde_json::from_value(json!({
                "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup", "metadata": {"name": at}, "spec": {"cluster": cluster},
                "status": {"phase": phase, "completedAt": at},
            }))
            .unwrap()
        };
        let backups = [
            backup("a", "Completed", "2026-01-01T00:00:00Z"),
            backup("a", "Completed", "2026-01-02T00:00:00Z"),
            backup("a", "Failed", "2026-01-03T00:00:00Z"),
            backup("b", "Completed", "2026-01-04T00:00:00Z"),
        ];
        let archived = cluster(&json!({"/spec": {"archive": {"s3": {"bucket": "b"}}}}));
        let plan = preview(&archived, &backups, &asked("1.1.0"));
        assert_eq!(plan.notes, ["the newest base backup is of 2026-01-02T00:00:00Z"]);
        assert!(plan.obstacles.is_empty(), "{plan:?}");
        // One that is too old, or none, is refused, unless that is meant.
        let mut later = asked("1.1.0");
        later.now = "2026-01-03T00:00:01Z".parse().unwrap();
        for (backups, said) in [(&backups[..], "of 2026-01-02"), (&[], "no base backup yet")] {
            let plan = preview(&archived, backups, &later);
            assert!(plan.obstacles[0].contains(said), "{plan:?}");
        }
        later.without_backup = true;
        assert!(preview(&archived, &[], &later).obstacles.is_empty());
    }
}
