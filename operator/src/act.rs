//! Carries out a plan: every action is idempotent and exact, in order, and the first failure ends the round.

mod backups;
mod exchange;

use crate::certificates::{self, CertificateError, Issued};
use crate::context::{Context, Key};
use crate::kinds::{self, FIELD_MANAGER};
use crate::members::LinkError;
use crate::observe::{CA_CERTIFICATE, CA_KEY, Look, Versioned};
use crate::status;
use geode_api::{LABEL_CLUSTER, LABEL_ROLE};
use geode_planner::{Action, Kind, Object, ObjectKey, Want, build};
use geode_wire::internal::InternalRequest;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions, ValidationDirective};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Characters of a generated password: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// An action failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}: {source}")]
pub struct ActError {
    /// Which.
    pub action: String,
    #[source]
    source: ActFailure,
}

/// Why.
#[derive(Debug, thiserror::Error)]
enum ActFailure {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Member(#[from] LinkError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("an object of this name exists and does not belong to the cluster; rename one of them")]
    Taken,
    #[error("it has changed since it was looked at; the next round looks again")]
    Outdated,
    #[error("the pod has no address")]
    NoAddress,
    #[error("the authority does not exist")]
    NoAuthority,
}

/// One round's hands.
pub struct Hands<'a> {
    /// Client and links.
    pub context: &'a Context,
    /// Which cluster.
    pub key: &'a Key,
    /// What is wanted.
    pub want: &'a Want,
    /// What the plan was made from.
    pub look: &'a Look,
    /// Resource version of the `GeodeCluster` that the plan was made from; decisions are recorded only on top of it.
    pub version: Option<String>,
    /// Resource versions of the objects as this round left them, where it wrote them.
    pub written: BTreeMap<ObjectKey, Option<String>>,
}

impl Hands<'_> {
    /// Does all of them, or up to the first failure. Before the first one it is made sure that the plan was made from the manifest as it is:
    /// an API server that lags behind answers reads with what was true before, and takes writes on top of what is true.
    pub async fn execute(&mut self, actions: &[Action]) -> Result<(), ActError> {
        for (position, action) in actions.iter().enumerate() {
            let described = action.to_string();
            tracing::info!(cluster = %self.key, action = described, "acting");
            // A record is itself made on top of what was read.
            if position == 0 && !matches!(action, Action::Record(_)) {
                let version = self.version.clone();
                let clusters = status::api(&self.context.client, self.key);
                let confirmed = status::confirm(&clusters, &self.key.name, version).await;
                current(confirmed).map_err(|source| ActError {
                    action: described.clone(),
                    source,
                })?;
            }
            self.one(action).await.map_err(|source| ActError {
                action: described,
                source,
            })?;
            self.context
                .metrics
                .actions
                .with_label_values(&[kind(action)])
                .inc();
        }
        Ok(())
    }

    async fn one(&mut self, action: &Action) -> Result<(), ActFailure> {
        match action {
            Action::Record(memory) => {
                self.version =
                    status::record(&self.context.client, self.key, memory, self.version.take()).await?;
                Ok(())
            }
            Action::CreateAuthority => self.create_authority().await,
            Action::IssueCertificates { pods } => self.issue_certificates(pods).await,
            Action::SecureAdmin { owned } => self.secure_admin(*owned).await,
            Action::Apply(object) => self.apply(object).await,
            Action::Delete(key) => {
                let api = kinds::api(&self.context.client, key.kind, &self.key.namespace);
                gone(api.delete(&key.name, &DeleteParams::default()).await.map(drop))
            }
            Action::Scale { group, replicas } => {
                let api = kinds::api(&self.context.client, Kind::StatefulSet, &self.key.namespace);
                // On top of the number that was seen: more than it was may be less than it is.
                let set = self.set(*group);
                let patch = json!({
                    "metadata": { "resourceVersion": self.seen_version(&set) },
                    "spec": { "replicas": replicas },
                });
                current(api.patch(&set.name, &merge(), &Patch::Merge(patch)).await)?;
                Ok(())
            }
            Action::GrowClaim { claim, size } => {
                let patch = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
                self.claims().patch(claim, &merge(), &Patch::Merge(patch)).await?;
                Ok(())
            }
            Action::RestartPod { pod, uid } => self.delete_pod(pod, uid).await,
            Action::ReplaceLostVolume { pod, claims } => self.replace_lost_volume(pod, claims).await,
            Action::SetRole { pod, role } => {
                let patch = json!({ "metadata": { "labels": { LABEL_ROLE: role } } });
                gone(
                    self.pods()
                        .patch_metadata(pod, &merge(), &Patch::Merge(patch))
                        .await
                        .map(drop),
                )
            }
            Action::RemakeSet { group, uid } => self.delete_set(*group, uid).await,
            Action::ReplaceVolumes { claims, .. } => self.delete_claims(claims).await,
            Action::TakeBackup { name } => self.take_backup(name).await,
            Action::RecordBackup { name, status } => self.record_backup(name, status).await,
            Action::StopPods { group, .. } => self.stop_pods(*group).await,
            Action::DeleteSet { group, uid } => self.delete_set(*group, uid).await,
            Action::MarkVolumes { claims, kept_by } => self.mark_volumes(claims, kept_by.as_deref()).await,
            Action::ReleaseVolumes { claims } => self.delete_claims(claims).await,
            Action::RecordRestore { name, status } => self.record_restore(name, status).await,
            _ => self.ask_member(action).await,
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }

    /// Actions that are requests to a member's internal port.
    async fn ask_member(&self, action: &Action) -> Result<(), ActFailure> {
        let (pod, request) = match action {
            Action::Initialize { pod, cluster_id } => (
                pod,
                InternalRequest::Initialize {
                    cluster_id: *cluster_id,
                },
            ),
            Action::FileTask { pod, task } => (pod, InternalRequest::File(task.clone())),
            Action::AddLearner { leader, member } => (
                leader,
                InternalRequest::AddLearner {
                    member: member.clone(),
                },
            ),
            Action::ChangeVoters {
                leader,
                voters,
                expected,
            } => (
                leader,
                InternalRequest::ChangeVoters {
                    voters: voters.clone(),
                    expected: *expected,
                },
            ),
            Action::RemoveLearners {
                leader,
                members,
                expected,
            } => (
                leader,
                InternalRequest::RemoveLearners {
                    members: members.clone(),
                    expected: *expected,
                },
            ),
            Action::TransferLeader { leader, to, .. } => {
                (leader, InternalRequest::TransferLeader { to: Some(*to) })
            }
            Action::Fence { pod, fenced } => (pod, InternalRequest::Fence { fenced: *fenced }),
            _ => return Ok(()),
        };
        let address = self.look.targets.get(pod).ok_or(ActFailure::NoAddress)?;
        let links = self.look.links.as_ref().ok_or(ActFailure::NoAuthority)?;
        links.call(pod, *address, &request).await?;
        Ok(())
    }

    async fn apply(&mut self, object: &Object) -> Result<(), ActFailure> {
        let api = kinds::api(&self.context.client, object.key.kind, &self.key.namespace);
        let seen = self.seen_version(&object.key);
        let version = self
            .write(&api, &object.key.name, seen, object.body.clone())
            .await?;
        self.written.insert(object.key.clone(), version);
        Ok(())
    }

    /// The resource version of an object that exists, as it was seen or as this round left it.
    fn seen_version(&self, key: &ObjectKey) -> Option<String> {
        if let Some(version) = self.written.get(key) {
            return version.clone();
        }
        let live = self.look.observed.objects.get(key)?;
        Some(live.pointer("/metadata/resourceVersion")?.as_str()?.to_owned())
    }

    /// Applies an object on top of the version that was seen, or makes it where none was seen. Returns its new version.
    async fn write<K>(
        &self,
        api: &Api<K>,
        name: &str,
        seen: Option<String>,
        mut body: Value,
    ) -> Result<Option<String>, ActFailure>
    where
        K: Clone + Debug + DeserializeOwned + Serialize + kube::Resource,
    {
        if let Some(version) = seen {
            body["metadata"]["resourceVersion"] = version.into();
        } else {
            // What does not carry our label was not seen, and a list may be old: only an attempt says that there is none.
            let fresh: K =
                serde_json::from_value(body.clone()).expect("invariant: it is an object of its kind");
            let attempt = PostParams {
                dry_run: true,
                field_manager: Some(FIELD_MANAGER.to_owned()),
            };
            match api.create(&attempt, &fresh).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    let found = api.get_metadata_opt(name).await?;
                    let ours =
                        found.is_some_and(|found| found.labels().get(LABEL_CLUSTER) == Some(&self.key.name));
                    return Err(if ours {
                        ActFailure::Outdated
                    } else {
                        ActFailure::Taken
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        let written = current(api.patch(name, &ours(), &Patch::Apply(body)).await)?;
        Ok(written.resource_version())
    }

    /// Created, never applied: an authority that exists is never replaced.
    async fn create_authority(&self) -> Result<(), ActFailure> {
        let issued = certificates::create_authority(&self.key.to_string(), Timestamp::now())?;
        let mut secret = self.secret(&self.want.names.authority(), true);
        secret["type"] = "Opaque".into();
        secret["stringData"] = json!({ CA_CERTIFICATE: issued.certificate, CA_KEY: issued.key });
        let secret: Secret = serde_json::from_value(secret).expect("invariant: it is a Secret");
        match self.secrets().create(&PostParams::default(), &secret).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Issues for these pods, keeps the others' certificates; all anew when the authority is another one.
    async fn issue_certificates(&self, pods: &[String]) -> Result<(), ActFailure> {
        let authority = self.authority().await?;
        let names = &self.want.names;
        let existing = self.secrets().get_opt(&names.tls()).await?;
        if existing
            .as_ref()
            .is_some_and(|secret| secret.labels().get(LABEL_CLUSTER) != Some(&self.key.name))
        {
            return Err(ActFailure::Taken);
        }
        let version = existing.as_ref().and_then(ResourceExt::resource_version);
        let current = existing.and_then(|secret| secret.data).unwrap_or_default();
        let same = current
            .get(CA_CERTIFICATE)
            .is_some_and(|ca| ca.0 == authority.certificate.as_bytes());
        let mut data: BTreeMap<String, ByteString> = if same { current } else { BTreeMap::new() };
        data.retain(|file, _| {
            file == CA_CERTIFICATE
                || file
                    .rsplit_once('.')
                    .is_some_and(|(pod, _)| names.place(pod).is_some())
        });
        for pod in pods {
            let issued =
                certificates::issue_member(&authority, pod, names.certificate_names(pod), Timestamp::now())?;
            data.insert(format!("{pod}.crt"), ByteString(issued.certificate.into_bytes()));
            data.insert(format!("{pod}.key"), ByteString(issued.key.into_bytes()));
        }
        data.insert(
            CA_CERTIFICATE.to_owned(),
            ByteString(authority.certificate.into_bytes()),
        );
        let mut secret = self.secret(&names.tls(), true);
        secret["data"] = json!(data);
        self.write(&self.secrets(), &names.tls(), version, secret)
            .await
            .map(drop)
    }

    /// The authority as it is stored: what was just created, or what somebody else created first.
    async fn authority(&self) -> Result<Issued, ActFailure> {
        let secret = self.secrets().get(&self.want.names.authority()).await?;
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            data.get(key)
                .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
        };
        match (text(CA_CERTIFICATE), text(CA_KEY)) {
            (Some(certificate), Some(key)) => Ok(Issued { certificate, key }),
            _ => Err(CertificateError::Unreadable {
                secret: self.want.names.authority(),
                key: CA_CERTIFICATE.to_owned(),
            }
            .into()),
        }
    }

    /// A password that exists is kept: the volumes know it.
    async fn secure_admin(&self, owned: bool) -> Result<(), ActFailure> {
        let name = self.want.names.admin();
        let existing = self.secrets().get_opt(&name).await?;
        let version = existing.as_ref().and_then(ResourceExt::resource_version);
        let password = existing
            .and_then(|secret| secret.data?.remove("password"))
            .unwrap_or_else(|| {
                let random: Vec<u8> = rand::rng()
                    .sample_iter(Alphanumeric)
                    .take(PASSWORD_LENGTH)
                    .collect();
                ByteString(random)
            });
        let mut secret = self.secret(&name, owned);
        secret["data"] = json!({ "username": ByteString(b"admin".to_vec()), "password": password });
        self.write(&self.secrets(), &name, version, secret)
            .await
            .map(drop)
    }

    fn secret(&self, name: &str, owned: bool) -> Value {
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name, "namespace": self.key.namespace, "labels": build::labels(self.want) },
        });
        if owned {
            secret["metadata"]["ownerReferences"] = json!([build::owner(self.want)]);
        }
        secret
    }

    async fn replace_lost_volume(&self, pod: &str, claims: &[(String, String)]) -> Result<(), ActFailure> {
        self.delete_claims(claims).await?;
        match self.look.observed.pods.get(pod) {
            Some(view) => self.delete_pod(pod, &view.uid).await,
            None => Ok(()),
        }
    }

    async fn delete_pod(&self, pod: &str, uid: &str) -> Result<(), ActFailure> {
        let version = self.look.versions.get(&Versioned::Pod(pod.to_owned()));
        gone(self.pods().delete(pod, &only(uid, version)).await.map(drop))
    }
}

fn ours() -> PatchParams {
    PatchParams {
        force: true,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    }
}

fn merge() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Deletes this very object in this very state: not a younger one of the same name, and not one that has come to itself since.
fn only(uid: &str, version: Option<&String>) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: version.cloned(),
        }),
        ..DeleteParams::default()
    }
}

/// A conflict means that the plan was made from an older state.
fn current<T>(result: Result<T, kube::Error>) -> Result<T, ActFailure> {
    match result {
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(ActFailure::Outdated),
        other => Ok(other?),
    }
}

/// What is gone, has been replaced by a younger one, or has changed is done: the next round looks again.
fn gone(result: Result<(), kube::Error>) -> Result<(), ActFailure> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        other => Ok(other?),
    }
}

/// Name of an action's kind, for metrics and events.
pub fn kind(action: &Action) -> &'static str {
    match action {
        Action::Record(_) => "Record",
        Action::CreateAuthority => "CreateAuthority",
        Action::IssueCertificates { .. } => "IssueCertificates",
        Action::SecureAdmin { .. } => "SecureAdmin",
        Action::Apply(_) => "Apply",
        Action::Delete(_) => "Delete",
        Action::Scale { .. } => "Scale",
        Action::GrowClaim { .. } => "GrowClaim",
        Action::Initialize { .. } => "Initialize",
        Action::FileTask { .. } => "FileTask",
        Action::AddLearner { .. } => "AddLearner",
        Action::ChangeVoters { .. } => "ChangeVoters",
        Action::RemoveLearners { .. } => "RemoveLearners",
        Action::TransferLeader { .. } => "TransferLeader",
        Action::Fence { .. } => "Fence",
        Action::RestartPod { .. } => "RestartPod",
        Action::ReplaceLostVolume { .. } => "ReplaceLostVolume",
        Action::SetRole { .. } => "SetRole",
        Action::TakeBackup { .. } => "TakeBackup",
        Action::RecordBackup { .. } => "RecordBackup",
        Action::RemakeSet { .. } => "RemakeSet",
        Action::ReplaceVolumes { .. } => "ReplaceVolumes",
        Action::StopPods { .. } => "StopPods",
        Action::DeleteSet { .. } => "DeleteSet",
        Action::MarkVolumes { .. } => "MarkVolumes",
        Action::ReleaseVolumes { .. } => "ReleaseVolumes",
        Action::RecordRestore { .. } => "RecordRestore",
    }
}
