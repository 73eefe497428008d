//! Identifiers. Each is a type of its own, so that a term is never passed for an index nor a member for a graph node.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A node of a graph. Dense: handed out by the leader from 1 upwards.
    NodeId(u64)
);
number!(
    /// An edge of a graph. Dense, like [`NodeId`], from a counter of its own.
    EdgeId(u64)
);
number!(
    /// A Raft group (shard). The first version has one group, 0; keys, segments and LSNs carry it from the first day.
    GroupId(u16)
);
number!(
    /// A Raft term.
    Term(u64)
);
number!(
    /// An index of the Raft log, which is the WAL.
    LogIndex(u64)
);
number!(
    /// A member of the Raft cluster. Given once to one data directory, random, never reused, below 2^53 so that JSON keeps it.
    MemberId(u64)
);
number!(
    /// The lineage of a cluster's history. A restore or a promotion starts the next one, with an archive prefix of its own.
    Incarnation(u32)
);

/// The identity of a cluster, chosen when it is created (on Kubernetes the uid of its `GeodeCluster`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub Uuid);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What makes a retried write recognisable: the client's session and a number that grows within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// Random, chosen by the client once per connection pool.
    pub session: Uuid,
    /// Grows by one with each write of the session; a retry repeats it.
    pub sequence: u64,
}

/// A position in the history of a cluster, printed as `group/index`: what a committed write returns and a read can wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lsn {
    /// The Raft group.
    pub group: GroupId,
    /// The log index of the commit.
    pub index: LogIndex,
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.index)
    }
}

/// The text is not `group/index`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an LSN; write it as group/index, for example 0/123")]
pub struct LsnError(String);

impl FromStr for Lsn {
    type Err = LsnError;

    fn from_str(text: &str) -> Result<Self, LsnError> {
        let parsed = text.split_once('/').and_then(|(group, index)| {
            Some(Self {
                group: GroupId(group.parse().ok()?),
                index: LogIndex(index.parse().ok()?),
            })
        });
        parsed.ok_or_else(|| LsnError(text.to_owned()))
    }
}

/// What a member does in its cluster, in the words of the pod label `geodedb.com/role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders and commits writes.
    Leader,
    /// Votes, holds a copy, serves reads.
    Follower,
    /// Holds a copy and serves reads without a vote (a Raft learner).
    Observer,
    /// Has no place in a cluster yet.
    Joining,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::Joining => "joining",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_reads_what_it_prints_and_refuses_the_rest() {
        let lsn: Lsn = "0/123".parse().unwrap();
        assert_eq!((lsn.index, lsn.to_string().as_str()), (LogIndex(123), "0/123"));
        for bad in ["", "123", "0/", "/1", "0/-1", "x/1", "0/1/2"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }
}
