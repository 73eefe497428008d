//! What the graph says, in the words of the client protocol.

use geode_graph::CommitSummary;
use geode_types::{GroupId, LogIndex, Lsn, Summary};

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
