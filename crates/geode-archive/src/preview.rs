//! What a restore would take, found out from lists and manifests alone: nothing is downloaded and nothing is written.

use crate::fetch::{FetchError, open_history, plan, refuse_future, resolve};
use crate::inventory::inventory;
use crate::layout::Lineage;
use crate::location::Access;
use crate::store::ObjectStore;
use geode_types::{LogIndex, RestoreGoal, RestoreTarget};

/// What a restore would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where it would begin: a base backup, or the history whose log begins with the first write.
    pub location: String,
    /// The last entry that would be restored; a target time may turn up before it.
    pub last: LogIndex,
    /// What would be fetched, as stored.
    pub bytes: u64,
}

/// Looks, by the same plan as [`fetch`](crate::fetch()).
pub async fn preview(source: &str, access: &Access, goal: &RestoreGoal) -> Result<Preview, FetchError> {
    let (store, lineage) = open_history(source, access).await?;
    let target = resolve(&*store, &access.codec(), lineage, goal).await?;
    preview_lineage(&*store, lineage, target).await
}

/// [`preview`] from an open store.
async fn preview_lineage(
    store: &dyn ObjectStore,
    lineage: Lineage,
    target: RestoreTarget,
) -> Result<Preview, FetchError> {
    refuse_future(target)?;
    let place = store.url(&lineage.root());
    let found = inventory(store, lineage).await?;
    let plan = plan(&found, target, &place)?;
    let segment = plan.segments.last().map(|range| range.last);
    let base = plan.base.as_ref().map(|base| base.manifest.index);
    let fetched = segment.max(base).unwrap_or(LogIndex(0));
    // The last segment may go beyond the target; the replay does not.
    let last = match target {
        RestoreTarget::Index(until) => fetched.min(until),
        RestoreTarget::Latest | RestoreTarget::TimeMicros(_) => fetched,
    };
    Ok(Preview {
        last,
        bytes: plan.bytes(&found),
        location: plan.base.map_or(place, |base| store.url(&base.folder)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::SegmentRange;
    use crate::store::MemoryStore;
    use geode_types::{ClusterId, GroupId, Incarnation};

    #[tokio::test]
    async fn a_preview_ends_with_the_target_and_not_with_the_segment_that_has_it() {
        let (store, lineage) = (
            MemoryStore::new(),
            Lineage {
                cluster_id: ClusterId(uuid::Uuid::nil()),
                incarnation: Incarnation(1),
            },
        );
        let range = SegmentRange {
            first: LogIndex(0),
            last: LogIndex(13),
        };
        store.tamper(&lineage.segment(GroupId(0), range), "segment");
        for (target, last) in [
            (RestoreTarget::Index(LogIndex(12)), 12),
            (RestoreTarget::Index(LogIndex(13)), 13),
            (RestoreTarget::Latest, 13),
        ] {
            let found = preview_lineage(&store, lineage, target).await.unwrap();
            assert_eq!((found.last, found.bytes), (LogIndex(last), 7), "{target:?}");
        }
    }
}
