//! Running a prepared statement in a transaction, on a thread of its own, as reading the store and evaluating expressions block; or right
//! here when it is known to be short.

use super::output::{Destination, RowSink};
use super::pace::{PATIENCE, Plan};
use super::refusal::{internal, too_slow};
use super::{OutputSender, Pipeline, ReadOf, Replication, send_held};
use geode_graph::Transaction;
use geode_query::{Cancel, Context, Dialect, Limits, Params, SystemTables};
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
    pub(crate) read: ReadMode,
    /// When the statement must have ended.
    pub(crate) deadline: Instant,
}

impl Request {
    /// Reads the message of a client. `longest` bounds the timeout that it asks for.
    pub(crate) fn from_wire(execute: Execute, longest: Duration) -> Result<Self, QueryError> {
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
            read: execute.read,
            deadline: Instant::now() + wanted.min(longest),
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

/// Stops the statement when its caller is gone.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
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
        let cancel = CancelOnDrop(Cancel::default());
        let small = request.params_bytes <= SHORT_PARAMS_BYTES;
        let bounded = small && hold && plan.is_short();
        let mut work = Work {
            plan,
            transaction,
            params: request.params.clone(),
            system: self.system.clone(),
            memory_bytes: self.limits.query_memory_bytes,
            cancel: cancel.0.clone(),
            now_micros: super::now_micros(),
        };
        if bounded || (small && work.plan.has_been_short()) {
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
        let slot = tokio::time::timeout_at(deadline.into(), self.workers.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(too_slow("too many statements run; no thread was free in time"));
        };
        let ran = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let (result, held) = work.run(to, deadline);
            work.ran(result, hold.then_some(held))
        })
        .await;
        drop(cancel);
        ran.map_err(|error| internal(format!("the statement broke the executor: {error}")))
    }
}

/// A statement about to run, and all that it needs.
struct Work<R: Replication> {
    plan: Arc<Plan>,
    transaction: Transaction<ReadOf<R>>,
    params: Arc<Params>,
    system: Arc<dyn SystemTables + Send + Sync>,
    memory_bytes: usize,
    cancel: Cancel,
    now_micros: i64,
}

impl<R: Replication> Work<R> {
    /// Runs it, and notes how long that took. After an error the transaction is as it was before, so it can run again.
    fn run(&mut self, to: Destination, deadline: Instant) -> (Result<Summary, QueryError>, Vec<Rows>) {
        let mut sink = RowSink::new(to);
        let context = Context {
            now_micros: self.now_micros,
            system: &*self.system,
            limits: Limits {
                deadline: Some(deadline),
                max_memory_bytes: self.memory_bytes,
                ..Limits::default()
            },
            cancel: self.cancel.clone(),
        };
        let start = Instant::now();
        let (plan, transaction) = (&self.plan, &mut self.transaction);
        let result = geode_query::execute(plan, transaction, &self.params, &context, &mut |rows| {
            sink.take(rows)
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

    fn ran(self, result: Result<Summary, QueryError>, held: Option<Vec<Rows>>) -> Ran<R> {
        Ran {
            transaction: self.transaction,
            result,
            held,
        }
    }
}
