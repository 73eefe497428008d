//! Indexes on many nodes are built, and dropped, in steps that the leader proposes one after the other. Whoever created one waits for it;
//! the keeper carries on with those whose leader or client has gone.

use super::{Pipeline, Plan, Refusal, Replication};
use geode_graph::{RuleState, next_step, rules};
use geode_types::{ErrorClass, NodeId, Outcome, QueryError};
use std::time::Instant;

impl<R: Replication> Pipeline<R> {
    /// Takes steps until nothing is left to do, the time is over, or this member cannot propose. An answer to nobody: what is left is done
    /// later.
    pub(crate) async fn build_indexes(&self, until: Instant) -> Result<(), Refusal> {
        while self.must_lead().is_ok() && Instant::now() < until {
            let Some(command) = next_step(&self.snapshot()?)? else {
                return Ok(());
            };
            self.reach(command.level()).await?;
            let step = self.replication.submit(&command);
            if !matches!(tokio::time::timeout_at(until.into(), step).await, Ok(Ok(_))) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until the index or constraint that a committed statement created is in force. Nodes that were there may break a constraint:
    /// then it is gone again, and the statement has failed.
    pub(super) async fn finish_rule(&self, created: &Plan, deadline: Instant) -> Result<(), Refusal> {
        let mut broken = None;
        while self.must_lead().is_ok() && Instant::now() < deadline {
            let read = self.snapshot()?;
            for rule in rules(&read)? {
                let named = created.rule_name().is_none_or(|name| name == rule.name);
                if let (true, RuleState::Dropping(Some(node))) = (named, rule.state) {
                    broken = Some((rule.name, node));
                }
            }
            let Some(command) = next_step(&read)? else { break };
            drop(read);
            let step = self.replication.submit(&command);
            if !matches!(tokio::time::timeout_at(deadline.into(), step).await, Ok(Ok(_))) {
                break;
            }
        }
        broken.map_or(Ok(()), |(name, node)| Err(violated(&name, node).into()))
    }
}

fn violated(name: &str, node: NodeId) -> QueryError {
    let message = format!("the constraint {name} is not created: node {node} violates it");
    QueryError::runtime(
        ErrorClass::ConstraintValidationFailed,
        "ConstraintViolated",
        "22N79",
        message,
    )
    .hint(format!("MATCH (n) WHERE id(n) = {node} RETURN n shows the node"))
    .outcome(Outcome::Failed)
}
