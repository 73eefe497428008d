//! Which of several operators is active: the holder of a Lease. It is fenced by the resource version, kept by renewing it, and given back on a
//! shutdown so that the next one need not wait. An operator that cannot renew in time ends itself before another one takes over.

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::api::{Api, PostParams};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const NAME: &str = "geode-operator";
/// Others wait this long after the last renewal.
const DURATION_SECONDS: i32 = 15;
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// The holder gives up after this time without a renewal, well before the others may begin.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_secs(2);

/// A Lease that is wanted or held.
pub struct Lease {
    api: Api<LeaseObject>,
    identity: String,
}

/// The Lease was lost.
#[derive(Debug, thiserror::Error)]
pub enum LeaseLost {
    /// Somebody else holds it.
    #[error("{0} holds the lease")]
    Taken(String),
    /// It could not be renewed for too long.
    #[error("the lease could not be renewed for {GIVE_UP_AFTER:?}: {0}")]
    NotRenewed(String),
}

/// What an attempt found.
enum Attempt {
    Held,
    HeldBy(String),
}

impl Lease {
    /// The Lease in this namespace.
    pub fn new(client: Client, namespace: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity: identity.to_owned(),
        }
    }

    /// Returns when we hold it.
    pub async fn acquire(&self) {
        loop {
            match self.attempt().await {
                Ok(Attempt::Held) => return,
                Ok(Attempt::HeldBy(holder)) => tracing::debug!(holder, "another operator is active"),
                Err(error) => tracing::warn!(%error, "the lease could not be asked for"),
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Renews it; returns when it is lost.
    pub async fn keep(&self) -> LeaseLost {
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW_EVERY).await;
            let attempt =
                tokio::time::timeout(GIVE_UP_AFTER.saturating_sub(renewed.elapsed()), self.attempt()).await;
            let reason = match attempt {
                Ok(Ok(Attempt::Held)) => {
                    renewed = Instant::now();
                    continue;
                }
                Ok(Ok(Attempt::HeldBy(holder))) => return LeaseLost::Taken(holder),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer from the API server".to_owned(),
            };
            tracing::warn!(reason, "the lease could not be renewed");
            if renewed.elapsed() >= GIVE_UP_AFTER {
                return LeaseLost::NotRenewed(reason);
            }
        }
    }

    /// Gives it back, so that another operator is active at once.
    pub async fn release(&self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(NAME).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_ref() == Some(&self.identity) {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                self.api.replace(NAME, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "the lease could not be given back; it ends by itself");
        }
    }

    async fn attempt(&self) -> Result<Attempt, kube::Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.api.get_opt(NAME).await? else {
            let lease = LeaseObject {
                metadata: ObjectMeta {
                    name: Some(NAME.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.held(None, now)),
            };
            return written(self.api.create(&PostParams::default(), &lease).await.map(drop));
        };
        let spec = lease.spec.take().unwrap_or_default();
        let ours = spec.holder_identity.as_ref() == Some(&self.identity);
        if !ours
            && let Some(holder) = &spec.holder_identity
            && !has_ended(&spec, now)
        {
            return Ok(Attempt::HeldBy(holder.clone()));
        }
        lease.spec = Some(self.held(Some(spec), now));
        written(
            self.api
                .replace(NAME, &PostParams::default(), &lease)
                .await
                .map(drop),
        )
    }

    fn held(&self, before: Option<LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let ours = before.holder_identity.as_ref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            acquire_time: if ours {
                before.acquire_time
            } else {
                Some(MicroTime(now))
            },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!ours)),
            ..LeaseSpec::default()
        }
    }
}

/// A conflict means that somebody else was faster.
fn written(result: Result<(), kube::Error>) -> Result<Attempt, kube::Error> {
    match result {
        Ok(()) => Ok(Attempt::Held),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(Attempt::HeldBy("another operator".to_owned()))
        }
        Err(error) => Err(error),
    }
}

fn has_ended(spec: &LeaseSpec, now: Timestamp) -> bool {
    let Some(renewed) = &spec.renew_time else {
        return true;
    };
    let duration =
        SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(DURATION_SECONDS)));
    now.duration_since(renewed.0) > duration
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_only_after_its_duration() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (age, ended) in [(0, false), (14, false), (16, true)] {
            let renewed = now - SignedDuration::from_secs(age);
            let spec = LeaseSpec {
                renew_time: Some(MicroTime(renewed)),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            };
            assert_eq!(has_ended(&spec, now), ended, "{age}");
        }
    }
}
