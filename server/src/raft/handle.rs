//! The handle on consensus that the rest of the server holds.

use super::blocking::Blocking;
use super::contact::Contact;
use super::inbound::{Belonging, RaftService};
use super::network::PeerTransport;
use super::settings::{Limits, Timing};
use super::stall::Stalls;
use super::state_machine::{Progress, StateMachine};
use super::status::{RaftStatus, status};
use super::types::Types;
use super::upkeep;
use geode_log::{LogReader, Writer};
use geode_mutation::{Mutation, is_on};
use geode_store::Store;
use geode_types::{ClusterId, FeatureLevel, LogIndex, MemberId, Term};
use geode_wire::client::MemberAddress;
use geode_wire::internal::SegmentInfo;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, ServerState, TokioRuntime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long closing the log is waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why consensus has ended: the process must exit and recover from its disks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("consensus on this member has ended: {0}")]
pub struct Fatal(pub(super) String);

/// A member's consensus. Cheap to clone.
pub struct Raft<S: Store, R: AsyncRuntime = TokioRuntime>(pub(super) Arc<Inner<S, R>>);

impl<S: Store, R: AsyncRuntime> Clone for Raft<S, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What all clones of a handle share.
pub(super) struct Inner<S: Store, R: AsyncRuntime> {
    pub(super) raft: openraft::Raft<Types<R>, StateMachine<S, R>>,
    pub(super) store: Arc<S>,
    pub(super) address: MemberAddress,
    pub(super) timing: Timing,
    pub(super) limits: Limits,
    pub(super) level: FeatureLevel,
    pub(super) transport: Arc<dyn PeerTransport>,
    pub(super) belonging: Arc<Belonging>,
    pub(super) contact: Arc<Contact<R>>,
    pub(super) service: Arc<dyn RaftService>,
    pub(super) writer: Writer,
    pub(super) log: LogReader,
    pub(super) stalls: Arc<Stalls>,
    pub(super) blocking: Blocking,
    pub(super) progress: Arc<Progress<R>>,
    pub(super) applied: WatchReceiverOf<Types<R>, u64>,
    pub(super) archive_configured: AtomicBool,
    /// It ends, and must not lead any more.
    pub(super) retiring: AtomicBool,
    pub(super) archived: AtomicU64,
    pub(super) status: watch::Sender<RaftStatus>,
    pub(super) fatal: watch::Sender<Option<Fatal>>,
}

impl<S: Store, R: AsyncRuntime> Inner<S, R> {
    pub(super) fn current_status(&self) -> RaftStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let full = if self.writer.is_full() {
            Some("the WAL volume is full: appending waits for room".to_owned())
        } else {
            self.progress.full()
        };
        let mut status = status::<R>(&metrics, self.address.id, self.log.state().bytes, full);
        drop(metrics);
        status.applied = self.applied();
        status.leader_age_ms = self.contact.age().map(|age| age.as_millis() as u64);
        status
    }

    pub(super) fn applied(&self) -> LogIndex {
        LogIndex(self.applied.borrow_watched().saturating_sub(1))
    }

    pub(super) fn publish(&self, status: RaftStatus) {
        self.status.send_replace(status);
    }

    /// Whether this member may stand for election; one that ends never does.
    pub(super) fn stand_for_election(&self, may: bool) {
        let may = may && !self.retiring.load(Ordering::Relaxed);
        self.raft.runtime_config().elect(may);
    }

    /// From now on it never stands for election.
    pub(super) fn retire(&self) {
        self.retiring.store(true, Ordering::Relaxed);
        self.stand_for_election(false);
    }

    pub(super) fn end(&self, fatal: Fatal) {
        tracing::error!(%fatal, "this member must stop");
        self.fatal.send_replace(Some(fatal));
    }

    pub(super) fn log_failure(&self) -> Option<String> {
        let failure = self.writer.failure()?;
        if failure.is_corrupt() {
            self.progress.damage.note(&failure);
        }
        Some(failure.to_string())
    }

    pub(super) fn snapshot_due(
        &self,
        applied: LogIndex,
        snapshot: LogIndex,
        bytes: u64,
        bytes_before: u64,
    ) -> bool {
        upkeep::is_due(applied, snapshot, bytes, bytes_before, &self.limits)
    }

    /// The end of the newest whole segment that may go.
    pub(super) fn purge_target(&self, snapshot: Option<u64>) -> Option<LogIndex> {
        let archived = self.archived.load(Ordering::Relaxed);
        let archived = self
            .archive_configured
            .load(Ordering::Relaxed)
            .then_some(archived);
        let limit = upkeep::purge_limit(snapshot?, archived, self.applied().0, self.limits.keep_entries)?;
        let end = self.log.sealed_end_below(LogIndex(limit))?;
        Some(end.index)
    }
}

impl<S: Store, R: AsyncRuntime> Raft<S, R> {
    pub(super) fn raft(&self) -> &openraft::Raft<Types<R>, StateMachine<S, R>> {
        &self.0.raft
    }

    pub(super) fn timing(&self) -> Timing {
        self.0.timing
    }

    pub(super) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(super) fn belonging(&self) -> &Belonging {
        &self.0.belonging
    }

    pub(super) fn applied_watch(&self) -> WatchReceiverOf<Types<R>, u64> {
        self.0.applied.clone()
    }

    /// This member's id.
    pub fn member(&self) -> MemberId {
        self.0.address.id
    }

    /// How others reach this member.
    pub fn address(&self) -> &MemberAddress {
        &self.0.address
    }

    /// The cluster it belongs to.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.0.belonging.cluster.get().copied()
    }

    /// The highest feature level that this member understands.
    pub fn level(&self) -> FeatureLevel {
        self.0.level
    }

    /// All members, voters and learners, each with the highest feature level that it understands as far as it was heard.
    pub fn levels(&self) -> Vec<(MemberAddress, Option<FeatureLevel>)> {
        let members = self.status().membership.members.into_iter();
        let with_level = members.map(|member| {
            let level = if member.id == self.member() {
                Some(self.0.level)
            } else {
                self.0.transport.level(member.id)
            };
            (member, level)
        });
        with_level.collect()
    }

    /// The store that committed entries are applied to.
    pub fn store(&self) -> &Arc<S> {
        &self.0.store
    }

    /// What a transport gives messages of peers to.
    pub fn service(&self) -> Arc<dyn RaftService> {
        self.0.service.clone()
    }

    /// The term, when this member leads and has applied its term's first entry, so that it knows everything committed before.
    pub fn leader_term(&self) -> Option<Term> {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow_watched();
        let applied = metrics.last_applied.as_ref()?;
        let leads =
            metrics.state == ServerState::Leader && **applied.committed_leader_id() == metrics.current_term;
        leads.then_some(Term(metrics.current_term))
    }

    /// The last applied entry.
    pub fn applied(&self) -> LogIndex {
        self.0.applied()
    }

    /// For how long the disks have not got on.
    pub fn stalls(&self) -> Arc<Stalls> {
        self.0.stalls.clone()
    }

    /// How consensus stands now.
    pub fn status(&self) -> RaftStatus {
        self.0.current_status()
    }

    /// How consensus stands, renewed a few times a second and soon after every change.
    pub fn watch(&self) -> watch::Receiver<RaftStatus> {
        self.0.status.subscribe()
    }

    /// Sealed segments that end after `after` and whose entries are all committed, oldest first.
    pub fn segments(&self, after: LogIndex) -> Vec<SegmentInfo> {
        let committed = self.0.current_status().committed;
        let sealed = self.0.log.sealed().into_iter();
        let wanted = sealed.filter(|(_, last, _, _)| {
            *last > after && (*last <= committed || is_on(Mutation::UploadUncommitted))
        });
        wanted
            .map(|(first, last, bytes, file)| SegmentInfo {
                first,
                last,
                bytes,
                file,
            })
            .collect()
    }

    /// Whether entries wait in the open segment, which cannot be archived before it is sealed: the first and the last of them.
    pub fn unsealed(&self) -> Option<(LogIndex, LogIndex)> {
        let last = self.0.log.state().last?.index;
        let first = self.0.log.sealed().last().map_or(0, |(_, end, _, _)| end.0 + 1);
        (first <= last.0).then_some((LogIndex(first), last))
    }

    /// The entries that are durable in this member's own log: after the first index, up to the second. Outside of them its files may hold
    /// others, which another leader's entries or a snapshot that is being installed replace.
    pub fn durable(&self) -> (LogIndex, LogIndex) {
        let state = self.0.log.state();
        let index = |at: Option<geode_log::Position>| at.map_or(LogIndex(0), |at| at.index);
        let purged = index(state.purged);
        if index(state.last) < self.status().last_log {
            return (purged, purged);
        }
        (purged, index(state.written))
    }

    /// Everything up to here is archived; the log may be purged up to there.
    pub fn set_archived(&self, index: LogIndex) {
        self.0.archived.fetch_max(index.0, Ordering::Relaxed);
    }

    /// Whether consensus has ended, as [`Raft::fatal`] tells.
    pub fn has_ended(&self) -> bool {
        self.0.fatal.borrow().is_some()
    }

    /// Ends when consensus cannot go on: a disk failed or a file is damaged. The process must then exit.
    pub async fn fatal(&self) -> Fatal {
        let mut fatal = self.0.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(found) => found
                .clone()
                .unwrap_or_else(|| Fatal("it was shut down".to_owned())),
            Err(_) => Fatal("it was shut down".to_owned()),
        }
    }

    /// What was found damaged of this member's own files; then it ends, or has ended.
    pub fn damage(&self) -> Option<String> {
        self.0.progress.damage.found()
    }

    /// Stops taking part and closes the log. What was acknowledged is durable with or without this.
    pub async fn shutdown(&self) {
        self.0.progress.closing.store(true, Ordering::Relaxed);
        let _ = self.0.raft.shutdown().await;
        let (sender, closed) = tokio::sync::oneshot::channel();
        self.0.writer.close(Box::new(move |_| _ = sender.send(())));
        let _ = Types::<R>::timeout(CLOSE_TIMEOUT, closed).await;
    }
}
