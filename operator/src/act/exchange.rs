//! The hands of an exchange of databases: the StatefulSet stops, volumes are marked, the StatefulSet goes alone, and volumes that were released go.

use super::{ActFailure, Hands, current, gone, merge, only};
use crate::kinds;
use crate::observe::Versioned;
use crate::status;
use geode_api::{GeodeRestore, GeodeRestoreStatus, LABEL_KEPT_BY};
use geode_planner::{Group, Kind, ObjectKey};
use kube::api::{Api, DeleteParams, Patch, PropagationPolicy};
use serde_json::json;

/// Fields of a restore's status that are taken back.
const RESTORE_OPTIONAL: [&str; 8] = [
    "message",
    "pod",
    "plan",
    "keptVolumes",
    "stoppedAt",
    "servingAt",
    "seconds",
    "completedAt",
];

impl Hands<'_> {
    pub(super) async fn delete_claims(&self, claims: &[(String, String)]) -> Result<(), ActFailure> {
        for (claim, uid) in claims {
            let version = self.look.versions.get(&Versioned::Claim(claim.clone()));
            gone(self.claims().delete(claim, &only(uid, version)).await.map(drop))?;
        }
        Ok(())
    }

    pub(super) fn set(&self, group: Group) -> ObjectKey {
        ObjectKey {
            kind: Kind::StatefulSet,
            name: self.want.names.set(group),
        }
    }

    /// One write: a controller that sees fewer pods sees that their volumes stay.
    pub(super) async fn stop_pods(&self, group: Group) -> Result<(), ActFailure> {
        let api = kinds::api(&self.context.client, Kind::StatefulSet, &self.key.namespace);
        let set = self.set(group);
        let patch = json!({
            "metadata": { "resourceVersion": self.seen_version(&set) },
            "spec": {
                "replicas": 0,
                "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
            },
        });
        current(api.patch(&set.name, &merge(), &Patch::Merge(patch)).await).map(drop)
    }

    /// Whatever belongs to it stays.
    pub(super) async fn delete_set(&self, group: Group, uid: &str) -> Result<(), ActFailure> {
        let api = kinds::api(&self.context.client, Kind::StatefulSet, &self.key.namespace);
        let set = self.set(group);
        let version = self.seen_version(&set);
        let orphaning = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..only(uid, version.as_ref())
        };
        gone(api.delete(&set.name, &orphaning).await.map(drop))
    }

    pub(super) async fn mark_volumes(
        &self,
        claims: &[String],
        kept_by: Option<&str>,
    ) -> Result<(), ActFailure> {
        for claim in claims {
            let patch = json!({
                "metadata": {
                    "resourceVersion": self.look.versions.get(&Versioned::Claim(claim.clone())),
                    "labels": { LABEL_KEPT_BY: kept_by },
                    "ownerReferences": null,
                },
            });
            current(
                self.claims()
                    .patch_metadata(claim, &merge(), &Patch::Merge(patch))
                    .await,
            )?;
        }
        Ok(())
    }

    pub(super) async fn record_restore(
        &self,
        name: &str,
        status: &GeodeRestoreStatus,
    ) -> Result<(), ActFailure> {
        let api: Api<GeodeRestore> = Api::namespaced(self.context.client.clone(), &self.key.namespace);
        let status = status::with_absent(json!(status), &RESTORE_OPTIONAL);
        let patch = json!({
            "metadata": { "resourceVersion": self.look.versions.get(&Versioned::Restore(name.to_owned())) },
            "status": status,
        });
        gone(
            api.patch_status(name, &merge(), &Patch::Merge(patch))
                .await
                .map(drop),
        )
    }
}
