//! How many edges a node has, when nothing else is asked of them: the counts at the heads of adjacency blocks are added up.

use super::Cx;
use super::chain::Operator;
use super::rows::Rows;
use super::rowwise::RowWise;
use crate::datum::Datum;
use crate::plan::physical::Expand;
use geode_types::QueryError;

/// Puts the number of edges into the edge's cell; a node without edges gives no row, as it would when its edges were followed.
pub(super) fn degree(spec: &Expand<'_>) -> impl Operator {
    let (from, edge, direction) = (spec.from, spec.edge, spec.direction.of_graph());
    let types = spec.types.to_vec();
    RowWise(move |rows: Rows, cx: &mut Cx<'_>| -> Result<Rows, QueryError> {
        let types = cx.types(&types)?;
        let mut out = Rows::new(rows.width());
        for row in rows.iter() {
            let Datum::Node(node) = &row[from] else { continue };
            let count = cx.graph.degree(*node, direction, types.as_deref())?;
            if count > 0 {
                out.push(row)[edge] = Datum::Int(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        Ok(out)
    })
}
