//! A cluster on a real API server with members that answer, an operator behind the proxy, and what is left in the end.

use crate::fleet::Fleet;
use crate::fuse::{Fault, Fuse};
use crate::kubernetes::{Kubernetes, Namespaced};
use crate::proxy::Proxy;
use crate::rounds::settings;
use crate::server::{ApiServer, server};
use geode_api::{GeodeBackup, GeodeBackupSchedule, GeodeCluster, GeodeRestore};
use geode_operator::context::{Context, Key};
use geode_operator::reconcile::{Outcome, Round, reconcile};
use geode_planner::{Names, Report};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// More rounds than any way to the goal takes.
const ROUNDS_MAX: usize = 60;
/// Fields that differ from run to run and mean nothing.
const INCIDENTAL: [&str; 20] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "namespace",
    "lastTransitionTime",
    "startedAt",
    "completedAt",
    "clusterIP",
    "clusterIPs",
    "podIP",
    "podIPs",
    "term",
    "applied",
    "lagMs",
    "startTime",
    "qosClass",
    "geodedb.com/applied",
    "nodeId",
    // The identity of a database is made from its manifest's uid.
    "clusterId",
];

/// What a run leaves behind.
pub(crate) struct Left {
    /// Every object, without what differs from run to run.
    pub(crate) objects: BTreeMap<String, Value>,
    /// How often each pod and each volume was made.
    pub(crate) made: BTreeMap<String, u32>,
    /// Databases that were begun.
    pub(crate) begun: u32,
    /// Who votes.
    pub(crate) voters: Vec<String>,
    /// Who belongs to the cluster and does not vote.
    pub(crate) learners: Vec<String>,
}

impl Left {
    /// What differs from another run, a line each.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let names: BTreeSet<&String> = self.objects.keys().chain(other.objects.keys()).collect();
        for name in names {
            compare(name, self.objects.get(name), other.objects.get(name), &mut lines);
        }
        let rest = |left: &Self| {
            format!(
                "made {:?}, begun {}, voters {:?}, learners {:?}",
                left.made, left.begun, left.voters, left.learners
            )
        };
        if rest(self) != rest(other) {
            lines.push(format!("{} instead of {}", rest(self), rest(other)));
        }
        lines
    }
}

fn compare(at: &str, ours: Option<&Value>, theirs: Option<&Value>, lines: &mut Vec<String>) {
    if ours == theirs {
        return;
    }
    match (ours, theirs) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let fields: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for field in fields {
                compare(&format!("{at}/{field}"), left.get(field), right.get(field), lines);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if left.len() == right.len() => {
            for (index, pair) in left.iter().zip(right).enumerate() {
                compare(&format!("{at}/{index}"), Some(pair.0), Some(pair.1), lines);
            }
        }
        _ => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            lines.push(format!("{at}: {} instead of {}", text(ours), text(theirs)));
        }
    }
}

/// The API server and clients to it, for all runs of one test.
#[derive(Clone)]
pub(crate) struct Place {
    server: Arc<ApiServer>,
    admin: Client,
    operator: Client,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let server = server().await;
        Self {
            admin: server.admin().await,
            operator: server.operator().await,
            server,
        }
    }
}

pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) key: Key,
    pub(crate) fuse: Arc<Fuse>,
    pub(crate) fleet: Fleet,
    pub(crate) proxy: Proxy,
    pub(crate) kubernetes: Kubernetes,
}

impl Stage {
    /// Nothing was applied yet.
    pub(crate) async fn empty(place: &Place) -> Self {
        let key = Key {
            namespace: place.server.namespace().await,
            name: "a".into(),
        };
        let names = Names {
            namespace: key.namespace.clone(),
            cluster: key.name.clone(),
        };
        let fuse = Arc::new(Fuse::new());
        let fleet = Fleet::new(names, fuse.clone());
        Self {
            proxy: Proxy::start(place.operator.clone(), fuse.clone()).await,
            kubernetes: Kubernetes::new(place.admin.clone(), &key.namespace, fleet.clone()),
            place: place.clone(),
            key,
            fuse,
            fleet,
        }
    }

    /// A manifest that was just applied.
    pub(crate) async fn new(place: &Place, spec: Value) -> Self {
        let stage = Self::empty(place).await;
        let cluster: GeodeCluster = serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"}, "spec": spec,
        }))
        .unwrap();
        stage
            .api()
            .create(&PostParams::default(), &cluster)
            .await
            .unwrap();
        stage
    }

    /// A cluster at its goal.
    pub(crate) async fn settled(place: &Place, spec: Value) -> Self {
        let mut stage = Self::new(place, spec).await;
        stage.settle().await;
        stage.fuse.set(None);
        stage
    }

    pub(crate) fn api<K: Namespaced>(&self) -> Api<K> {
        self.kubernetes.api()
    }

    /// A way of its own to the API server, for another operator.
    pub(crate) async fn another_way(&self) -> (Proxy, Arc<Fuse>) {
        let fuse = Arc::new(Fuse::new());
        (
            Proxy::start(self.place.operator.clone(), fuse.clone()).await,
            fuse,
        )
    }

    /// The same with all rights.
    pub(crate) async fn another_way_as_admin(&self) -> (Proxy, Arc<Fuse>) {
        let fuse = Arc::new(Fuse::new());
        (Proxy::start(self.place.admin.clone(), fuse.clone()).await, fuse)
    }

    /// For what only a person does.
    pub(crate) fn admin(&self) -> Client {
        self.place.admin.clone()
    }

    /// A new process of the operator.
    pub(crate) fn operator(&self) -> Context {
        Context::new(self.proxy.client(), &settings())
    }

    /// A round. `None`: the operator ended in it. `Err`: Kubernetes could not be read, or the status not be written.
    pub(crate) async fn round(&self, operator: &Context) -> Option<Result<Outcome, String>> {
        tokio::select! {
            biased;
            () = self.fuse.burnt() => None,
            outcome = reconcile(operator, &self.key) => Some(outcome.map_err(|error| error.to_string())),
        }
    }

    /// Rounds until the goal is reached; an operator that ends has a successor.
    pub(crate) async fn settle(&mut self) {
        self.settle_and(async |_: &mut Self| {}).await;
    }

    /// The same, with something to do after each round.
    pub(crate) async fn settle_and(&mut self, mut after_round: impl AsyncFnMut(&mut Self)) {
        let mut operator = self.operator();
        let mut last = String::new();
        for _ in 0..ROUNDS_MAX {
            let outcome = self.round(&operator).await;
            after_round(self).await;
            match outcome {
                None => {
                    self.fuse.succeed();
                    operator = self.operator();
                }
                Some(Ok(Outcome::Round(round))) if is_at_goal(&round) => return,
                Some(Ok(Outcome::Round(round))) => {
                    last = format!("{:?} {:?}", round.plan.progress, round.report);
                }
                Some(Ok(Outcome::Gone | Outcome::Refused)) => panic!("the manifest is there"),
                Some(Err(error)) => last = error,
            }
            self.kubernetes.step().await;
        }
        panic!("not at the goal after {ROUNDS_MAX} rounds: {last}");
    }

    /// Pod that leads, as the status says.
    pub(crate) async fn leader(&self) -> String {
        let cluster = self.api::<GeodeCluster>().get("a").await.unwrap();
        cluster.status.unwrap().leader.unwrap()
    }

    /// Changes the manifest.
    pub(crate) async fn change(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api::<GeodeCluster>()
            .patch("a", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) fn fail(&self, fault: Option<(usize, Fault)>) {
        self.fuse.set(fault);
    }

    /// Everything there is.
    pub(crate) async fn left(&self) -> Left {
        let mut objects = BTreeMap::new();
        self.collect::<GeodeCluster>(&mut objects).await;
        self.collect::<GeodeBackup>(&mut objects).await;
        self.collect::<GeodeBackupSchedule>(&mut objects).await;
        self.collect::<GeodeRestore>(&mut objects).await;
        self.collect::<ConfigMap>(&mut objects).await;
        self.collect::<Secret>(&mut objects).await;
        self.collect::<Service>(&mut objects).await;
        self.collect::<ServiceAccount>(&mut objects).await;
        self.collect::<PodDisruptionBudget>(&mut objects).await;
        self.collect::<StatefulSet>(&mut objects).await;
        self.collect::<PersistentVolumeClaim>(&mut objects).await;
        self.collect::<Pod>(&mut objects).await;
        Left {
            objects,
            made: self.kubernetes.made.clone(),
            begun: self.fleet.begun(),
            voters: self.fleet.voters(),
            learners: self.fleet.learners(),
        }
    }

    async fn collect<K: Namespaced + Serialize>(&self, objects: &mut BTreeMap<String, Value>) {
        for object in self.api::<K>().list(&ListParams::default()).await.unwrap() {
            let name = format!("{} {}", K::kind(&()), object.name_any());
            let mut value = json!(object);
            strip(&mut value);
            if K::kind(&()) == "Secret" {
                let files = value["data"].as_object_mut().into_iter().flatten();
                files.for_each(|(_, content)| *content = "secret".into());
            }
            let text = value.to_string().replace(&self.key.namespace, "NAMESPACE");
            objects.insert(name, serde_json::from_str(&text).unwrap());
        }
    }
}

/// Nothing is left to do, and everybody is told so.
pub(crate) fn is_at_goal(round: &Round) -> bool {
    let ready = round.status.conditions.iter();
    round.report == Report::Done
        && round.plan.actions.is_empty()
        && round.plan.is_settled()
        && ready
            .clone()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !INCIDENTAL.contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
