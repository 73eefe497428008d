//! What the graph says, in the words of the client protocol.

use super::refusal::{self, Refusal, internal, transaction_over};
use geode_graph::{Applied, CommitSummary};
use geode_types::{ErrorClass, GroupId, LogIndex, Lsn, QueryError, Summary};
use geode_wire::client::Done;

pub(crate) fn lsn_of(index: LogIndex) -> Lsn {
    Lsn {
        group: GroupId(0),
        index,
    }
}

pub(crate) fn told(summary: CommitSummary) -> Summary {
    let CommitSummary {
        nodes_created,
        nodes_deleted,
        edges_created,
        edges_deleted,
        properties_set,
        labels_added,
        labels_removed,
    } = summary;
    Summary {
        nodes_created,
        nodes_deleted,
        edges_created,
        edges_deleted,
        properties_set,
        labels_added,
        labels_removed,
    }
}

/// Whether an answer says something about the graph. That a statement was stopped, or took too much, says nothing.
pub(super) fn tells_of_graph(result: &Result<Summary, QueryError>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => !matches!(
            error.class,
            ErrorClass::LimitError | ErrorClass::UnavailableError | ErrorClass::InternalError
        ),
    }
}

/// What the log's decision means for the client.
pub(super) fn outcome(index: LogIndex, applied: Applied, summary: Summary) -> Result<Done, Refusal> {
    match applied {
        Applied::Committed(_) => Ok(Done {
            summary,
            lsn: Some(lsn_of(index)),
            repeated: false,
            reads: None,
        }),
        Applied::AlreadyCommitted { index, summary } => Ok(Done {
            summary: told(summary),
            lsn: Some(lsn_of(index)),
            repeated: true,
            reads: None,
        }),
        Applied::Fenced => {
            Err(transaction_over("LeaderChanged", "the leader changed while it was committed").into())
        }
        Applied::RequestTooOld => Err(refusal::too_old().into()),
        Applied::Cut | Applied::Stepped(_) | Applied::Raised => {
            Err(internal("a commit was taken for another command").into())
        }
    }
}
