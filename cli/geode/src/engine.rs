//! What a shell talks to: a cluster, or a throw-away graph in this process.

use crate::args::ConnectArgs;
use crate::connect::ConnectError;
use geode_client::{Client, ClientError, Dialect, QueryResult, Session, Statement};
use geode_server::Ephemeral;
use geode_types::{QueryError, Value};

/// How many nodes are deleted in one transaction when a real graph is emptied.
const RESET_BATCH: i64 = 10_000;

pub(crate) enum Engine {
    Cluster {
        client: Client,
        session: Box<Session>,
        pinned: Option<String>,
    },
    Ephemeral(Box<Ephemeral>),
}

/// A statement as a shell has it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) text: String,
    pub(crate) params: Vec<(String, Value)>,
    pub(crate) dialect: Dialect,
}

impl Request {
    pub(crate) fn gql(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            params: Vec::new(),
            dialect: Dialect::Gql,
        }
    }
}

impl Engine {
    pub(crate) fn ephemeral() -> Self {
        Self::Ephemeral(Box::new(Ephemeral::new()))
    }

    pub(crate) fn cluster(connect: &ConnectArgs) -> Result<Self, ConnectError> {
        let client = connect.client()?;
        let pinned = connect.pinned().map(str::to_owned);
        let session = Box::new(session(&client, pinned.as_deref()));
        Ok(Self::Cluster {
            client,
            session,
            pinned,
        })
    }

    pub(crate) async fn execute(&mut self, request: Request) -> Result<QueryResult, QueryError> {
        match self {
            Self::Cluster { session, .. } => {
                let mut statement = Statement::new(request.text).dialect(request.dialect);
                for (name, value) in request.params {
                    statement = statement.param(name, value);
                }
                session
                    .execute(statement)
                    .await
                    .map_err(|error| error.to_query_error())
            }
            Self::Ephemeral(engine) => {
                engine
                    .execute(request.text, request.params, request.dialect)
                    .await
            }
        }
    }

    /// Empties the graph. An open transaction is given up.
    pub(crate) async fn reset(&mut self) -> Result<(), QueryError> {
        match self {
            Self::Cluster {
                client,
                session,
                pinned,
            } => {
                **session = self::session(client, pinned.as_deref());
                empty(client).await.map_err(|error| error.to_query_error())
            }
            Self::Ephemeral(engine) => {
                engine.reset();
                Ok(())
            }
        }
    }

    /// Whether statements that follow belong to an open transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        match self {
            Self::Cluster { session, .. } => session.in_transaction(),
            Self::Ephemeral(engine) => engine.in_transaction(),
        }
    }

    pub(crate) async fn close(self) {
        if let Self::Cluster { client, session, .. } = self {
            drop(session);
            client.close().await;
        }
    }
}

fn session(client: &Client, pinned: Option<&str>) -> Session {
    match pinned {
        Some(endpoint) => client.session().on(endpoint),
        None => client.session(),
    }
}

async fn empty(client: &Client) -> Result<(), ClientError> {
    loop {
        let batch = Statement::new("MATCH (n) WITH n LIMIT $batch DETACH DELETE n")
            .dialect(Dialect::Cypher)
            .param("batch", RESET_BATCH);
        if client.execute(batch).await?.summary.nodes_deleted == 0 {
            return Ok(());
        }
    }
}
