//! Watches, and one actor a cluster. Watches carry only keys; an actor runs a round when it is woken, when time is up, or when its members
//! say something new: it asks them in between, because no watch reports an election.

use crate::context::{Context, Key};
use crate::lease::{Lease, LeaseLost};
use crate::observe::is_cordoned;
use crate::reconcile::{Outcome, Round, reconcile};
use crate::restore_tests::keep_restore_tests;
use crate::rounds::RoundError;
use crate::schedules::keep_schedules;
use futures::stream::{BoxStream, select_all};
use futures::{Stream, StreamExt};
use geode_api::{
    GeodeBackup, GeodeBackupSchedule, GeodeCluster, GeodeRestore, GeodeRestoreTest, LABEL_CLUSTER,
    LABEL_RESTORE_TEST_OF,
};
use geode_planner::Progress;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, Node, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// Events within this time lead to one round.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How often members are asked while all is well.
const PULSE: Duration = Duration::from_secs(1);
/// How often they are asked while nobody leads or something is under way.
const PULSE_WHILE_CHANGING: Duration = Duration::from_millis(300);
/// Counters in the status are at most this old.
const COUNTERS: Duration = Duration::from_secs(2);
/// First and longest pause after failures.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// An object that was refused is looked at again after this time even if nobody changes it.
const WHILE_REFUSED: Duration = Duration::from_secs(300);
/// Schedules and restore tests whose round failed are looked at again.
const SCHEDULES_AGAIN: Duration = Duration::from_secs(5);
/// Rounds may end within this time at a shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// The watches ended; they never should.
#[derive(Debug, thiserror::Error)]
#[error("all watches have ended")]
pub struct WatchesEnded;

/// What a watch says: this cluster may need a round. With an identity, only if that is new.
struct Signal {
    key: Key,
    identity: Option<(String, String, Option<i64>)>,
}

/// Runs until `shutdown`.
pub async fn run(context: Arc<Context>, mut shutdown: watch::Receiver<bool>) -> Result<(), WatchesEnded> {
    let mut signals = select_all(watches(&context));
    let mut cordons = cordons(&context);
    let mut actors: HashMap<Key, Actor> = HashMap::new();
    let mut identities: HashMap<(Key, String), (String, Option<i64>)> = HashMap::new();
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal.ok_or(WatchesEnded)?,
            Some(()) = cordons.next() => {
                for actor in actors.values() {
                    actor.wake.notify_one();
                }
                continue;
            }
            _ = shutdown.changed() => break,
        };
        if let Some((kind_and_name, uid, generation)) = signal.identity {
            let identity = (uid, generation);
            // Our own status writes are no news.
            if identities.insert((signal.key.clone(), kind_and_name), identity.clone()) == Some(identity) {
                continue;
            }
        }
        actors.retain(|_, actor| !actor.task.is_finished());
        let actor = actors
            .entry(signal.key.clone())
            .or_insert_with(|| Actor::start(&context, &signal.key, &shutdown));
        actor.wake.notify_one();
        context
            .metrics
            .clusters
            .set(i64::try_from(actors.len()).unwrap_or(i64::MAX));
    }
    let ended = futures::future::join_all(actors.values_mut().map(|actor| &mut actor.task));
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("rounds are still running; they are repeated by the next operator");
    }
    Ok(())
}

fn watches(context: &Context) -> Vec<BoxStream<'static, Signal>> {
    let namespaces: Vec<Option<String>> = if context.namespaces.is_empty() {
        vec![None]
    } else {
        context.namespaces.iter().cloned().map(Some).collect()
    };
    let mut streams: Vec<BoxStream<'static, Signal>> = Vec::new();
    for namespace in &namespaces {
        let namespace = namespace.as_deref();
        let clusters = watcher(
            api::<PartialObjectMeta<GeodeCluster>>(context, namespace),
            watcher::Config::default(),
        );
        streams.push(signals(
            clusters.default_backoff().touched_objects(),
            "clusters",
            |object| {
                let identity = ("cluster".to_owned(), object.uid()?, object.metadata.generation);
                Some(Signal {
                    key: Key {
                        namespace: object.namespace()?,
                        name: object.name_any(),
                    },
                    identity: Some(identity),
                })
            },
        ));
        streams.push(orders::<GeodeBackup>(context, namespace, "backups", |backup| {
            &backup.spec.cluster
        }));
        streams.push(orders::<GeodeBackupSchedule>(
            context,
            namespace,
            "schedules",
            |schedule| &schedule.spec.cluster,
        ));
        streams.push(orders::<GeodeRestore>(
            context,
            namespace,
            "restores",
            |restore| &restore.spec.cluster,
        ));
        streams.push(orders::<GeodeRestoreTest>(
            context,
            namespace,
            "restore tests",
            |test| &test.spec.cluster,
        ));
        streams.push(labelled::<Pod>(context, namespace, LABEL_RESTORE_TEST_OF));
        streams.push(parts::<Pod>(context, namespace));
        streams.push(parts::<StatefulSet>(context, namespace));
        streams.push(parts::<PersistentVolumeClaim>(context, namespace));
        streams.push(parts::<Secret>(context, namespace));
        streams.push(parts::<ConfigMap>(context, namespace));
        streams.push(parts::<Service>(context, namespace));
        streams.push(parts::<ServiceAccount>(context, namespace));
        streams.push(parts::<PodDisruptionBudget>(context, namespace));
    }
    streams
}

/// A node takes no new pods, or takes some again. Which clusters are on it, each one's round finds out.
fn cordons(context: &Context) -> BoxStream<'static, ()> {
    let stream = watcher(
        Api::<Node>::all(context.client.clone()),
        watcher::Config::default(),
    );
    let mut known: HashMap<String, bool> = HashMap::new();
    let stream = stream
        .default_backoff()
        .touched_objects()
        .filter_map(move |item| {
            let news = match item {
                Ok(node) => {
                    let cordoned = is_cordoned(&node);
                    known.insert(node.name_any(), cordoned).unwrap_or(false) != cordoned
                }
                Err(error) => {
                    tracing::debug!(%error, "nodes are not watched");
                    false
                }
            };
            futures::future::ready(news.then_some(()))
        });
    stream.boxed()
}

fn api<K>(context: &Context, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    }
}

/// Changes of what users ask of a cluster that its spec names.
fn orders<K>(
    context: &Context,
    namespace: Option<&str>,
    what: &'static str,
    cluster: fn(&K) -> &str,
) -> BoxStream<'static, Signal>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    let stream = watcher(api::<K>(context, namespace), watcher::Config::default());
    signals(stream.default_backoff().touched_objects(), what, move |object| {
        let named = format!("{what} {}", object.name_any());
        let identity = (named, object.uid()?, object.meta().generation);
        Some(Signal {
            key: Key {
                namespace: object.namespace()?,
                name: cluster(object).to_owned(),
            },
            identity: Some(identity),
        })
    })
}

/// Changes of objects that belong to a cluster.
fn parts<K>(context: &Context, namespace: Option<&str>) -> BoxStream<'static, Signal>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    labelled::<K>(context, namespace, LABEL_CLUSTER)
}

/// Changes of objects with a label that names a cluster.
fn labelled<K>(context: &Context, namespace: Option<&str>, label: &'static str) -> BoxStream<'static, Signal>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    let stream = watcher(
        api::<PartialObjectMeta<K>>(context, namespace),
        watcher::Config::default().labels(label),
    );
    signals(
        stream.default_backoff().touched_objects(),
        "objects of clusters",
        move |object| {
            let name = object.labels().get(label)?.clone();
            Some(Signal {
                key: Key {
                    namespace: object.namespace()?,
                    name,
                },
                identity: None,
            })
        },
    )
}

fn signals<K: Send + 'static>(
    stream: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
    what: &'static str,
    signal: impl Fn(&K) -> Option<Signal> + Send + Sync + 'static,
) -> BoxStream<'static, Signal> {
    let stream = stream.filter_map(move |item| {
        let signal = match item {
            Ok(object) => signal(&object),
            Err(error) => {
                tracing::warn!(%error, what, "a watch broke; it is started again");
                None
            }
        };
        futures::future::ready(signal)
    });
    stream.boxed()
}

/// Why an active operator ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It hears of nothing any more.
    #[error("watch Kubernetes: {0}")]
    Watches(#[from] WatchesEnded),
    /// It must not write any more.
    #[error("another operator may be active now: {0}")]
    Lease(#[from] LeaseLost),
}

/// Runs until `shutdown`, and not longer than the Lease is held: with it every round ends where it stands.
pub async fn run_while_held(
    lease: &Lease,
    context: Arc<Context>,
    shutdown: watch::Receiver<bool>,
) -> Result<(), Ended> {
    tokio::select! {
        result = run(context, shutdown) => Ok(result?),
        lost = lease.keep() => Err(lost.into()),
    }
}

/// One cluster's worker. It ends with the driver.
struct Actor {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Actor {
    fn start(context: &Arc<Context>, key: &Key, shutdown: &watch::Receiver<bool>) -> Self {
        let wake = Arc::new(Notify::new());
        let task = tokio::spawn(work(context.clone(), key.clone(), wake.clone(), shutdown.clone()));
        Self { wake, task }
    }
}

async fn work(context: Arc<Context>, key: Key, wake: Arc<Notify>, mut shutdown: watch::Receiver<bool>) {
    let mut failures = 0;
    wake.notified().await;
    while !*shutdown.borrow() {
        let outcome = one_round(&context, &key).await;
        let schedules = look_after(&context, &key, "schedules", |now| {
            keep_schedules(&context, &key, now)
        })
        .await;
        let tests = look_after(&context, &key, "restore tests", |now| {
            keep_restore_tests(&context, &key, now)
        })
        .await;
        let due = [schedules, tests].into_iter().flatten().min();
        let at_most = |longest: Duration| due.map_or(longest, |due| due.min(longest));
        let pause = async {
            match outcome {
                Some(Outcome::Gone) => match due {
                    None => return false,
                    Some(due) => woken(&wake, due).await,
                },
                Some(Outcome::Refused) => woken(&wake, at_most(WHILE_REFUSED)).await,
                Some(Outcome::Round(mut round)) => {
                    failures = 0;
                    round.next = at_most(round.next);
                    between_rounds(&context, &key, &wake, *round).await;
                }
                None => {
                    failures += 1;
                    let pause = BACKOFF.0.saturating_mul(1 << failures.min(5)).min(BACKOFF.1);
                    woken(&wake, at_most(pause)).await;
                }
            }
            true
        };
        let go_on = tokio::select! {
            go_on = pause => go_on,
            _ = shutdown.changed() => false,
        };
        if !go_on {
            break;
        }
    }
    context.members.forget(&key);
}

async fn one_round(context: &Context, key: &Key) -> Option<Outcome> {
    let _turn = context.rounds.acquire().await.ok()?;
    let timer = context.metrics.seconds.start_timer();
    let result = reconcile(context, key).await;
    timer.observe_duration();
    match result {
        Ok(outcome) => {
            context.metrics.rounds.with_label_values(&["ok"]).inc();
            Some(outcome)
        }
        Err(error) => {
            context.metrics.rounds.with_label_values(&["failed"]).inc();
            tracing::warn!(cluster = %key, %error, "the round failed; it is repeated");
            None
        }
    }
}

/// Lets what belongs to the cluster be looked after; how long until something of it has to be looked at again, `None` if nothing has.
async fn look_after<F>(
    context: &Context,
    key: &Key,
    what: &str,
    keep: impl FnOnce(Timestamp) -> F,
) -> Option<Duration>
where
    F: Future<Output = Result<Option<Timestamp>, RoundError>>,
{
    let _turn = context.rounds.acquire().await.ok()?;
    match keep(Timestamp::now()).await {
        Ok(wake) => wake.map(until),
        Err(error) => {
            context.metrics.rounds.with_label_values(&["failed"]).inc();
            tracing::warn!(cluster = %key, %error, "a round of {what} failed; it is repeated");
            Some(SCHEDULES_AGAIN)
        }
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}

/// Waits for a signal, at most this long.
async fn woken(wake: &Notify, longest: Duration) {
    tokio::select! {
        () = wake.notified() => sleep(DEBOUNCE).await,
        () = sleep(longest) => {}
    }
}

/// Waits for a signal, for the time of the next round, or for news from the members; meanwhile keeps the counters fresh.
async fn between_rounds(context: &Context, key: &Key, wake: &Notify, mut round: Round) {
    let due = Instant::now() + round.next;
    let mut counters_due = Instant::now() + COUNTERS;
    let rests = matches!(round.plan.progress, Progress::Resting(..));
    let calm = round.plan.is_settled() && (rests || round.status.leader.is_some());
    let pulse = if calm { PULSE } else { PULSE_WHILE_CHANGING };
    loop {
        tokio::select! {
            () = wake.notified() => {
                sleep(DEBOUNCE).await;
                return;
            }
            () = sleep_until(due) => return,
            () = sleep(pulse) => {}
        }
        let Some(links) = round.look.links.clone() else {
            continue;
        };
        let members = links.poll(&round.look.targets).await;
        if round.is_news(&members) {
            return;
        }
        if Instant::now() >= counters_due {
            counters_due = Instant::now() + COUNTERS;
            if let Err(error) = round.refresh(context, key, members).await {
                tracing::debug!(cluster = %key, %error, "the counters could not be reported");
                return;
            }
        }
    }
}
