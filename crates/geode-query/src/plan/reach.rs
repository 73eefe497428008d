//! How much of a chain runs on parts of its scan side by side, when the scan is large (`exec/parallel.rs`).

use super::logical::Step;
use super::matching::Statistics;
use super::physical::Op;
use geode_types::QueryError;

/// Notes it at the scan that a chain begins with.
pub(super) fn note(ops: &mut [Op<'_>], statistics: &mut dyn Statistics) -> Result<(), QueryError> {
    let [
        Op::Step(Step::Unit { .. }),
        Op::Scan { label, reach, .. },
        behind @ ..,
    ] = ops
    else {
        return Ok(());
    };
    let row_by_row = behind.iter().take_while(|op| is_row_by_row(op)).count();
    // A page needs few rows, and soon.
    let is_paged = matches!(
        behind.get(row_by_row),
        Some(Op::Step(Step::Page { .. }) | Op::DrainingPage { .. })
    );
    if !is_paged {
        let nodes = statistics.nodes(*label)?;
        if statistics.shares_scan(nodes) {
            *reach = 1 + row_by_row;
        }
    }
    Ok(())
}

/// Whether what an operator gives for some rows depends on these alone, and it keeps nothing for the next ones.
fn is_row_by_row(op: &Op<'_>) -> bool {
    matches!(
        op,
        Op::Filter(_)
            | Op::Paths(_)
            | Op::Degree(_)
            | Op::CheckNode { .. }
            | Op::Step(Step::Filter(_) | Step::Extend(_) | Step::Compact { .. })
    )
}
