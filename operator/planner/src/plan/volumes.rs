//! Are the volumes as large as the manifest says? They grow while the server uses them, at any fill, with or without a quorum.

use crate::observed::{Observed, VolumeKind};
use crate::plan::{Action, Step};
use crate::quantity::smaller;
use crate::want::Want;
use geode_api::Reason;
use k8s_openapi::jiff::Timestamp;

pub(super) fn plan(want: &Want, seen: &Observed, _: Timestamp) -> Step {
    let wanted = |kind: VolumeKind| match kind {
        VolumeKind::Data => &want.data_size,
        VolumeKind::Wal => &want.wal_size,
    };
    let actions: Vec<Action> = seen
        .claims
        .iter()
        .filter(|(_, claim)| !claim.doomed && smaller(&claim.size, wanted(claim.kind)))
        .map(|(name, claim)| Action::GrowClaim {
            claim: name.clone(),
            size: wanted(claim.kind).clone(),
        })
        .collect();
    if actions.is_empty() {
        return Step::Clear;
    }
    let message = format!("growing {} volumes", actions.len());
    Step::Act(actions, Reason::GrowingVolumes, message)
}
