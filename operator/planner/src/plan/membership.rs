//! Is every pod's member a voter, and nobody else? One change at a time, decided on the leader's own membership and fenced by its index.
//!
//! A new member becomes a learner, and a voter when it has caught up. A member whose volume was lost has left a dead identity behind; the change
//! that gives its successor a vote takes the dead one's away. The number of voters stays odd.

use crate::observed::Observed;
use crate::plan::{Action, Step, trouble};
use crate::quorum::{Lead, majority};
use crate::want::Want;
use geode_api::Reason;
use geode_types::MemberId;
use geode_wire::client::MemberAddress;
use geode_wire::internal::MemberState;

/// Is an earlier change of the voters complete?
pub(super) fn settled(_: &Want, _: &Observed, lead: &Lead<'_>) -> Step {
    if lead.status.membership.joint {
        return Step::Wait(
            Reason::ChangingMembers,
            "a change of the voters is being committed".to_owned(),
        );
    }
    Step::Clear
}

/// Whether this member's place is elsewhere or gone: its pod is not wanted, or its pod's volume has another identity now.
fn is_surplus(want: &Want, seen: &Observed, member: &MemberAddress) -> bool {
    match want.names.ordinal(&member.name) {
        None => false,
        Some(ordinal) if ordinal >= want.members => true,
        Some(_) => seen.id_of(&member.name).is_some_and(|id| id != member.id),
    }
}

/// Are there learners whose place is gone?
pub(super) fn remove_learners(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let surplus: Vec<&MemberAddress> = lead
        .members()
        .iter()
        .filter(|member| !lead.votes(member.id) && is_surplus(want, seen, member))
        .collect();
    if surplus.is_empty() {
        return Step::Clear;
    }
    let names: Vec<String> = surplus
        .iter()
        .map(|member| format!("{} (id {})", member.name, member.id))
        .collect();
    let action = Action::RemoveLearners {
        leader: lead.pod.to_owned(),
        members: surplus.iter().map(|member| member.id).collect(),
        expected: lead.status.membership.index,
    };
    Step::Act(
        vec![action],
        Reason::ChangingMembers,
        format!("removing {}", names.join(", ")),
    )
}

/// Is there a pod whose member does not belong to the cluster yet?
pub(super) fn add_learner(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    for pod in want.pods() {
        let Some(status) = seen.member(&pod) else { continue };
        if lead.knows(status.address.id) || seen.pods.get(&pod).is_none_or(|view| view.deleting) {
            continue;
        }
        if status.state != MemberState::Empty {
            // A tail of removed members is taken away by `scale`; elsewhere a person decides about the volume.
            if is_tail(want, lead, &pod) {
                continue;
            }
            let id = status.address.id;
            return Step::Stuck(
                Reason::RemovedMember,
                format!("the volume of {pod} holds member {id}, which was removed from the cluster"),
            );
        }
        let action = Action::AddLearner {
            leader: lead.pod.to_owned(),
            member: status.address.clone(),
        };
        return Step::Act(
            vec![action],
            Reason::ChangingMembers,
            format!("{pod} joins as a learner"),
        );
    }
    Step::Clear
}

/// Whether this pod comes after every pod that has a member of the cluster.
pub(super) fn is_tail(want: &Want, lead: &Lead<'_>, pod: &str) -> bool {
    let in_use = lead
        .members()
        .iter()
        .filter_map(|member| want.names.ordinal(&member.name))
        .max();
    want.names.ordinal(pod) > in_use
}

/// Are the voters as they should be: without the surplus, with the learners that have caught up, and an odd number of them?
pub(super) fn change_voters(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Step {
    let surplus: Vec<&MemberAddress> = lead
        .members()
        .iter()
        .filter(|member| lead.votes(member.id) && is_surplus(want, seen, member))
        .collect();
    let learners: Vec<&MemberAddress> = lead
        .members()
        .iter()
        .filter(|member| {
            !lead.votes(member.id)
                && want.wants_pod(&member.name)
                && seen.id_of(&member.name) == Some(member.id)
        })
        .collect();
    if surplus.is_empty() && learners.is_empty() {
        return Step::Clear;
    }
    let (ready, late): (Vec<&MemberAddress>, Vec<&MemberAddress>) =
        learners.into_iter().partition(|member| lead.caught_up(member.id));
    let voters = next_voters(want, lead, &surplus, &ready);
    let shrinks = voters.len() < lead.voters().len();
    if same_set(&voters, lead.voters()) || (shrinks && !late.is_empty()) {
        let message = match late.first() {
            Some(member) => format!(
                "{} copies the data: {} entries to go",
                member.name,
                lead.lag_entries(member.id).unwrap_or(0)
            ),
            None => format!("waiting for more members: {}", first_missing(want, seen)),
        };
        return Step::Wait(Reason::ChangingMembers, message);
    }
    if !voters.contains(&lead.id()) {
        return hand_over(lead, &voters, "its place is to be taken away");
    }
    let decides = |voters: &[MemberId]| lead.caught_up_among(voters) >= majority(voters.len());
    if !decides(&voters) || !decides(lead.voters()) {
        return Step::Wait(
            Reason::MemberNotReady,
            "too few of the voters have caught up".to_owned(),
        );
    }
    let message = format!(
        "changing the voters from {} to {}",
        lead.voters().len(),
        voters.len()
    );
    let action = Action::ChangeVoters {
        leader: lead.pod.to_owned(),
        voters,
        expected: lead.status.membership.index,
    };
    Step::Act(vec![action], Reason::ChangingMembers, message)
}

/// Add first, take away later: successors replace the dead, then newcomers join, and only then the unwanted go.
fn next_voters(
    want: &Want,
    lead: &Lead<'_>,
    surplus: &[&MemberAddress],
    ready: &[&MemberAddress],
) -> Vec<MemberId> {
    let mut voters: Vec<MemberId> = lead.voters().to_vec();
    let mut joining: Vec<&MemberAddress> = ready.to_vec();
    for old in surplus {
        if let Some(at) = joining.iter().position(|new| new.name == old.name) {
            let successor = joining.remove(at);
            voters.retain(|id| *id != old.id);
            voters.push(successor.id);
        }
    }
    let is_wanted = |id: &MemberId| {
        lead.members()
            .iter()
            .any(|member| member.id == *id && want.wants_pod(&member.name))
    };
    // The number stays odd: two voters survive no more failures than one, and lose the vote more often.
    let room = (want.members as usize).saturating_sub(voters.iter().filter(|id| is_wanted(id)).count());
    let mut count = joining.len().min(room);
    if (voters.len() + count).is_multiple_of(2) {
        count = count.saturating_sub(1);
    }
    voters.extend(joining.iter().take(count).map(|member| member.id));
    if !same_set(&voters, lead.voters()) {
        return voters;
    }
    let unwanted = |id: &MemberId| {
        surplus
            .iter()
            .any(|old| old.id == *id && !want.wants_pod(&old.name))
    };
    voters.retain(|id| !unwanted(id));
    // Nobody is let go before enough others are there.
    if voters.len() < lead.voters().len().min(want.members as usize) {
        return lead.voters().to_vec();
    }
    voters
}

fn hand_over(lead: &Lead<'_>, among: &[MemberId], why: &str) -> Step {
    let successor = lead
        .members()
        .iter()
        .find(|member| among.contains(&member.id) && lead.votes(member.id) && lead.caught_up(member.id));
    match successor {
        Some(member) => Step::Act(
            vec![Action::TransferLeader {
                leader: lead.pod.to_owned(),
                to_pod: member.name.clone(),
                to: member.id,
            }],
            Reason::ChangingMembers,
            format!("moving leadership from {} to {}: {why}", lead.pod, member.name),
        ),
        None => Step::Wait(
            Reason::MemberNotReady,
            format!("no voter has caught up to take over from {}", lead.pod),
        ),
    }
}

fn first_missing(want: &Want, seen: &Observed) -> String {
    want.pods()
        .find(|pod| seen.member(pod).is_none())
        .map_or_else(|| "they are being added".to_owned(), |pod| trouble(seen, &pod))
}

fn same_set(left: &[MemberId], right: &[MemberId]) -> bool {
    left.len() == right.len() && left.iter().all(|id| right.contains(id))
}
