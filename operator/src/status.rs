//! Writes the status. Two writers that never touch each other's fields: decisions ([`record`], fenced by resource version) and reports ([`report`]).

use crate::context::Key;
use crate::kinds::FIELD_MANAGER;
use geode_api::{GeodeCluster, GeodeClusterStatus, LivesStatus};
use geode_planner::Memory;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// Fields that only [`record`] writes.
const DECISIONS: [&str; 4] = ["bootstrap", "clusterId", "images", "lives"];
/// Fields that a report may take back.
const OPTIONAL: [&str; 7] = [
    "version",
    "leader",
    "term",
    "ready",
    "observers",
    "members",
    "archive",
];
/// Fields that change all the time under load and mean nothing by themselves.
const MEMBER_COUNTERS: [&str; 2] = ["applied", "lagMs"];

pub(crate) fn api(client: &Client, key: &Key) -> Api<GeodeCluster> {
    Api::namespaced(client.clone(), &key.namespace)
}

pub(crate) fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Writes decisions, provided that nobody has changed the object since they were made. Returns the new resource version.
pub(crate) async fn record(
    client: &Client,
    key: &Key,
    memory: &Memory,
    version: Option<String>,
) -> Result<Option<String>, kube::Error> {
    let patch = json!({
        "metadata": { "resourceVersion": version },
        "status": {
            "bootstrap": memory.bootstrap,
            "clusterId": memory.cluster_id.map(|id| id.to_string()),
            "images": memory.images,
            "lives": memory.lives.as_ref().map(lives),
        },
    });
    let written = api(client, key)
        .patch_status(&key.name, &params(), &Patch::Merge(patch))
        .await?;
    Ok(written.resource_version())
}

/// An exchange that is complete is taken back by name: a merge leaves alone what is not mentioned.
fn lives(lives: &LivesStatus) -> Value {
    with_absent(json!(lives), &["exchange"])
}

/// Makes sure that nobody has changed an object since it was read: a write that changes nothing, on top of what was read.
pub(crate) async fn confirm<K: Clone + Debug + DeserializeOwned>(
    api: &Api<K>,
    name: &str,
    version: Option<String>,
) -> Result<(), kube::Error> {
    let attempt = PatchParams {
        dry_run: true,
        ..params()
    };
    let patch = json!({ "metadata": { "resourceVersion": version } });
    api.patch_status(name, &attempt, &Patch::Merge(patch))
        .await
        .map(drop)
}

/// A status as a patch that takes these fields back where the status has none.
pub(crate) fn with_absent(mut status: Value, optional: &[&str]) -> Value {
    for field in optional {
        if status.get(field).is_none() {
            status[field] = Value::Null;
        }
    }
    status
}

/// Writes a report, if it says something new.
pub(crate) async fn report(
    client: &Client,
    key: &Key,
    before: &GeodeClusterStatus,
    now: &GeodeClusterStatus,
) -> Result<(), kube::Error> {
    let (before, now) = (plain(before), plain(now));
    if before == now {
        return Ok(());
    }
    let patch = json!({ "status": with_absent(now, &OPTIONAL) });
    api(client, key)
        .patch_status(&key.name, &params(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

fn plain(status: &GeodeClusterStatus) -> Value {
    let mut value = json!(status);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|field, _| !DECISIONS.contains(&field.as_str()));
    }
    value
}

/// Whether two reports differ in more than counters.
pub(crate) fn differs_in_substance(before: &GeodeClusterStatus, now: &GeodeClusterStatus) -> bool {
    substance(before) != substance(now)
}

fn substance(status: &GeodeClusterStatus) -> Value {
    let mut value = plain(status);
    for member in value
        .get_mut("members")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        member.retain(|field, _| !MEMBER_COUNTERS.contains(&field.as_str()));
    }
    if let Some(fields) = value.as_object_mut() {
        fields.remove("archive");
    }
    value
}
