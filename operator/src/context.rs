//! What every round needs: the client, the defaults, the links to members, where events and metrics go.

use crate::act;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::settings::Run;
use geode_api::GeodeCluster;
use geode_planner::{Action, Defaults};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use std::fmt;
use tokio::sync::Semaphore;

/// Rounds that run at the same time; more wait, so that a fleet does not flood the API server.
const ROUNDS_AT_A_TIME: usize = 16;
/// Longest note that the events API takes, bytes.
const NOTE_BYTES_MAX: usize = 1_000;

/// Namespace and name of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What every round needs.
pub struct Context {
    /// Kubernetes.
    pub client: Client,
    /// Where a manifest is silent.
    pub defaults: Defaults,
    /// Namespaces to look after; empty for all.
    pub namespaces: Vec<String>,
    /// Links to members.
    pub members: Members,
    /// Metrics.
    pub metrics: Metrics,
    /// Limits rounds.
    pub rounds: Semaphore,
    recorder: Recorder,
}

impl Context {
    /// From settings.
    pub fn new(client: Client, run: &Run) -> Self {
        let reporter = Reporter {
            controller: "geode-operator".to_owned(),
            instance: Some(run.identity.clone()),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            defaults: run.defaults(),
            namespaces: run.namespaces(),
            members: Members::default(),
            metrics: Metrics::new(),
            rounds: Semaphore::new(ROUNDS_AT_A_TIME),
        }
    }

    /// Publishes an event about an object; equal ones are counted, not repeated. A failure is logged: events are a courtesy.
    pub async fn event(
        &self,
        about: &impl kube::Resource<DynamicType = ()>,
        warning: bool,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        self.publish(&about.object_ref(&()), event).await;
    }

    /// Publishes that an action was done. One that ends a pod names it apart: the order of restarts is told pod by pod.
    pub async fn acted(&self, cluster: &GeodeCluster, reason: &str, action: &Action) {
        let about = cluster.object_ref(&());
        let pod = action.ends().map(|pod| ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.to_owned()),
            namespace: about.namespace.clone(),
            ..ObjectReference::default()
        });
        let event = Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: Some(action.to_string()),
            action: act::kind(action).to_owned(),
            secondary: pod,
        };
        self.publish(&about, event).await;
    }

    async fn publish(&self, about: &ObjectReference, mut event: Event) {
        if let Some(note) = &mut event.note {
            note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX));
        }
        if let Err(error) = self.recorder.publish(&event, about).await {
            tracing::warn!(%error, "an event could not be published");
        }
    }
}
