//! The read index of a member that follows: the leader confirms with a majority that it leads, and says how far everything acknowledged
//! goes. When this member has applied that, it may answer like the leader (Ongaro 2014, section 6.4).

use super::handle::Raft;
use super::network::Lane;
use super::propose::ReadError;
use super::wire::{self, Request, RequestBody, Response};
use geode_store::Store;
use geode_types::LogIndex;
use geode_wire::client::MemberAddress;
use openraft::AsyncRuntime;

/// So many leases the leader may take: it gives up after one, and its answer has to come back.
const PATIENCE_LEASES: u32 = 2;

impl<S: Store, R: AsyncRuntime> Raft<S, R> {
    /// An index that covers everything acknowledged before the call, on any member that reaches the leader. It may not be applied here yet.
    /// Whatever goes wrong, the leader itself is who can tell why; so that is who is named.
    pub async fn leader_index(&self) -> Result<LogIndex, ReadError> {
        if self.leader_term().is_some() {
            return self.read_index().await;
        }
        let status = self.status();
        let Some(leader) = status
            .leader_address()
            .filter(|leader| leader.id != self.member())
        else {
            return Err(ReadError::NotLeader(None));
        };
        let index = self.ask_for_index(leader).await;
        index.map_err(|reason| {
            tracing::debug!(leader = leader.name, reason, "the leader gave no read index");
            ReadError::NotLeader(Some(leader.clone()))
        })
    }

    async fn ask_for_index(&self, leader: &MemberAddress) -> Result<LogIndex, String> {
        let belonging = self.belonging();
        let cluster = belonging.cluster.get().copied();
        let request = Request {
            cluster: cluster.ok_or("this member belongs to no cluster yet")?,
            incarnation: belonging.incarnation.get().copied().unwrap_or_default(),
            from: self.member(),
            to: leader.id,
            body: RequestBody::ReadIndex,
        };
        let message = wire::encode(&request).map_err(|error| error.to_string())?;
        let patience = self.timing().lease() * PATIENCE_LEASES;
        // A follower appends nothing to its leader: on this line no vote waits behind reads.
        let asked = self.0.transport.call(leader, Lane::Append, message, patience);
        let bytes = asked.await.map_err(|error| error.to_string())?;
        let answer: Response = wire::decode(&bytes).map_err(|error| error.to_string())?;
        match answer {
            Response::ReadIndex(index) => Ok(index),
            Response::Refused(reason) => Err(reason),
            other => Err(format!("unexpected answer {other:?}")),
        }
    }
}
