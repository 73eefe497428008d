//! `Client`: statements on a cluster over port 3141. It knows several addresses, follows the leader, repeats what failed in passing,
//! and gives every write an identity so that a repetition is not applied twice.
//!
//! `connection` talks to one server, `routing` and `retry` decide (pure), `execute` joins the two, `session` holds explicit transactions.

mod builder;
mod connection;
mod error;
mod execute;
mod ids;
mod retry;
mod routing;
mod session;
mod statement;

pub use builder::ClientBuilder;
pub use error::{ClientError, Tried};
pub use retry::RetryPolicy;
pub use routing::LoadBalancing;
pub use session::Session;
pub use statement::{QueryResult, Statement};

use connection::{Answer, Connections, Trouble};
use execute::{Target, Watch};
use geode_types::Outcome;
use geode_wire::client::{ClientRequest, ClusterView, ReadMode};
use ids::RequestIds;
use retry::Attempts;
use routing::{Routing, leader_of};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A way to a cluster. Cheap to clone; all clones share their connections, and any number of statements run at the same time.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    connections: Connections,
    routing: Arc<Mutex<Routing>>,
    policy: RetryPolicy,
    balancing: LoadBalancing,
    deadline: Duration,
    ids: RequestIds,
    watch: tokio::sync::Mutex<Watch>,
}

impl Client {
    /// Starts describing a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Runs one statement and commits what it writes. Writes and linearizable reads go to the leader wherever it is, other reads to
    /// one of the given endpoints. A write is repeated after a leader change or a broken connection, and applied at most once.
    pub async fn execute(&self, statement: impl Into<Statement>) -> Result<QueryResult, ClientError> {
        let statement = statement.into();
        let target = match statement.read_mode() {
            ReadMode::Linearizable => Target::Leader,
            ReadMode::AtLeast(_) | ReadMode::Local => Target::AnyEndpoint,
        };
        self.run(&statement, target).await
    }

    /// As [`Self::execute`] for a text without parameters.
    pub async fn query(&self, text: &str) -> Result<QueryResult, ClientError> {
        self.execute(text).await
    }

    /// As [`Self::execute`], but a read that any member may answer is answered by the server at this address and no other.
    pub async fn execute_on(
        &self,
        endpoint: &str,
        statement: impl Into<Statement>,
    ) -> Result<QueryResult, ClientError> {
        let statement = statement.into();
        let target = match statement.read_mode() {
            ReadMode::Linearizable => Target::Leader,
            ReadMode::AtLeast(_) | ReadMode::Local => Target::Endpoint(endpoint.to_owned()),
        };
        self.run(&statement, target).await
    }

    /// A session, for explicit transactions.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// As [`Self::session`], once a server has been reached and has accepted the user.
    pub async fn connect(&self) -> Result<Session, ClientError> {
        self.cluster().await?;
        Ok(self.session())
    }

    /// The cluster as the first endpoint that answers sees it.
    pub async fn cluster(&self) -> Result<ClusterView, ClientError> {
        self.first_answer(async |endpoint| self.cluster_seen_by(endpoint).await)
            .await
    }

    /// The cluster as its leader sees it, which alone knows how far the others are; as any member sees it while nobody leads.
    pub async fn cluster_seen_by_leader(&self) -> Result<ClusterView, ClientError> {
        let view = self.cluster().await?;
        let leader = match leader_of(&view) {
            Some(leader) if leader.id != view.me => leader.client.clone(),
            _ => return Ok(view),
        };
        match self.cluster_seen_by(&leader).await {
            Err(ClientError::Unavailable { .. }) => Ok(view),
            other => other,
        }
    }

    /// The cluster as the server at this address sees it.
    pub async fn cluster_seen_by(&self, endpoint: &str) -> Result<ClusterView, ClientError> {
        match self.ask(endpoint, &ClientRequest::Cluster).await? {
            Answer::Cluster(view) => {
                self.routing().learn(&view);
                Ok(view)
            }
            other => Err(unexpected(endpoint, &other)),
        }
    }

    /// Greets the first endpoint that answers and returns its address and the time a round trip took.
    pub async fn ping(&self) -> Result<(String, Duration), ClientError> {
        self.first_answer(async |endpoint| {
            // The first exchange pays for the connection; the second one is the round trip.
            self.ask(endpoint, &ClientRequest::Ping).await?;
            let start = Instant::now();
            match self.ask(endpoint, &ClientRequest::Ping).await? {
                Answer::Pong => Ok((endpoint.to_owned(), start.elapsed())),
                other => Err(unexpected(endpoint, &other)),
            }
        })
        .await
    }

    /// Moves leadership to the member with this name, or to the one that is furthest. Administrators only.
    pub async fn transfer_leader(&self, to: Option<&str>) -> Result<ClusterView, ClientError> {
        let request = ClientRequest::TransferLeader {
            to: to.map(str::to_owned),
        };
        let deadline = Instant::now() + self.inner.deadline;
        match self
            .drive(&request, Target::Leader, deadline, Attempts::default())
            .await?
            .0
        {
            Answer::Cluster(view) => {
                self.routing().learn(&view);
                Ok(view)
            }
            other => Err(unexpected("the leader", &other)),
        }
    }

    /// Turns the switch that keeps the graph as it is: on until it is turned off, over changes of leaders and restarts. Administrators only.
    pub async fn set_read_only(&self, on: bool) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.inner.deadline;
        let request = ClientRequest::SetReadOnly { on };
        match self
            .drive(&request, Target::Leader, deadline, Attempts::default())
            .await?
            .0
        {
            Answer::Done(_) => Ok(()),
            other => Err(unexpected("the leader", &other)),
        }
    }

    /// Ends all connections in good order. Dropping the client ends them too, but servers learn it later.
    pub async fn close(&self) {
        self.inner.connections.close().await;
    }

    fn routing(&self) -> std::sync::MutexGuard<'_, Routing> {
        self.inner
            .routing
            .lock()
            .expect("no panic while the routing is locked")
    }

    async fn ask(&self, endpoint: &str, request: &ClientRequest) -> Result<Answer, ClientError> {
        let start = Instant::now();
        let exchange = async {
            let link = self.inner.connections.get(endpoint).await?;
            link.ask(request).await
        };
        let trouble = match tokio::time::timeout(self.inner.deadline, exchange).await {
            Ok(Ok(Answer::Failed(error))) => return Err(error.into()),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(Trouble::Fatal(error))) => return Err(error),
            Ok(Err(Trouble::NotSent(reason) | Trouble::Lost(reason))) => reason,
            Err(_) => format!("no answer within {:?}", self.inner.deadline),
        };
        Err(ClientError::Unavailable {
            waited: start.elapsed(),
            tried: vec![Tried {
                endpoint: endpoint.to_owned(),
                reason: trouble,
            }],
            outcome: Outcome::Failed,
        })
    }

    /// What the first candidate that is there says; the failures of all when none is.
    async fn first_answer<T>(
        &self,
        ask: impl AsyncFn(&str) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let start = Instant::now();
        let mut failures = Vec::new();
        let candidates = self.routing().candidates();
        for endpoint in candidates {
            match ask(&endpoint).await {
                Err(ClientError::Unavailable { tried, .. }) => failures.extend(tried),
                other => return other,
            }
        }
        Err(ClientError::Unavailable {
            waited: start.elapsed(),
            tried: failures,
            outcome: Outcome::Failed,
        })
    }
}

fn unexpected(endpoint: &str, answer: &Answer) -> ClientError {
    ClientError::Settings(format!(
        "{endpoint} speaks another version of the protocol: unexpected answer {answer:?}"
    ))
}
