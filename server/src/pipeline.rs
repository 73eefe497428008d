//! Steps 2 to 8 of ARCHITECTURE.md's "I am a write": from a decoded request to a decided outcome.
//!
//! [`Pipeline::single`] is the whole way of a statement outside a transaction, on one screen; sessions put the same steps together for
//! explicit transactions. Requests come from `session`, replication is behind [`Replication`], and no socket is known here.

mod access;
mod answer;
mod building;
mod in_flight;
mod leading;
mod level;
mod limits;
mod output;
mod pace;
mod plans;
mod purging;
mod read_only;
mod reading;
mod refusal;
mod replication;
mod run;

pub(crate) use answer::{lsn_of, told};
use answer::{outcome, tells_of_graph};
pub(crate) use level::Announced;
pub(crate) use limits::Limits;
pub(crate) use output::{FRAMES_WAITING, Output, OutputSender};
pub(crate) use pace::Plan;
pub(crate) use read_only::{finish, switched_on};
pub(crate) use reading::{Reading, how_to_read};
pub(crate) use refusal::Refusal;
pub(crate) use refusal::{internal, no_transaction, too_slow, transaction_open, transaction_over};
pub(crate) use replication::{Decided, NotNow, Replication, SubmitError};
pub(crate) use run::{Ran, Request};

use crate::gate::WriteGate;
use crate::queries::{Queries, WithQueries};
use geode_graph::{
    Command, Commit, Finished, IdAllocator, RequestState, Transaction, highest_level, position, request_state,
};
use geode_query::{Access, Dialect, Kind, Prepared, SystemTables};
use geode_store::Store;
use geode_types::{LogIndex, Lsn, QueryError, RequestId, Term};
use geode_wire::client::Done;
use in_flight::{InFlight, Ticket};
use leading::Leading;
use limits::WORKERS_PER_CORE;
use plans::Generations;
use reading::Confirmed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;

/// How often a single statement is run again after a conflict before the client is told.
const CONFLICT_RETRIES: u32 = 8;
/// The longest pause before the first of them; doubles each time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(2);
/// How long a commit may take before its outcome is called unknown.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
const LOST_QUORUM: &str = "the leader lost its quorum or its place while the write was under way";

/// Runs statements on one member.
pub(crate) struct Pipeline<R: Replication> {
    replication: R,
    leading: Arc<Mutex<Option<Leading>>>,
    confirmed: Confirmed,
    in_flight: InFlight,
    plans: Generations<(String, Dialect), Plan>,
    workers: Arc<Semaphore>,
    gate: Arc<WriteGate>,
    system: Arc<dyn SystemTables + Send + Sync>,
    queries: Arc<Queries>,
    limits: Limits,
}

trait Submission: Future<Output = Result<Decided, SubmitError>> + Send + 'static {}
impl<F: Future<Output = Result<Decided, SubmitError>> + Send + 'static> Submission for F {}

/// A command on its way, the term it was certified in, and its number.
type Submitted<F> = (F, Term, u64);

/// The snapshot of a store.
pub(crate) type ReadOf<R> = <<R as Replication>::Store as Store>::Read;

/// A transaction that has begun, and the request's result if it turned out to be a repetition.
pub(crate) struct Begun<R: Replication> {
    pub(crate) transaction: Transaction<ReadOf<R>>,
    recorded: Option<Done>,
}

impl<R: Replication> Pipeline<R> {
    /// Ready to run statements.
    pub(crate) fn new(
        replication: R,
        gate: Arc<WriteGate>,
        system: Arc<dyn SystemTables + Send + Sync>,
        limits: Limits,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if limits.workers == 0 {
            WORKERS_PER_CORE * cores
        } else {
            limits.workers
        };
        Self {
            replication,
            leading: Arc::default(),
            confirmed: Confirmed::default(),
            in_flight: InFlight::default(),
            plans: Generations::new(),
            workers: Arc::new(Semaphore::new(workers)),
            gate,
            system,
            queries: Arc::new(Queries::new()),
            limits,
        }
    }

    /// Stops a statement that runs on this member.
    pub(crate) fn kill(&self, id: &str, by: &Access) -> Result<(), QueryError> {
        self.queries.kill(id, by)
    }

    /// Replication below.
    pub(crate) fn replication(&self) -> &R {
        &self.replication
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The whole way of a statement outside a transaction.
    pub(crate) async fn single(
        &self,
        prepared: Arc<Plan>,
        request: &Request,
        out: &OutputSender,
    ) -> Result<Done, Refusal> {
        let writes = prepared.kind() == Kind::Write;
        let read = if prepared.kind() == Kind::System {
            Reading::Local
        } else {
            request.read
        };
        let id = request.id.filter(|_| writes);
        let mut ticket = match id {
            Some(id) => Some(self.enter(id, request.deadline).await?),
            None => None,
        };
        let mut confirmed: Option<LogIndex> = None;
        for attempt in 0.. {
            let begun = if writes {
                self.begin_write(id, request.deadline).await?
            } else {
                self.begin(read, false, request.deadline).await?
            };
            if let Some(done) = begun.recorded {
                send_held(out, &prepared, None).await;
                return Ok(done);
            }
            let Ran {
                transaction,
                result,
                held,
            } = self
                .run(prepared.clone(), begun.transaction, request, out, writes)
                .await?;
            let commits = result.is_ok() && transaction.has_writes();
            if writes && !commits && tells_of_graph(&result) {
                // No commit will show that this member led all the time and that nothing was there before that its snapshot lacks: a follower
                // may have shown what is committed and not yet applied here. So a majority has to say how far that goes.
                let seen = transaction.position().index;
                if confirmed.is_none_or(|index| seen < index) {
                    let index = self.read_index(request.deadline).await?;
                    if seen < index && confirmed.replace(index).is_none() {
                        continue;
                    }
                }
            }
            let summary = result?;
            let done = if transaction.has_writes() {
                match self.commit(finish(transaction)?, id, &mut ticket).await {
                    Err(Refusal::Failed(error)) if is_conflict(&error) && attempt < CONFLICT_RETRIES => {
                        pause(attempt).await;
                        continue;
                    }
                    Ok(done) => {
                        if prepared.creates_rule() {
                            self.finish_rule(&prepared, request.deadline).await?;
                        }
                        done
                    }
                    Err(refusal) => return Err(refusal),
                }
            } else {
                Done {
                    summary,
                    lsn: Some(lsn_of(transaction.position().index)),
                    repeated: false,
                    reads: None,
                }
            };
            if writes {
                send_held(out, &prepared, held.filter(|_| !done.repeated)).await;
            }
            return Ok(done);
        }
        Err(internal("a loop without end ended").into())
    }

    /// Parses and binds, or takes the result of the last time.
    pub(crate) async fn prepare(&self, request: &Request) -> Result<Arc<Plan>, QueryError> {
        let key = (request.text.clone(), request.dialect);
        let keeps = request.text.len() <= plans::MAX_KEPT_TEXT_BYTES;
        if keeps && let Some(plan) = self.plans.get(&key) {
            return Ok(plan);
        }
        let (system, queries) = (self.system.clone(), self.queries.clone());
        let (text, dialect) = key.clone();
        let prepare = move || {
            let tables = WithQueries {
                tables: &*system,
                queries: &queries,
                // Who runs it is asked when it runs.
                access: &Access::EVERYTHING,
            };
            geode_query::prepare(&text, dialect, &tables)
        };
        let prepared = tokio::task::spawn_blocking(prepare)
            .await
            .map_err(|error| internal(format!("the statement broke the parser: {error}")))??;
        let keeps = keeps && !prepared.sets_password();
        let prepared = Arc::new(Plan::new(prepared));
        if keeps {
            self.plans.insert(key, prepared.clone());
        }
        Ok(prepared)
    }

    /// Whether this member leads.
    pub(crate) fn leads(&self) -> bool {
        self.replication.leader_term().is_some()
    }

    /// Refused unless this member leads.
    pub(crate) fn must_lead(&self) -> Result<Term, Refusal> {
        self.replication.leader_term().ok_or_else(|| self.not_leader())
    }

    fn not_leader(&self) -> Refusal {
        Refusal::NotLeader(self.replication.leader())
    }

    /// Waits until no other attempt of the same request is under way.
    pub(crate) async fn enter(&self, id: RequestId, deadline: Instant) -> Result<Ticket, Refusal> {
        let entered = self
            .in_flight
            .enter(id, deadline.min(Instant::now() + COMMIT_TIMEOUT))
            .await;
        entered.ok_or_else(|| {
            refusal::commit_unknown("an earlier attempt of the same request is still under way").into()
        })
    }

    /// A snapshot that contains what the reader must have seen, and a transaction on it.
    pub(crate) async fn begin(
        &self,
        read: Reading,
        writes: bool,
        deadline: Instant,
    ) -> Result<Begun<R>, Refusal> {
        if writes {
            self.read_index(deadline).await?;
            return self.begin_write(None, deadline).await;
        }
        self.wait_for(read, deadline).await?;
        let transaction = Transaction::read_only(self.snapshot()?)?;
        Ok(Begun {
            transaction,
            recorded: None,
        })
    }

    /// A transaction that may write, on this leader's snapshot. The snapshot has everything that was acknowledged before only if this
    /// member leads still: its commit shows that, or else a read index must.
    async fn begin_write(&self, id: Option<RequestId>, deadline: Instant) -> Result<Begun<R>, Refusal> {
        // First: the leader's gate is open when this member's is not. Reads may be answered here, so nobody may have asked yet.
        self.must_lead()?;
        if let Some(reason) = self.gate.read_only() {
            return Err(refusal::read_only(&reason).into());
        }
        let delay = self.gate.delay();
        if !delay.is_zero() {
            tokio::time::sleep_until(deadline.min(Instant::now() + delay).into()).await;
        }
        let ids = self.lead(deadline).await?;
        let read = self.snapshot()?;
        let recorded = match id {
            Some(id) => recorded(&read, id)?,
            None => None,
        };
        Ok(Begun {
            transaction: Transaction::begin(read, ids)?,
            recorded,
        })
    }

    fn snapshot(&self) -> Result<ReadOf<R>, Refusal> {
        let read = self.replication.store().read();
        Ok(read.map_err(geode_graph::GraphError::from)?)
    }

    /// What became of a request, when nothing of it is under way: its recorded result, or nothing.
    pub(crate) async fn look_up(&self, id: RequestId, deadline: Instant) -> Result<Option<Done>, Refusal> {
        let _ticket = self.enter(id, deadline).await?;
        self.read_index(deadline).await?;
        self.lead(deadline).await?;
        let read = self.snapshot()?;
        recorded(&read, id)
    }

    /// The allocator of this leader's term. The first call of a term waits until all that is in the log is applied: only then is it
    /// known which commits and ids there are.
    async fn lead(&self, deadline: Instant) -> Result<Arc<IdAllocator>, Refusal> {
        let term = self.must_lead()?;
        let known = |leading: &Option<Leading>| {
            leading
                .as_ref()
                .filter(|held| held.term == term)
                .map(|held| held.ids.clone())
        };
        if let Some(ids) = known(&self.leading()) {
            return Ok(ids);
        }
        if !self
            .replication
            .wait_applied(self.replication.last_log(), deadline)
            .await
        {
            return Err(refusal::no_leader("the new leader has not applied its log yet").into());
        }
        let read = self.snapshot()?;
        let applied = position(&read)?;
        if applied.term != term || self.replication.leader_term() != Some(term) {
            return Err(self.not_leader());
        }
        let ids = IdAllocator::seed(&read)?;
        let mut leading = self.leading();
        if let Some(ids) = known(&leading) {
            return Ok(ids);
        }
        Ok(leading.insert(Leading::new(term, &applied, ids)).ids.clone())
    }

    fn leading(&self) -> MutexGuard<'_, Option<Leading>> {
        lock(&self.leading)
    }

    /// Certifies, proposes and waits for the decision. The command keeps the ticket until it is decided, whatever becomes of the caller:
    /// when a repetition gets its turn, it is known what became of the attempt before. A command that is refused conflicts with nobody.
    pub(crate) async fn commit(
        &self,
        finished: Finished,
        id: Option<RequestId>,
        ticket: &mut Option<Ticket>,
    ) -> Result<Done, Refusal> {
        let summary = told(finished.summary);
        self.reach(highest_level(&finished.effects)).await?;
        let (submitted, term, sequence) = self.certify_and_submit(finished, id)?;
        let doubt = self.replication.doubt();
        let (ticket_held, leading) = (ticket.take(), self.leading.clone());
        let deciding = tokio::spawn(async move {
            let decided = submitted.await;
            if matches!(decided, Err(SubmitError::NotLeader | SubmitError::Refused(_)))
                && let Some(leading) = lock(&leading).as_mut().filter(|held| held.term == term)
            {
                leading.certifier.abandon(sequence);
            }
            (decided, ticket_held)
        });
        let (decided, ticket_back) = tokio::select! {
            biased;
            decided = deciding => decided.map_err(refusal::commit_unknown)?,
            () = doubt => return Err(refusal::commit_unknown(LOST_QUORUM).into()),
            () = tokio::time::sleep(COMMIT_TIMEOUT) => {
                return Err(refusal::commit_unknown("no quorum has confirmed it in time").into());
            }
        };
        *ticket = ticket_back;
        match decided {
            Ok(Decided { index, applied }) => outcome(index, applied, summary),
            Err(SubmitError::Unknown(reason)) => Err(refusal::commit_unknown(reason).into()),
            Err(SubmitError::NotLeader) => Err(self.not_leader()),
            Err(SubmitError::Refused(reason)) => Err(refusal::no_leader(reason).into()),
        }
    }

    /// Under one lock, so that the certifier's numbers and the log have the same order.
    fn certify_and_submit(
        &self,
        finished: Finished,
        id: Option<RequestId>,
    ) -> Result<Submitted<impl Submission + use<R>>, Refusal> {
        let mut leading = self.leading();
        let leads_in = self.replication.leader_term();
        let Some(leading) = leading.as_mut().filter(|held| Some(held.term) == leads_in) else {
            return Err(self.not_leader());
        };
        let sequence = leading
            .certifier
            .certify(finished.start, &finished.reads, &finished.writes)
            .map_err(|conflict| QueryError::from(conflict).outcome(geode_types::Outcome::Failed))?;
        let commit = Commit {
            request_id: id,
            certified_term: leading.term,
            sequence,
            at_micros: now_micros(),
            effects: finished.effects,
            summary: finished.summary,
        };
        Ok((
            self.replication.submit(&Command::Commit(Box::new(commit))),
            leading.term,
            sequence,
        ))
    }

    /// Changes the graph from inside the server (users, bootstrap): certified and replicated like everything else. `change` runs again
    /// after a conflict.
    pub(crate) async fn write(
        &self,
        mut change: impl FnMut(&mut Transaction<ReadOf<R>>) -> Result<(), QueryError>,
    ) -> Result<Lsn, Refusal> {
        let deadline = Instant::now() + self.limits.transaction_timeout;
        for attempt in 0.. {
            let mut begun = self.begin(Reading::Leader, true, deadline).await?;
            change(&mut begun.transaction)?;
            match self.commit(begun.transaction.finish(), None, &mut None).await {
                Err(Refusal::Failed(error)) if is_conflict(&error) && attempt < CONFLICT_RETRIES => {
                    pause(attempt).await;
                }
                decided => return Ok(decided?.lsn.unwrap_or_default()),
            }
        }
        Err(internal("a loop without end ended").into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer that the session table holds for a request.
fn recorded(read: &impl geode_store::Reader, id: RequestId) -> Result<Option<Done>, Refusal> {
    match request_state(read, id)? {
        RequestState::New => Ok(None),
        RequestState::TooOld => Err(refusal::too_old().into()),
        RequestState::Committed { index, summary } => Ok(Some(Done {
            summary: told(summary),
            lsn: Some(lsn_of(index)),
            repeated: true,
            reads: None,
        })),
    }
}

/// Names the columns and sends what was held back until the commit. A reader that has gone does not undo a commit.
async fn send_held(out: &OutputSender, prepared: &Prepared, held: Option<Vec<geode_wire::client::Rows>>) {
    let mut gone = out
        .send(Output::Columns(prepared.columns().to_vec()))
        .await
        .is_err();
    for frame in held.into_iter().flatten() {
        gone = gone || out.send(Output::Rows(frame)).await.is_err();
    }
}

fn is_conflict(error: &QueryError) -> bool {
    error.class == geode_types::ErrorClass::ConflictError
}

/// Up to 2 ms, 4 ms, 8 ms …, by chance, so that two that collided do not collide again.
async fn pause(attempt: u32) {
    let longest = CONFLICT_PAUSE * 2_u32.saturating_pow(attempt);
    tokio::time::sleep(longest.mul_f64(rand::random())).await;
}

pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
