//! Changing who belongs to the cluster. One change at a time; openraft refuses a second one until the first is committed.

use super::handle::{Inner, Raft};
use super::propose::forward;
use super::types::{Member, Types};
use geode_store::Store;
use geode_types::{ClusterId, Incarnation, LogIndex, MemberId};
use geode_wire::client::MemberAddress;
use openraft::alias::LogIdOf;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, InitializeError, PreconditionFailed, RaftError};
use openraft::raft::ClientWriteResponse;
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, ChangeMembers, Precondition, ServerState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a leadership transfer is looked after.
const TRANSFER_POLL: Duration = Duration::from_millis(10);

/// While it is there, the member does not stand for election.
struct Abstention<'a, S: Store, R: AsyncRuntime>(&'a Inner<S, R>);

impl<'a, S: Store, R: AsyncRuntime> Abstention<'a, S, R> {
    fn begin(inner: &'a Inner<S, R>) -> Self {
        inner.stand_for_election(false);
        Self(inner)
    }
}

impl<S: Store, R: AsyncRuntime> Drop for Abstention<'_, S, R> {
    fn drop(&mut self) {
        self.0.stand_for_election(true);
    }
}

/// The membership was not changed, or not as far as is known.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MembershipError {
    /// Only the leader changes it.
    #[error("this member is not the leader")]
    NotLeader(Option<MemberAddress>),
    /// It is not what the caller decided on.
    #[error(
        "the membership has changed meanwhile (it is that of entry {current}, not {expected}); look again and decide anew"
    )]
    Changed {
        /// What it is.
        current: LogIndex,
        /// What it was expected to be.
        expected: LogIndex,
    },
    /// This member belongs to a cluster already.
    #[error("this member belongs to a cluster already, so it cannot begin a new one")]
    Initialized,
    /// Refused or failed, with the reason.
    #[error("{0}")]
    Failed(String),
}

type WriteResult<R> = Result<ClientWriteResponse<Types<R>>, RaftError<Types<R>, ClientWriteError<Types<R>>>>;

fn changed<R: AsyncRuntime>(result: WriteResult<R>) -> Result<(), MembershipError> {
    match result {
        Ok(_) => Ok(()),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => Err(match forward::<R>(&to) {
            Ok(leader) => MembershipError::NotLeader(leader),
            Err(reason) => MembershipError::Failed(reason),
        }),
        Err(RaftError::APIError(ClientWriteError::PreconditionFailed(
            PreconditionFailed::LastMembershipLogIdMismatch { expected, actual },
        ))) => Err(MembershipError::Changed {
            current: index_of::<R>(actual.as_ref()),
            expected: index_of::<R>(expected.as_ref()),
        }),
        Err(error) => Err(MembershipError::Failed(error.to_string())),
    }
}

fn index_of<R: AsyncRuntime>(id: Option<&LogIdOf<Types<R>>>) -> LogIndex {
    LogIndex(id.map_or(0, openraft::LogId::index))
}

impl<S: Store, R: AsyncRuntime> Raft<S, R> {
    /// Makes this empty member the first voter of a new cluster.
    pub async fn initialize(
        &self,
        cluster: ClusterId,
        incarnation: Incarnation,
    ) -> Result<(), MembershipError> {
        if self.status().initialized {
            return Err(MembershipError::Initialized);
        }
        self.belonging()
            .adopt(cluster, incarnation)
            .map_err(|error| MembershipError::Failed(error.to_string()))?;
        let address = self.address().clone();
        let members = BTreeMap::from([(address.id.0, Member(address))]);
        match self.raft().initialize(members).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Err(MembershipError::Initialized),
            Err(error) => Err(MembershipError::Failed(error.to_string())),
        }
    }

    /// Adds a member without a vote, or corrects the addresses of one that is there.
    pub async fn add_learner(&self, member: MemberAddress) -> Result<(), MembershipError> {
        let known = self
            .status()
            .membership
            .members
            .into_iter()
            .find(|known| known.id == member.id);
        let id = member.id.0;
        let nodes = BTreeMap::from([(id, Member(member.clone()))]);
        let result = match known {
            Some(known) if known == member => return self.check_leader(),
            Some(_) => self
                .raft()
                .change_membership(ChangeMembers::SetNodes(nodes), true),
            None => self
                .raft()
                .change_membership(ChangeMembers::AddNodes(nodes), true),
        };
        self.bounded(result).await
    }

    /// Makes exactly these members the voters. Voters that drop out leave the cluster, learners stay.
    pub async fn change_voters(
        &self,
        voters: impl IntoIterator<Item = MemberId>,
        expected: LogIndex,
    ) -> Result<(), MembershipError> {
        let condition = self.expect_membership(expected)?;
        let voters: BTreeSet<u64> = voters.into_iter().map(|member| member.0).collect();
        let change = ChangeMembers::ReplaceAllVoters(voters);
        self.bounded(self.raft().change_membership_if(change, false, [condition]))
            .await
    }

    /// Removes members without a vote.
    pub async fn remove_learners(
        &self,
        members: impl IntoIterator<Item = MemberId>,
        expected: LogIndex,
    ) -> Result<(), MembershipError> {
        let condition = self.expect_membership(expected)?;
        let members: BTreeSet<u64> = members.into_iter().map(|member| member.0).collect();
        let voters = self.status().membership.voters;
        if let Some(voter) = voters.iter().find(|voter| members.contains(&voter.0)) {
            return Err(MembershipError::Failed(format!(
                "member {voter} votes; change the voters first"
            )));
        }
        let change = ChangeMembers::RemoveNodes(members);
        self.bounded(self.raft().change_membership_if(change, true, [condition]))
            .await
    }

    /// Hands leadership to a voter, to the most caught-up one when none is named, and waits until it leads.
    pub async fn transfer_leader(&self, to: Option<MemberId>) -> Result<(), MembershipError> {
        self.check_leader()?;
        let status = self.status();
        let me = self.member();
        if to == Some(me) {
            return Ok(());
        }
        let target = match to {
            Some(member) if status.membership.voters.contains(&member) => member,
            Some(member) => return Err(MembershipError::Failed(format!("member {member} does not vote"))),
            None => status
                .best_successor()
                .ok_or_else(|| MembershipError::Failed("there is no other voter".to_owned()))?,
        };
        self.bring_up(target).await?;
        // Who hands over has the shortest way to a new election: it would take leadership back before the successor is heard.
        let _abstains = Abstention::begin(&self.0);
        self.hand_over(target, to.is_some()).await
    }

    /// For a member that ends: gives leadership away, if it has it, and does not stand for election any more.
    pub async fn retire(&self) -> Result<(), MembershipError> {
        self.0.retire();
        let is_one_of_many = self.status().membership.voters.len() > 1;
        if self.leader_term().is_some() && is_one_of_many {
            self.transfer_leader(None).await?;
        }
        Ok(())
    }

    async fn hand_over(&self, target: MemberId, is_named: bool) -> Result<(), MembershipError> {
        let me = self.member();
        let failed =
            |reason: String| MembershipError::Failed(format!("leadership was not handed over: {reason}"));
        self.raft()
            .trigger()
            .transfer_leader(target.0)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let within = self.timing().election_max * 2;
        let taken = || {
            let leader = self.raft().metrics().borrow_watched().current_leader?;
            (leader != me.0).then_some(leader)
        };
        match self.poll(within, taken).await {
            Some(leader) if !is_named || leader == target.0 => Ok(()),
            Some(leader) => Err(failed(format!("member {leader} was elected instead of {target}"))),
            None => Err(failed(format!(
                "member {target} did not take it within {within:?}"
            ))),
        }
    }

    /// Makes sure that a member is there and has everything: openraft stops leading when it hands over, whether the other takes it or not.
    async fn bring_up(&self, target: MemberId) -> Result<(), MembershipError> {
        let blank = match Types::<R>::timeout(self.timing().election_max, self.raft().write_blank()).await {
            Ok(Ok(written)) => written.log_id,
            Ok(result) => return changed::<R>(result),
            Err(_) => {
                return Err(MembershipError::Failed(
                    "there is no quorum to hand leadership over in".to_owned(),
                ));
            }
        };
        let has_it = || {
            let metrics = self.raft().metrics();
            let metrics = metrics.borrow_watched();
            let matched = metrics.replication.as_ref()?.get(&target.0)?.as_ref()?;
            (matched.index() >= blank.index()).then_some(())
        };
        let within = self.timing().election_max;
        self.poll(within, has_it).await.ok_or_else(|| {
            MembershipError::Failed(format!(
                "member {target} is unreachable or behind; leadership stays here"
            ))
        })
    }

    /// Asks until there is an answer.
    async fn poll<T>(&self, within: Duration, ask: impl Fn() -> Option<T>) -> Option<T> {
        let rounds = within.as_millis() / TRANSFER_POLL.as_millis();
        for _ in 0..rounds {
            if let Some(answer) = ask() {
                return Some(answer);
            }
            Types::<R>::sleep(TRANSFER_POLL).await;
        }
        ask()
    }

    /// A membership change is given up when it does not get on; openraft may still complete it.
    async fn bounded(
        &self,
        change: impl Future<Output = WriteResult<R>> + Send,
    ) -> Result<(), MembershipError> {
        let within = self.limits().wait_max.max(self.timing().election_max * 2);
        match Types::<R>::timeout(within, change).await {
            Ok(Ok(written)) => {
                // Who is answered decides on the status next, which openraft updates a moment later.
                let shown = || {
                    let metrics = self.raft().metrics();
                    let shown = *metrics.borrow_watched().membership_config.log_id();
                    (index_of::<R>(shown.as_ref()).0 >= written.log_id.index()).then_some(())
                };
                self.poll(self.timing().election_max, shown).await;
                Ok(())
            }
            Ok(result) => changed::<R>(result),
            Err(_) => Err(MembershipError::Failed(format!(
                "the change was not committed within {within:?}; it may still be, so look at the membership again"
            ))),
        }
    }

    fn check_leader(&self) -> Result<(), MembershipError> {
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state == ServerState::Leader {
            return Ok(());
        }
        let leader = metrics
            .current_leader
            .and_then(|id| metrics.membership_config.get_node(&id).cloned());
        Err(MembershipError::NotLeader(leader.map(|Member(address)| address)))
    }

    fn expect_membership(&self, expected: LogIndex) -> Result<Precondition<Types<R>>, MembershipError> {
        self.check_leader()?;
        let metrics = self.raft().metrics();
        let current = *metrics.borrow_watched().membership_config.log_id();
        let index = index_of::<R>(current.as_ref());
        if index != expected {
            return Err(MembershipError::Changed {
                current: index,
                expected,
            });
        }
        Ok(Precondition::LastMembershipLogId {
            last_membership_log_id: current,
        })
    }
}
