//! A GeodeRestore with `spec.newCluster`: the GeodeCluster that it makes, when that may be made, and how far it is then. It is made once, under a name
//! that is free, and bears the uid of its GeodeRestore: whoever goes on after any step finds it by that. From then on it is a cluster like any other,
//! which restores by its own `spec.bootstrap.restore`.

use crate::observed::{Observed, RestoreView};
use crate::plan::restores::report;
use crate::plan::{Action, Step, bootstrap};
use crate::quorum::Lead;
use crate::status::whole_second;
use crate::want::{Defaults, Invalid, Want, validate};
use geode_api::{
    ANNOTATION_MADE_BY, BootstrapMethod, BootstrapSpec, GeodeCluster, GeodeClusterSpec, GeodeRestoreStatus,
    Reason, RestorePhase, RestoreSpec,
};
use k8s_openapi::jiff::Timestamp;

/// What an earlier cluster of this name has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Pods, and volume claims that are deleted or go with what they belong to.
    pub going: Vec<String>,
    /// Volume claims that stay until somebody deletes them.
    pub staying: Vec<String>,
}

/// What a GeodeRestore comes to while there is no cluster of this name. A status is there when it says something new.
#[derive(Debug)]
pub enum NewCluster {
    /// Nothing is made.
    Over(Option<Box<GeodeRestoreStatus>>),
    /// Something has to go first.
    Waits(Option<Box<GeodeRestoreStatus>>),
    /// It is made now.
    Make(Box<GeodeCluster>),
}

/// The cluster that a GeodeRestore asks for.
pub fn new_cluster(restore: &RestoreView, namespace: &str) -> Result<GeodeCluster, Invalid> {
    let refused = |why: &str| Err(Invalid(why.to_owned()));
    let spec = &restore.spec;
    let Some(wanted) = spec.new_cluster.as_deref() else {
        return refused("spec.newCluster is missing");
    };
    let Some(source) = &spec.source else {
        return refused(
            "spec.source is missing: a new cluster has no archive of its own to restore from yet",
        );
    };
    if wanted.archive.is_none() {
        return refused(
            "spec.newCluster.archive is missing: spec.source is read with the endpoint and the credentials given there",
        );
    }
    if wanted.bootstrap.is_some() {
        return refused(
            "spec.newCluster.bootstrap follows from spec.source, spec.target and spec.graphs; leave it out",
        );
    }
    if spec.preview || spec.undo || spec.release {
        return refused("spec.preview, spec.undo and spec.release are of a restore in place; leave them out");
    }
    let target = spec.target.clone().unwrap_or_default();
    let first_data = RestoreSpec {
        source: source.clone(),
        // Who asks for a restore wants no empty graph.
        if_exists: false,
        target_time: target.time,
        target_lsn: target.lsn,
        target_checkpoint: target.checkpoint,
        graphs: spec.graphs.clone(),
    };
    let spec = GeodeClusterSpec {
        bootstrap: Some(BootstrapSpec {
            restore: Some(first_data),
        }),
        ..wanted.clone()
    };
    let mut cluster = GeodeCluster::new(&restore.spec.cluster, spec);
    cluster.metadata.namespace = Some(namespace.to_owned());
    // No owner reference: the cluster outlives the GeodeRestore.
    cluster.metadata.annotations = Some([(ANNOTATION_MADE_BY.to_owned(), restore.uid.clone())].into());
    Ok(cluster)
}

/// Whether the cluster is made now. Volumes that an earlier one left would be taken over instead of a restore, and while its pods run their sidecars
/// still archive.
pub fn plan_new_cluster(
    restore: &RestoreView,
    namespace: &str,
    remains: &Remains,
    defaults: &Defaults,
    now: Timestamp,
) -> NewCluster {
    let name = &restore.spec.cluster;
    match restore.status.phase {
        RestorePhase::Pending => {}
        RestorePhase::Running => {
            let why =
                format!("the GeodeCluster {name} was deleted before it was ready; make another GeodeRestore");
            return NewCluster::Over(ends(restore, Reason::RestoreFailed, why, now));
        }
        _ => return NewCluster::Over(None),
    }
    let wanted = new_cluster(restore, namespace);
    let valid = wanted.and_then(|cluster| validate(&cluster, defaults).map(|_| cluster));
    let cluster = match valid {
        Ok(cluster) => cluster,
        Err(invalid) => return NewCluster::Over(refused_new_cluster(restore, &invalid.to_string(), now)),
    };
    if !remains.going.is_empty() {
        let message = format!(
            "waiting until {} of an earlier GeodeCluster {name} are gone",
            remains.going.join(", ")
        );
        return NewCluster::Waits(waits(restore, Reason::RestoreWaiting, message, now));
    }
    if !remains.staying.is_empty() {
        let message = format!(
            "nothing was made: a new GeodeCluster {name} would take over the volumes {} of an earlier one instead of a restore; delete them, and it goes on",
            remains.staying.join(", ")
        );
        return NewCluster::Waits(waits(restore, Reason::RestoreRefused, message, now));
    }
    NewCluster::Make(Box::new(cluster))
}

/// The status when the cluster cannot be.
pub fn refused_new_cluster(
    restore: &RestoreView,
    why: &str,
    now: Timestamp,
) -> Option<Box<GeodeRestoreStatus>> {
    ends(
        restore,
        Reason::RestoreRefused,
        format!("nothing was made: {why}"),
        now,
    )
}

/// The status when it could not be made this time.
pub fn delayed_new_cluster(
    restore: &RestoreView,
    why: &str,
    now: Timestamp,
) -> Option<Box<GeodeRestoreStatus>> {
    let message = format!("the GeodeCluster {} is not made yet: {why}", restore.spec.cluster);
    waits(restore, Reason::ActionFailed, message, now)
}

/// The status while there is a cluster of this name for which nothing is done, because it is paused or its manifest is not valid.
pub fn held_new_cluster(
    restore: &RestoreView,
    cluster: &GeodeCluster,
    why: &str,
    now: Timestamp,
) -> Option<Box<GeodeRestoreStatus>> {
    let (name, phase) = (&restore.spec.cluster, restore.status.phase);
    let annotations = cluster.metadata.annotations.as_ref();
    let made_by = annotations.and_then(|annotations| annotations.get(ANNOTATION_MADE_BY));
    if made_by != Some(&restore.uid) {
        let (reason, why) = of_another(phase, name)?;
        return ends(restore, reason, why, now);
    }
    if !matches!(phase, RestorePhase::Pending | RestorePhase::Running) {
        return None;
    }
    let message = format!("the GeodeCluster {name} is made; {why}");
    waits(restore, Reason::RestoreWaiting, message, now)
}

/// How a restore ends whose cluster's name is that of a cluster which it did not make; `None` when it has ended.
fn of_another(phase: RestorePhase, name: &str) -> Option<(Reason, String)> {
    match phase {
        RestorePhase::Pending => Some((
            Reason::RestoreRefused,
            format!(
                "nothing was made: the GeodeCluster {name} exists; make another GeodeRestore with a spec.cluster that is free, or without spec.newCluster to restore {name} in place"
            ),
        )),
        RestorePhase::Running => Some((
            Reason::RestoreFailed,
            format!(
                "the GeodeCluster {name} was deleted before it was ready, and another one has its name; make another GeodeRestore"
            ),
        )),
        _ => None,
    }
}

fn ends(
    restore: &RestoreView,
    reason: Reason,
    message: String,
    now: Timestamp,
) -> Option<Box<GeodeRestoreStatus>> {
    let status = failed(restore, message);
    report::told(restore, status, reason, now).map(Box::new)
}

fn waits(
    restore: &RestoreView,
    reason: Reason,
    message: String,
    now: Timestamp,
) -> Option<Box<GeodeRestoreStatus>> {
    let status = GeodeRestoreStatus {
        message: Some(message),
        ..restore.status.clone()
    };
    report::told(restore, status, reason, now).map(Box::new)
}

fn failed(restore: &RestoreView, message: String) -> GeodeRestoreStatus {
    GeodeRestoreStatus {
        phase: RestorePhase::Failed,
        message: Some(message),
        ..restore.status.clone()
    }
}

/// Whether this restore made the cluster.
pub(super) fn is_ours(want: &Want, restore: &RestoreView) -> bool {
    want.made_by.as_deref() == Some(restore.uid.as_str())
}

/// There is a cluster of this name: how far it is, if this restore made it, and a refusal otherwise.
pub(super) fn follow(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    restore: &RestoreView,
    open: &Step,
    now: Timestamp,
) -> Option<Action> {
    match (restore.status.phase, is_ours(want, restore)) {
        (RestorePhase::Completed, _) => None,
        (_, true) => {
            let (status, reason) = progress(want, seen, lead, restore, open, now);
            report::record(restore, status, reason, now)
        }
        (phase, false) => {
            let (reason, why) = of_another(phase, &want.names.cluster)?;
            report::record(restore, failed(restore, why), reason, now)
        }
    }
}

fn progress(
    want: &Want,
    seen: &Observed,
    lead: Option<&Lead<'_>>,
    restore: &RestoreView,
    open: &Step,
    now: Timestamp,
) -> (GeodeRestoreStatus, Reason) {
    let name = &want.names.cluster;
    let mut status = restore.status.clone();
    status.started_at.get_or_insert_with(|| whole_second(now));
    let begun = want.memory.bootstrap.as_ref().map(|bootstrap| bootstrap.method);
    if begun.is_some_and(|method| method != BootstrapMethod::Restore) {
        let why = format!(
            "nothing was restored: the GeodeCluster {name} took over volumes of an earlier one; a GeodeRestore without spec.newCluster restores it in place"
        );
        return (failed(restore, why), Reason::RestoreFailed);
    }
    let exists = want.memory.cluster_id.is_some();
    if !exists && let Some(reason) = bootstrap::restore_failure(want, seen) {
        let why = format!(
            "{reason}; delete the GeodeCluster {name} and its volumes, and make another GeodeRestore"
        );
        return (failed(restore, why), Reason::RestoreFailed);
    }
    report::restored(seen, &want.uid, &mut status);
    if exists && lead.is_some() {
        status.serving_at.get_or_insert_with(|| whole_second(now));
    }
    if matches!(open, Step::Clear) {
        status.phase = RestorePhase::Completed;
        status.completed_at = Some(whole_second(now));
        status.message = Some(format!(
            "the GeodeCluster {name} serves what was restored; it stays when this object is deleted"
        ));
        return (status, Reason::RestoreCompleted);
    }
    report::runs(status, open)
}
