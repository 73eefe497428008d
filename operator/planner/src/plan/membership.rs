//! Is every voter's pod's member a voter, every observer's a learner, and nobody else a member? One change at a time, decided on the leader's own membership and fenced by its index.
//!
//! A new member becomes a learner, and a voter when it has caught up. A member whose volume was lost has left a dead identity behind; the change
//! that gives its successor a vote takes the dead one's away. Places are given up from above, and voters before learners: what was removed
//! is then always above what is still in use, and can be taken away. An observer's member becomes a learner and stays one.

use crate::names::Group;
use crate::observed::Observed;
use crate::plan::repair::is_deleted;
use crate::plan::voters::{choose, choose_around, is_blank, is_dead, ordinals, places, same_set, seats};
use crate::plan::{Action, Step, trouble};
use crate::quorum::{Lead, majority};
use crate::want::Want;
use geode_api::Reason;
use geode_types::MemberId;
use geode_wire::client::MemberAddress;

/// Is an earlier change of the voters complete? Its leader takes a change through two steps; when that leader is lost between them, two
/// sets of voters stay in force until somebody takes the second step.
pub(super) fn settled(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let membership = &lead.status.membership;
    if group != Group::Voters || !membership.joint {
        return Step::Clear;
    }
    let wait = |message: String| Step::Wait(Reason::ChangingMembers, message);
    if lead.status.committed < membership.index {
        return wait("a change of the voters is being committed".to_owned());
    }
    let seats = seats(want, seen, lead, false);
    if let Some(pod) = seats.disputed {
        return wait(format!(
            "a change of the voters is half-way: {}",
            trouble(seen, &pod)
        ));
    }
    // Both sets together have more voters than either: those who hold a place are enough.
    let voters = if seats.holders.len().is_multiple_of(2) {
        choose(want, seen, lead, &seats.holders)
    } else {
        seats.holders
    };
    if voters.len().is_multiple_of(2) {
        return wait("a change of the voters is half-way, and too few of them are there".to_owned());
    }
    if !voters.contains(&lead.id()) {
        return hand_over(lead, &voters).unwrap_or_else(|| nobody_takes_over(lead));
    }
    let message = format!("completing a change to {} voters", voters.len());
    change(lead, voters, message)
}

/// Are there learners whose place is gone?
pub(super) fn remove_learners(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    let places = places(want, seen, lead, group);
    let voters_fit = ordinals(want, lead, group).all(|(id, ordinal)| ordinal < places || !lead.votes(id));
    let is_surplus = |member: &MemberAddress| match want.names.ordinal(group, &member.name) {
        None => false,
        Some(ordinal) if ordinal >= places => voters_fit,
        Some(_) => is_dead(seen, member),
    };
    let surplus: Vec<&MemberAddress> = lead
        .members()
        .iter()
        .filter(|member| !lead.votes(member.id) && is_surplus(member))
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
pub(super) fn add_learner(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    for pod in (0..places(want, seen, lead, group)).map(|ordinal| want.names.pod(group, ordinal)) {
        let Some(status) = seen.member(&pod) else { continue };
        if lead.knows(status.address.id) || seen.pods.get(&pod).is_none_or(|view| view.deleting) {
            continue;
        }
        if !is_blank(status) {
            // Below one that is in use it cannot be taken away; a person decides about the volume.
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

/// Are the voters as they should be: the members of the wanted places, an odd number of them?
pub(super) fn change_voters(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> Step {
    if group != Group::Voters {
        return Step::Clear;
    }
    let seats = seats(want, seen, lead, true);
    if same_set(&seats.holders, lead.voters()) && seats.late.is_empty() {
        return Step::Clear;
    }
    let mut voters = choose(want, seen, lead, &seats.holders);
    let shrinks = voters.len() < lead.voters().len();
    if same_set(&voters, lead.voters()) || (shrinks && !seats.late.is_empty()) {
        let message = match seats.late.first() {
            Some(member) => format!(
                "{} copies the data: {} entries to go",
                member.name,
                lead.lag_entries(member.id).unwrap_or(0)
            ),
            None => format!("waiting for more members: {}", first_missing(want, seen)),
        };
        return Step::Wait(Reason::ChangingMembers, message);
    }
    if shrinks && let Some(pod) = goes(seen, lead, &voters) {
        return Step::Wait(
            Reason::ChangingMembers,
            format!(
                "the volume of {pod} is deleted and goes with the pod: it is replaced before others are let go"
            ),
        );
    }
    if !voters.contains(&lead.id()) {
        if let Some(step) = hand_over(lead, &voters) {
            return step;
        }
        voters = choose_around(want, seen, lead, &voters);
        if same_set(&voters, lead.voters()) {
            return nobody_takes_over(lead);
        }
    }
    if !has_majority(lead, lead.voters()) {
        return too_few();
    }
    let message = format!(
        "changing the voters from {} to {}",
        lead.voters().len(),
        voters.len()
    );
    change(lead, voters, message)
}

/// A pod whose volume is deleted, when without such volumes these voters have no majority.
fn goes<'a>(seen: &Observed, lead: &Lead<'a>, voters: &[MemberId]) -> Option<&'a str> {
    let members = lead.members().iter().filter(|member| voters.contains(&member.id));
    let going: Vec<&MemberAddress> = members.filter(|member| is_deleted(seen, &member.name)).collect();
    let staying = voters.len() - going.len();
    let first = going.first()?;
    (staying < majority(voters.len())).then_some(first.name.as_str())
}

fn change(lead: &Lead<'_>, voters: Vec<MemberId>, message: String) -> Step {
    if !has_majority(lead, &voters) {
        return too_few();
    }
    let action = Action::ChangeVoters {
        leader: lead.pod.to_owned(),
        voters,
        expected: lead.status.membership.index,
    };
    Step::Act(vec![action], Reason::ChangingMembers, message)
}

fn has_majority(lead: &Lead<'_>, voters: &[MemberId]) -> bool {
    lead.caught_up_among(voters) >= majority(voters.len())
}

fn too_few() -> Step {
    Step::Wait(
        Reason::MemberNotReady,
        "too few of the voters have caught up".to_owned(),
    )
}

/// Leadership goes to the best of these, if one of them can take it.
fn hand_over(lead: &Lead<'_>, among: &[MemberId]) -> Option<Step> {
    let able = lead
        .members()
        .iter()
        .filter(|member| among.contains(&member.id) && lead.votes(member.id) && lead.caught_up(member.id));
    let successor = able.min_by_key(|member| lead.rank(member))?;
    Some(Step::Act(
        vec![Action::TransferLeader {
            leader: lead.pod.to_owned(),
            to_pod: successor.name.clone(),
            to: successor.id,
        }],
        Reason::ChangingMembers,
        format!(
            "moving leadership from {} to {}: its place is to be taken away",
            lead.pod, successor.name
        ),
    ))
}

fn nobody_takes_over(lead: &Lead<'_>) -> Step {
    Step::Wait(
        Reason::MemberNotReady,
        format!("no voter has caught up to take over from {}", lead.pod),
    )
}

fn first_missing(want: &Want, seen: &Observed) -> String {
    want.pods_of(Group::Voters)
        .find(|pod| seen.member(pod).is_none())
        .map_or_else(|| "they are being added".to_owned(), |pod| trouble(seen, &pod))
}
