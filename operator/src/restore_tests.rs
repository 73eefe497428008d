//! A round for the restore tests of one cluster: read, let the planner decide, write the status, make or delete pods. It is no part of the cluster's own
//! round: a test goes on, and is cleaned up after, also while its cluster is gone or its manifest is refused.

use crate::context::{Context, Key};
use crate::kinds::FIELD_MANAGER;
use crate::rounds::{self, RoundError, reading};
use crate::status;
use geode_api::{
    GeodeBackup, GeodeCluster, GeodeRestoreTest, GeodeRestoreTestStatus, LABEL_RESTORE_TEST,
    LABEL_RESTORE_TEST_OF, Reason, RestoreTestRun,
};
use geode_planner::{
    PodEnd, RecordedHash, RestoreTestDeed, RestoreTestView, TestPod, TestTarget, TestedCluster,
    failed_restore_test_status, keep_restore_test, test_pod, validate,
};
use geode_types::{LogIndex, Lsn};
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PostParams, Preconditions};
use serde_json::json;

/// Fields that a status may take back.
const OPTIONAL: [&str; 6] = [
    "message",
    "run",
    "result",
    "keptPod",
    "lastSuccessTime",
    "nextScheduleTime",
];
/// Fields of a result that the next one may lack.
const OPTIONAL_OF_RESULT: [&str; 12] = [
    "baseLsn",
    "lsn",
    "clusterLsn",
    "newestCommitTime",
    "rtoSeconds",
    "rpoSeconds",
    "nodes",
    "edges",
    "stateHash",
    "hashComparedWith",
    "queries",
    "message",
];

fn failed_to(what: &'static str, test: &str) -> impl FnOnce(kube::Error) -> RoundError {
    rounds::failed_to(what, format!("the restore test {test}"))
}

fn api(context: &Context, key: &Key) -> Api<GeodeRestoreTest> {
    Api::namespaced(context.client.clone(), &key.namespace)
}

fn pods(context: &Context, key: &Key) -> Api<Pod> {
    Api::namespaced(context.client.clone(), &key.namespace)
}

/// Looks after the restore tests of this cluster. Returns when the next of them has to be looked at, or `None` if none has.
pub async fn keep_restore_tests(
    context: &Context,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Timestamp>, RoundError> {
    let list = api(context, key)
        .list(&ListParams::default())
        .await
        .map_err(reading("restore tests"))?;
    let mut ours: Vec<GeodeRestoreTest> = list
        .into_iter()
        .filter(|test| test.spec.cluster == key.name && test.metadata.deletion_timestamp.is_none())
        .collect();
    if ours.is_empty() {
        context.metrics.restore_tests.keep(key, &ours);
        return Ok(None);
    }
    let (target, hashes, pods) = tokio::try_join!(
        read_target(context, key),
        read_hashes(context, key),
        read_pods(context, key)
    )?;
    let seen = Seen { target, hashes, pods };
    let (mut wake, mut failed) = (None, None);
    for test in &mut ours {
        match keep_one(context, key, test, &seen, now).await {
            Ok(next) => wake = [wake, next].into_iter().flatten().min(),
            Err(error) => {
                report_failure(context, key, test, &error, now).await;
                failed = Some(error);
            }
        }
    }
    context.metrics.restore_tests.keep(key, &ours);
    failed.map_or(Ok(wake), Err)
}

/// What the tests of one cluster are decided on.
struct Seen {
    target: TestTarget,
    hashes: Vec<RecordedHash>,
    pods: Vec<Pod>,
}

async fn read_target(context: &Context, key: &Key) -> Result<TestTarget, RoundError> {
    let api: Api<GeodeCluster> = Api::namespaced(context.client.clone(), &key.namespace);
    let cluster = api
        .get_opt(&key.name)
        .await
        .map_err(reading("the GeodeCluster"))?;
    Ok(
        match cluster.filter(|cluster| cluster.metadata.deletion_timestamp.is_none()) {
            None => TestTarget::Missing,
            Some(cluster) => target(context, key, &cluster),
        },
    )
}

fn target(context: &Context, key: &Key, cluster: &GeodeCluster) -> TestTarget {
    let name = &key.name;
    let want = match validate(cluster, &context.defaults) {
        Ok(want) => want,
        Err(invalid) => {
            let why = format!("the manifest of the GeodeCluster {name} is refused: {invalid}");
            return TestTarget::Refused(Reason::RestoreTestWaiting, why);
        }
    };
    let Some(archive) = want.archive else {
        let why = format!("the GeodeCluster {name} has no spec.archive that could be restored");
        return TestTarget::Refused(Reason::ArchiveNotConfigured, why);
    };
    let Some(database) = want.memory.cluster_id else {
        let why = format!("the GeodeCluster {name} has no database yet");
        return TestTarget::Refused(Reason::RestoreTestWaiting, why);
    };
    let members = cluster.status.iter().flat_map(|status| &status.members);
    let applied = members
        .filter_map(|member| u64::try_from(member.applied?).ok())
        .max();
    TestTarget::There(Box::new(TestedCluster {
        name: name.clone(),
        namespace: key.namespace.clone(),
        source: archive.history(database),
        archive,
        image: want.images.server,
        resources: want.resources,
        applied: applied.map(LogIndex),
    }))
}

async fn read_hashes(context: &Context, key: &Key) -> Result<Vec<RecordedHash>, RoundError> {
    let api: Api<GeodeBackup> = Api::namespaced(context.client.clone(), &key.namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(reading("backups"))?;
    let recorded = |backup: GeodeBackup| {
        let name = backup.name_any();
        let status = backup.status?;
        Some(RecordedHash {
            backup: name,
            location: status.location?,
            index: status.lsn?.parse::<Lsn>().ok()?.index,
            hash: status.state_hash.filter(|hash| !hash.is_empty())?,
        })
    };
    let ours = list.into_iter().filter(|backup| backup.spec.cluster == key.name);
    Ok(ours.filter_map(recorded).collect())
}

async fn read_pods(context: &Context, key: &Key) -> Result<Vec<Pod>, RoundError> {
    let selected = ListParams::default().labels(&format!("{LABEL_RESTORE_TEST_OF}={}", key.name));
    let list = pods(context, key)
        .list(&selected)
        .await
        .map_err(reading("pods of restore tests"))?;
    Ok(list.items)
}

/// The pods that this very test made.
fn own_pods<'a>(test: &GeodeRestoreTest, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    let (name, uid) = (test.name_any(), test.uid());
    pods.iter().filter(move |pod| {
        pod.labels().get(LABEL_RESTORE_TEST) == Some(&name)
            && pod
                .owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == uid.as_ref())
    })
}

fn pod_view(pod: &Pod) -> TestPod {
    let status = pod.status.clone().unwrap_or_default();
    let container = status
        .container_statuses
        .as_ref()
        .and_then(|containers| containers.first());
    let state: ContainerState = container
        .and_then(|container| container.state.clone())
        .unwrap_or_default();
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let end = match state.terminated {
        Some(ended) => Some(PodEnd {
            message: ended.message.unwrap_or_default(),
            reason: match (ended.reason.as_deref(), &status.reason) {
                (_, Some(reason)) => reason.clone(),
                (reason, None) => {
                    format!("{} (exit code {})", reason.unwrap_or_default(), ended.exit_code)
                }
            },
        }),
        // Evicted, or its node is gone, before anything ran.
        None if is_over => Some(PodEnd {
            message: status.message.clone().unwrap_or_default(),
            reason: status.reason.clone().unwrap_or_default(),
        }),
        None => None,
    };
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .and_then(|condition| condition.message.clone());
    let waiting = state.waiting.map(|waiting| {
        let reason = waiting.reason.unwrap_or_default();
        waiting
            .message
            .map_or_else(|| reason.clone(), |message| format!("{reason}: {message}"))
    });
    TestPod {
        name: pod.name_any(),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        end,
        waiting: unscheduled.or(waiting),
    }
}

fn view(test: &GeodeRestoreTest) -> RestoreTestView {
    RestoreTestView {
        name: test.name_any(),
        uid: test.uid().unwrap_or_default(),
        generation: test.metadata.generation.unwrap_or_default(),
        created_at: test
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        spec: test.spec.clone(),
        status: test.status.clone().unwrap_or_default(),
    }
}

/// The status first, then pods: an operator that ends in between is followed by one that reads what was decided.
async fn keep_one(
    context: &Context,
    key: &Key,
    test: &mut GeodeRestoreTest,
    seen: &Seen,
    now: Timestamp,
) -> Result<Option<Timestamp>, RoundError> {
    let (view, own) = (view(test), own_pods(test, &seen.pods).collect::<Vec<_>>());
    let views: Vec<TestPod> = own.iter().map(|pod| pod_view(pod)).collect();
    let step = keep_restore_test(&view, &seen.target, &views, &seen.hashes, now);
    if step.status != view.status {
        *test = write_status(context, key, test, &step.status).await?;
    } else if !step.deeds.is_empty() {
        // Not because of what was true before.
        status::confirm(&api(context, key), &view.name, test.resource_version())
            .await
            .map_err(failed_to("read the status", &view.name))?;
    }
    for deed in &step.deeds {
        match (deed, &seen.target) {
            (RestoreTestDeed::Create(run), TestTarget::There(cluster)) => {
                create(context, key, &view, run, cluster).await?;
            }
            // The planner makes pods of clusters that are there.
            (RestoreTestDeed::Create(_), _) => {}
            (RestoreTestDeed::Delete(name), _) => {
                let uid = own
                    .iter()
                    .find(|pod| pod.name_any() == *name)
                    .and_then(|pod| pod.uid());
                delete(context, key, &view.name, name, uid).await?;
            }
        }
    }
    for news in &step.news {
        let reason = news.reason.to_string();
        context
            .event(test, news.warning, &reason, "RestoreTest", &news.note)
            .await;
    }
    Ok(step.wake)
}

async fn create(
    context: &Context,
    key: &Key,
    view: &RestoreTestView,
    run: &RestoreTestRun,
    cluster: &TestedCluster,
) -> Result<(), RoundError> {
    tracing::info!(cluster = %key, test = view.name, pod = run.pod, "making the pod of a restore test");
    let pod: Pod = serde_json::from_value(test_pod(view, run, cluster)).expect("invariant: it is a pod");
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let failed = failed_to("create the pod", &view.name);
    let api = pods(context, key);
    match api.create(&params, &pod).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let found = api.get_metadata_opt(&run.pod).await.map_err(failed)?;
            let ours =
                found.is_some_and(|found| found.owner_references().iter().any(|owner| owner.uid == view.uid));
            ours.then_some(()).ok_or_else(|| {
                RoundError::Taken(format!(
                    "the pod {} belongs to somebody else; delete it, or rename the GeodeRestoreTest",
                    run.pod
                ))
            })
        }
        Err(error) => Err(failed(error)),
    }
}

async fn delete(
    context: &Context,
    key: &Key,
    test: &str,
    name: &str,
    uid: Option<String>,
) -> Result<(), RoundError> {
    tracing::info!(cluster = %key, test, pod = name, "deleting the pod of a restore test");
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match pods(context, key).delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(failed_to("delete a pod", test)(error)),
    }
}

/// Writes a status, provided that nobody has changed the test since it was read.
async fn write_status(
    context: &Context,
    key: &Key,
    test: &GeodeRestoreTest,
    status: &GeodeRestoreTestStatus,
) -> Result<GeodeRestoreTest, RoundError> {
    let mut fields = status::with_absent(json!(status), &OPTIONAL);
    if status.result.is_some() {
        fields["result"] = status::with_absent(fields["result"].take(), &OPTIONAL_OF_RESULT);
    }
    let patch = json!({ "metadata": { "resourceVersion": test.resource_version() }, "status": fields });
    let name = test.name_any();
    api(context, key)
        .patch_status(&name, &status::params(), &Patch::Merge(patch))
        .await
        .map_err(failed_to("write the status", &name))
}

/// A step that was refused is seen at the test as well. Its own failure is not: the step is tried again.
async fn report_failure(
    context: &Context,
    key: &Key,
    test: &GeodeRestoreTest,
    error: &RoundError,
    now: Timestamp,
) {
    let said = error.to_string();
    let status = failed_restore_test_status(&view(test), &said, now);
    if let Err(error) = write_status(context, key, test, &status).await {
        tracing::debug!(cluster = %key, %error, "the failure could not be reported");
    }
    let reason = Reason::ActionFailed.to_string();
    context.event(test, true, &reason, "RestoreTest", &said).await;
}
