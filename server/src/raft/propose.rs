//! Writing through the log, and reading what was acknowledged.
//!
//! A proposal has one of three outcomes: committed, refused before it reached the log, or unknown.

use super::handle::Raft;
use super::state_machine::StateMachine;
use super::types::{Member, Proposal, Reply, Types};
use geode_graph::{Applied, Command};
use geode_mutation::{Mutation, is_on};
use geode_store::Store;
use geode_types::{LogIndex, Term};
use geode_wire::client::MemberAddress;
use openraft::alias::{OneshotReceiverOf, WatchReceiverOf};
use openraft::async_runtime::{Select2, WatchReceiver};
use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, Instant, RaftMetrics, ReadPolicy, ServerState};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A command that is committed and applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Committed {
    /// Where it stands in the log; the LSN of a commit.
    pub index: LogIndex,
    /// The term it was committed in.
    pub term: Term,
    /// What became of it.
    pub applied: Applied,
}

/// A command was not committed, or it is not known whether it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// Only the leader takes commands. This one did not reach the log.
    #[error("this member is not the leader")]
    NotLeader(Option<MemberAddress>),
    /// It reached the log, and what became of it is not known: it may be committed now or later.
    #[error("the outcome is unknown: the leader lost its quorum or its place while the write was under way")]
    Unknown,
    /// It did not reach the log.
    #[error("{0}")]
    Unavailable(String),
}

/// There is no read index now.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// Only the leader gives one.
    #[error("this member is not the leader")]
    NotLeader(Option<MemberAddress>),
    /// There is no quorum, or this member does not keep up.
    #[error("{0}")]
    Unavailable(String),
}

const NO_QUORUM: &str = "the leader has not heard from a majority of the members lately; writes and linearizable reads wait for it";
const STOPPED: &str = "this member is stopping";

pub(super) fn forward<R: AsyncRuntime>(
    forward: &ForwardToLeader<Types<R>>,
) -> Result<Option<MemberAddress>, String> {
    match forward.reason {
        ForwardReason::LeaseExpired => Err(NO_QUORUM.to_owned()),
        ForwardReason::LeadershipTransfer | ForwardReason::NotLeader => Ok(forward
            .leader_node
            .as_ref()
            .map(|Member(address)| address.clone())),
    }
}

fn refused<R: AsyncRuntime>(error: ClientWriteError<Types<R>>) -> ProposeError {
    match error {
        ClientWriteError::ForwardToLeader(to) => match forward::<R>(&to) {
            Ok(leader) => ProposeError::NotLeader(leader),
            Err(reason) => ProposeError::Unavailable(reason),
        },
        // openraft took it into the log and then found that another leader's entry stands in its place, or a snapshot covers it.
        ClientWriteError::LogEntryDiscarded(_) => ProposeError::Unknown,
        other => ProposeError::Unavailable(other.to_string()),
    }
}

/// Watches whether a proposal still has a chance to be answered soon.
struct Patience<R: AsyncRuntime> {
    metrics: WatchReceiverOf<Types<R>, RaftMetrics<Types<R>>>,
    lease: Duration,
    doubtful_rounds: u32,
}

impl<R: AsyncRuntime> Patience<R> {
    /// Called once per half lease. True when this member was no leader with a quorum twice in a row.
    fn is_lost(&mut self) -> bool {
        let metrics = self.metrics.borrow_watched();
        let leads = metrics.state == ServerState::Leader;
        let alone = metrics.membership_config.voter_ids().count() <= 1;
        let heard = metrics
            .last_quorum_acked
            .as_ref()
            .is_some_and(|instant| instant.elapsed() < self.lease);
        let doubtful = !leads || !(alone || heard) || metrics.running_state.is_err();
        self.doubtful_rounds = if doubtful { self.doubtful_rounds + 1 } else { 0 };
        self.doubtful_rounds >= 2
    }
}

/// What became of a proposal that openraft took. It tells for certain, however long that takes; that nobody will ever know, it tells by an end without an answer.
async fn decision<R: AsyncRuntime>(
    receiver: OneshotReceiverOf<Types<R>, ClientWriteResult<Types<R>>>,
) -> Result<Committed, ProposeError> {
    let response = match receiver.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(refused::<R>(error)),
        Err(_) => return Err(ProposeError::Unknown),
    };
    let Reply(applied) = response.data;
    Ok(Committed {
        index: LogIndex(response.log_id.index()),
        term: Term(**response.log_id.committed_leader_id()),
        applied: applied.ok_or(ProposeError::Unknown)?,
    })
}

impl<S: Store, R: AsyncRuntime> Raft<S, R> {
    /// Proposes a command; the future ends when it is applied here or certainly never will be, however long that takes without a quorum.
    /// The order of the calls, not of the polls, is the order in the log, as far as the commands get there. Dropping the future leaves the
    /// command in the log.
    pub fn submit_to_the_end(
        &self,
        command: &Command,
    ) -> impl Future<Output = Result<Committed, ProposeError>> + Send + 'static + use<S, R> {
        let proposal = Proposal {
            cut: matches!(command, Command::Cut { .. }),
            command: command.encode().into(),
        };
        let (responder, receiver) =
            ProgressResponder::<Types<R>, ClientWriteResult<Types<R>>>::complete_only();
        let sent = send_now(self.raft(), proposal, responder);
        let too_early = is_on(Mutation::AckBeforeQuorum)
            .then(|| self.hope(command))
            .flatten();
        async move {
            sent?;
            if let Some(hope) = too_early {
                return Ok(hope);
            }
            decision::<R>(receiver).await
        }
    }

    /// As [`Self::submit_to_the_end`] while a quorum answers; without one it ends soon, and the outcome is unknown.
    pub fn submit(
        &self,
        command: &Command,
    ) -> impl Future<Output = Result<Committed, ProposeError>> + Send + 'static + use<S, R> {
        let decided = self.submit_to_the_end(command);
        let doubt = self.doubt();
        let wait_max = self.limits().wait_max;
        async move {
            let given_up = Types::<R>::timeout(wait_max, doubt);
            match Types::<R>::select2(pin!(decided), pin!(given_up)).await {
                Select2::First(decided) => decided,
                Select2::Second(_) => Err(ProposeError::Unknown),
            }
        }
    }

    /// Ends when this member has not led with a quorum for a while: what it has proposed may be decided late, and by others.
    pub fn doubt(&self) -> impl Future<Output = ()> + Send + 'static + use<S, R> {
        let lease = self.timing().lease();
        let mut patience = Patience::<R> {
            metrics: self.raft().metrics(),
            lease,
            doubtful_rounds: 0,
        };
        async move {
            while !patience.is_lost() {
                Types::<R>::sleep(lease / 2).await;
            }
        }
    }

    /// What becomes of a command if all goes well.
    fn hope(&self, command: &Command) -> Option<Committed> {
        let Command::Commit(commit) = command else {
            return None;
        };
        Some(Committed {
            index: self.status().last_log,
            term: Term(self.status().term),
            applied: Applied::Committed(commit.summary),
        })
    }

    /// An index that covers everything acknowledged before the call, confirmed with a majority and applied here.
    pub async fn read_index(&self) -> Result<LogIndex, ReadError> {
        if is_on(Mutation::StaleLeaseRead) && self.leader_term().is_some() {
            return Ok(self.status().applied);
        }
        let index = confirmed_index(self.raft()).await?;
        if self.wait_applied(index, self.limits().wait_max).await {
            return Ok(index);
        }
        Err(ReadError::Unavailable(format!(
            "this member has not applied entry {index} in time; it is overloaded or its data volume is full"
        )))
    }

    /// Waits until an entry is applied here; false when that takes longer than `within`.
    pub async fn wait_applied(&self, index: LogIndex, within: Duration) -> bool {
        let mut applied = self.applied_watch();
        let wanted = index.0 + 1;
        let arrived = applied.wait_until_ge(&wanted);
        matches!(Types::<R>::timeout(within, arrived).await, Ok(Ok(_)))
    }
}

/// An index that covers everything acknowledged before the call, confirmed with a majority. Leader only.
pub(super) async fn confirmed_index<S: Store, R: AsyncRuntime>(
    raft: &openraft::Raft<Types<R>, StateMachine<S, R>>,
) -> Result<LogIndex, ReadError> {
    // openraft gives up after the leader's lease.
    match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(linearizer) => Ok(LogIndex(linearizer.read_log_id().index())),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
            Err(match forward::<R>(&to) {
                Ok(leader) => ReadError::NotLeader(leader),
                Err(reason) => ReadError::Unavailable(reason),
            })
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(ReadError::Unavailable(NO_QUORUM.to_owned()))
        }
        Err(RaftError::Fatal(_)) => Err(ReadError::Unavailable(STOPPED.to_owned())),
    }
}

/// Hands a proposal to openraft at once. Its queue takes it immediately or is full, in which case nothing was proposed.
fn send_now<S: Store, R: AsyncRuntime>(
    raft: &openraft::Raft<Types<R>, StateMachine<S, R>>,
    proposal: Proposal,
    responder: ProgressResponder<Types<R>, ClientWriteResult<Types<R>>>,
) -> Result<(), ProposeError> {
    // Tokio would let a task that has done much wait here, although the queue has room.
    let sending = pin!(tokio::task::unconstrained(
        raft.client_write_ff(proposal, Some(responder))
    ));
    match sending.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Ok(()),
        Poll::Ready(Err(_)) => Err(ProposeError::Unavailable(STOPPED.to_owned())),
        Poll::Pending => Err(ProposeError::Unavailable(
            "too many writes wait on this member; send fewer at a time".to_owned(),
        )),
    }
}
