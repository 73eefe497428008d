//! Restores in place: what each GeodeRestore asks for, and whose turn it is. One is carried out at a time, the oldest first; the others wait. What was
//! done is read from the cluster's own memory of its lives, never from the status of a GeodeRestore, which only tells people. A GeodeRestore that
//! made this cluster is [`new_clusters`]'s; until that is complete the others wait for it too.

mod new_clusters;
mod prepare;
mod report;

pub use new_clusters::{
    NewCluster, Remains, delayed_new_cluster, held_new_cluster, new_cluster, plan_new_cluster,
    refused_new_cluster,
};

use crate::lives::{To, decided};
use crate::observed::{Observed, RestoreView, VolumeKind};
use crate::plan::{Action, Progress, Step, bootstrap, exchange};
use crate::quorum::Lead;
use crate::status::whole_second;
use crate::want::{Memory, Want};
use geode_api::{ExchangeStatus, GeodeRestoreStatus, Reason, RestoreOrder, RestorePhase};
use k8s_openapi::jiff::Timestamp;
use prepare::Prepared;
use report::record;

/// What restores do in a round.
pub(super) struct Turn {
    /// Questions to sidecars, statuses, and volumes that were released.
    pub(super) actions: Vec<Action>,
    /// An exchange that is decided: what is remembered of it, and a line for people.
    pub(super) exchange: Option<(Memory, String)>,
}

/// What a GeodeRestore asks for now.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// Nothing more than what is.
    None,
    /// To know what would be restored.
    Preview,
    /// To begin a life.
    Restore,
    /// That another life be used.
    Return(u32),
    /// What cannot be.
    Refused(String),
}

/// `open` is the first question that is not clear, apart from restores.
pub(super) fn turn(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    open: &Step,
    now: Timestamp,
) -> Turn {
    let mut turn = Turn {
        actions: Vec::new(),
        exchange: None,
    };
    let mut active = seen
        .restores
        .iter()
        .find(|restore| is_at_work(want, seen, restore))
        .map(|restore| restore.name.as_str());
    for restore in &seen.restores {
        if restore.spec.new_cluster.is_some() {
            let followed = new_clusters::follow(want, seen, lead, restore, open, now);
            turn.actions.extend(followed);
            continue;
        }
        let wish = wish(want, seen, restore);
        if matches!(wish, Wish::Restore | Wish::Return(_)) {
            let first = *active.get_or_insert(&restore.name);
            if first != restore.name {
                let message = format!("waiting for the GeodeRestore {first}");
                let status = waits(restore, message);
                turn.actions
                    .extend(record(restore, status, Reason::RestoreWaiting, now));
                continue;
            }
        }
        match wish {
            Wish::None => turn.actions.extend(follow(want, seen, lead, restore, open, now)),
            Wish::Preview => turn.actions.extend(preview(want, seen, restore, now)),
            Wish::Restore => begin(want, seen, lead, restore, now, &mut turn),
            Wish::Return(to) => go_back(want, seen, restore, to, now, &mut turn),
            Wish::Refused(reason) => {
                let status = waits(restore, reason);
                turn.actions
                    .extend(record(restore, status, Reason::RestoreRefused, now));
            }
        }
    }
    turn
}

/// Its exchange is not complete, or has left a database that cannot be used.
fn is_at_work(want: &Want, seen: &Observed, restore: &RestoreView) -> bool {
    let began = want.memory.life_of(&restore.uid).map(|(life, _)| life);
    match restore.status.phase {
        // It is told from the next round on that it runs.
        RestorePhase::Pending => restore.spec.new_cluster.is_some() && new_clusters::is_ours(want, restore),
        RestorePhase::Running => true,
        RestorePhase::Failed => began == Some(seen.life),
        _ => false,
    }
}

/// How the exchange that is under way stands, for its GeodeRestore, if that is still there.
pub(super) fn under_way(
    seen: &Observed,
    exchange: &ExchangeStatus,
    progress: &Progress,
    now: Timestamp,
) -> Option<Action> {
    let restore = seen
        .restores
        .iter()
        .find(|restore| restore.name == exchange.restore)?;
    let said = match progress {
        Progress::Idle => "",
        Progress::Working(_, said)
        | Progress::Waiting(_, said)
        | Progress::Stuck(_, said)
        | Progress::Resting(_, said) => said,
    };
    let status = report::stopped(restore.status.clone(), &exchange.decided_at, said);
    record(restore, status, Reason::Restoring, now)
}

fn waits(restore: &RestoreView, message: String) -> GeodeRestoreStatus {
    GeodeRestoreStatus {
        message: Some(message),
        ..restore.status.clone()
    }
}

fn wish(want: &Want, seen: &Observed, restore: &RestoreView) -> Wish {
    let (spec, phase) = (&restore.spec, restore.status.phase);
    let Some((life, order)) = want.memory.life_of(&restore.uid) else {
        return match phase {
            RestorePhase::Failed => Wish::None,
            RestorePhase::Completed if !spec.undo => Wish::None,
            RestorePhase::Undone if spec.undo => Wish::None,
            RestorePhase::Running | RestorePhase::Completed | RestorePhase::Undone => Wish::Refused(
                "the GeodeCluster was made anew since then and does not know this restore; nothing is exchanged".to_owned(),
            ),
            _ if spec.undo => Wish::Refused("spec.undo is true, but nothing was restored yet".to_owned()),
            RestorePhase::Previewed if spec.preview => Wish::None,
            _ if spec.preview => Wish::Preview,
            _ => Wish::Restore,
        };
    };
    let target = if spec.undo { order.previous } else { life };
    if seen.life == target {
        return Wish::None;
    }
    if ![life, order.previous].contains(&seen.life) {
        let done = end(spec.undo);
        return match want.order() {
            _ if phase == done => Wish::None,
            Some(other) => Wish::Refused(format!(
                "a later restore is in effect; set spec.undo of the GeodeRestore {} first",
                other.name
            )),
            None => {
                Wish::Refused("the database that this restore exchanged is not in use any more".to_owned())
            }
        };
    }
    if has_volumes(seen, target) {
        Wish::Return(target)
    } else {
        Wish::Refused("the volumes to go back to are gone".to_owned())
    }
}

/// How a restore ends that is, or is not, taken back.
fn end(undo: bool) -> RestorePhase {
    if undo {
        RestorePhase::Undone
    } else {
        RestorePhase::Completed
    }
}

/// Whether a member's volumes of this life are there.
fn has_volumes(seen: &Observed, life: u32) -> bool {
    let there = |kind: VolumeKind, pod: &String| {
        let mut kept = seen.kept.values();
        kept.any(|claim| (claim.life, claim.kind) == (life, kind) && claim.pod == *pod && !claim.doomed)
    };
    let mut pods = seen.kept.values().map(|claim| &claim.pod);
    pods.any(|pod| VolumeKind::ALL.iter().all(|kind| there(*kind, pod)))
}

fn preview(want: &Want, seen: &Observed, restore: &RestoreView, now: Timestamp) -> Vec<Action> {
    match prepare::plan(want, seen, None, restore, now) {
        Prepared::Refused(reason) => refuse(restore, reason, now).into_iter().collect(),
        Prepared::Waits(status, task) => wait(restore, *status, task, now),
        Prepared::Ready(mut status, _) => {
            status.phase = RestorePhase::Previewed;
            status.message =
                Some("nothing was touched; set spec.preview to false to carry it out".to_owned());
            record(restore, *status, Reason::RestorePreviewed, now)
                .into_iter()
                .collect()
        }
    }
}

fn begin(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    restore: &RestoreView,
    now: Timestamp,
    turn: &mut Turn,
) {
    match prepare::plan(want, seen, lead, restore, now) {
        Prepared::Refused(reason) => turn.actions.extend(refuse(restore, reason, now)),
        Prepared::Waits(status, task) => turn.actions.extend(wait(restore, *status, task, now)),
        Prepared::Ready(mut status, order) => {
            status.lsn_before = report::committed(seen).or(status.lsn_before);
            exchange(want, seen, restore, (*status, To::New(order)), now, turn);
        }
    }
}

fn go_back(want: &Want, seen: &Observed, restore: &RestoreView, to: u32, now: Timestamp, turn: &mut Turn) {
    if let Some(obstacle) = exchange::obstacle(want, seen) {
        let status = waits(restore, obstacle);
        turn.actions
            .extend(record(restore, status, Reason::RestoreWaiting, now));
        return;
    }
    exchange(
        want,
        seen,
        restore,
        (restore.status.clone(), To::Known(to)),
        now,
        turn,
    );
}

/// Decides it. What is remembered comes first, so the status of the GeodeRestore may not be written; a later round does that.
fn exchange(
    want: &Want,
    seen: &Observed,
    restore: &RestoreView,
    (before, to): (GeodeRestoreStatus, To),
    now: Timestamp,
    turn: &mut Turn,
) {
    let volumes: Vec<u32> = seen.kept.values().map(|claim| claim.life).collect();
    let memory = decided(&want.memory, seen.life, &volumes, to, |to| ExchangeStatus {
        restore: restore.name.clone(),
        to,
        decided_at: whole_second(now),
    });
    let message = format!(
        "{} exchanges databases: all members are about to stop",
        restore.name
    );
    let status = report::stopped(before, &whole_second(now), &message);
    turn.actions
        .extend(record(restore, status, Reason::Restoring, now));
    turn.exchange = Some((memory, message));
}

fn refuse(restore: &RestoreView, reason: String, now: Timestamp) -> Option<Action> {
    let status = GeodeRestoreStatus {
        phase: RestorePhase::Failed,
        message: Some(format!("nothing was touched: {reason}")),
        ..restore.status.clone()
    };
    record(restore, status, Reason::RestoreRefused, now)
}

fn wait(
    restore: &RestoreView,
    status: GeodeRestoreStatus,
    task: Option<Action>,
    now: Timestamp,
) -> Vec<Action> {
    let mut actions: Vec<Action> = record(restore, status, Reason::RestoreWaiting, now)
        .into_iter()
        .collect();
    actions.extend(task);
    actions
}

/// What it asked for is done or being done: how far is it? Volumes that are released go.
fn follow(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    restore: &RestoreView,
    open: &Step,
    now: Timestamp,
) -> Vec<Action> {
    let Some((life, order)) = want.memory.life_of(&restore.uid) else {
        let reason = match restore.status.phase {
            RestorePhase::Failed => Reason::RestoreRefused,
            RestorePhase::Previewed => Reason::RestorePreviewed,
            _ => Reason::RestoreCompleted,
        };
        return record(restore, restore.status.clone(), reason, now)
            .into_iter()
            .collect();
    };
    let (mut status, reason) = if [life, order.previous].contains(&seen.life) {
        progress(want, seen, lead, restore, open, now)
    } else {
        (restore.status.clone(), Reason::RestoreCompleted)
    };
    let kept = kept_life(seen, &status, life, order);
    let volumes: Vec<(String, String)> = seen
        .kept
        .iter()
        .filter(|(_, claim)| Some(claim.life) == kept)
        .map(|(name, claim)| (name.clone(), claim.uid.clone()))
        .collect();
    status.kept_volumes = volumes.iter().map(|(name, _)| name.clone()).collect();
    let done = matches!(status.phase, RestorePhase::Completed | RestorePhase::Undone);
    if restore.spec.release && done {
        status.message = Some(match volumes.len() {
            0 => "the volumes that were kept are deleted".to_owned(),
            count => format!("deleting {count} volumes that were kept"),
        });
    }
    let mut actions: Vec<Action> = record(restore, status, reason, now).into_iter().collect();
    let claims: Vec<(String, String)> = volumes
        .into_iter()
        .filter(|(name, _)| seen.kept.get(name).is_some_and(|claim| !claim.doomed))
        .collect();
    if restore.spec.release && done && !claims.is_empty() {
        actions.push(Action::ReleaseVolumes { claims });
    }
    actions
}

/// The life of the two that a restore exchanged that is not in use.
fn kept_life(seen: &Observed, status: &GeodeRestoreStatus, life: u32, order: &RestoreOrder) -> Option<u32> {
    match status.phase {
        _ if seen.life == life => Some(order.previous),
        _ if seen.life == order.previous => Some(life),
        RestorePhase::Completed => Some(order.previous),
        RestorePhase::Undone => Some(life),
        _ => None,
    }
}

/// How far the life that it asks for is.
fn progress(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    restore: &RestoreView,
    open: &Step,
    now: Timestamp,
) -> (GeodeRestoreStatus, Reason) {
    let mut status = restore.status.clone();
    let (undone, exists) = (restore.spec.undo, want.memory.cluster_id.is_some());
    if !undone {
        report::restored(seen, &restore.uid, &mut status);
    }
    if lead.is_some() && exists {
        report::serves(&mut status, now);
    }
    let done = end(undone);
    if matches!(open, Step::Clear) && status.phase != done {
        status.phase = done;
        status.completed_at = Some(whole_second(now));
        let said = if undone {
            "the database from before is in use again; the restored one is kept until spec.release"
        } else {
            "the restored database is in use; the one from before is kept until spec.release"
        };
        status.message = Some(said.to_owned());
    }
    if status.phase == done {
        return (status, Reason::RestoreCompleted);
    }
    if !exists && let Some(reason) = bootstrap::restore_failure(want, seen) {
        status.phase = RestorePhase::Failed;
        status.message = Some(format!(
            "{reason}; set spec.undo, and the database from before comes back"
        ));
        return (status, Reason::RestoreFailed);
    }
    report::runs(status, open)
}
