//! The operator's rounds, with its own rights and no pods (there is no kubelet): everything up to the point where it waits for them.

use crate::server::{ApiServer, server};
use geode_api::{GeodeBackup, GeodeCluster};
use geode_operator::context::{Context, Key};
use geode_operator::reconcile::{Outcome, Round, reconcile};
use geode_operator::settings::{Command, Run, Settings};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

pub(crate) fn settings() -> Run {
    use clap::Parser;
    match Settings::parse_from(["geode-operator", "run"]).command {
        Command::Run(run) => run,
        Command::Crds => unreachable!("run was asked for"),
    }
}

struct World {
    server: std::sync::Arc<ApiServer>,
    context: Context,
    key: Key,
}

impl World {
    async fn new(spec: Value) -> Self {
        let server = server().await;
        let namespace = server.namespace().await;
        let context = Context::new(server.operator().await, &settings());
        let world = Self {
            server,
            context,
            key: Key {
                namespace,
                name: "a".into(),
            },
        };
        let cluster: GeodeCluster = serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"}, "spec": spec,
        }))
        .unwrap();
        world
            .api::<GeodeCluster>(&world.server.admin().await)
            .create(&PostParams::default(), &cluster)
            .await
            .unwrap();
        world
    }

    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(client.clone(), &self.key.namespace)
    }

    async fn round(&self) -> Round {
        match reconcile(&self.context, &self.key).await.unwrap() {
            Outcome::Round(round) => *round,
            Outcome::Gone | Outcome::Refused => panic!("a round was expected"),
        }
    }

    async fn cluster(&self) -> GeodeCluster {
        self.api(&self.server.admin().await).get("a").await.unwrap()
    }

    /// Resource versions of everything that the operator made, and of the cluster.
    async fn versions(&self) -> BTreeMap<String, String> {
        let client = self.server.admin().await;
        let mut versions = BTreeMap::new();
        self.collect::<ConfigMap>(&client, &mut versions).await;
        self.collect::<Secret>(&client, &mut versions).await;
        self.collect::<Service>(&client, &mut versions).await;
        self.collect::<ServiceAccount>(&client, &mut versions).await;
        self.collect::<PodDisruptionBudget>(&client, &mut versions).await;
        self.collect::<StatefulSet>(&client, &mut versions).await;
        self.collect::<GeodeCluster>(&client, &mut versions).await;
        versions
    }

    async fn collect<K>(&self, client: &Client, versions: &mut BTreeMap<String, String>)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        for object in self.api::<K>(client).list(&ListParams::default()).await.unwrap() {
            let name = format!("{} {}", K::kind(&()), object.name_any());
            versions.insert(name, object.resource_version().unwrap());
        }
    }
}

#[tokio::test]
async fn everything_is_made_with_the_charts_rights_and_a_second_round_changes_nothing() {
    let full = json!({
        "members": 3, "observers": {"replicas": 2}, "storage": {"size": "1024Mi"}, "resources": {"requests": {"cpu": "1000m"}},
        "archive": {"s3": {"bucket": "b", "credentials": {"secretName": "keys"}}}, "services": {"read": {"type": "NodePort"}},
    });
    for spec in [json!({}), full] {
        let world = World::new(spec.clone()).await;
        let first = world.round().await;
        assert_eq!(first.report, geode_planner::Report::Done, "{spec}");
        // Kubernetes normalises quantities of volume templates once; after that nothing differs.
        world.round().await;
        let before = world.versions().await;
        for expected in [
            "Secret a-ca",
            "Secret a-tls",
            "Secret a-admin",
            "ConfigMap a-config",
            "Service a",
            "Service a-peers",
            "Service a-read",
            "StatefulSet a",
        ] {
            assert!(before.contains_key(expected), "{expected} is missing: {before:?}");
        }
        for observers in ["Service a-observers", "StatefulSet a-observer"] {
            let wanted = spec.get("observers").is_some();
            assert_eq!(before.contains_key(observers), wanted, "{observers}: {before:?}");
        }
        let again = world.round().await;
        assert!(
            again.plan.actions.is_empty(),
            "{:?}",
            again
                .plan
                .actions
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        );
        assert_eq!(world.versions().await, before, "{spec}");
    }
}

#[tokio::test]
async fn a_newer_operator_leaves_what_shapes_pods_alone() {
    let mut world = World::new(json!({})).await;
    world.round().await;
    world.round().await;
    let before = world.versions().await;
    world.context.defaults.release = "9.9.9".into();
    world.context.defaults.server_image = "geodedb/geode:9.9.9".into();
    world.round().await;
    let after = world.versions().await;
    for kept in ["StatefulSet a", "ConfigMap a-config"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    assert_eq!(
        world.cluster().await.status.unwrap().images.unwrap().server,
        settings().geode_image
    );
}

#[tokio::test]
async fn drift_is_taken_back() {
    let world = World::new(json!({})).await;
    world.round().await;
    let services: Api<Service> = world.api(&world.server.admin().await);
    let patch = json!({"spec": {"selector": {"geodedb.com/role": "follower"}}});
    services
        .patch("a", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    world.round().await;
    let selector = services.get("a").await.unwrap().spec.unwrap().selector.unwrap();
    assert_eq!(selector["geodedb.com/role"], "leader");
}

#[tokio::test]
async fn a_strangers_object_is_never_taken_over() {
    let world = World::new(json!({})).await;
    let admin = world.server.admin().await;
    let stranger =
        serde_json::from_value(json!({"metadata": {"name": "a-config"}, "data": {"mine": "yes"}})).unwrap();
    world
        .api::<ConfigMap>(&admin)
        .create(&PostParams::default(), &stranger)
        .await
        .unwrap();
    let round = world.round().await;
    assert!(
        matches!(&round.report, geode_planner::Report::Failed(said) if said.contains("does not belong to the cluster")),
        "{:?}",
        round.report
    );
    assert_eq!(
        world
            .api::<ConfigMap>(&admin)
            .get("a-config")
            .await
            .unwrap()
            .data
            .unwrap()["mine"],
        "yes"
    );
    let condition = world.cluster().await.status.unwrap().conditions.remove(0);
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "ActionFailed")
    );
}

#[tokio::test]
async fn an_unknown_config_key_stalls_with_the_nearest_right_name() {
    let world = World::new(json!({"config": {"sever": {"listen": "x"}}})).await;
    assert!(matches!(
        reconcile(&world.context, &world.key).await.unwrap(),
        Outcome::Refused
    ));
    let status = world.cluster().await.status.unwrap();
    let stalled = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled")
        .unwrap();
    assert_eq!(
        (stalled.status.as_str(), stalled.reason.as_str()),
        ("True", "InvalidSpec")
    );
    assert!(
        stalled.message.contains("did you mean server"),
        "{}",
        stalled.message
    );
    assert!(!world.versions().await.contains_key("StatefulSet a"));
}

#[tokio::test]
async fn the_admins_password_outlives_the_cluster_and_is_kept() {
    let world = World::new(json!({})).await;
    world.round().await;
    let secrets: Api<Secret> = world.api(&world.server.admin().await);
    let admin = secrets.get("a-admin").await.unwrap();
    assert!(
        admin.owner_references().is_empty(),
        "deleted with the cluster although its volumes stay"
    );
    assert!(!secrets.get("a-tls").await.unwrap().owner_references().is_empty());
    world.round().await;
    assert_eq!(secrets.get("a-admin").await.unwrap().data, admin.data);
}

#[tokio::test]
async fn a_backup_of_no_cluster_waits_and_says_so() {
    let mut world = World::new(json!({})).await;
    world.key.name = "nobody".into();
    let backups: Api<GeodeBackup> = world.api(&world.server.admin().await);
    let backup = serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeBackup", "metadata": {"name": "b"}, "spec": {"cluster": "nobody"},
    }))
    .unwrap();
    backups.create(&PostParams::default(), &backup).await.unwrap();
    assert!(matches!(
        reconcile(&world.context, &world.key).await.unwrap(),
        Outcome::Gone
    ));
    let status = backups.get("b").await.unwrap().status.unwrap();
    assert!(status.message.unwrap().contains("no GeodeCluster nobody"));
}

#[tokio::test]
async fn of_two_operators_one_holds_the_lease_until_it_gives_it_back() {
    let server = server().await;
    let namespace = server.namespace().await;
    let lease =
        |identity: &str, client: Client| geode_operator::lease::Lease::new(client, &namespace, identity);
    let (first, second) = (
        lease("one", server.admin().await),
        lease("two", server.admin().await),
    );
    first.acquire().await;
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(5), second.acquire()).await;
    assert!(waiting.is_err(), "both hold it");
    first.release().await;
    tokio::time::timeout(std::time::Duration::from_secs(60), second.acquire())
        .await
        .expect("it was given back");
}
