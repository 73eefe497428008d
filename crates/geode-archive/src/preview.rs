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
    /// The last entry that would be fetched; a target time may turn up before it.
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
    Ok(Preview {
        last: segment.max(base).unwrap_or(LogIndex(0)),
        bytes: plan.bytes(&found),
        location: plan.base.map_or(place, |base| store.url(&base.folder)),
    })
}
