//! The session table: which requests have been committed, so that a retried one is answered and not applied again.
//!
//! A session remembers its newest [`SESSION_REQUESTS`] requests by their numbers, in whatever order they were committed. A
//! number not above the highest forgotten one cannot be told from a lost request: it is refused as too old. There are at
//! most [`MAX_SESSIONS`] sessions; the one whose last commit is oldest is forgotten first.

use crate::codec::{Decoded, put_u64, take_u64};
use crate::error::{GraphError, Result};
use crate::keys::{self, HEAD, Key, REQUESTS, SESSION_AGES};
use crate::summary::CommitSummary;
use geode_mutation::{Mutation, is_on};
use geode_store::{Reader, WriteTxn};
use geode_types::{LogIndex, RequestId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many sessions are remembered.
pub const MAX_SESSIONS: u64 = 10_000;
/// How many requests of a session are remembered: more than a client has in flight at once.
pub const SESSION_REQUESTS: u64 = 256;

/// What the session table knows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestState {
    /// Never committed.
    New,
    /// Committed.
    Committed {
        /// At this log index.
        index: LogIndex,
        /// With this effect.
        summary: CommitSummary,
    },
    /// Older than what the session remembers: it may have been committed.
    TooOld,
}

#[derive(Clone, Copy, Default)]
struct Session {
    last_index: u64,
    /// Numbers below this have been forgotten.
    floor: u64,
    requests: u64,
}

impl Session {
    fn read(read: &impl Reader, session: Uuid) -> Result<Option<Self>> {
        let Some(mut bytes) = read.get(&keys::session(session))? else {
            return Ok(None);
        };
        Self::take(&mut bytes)
            .map(Some)
            .map_err(GraphError::undecodable("a session"))
    }

    fn take(input: &mut &[u8]) -> Decoded<Self> {
        Ok(Self {
            last_index: take_u64(input)?,
            floor: take_u64(input)?,
            requests: take_u64(input)?,
        })
    }

    fn write(&self, tx: &mut impl WriteTxn, session: Uuid) -> Result<()> {
        let mut bytes = Vec::with_capacity(16);
        for number in [self.last_index, self.floor, self.requests] {
            put_u64(number, &mut bytes);
        }
        Ok(tx.put(&keys::session(session), &bytes)?)
    }
}

/// What is known of a request.
pub fn request_state(read: &impl Reader, request: RequestId) -> Result<RequestState> {
    if let Some(mut bytes) = read.get(&keys::request(request.session, request.sequence))? {
        let mut take =
            || -> Decoded<_> { Ok((LogIndex(take_u64(&mut bytes)?), CommitSummary::take(&mut bytes)?)) };
        let (index, summary) = take().map_err(GraphError::undecodable("a request's record"))?;
        return Ok(RequestState::Committed { index, summary });
    }
    let floor = Session::read(read, request.session)?.map_or(0, |session| session.floor);
    Ok(if request.sequence < floor {
        RequestState::TooOld
    } else {
        RequestState::New
    })
}

fn age_key(index: u64) -> Key {
    Key::new(SESSION_AGES).u64(index)
}

/// Remembers that the request was committed at this index. Takes and returns the number of sessions.
pub(crate) fn record(
    tx: &mut impl WriteTxn,
    request: RequestId,
    index: LogIndex,
    summary: &CommitSummary,
    mut sessions: u64,
) -> Result<u64> {
    if is_on(Mutation::LostSessionEntry) {
        return Ok(sessions);
    }
    let known = Session::read(tx, request.session)?;
    if let Some(session) = known {
        tx.delete(&age_key(session.last_index))?;
    } else {
        sessions += 1;
    }
    let mut session = known.unwrap_or_default();
    session.last_index = index.0;
    session.requests += 1;
    let mut bytes = Vec::with_capacity(16);
    put_u64(index.0, &mut bytes);
    summary.encode(&mut bytes);
    tx.put(&keys::request(request.session, request.sequence), &bytes)?;
    if session.requests > SESSION_REQUESTS {
        session.floor = forget_lowest(tx, request.session)?.saturating_add(1);
        session.requests -= 1;
    }
    session.write(tx, request.session)?;
    tx.put(&age_key(index.0), request.session.as_bytes())?;
    if sessions > MAX_SESSIONS {
        forget_oldest(tx)?;
        sessions -= 1;
    }
    Ok(sessions)
}

/// Forgets the session's lowest number and returns it.
fn forget_lowest(tx: &mut impl WriteTxn, session: Uuid) -> Result<u64> {
    let start = Key::new(REQUESTS).push(session.as_bytes());
    let lowest = match tx.range(&start, Some(&start.end()))?.next() {
        Some(entry) => keys::u64_at(entry?.0, HEAD + 16),
        None => None,
    };
    let lowest = lowest.ok_or_else(|| GraphError::corrupt("a session lacks the requests that it counts"))?;
    tx.delete(&keys::request(session, lowest))?;
    Ok(lowest)
}

/// Forgets the session whose last commit is the oldest.
fn forget_oldest(tx: &mut impl WriteTxn) -> Result<()> {
    let start = Key::new(SESSION_AGES);
    let oldest = match tx.range(&start, Some(&start.end()))?.next() {
        Some(entry) => {
            let (key, value) = entry?;
            keys::u64_at(key, HEAD).zip(Uuid::from_slice(value).ok())
        }
        None => None,
    };
    let (index, session) =
        oldest.ok_or_else(|| GraphError::corrupt("the session table has no oldest session"))?;
    tx.delete(&age_key(index))?;
    tx.delete(&keys::session(session))?;
    let requests = Key::new(REQUESTS).push(session.as_bytes());
    let mut doomed = Vec::new();
    for entry in tx.range(&requests, Some(&requests.end()))? {
        doomed.push(entry?.0.to_vec());
    }
    for key in doomed {
        tx.delete(&key)?;
    }
    Ok(())
}
