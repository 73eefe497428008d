//! A cluster that is not there: its backups and restores say so, and a GeodeRestore with `spec.newCluster` makes it. One that is there and for which
//! nothing is done: such a GeodeRestore says why it does not go on.

use super::{ReconcileError, failed};
use crate::context::{Context, Key};
use crate::kinds::{FIELD_MANAGER, of_cluster};
use crate::observe::restore_view;
use crate::status;
use geode_api::{GeodeBackup, GeodeCluster, GeodeRestore, GeodeRestoreStatus, Reason, RestorePhase};
use geode_planner::{
    NewCluster, Remains, delayed_new_cluster, held_new_cluster, plan_new_cluster, refused_new_cluster,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// What becomes of it.
pub(super) enum Absent {
    /// It was made.
    Made(Box<GeodeCluster>),
    /// It will be, when something else is gone.
    Awaited,
    /// Nobody makes it.
    Nobody,
}

/// Makes the cluster if a GeodeRestore asks for that; otherwise all that waits for it is told so, and begins when it appears.
pub(super) async fn hold(context: &Context, key: &Key) -> Result<Absent, ReconcileError> {
    let restores: Api<GeodeRestore> = Api::namespaced(context.client.clone(), &key.namespace);
    let ours = list(&restores, "list restores").await?.into_iter();
    let ours = ours.filter(|restore| restore.spec.cluster == key.name);
    let (makers, others): (Vec<GeodeRestore>, Vec<GeodeRestore>) =
        ours.partition(|restore| restore.spec.new_cluster.is_some());
    let absent = make(context, key, &restores, makers).await?;
    if matches!(absent, Absent::Made(_)) {
        return Ok(absent);
    }
    let message = format!("there is no GeodeCluster {} in this namespace", key.name);
    let known = |said: Option<&String>| said == Some(&message);
    for restore in others {
        let status = restore.status.clone().unwrap_or_default();
        if status.phase == RestorePhase::Pending && !known(status.message.as_ref()) {
            tell_pending(context, &restores, &restore, &message).await?;
        }
    }
    let backups: Api<GeodeBackup> = Api::namespaced(context.client.clone(), &key.namespace);
    for backup in list(&backups, "list backups").await? {
        let status = backup.status.clone().unwrap_or_default();
        let waits = !status.phase.is_final() && !known(status.message.as_ref());
        if backup.spec.cluster == key.name && waits {
            tell_pending(context, &backups, &backup, &message).await?;
        }
    }
    Ok(absent)
}

/// Nothing is done for the cluster, as it is paused or not valid, so no plan is carried out that would tell this.
pub(super) async fn tell_makers(
    context: &Context,
    key: &Key,
    cluster: &GeodeCluster,
    why: &str,
) -> Result<(), ReconcileError> {
    let restores: Api<GeodeRestore> = Api::namespaced(context.client.clone(), &key.namespace);
    for restore in list(&restores, "list restores").await? {
        let makes_it = restore.spec.cluster == key.name && restore.spec.new_cluster.is_some();
        if makes_it && restore.metadata.deletion_timestamp.is_none() {
            let view = restore_view(restore.clone());
            let told = held_new_cluster(&view, cluster, why, Timestamp::now());
            tell(&restores, &restore, told).await?;
        }
    }
    Ok(())
}

/// The oldest GeodeRestore that still can makes it; the others find it there then.
async fn make(
    context: &Context,
    key: &Key,
    restores: &Api<GeodeRestore>,
    mut makers: Vec<GeodeRestore>,
) -> Result<Absent, ReconcileError> {
    makers.retain(|restore| restore.metadata.deletion_timestamp.is_none());
    if makers.is_empty() {
        return Ok(Absent::Nobody);
    }
    makers.sort_by_key(|restore| (restore.creation_timestamp(), restore.name_any()));
    let remains = remains(context, key).await?;
    for restore in makers {
        let view = restore_view(restore.clone());
        let now = Timestamp::now();
        match plan_new_cluster(&view, &key.namespace, &remains, &context.defaults, now) {
            NewCluster::Over(told) => tell(restores, &restore, told).await?,
            NewCluster::Waits(told) => {
                tell(restores, &restore, told).await?;
                return Ok(Absent::Awaited);
            }
            NewCluster::Make(cluster) => {
                if let Some(made) = create(context, key, restores, &restore, &cluster).await? {
                    return Ok(Absent::Made(made));
                }
            }
        }
    }
    Ok(Absent::Nobody)
}

async fn remains(context: &Context, key: &Key) -> Result<Remains, ReconcileError> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &key.namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &key.namespace);
    let selected = of_cluster(&key.name);
    let (pods, claims) = tokio::try_join!(pods.list(&selected), claims.list(&selected))
        .map_err(failed("list what an earlier cluster has left"))?;
    let goes = |claim: &PersistentVolumeClaim| {
        claim.metadata.deletion_timestamp.is_some() || !claim.owner_references().is_empty()
    };
    let (going, staying): (Vec<PersistentVolumeClaim>, Vec<PersistentVolumeClaim>) =
        claims.items.into_iter().partition(goes);
    let pods = pods.iter().map(ResourceExt::name_any);
    Ok(Remains {
        going: pods.chain(going.iter().map(ResourceExt::name_any)).collect(),
        staying: staying.iter().map(ResourceExt::name_any).collect(),
    })
}

/// `None`: it cannot be, and the GeodeRestore says why.
async fn create(
    context: &Context,
    key: &Key,
    restores: &Api<GeodeRestore>,
    restore: &GeodeRestore,
    cluster: &GeodeCluster,
) -> Result<Option<Box<GeodeCluster>>, ReconcileError> {
    let name = restore.name_any();
    // Not because of what was true before.
    status::confirm(restores, &name, restore.resource_version())
        .await
        .map_err(failed("confirm the GeodeRestore"))?;
    tracing::info!(cluster = %key, restore = name, "a GeodeRestore makes a GeodeCluster");
    let api = status::api(&context.client, key);
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let (view, now) = (restore_view(restore.clone()), Timestamp::now());
    match api.create(&params, cluster).await {
        Ok(made) => Ok(Some(Box::new(made))),
        // By an operator before this one, or by somebody else: the round that goes on with it tells.
        Err(kube::Error::Api(answer)) if answer.is_already_exists() => {
            let found = api.get_opt(&key.name).await;
            Ok(found.map_err(failed("read the GeodeCluster"))?.map(Box::new))
        }
        Err(kube::Error::Api(answer)) if answer.is_invalid() => {
            tell(
                restores,
                restore,
                refused_new_cluster(&view, &answer.message, now),
            )
            .await?;
            Ok(None)
        }
        Err(error) => {
            let told = delayed_new_cluster(&view, &error.to_string(), now);
            tell(restores, restore, told).await?;
            Err(failed("create the GeodeCluster")(error))
        }
    }
}

/// Writes a status, provided that nobody has changed the GeodeRestore since it was read.
async fn tell(
    restores: &Api<GeodeRestore>,
    restore: &GeodeRestore,
    told: Option<Box<GeodeRestoreStatus>>,
) -> Result<(), ReconcileError> {
    let Some(status) = told else { return Ok(()) };
    let patch = json!({ "metadata": { "resourceVersion": restore.resource_version() }, "status": status });
    restores
        .patch_status(&restore.name_any(), &status::params(), &Patch::Merge(patch))
        .await
        .map(drop)
        .map_err(failed("write the status of a GeodeRestore"))
}

async fn list<K>(api: &Api<K>, what: &'static str) -> Result<Vec<K>, ReconcileError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let list = api.list(&ListParams::default()).await;
    list.map(|list| list.items).map_err(failed(what))
}

async fn tell_pending<K>(
    context: &Context,
    api: &Api<K>,
    object: &K,
    message: &str,
) -> Result<(), ReconcileError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let patch = json!({ "status": { "phase": "Pending", "message": message } });
    api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(failed("write the status of what waits for its cluster"))?;
    let reason = Reason::ClusterNotFound.to_string();
    context.event(object, true, &reason, "Validate", message).await;
    Ok(())
}
