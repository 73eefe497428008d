//! The second opinion: does a plan break a safety rule, given what was seen? It shares nothing with the planner but the types, reads the raw
//! observation itself, and says no when in doubt. A violation is a defect of the planner; the operator then does nothing and reports it.

use crate::names::Group;
use crate::observed::{ClaimView, Observed, STALE_AFTER_SECONDS};
use crate::plan::{Action, Plan};
use crate::want::Want;
use geode_api::BackupPhase;
use geode_types::{LogIndex, MemberId, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

mod exchange;
mod maintenance;
mod replacement;

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What would have broken it.
    pub action: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.rule)
    }
}

/// Silence of a member after which it does not count, milliseconds.
const SILENCE_MS: u64 = 3_000;
/// Entries that a member may lack and still count.
const MISSING_ENTRIES: u64 = 1_000;

/// The rules, over a plan and what it was made from.
pub fn check(plan: &Plan, want: &Want, seen: &Observed, now: Timestamp) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    let mut disruptions = 0;
    let mut membership_changes = 0;
    let mut recorded = want.memory.bootstrap.is_some();
    for action in &plan.actions {
        let broken = match action {
            Action::Record(memory) => {
                recorded |= memory.bootstrap.is_some();
                exchange::record(want, seen, memory, now)
                    .unwrap_or_else(|| forgets(want, memory.cluster_id.map(|id| id.to_string())))
            }
            Action::Initialize { pod, .. } => initialize(want, seen, pod, recorded),
            Action::AddLearner { .. } | Action::ChangeVoters { .. } | Action::RemoveLearners { .. } => {
                membership_changes += 1;
                membership(want, action, seen, now)
            }
            Action::TransferLeader { leader, to, .. } => {
                disruptions += 1;
                transfer(seen, leader, *to, now)
            }
            Action::RestartPod { pod, uid } => {
                disruptions += 1;
                restart(seen, pod, uid, now)
            }
            Action::ReplaceLostVolume { pod, claims } => {
                disruptions += 1;
                replace(want, seen, pod, claims, now)
            }
            Action::Fence { pod, fenced } => {
                disruptions += u32::from(*fenced);
                maintenance::fence(want, seen, pod, *fenced, now)
            }
            Action::RemakeSet { group, uid } => replacement::remake(want, seen, *group, uid, now),
            Action::ReplaceVolumes { pod, claims } => {
                disruptions += 1;
                replacement::volumes(want, seen, pod, claims, now)
            }
            Action::StopPods { group, uid } => exchange::stop(want, seen, *group, uid, now),
            Action::DeleteSet { group, uid } => exchange::delete_set(want, seen, *group, uid, now),
            Action::MarkVolumes { claims, kept_by } => exchange::mark(want, seen, claims, kept_by.as_ref()),
            Action::ReleaseVolumes { claims } => exchange::release(want, seen, claims, now),
            Action::Apply(object) => {
                exchange::apply(want, seen, object).or_else(|| maintenance::apply(want, seen, object))
            }
            Action::Scale { group, replicas } => scale(want, seen, *group, *replicas, now),
            Action::Delete(key) => (key.kind != crate::Kind::PodDisruptionBudget)
                .then_some("only disruption budgets are deleted"),
            _ => None,
        };
        let broken = broken.or_else(|| maintenance::paused(want, action, now));
        violations.extend(broken.map(|rule| Violation {
            rule,
            action: action.to_string(),
        }));
    }
    for (count, rule) in [
        (disruptions, "one voluntary disruption at a time"),
        (membership_changes, "one membership change at a time"),
    ] {
        if count > 1 {
            violations.push(Violation {
                rule,
                action: format!("{count} at once"),
            });
        }
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations)
    }
}

fn forgets(want: &Want, id: Option<String>) -> Option<&'static str> {
    let known = want.memory.cluster_id.map(|id| id.to_string());
    (known.is_some() && id != known).then_some("a recorded cluster identity never changes")
}

fn is_stale(seen: &Observed, now: Timestamp) -> bool {
    now.duration_since(seen.at).as_secs() > STALE_AFTER_SECONDS
}

fn initialize(want: &Want, seen: &Observed, pod: &str, recorded: bool) -> Option<&'static str> {
    if want.memory.cluster_id.is_some() {
        return Some("a database that existed is never begun again");
    }
    if exchange::is_restored(want) {
        return Some("what is to be restored is not begun empty");
    }
    if !recorded {
        return Some("the decision to begin is recorded first");
    }
    if seen.seen().any(|(_, status)| status.cluster_id.is_some()) {
        return Some("a database is not begun beside another one's volumes");
    }
    if seen
        .claims
        .values()
        .any(|claim| is_from_before(want, claim) && seen.member(&claim.pod).is_none())
    {
        return Some("a database is not begun while an older volume may hold one");
    }
    seen.member(pod)
        .is_none()
        .then_some("a database is begun only on a member that was seen")
}

/// Whether this volume was there before the manifest, and stays.
fn is_from_before(want: &Want, claim: &ClaimView) -> bool {
    claim.created_at < want.created_at && !claim.doomed
}

/// The account of the member that an action calls the leader, if it is one.
fn leader<'a>(seen: &'a Observed, pod: &str) -> Option<&'a MemberStatus> {
    let status = seen.member(pod)?;
    let newest = seen.seen().map(|(_, other)| other.term).max()?;
    (status.role == Role::Leader && status.term == newest).then_some(status)
}

/// The member that leads, and its pod.
fn any_leader(seen: &Observed) -> Option<(&str, &MemberStatus)> {
    seen.seen().find(|(pod, _)| leader(seen, pod).is_some())
}

/// Whether a volume waits for this pod to go, and goes then.
fn takes_volume(seen: &Observed, pod: &str) -> bool {
    seen.claims_of(pod).any(|(_, claim)| claim.doomed)
}

fn counts(leader: &MemberStatus, id: MemberId) -> bool {
    leader.address.id == id
        || leader.replication.iter().any(|other| {
            other.member == id
                && other.heard_ms.unwrap_or(u64::MAX) <= SILENCE_MS
                && leader.last_log.0.saturating_sub(other.matched.0) <= MISSING_ENTRIES
        })
}

/// Whether these voters, without some of them, still decide.
fn decides(leader: &MemberStatus, voters: &[MemberId], without: &[MemberId]) -> bool {
    let present = voters
        .iter()
        .filter(|id| !without.contains(id) && counts(leader, **id))
        .count();
    present * 2 > voters.len()
}

/// Whether a majority has everything without any identity that this pod ever had.
fn decides_without_pod(leader: &MemberStatus, pod: &str) -> bool {
    let members = leader.membership.members.iter();
    let gone: Vec<MemberId> = members
        .filter(|member| member.name == pod)
        .map(|member| member.id)
        .collect();
    decides(leader, &leader.membership.voters, &gone)
}

fn membership(want: &Want, action: &Action, seen: &Observed, now: Timestamp) -> Option<&'static str> {
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let (pod, expected): (&str, Option<LogIndex>) = match action {
        Action::AddLearner { leader, .. } => (leader, None),
        Action::ChangeVoters { leader, expected, .. } | Action::RemoveLearners { leader, expected, .. } => {
            (leader, Some(*expected))
        }
        _ => return None,
    };
    let Some(leader) = leader(seen, pod) else {
        return Some("membership is changed only through the leader");
    };
    if leader.membership.joint {
        if leader.membership.index > leader.committed {
            return Some("no change while another one is being committed");
        }
        let completes = matches!(action, Action::ChangeVoters { .. });
        if !completes {
            return Some("a change that is half-way is completed before the next one");
        }
    }
    if expected.is_some_and(|index| index != leader.membership.index) {
        return Some("a change is fenced by the membership that it was decided on");
    }
    match action {
        Action::AddLearner { member, .. } => add(seen, leader, member.id),
        Action::ChangeVoters { voters, .. } => change(want, seen, leader, voters),
        Action::RemoveLearners { members, .. } => members
            .iter()
            .any(|id| leader.membership.voters.contains(id))
            .then_some("only learners are removed as learners"),
        _ => None,
    }
}

fn add(seen: &Observed, leader: &MemberStatus, id: MemberId) -> Option<&'static str> {
    if leader.membership.members.iter().any(|member| member.id == id) {
        return Some("a member is added once");
    }
    let blank = seen
        .seen()
        .any(|(_, status)| status.address.id == id && status.cluster_id.is_none());
    (!blank).then_some("only an empty member joins")
}

fn change(want: &Want, seen: &Observed, leader: &MemberStatus, voters: &[MemberId]) -> Option<&'static str> {
    let distinct: BTreeSet<MemberId> = voters.iter().copied().collect();
    if distinct.len() != voters.len() || voters.is_empty() {
        return Some("voters are a set, and not an empty one");
    }
    if !voters
        .iter()
        .all(|id| leader.membership.members.iter().any(|member| member.id == *id))
    {
        return Some("every voter is a member first");
    }
    if !voters.contains(&leader.address.id) {
        return Some("a leader does not remove itself");
    }
    let added: Vec<&MemberId> = voters
        .iter()
        .filter(|id| !leader.membership.voters.contains(id))
        .collect();
    let observes = |member: &MemberAddress| want.names.ordinal(Group::Observers, &member.name).is_some();
    let mut newcomers = leader.membership.members.iter();
    if newcomers.any(|member| observes(member) && added.contains(&&member.id)) {
        return Some("an observer never gets a vote");
    }
    if !added.iter().all(|id| counts(leader, **id)) {
        return Some("a learner gets a vote when it has caught up");
    }
    if voters.len().is_multiple_of(2) && !leader.membership.voters.len().is_multiple_of(2) {
        return Some("the number of voters stays odd");
    }
    let members = leader.membership.members.iter();
    let staying = members.filter(|member| voters.contains(&member.id) && !takes_volume(seen, &member.name));
    let fewer = voters.len() < leader.membership.voters.len() && !leader.membership.joint;
    if fewer && staying.count() * 2 <= voters.len() {
        return Some("nobody is let go while the others' volumes are on their way out");
    }
    if leader.membership.joint && !added.is_empty() {
        return Some("completing a change adds nobody");
    }
    // While two sets of voters are in force, only the leader can say that both still answer it.
    let decided = if leader.membership.joint {
        leader.quorum_age_ms.unwrap_or(u64::MAX) <= SILENCE_MS
    } else {
        decides(leader, &leader.membership.voters, &[])
    };
    (!decided || !decides(leader, voters, &[]))
        .then_some("a majority of the voters before and after has caught up")
}

fn transfer(seen: &Observed, pod: &str, to: MemberId, now: Timestamp) -> Option<&'static str> {
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let Some(leader) = leader(seen, pod) else {
        return Some("only a leader hands over");
    };
    let able = leader.membership.voters.contains(&to) && to != leader.address.id && counts(leader, to);
    (!able).then_some("leadership goes to a voter that has caught up")
}

fn restart(seen: &Observed, pod: &str, uid: &str, now: Timestamp) -> Option<&'static str> {
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    let Some(view) = seen.pods.get(pod).filter(|view| view.uid == uid) else {
        return Some("only a pod that was seen is restarted");
    };
    if maintenance::is_held(seen, pod) {
        return Some("a pod whose member is fenced stays for inspection");
    }
    let takes_volume = takes_volume(seen, pod);
    if !view.running && seen.member(pod).is_none() {
        // It serves nobody. But a volume that waits for its deletion goes with it.
        let spared = any_leader(seen).is_some_and(|(_, leader)| decides_without_pod(leader, pod));
        return (takes_volume && !spared).then_some("no volume goes without a majority that has everything");
    }
    if seen
        .pods
        .iter()
        .any(|(other, view)| other != pod && !is_empty(seen, other) && (view.deleting || !view.ready))
    {
        return Some("no pod is disturbed while another one is away");
    }
    if seen
        .backups
        .iter()
        .any(|backup| backup.status.phase == BackupPhase::Running)
    {
        return Some("no pod is disturbed during a backup");
    }
    let Some((lead_pod, leader)) = any_leader(seen) else {
        return Some("no pod is disturbed without a leader");
    };
    let voters = &leader.membership.voters;
    let Some(id) = seen.id_of(pod) else {
        return Some("a pod that runs is restarted only when its member is known");
    };
    if takes_volume && !decides_without_pod(leader, pod) {
        return Some("no volume goes without a majority that has everything");
    }
    if voters.as_slice() == [id] {
        return None;
    }
    if lead_pod == pod {
        return Some("a leader hands over before it is restarted");
    }
    (!decides(leader, voters, &[id])).then_some("a majority stays without the pod")
}

/// A server that never belonged to a cluster is nobody's majority.
fn is_empty(seen: &Observed, pod: &str) -> bool {
    seen.member(pod)
        .is_some_and(|status| status.state == MemberState::Empty && status.cluster_id.is_none())
}

fn replace(
    want: &Want,
    seen: &Observed,
    pod: &str,
    claims: &[(String, String)],
    now: Timestamp,
) -> Option<&'static str> {
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    if seen.member(pod).is_some() {
        return Some("the volume of a member that answers is never deleted");
    }
    // A member is its log and its graph together. With one of them gone it cannot keep its promises, so the other must not outlive it
    // under the same identity.
    if !are_all_of(seen, pod, claims) {
        return Some("a member's volumes are deleted together, and nothing else");
    }
    if !seen.claims_of(pod).any(|(_, claim)| claim.lost) {
        return replacement::damaged(want, seen, pod, now);
    }
    let Some((_, leader)) = any_leader(seen) else {
        return Some("no volume is deleted without a leader");
    };
    (!decides_without_pod(leader, pod))
        .then_some("no volume is deleted without a majority that has everything")
}

/// Whether these are all volumes of this pod, and no others.
fn are_all_of(seen: &Observed, pod: &str, claims: &[(String, String)]) -> bool {
    let mine = seen.claims.iter().filter(|(_, claim)| claim.pod == pod);
    let all: BTreeSet<(&str, &str)> = mine
        .map(|(name, claim)| (name.as_str(), claim.uid.as_str()))
        .collect();
    let named: BTreeSet<(&str, &str)> = claims
        .iter()
        .map(|(name, uid)| (name.as_str(), uid.as_str()))
        .collect();
    named == all
}

fn scale(want: &Want, seen: &Observed, group: Group, replicas: u32, now: Timestamp) -> Option<&'static str> {
    let current = seen.sets.get(&group).map_or(0, |set| set.replicas);
    let is_beyond = |pod: &str, count: u32| {
        want.names
            .ordinal(group, pod)
            .is_some_and(|ordinal| ordinal >= count)
    };
    if replicas >= current {
        let leaving = |claim: &ClaimView| {
            claim.doomed && is_beyond(&claim.pod, current) && !is_beyond(&claim.pod, replicas)
        };
        return seen
            .claims
            .values()
            .any(leaving)
            .then_some("a place is filled again when its old volume is gone");
    }
    if is_stale(seen, now) {
        return Some("nothing is changed on an old observation");
    }
    if replicas == 0 && group == Group::Voters {
        return Some("a cluster keeps a voter's pod");
    }
    let Some((_, leader)) = any_leader(seen) else {
        return Some("pods are taken away only when the membership is known");
    };
    if leader
        .membership
        .members
        .iter()
        .any(|member| is_beyond(&member.name, replicas))
    {
        return Some("a pod goes after its member has left the cluster");
    }
    seen.claims
        .values()
        .any(|claim| {
            let goes = is_beyond(&claim.pod, replicas) && !is_beyond(&claim.pod, current);
            let lost = seen.claims_of(&claim.pod).any(|(_, half)| half.lost);
            goes && is_from_before(want, claim) && seen.member(&claim.pod).is_none() && !lost
        })
        .then_some("a volume from before the manifest is not deleted unseen")
}
