//! openraft's types for Geode, and their canonical bytes.
//!
//! With openraft's standard leader id a committed position is (term, index), which is what stands in the log. A command travels as the
//! bytes that the leader encoded once; a membership as a version byte and MessagePack with sorted members, the same on every member.

use bytes::Bytes;
use geode_log::{Position, Record, RecordKind};
use geode_types::{LogIndex, MemberId, Term};
use geode_wire::client::MemberAddress;
use geode_wire::internal::Membership as MembershipView;
use openraft::alias::{EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::impls::{BoxedErrorSource, EntryPayload, InlineBatch, ProgressResponder, leader_id_std};
use openraft::vote::{RaftLeaderId, RaftVote};
use openraft::{AsyncRuntime, Membership, OptionalSend, RaftTypeConfig};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::marker::PhantomData;

const MEMBERSHIP_VERSION: u8 = 1;

/// The configuration of openraft, on any of its runtimes.
pub(super) struct Types<R>(PhantomData<fn() -> R>);

macro_rules! marker {
    ($($implementation:tt)*) => { $($implementation)* };
}

marker! {
    impl<R> Clone for Types<R> { fn clone(&self) -> Self { *self } }
    impl<R> Copy for Types<R> {}
    impl<R> Default for Types<R> { fn default() -> Self { Self(PhantomData) } }
    impl<R> fmt::Debug for Types<R> { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("Types") } }
    impl<R> PartialEq for Types<R> { fn eq(&self, _: &Self) -> bool { true } }
    impl<R> Eq for Types<R> {}
    impl<R> PartialOrd for Types<R> { fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> { Some(self.cmp(other)) } }
    impl<R> Ord for Types<R> { fn cmp(&self, _: &Self) -> std::cmp::Ordering { std::cmp::Ordering::Equal } }
}

impl<R: AsyncRuntime> RaftTypeConfig for Types<R> {
    type D = Proposal;
    type R = Reply;
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = leader_id_std::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Proposal, u64, Member>;
    type Entry = openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type AsyncRuntime = R;
    type Responder<T>
        = ProgressResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// A command on its way through the log.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// It ends the segment.
    pub(super) cut: bool,
    /// The encoded `geode_graph::Command`.
    pub(super) command: Bytes,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.command.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry gave; `None` for entries that are not commands.
#[derive(Clone, Debug)]
pub(super) struct Reply(pub(super) Option<geode_graph::Applied>);

/// A member's address as openraft's node. The default exists for openraft's conformance suite alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member(pub(super) MemberAddress);

impl Default for Member {
    fn default() -> Self {
        Self(MemberAddress {
            id: MemberId(0),
            name: String::new(),
            client: String::new(),
            internal: String::new(),
        })
    }
}

pub(super) fn position<R: AsyncRuntime>(id: &LogIdOf<Types<R>>) -> Position {
    Position {
        term: Term(**id.committed_leader_id()),
        index: LogIndex(id.index()),
    }
}

pub(super) fn log_id<R: AsyncRuntime>(position: Position) -> LogIdOf<Types<R>> {
    let leader = leader_id_std::LeaderId::<u64, u64>::new(position.term.0, 0).to_committed();
    LogIdOf::<Types<R>>::new(leader, position.index.0)
}

pub(super) fn vote_to_log<R: AsyncRuntime>(vote: &VoteOf<Types<R>>) -> geode_log::Vote {
    let leader = RaftVote::leader_id(vote);
    geode_log::Vote {
        term: Term(leader.term()),
        member: MemberId(*leader.node_id()),
        committed: RaftVote::is_committed(vote),
    }
}

pub(super) fn vote_from_log<R: AsyncRuntime>(vote: geode_log::Vote) -> VoteOf<Types<R>> {
    let leader = leader_id_std::LeaderId::new(vote.term.0, vote.member.0);
    VoteOf::<Types<R>>::from_leader_id(leader, vote.committed)
}

pub(super) fn entry_to_record<R: AsyncRuntime>(entry: EntryOf<Types<R>>) -> io::Result<Record> {
    let position = position::<R>(&entry.log_id());
    let (kind, payload) = match entry.payload {
        EntryPayload::Blank => (RecordKind::Blank, Bytes::new()),
        EntryPayload::Normal(proposal) if proposal.cut => (RecordKind::Cut, proposal.command),
        EntryPayload::Normal(proposal) => (RecordKind::Command, proposal.command),
        EntryPayload::Membership(membership) => {
            (RecordKind::Membership, encode_membership(&membership)?.into())
        }
    };
    Ok(Record {
        position,
        kind,
        payload,
    })
}

pub(super) fn record_to_entry<R: AsyncRuntime>(record: Record) -> io::Result<EntryOf<Types<R>>> {
    let payload = match record.kind {
        RecordKind::Blank => EntryPayload::Blank,
        RecordKind::Command | RecordKind::Cut => EntryPayload::Normal(Proposal {
            cut: record.kind == RecordKind::Cut,
            command: record.payload,
        }),
        RecordKind::Membership => EntryPayload::Membership(decode_membership(&record.payload)?),
    };
    let id = log_id::<R>(record.position);
    Ok(EntryOf::<Types<R>>::new(id, payload))
}

#[derive(Serialize, Deserialize)]
struct MembershipBytes {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, MemberAddress>,
}

pub(super) fn encode_membership(membership: &Membership<u64, Member>) -> io::Result<Vec<u8>> {
    let bytes = MembershipBytes {
        configs: membership.get_joint_config().clone(),
        nodes: membership
            .nodes()
            .map(|(id, member)| (*id, member.0.clone()))
            .collect(),
    };
    let mut out = vec![MEMBERSHIP_VERSION];
    rmp_serde::encode::write_named(&mut out, &bytes).map_err(io::Error::other)?;
    Ok(out)
}

pub(super) fn decode_membership(bytes: &[u8]) -> io::Result<Membership<u64, Member>> {
    let damaged = |reason: String| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a membership cannot be read: {reason}"),
        )
    };
    let body = match bytes.split_first() {
        Some((&MEMBERSHIP_VERSION, body)) => body,
        Some((version, _)) => {
            return Err(damaged(format!(
                "its version {version} is not {MEMBERSHIP_VERSION}"
            )));
        }
        None => return Err(damaged("it is empty".to_owned())),
    };
    let parsed: MembershipBytes = rmp_serde::from_slice(body).map_err(|error| damaged(error.to_string()))?;
    let nodes: BTreeMap<u64, Member> = parsed
        .nodes
        .into_iter()
        .map(|(id, address)| (id, Member(address)))
        .collect();
    if parsed.configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(parsed.configs, nodes).map_err(|error| damaged(error.to_string()))
}

/// A membership and the entry that set it.
#[derive(Serialize, Deserialize)]
struct StoredBytes {
    term_index: Option<(u64, u64)>,
    membership: Vec<u8>,
}

pub(super) fn encode_stored<R: AsyncRuntime>(stored: &StoredMembershipOf<Types<R>>) -> io::Result<Vec<u8>> {
    let position = stored.log_id().as_ref().map(position::<R>);
    let bytes = StoredBytes {
        term_index: position.map(|position| (position.term.0, position.index.0)),
        membership: encode_membership(stored.membership())?,
    };
    rmp_serde::to_vec_named(&bytes).map_err(io::Error::other)
}

pub(super) fn decode_stored<R: AsyncRuntime>(bytes: &[u8]) -> io::Result<StoredMembershipOf<Types<R>>> {
    let stored: StoredBytes = rmp_serde::from_slice(bytes).map_err(io::Error::other)?;
    let id = stored.term_index.map(|(term, index)| {
        log_id::<R>(Position {
            term: Term(term),
            index: LogIndex(index),
        })
    });
    Ok(StoredMembershipOf::<Types<R>>::new(
        id,
        decode_membership(&stored.membership)?,
    ))
}

/// The membership as the internal protocol shows it.
pub(super) fn view<R: AsyncRuntime>(stored: &StoredMembershipOf<Types<R>>) -> MembershipView {
    let voters: BTreeSet<u64> = stored.voter_ids().collect();
    MembershipView {
        index: LogIndex(stored.log_id().as_ref().map_or(0, openraft::LogId::index)),
        joint: stored.membership().get_joint_config().len() > 1,
        voters: voters.into_iter().map(MemberId).collect(),
        members: stored.nodes().map(|(_, member)| member.0.clone()).collect(),
    }
}
