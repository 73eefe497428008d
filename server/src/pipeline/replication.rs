//! The seam between the pipeline and replication: Raft on a server, nobody else in a throw-away shell.

use super::Announced;
use geode_graph::{Applied, Command};
use geode_store::Store;
use geode_types::{LogIndex, Term};
use geode_wire::client::MemberAddress;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

/// Why something that only a leader with a quorum does cannot be done here and now. Nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotNow {
    /// Another member leads, or nobody.
    #[error("this member does not lead")]
    NotLeader,
    /// This member leads but its quorum does not answer.
    #[error("no quorum: {0}")]
    NoQuorum(String),
}

/// Why a command did not come back committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubmitError {
    /// Another member leads; it is in no log and never will be.
    #[error("this member does not lead")]
    NotLeader,
    /// It is in no log and never will be.
    #[error("the command was refused: {0}")]
    Refused(String),
    /// It may be in a log.
    #[error("the command may or may not be committed: {0}")]
    Unknown(String),
}

/// A command that is committed and applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decided {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// What became of it.
    pub applied: Applied,
}

/// Replication as the pipeline needs it.
pub(crate) trait Replication: Send + Sync + 'static {
    /// What the committed entries are applied to.
    type Store: Store;

    /// The store of this member.
    fn store(&self) -> &Arc<Self::Store>;

    /// The term in which this member leads, if it does.
    fn leader_term(&self) -> Option<Term>;

    /// Who leads, as far as this member knows.
    fn leader(&self) -> Option<MemberAddress>;

    /// The last entry of this member's log, committed or not.
    fn last_log(&self) -> LogIndex;

    /// An index that covers everything acknowledged before the call; confirms with a quorum that this member still leads.
    fn read_index(&self) -> impl Future<Output = Result<LogIndex, NotNow>> + Send;

    /// The same from a member that does not lead, which asks the leader. It may not be applied here yet. Who is alone leads.
    fn leader_index(&self) -> impl Future<Output = Result<LogIndex, NotNow>> + Send {
        self.read_index()
    }

    /// Waits until the store contains this index; false when the deadline comes first.
    fn wait_applied(&self, index: LogIndex, deadline: Instant) -> impl Future<Output = bool> + Send;

    /// Hands a command to the log. Commands are ordered as `submit` was called (the call itself, not the future that it returns);
    /// the future ends when the command is applied here or certainly never will be, however long that takes.
    fn submit(
        &self,
        command: &Command,
    ) -> impl Future<Output = Result<Decided, SubmitError>> + Send + 'static + use<Self>;

    /// All members and the highest feature level that each of them understands. Nobody, where nothing is replicated.
    fn announced(&self) -> Vec<Announced>;

    /// Ends when this member has not led with a quorum for a while, so that nobody waits any longer for what was submitted.
    fn doubt(&self) -> impl Future<Output = ()> + Send + 'static + use<Self>;
}
