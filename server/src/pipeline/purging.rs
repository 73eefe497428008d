//! What is left of dropped graphs goes in the background: the leader commits one batch after the other, so no entry of the log takes long.

use super::{Pipeline, Reading, Refusal, Replication, finish, is_conflict};
use geode_graph::dropped_graphs;
use std::time::Instant;

impl<R: Replication> Pipeline<R> {
    /// Takes batches until nothing is left, the time is over, or this member cannot write. What is left is done later, by whoever leads then.
    pub(crate) async fn purge_graphs(&self, until: Instant) -> Result<(), Refusal> {
        while self.must_lead().is_ok() && Instant::now() < until {
            let Some(graph) = dropped_graphs(&self.snapshot()?)?.first().copied() else {
                return Ok(());
            };
            let mut begun = self.begin(Reading::Leader, true, until).await?;
            begun.transaction.purge_graph(graph)?;
            match self.commit(finish(begun.transaction)?, None, &mut None).await {
                Err(Refusal::Failed(error)) if !is_conflict(&error) => return Err(Refusal::Failed(error)),
                _ => {}
            }
        }
        Ok(())
    }
}
