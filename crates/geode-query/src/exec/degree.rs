//! How many edges a node has, when nothing else is asked of them: the counts at the heads of adjacency blocks are added up.

use super::Cx;
use super::chain::Operator;
use super::columns::SlotNodes;
use super::rows::Rows;
use super::rowwise::RowWise;
use crate::datum::Datum;
use crate::plan::physical::Expand;
use geode_types::QueryError;

/// Puts the number of edges into the edge's cell; a node without edges gives no row, as it would when its edges were followed.
pub(super) fn degree(spec: &Expand<'_>) -> impl Operator {
    let (from, edge, direction) = (spec.from, spec.edge, spec.direction.of_graph());
    let types = spec.types.to_vec();
    RowWise(
        move |mut rows: Rows, cx: &mut Cx<'_>| -> Result<Rows, QueryError> {
            let types = cx.types(&types)?;
            let nodes = SlotNodes::of(&rows, from);
            let counts = cx.graph.degrees(&nodes.ids, direction, types.as_deref())?;
            let mut keep = Vec::with_capacity(rows.len());
            for (at, place) in nodes.places.iter().enumerate() {
                let count = place.map_or(0, |place| counts[place as usize]);
                keep.push(count > 0);
                rows.set(at, edge, Datum::Int(i64::try_from(count).unwrap_or(i64::MAX)));
            }
            rows.retain(&keep);
            Ok(rows)
        },
    )
}
