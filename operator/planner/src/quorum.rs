//! Who leads, and who follows closely enough to count on. The leader's own account is the only source: a follower's may be old.

use crate::observed::Observed;
use geode_types::{MemberId, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus};

/// A leader that no majority has acknowledged for longer may be one no more.
const QUORUM_AGE_MS_MAX: u64 = 3_000;
/// A member that the leader has not heard for longer does not count.
const HEARD_MS_MAX: u64 = 3_000;
/// A member that is behind by more entries has not caught up.
const LAG_ENTRIES_MAX: u64 = 1_000;

/// A leader that a majority acknowledges.
#[derive(Clone, Copy)]
pub struct Lead<'a> {
    /// Its pod.
    pub pod: &'a str,
    /// Its account.
    pub status: &'a MemberStatus,
}

/// How many of `voters` decide.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

impl<'a> Lead<'a> {
    /// The confirmed leader of the highest term, if there is one. Somebody who knows a higher term knows of an election that this leader
    /// may have lost.
    pub fn find(seen: &'a Observed) -> Option<Self> {
        let newest = seen.seen().map(|(_, status)| status.term).max();
        seen.seen()
            .filter(|(_, status)| Some(status.term) == newest)
            .filter(|(_, status)| status.state == MemberState::Running && status.role == Role::Leader)
            .filter(|(_, status)| is_acknowledged(status))
            .map(|(pod, status)| Self { pod, status })
            .next()
    }

    /// Its identity.
    pub fn id(&self) -> MemberId {
        self.status.address.id
    }

    /// Voters.
    pub fn voters(&self) -> &'a [MemberId] {
        &self.status.membership.voters
    }

    /// Whether this member votes.
    pub fn votes(&self, id: MemberId) -> bool {
        self.voters().contains(&id)
    }

    /// Everyone, voters and learners.
    pub fn members(&self) -> &'a [MemberAddress] {
        &self.status.membership.members
    }

    /// Whether this member belongs to the cluster.
    pub fn knows(&self, id: MemberId) -> bool {
        self.members().iter().any(|member| member.id == id)
    }

    /// Whether this member has been heard lately and has nearly everything.
    pub fn caught_up(&self, id: MemberId) -> bool {
        id == self.id()
            || self.status.replication.iter().any(|replication| {
                replication.member == id
                    && replication.heard_ms.is_some_and(|heard| heard <= HEARD_MS_MAX)
                    && replication.matched.0 + LAG_ENTRIES_MAX >= self.status.last_log.0
            })
    }

    /// How many of these have caught up.
    pub fn caught_up_among(&self, ids: &[MemberId]) -> usize {
        ids.iter().filter(|id| self.caught_up(**id)).count()
    }

    /// Milliseconds since the leader heard this member, or 0 when it has everything that is committed.
    pub fn lag_ms(&self, id: MemberId) -> Option<u64> {
        if id == self.id() {
            return Some(0);
        }
        let replication = self
            .status
            .replication
            .iter()
            .find(|replication| replication.member == id)?;
        let heard = replication.heard_ms?;
        let complete = replication.matched >= self.status.committed && heard <= HEARD_MS_MAX;
        Some(if complete { 0 } else { heard.max(1) })
    }

    /// Log entries that this member lacks.
    pub fn lag_entries(&self, id: MemberId) -> Option<u64> {
        let replication = self
            .status
            .replication
            .iter()
            .find(|replication| replication.member == id)?;
        Some(self.status.last_log.0.saturating_sub(replication.matched.0))
    }

    /// Of those that may lead next the least is the best: the one that lacks least, and of equals the first by name.
    pub fn rank(&self, member: &'a MemberAddress) -> (u64, &'a str) {
        let lacks = self.lag_entries(member.id).unwrap_or(u64::MAX);
        (lacks, member.name.as_str())
    }
}

fn is_acknowledged(status: &MemberStatus) -> bool {
    let alone = status.membership.voters == [status.address.id];
    alone || status.quorum_age_ms.is_some_and(|age| age <= QUORUM_AGE_MS_MAX)
}
