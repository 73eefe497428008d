//! What is done about backups: their statuses, and those that the operator takes by itself.

use super::{ActFailure, Hands, gone, merge};
use crate::kinds::FIELD_MANAGER;
use crate::observe::Versioned;
use geode_api::{GeodeBackup, GeodeBackupSpec, GeodeBackupStatus, LABEL_CLUSTER};
use geode_types::BackupKind;
use kube::api::{Api, Patch, PostParams};
use serde_json::json;

impl Hands<'_> {
    fn backups(&self) -> Api<GeodeBackup> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }

    /// One that is there already was taken by an operator before this one.
    pub(super) async fn take_backup(&self, name: &str) -> Result<(), ActFailure> {
        let mut backup = GeodeBackup::new(
            name,
            GeodeBackupSpec {
                cluster: self.key.name.clone(),
                // After a gap only a full one is a beginning.
                kind: BackupKind::Full.to_string(),
                retention: None,
            },
        );
        backup.metadata.labels = Some([(LABEL_CLUSTER.to_owned(), self.key.name.clone())].into());
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.backups().create(&params, &backup).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    pub(super) async fn record_backup(
        &self,
        name: &str,
        status: &GeodeBackupStatus,
    ) -> Result<(), ActFailure> {
        let patch = json!({
            "metadata": { "resourceVersion": self.look.versions.get(&Versioned::Backup(name.to_owned())) },
            "status": status,
        });
        let patched = self
            .backups()
            .patch_status(name, &merge(), &Patch::Merge(patch))
            .await;
        gone(patched.map(drop))
    }
}
