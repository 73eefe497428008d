//! Raft as the pipeline's replication.

use crate::pipeline::{Announced, Decided, NotNow, Replication, SubmitError};
use crate::raft::{ProposeError, Raft, ReadError};
use geode_graph::Command;
use geode_store::Store;
use geode_types::{LogIndex, Term};
use geode_wire::client::MemberAddress;
use std::sync::Arc;
use std::time::Instant;

impl<S: Store> Replication for Raft<S> {
    type Store = S;

    fn store(&self) -> &Arc<S> {
        Self::store(self)
    }

    fn leader_term(&self) -> Option<Term> {
        Self::leader_term(self)
    }

    fn leader(&self) -> Option<MemberAddress> {
        self.status().leader_address().cloned()
    }

    fn last_log(&self) -> LogIndex {
        self.status().last_log
    }

    async fn read_index(&self) -> Result<LogIndex, NotNow> {
        Self::read_index(self).await.map_err(not_now)
    }

    async fn leader_index(&self) -> Result<LogIndex, NotNow> {
        Self::leader_index(self).await.map_err(not_now)
    }

    async fn wait_applied(&self, index: LogIndex, deadline: Instant) -> bool {
        self.applied() >= index
            || Self::wait_applied(self, index, deadline.saturating_duration_since(Instant::now())).await
    }

    fn submit(
        &self,
        command: &Command,
    ) -> impl Future<Output = Result<Decided, SubmitError>> + Send + 'static + use<S> {
        let proposed = Self::submit_to_the_end(self, command);
        async move {
            match proposed.await {
                Ok(committed) => Ok(Decided {
                    index: committed.index,
                    applied: committed.applied,
                }),
                Err(ProposeError::Unknown) => Err(SubmitError::Unknown(ProposeError::Unknown.to_string())),
                Err(ProposeError::NotLeader(_)) => Err(SubmitError::NotLeader),
                Err(ProposeError::Unavailable(reason)) => Err(SubmitError::Refused(reason)),
            }
        }
    }

    fn announced(&self) -> Vec<Announced> {
        let members = self.levels().into_iter();
        members
            .map(|(member, level)| Announced {
                name: member.name,
                level,
            })
            .collect()
    }

    fn doubt(&self) -> impl Future<Output = ()> + Send + 'static + use<S> {
        Self::doubt(self)
    }
}

fn not_now(error: ReadError) -> NotNow {
    match error {
        ReadError::NotLeader(_) => NotNow::NotLeader,
        ReadError::Unavailable(reason) => NotNow::NoQuorum(reason),
    }
}
