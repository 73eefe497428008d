//! A Raft cluster as the planner sees it: a membership that is in force before it is committed, changes in two steps that somebody has
//! to drive, a leader, and how far each member is. No log, no messages; a step is a second.

use geode_types::{ClusterId, Incarnation, LogIndex, MemberId, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus, Membership, ReplicationStatus};
use std::collections::{BTreeMap, BTreeSet};

/// Entries that are written in a step.
const WRITES: u64 = 20;
/// Entries that a member copies in a step.
const COPIES: u64 = 3_000;
/// What members say of one that they do not hear, milliseconds.
const SILENT_MS: u64 = 60_000;

/// What a member heard last.
#[derive(Clone, Debug)]
struct Heard {
    term: u64,
    leader: Option<MemberId>,
    membership: Membership,
}

#[derive(Clone, Debug)]
pub(crate) struct Raft {
    pub(crate) cluster_id: ClusterId,
    pub(crate) term: u64,
    pub(crate) leader: Option<MemberId>,
    pub(crate) last_log: u64,
    committed: u64,
    pub(crate) membership: Membership,
    /// The voter sets in force: two while a change is under way.
    configs: Vec<Vec<MemberId>>,
    /// The membership before one that is not committed yet.
    before: Option<(Membership, Vec<Vec<MemberId>>)>,
    /// The term of the leader that takes the second step of a change. openraft leaves a change half-way when that leader is lost.
    driven_in: Option<u64>,
    /// How far each member is; a member that is missing has nothing.
    pub(crate) matched: BTreeMap<MemberId, u64>,
    heard: BTreeMap<MemberId, Heard>,
}

fn decides(voters: &[MemberId], up: &[MemberId]) -> bool {
    voters.iter().filter(|id| up.contains(id)).count() * 2 > voters.len()
}

impl Raft {
    pub(crate) fn initialize(cluster_id: ClusterId, first: MemberAddress) -> Self {
        let id = first.id;
        Self {
            cluster_id,
            term: 1,
            leader: Some(id),
            last_log: 1,
            committed: 1,
            membership: Membership {
                index: LogIndex(1),
                joint: false,
                voters: vec![id],
                members: vec![first],
            },
            configs: vec![vec![id]],
            before: None,
            driven_in: None,
            matched: BTreeMap::from([(id, 1)]),
            heard: BTreeMap::new(),
        }
    }

    /// A cluster of just these voters, wherever they come from.
    pub(crate) fn found(&mut self, voters: &[MemberId]) {
        let members = self.membership.members.iter();
        let members = members
            .filter(|member| voters.contains(&member.id))
            .cloned()
            .collect();
        let mut voters = voters.to_vec();
        voters.sort_unstable();
        self.leader = voters.first().copied();
        self.term += 1;
        self.append(vec![voters], members);
    }

    /// Whoever drives a change of the voters stops doing so.
    pub(crate) fn leave_half_way(&mut self) {
        self.driven_in = None;
    }

    pub(crate) fn knows(&self, id: MemberId) -> bool {
        self.membership.members.iter().any(|member| member.id == id)
    }

    pub(crate) fn votes(&self, id: MemberId) -> bool {
        self.membership.voters.contains(&id)
    }

    /// Whether a majority of every voter set in force is among these.
    pub(crate) fn has_quorum(&self, up: &[MemberId]) -> bool {
        self.configs.iter().all(|voters| decides(voters, up))
    }

    fn has_all(&self, id: MemberId) -> bool {
        self.matched
            .get(&id)
            .is_some_and(|matched| *matched >= self.last_log)
    }

    /// Those of these that have everything.
    pub(crate) fn complete(&self, up: &[MemberId]) -> Vec<MemberId> {
        up.iter().copied().filter(|id| self.has_all(*id)).collect()
    }

    /// What every change of the membership needs.
    fn may_change(&self, leader: MemberId, expected: Option<LogIndex>) -> Result<(), String> {
        if self.leader != Some(leader) {
            return Err("this member is not the leader".to_owned());
        }
        assert!(
            expected.is_none_or(|index| index == self.membership.index),
            "fenced by another membership than the leader's"
        );
        if self.committed < self.membership.index.0 {
            return Err("a change is under way".to_owned());
        }
        Ok(())
    }

    fn append(&mut self, configs: Vec<Vec<MemberId>>, members: Vec<MemberAddress>) {
        self.before
            .get_or_insert_with(|| (self.membership.clone(), self.configs.clone()));
        self.last_log += 1;
        if let Some(leader) = self.leader {
            self.matched.insert(leader, self.last_log);
        }
        let voters: BTreeSet<MemberId> = configs.iter().flatten().copied().collect();
        self.membership = Membership {
            index: LogIndex(self.last_log),
            joint: configs.len() > 1,
            voters: voters.into_iter().collect(),
            members,
        };
        self.configs = configs;
    }

    pub(crate) fn add_learner(&mut self, leader: MemberId, member: MemberAddress) -> Result<(), String> {
        assert!(!self.knows(member.id), "added twice");
        self.may_change(leader, None)?;
        let members = self.membership.members.iter().cloned().chain([member]);
        self.append(self.configs.clone(), members.collect());
        Ok(())
    }

    /// Replaces all voters: through a joint membership when it has to be, as openraft does it.
    pub(crate) fn change_voters(
        &mut self,
        leader: MemberId,
        voters: &[MemberId],
        expected: LogIndex,
    ) -> Result<(), String> {
        self.may_change(leader, Some(expected))?;
        assert!(
            voters.iter().all(|id| self.knows(*id)),
            "a voter that is no member"
        );
        let mut goal = voters.to_vec();
        goal.sort_unstable();
        self.driven_in = Some(self.term);
        self.towards(goal);
        Ok(())
    }

    /// One step towards a voter set. Voters that are in no set any more leave the cluster.
    fn towards(&mut self, goal: Vec<MemberId>) {
        let last = self.configs.last().cloned().unwrap_or_default();
        let configs = if self.configs.contains(&goal) {
            vec![goal]
        } else {
            vec![last, goal]
        };
        let stays = |member: &MemberAddress| {
            !self.votes(member.id) || configs.iter().any(|voters| voters.contains(&member.id))
        };
        let members = self.membership.members.iter().filter(|member| stays(member));
        let members = members.cloned().collect();
        self.append(configs, members);
    }

    pub(crate) fn remove_learners(
        &mut self,
        leader: MemberId,
        ids: &[MemberId],
        expected: LogIndex,
    ) -> Result<(), String> {
        self.may_change(leader, Some(expected))?;
        assert!(ids.iter().all(|id| !self.votes(*id)), "a voter is no learner");
        let members = self.membership.members.iter();
        let members = members
            .filter(|member| !ids.contains(&member.id))
            .cloned()
            .collect();
        self.append(self.configs.clone(), members);
        Ok(())
    }

    pub(crate) fn transfer(&mut self, from: MemberId, to: MemberId, up: &[MemberId]) -> Result<(), String> {
        if self.leader != Some(from) {
            return Err("this member is not the leader".to_owned());
        }
        if !self.has_quorum(up) || !up.contains(&to) {
            return Err("leadership stays here".to_owned());
        }
        self.matched.insert(to, self.last_log);
        self.leader = Some(to);
        self.term += 1;
        Ok(())
    }

    /// Writes that only the leader has yet.
    pub(crate) fn load(&mut self, entries: u64) {
        if let Some(leader) = self.leader {
            self.last_log += entries;
            self.matched.insert(leader, self.last_log);
        }
    }

    /// Time passes: those that are up elect a leader when they can, write, copy and commit.
    pub(crate) fn step(&mut self, up: &[MemberId]) {
        let leads = |leader: &MemberId| up.contains(leader) && self.votes(*leader);
        if !self.has_quorum(up) || self.leader.is_some_and(|leader| !leads(&leader)) {
            self.leader = None;
            return;
        }
        if self.leader.is_none() {
            self.elect(up);
        }
        self.last_log += WRITES;
        if self.membership.joint
            && self.committed >= self.membership.index.0
            && self.driven_in == Some(self.term)
        {
            self.towards(self.configs.last().cloned().unwrap_or_default());
        }
        self.copy(up);
        self.commit();
    }

    /// The most complete voter wins; what only the lost have is gone.
    fn elect(&mut self, up: &[MemberId]) {
        let reach = |id: &MemberId| self.matched.get(id).copied().unwrap_or(0);
        let voters = self.membership.voters.iter().copied();
        let winner = voters.filter(|id| up.contains(id)).max_by_key(reach);
        let last = winner.map_or(0, |winner| reach(&winner));
        assert!(last >= self.committed, "committed entries are lost");
        (self.leader, self.last_log) = (winner, last);
        self.term += 1;
        for matched in self.matched.values_mut() {
            *matched = last.min(*matched);
        }
        if let Some((membership, configs)) = self.before.take_if(|_| self.membership.index.0 > last) {
            (self.membership, self.configs) = (membership, configs);
        }
    }

    fn copy(&mut self, up: &[MemberId]) {
        for id in up {
            if !self.knows(*id) {
                continue;
            }
            let has = self.matched.get(id).copied().unwrap_or(0);
            let leads = self.leader == Some(*id);
            let reaches = if leads {
                self.last_log
            } else {
                self.last_log.min(has + COPIES)
            };
            self.matched.insert(*id, reaches);
            let heard = Heard {
                term: self.term,
                leader: self.leader,
                membership: self.membership.clone(),
            };
            self.heard.insert(*id, heard);
        }
    }

    fn commit(&mut self) {
        let holders: Vec<MemberId> = self
            .matched
            .keys()
            .copied()
            .filter(|id| self.has_all(*id))
            .collect();
        if self.has_quorum(&holders) {
            self.committed = self.last_log;
            self.before = None;
        }
    }

    /// A member's account of itself: the leader's, or what it heard last.
    pub(crate) fn account(&self, me: &MemberAddress, up: &[MemberId]) -> MemberStatus {
        let heard = self.heard.get(&me.id);
        let hears = up.contains(&me.id) && self.knows(me.id) && self.leader.is_some();
        let (term, leader, membership) = match heard {
            _ if hears => (self.term, self.leader, &self.membership),
            Some(heard) => (
                heard.term,
                heard.leader.filter(|id| *id == me.id),
                &heard.membership,
            ),
            None => (self.term, None, &self.membership),
        };
        let leads = leader == Some(me.id);
        let role = match (leads, membership.voters.contains(&me.id)) {
            (true, _) => Role::Leader,
            (false, true) => Role::Follower,
            (false, false) => Role::Observer,
        };
        let matched = |id: MemberId| LogIndex(self.matched.get(&id).copied().unwrap_or(0));
        let replication = membership
            .members
            .iter()
            .filter(|other| leads && other.id != me.id)
            .map(|other| ReplicationStatus {
                member: other.id,
                matched: matched(other.id),
                heard_ms: Some(if hears && up.contains(&other.id) {
                    10
                } else {
                    SILENT_MS
                }),
            });
        // A leader notices late that it has lost its majority.
        let quorum_age = match (hears, self.has_quorum(up)) {
            (true, true) => 10,
            (true, false) => 2_000,
            (false, _) => SILENT_MS,
        };
        MemberStatus {
            cluster_id: Some(self.cluster_id),
            state: MemberState::Running,
            role,
            term,
            leader,
            last_log: matched(me.id),
            committed: LogIndex(self.committed.min(matched(me.id).0)),
            applied: matched(me.id),
            membership: membership.clone(),
            replication: replication.collect(),
            quorum_age_ms: leads.then_some(quorum_age),
            not_ready: leader.is_none().then(|| "no leader is known".to_owned()),
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
        not_ready: Some("this member is empty and waits for its place in a cluster".to_owned()),
        read_only: None,
        membership: Membership::default(),
        replication: Vec::new(),
        quorum_age_ms: None,
        archive: None,
        tasks: Vec::new(),
    }
}
