//! Raft messages between members: one version byte, then MessagePack.
//!
//! Every request says which cluster and which member it is meant for, so that a member which came back under an old name with a new
//! identity, or belongs to another cluster, refuses it.

use super::types::{Types, entry_to_record, log_id, position, record_to_entry, vote_from_log, vote_to_log};
use bytes::Bytes;
use geode_log::{Position, Record, RecordKind};
use geode_types::{ClusterId, Incarnation, LogIndex, MemberId, Term};
use openraft::AsyncRuntime;
use openraft::alias::{LogIdOf, VoteOf};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of these messages.
const VERSION: u8 = 1;

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a Raft message cannot be read: {0}")]
pub(super) struct WireError(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireId(u64, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireVote {
    term: u64,
    member: u64,
    committed: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireEntry {
    term: u64,
    index: u64,
    kind: u8,
    payload: Bytes,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) cluster: ClusterId,
    pub(super) incarnation: Incarnation,
    pub(super) from: MemberId,
    pub(super) to: MemberId,
    pub(super) body: RequestBody,
}

#[derive(Serialize, Deserialize)]
pub(super) enum RequestBody {
    Append {
        vote: WireVote,
        previous: Option<WireId>,
        entries: Vec<WireEntry>,
        commit: Option<WireId>,
    },
    Vote(WireBallot),
    PreVote(WireBallot),
    /// Goes to every voter: the successor stands for election at once, the others stop keeping their votes for the leader.
    TransferLeader {
        vote: WireVote,
        successor: MemberId,
        last: Option<WireId>,
    },
    /// The content follows on the same stream.
    Snapshot {
        vote: WireVote,
        last: Option<WireId>,
        membership: Bytes,
    },
    /// Asks the leader for an index that covers everything acknowledged before. A member that does not know it refuses it.
    ReadIndex,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireBallot {
    vote: WireVote,
    last: Option<WireId>,
    transfer: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Response {
    Append(WireAppended),
    Vote {
        vote: WireVote,
        granted: bool,
        last: Option<WireId>,
    },
    TransferLeader,
    Snapshot {
        vote: WireVote,
    },
    ReadIndex(LogIndex),
    /// The member does not take such a message: another cluster, another member, shutting down.
    Refused(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WireAppended {
    Success,
    Partial(Option<WireId>),
    Conflict,
    HigherVote(WireVote),
}

pub(super) fn encode(message: &impl Serialize) -> Result<Bytes, WireError> {
    let mut out = vec![VERSION];
    rmp_serde::encode::write(&mut out, message).map_err(|error| WireError(error.to_string()))?;
    Ok(out.into())
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => rmp_serde::from_slice(body).map_err(|error| WireError(error.to_string())),
        Some((version, _)) => Err(WireError(format!("its version {version} is not {VERSION}"))),
        None => Err(WireError("it is empty".to_owned())),
    }
}

pub(super) fn id<R: AsyncRuntime>(id: &LogIdOf<Types<R>>) -> WireId {
    let position = position::<R>(id);
    WireId(position.term.0, position.index.0)
}

pub(super) fn to_id<R: AsyncRuntime>(id: WireId) -> LogIdOf<Types<R>> {
    log_id::<R>(Position {
        term: Term(id.0),
        index: LogIndex(id.1),
    })
}

pub(super) fn vote<R: AsyncRuntime>(vote: &VoteOf<Types<R>>) -> WireVote {
    let vote = vote_to_log::<R>(vote);
    WireVote {
        term: vote.term.0,
        member: vote.member.0,
        committed: vote.committed,
    }
}

pub(super) fn to_vote<R: AsyncRuntime>(vote: WireVote) -> VoteOf<Types<R>> {
    vote_from_log::<R>(geode_log::Vote {
        term: Term(vote.term),
        member: MemberId(vote.member),
        committed: vote.committed,
    })
}

pub(super) fn append<R: AsyncRuntime>(
    request: AppendEntriesRequest<Types<R>>,
) -> Result<RequestBody, WireError> {
    let entry = |entry| {
        let record = entry_to_record::<R>(entry).map_err(|error| WireError(error.to_string()))?;
        Ok(WireEntry {
            term: record.position.term.0,
            index: record.position.index.0,
            kind: record.kind as u8,
            payload: record.payload,
        })
    };
    Ok(RequestBody::Append {
        vote: vote::<R>(&request.vote),
        previous: request.prev_log_id.as_ref().map(id::<R>),
        entries: request
            .entries
            .into_iter()
            .map(entry)
            .collect::<Result<_, WireError>>()?,
        commit: request.leader_commit.as_ref().map(id::<R>),
    })
}

pub(super) fn to_entry<R: AsyncRuntime>(
    entry: WireEntry,
) -> Result<openraft::alias::EntryOf<Types<R>>, WireError> {
    let kind = RecordKind::from_byte(entry.kind)
        .ok_or_else(|| WireError(format!("entry {} is of unknown kind {}", entry.index, entry.kind)))?;
    let record = Record {
        position: Position {
            term: Term(entry.term),
            index: LogIndex(entry.index),
        },
        kind,
        payload: entry.payload,
    };
    record_to_entry::<R>(record).map_err(|error| WireError(error.to_string()))
}

pub(super) fn appended<R: AsyncRuntime>(response: &AppendEntriesResponse<Types<R>>) -> WireAppended {
    match response {
        AppendEntriesResponse::Success => WireAppended::Success,
        AppendEntriesResponse::PartialSuccess(last) => WireAppended::Partial(last.as_ref().map(id::<R>)),
        AppendEntriesResponse::Conflict => WireAppended::Conflict,
        AppendEntriesResponse::HigherVote(higher) => WireAppended::HigherVote(vote::<R>(higher)),
    }
}

pub(super) fn to_appended<R: AsyncRuntime>(response: WireAppended) -> AppendEntriesResponse<Types<R>> {
    match response {
        WireAppended::Success => AppendEntriesResponse::Success,
        WireAppended::Partial(last) => AppendEntriesResponse::PartialSuccess(last.map(to_id::<R>)),
        WireAppended::Conflict => AppendEntriesResponse::Conflict,
        WireAppended::HigherVote(higher) => AppendEntriesResponse::HigherVote(to_vote::<R>(higher)),
    }
}

pub(super) fn ballot<R: AsyncRuntime>(request: &VoteRequest<Types<R>>) -> WireBallot {
    WireBallot {
        vote: vote::<R>(&request.vote),
        last: request.last_log_id.as_ref().map(id::<R>),
        transfer: request.leadership_transfer,
    }
}

pub(super) fn to_ballot<R: AsyncRuntime>(ballot: WireBallot) -> VoteRequest<Types<R>> {
    let mut request = VoteRequest::new(to_vote::<R>(ballot.vote), ballot.last.map(to_id::<R>));
    request.leadership_transfer = ballot.transfer;
    request
}

pub(super) fn voted<R: AsyncRuntime>(response: &VoteResponse<Types<R>>) -> Response {
    Response::Vote {
        vote: vote::<R>(&response.vote),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(id::<R>),
    }
}
