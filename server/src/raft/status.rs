//! How consensus stands on this member, for its operators, its metrics and its own decisions.

use super::types::{Types, view};
use geode_types::{LogIndex, MemberId, Role};
use geode_wire::internal::{Membership, ReplicationStatus};
use openraft::{AsyncRuntime, Instant, RaftMetrics, ServerState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A leader that no quorum has answered for longer leads nobody.
const QUORUM_AGE_MAX: Duration = Duration::from_secs(3);
/// A leader that was not heard for longer may not be there any more.
const LEADER_AGE_MAX: Duration = Duration::from_secs(3);

/// How consensus stands on this member.
#[derive(Clone, Debug)]
pub struct RaftStatus {
    /// What it does. `Joining` before it has a place in a cluster.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// The leader it follows or is.
    pub leader: Option<MemberId>,
    /// Last entry of its log.
    pub last_log: LogIndex,
    /// Last entry it knows to be committed.
    pub committed: LogIndex,
    /// Last entry applied.
    pub applied: LogIndex,
    /// Last entry that is durably applied, as of the newest snapshot point.
    pub snapshot: LogIndex,
    /// Everything up to here is gone from the log.
    pub purged: LogIndex,
    /// Bytes of log.
    pub log_bytes: u64,
    /// The membership, in force although it may not be committed yet.
    pub membership: Membership,
    /// Who votes in every configuration in force. While voters are exchanged, a majority of the old ones and one of the new ones are needed
    /// (joint consensus, Ongaro 2014, section 4.3): whoever votes in one alone does not make up for a loss in the other.
    pub lasting_voters: Vec<MemberId>,
    /// Leader only: how far each other member is.
    pub replication: Vec<ReplicationStatus>,
    /// Leader only: milliseconds since a quorum last acknowledged it; 0 when it is a quorum by itself.
    pub quorum_age_ms: Option<u64>,
    /// Milliseconds since this member took a leader's message; absent when it never did.
    pub leader_age_ms: Option<u64>,
    /// Why writing or applying waits, when a volume is full.
    pub full: Option<String>,
    /// The entry 0 has been applied or there is a log: this member is part of a cluster.
    pub initialized: bool,
}

impl RaftStatus {
    /// Addresses are in the membership: the one of the leader, when known.
    pub fn leader_address(&self) -> Option<&geode_wire::client::MemberAddress> {
        let leader = self.leader?;
        self.membership.members.iter().find(|member| member.id == leader)
    }

    /// Whether it leads, and no majority has answered it for seconds: others may have elected somebody else.
    pub fn has_lost_quorum(&self) -> bool {
        let late = |age: u64| u128::from(age) > QUORUM_AGE_MAX.as_millis();
        self.role == Role::Leader && self.quorum_age_ms.is_some_and(late)
    }

    /// Whether it follows a leader that it has not heard for seconds. One that votes finds out by standing for election; an observer never does.
    pub fn has_lost_leader(&self) -> bool {
        let late = |age: u64| u128::from(age) > LEADER_AGE_MAX.as_millis();
        self.role != Role::Leader && self.leader_age_ms.is_none_or(late)
    }

    /// The leader, unless it is this member and has lost its quorum.
    pub fn leader_with_quorum(&self) -> Option<MemberId> {
        self.leader.filter(|_| !self.has_lost_quorum())
    }

    /// Leader only: the other voter that has most of the log, and of several the one heard last.
    pub fn best_successor(&self) -> Option<MemberId> {
        self.replication
            .iter()
            .filter(|peer| self.membership.voters.contains(&peer.member))
            .max_by_key(|peer| (peer.matched, std::cmp::Reverse(peer.heard_ms.unwrap_or(u64::MAX))))
            .map(|peer| peer.member)
    }
}

fn index<T>(id: Option<&T>, of: impl Fn(&T) -> u64) -> LogIndex {
    LogIndex(id.map_or(0, of))
}

fn role(state: ServerState, membership: &Membership) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower | ServerState::Candidate => Role::Follower,
        _ if membership.members.is_empty() => Role::Joining,
        _ => Role::Observer,
    }
}

/// Milliseconds since an instant.
fn age<I: Instant>(instant: &I) -> u64 {
    instant.elapsed().as_millis() as u64
}

pub(super) fn status<R: AsyncRuntime>(
    metrics: &RaftMetrics<Types<R>>,
    me: MemberId,
    log_bytes: u64,
    full: Option<String>,
) -> RaftStatus {
    let membership = view::<R>(&metrics.membership_config);
    let leading = metrics.state == ServerState::Leader;
    let alone = membership.voters == [me] && !membership.joint;
    let quorum_age_ms = match &metrics.last_quorum_acked {
        _ if !leading => None,
        _ if alone => Some(0),
        Some(instant) => Some(age(&**instant)),
        None => Some(u64::MAX),
    };
    RaftStatus {
        role: role(metrics.state, &membership),
        term: metrics.current_term,
        leader: metrics.current_leader.map(MemberId),
        last_log: LogIndex(metrics.last_log_index.unwrap_or(0)),
        committed: index(metrics.local_committed.as_ref(), openraft::LogId::index),
        applied: index(metrics.last_applied.as_ref(), openraft::LogId::index),
        snapshot: index(metrics.snapshot.as_ref(), openraft::LogId::index),
        purged: index(metrics.purged.as_ref(), openraft::LogId::index),
        log_bytes,
        replication: replication(metrics, me),
        initialized: metrics.last_log_index.is_some(),
        lasting_voters: lasting_voters(metrics.membership_config.membership().get_joint_config()),
        membership,
        quorum_age_ms,
        leader_age_ms: None,
        full,
    }
}

fn lasting_voters(configurations: &[BTreeSet<u64>]) -> Vec<MemberId> {
    let Some((first, others)) = configurations.split_first() else {
        return Vec::new();
    };
    let lasting = first
        .iter()
        .filter(|voter| others.iter().all(|other| other.contains(voter)));
    lasting.copied().map(MemberId).collect()
}

fn replication<R: AsyncRuntime>(metrics: &RaftMetrics<Types<R>>, me: MemberId) -> Vec<ReplicationStatus> {
    let Some(replication) = &metrics.replication else {
        return Vec::new();
    };
    let empty = BTreeMap::new();
    let heartbeat = metrics.heartbeat.as_ref().unwrap_or(&empty);
    let others = replication.iter().filter(|(member, _)| **member != me.0);
    others
        .map(|(member, matched)| ReplicationStatus {
            member: MemberId(*member),
            matched: index(matched.as_ref(), openraft::LogId::index),
            heard_ms: heartbeat
                .get(member)
                .and_then(Option::as_ref)
                .map(|instant| age(&**instant)),
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of member 1, with two other voters.
    pub(crate) fn status(role: Role, others: &[(u64, u64)]) -> RaftStatus {
        let index = LogIndex(0);
        RaftStatus {
            role,
            term: 1,
            leader: Some(MemberId(1)),
            last_log: LogIndex(9),
            committed: index,
            applied: index,
            snapshot: index,
            purged: index,
            log_bytes: 0,
            membership: Membership {
                voters: vec![MemberId(1), MemberId(2), MemberId(3)],
                ..Membership::default()
            },
            lasting_voters: vec![MemberId(1), MemberId(2), MemberId(3)],
            replication: others
                .iter()
                .map(|(member, matched)| ReplicationStatus {
                    member: MemberId(*member),
                    matched: LogIndex(*matched),
                    heard_ms: Some(10),
                })
                .collect(),
            quorum_age_ms: Some(10),
            leader_age_ms: None,
            full: None,
            initialized: true,
        }
    }

    #[test]
    fn who_votes_in_one_configuration_of_a_change_alone_is_no_lasting_voter() {
        let [before, after] = [BTreeSet::from([1, 3]), BTreeSet::from([1, 2, 3])];
        assert_eq!(
            lasting_voters(&[before, after.clone()]),
            [MemberId(1), MemberId(3)]
        );
        assert_eq!(lasting_voters(&[after]), [1, 2, 3].map(MemberId));
        assert!(lasting_voters(&[]).is_empty());
    }

    #[test]
    fn a_leader_without_a_majority_leads_nobody() {
        let mut leader = status(Role::Leader, &[]);
        assert_eq!(leader.leader_with_quorum(), Some(MemberId(1)));
        leader.quorum_age_ms = Some(3001);
        assert_eq!(leader.leader_with_quorum(), None);
        // A follower knows its leader by hearing from it.
        leader.role = Role::Follower;
        leader.quorum_age_ms = None;
        assert_eq!(leader.leader_with_quorum(), Some(MemberId(1)));
    }

    #[test]
    fn whoever_does_not_lead_has_to_hear_the_leader() {
        let leader = status(Role::Leader, &[]);
        assert!(!leader.has_lost_leader());
        for role in [Role::Follower, Role::Observer] {
            for (heard, lost) in [(None, true), (Some(3000), false), (Some(3001), true)] {
                let mut member = status(role, &[]);
                member.leader_age_ms = heard;
                assert_eq!(member.has_lost_leader(), lost, "{role} {heard:?}");
            }
        }
    }
}
