//! Explicit transactions: START TRANSACTION … COMMIT on one stream to one server.

use super::connection::{Answer, Exchange, Trouble};
use super::execute::Target;
use super::retry::{Attempts, passes};
use super::statement::{Control, closes_session, control_of, is_of_session};
use super::{Client, ClientError, QueryResult, Statement};
use geode_types::{ErrorClass, Outcome, QueryError, ReadPreference, RequestId};
use geode_wire::client::{ClientRequest, ReadMode, SessionReads};
use std::time::Instant;

/// GQLSTATUS class of errors after which the transaction is over.
const TRANSACTION_ROLLBACK: &str = "40";
/// So many SESSION SET statements are kept, to be said again to another server.
const SETTINGS_MAX: usize = 256;
/// What a server answers to a COMMIT that it neither has committed nor has a transaction for.
const NO_TRANSACTION: &str = "NoTransaction";

/// Statements one after the other, and a transaction while one is open. Dropping it rolls an open transaction back.
///
/// Outside a transaction every statement commits by itself, as with [`Client::execute`].
///
/// What SESSION SET says holds for this session and no other one. The server's end of the session keeps it; when another server leads it is told
/// the same statements again, which then count anew (`SESSION SET VALUE $now = current_timestamp` gives the time of the move).
pub struct Session {
    client: Client,
    endpoint: Option<String>,
    transaction: Option<Exchange>,
    /// How it reads, as its statements set it, and what it has seen. Kept here, as reads go to several members.
    reads: SessionReads,
    /// What SESSION SET and RESET have said since the last reset of everything, at most [`SETTINGS_MAX`] statements.
    settings: Vec<Statement>,
    /// The stream to the leader on which that was said.
    stream: Option<Exchange>,
}

impl Session {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            endpoint: None,
            transaction: None,
            reads: SessionReads::default(),
            settings: Vec::new(),
            stream: None,
        }
    }

    /// Reads that any member may answer go to the server at this address only.
    pub fn on(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Opens a transaction on the leader.
    pub async fn begin(&mut self) -> Result<(), ClientError> {
        self.execute("START TRANSACTION").await.map(drop)
    }

    /// Commits the open transaction. A connection that breaks meanwhile is no harm: the cluster is asked what became of it.
    pub async fn commit(&mut self) -> Result<QueryResult, ClientError> {
        self.execute("COMMIT").await
    }

    /// Undoes the open transaction.
    pub async fn rollback(&mut self) -> Result<(), ClientError> {
        self.execute("ROLLBACK").await.map(drop)
    }

    /// As [`Self::execute`] for a text without parameters.
    pub async fn query(&mut self, text: &str) -> Result<QueryResult, ClientError> {
        self.execute(text).await
    }

    /// Runs a statement: START TRANSACTION, COMMIT and ROLLBACK as well as any other. What SET CONSISTENCY LEVEL, SET READ PREFERENCE and
    /// SET READ STALENESS say holds for the reads after it, outside of transactions.
    pub async fn execute(&mut self, statement: impl Into<Statement>) -> Result<QueryResult, ClientError> {
        let statement: Statement = statement.into();
        let setting = is_of_session(statement.text()).then(|| statement.clone());
        if setting.is_some() && self.settings.len() >= SETTINGS_MAX && !closes_session(statement.text()) {
            return Err(ClientError::Settings(format!(
                "a session keeps at most {SETTINGS_MAX} SESSION SET statements: SESSION CLOSE forgets them"
            )));
        }
        let answer = self.run(statement.in_session(self.reads)).await;
        if let Ok(result) = &answer {
            self.reads.learn(result.lsn, result.reads);
            if let Some(setting) = setting {
                // Only a reset of everything tells how the session reads after it.
                if result.reads.is_some() || closes_session(setting.text()) {
                    self.settings.clear();
                    self.stream = None;
                } else {
                    self.settings.push(setting);
                    if self.transaction.is_some() {
                        // The stream of before the transaction was not told.
                        self.stream = None;
                    }
                }
            }
        }
        answer
    }

    async fn run(&mut self, statement: Statement) -> Result<QueryResult, ClientError> {
        let control = control_of(statement.text());
        match (self.transaction.take(), control) {
            (None, Control::Begin) => self.open(&statement).await,
            (None, _) if !self.settings.is_empty() || is_of_session(statement.text()) => {
                self.run_as_set(&statement).await
            }
            (None, _) => self.client.run(&statement, self.target(&statement)).await,
            (Some(exchange), Control::Commit) => self.finish(exchange, &statement).await,
            (Some(exchange), control) => self.inside(exchange, &statement, control).await,
        }
    }

    /// Runs a statement where the session's settings hold: on its own stream, or on another one after they were said again there.
    async fn run_as_set(&mut self, statement: &Statement) -> Result<QueryResult, ClientError> {
        let in_flight = self.client.inner.ids.next();
        let request = ClientRequest::Execute(statement.to_wire(Some(in_flight.id)));
        let limit = statement.timeout_wanted().unwrap_or(self.client.inner.deadline);
        let deadline = Instant::now() + limit;
        let mut attempts = Attempts::default();
        if let Some(mut stream) = self.stream.take() {
            match stream.ask(&request).await {
                Ok(Answer::Failed(error)) if passes(&error) => {
                    if error.outcome == Some(Outcome::Unknown) {
                        attempts.lost();
                    }
                }
                Ok(Answer::NotLeader(_)) | Err(Trouble::NotSent(_)) => {}
                Ok(answer) => {
                    self.stream = Some(stream);
                    return result(answer);
                }
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Lost(_)) => attempts.lost(),
            }
        }
        let (answer, stream) = self
            .client
            .drive_after(&self.settings, &request, Target::Leader, deadline, attempts)
            .await?;
        self.stream = Some(stream);
        result(answer)
    }

    /// Who is asked. A member that must not answer says who leads, so this need not know what is a read.
    fn target(&self, statement: &Statement) -> Target {
        let any = || match &self.endpoint {
            Some(endpoint) => Target::Endpoint(endpoint.clone()),
            None => Target::AnyEndpoint,
        };
        if statement.read_mode() != ReadMode::Linearizable {
            return any();
        }
        let settings = self.reads.settings;
        match settings.preference {
            _ if settings.needs_leader() => Target::Leader,
            Some(ReadPreference::Replica) if self.endpoint.is_none() => Target::Replica,
            Some(ReadPreference::Nearest) if self.endpoint.is_none() => Target::Nearest,
            _ => any(),
        }
    }

    async fn open(&mut self, statement: &Statement) -> Result<QueryResult, ClientError> {
        let target = match (statement.read_mode(), &self.endpoint) {
            (ReadMode::Linearizable, _) => Target::Leader,
            (_, Some(endpoint)) => Target::Endpoint(endpoint.clone()),
            (_, None) => Target::AnyEndpoint,
        };
        let request = ClientRequest::Execute(statement.to_wire(None));
        let deadline = Instant::now() + self.client.inner.deadline;
        let (answer, exchange) = self
            .client
            .drive_after(&self.settings, &request, target, deadline, Attempts::default())
            .await?;
        self.transaction = Some(exchange);
        result(answer)
    }

    async fn inside(
        &mut self,
        mut exchange: Exchange,
        statement: &Statement,
        control: Control,
    ) -> Result<QueryResult, ClientError> {
        let request = ClientRequest::Execute(statement.to_wire(None));
        let answer = match exchange.ask(&request).await {
            Ok(Answer::NotLeader(_)) => return Err(lost("the member no longer leads").into()),
            Ok(answer) => answer,
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::NotSent(reason) | Trouble::Lost(reason)) => return Err(lost(&reason).into()),
        };
        let over = match &answer {
            Answer::Failed(error) => error.gqlstatus.starts_with(TRANSACTION_ROLLBACK),
            _ => control == Control::Rollback,
        };
        if !over {
            self.transaction = Some(exchange);
        }
        result(answer)
    }

    async fn finish(
        &mut self,
        mut exchange: Exchange,
        statement: &Statement,
    ) -> Result<QueryResult, ClientError> {
        let in_flight = self.client.inner.ids.next();
        let id = in_flight.id;
        let request = ClientRequest::Execute(statement.to_wire(Some(id)));
        match exchange.ask(&request).await {
            Ok(Answer::Failed(error)) if error.outcome == Some(Outcome::Unknown) => {
                self.resolve(id, &error.message).await
            }
            Ok(Answer::NotLeader(_)) => Err(lost("the member no longer leads").into()),
            Ok(answer) => {
                if matches!(answer, Answer::Done(_)) {
                    if self.settings.is_empty() {
                        exchange.give_back();
                    } else {
                        self.stream = Some(exchange);
                    }
                }
                result(answer)
            }
            Err(Trouble::Fatal(error)) => Err(error),
            Err(Trouble::NotSent(reason)) => Err(lost(&reason).into()),
            Err(Trouble::Lost(reason)) => self.resolve(id, &reason).await,
        }
    }

    /// COMMIT was sent and its answer was not seen: the same request, asked again, is answered from the session table if it was
    /// committed, and finds no transaction if it was not.
    async fn resolve(&mut self, id: RequestId, reason: &str) -> Result<QueryResult, ClientError> {
        let request = ClientRequest::Execute(Statement::new("COMMIT").to_wire(Some(id)));
        let deadline = Instant::now() + self.client.inner.deadline;
        let mut attempts = Attempts::default();
        attempts.lost();
        match self
            .client
            .drive(&request, Target::Leader, deadline, attempts)
            .await
        {
            Ok((answer, _)) => result(answer),
            Err(ClientError::Query(error)) if error.detail == NO_TRANSACTION => Err(lost(reason).into()),
            Err(error) => Err(error),
        }
    }
}

fn result(answer: Answer) -> Result<QueryResult, ClientError> {
    match answer {
        Answer::Done(result) => Ok(result),
        Answer::Failed(error) => Err(error.into()),
        other => Err(super::unexpected("the server", &other)),
    }
}

fn lost(reason: &str) -> QueryError {
    QueryError::runtime(
        ErrorClass::UnavailableError,
        "TransactionLost",
        "40000",
        format!("the transaction is lost and nothing of it was written: {reason}"),
    )
    .hint("run the whole transaction again")
    .outcome(Outcome::Failed)
}
