//! The feature level of the cluster: a command that older members would not understand is proposed only when there are none, and the log says
//! so first (ADR 18).

use super::{COMMIT_TIMEOUT, Pipeline, Refusal, Replication, SubmitError, refusal};
use geode_graph::{Command, level};
use geode_types::FeatureLevel;

/// What a member understands, as far as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The member's name.
    pub(crate) name: String,
    /// The highest level that it announced; nothing when it was never heard.
    pub(crate) level: Option<FeatureLevel>,
}

/// The highest level that all members understand, if it is enough; or else the member that is furthest behind.
fn agreed(needed: FeatureLevel, members: &[Announced]) -> Result<FeatureLevel, &Announced> {
    let Some(last) = members.iter().min_by_key(|member| member.level) else {
        return Ok(FeatureLevel::NEWEST);
    };
    let common = last.level.map(|level| level.min(FeatureLevel::NEWEST));
    common.filter(|common| *common >= needed).ok_or(last)
}

impl<R: Replication> Pipeline<R> {
    /// Returns when a command of this level may be proposed. The first one of a level waits until the log has said that it may come; before
    /// that nothing is written that a member cannot read, and an older version can still come back.
    pub(super) async fn reach(&self, needed: FeatureLevel) -> Result<(), Refusal> {
        if needed == FeatureLevel::FIRST || level(&self.snapshot()?)? >= needed {
            return Ok(());
        }
        let members = self.replication.announced();
        let to = agreed(needed, &members).map_err(|behind| refusal::behind(needed, behind))?;
        let raised = self.replication.submit(&Command::Raise { to });
        match tokio::time::timeout(COMMIT_TIMEOUT, raised).await {
            Ok(Ok(_)) => {
                tracing::info!(level = %to, "all members understand a higher feature level; the cluster uses it from now on");
                Ok(())
            }
            Ok(Err(SubmitError::NotLeader)) => Err(self.not_leader()),
            Ok(Err(error)) => Err(refusal::no_leader(error).into()),
            Err(_) => Err(refusal::no_leader("no quorum has confirmed the new feature level in time").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(levels: &[Option<u8>]) -> Vec<Announced> {
        let each = |(number, level): (usize, &Option<u8>)| Announced {
            name: format!("geode-{number}"),
            level: level.map(FeatureLevel),
        };
        levels.iter().enumerate().map(each).collect()
    }

    #[test]
    fn a_level_is_used_only_when_every_member_announced_it() {
        let newest = FeatureLevel::NEWEST;
        let last = |levels: &[Option<u8>]| match agreed(newest, &members(levels)) {
            Ok(level) => format!("all {level}"),
            Err(behind) => behind.name.clone(),
        };
        assert_eq!(last(&[]), "all 3");
        assert_eq!(last(&[Some(3), Some(3), Some(3)]), "all 3");
        assert_eq!(last(&[Some(3), Some(1), Some(2)]), "geode-1");
        // One that was never heard may be of any version.
        assert_eq!(last(&[Some(1), Some(2), None]), "geode-2");
        // Newer members understand more, and this one does not.
        assert_eq!(last(&[Some(4), Some(9)]), "all 3");
        assert_eq!(
            agreed(FeatureLevel::FIRST, &members(&[Some(2), Some(1)])),
            Ok(FeatureLevel::FIRST)
        );
    }
}
