//! Are the volumes as large as the manifest says? They grow while the server uses them, at any fill, with or without a quorum. Whether they can
//! is up to their storage class, so nothing else waits for them.

use crate::observed::{Observed, VolumeKind};
use crate::plan::Action;
use crate::quantity::smaller;
use crate::want::Want;

pub(super) fn plan(want: &Want, seen: &Observed) -> Vec<Action> {
    let wanted = |kind: VolumeKind| match kind {
        VolumeKind::Data => &want.data_size,
        VolumeKind::Wal => &want.wal_size,
    };
    seen.claims
        .iter()
        .filter(|(_, claim)| !claim.doomed && smaller(&claim.size, wanted(claim.kind)))
        .map(|(name, claim)| Action::GrowClaim {
            claim: name.clone(),
            size: wanted(claim.kind).clone(),
        })
        .collect()
}
