//! What a session does with a statement: run it alone, run it in the open transaction, or begin and end that transaction.
//!
//! A transaction holds a snapshot, so it has a greatest age; after that it is taken back and the next statement is told.

use crate::pipeline::{
    Output, OutputSender, Pipeline, Plan, Ran, ReadOf, Reading, Refusal, Replication, Request, finish,
    how_to_read, lsn_of, no_transaction, told, transaction_open, transaction_over,
};
use geode_graph::{Transaction, UserRecord};
use geode_query::{Kind, SessionChange, SessionReset, SessionState, TransactionCommand, savepoint};
use geode_types::ReadSettings;
use geode_wire::client::{Done, Execute, ReadMode, SessionReads};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Errors of this GQLSTATUS class end the transaction.
const ROLLED_BACK: &str = "40";

/// One session of one user.
pub(crate) struct Session<R: Replication> {
    pipeline: Arc<Pipeline<R>>,
    user: Arc<UserRecord>,
    state: Arc<SessionState>,
    /// How it reads, unless its client keeps that.
    reads: SessionReads,
    closed: bool,
    open: Option<Open<R>>,
    /// The transaction ended by itself, and nobody has been told.
    expired: bool,
}

struct Open<R: Replication> {
    transaction: Transaction<ReadOf<R>>,
    begun: Instant,
    until: Instant,
}

/// How a transaction ended, for metrics.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) began: Instant,
}

impl<R: Replication> Session<R> {
    /// A session without a transaction.
    pub(crate) fn new(pipeline: Arc<Pipeline<R>>, user: Arc<UserRecord>) -> Self {
        Self {
            pipeline,
            user,
            state: Arc::default(),
            reads: SessionReads::default(),
            closed: false,
            open: None,
            expired: false,
        }
    }

    /// Whether it was ended by `SESSION CLOSE`.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a transaction is open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// When the open transaction ends by itself.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// When the open transaction began.
    pub(crate) fn transaction(&self) -> Option<Ended> {
        self.open.as_ref().map(|open| Ended { began: open.begun })
    }

    /// Takes the open transaction back because its time is over.
    pub(crate) fn expire(&mut self) {
        self.expired = self.open.take().is_some();
    }

    /// Runs one statement. Columns and rows go to `out`, which must be drained at the same time.
    pub(crate) async fn execute(&mut self, execute: Execute, out: &OutputSender) -> Result<Done, Refusal> {
        let kept_by_client = execute.reads;
        let reads = kept_by_client.unwrap_or(self.reads);
        let done = self.run(execute, reads, out).await?;
        // What the client keeps is not kept here: the next one on this stream may be another session of it.
        if kept_by_client.is_none() {
            self.reads.learn(done.lsn, done.reads);
        }
        Ok(done)
    }

    async fn run(
        &mut self,
        execute: Execute,
        reads: SessionReads,
        out: &OutputSender,
    ) -> Result<Done, Refusal> {
        let leads = self.pipeline.leads();
        let read = how_to_read(execute.read, &reads, leads);
        let longest = self.pipeline.limits().query_timeout;
        let (user, state) = (self.user.clone(), self.state.clone());
        let mut request = Request::from_wire(execute, read, longest, user, state)?;
        let prepared = self.pipeline.prepare(&request).await;
        if self.open.is_none() && read == Reading::Leader && !leads {
            // Everything else is the leader's; how to read may be said to any member, as it may be the only one that is reached.
            let about_reads = matches!(&prepared, Ok(plan) if matches!(plan.kind(), Kind::Reads(_)));
            if !about_reads {
                self.pipeline.must_lead()?;
            }
        }
        let prepared = prepared?;
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.until <= Instant::now())
        {
            self.expire();
        }
        let expired = std::mem::take(&mut self.expired);
        match (prepared.kind(), self.open.take()) {
            (Kind::TransactionControl(TransactionCommand::Rollback), None) if expired => nothing(out).await,
            (kind, None) if expired && !begins(&kind) => {
                let timeout = self.transaction_timeout();
                Err(transaction_over(
                    "TransactionTimedOut",
                    &format!("it was open for more than {timeout:?}"),
                )
                .into())
            }
            (Kind::TransactionControl(command), open) => self.control(command, open, &request, out).await,
            (Kind::KillQuery(id), open) => {
                self.open = open;
                self.pipeline.kill(&id, &self.pipeline.access(&self.user)?)?;
                nothing(out).await
            }
            (Kind::Reads(setting), open) => {
                self.open = open;
                self.pipeline.access(&self.user)?;
                let mut settings = reads.settings;
                settings.set(setting);
                set(settings, out).await
            }
            (Kind::Session, open) => self.change(open, prepared, &request, out).await,
            (kind, None) => {
                let alone = self.pipeline.single(prepared, &request, out).await;
                alone.map_err(|refusal| {
                    if kind == Kind::Write {
                        refusal.nothing_written()
                    } else {
                        refusal
                    }
                })
            }
            (_, Some(open)) => {
                request.deadline = request.deadline.min(open.until);
                self.inside(open, prepared, &request, out).await
            }
        }
    }

    async fn control(
        &mut self,
        command: TransactionCommand,
        open: Option<Open<R>>,
        request: &Request,
        out: &OutputSender,
    ) -> Result<Done, Refusal> {
        // The transaction of a user who was dropped is taken back with it.
        self.pipeline.access(&self.user)?;
        match (command, open) {
            (TransactionCommand::Begin { .. }, Some(open)) => {
                self.open = Some(open);
                Err(transaction_open().into())
            }
            (TransactionCommand::Begin { read_only }, None) => {
                // How the session reads is no matter of its transactions.
                let writes = !read_only && request.asked == ReadMode::Linearizable;
                let read = how_to_read(request.asked, &SessionReads::default(), true);
                let begun = self.pipeline.begin(read, writes, request.deadline).await?;
                let now = Instant::now();
                let until = now + self.transaction_timeout();
                self.open = Some(Open {
                    transaction: begun.transaction,
                    begun: now,
                    until,
                });
                nothing(out).await
            }
            (TransactionCommand::Rollback, Some(_)) => nothing(out).await,
            (TransactionCommand::Commit, Some(open)) => self.commit(open, request, out).await,
            (TransactionCommand::Commit, None) => {
                // The answer to a COMMIT may have been lost with its connection: then it is asked again here.
                let known = match request.id {
                    Some(id) => self.pipeline.look_up(id, request.deadline).await?,
                    None => None,
                };
                match known {
                    Some(done) => {
                        nothing(out).await?;
                        Ok(done)
                    }
                    None => Err(no_transaction().into()),
                }
            }
            (TransactionCommand::Rollback, None) => Err(no_transaction().into()),
            (command, Some(mut open)) => {
                let done = savepoint(&command, &mut open.transaction);
                self.open = Some(open);
                done?;
                nothing(out).await
            }
            (_, None) => Err(no_transaction().into()),
        }
    }

    /// Changes the state of the session. Its transaction stays open, unless the session ends.
    async fn change(
        &mut self,
        open: Option<Open<R>>,
        prepared: Arc<Plan>,
        request: &Request,
        out: &OutputSender,
    ) -> Result<Done, Refusal> {
        let (transaction, times) = match open {
            Some(open) => (open.transaction, Some((open.begun, open.until))),
            None => {
                let begun = self.pipeline.begin(request.read, false, request.deadline).await?;
                (begun.transaction, None)
            }
        };
        let changed = self.pipeline.session_change(prepared, transaction, request).await;
        let (transaction, change) =
            changed.map_err(|error| transaction_over(&error.detail, &error.message))?;
        self.open = times.map(|(begun, until)| Open {
            transaction,
            begun,
            until,
        });
        let change = change?;
        let anew = change == SessionChange::Reset(SessionReset::Everything);
        self.closed = !Arc::make_mut(&mut self.state).apply(change);
        if self.closed {
            self.open = None;
        }
        if anew {
            return set(ReadSettings::default(), out).await;
        }
        nothing(out).await
    }

    fn transaction_timeout(&self) -> Duration {
        let longest = self.pipeline.limits().transaction_timeout;
        self.state
            .transaction_timeout()
            .map_or(longest, |own| own.min(longest))
    }

    async fn commit(
        &mut self,
        open: Open<R>,
        request: &Request,
        out: &OutputSender,
    ) -> Result<Done, Refusal> {
        let finished = finish(open.transaction).map_err(Refusal::nothing_written)?;
        let done = if finished.effects.is_empty() {
            Done {
                summary: told(finished.summary),
                lsn: Some(lsn_of(finished.start.index)),
                ..Done::default()
            }
        } else {
            let mut ticket = match request.id {
                Some(id) => Some(self.pipeline.enter(id, request.deadline).await?),
                None => None,
            };
            match self.pipeline.commit(finished, request.id, &mut ticket).await {
                // The transaction lived here and cannot follow the leader.
                Err(Refusal::NotLeader(_)) => {
                    return Err(
                        transaction_over("LeaderChanged", "this member does not lead any more").into(),
                    );
                }
                decided => decided.map_err(Refusal::nothing_written)?,
            }
        };
        nothing(out).await?;
        Ok(done)
    }

    async fn inside(
        &mut self,
        open: Open<R>,
        prepared: Arc<Plan>,
        request: &Request,
        out: &OutputSender,
    ) -> Result<Done, Refusal> {
        let Open {
            transaction,
            begun,
            until,
        } = open;
        let Ran {
            transaction, result, ..
        } = self
            .pipeline
            .run(prepared, transaction, request, out, false)
            .await
            .map_err(|error| transaction_over(&error.detail, &error.message))?;
        let over = matches!(&result, Err(error) if error.gqlstatus.starts_with(ROLLED_BACK));
        let lsn = lsn_of(transaction.position().index);
        if !over {
            self.open = Some(Open {
                transaction,
                begun,
                until,
            });
        }
        Ok(Done {
            summary: result?,
            lsn: Some(lsn),
            ..Done::default()
        })
    }
}

fn begins(kind: &Kind) -> bool {
    matches!(kind, Kind::TransactionControl(TransactionCommand::Begin { .. }))
}

/// Tells how the session reads from now on.
async fn set(settings: ReadSettings, out: &OutputSender) -> Result<Done, Refusal> {
    let done = nothing(out).await?;
    Ok(Done {
        reads: Some(settings),
        ..done
    })
}

/// The answer without columns and rows.
async fn nothing(out: &OutputSender) -> Result<Done, Refusal> {
    let _ = out.send(Output::Columns(Vec::new())).await;
    Ok(Done::default())
}
