//! This member as the rest of the cluster sees it: consensus, identity, the board and the write gate in one place, and the account of
//! itself that operator, sidecar, probes and metrics read.

use crate::board::Board;
use crate::chronicle::Chronicle;
use crate::gate::WriteGate;
use crate::identity::DataDir;
use crate::pipeline::switched_on;
use crate::raft::{MembershipError, Raft, RaftStatus};
use geode_config::Config;
use geode_store::{LmdbStore, Store};
use geode_types::{ClusterId, FeatureLevel, Incarnation, LogIndex, MemberId, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{MemberState, MemberStatus, Membership};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A member that is further behind what it knows to be committed is not ready, log entries.
const READY_LAG_MAX: u64 = 1000;
/// A learner votes when it is at most this far behind, log entries.
const CAUGHT_UP_LAG: u64 = 64;
/// How often a learner that asked to join is looked at.
const JOIN_POLL: Duration = Duration::from_millis(200);
/// How long a member that asked to join may take to catch up before its request is forgotten; it asks again.
const JOIN_PATIENCE: Duration = Duration::from_secs(600);

/// Version of this server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A member's parts.
pub(crate) struct Member {
    pub(crate) config: Config,
    pub(crate) raft: Raft<LmdbStore>,
    pub(crate) board: Board,
    pub(crate) gate: Arc<WriteGate>,
    pub(crate) chronicle: Chronicle,
    pub(crate) data: Arc<Mutex<DataDir>>,
    /// Asks the process to end, so that what waits in the data directory is taken up by the next one.
    pub(crate) restart: tokio::sync::watch::Sender<bool>,
}

impl Member {
    /// The member's account of itself.
    pub(crate) fn status(&self) -> MemberStatus {
        let raft = self.raft.status();
        let (cluster_id, incarnation) = self.place();
        let state = self.state(&raft);
        MemberStatus {
            address: self.raft.address().clone(),
            version: VERSION.to_owned(),
            state,
            cluster_id,
            incarnation,
            not_ready: not_ready(state, &raft),
            read_only: self
                .gate
                .read_only()
                .or_else(|| raft.full.clone())
                .or_else(|| self.switched_to_read_only()),
            role: raft.role,
            term: raft.term,
            leader: raft.leader,
            last_log: raft.last_log,
            committed: raft.committed,
            applied: raft.applied,
            snapshot: raft.snapshot,
            purged: raft.purged,
            membership: raft.membership,
            replication: raft.replication,
            quorum_age_ms: raft.quorum_age_ms,
            archive: self.board.archive(),
            tasks: self.board.reports(),
        }
    }

    /// What the administrator's switch says, as far as this member knows.
    fn switched_to_read_only(&self) -> Option<String> {
        let read = self.raft.store().read().ok()?;
        switched_on(&read).unwrap_or_else(|error| {
            tracing::error!(%error, "the read-only switch cannot be read");
            None
        })
    }

    /// Its place in a cluster, as its data directory has it.
    pub(crate) fn place(&self) -> (Option<ClusterId>, Incarnation) {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        (data.identity().cluster, data.identity().incarnation)
    }

    /// Becomes the first voter of a new cluster. Repeating it for the same cluster changes nothing.
    pub(crate) async fn initialize(&self, cluster: ClusterId) -> Result<(), MembershipError> {
        if self.raft.status().initialized && self.raft.cluster() == Some(cluster) {
            return Ok(());
        }
        let (place, incarnation) = self.place();
        if let Some(other) = place.filter(|place| *place != cluster) {
            return Err(MembershipError::Failed(format!(
                "this member belongs to cluster {other}, so it cannot begin cluster {cluster}"
            )));
        }
        self.raft.initialize(cluster, incarnation).await
    }

    /// Hands leadership to a voter, the most caught-up one when none is named. Leader only.
    pub(crate) async fn hand_over(&self, to: Option<MemberId>) -> Result<(), MembershipError> {
        self.chronicle.note_hand_over(Instant::now());
        self.raft.transfer_leader(to).await
    }

    /// Adds a member as a learner and gives it a vote when it has caught up. Who had its address before it leaves then: that member's
    /// volumes are gone, and it would count as one that is away for ever. Leader only.
    pub(crate) async fn join(
        self: &Arc<Self>,
        member: MemberAddress,
        level: FeatureLevel,
    ) -> Result<(), MembershipError> {
        let status = self.raft.status();
        let cluster = self.level().map_err(MembershipError::Failed)?;
        if level < cluster {
            return Err(MembershipError::Failed(format!(
                "{} understands feature level {level}, and this cluster is at level {cluster}, which is never lowered: start it with the version of the other members",
                member.name
            )));
        }
        if status.membership.voters.contains(&member.id) {
            return Ok(());
        }
        if !status.membership.members.contains(&member) {
            self.raft.add_learner(member.clone()).await?;
        }
        let this = self.clone();
        tokio::spawn(async move {
            if tokio::time::timeout(JOIN_PATIENCE, this.promote(member.id))
                .await
                .is_err()
            {
                tracing::warn!(member = %member.id, "a member that asked to join has not caught up in time");
            }
        });
        Ok(())
    }

    /// The cluster's feature level, as far as this member has applied it.
    fn level(&self) -> Result<FeatureLevel, String> {
        let read = self.raft.store().read().map_err(|error| error.to_string())?;
        geode_graph::level(&read).map_err(|error| error.to_string())
    }

    async fn promote(&self, id: MemberId) {
        loop {
            tokio::time::sleep(JOIN_POLL).await;
            let status = self.raft.status();
            if status.role != Role::Leader || status.membership.voters.contains(&id) {
                return;
            }
            if !is_caught_up(&status, id) || status.membership.joint {
                continue;
            }
            let voters = voters_with(&status.membership, id);
            match self.raft.change_voters(voters, status.membership.index).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, member = %id, "the vote is given later"),
            }
        }
    }

    fn state(&self, raft: &RaftStatus) -> MemberState {
        if raft.initialized {
            MemberState::Running
        } else if self.board.is_restoring() {
            MemberState::Restoring
        } else {
            MemberState::Empty
        }
    }
}

/// The voters with a new one, and without those that had its address before it.
fn voters_with(membership: &Membership, new: MemberId) -> Vec<MemberId> {
    let address_of = |id| membership.members.iter().find(|member| member.id == id);
    let address = address_of(new).map(|member| member.internal.as_str());
    let stays =
        |id: &MemberId| address_of(*id).is_none_or(|member| Some(member.internal.as_str()) != address);
    let others = membership.voters.iter().copied().filter(stays);
    others.chain([new]).collect()
}

/// Whether a member is near enough to the end of the log to vote.
fn is_caught_up(leader: &RaftStatus, member: MemberId) -> bool {
    let matched = leader
        .replication
        .iter()
        .find(|peer| peer.member == member)
        .map_or(LogIndex(0), |peer| peer.matched);
    matched.0 + CAUGHT_UP_LAG >= leader.last_log.0
}

fn not_ready(state: MemberState, raft: &RaftStatus) -> Option<String> {
    match state {
        MemberState::Empty => {
            return Some("this member is empty and waits for its place in a cluster".to_owned());
        }
        MemberState::Restoring => return Some("a backup is being restored".to_owned()),
        MemberState::Running | MemberState::Fenced => {}
    }
    let behind = raft.committed.0.saturating_sub(raft.applied.0);
    if raft.leader.is_none() {
        Some("no leader is known".to_owned())
    } else if raft.has_lost_leader() {
        Some("the leader has not been heard for 3 s".to_owned())
    } else if raft.has_lost_quorum() {
        Some("this leader hears from no majority".to_owned())
    } else if behind > READY_LAG_MAX {
        Some(format!("{behind} committed entries are not applied yet"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_joins_again_with_empty_volumes_takes_the_vote_of_the_one_before_it() {
        let member = |id: u64, host: &str| MemberAddress {
            id: MemberId(id),
            name: format!("node-{id}"),
            client: format!("{host}:3141"),
            internal: format!("{host}:3142"),
        };
        let membership = Membership {
            voters: [1, 2, 3].map(MemberId).to_vec(),
            members: vec![
                member(1, "a"),
                member(2, "b"),
                member(3, "c"),
                member(7, "c"),
                member(8, "d"),
            ],
            ..Membership::default()
        };
        assert_eq!(voters_with(&membership, MemberId(7)), [1, 2, 7].map(MemberId));
        assert_eq!(voters_with(&membership, MemberId(8)), [1, 2, 3, 8].map(MemberId));
    }
}
