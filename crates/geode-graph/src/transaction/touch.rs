//! Which things a change of the write buffer writes, as the certifier compares them with what others read.

use super::overlay::Version;
use crate::readset::Touch;
use crate::record::{EdgeRecord, NodeRecord};
use crate::schema::Rule;
use geode_types::{EdgeId, NodeId};

/// What is written when a node changes: the things that readers of them depend on.
pub(super) fn touch_node(
    id: NodeId,
    version: &Version<NodeRecord>,
    indexes: &[Rule],
    touches: &mut Vec<Touch>,
) {
    let (base, now) = (version.base.as_deref(), version.now.as_deref());
    if base.is_none() && now.is_none() {
        return;
    }
    touches.extend([Touch::Node(id), Touch::AnyNode]);
    if base.is_none() || now.is_none() {
        touches.extend([Touch::Existence(id), Touch::AllNodes]);
    }
    let labels = |record: Option<&NodeRecord>| record.map(|record| record.labels.clone()).unwrap_or_default();
    let (before, after) = (labels(base), labels(now));
    let lost = before.iter().filter(|label| !after.contains(label));
    let gained = after.iter().filter(|label| !before.contains(label));
    touches.extend(lost.chain(gained).map(|label| Touch::Label(*label)));
    for rule in indexes
        .iter()
        .filter(|rule| rule.is_index() && Rule::concerns(id))
    {
        let values = |record: Option<&NodeRecord>| record.and_then(|record| rule.values(record));
        let (before, after) = (values(base), values(now));
        if before != after {
            touches.push(Touch::AnyIndexEntry);
            let changed = before.into_iter().chain(after);
            touches.extend(changed.map(|values| Touch::IndexEntry(rule.id, values.into())));
        }
    }
}

/// The same for an edge.
pub(super) fn touch_edge(id: EdgeId, version: &Version<EdgeRecord>, touches: &mut Vec<Touch>) {
    let Some(record) = version.base.as_deref().or(version.now.as_deref()) else {
        return;
    };
    touches.extend([Touch::Edge(id), Touch::AnyEdge]);
    if version.base.is_some() && version.now.is_some() {
        return;
    }
    touches.extend([
        Touch::EdgesOfType(record.edge_type),
        Touch::AllEdges,
        Touch::AnyAdjacency,
    ]);
    for (node, outgoing) in [(record.start, true), (record.end, false)] {
        touches.push(Touch::Adjacency(node, outgoing, Some(record.edge_type)));
        touches.push(Touch::Adjacency(node, outgoing, None));
    }
}
