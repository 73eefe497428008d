//! The settings of a `Client`.

use super::connection::{Connections, Credentials, split_address};
use super::ids::RequestIds;
use super::routing::Routing;
use super::{Client, ClientError, Inner, LoadBalancing, RetryPolicy};
use crate::tls::Trust;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a statement is repeated before the client gives up.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Describes a [`Client`].
pub struct ClientBuilder {
    endpoints: Vec<String>,
    user: String,
    password: String,
    trust: Option<Trust>,
    policy: RetryPolicy,
    balancing: LoadBalancing,
    deadline: Duration,
    connect_timeout: Duration,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            user: "admin".to_owned(),
            password: String::new(),
            trust: None,
            policy: RetryPolicy::default(),
            balancing: LoadBalancing::default(),
            deadline: DEADLINE,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }
}

impl ClientBuilder {
    /// Addresses of some members, `host:port`; the others are learned from them.
    pub fn endpoints<E: Into<String>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.endpoints = endpoints.into_iter().map(Into::into).collect();
        self
    }

    /// The user; `admin` when not given.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// The user's password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = password.into();
        self
    }

    /// Believes servers whose certificate comes from these authorities, PEM.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust = Some(Trust::Authorities(pem.into()));
        self
    }

    /// Believes any server. The password then goes to whoever answers: for experiments only.
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.trust = Some(Trust::Anyone);
        self
    }

    /// How often and how fast failed attempts are repeated.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How reads that any member may answer are spread over the endpoints.
    pub fn load_balancing(mut self, balancing: LoadBalancing) -> Self {
        self.balancing = balancing;
        self
    }

    /// How long a statement is repeated before the client gives up; 30 s when not given. An attempt that runs on a living connection is
    /// not cut off: `Statement::timeout` does that.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long opening a connection may take; 3 s when not given.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Makes the client. It connects when it is first used; from then on it needs a tokio runtime.
    pub fn build(self) -> Result<Client, ClientError> {
        if self.endpoints.is_empty() {
            return Err(ClientError::Settings(
                "no endpoint is given; name at least one member as host:port".to_owned(),
            ));
        }
        for endpoint in &self.endpoints {
            split_address(endpoint)?;
        }
        let trust = self.trust.ok_or_else(|| {
            ClientError::Settings(
                "no CA is given; pass the cluster's CA certificate with `ca_pem`".to_owned(),
            )
        })?;
        let routing = Arc::new(Mutex::new(Routing::new(self.endpoints)));
        let credentials = Credentials {
            user: self.user,
            password: self.password,
        };
        let connections = Connections::new(&trust, credentials, self.connect_timeout, routing.clone())?;
        Ok(Client {
            inner: Arc::new(Inner {
                connections,
                routing,
                policy: self.policy,
                balancing: self.balancing,
                deadline: self.deadline,
                ids: RequestIds::new(),
                watch: tokio::sync::Mutex::default(),
            }),
        })
    }
}
