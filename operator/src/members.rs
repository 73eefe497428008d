//! Links to the members' internal ports: one socket a cluster, one connection a pod, kept while they work.

use crate::certificates::{self, Issued};
use crate::context::Key;
use geode_client::{InternalClient, InternalConnector, InternalError};
use geode_planner::MemberSeen;
use geode_wire::INTERNAL_PORT;
use geode_wire::internal::{InternalReply, InternalRequest};
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A member that does not answer within this time is unknown in this round.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// The operator's certificate is made anew after this time.
const IDENTITY_LIFE: Duration = Duration::from_hours(24);

/// Pods that can be asked, and where.
pub type Targets = BTreeMap<String, IpAddr>;

/// Links to all clusters' members.
#[derive(Default)]
pub struct Members {
    clusters: Mutex<HashMap<Key, Arc<Links>>>,
}

/// Links to one cluster's members.
pub struct Links {
    fingerprint: String,
    made_at: Instant,
    connector: InternalConnector,
    links: tokio::sync::Mutex<HashMap<String, (IpAddr, InternalClient)>>,
}

/// A member could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Our certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] certificates::CertificateError),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] InternalError),
    /// No answer.
    #[error("no answer within {POLL_TIMEOUT:?}")]
    Silent,
}

impl Members {
    /// The links of a cluster, for its authority as it is now.
    pub fn links(&self, key: &Key, authority: &Issued) -> Result<Arc<Links>, LinkError> {
        let fingerprint = certificates::fingerprint(authority.certificate.as_bytes());
        let mut clusters = self
            .clusters
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(links) = clusters.get(key)
            && links.fingerprint == fingerprint
            && links.made_at.elapsed() < IDENTITY_LIFE
        {
            return Ok(links.clone());
        }
        let identity = certificates::issue_operator(authority, Timestamp::now())?;
        let connector = InternalConnector::new(authority.certificate.as_bytes(), &identity)?;
        let links = Arc::new(Links {
            fingerprint,
            made_at: Instant::now(),
            connector,
            links: tokio::sync::Mutex::default(),
        });
        clusters.insert(key.clone(), links.clone());
        Ok(links)
    }

    /// Closes the links of a cluster that is gone.
    pub fn forget(&self, key: &Key) {
        self.clusters
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .remove(key);
    }
}

impl Links {
    /// Asks every pod for its status, all at the same time.
    pub async fn poll(&self, targets: &Targets) -> BTreeMap<String, MemberSeen> {
        let polls = targets.iter().map(|(pod, address)| async move {
            let seen = match tokio::time::timeout(POLL_TIMEOUT, self.status(pod, *address)).await {
                Ok(Ok(seen)) => seen,
                Ok(Err(error)) => MemberSeen::Unknown(error.to_string()),
                Err(_) => MemberSeen::Unknown(LinkError::Silent.to_string()),
            };
            if matches!(seen, MemberSeen::Unknown(_)) {
                self.links.lock().await.remove(pod);
            }
            (pod.clone(), seen)
        });
        futures::future::join_all(polls).await.into_iter().collect()
    }

    async fn status(&self, pod: &str, address: IpAddr) -> Result<MemberSeen, LinkError> {
        let client = self.client(pod, address).await?;
        Ok(MemberSeen::Seen(Box::new(client.status().await?)))
    }

    /// One request to a member.
    pub async fn call(
        &self,
        pod: &str,
        address: IpAddr,
        request: &InternalRequest,
    ) -> Result<InternalReply, LinkError> {
        Ok(self.client(pod, address).await?.call(request).await?)
    }

    async fn client(&self, pod: &str, address: IpAddr) -> Result<InternalClient, LinkError> {
        let known = self.links.lock().await.get(pod).cloned();
        if let Some((known_address, client)) = known
            && known_address == address
            && !client.is_closed()
        {
            return Ok(client);
        }
        let client = self
            .connector
            .connect(SocketAddr::new(address, INTERNAL_PORT), pod)
            .await?;
        self.links
            .lock()
            .await
            .insert(pod.to_owned(), (address, client.clone()));
        Ok(client)
    }
}
