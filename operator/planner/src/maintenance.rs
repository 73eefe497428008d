//! `Maintenance`: `spec.maintenance` after validation, and what people are told of it.

use crate::names::{Group, Names};
use crate::observed::Observed;
use crate::status::Verdict;
use crate::want::{Invalid, Want};
use geode_api::{ConditionType, MaintenanceSpec, Reason};
use geode_wire::internal::MemberState;
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;

/// What a person takes over for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// The operator changes nothing.
    pub paused: Option<Pause>,
    /// Pods whose members take no part.
    pub fenced: BTreeSet<String>,
    /// No pods run.
    pub hibernates: bool,
    /// Pods with an outdated template stay as they are.
    pub holds_updates: bool,
    /// The database may stop taking writes for this.
    pub allows_quorum_loss: bool,
}

/// A pause of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

impl Maintenance {
    /// The pause that is in force now.
    pub fn pause(&self, now: Timestamp) -> Option<&Pause> {
        self.paused.as_ref().filter(|pause| now < pause.until)
    }
}

impl Pause {
    /// One clause about it.
    pub fn describe(&self) -> String {
        let why = self
            .reason
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        format!("the operator is paused until {}{why}", self.until)
    }
}

/// Checks `spec.maintenance`.
pub(crate) fn validate(spec: Option<&MaintenanceSpec>, names: &Names) -> Result<Maintenance, Invalid> {
    let Some(spec) = spec else {
        return Ok(Maintenance::default());
    };
    let wrong = |what: String| Err(Invalid(format!("spec.maintenance.{what}")));
    if let Some(stranger) = spec.fenced.iter().find(|pod| names.place(pod).is_none()) {
        let example = names.pod(Group::Voters, 0);
        return wrong(format!(
            "fenced names {stranger}, which is no pod of this cluster; its pods are called {example} and so on"
        ));
    }
    if let Some(token) = spec
        .allow_quorum_loss
        .as_ref()
        .filter(|token| **token != names.cluster)
    {
        return wrong(format!(
            "allowQuorumLoss is {token}; it must be {}, the name of this cluster",
            names.cluster
        ));
    }
    if spec.hibernate && spec.allow_quorum_loss.is_none() {
        return wrong(format!(
            "hibernate stops every member; spec.maintenance.allowQuorumLoss: {} says that this is meant",
            names.cluster
        ));
    }
    let paused = match &spec.paused {
        None => None,
        Some(pause) => match pause.until.parse() {
            Ok(until) => Some(Pause {
                until,
                reason: pause.reason.clone().filter(|reason| !reason.is_empty()),
            }),
            Err(error) => return wrong(format!("paused.until: {error}")),
        },
    };
    Ok(Maintenance {
        paused,
        fenced: spec.fenced.iter().cloned().collect(),
        hibernates: spec.hibernate,
        holds_updates: spec.hold_updates,
        allows_quorum_loss: spec.allow_quorum_loss.is_some(),
    })
}

/// Whether the member of this pod is held.
pub(crate) fn is_fenced(seen: &Observed, pod: &str) -> bool {
    seen.member(pod)
        .is_some_and(|status| status.state == MemberState::Fenced)
}

/// What the condition Maintenance says: in force, or over; `None` where there never was any.
pub(crate) fn verdict(want: &Want, seen: &Observed, now: Timestamp) -> Option<Verdict> {
    if let Some((reason, message)) = in_force(want, seen, now) {
        return Some((Some(true), reason, message));
    }
    let kind = ConditionType::Maintenance.to_string();
    let known = seen.status.conditions.iter().any(|had| had.type_ == kind);
    known.then(|| (Some(false), Reason::Idle, String::new()))
}

/// What is in force, the gravest first; `None` in everyday use.
fn in_force(want: &Want, seen: &Observed, now: Timestamp) -> Option<(Reason, String)> {
    let maintenance = &want.maintenance;
    let mut said = Vec::new();
    if maintenance.hibernates {
        let left = seen
            .pods
            .keys()
            .filter(|pod| want.names.place(pod).is_some())
            .count();
        let message = match left {
            0 => "no member runs; all volumes are kept".to_owned(),
            left => format!("{left} pods are still to stop; all volumes are kept"),
        };
        said.push((Reason::Hibernated, message));
    }
    if let Some(pause) = maintenance.pause(now) {
        said.push((Reason::Paused, pause.describe()));
    }
    let held = seen.seen().map(|(pod, _)| pod).filter(|pod| is_fenced(seen, pod));
    let mut fences: BTreeSet<&str> = held.collect();
    fences.extend(maintenance.fenced.iter().map(String::as_str));
    for pod in fences {
        let message = match (is_fenced(seen, pod), maintenance.fenced.contains(pod)) {
            (true, true) => format!("{pod} is fenced and takes no part"),
            (true, false) => format!("the fence of {pod} is being lifted"),
            (false, _) => format!("{pod} is to be fenced"),
        };
        said.push((Reason::Fenced, message));
    }
    if maintenance.holds_updates {
        said.push((
            Reason::UpdatesHeld,
            "no pod is restarted for a new template".to_owned(),
        ));
    }
    let reason = said.first()?.0;
    let messages: Vec<String> = said.into_iter().map(|(_, message)| message).collect();
    Some((reason, messages.join("; ")))
}
