//! What a restore would take, found out from lists and manifests alone: nothing is downloaded and nothing is written.

use crate::fetch::{FetchError, refuse_future, resolve};
use crate::inventory::{Inventory, inventory};
use crate::layout::Lineage;
use crate::location::{Access, Location};
use crate::plan::{RestorePlan, restore_plan};
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
    let location = Location::parse(source)?;
    let store = location.open(access).await;
    let lineage = location.lineage(&*store).await?;
    let target = resolve(&*store, lineage, goal).await?;
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
    let plan = restore_plan(&found, target, &place).map_err(|gap| FetchError::Gap {
        place: place.clone(),
        gap,
    })?;
    let segment = plan.segments.last().map(|range| range.last);
    let base = plan.base.as_ref().map(|base| base.manifest.index);
    Ok(Preview {
        last: segment.max(base).unwrap_or(LogIndex(0)),
        bytes: bytes(&found, &plan),
        location: plan.base.map_or(place, |base| store.url(&base.folder)),
    })
}

fn bytes(found: &Inventory, plan: &RestorePlan) -> u64 {
    let base = plan.base.as_ref().map_or(0, |base| base.manifest.stored_bytes);
    let segments = found.segments.iter();
    let needed = segments.filter(|segment| plan.segments.contains(&segment.range));
    base + needed.map(|segment| segment.bytes).sum::<u64>()
}
