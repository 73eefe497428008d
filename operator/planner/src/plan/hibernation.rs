//! Does a person want no member to run? Then all pods stop, observers before voters, and every volume is kept: the write that takes the pods away also
//! tells the StatefulSet to keep their volumes. It needs no quorum, no backup and no archive, only that what serves is in sight. Waking is the
//! StatefulSet with its pods again; the members find their data and elect a leader by themselves.

use crate::names::Group;
use crate::observed::{Observed, SetView};
use crate::plan::{Action, Plan, Progress, Step, exchange, objects, scale, volumes};
use crate::want::Want;
use geode_api::Reason;
use k8s_openapi::jiff::Timestamp;

/// The plan of a cluster that is to sleep. Objects and volumes are looked after as ever.
pub(super) fn plan(want: &Want, seen: &Observed, now: Timestamp) -> Plan {
    let mut actions = objects::plan(want, seen, now);
    let progress = match step(want, seen) {
        Step::Act(next, reason, message) => {
            actions.extend(next);
            Progress::Working(reason, message)
        }
        Step::Wait(reason, message) => Progress::Waiting(reason, message),
        Step::Stuck(reason, message) => Progress::Stuck(reason, message),
        Step::Rest(reason, message) => Progress::Resting(reason, message),
        Step::Clear => Progress::Idle,
    };
    actions.extend(volumes::plan(want, seen));
    Plan {
        actions,
        progress,
        concerns: Group::Voters,
        held: Vec::new(),
    }
}

fn step(want: &Want, seen: &Observed) -> Step {
    let reason = Reason::Hibernated;
    for group in [Group::Observers, Group::Voters] {
        let Some(set) = seen.sets.get(&group) else {
            continue;
        };
        if set.replicas > 0 || !set.keeps_volumes {
            if let Some(obstacle) = exchange::obstacle(want, seen) {
                return Step::Wait(reason, format!("going to sleep: {obstacle}"));
            }
            let uid = set.uid.clone();
            let message = format!("going to sleep: stopping all {group}; their volumes stay");
            return Step::Act(vec![Action::StopPods { group, uid }], reason, message);
        }
        let mut pods = seen.pods.keys();
        if let Some(pod) = pods.find(|pod| want.names.ordinal(group, pod).is_some()) {
            return Step::Wait(reason, format!("going to sleep: {pod} stops"));
        }
    }
    let name = &want.names.cluster;
    Step::Rest(
        reason,
        format!("no member runs and all volumes are kept; `kubectl geode hibernate off {name}` wakes them"),
    )
}

/// A StatefulSet without pods that keeps its volumes, because its cluster sleeps.
pub(super) fn sleeps(set: &SetView) -> bool {
    set.replicas == 0 && set.keeps_volumes
}

/// Does the cluster sleep that is to be awake? Every volume gets its pod back, whatever the manifest asks for by now: members leave as members do.
pub(super) fn wake(want: &Want, seen: &Observed, _: Timestamp) -> Step {
    for group in Group::ALL {
        if !seen.sets.get(&group).is_some_and(sleeps) {
            continue;
        }
        let kept = seen.claims.values().filter(|claim| !claim.doomed);
        let highest = kept
            .filter_map(|claim| want.names.ordinal(group, &claim.pod))
            .max();
        let pods = want.count(group).max(highest.map_or(0, |highest| highest + 1));
        if pods > 0 {
            return scale::grow(want, seen, group, pods);
        }
    }
    Step::Clear
}
