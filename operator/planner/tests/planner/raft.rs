//! A Raft cluster as the planner sees it: voters, learners, a leader, how far each member is. No log, no messages.

use geode_types::{ClusterId, Incarnation, LogIndex, MemberId, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus, Membership, ReplicationStatus};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(crate) struct Raft {
    pub(crate) cluster_id: ClusterId,
    pub(crate) term: u64,
    pub(crate) leader: Option<MemberId>,
    pub(crate) last_log: u64,
    pub(crate) membership: Membership,
    /// How far each member is; a member that is missing has nothing.
    pub(crate) matched: BTreeMap<MemberId, u64>,
}

impl Raft {
    pub(crate) fn initialize(cluster_id: ClusterId, first: MemberAddress) -> Self {
        let id = first.id;
        Self {
            cluster_id,
            term: 1,
            leader: Some(id),
            last_log: 1,
            membership: Membership {
                index: LogIndex(1),
                joint: false,
                voters: vec![id],
                members: vec![first],
            },
            matched: BTreeMap::from([(id, 1)]),
        }
    }

    pub(crate) fn knows(&self, id: MemberId) -> bool {
        self.membership.members.iter().any(|member| member.id == id)
    }

    fn append_membership(&mut self) {
        self.last_log += 1;
        self.membership.index = LogIndex(self.last_log);
    }

    pub(crate) fn add_learner(&mut self, member: MemberAddress) {
        assert!(!self.knows(member.id), "added twice");
        self.membership.members.push(member);
        self.append_membership();
    }

    pub(crate) fn change_voters(&mut self, voters: &[MemberId], expected: LogIndex) {
        assert_eq!(expected, self.membership.index, "fenced");
        assert!(
            voters.iter().all(|id| self.knows(*id)),
            "a voter that is no member"
        );
        let dropped: Vec<MemberId> = self
            .membership
            .voters
            .iter()
            .copied()
            .filter(|id| !voters.contains(id))
            .collect();
        self.membership
            .members
            .retain(|member| !dropped.contains(&member.id));
        self.membership.voters = voters.to_vec();
        self.append_membership();
    }

    pub(crate) fn remove_learners(&mut self, ids: &[MemberId], expected: LogIndex) {
        assert_eq!(expected, self.membership.index, "fenced");
        assert!(
            ids.iter().all(|id| !self.membership.voters.contains(id)),
            "a voter is no learner"
        );
        self.membership.members.retain(|member| !ids.contains(&member.id));
        self.append_membership();
    }

    /// Time passes: those that are up catch up, and elect a leader when they can.
    pub(crate) fn step(&mut self, up: &[MemberId]) {
        let voters_up = self.membership.voters.iter().filter(|id| up.contains(id)).count();
        let quorum = voters_up * 2 > self.membership.voters.len();
        if !quorum {
            self.leader = None;
            return;
        }
        if self
            .leader
            .is_none_or(|leader| !up.contains(&leader) || !self.membership.voters.contains(&leader))
        {
            let most = |id: &&MemberId| self.matched.get(id).copied().unwrap_or(0);
            self.leader = self
                .membership
                .voters
                .iter()
                .filter(|id| up.contains(id))
                .max_by_key(most)
                .copied();
            self.term += 1;
        }
        for id in up
            .iter()
            .filter(|id| self.membership.members.iter().any(|member| member.id == **id))
        {
            self.matched.insert(*id, self.last_log);
        }
    }

    /// A member's account of itself. `belongs`: its volume has data of this cluster.
    pub(crate) fn account(&self, me: &MemberAddress, up: &[MemberId]) -> MemberStatus {
        let leads = self.leader == Some(me.id);
        let role = match (leads, self.membership.voters.contains(&me.id)) {
            (true, _) => Role::Leader,
            (false, true) => Role::Follower,
            (false, false) => Role::Observer,
        };
        let replication = self
            .membership
            .members
            .iter()
            .filter(|other| leads && other.id != me.id)
            .map(|other| ReplicationStatus {
                member: other.id,
                matched: LogIndex(self.matched.get(&other.id).copied().unwrap_or(0)),
                heard_ms: Some(if up.contains(&other.id) { 10 } else { 60_000 }),
            });
        MemberStatus {
            cluster_id: Some(self.cluster_id),
            state: MemberState::Running,
            role,
            term: self.term,
            leader: self.leader,
            last_log: LogIndex(self.last_log),
            committed: LogIndex(self.last_log),
            applied: LogIndex(self.matched.get(&me.id).copied().unwrap_or(0)),
            membership: self.membership.clone(),
            replication: replication.collect(),
            quorum_age_ms: leads.then_some(10),
            ..empty(me.clone())
        }
    }
}

/// A member without data.
pub(crate) fn empty(address: MemberAddress) -> MemberStatus {
    MemberStatus {
        address,
        version: "0.1.0".to_owned(),
        state: MemberState::Empty,
        cluster_id: None,
        incarnation: Incarnation(0),
        role: Role::Joining,
        term: 0,
        leader: None,
        last_log: LogIndex(0),
        committed: LogIndex(0),
        applied: LogIndex(0),
        snapshot: LogIndex(0),
        purged: LogIndex(0),
        not_ready: None,
        read_only: None,
        membership: Membership::default(),
        replication: Vec::new(),
        quorum_age_ms: None,
        archive: None,
        tasks: Vec::new(),
    }
}
