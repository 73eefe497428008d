//! Running a prepared statement in a transaction, on a thread of its own, as reading the store and evaluating expressions block; or right
//! here when it is known to be short.

use super::output::{Destination, RowSink};
use super::pace::{PATIENCE, Plan};
use super::refusal::{internal, too_slow};
use super::{OutputSender, Pipeline, ReadOf, Reading, Replication, send_held};
use crate::auth::hash_in_turn;
use crate::queries::{Queries, Registered, WithQueries};
use geode_graph::{Transaction, UserRecord};
use geode_query::{
    Access, Cancel, Context, Dialect, Helpers, Limits, Meter, Params, SessionChange, SessionState,
    SystemTables, killed, session_change,
};
use geode_types::{ErrorClass, QueryError, RequestId, Summary, Value, decode_value};
use geode_wire::client::{Execute, ReadMode, Rows};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A statement with more parameters than this is never run on a thread that others wait for.
const SHORT_PARAMS_BYTES: usize = 16 << 10;

/// A decoded statement.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) text: String,
    pub(crate) dialect: Dialect,
    pub(crate) params: Arc<Params>,
    /// Size of the parameters as they came.
    pub(crate) params_bytes: usize,
    pub(crate) id: Option<RequestId>,
    /// What the statement itself asks for.
    pub(crate) asked: ReadMode,
    /// What that and its session come to on this member.
    pub(crate) read: Reading,
    /// When the statement must have ended.
    pub(crate) deadline: Instant,
    /// Whose it is.
    pub(crate) user: Arc<UserRecord>,
    /// The state of its session.
    pub(crate) session: Arc<SessionState>,
}

impl Request {
    /// Reads the message of a client. `longest`, and what the session says, bound the timeout that it asks for.
    pub(crate) fn from_wire(
        execute: Execute,
        read: Reading,
        longest: Duration,
        user: Arc<UserRecord>,
        session: Arc<SessionState>,
    ) -> Result<Self, QueryError> {
        let longest = session.query_timeout().map_or(longest, |own| own.min(longest));
        let wanted = execute.timeout_ms.map_or(longest, Duration::from_millis);
        let dialect = match execute.dialect {
            geode_wire::client::Dialect::Gql => Dialect::Gql,
            geode_wire::client::Dialect::Cypher => Dialect::Cypher,
        };
        Ok(Self {
            params: Arc::new(read_params(&execute.params)?),
            params_bytes: execute.params.len(),
            text: execute.text,
            dialect,
            id: execute.request_id,
            asked: execute.read,
            read,
            deadline: Instant::now() + wanted.min(longest),
            user,
            session,
        })
    }
}

fn read_params(mut bytes: &[u8]) -> Result<Params, QueryError> {
    let wrong =
        |what: String| QueryError::compile(ErrorClass::ArgumentError, "InvalidParameter", "22000", what);
    if bytes.is_empty() {
        return Ok(Params::default());
    }
    match decode_value(&mut bytes) {
        Ok(Value::Map(entries)) if bytes.is_empty() => Ok(entries.into_iter().collect()),
        Ok(_) => Err(wrong("the parameters are not one map".to_owned())),
        Err(error) => Err(wrong(format!("the parameters cannot be read: {error}"))),
    }
}

/// A statement that has run.
pub(crate) struct Ran<R: Replication> {
    /// The transaction it ran in; after an error it is as it was before.
    pub(crate) transaction: Transaction<ReadOf<R>>,
    pub(crate) result: Result<Summary, QueryError>,
    /// The rows that wait for the commit, when they were to be held.
    pub(crate) held: Option<Vec<Rows>>,
}

impl<R: Replication> Pipeline<R> {
    /// Runs a statement. Rows are streamed, or with `hold` kept until the caller has committed. A statement that only creates what it names,
    /// or that has been short lately, runs right here: that takes less time than waking a thread.
    pub(crate) async fn run(
        &self,
        plan: Arc<Plan>,
        transaction: Transaction<ReadOf<R>>,
        request: &Request,
        out: &OutputSender,
        hold: bool,
    ) -> Result<Ran<R>, QueryError> {
        let access = match self.access(&request.user) {
            Ok(access) => access,
            Err(refused) => {
                return Ok(Ran {
                    transaction,
                    result: Err(refused),
                    held: None,
                });
            }
        };
        // Dropped with this call: then the statement stops too.
        let registered = self
            .queries
            .begin(plan.text(), &access.user, request.session.graph());
        let small = request.params_bytes <= SHORT_PARAMS_BYTES;
        let bounded = small && hold && plan.is_short();
        let mut work = self.work(plan, transaction, request, access, &registered);
        if bounded || (small && work.plan.has_been_short()) {
            registered.started();
            let deadline = if bounded {
                request.deadline
            } else {
                request.deadline.min(Instant::now() + PATIENCE)
            };
            let ran = catch_unwind(AssertUnwindSafe(|| work.run(Destination::hold(), deadline)));
            let (result, held) = ran.map_err(|_| internal("the statement broke the executor"))?;
            // What does not end in time, or returns much, is not what it was: it begins again on a thread, which decides.
            let given_up = !bounded && matches!(&result, Err(error) if error.class == ErrorClass::LimitError);
            if !given_up {
                let held = if hold {
                    Some(held)
                } else {
                    if result.is_ok() {
                        send_held(out, &work.plan, Some(held)).await;
                    }
                    None
                };
                return Ok(work.ran(result, held));
            }
        }
        let to = if hold {
            Destination::hold()
        } else {
            Destination::Stream {
                columns: Some(work.plan.columns().to_vec()),
                out: out.clone(),
                handle: Handle::current(),
                deadline: request.deadline,
            }
        };
        let deadline = request.deadline;
        let slot = tokio::time::timeout_at(deadline.into(), self.workers.clone().acquire_owned());
        let slot = tokio::select! {
            slot = slot => slot,
            () = registered.killed() => return Err(killed()),
        };
        registered.started();
        let Ok(Ok(slot)) = slot else {
            return Err(too_slow("too many statements run; no thread was free in time"));
        };
        let ran = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let (result, held) = work.run(to, deadline);
            work.ran(result, hold.then_some(held))
        })
        .await;
        drop(registered);
        ran.map_err(|error| internal(format!("the statement broke the executor: {error}")))
    }

    /// What a command of the session changes, with the transaction that it was looked up in.
    pub(crate) async fn session_change(
        &self,
        plan: Arc<Plan>,
        transaction: Transaction<ReadOf<R>>,
        request: &Request,
    ) -> Result<(Transaction<ReadOf<R>>, Result<SessionChange, QueryError>), QueryError> {
        let access = match self.access(&request.user) {
            Ok(access) => access,
            Err(refused) => return Ok((transaction, Err(refused))),
        };
        let registered = self
            .queries
            .begin(plan.text(), &access.user, request.session.graph());
        let mut work = self.work(plan, transaction, request, access, &registered);
        let deadline = request.deadline;
        let changed = tokio::task::spawn_blocking(move || {
            let change = work.session_change(deadline);
            (work.transaction, change)
        })
        .await;
        drop(registered);
        changed.map_err(|error| internal(format!("the statement broke the executor: {error}")))
    }

    fn work(
        &self,
        plan: Arc<Plan>,
        transaction: Transaction<ReadOf<R>>,
        request: &Request,
        access: Access,
        registered: &Registered,
    ) -> Work<R> {
        let most = self.limits.query_memory_bytes;
        let own = request
            .session
            .max_query_memory()
            .map(|own| usize::try_from(own).unwrap_or(usize::MAX));
        Work {
            plan,
            transaction,
            params: request.params.clone(),
            system: self.system.clone(),
            queries: self.queries.clone(),
            access,
            session: request.session.clone(),
            memory_bytes: own.map_or(most, |own| own.min(most)),
            cancel: registered.cancel(),
            meter: registered.meter(),
            now_micros: super::now_micros(),
        }
    }
}

/// A statement about to run, and all that it needs.
struct Work<R: Replication> {
    plan: Arc<Plan>,
    transaction: Transaction<ReadOf<R>>,
    params: Arc<Params>,
    system: Arc<dyn SystemTables + Send + Sync>,
    queries: Arc<Queries>,
    access: Access,
    session: Arc<SessionState>,
    memory_bytes: usize,
    cancel: Cancel,
    meter: Meter,
    now_micros: i64,
}

impl<R: Replication> Work<R> {
    /// Runs it, and notes how long that took. After an error the transaction is as it was before, so it can run again.
    fn run(&mut self, to: Destination, deadline: Instant) -> (Result<Summary, QueryError>, Vec<Rows>) {
        let mut sink = RowSink::new(to);
        let start = Instant::now();
        let plan = self.plan.clone();
        let result = self.within(deadline, |transaction, params, context| {
            geode_query::execute(&plan, transaction, params, context, &mut |rows| sink.take(rows))
        });
        plan.took(start.elapsed());
        if result.is_ok() {
            let _ = sink.send_columns();
        }
        match sink.stopped.take() {
            Some(reason) => (Err(reason), Vec::new()),
            None => (result, sink.into_held()),
        }
    }

    fn session_change(&mut self, deadline: Instant) -> Result<SessionChange, QueryError> {
        let plan = self.plan.clone();
        self.within(deadline, |transaction, params, context| {
            session_change(&plan, transaction, params, context)
        })
    }

    /// Hands out what a statement runs with.
    fn within<T>(
        &mut self,
        deadline: Instant,
        run: impl FnOnce(&mut Transaction<ReadOf<R>>, &Params, &Context<'_>) -> T,
    ) -> T {
        let tables = WithQueries {
            tables: &*self.system,
            queries: &self.queries,
            access: &self.access,
        };
        let context = Context {
            now_micros: self.now_micros,
            system: &tables,
            limits: Limits {
                deadline: Some(deadline),
                max_memory_bytes: self.memory_bytes,
                ..Limits::default()
            },
            cancel: self.cancel.clone(),
            meter: self.meter.clone(),
            helpers: Helpers::of_process(),
            session: &self.session,
            access: &self.access,
            hash_password: hash_in_turn,
        };
        run(&mut self.transaction, &self.params, &context)
    }

    fn ran(self, result: Result<Summary, QueryError>, held: Option<Vec<Rows>>) -> Ran<R> {
        Ran {
            transaction: self.transaction,
            result,
            held,
        }
    }
}
