//! `Want`: a manifest after validation. Past this point nothing reads the raw spec. What the API server's CEL rules already refuse is
//! checked again only where a wrong value would do harm.

use crate::archive::{self, Archive};
use crate::maintenance::{self, Maintenance};
use crate::names::{Group, Names};
use geode_api::{
    ANNOTATION_MADE_BY, BootstrapStatus, DeletionPolicy, GeodeCluster, GeodeClusterSpec, ImagesStatus,
    LivesStatus, OBSERVERS_MAX, RestoreTargetSpec, ServiceType, Timing, upgrade_path,
};
use geode_types::{ClusterId, Lsn, RestoreGoal, RestoreTarget};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// What this operator release uses where the manifest is silent.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Image of servers, with a tag.
    pub server_image: String,
    /// Image of sidecars, with a tag.
    pub sidecar_image: String,
    /// Release of the operator, recorded on what it renders.
    pub release: String,
}

/// Decisions that are made once and remembered in the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Images that all members ran last, or those of the operator that found the cluster new: what a manifest means that names none.
    pub images: Option<ImagesStatus>,
    /// How the database was begun.
    pub bootstrap: Option<BootstrapStatus>,
    /// Identity of the database, once it exists.
    pub cluster_id: Option<ClusterId>,
    /// The databases that restores in place have exchanged, and the exchange that is under way.
    pub lives: Option<LivesStatus>,
}

/// A valid manifest.
#[derive(Clone, Debug)]
pub struct Want {
    /// Names of everything.
    pub names: Names,
    /// Uid of the `GeodeCluster`.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// Uid of the GeodeRestore that made it.
    pub made_by: Option<String>,
    /// Number of voters: odd.
    pub members: u32,
    /// Number of observers.
    pub observers: u32,
    /// Timing profile.
    pub timing: Timing,
    /// Size of the graph's volume.
    pub data_size: String,
    /// Size of the log's volume.
    pub wal_size: String,
    /// Storage class of both.
    pub storage_class: Option<String>,
    /// Members whose volumes cannot become what is wanted are replaced.
    pub replaces_members: bool,
    /// Resources of the server.
    pub resources: Option<ResourceRequirements>,
    /// Images that the spec asks for, or those it means when it names none.
    pub images: ImagesStatus,
    /// Images that the spec means when it names none.
    pub images_unnamed: ImagesStatus,
    /// Archive.
    pub archive: Option<Archive>,
    /// Type of the Services for reads.
    pub read_service: ServiceType,
    /// Further keys of `geode.yaml`.
    pub config: Map<String, Value>,
    /// Where the first data comes from.
    pub restore: Option<Restore>,
    /// What deletion does to volumes.
    pub deletion: DeletionPolicy,
    /// What a person takes over for a while.
    pub maintenance: Box<Maintenance>,
    /// Release of the operator.
    pub release: String,
    /// What was decided before.
    pub memory: Memory,
}

/// Where the first data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// `s3://bucket/prefix`, or of another service.
    pub source: String,
    /// How far to go.
    pub goal: RestoreGoal,
    /// Begin with an empty graph when nothing is archived there.
    pub if_exists: bool,
    /// The graphs that are kept; all of them when empty.
    pub graphs: Vec<String>,
}

/// The manifest asks for something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Want {
    /// The identity that a database of this manifest is given.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        Uuid::parse_str(&self.uid).ok().map(ClusterId)
    }

    /// How many pods of a group the manifest asks for.
    pub fn count(&self, group: Group) -> u32 {
        match group {
            Group::Voters => self.members,
            Group::Observers => self.observers,
        }
    }

    /// The pods of a group that the manifest asks for.
    pub fn pods_of(&self, group: Group) -> impl Iterator<Item = String> + '_ {
        (0..self.count(group)).map(move |ordinal| self.names.pod(group, ordinal))
    }

    /// All pods that the manifest asks for.
    pub fn pods(&self) -> impl Iterator<Item = String> + '_ {
        Group::ALL.into_iter().flat_map(|group| self.pods_of(group))
    }

    /// Whether this pod is one of them.
    pub fn wants_pod(&self, pod: &str) -> bool {
        self.names
            .place(pod)
            .is_some_and(|place| place.ordinal < self.count(place.group))
    }
}

/// Checks a manifest and resolves what it leaves open.
pub fn validate(cluster: &GeodeCluster, defaults: &Defaults) -> Result<Want, Invalid> {
    let spec = &cluster.spec;
    let metadata = &cluster.metadata;
    let names = Names {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        cluster: metadata.name.clone().unwrap_or_default(),
    };
    let memory = memory(cluster);
    let images_unnamed = memory.images.clone().unwrap_or_else(|| ImagesStatus {
        server: defaults.server_image.clone(),
        sidecar: defaults.sidecar_image.clone(),
    });
    check_config(&spec.config)?;
    let images = images(spec, &images_unnamed, defaults);
    if let Some(ran) = &memory.images {
        may_follow(&ran.server, &images.server)?;
    }
    Ok(Want {
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        created_at: metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        made_by: metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(ANNOTATION_MADE_BY).cloned()),
        members: members(spec)?,
        observers: observers(spec)?,
        timing: spec.timing,
        data_size: spec.storage.size.clone(),
        wal_size: spec
            .storage
            .wal
            .as_ref()
            .map_or_else(|| spec.storage.size.clone(), |wal| wal.size.clone()),
        storage_class: spec.storage.storage_class_name.clone(),
        replaces_members: spec.storage.replace_members,
        resources: spec.resources.clone(),
        images,
        images_unnamed,
        archive: archive::resolve(spec, &names),
        read_service: spec.services.read.service_type,
        config: spec.config.clone(),
        restore: restore(spec)?,
        deletion: spec.deletion_policy,
        maintenance: Box::new(maintenance::validate(spec.maintenance.as_ref(), &names)?),
        release: defaults.release.clone(),
        names,
        memory,
    })
}

fn restore(spec: &GeodeClusterSpec) -> Result<Option<Restore>, Invalid> {
    let Some(restore) = spec
        .bootstrap
        .as_ref()
        .and_then(|bootstrap| bootstrap.restore.as_ref())
    else {
        return Ok(None);
    };
    let target = RestoreTargetSpec {
        time: restore.target_time.clone(),
        lsn: restore.target_lsn.clone(),
        checkpoint: restore.target_checkpoint.clone(),
    };
    let goal = goal(&target).map_err(|Invalid(why)| Invalid(format!("spec.bootstrap.restore: {why}")))?;
    Ok(Some(Restore {
        source: restore.source.clone(),
        goal,
        if_exists: restore.if_exists,
        graphs: restore.graphs.clone(),
    }))
}

/// How far a restore is asked to go.
pub(crate) fn goal(target: &RestoreTargetSpec) -> Result<RestoreGoal, Invalid> {
    let wrong = |what: &str, why: &dyn std::fmt::Display| Invalid(format!("the target {what}: {why}"));
    Ok(match (&target.time, &target.lsn, &target.checkpoint) {
        (Some(time), None, None) => {
            let time: Timestamp = time.parse().map_err(|error| wrong("time", &error))?;
            RestoreTarget::TimeMicros(time.as_microsecond()).into()
        }
        (None, Some(lsn), None) => {
            let lsn: Lsn = lsn.parse().map_err(|error| wrong("LSN", &error))?;
            RestoreTarget::Index(lsn.index).into()
        }
        (None, None, Some(name)) => RestoreGoal::Checkpoint(name.clone()),
        (None, None, None) => RestoreTarget::Latest.into(),
        _ => return Err(wrong("is ambiguous", &"give one of time, LSN and checkpoint")),
    })
}

fn memory(cluster: &GeodeCluster) -> Memory {
    let Some(status) = &cluster.status else {
        return Memory::default();
    };
    Memory {
        images: status.images.clone(),
        bootstrap: status.bootstrap.clone(),
        lives: status.lives.clone(),
        cluster_id: status
            .cluster_id
            .as_deref()
            .and_then(|id| Uuid::parse_str(id).ok())
            .map(ClusterId),
    }
}

fn members(spec: &GeodeClusterSpec) -> Result<u32, Invalid> {
    match spec.members {
        members @ (1 | 3 | 5 | 7) => Ok(members as u32),
        other => Err(Invalid(format!(
            "spec.members is {other}; it must be 1, 3, 5 or 7"
        ))),
    }
}

fn observers(spec: &GeodeClusterSpec) -> Result<u32, Invalid> {
    let replicas = spec.observers.replicas;
    match u32::try_from(replicas) {
        Ok(count) if replicas <= OBSERVERS_MAX => Ok(count),
        _ => Err(Invalid(format!(
            "spec.observers.replicas is {replicas}; it must be 0 to {OBSERVERS_MAX}"
        ))),
    }
}

/// The spec decides; where it is silent, what is in use stays in use, whatever release the operator is.
fn images(spec: &GeodeClusterSpec, unnamed: &ImagesStatus, defaults: &Defaults) -> ImagesStatus {
    let both = |server: String, sidecar: String| ImagesStatus { server, sidecar };
    match (&spec.image, &spec.version) {
        (Some(image), _) => both(image.clone(), beside(image)),
        (None, Some(version)) => both(
            tagged(&defaults.server_image, version),
            tagged(&defaults.sidecar_image, version),
        ),
        (None, None) => unnamed.clone(),
    }
}

/// A release reads what the one before it wrote, and none reads what a later one wrote: who skips one or goes back is refused before any member is
/// touched. Taking back a version that never got through is no way back: all members ran the other one last.
fn may_follow(ran: &str, wanted: &str) -> Result<(), Invalid> {
    let (Some((_, ran)), Some((_, to))) = (ran.rsplit_once(':'), wanted.rsplit_once(':')) else {
        return Ok(());
    };
    upgrade_path(ran, to).map_err(|error| {
        Invalid(format!(
            "the members run {ran}, and {to} must not follow: {error}"
        ))
    })
}

/// `registry:5000/geode:0.1.0` and `0.2.0` → `registry:5000/geode:0.2.0`.
fn tagged(image: &str, version: &str) -> String {
    let without_digest = image.split('@').next().unwrap_or(image);
    let name_from = without_digest.rfind('/').map_or(0, |slash| slash + 1);
    let repository = match without_digest[name_from..].find(':') {
        Some(colon) => &without_digest[..name_from + colon],
        None => without_digest,
    };
    format!("{repository}:{version}")
}

/// `registry:5000/geode:0.1.0` → `registry:5000/geode-sidecar:0.1.0`. The CRD asks for a tag.
fn beside(image: &str) -> String {
    match image.rsplit_once(':') {
        Some((repository, tag)) => format!("{repository}-sidecar:{tag}"),
        None => format!("{image}-sidecar"),
    }
}

/// Keys of `geode.yaml` that follow from the manifest; `spec.config` may not contradict them.
const OWNED_KEYS: [(&str, &str); 20] = [
    ("cluster.name", "the name of the GeodeCluster"),
    ("cluster.node", "the operator"),
    ("cluster.internal_address", "the operator"),
    ("cluster.timing", "spec.timing"),
    ("cluster.discovery", "the operator"),
    ("server.listen", "the operator"),
    ("server.internal_listen", "the operator"),
    ("server.metrics_listen", "the operator"),
    ("server.tls", "spec.tls"),
    ("auth", "the Secret NAME-admin"),
    ("storage.data_dir", "the operator"),
    ("storage.wal_dir", "the operator"),
    ("sidecar", "the operator"),
    ("archive.s3", "spec.archive.s3"),
    ("archive.gcs", "spec.archive.gcs"),
    ("archive.azure", "spec.archive.azure"),
    ("archive.copy", "spec.archive.drCopy"),
    ("archive.compression", "spec.archive.compression"),
    ("archive.encryption", "spec.archive.encryption"),
    ("archive.max_lag", "spec.archive.maxLag"),
];

fn check_config(config: &Map<String, Value>) -> Result<(), Invalid> {
    let tree = Value::Object(config.clone());
    if let Err(problems) = geode_config::validate_overrides(&tree) {
        return Err(Invalid(format!("spec.config: {}", problems.join("; "))));
    }
    for (key, owner) in OWNED_KEYS {
        let pointer = format!("/{}", key.replace('.', "/"));
        if tree.pointer(&pointer).is_some() {
            return Err(Invalid(format!(
                "spec.config.{key} is set by {owner}; remove it from spec.config"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "want_tests.rs"]
mod tests;
