//! Who has a place, and who should vote? A function of the manifest, of the leader's membership and of who was seen; changes are `membership`'s.
//!
//! Every wanted place has at most one holder. The number of voters stays odd: two survive no more failures than one, and lose the vote more
//! often.

use crate::names::Group;
use crate::observed::Observed;
use crate::quorum::Lead;
use crate::want::Want;
use geode_types::MemberId;
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus};

/// Who holds the wanted places.
pub(super) struct Seats<'a> {
    /// One for a place: its pod's member, or else the voter of that name, who may be dead.
    pub(super) holders: Vec<MemberId>,
    /// Members of wanted places that do not vote and have not caught up.
    pub(super) late: Vec<&'a MemberAddress>,
    /// A place that two voters claim, while nobody can say which of them is there.
    pub(super) disputed: Option<String>,
}

/// Whether this server is new: it never belonged to a cluster.
pub(super) fn is_blank(status: &MemberStatus) -> bool {
    status.state == MemberState::Empty && status.cluster_id.is_none()
}

/// Whether this member's identity is gone for good: its pod's volume has another one now.
pub(super) fn is_dead(seen: &Observed, member: &MemberAddress) -> bool {
    seen.id_of(&member.name).is_some_and(|id| id != member.id)
}

/// How many places of a group can have members now. A pod above all that are in use whose member was removed bounds them: an identity that
/// left never comes back, so the pods from there on are taken away first, and return with new volumes.
pub(super) fn places(want: &Want, seen: &Observed, lead: &Lead<'_>, group: Group) -> u32 {
    let in_use = |id: MemberId| match group {
        Group::Voters => lead.votes(id),
        Group::Observers => true,
    };
    let highest = ordinals(want, lead, group)
        .filter(|(id, _)| in_use(*id))
        .map(|(_, at)| at)
        .max();
    let removed = seen
        .seen()
        .filter(|(_, status)| !lead.knows(status.address.id) && !is_blank(status))
        .filter_map(|(pod, _)| want.names.ordinal(group, pod))
        .filter(|at| Some(*at) > highest)
        .min();
    let wanted = want.count(group);
    removed.map_or(wanted, |at| at.min(wanted))
}

/// Members that are pods of this group, and which.
pub(super) fn ordinals<'a>(
    want: &'a Want,
    lead: &'a Lead<'_>,
    group: Group,
) -> impl Iterator<Item = (MemberId, u32)> + 'a {
    let members = lead.members().iter();
    members.filter_map(move |member| Some((member.id, want.names.ordinal(group, &member.name)?)))
}

/// Who holds the wanted places. `newcomers`: learners that have caught up take theirs.
pub(super) fn seats<'a>(want: &Want, seen: &Observed, lead: &Lead<'a>, newcomers: bool) -> Seats<'a> {
    let mut seats = Seats {
        holders: Vec::new(),
        late: Vec::new(),
        disputed: None,
    };
    // Voters that are no pods of this cluster are not ours to remove.
    let strangers = lead
        .members()
        .iter()
        .filter(|member| want.names.place(&member.name).is_none());
    seats
        .holders
        .extend(strangers.map(|member| member.id).filter(|id| lead.votes(*id)));
    for ordinal in 0..places(want, seen, lead, Group::Voters) {
        let pod = want.names.pod(Group::Voters, ordinal);
        let present = seen.id_of(&pod);
        let named = || lead.members().iter().filter(|member| member.name == pod);
        let there = named().find(|member| Some(member.id) == present);
        if let Some(member) = there
            && (lead.votes(member.id) || newcomers && lead.caught_up(member.id))
        {
            seats.holders.push(member.id);
            continue;
        }
        seats.late.extend(there);
        let voting: Vec<MemberId> = named()
            .map(|member| member.id)
            .filter(|id| lead.votes(*id))
            .collect();
        let heard = voting.iter().find(|id| lead.caught_up(**id));
        if voting.len() > 1 && present.is_none() && heard.is_none() {
            seats.disputed = Some(pod);
        }
        seats.holders.extend(heard.or(voting.first()));
    }
    seats
}

/// The voters to have next: the holders of the places, and as many others as are still needed.
pub(super) fn choose(want: &Want, seen: &Observed, lead: &Lead<'_>, holders: &[MemberId]) -> Vec<MemberId> {
    let current = lead.voters();
    let least = current.len().min(want.members as usize);
    let mut voters = holders.to_vec();
    let mut spare = spare(want, seen, lead, holders).into_iter();
    // Nobody is let go before enough others are there.
    while voters.len() < least {
        match spare.next() {
            Some(id) => voters.push(id),
            None => return current.to_vec(),
        }
    }
    if voters.len().is_multiple_of(2) {
        let newcomer = voters.iter().rposition(|id| is_addition(lead, *id));
        match (newcomer, spare.next()) {
            (Some(at), _) => drop(voters.remove(at)),
            (None, Some(id)) => voters.push(id),
            (None, None) => return current.to_vec(),
        }
    }
    voters
}

/// The voters to have when the leader's place is to be taken away and nobody who stays can take over yet: the new ones, and the leader.
pub(super) fn choose_around(
    want: &Want,
    seen: &Observed,
    lead: &Lead<'_>,
    goal: &[MemberId],
) -> Vec<MemberId> {
    let mut voters = goal.to_vec();
    voters.push(lead.id());
    let spare = spare(want, seen, lead, &voters)
        .into_iter()
        .find(|id| lead.caught_up(*id));
    match (spare, voters.iter().rposition(|id| is_addition(lead, *id))) {
        (Some(id), _) => voters.push(id),
        (None, Some(at)) => drop(voters.remove(at)),
        (None, None) => return lead.voters().to_vec(),
    }
    voters
}

/// Voters beyond the wanted places, the lowest first, so that those that were removed are always above those that were not.
fn spare(want: &Want, seen: &Observed, lead: &Lead<'_>, taken: &[MemberId]) -> Vec<MemberId> {
    let mut spare: Vec<(Option<u32>, MemberId)> = lead
        .members()
        .iter()
        .filter(|member| lead.votes(member.id) && !taken.contains(&member.id))
        .filter(|member| !want.wants_pod(&member.name) && !is_dead(seen, member))
        .map(|member| (want.names.ordinal(Group::Voters, &member.name), member.id))
        .collect();
    spare.sort_unstable();
    spare.into_iter().map(|(_, id)| id).collect()
}

/// Whether a vote for this member is one more, and not the vote of somebody who is dead.
fn is_addition(lead: &Lead<'_>, id: MemberId) -> bool {
    let name = |id: MemberId| {
        lead.members()
            .iter()
            .find(|member| member.id == id)
            .map(|member| &member.name)
    };
    !lead.votes(id) && !lead.voters().iter().any(|voter| name(*voter) == name(id))
}

pub(super) fn same_set(left: &[MemberId], right: &[MemberId]) -> bool {
    left.len() == right.len() && left.iter().all(|id| right.contains(id))
}
