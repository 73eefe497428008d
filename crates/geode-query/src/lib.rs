//! From text to rows: bind → logical plan → physical plan → batches.
//!
//! [`prepare`] reads and binds a statement; the result depends on no parameter's value and no catalog, so it can be cached by text
//! and dialect. [`execute`] chooses a physical plan from the counts in the transaction's snapshot and runs it in batches. Writes go into
//! the [`Transaction`]'s buffer. This crate knows no network, no session and no replication.

mod aggregate;
mod bind;
mod datum;
mod error;
mod exec;
mod expr;
mod function;
mod names;
mod number;
mod plan;
mod schema;
mod semantics;
mod system;
mod types;

pub use exec::{Cancel, Context, DEFAULT_MAX_MEMORY_BYTES, DEFAULT_MAX_ROWS_BUFFERED, Limits, Params};
pub use geode_gql::Dialect;
pub use geode_gql::ast::TransactionCommand;
pub use system::{NoSystemTables, ParameterType, Signature, SystemTables};

use bind::BoundQuery;
use geode_gql::Statement;
use geode_gql::ast::{CheckpointCommand, SchemaCommand};
use geode_graph::Transaction;
use geode_store::ReadTxn;
use geode_types::{ErrorClass, QueryError, Summary, Value};
use std::ops::ControlFlow;

/// What a statement needs from its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It reads the graph.
    Read,
    /// It may change the graph.
    Write,
    /// It steers the transaction; the session carries it out, [`execute`] refuses it.
    TransactionControl(TransactionCommand),
    /// It reads a system table of the member that runs it.
    System,
}

/// A statement ready to run, any number of times.
#[derive(Debug)]
pub struct Prepared {
    text: String,
    kind: Kind,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Query(Box<BoundQuery>),
    Checkpoint(CheckpointCommand),
    Schema(SchemaCommand),
    /// The session carries it out.
    Transaction,
}

impl Prepared {
    /// What it needs from its session.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The names of the result's columns; empty when nothing is returned.
    pub fn columns(&self) -> &[String] {
        self.query().map_or(&[], |query| &query.plan.columns)
    }

    /// The parameters that must be given.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.query()
            .into_iter()
            .flat_map(|query| query.params.iter().map(|param| param.name.as_ref()))
    }

    /// Whether it creates an index or a constraint, which is built after the commit when there are many nodes.
    pub fn creates_rule(&self) -> bool {
        matches!(&self.body, Body::Schema(SchemaCommand::Create(_)))
    }

    /// The name in the text of the index or constraint that it creates.
    pub fn rule_name(&self) -> Option<&str> {
        match &self.body {
            Body::Schema(SchemaCommand::Create(rule)) => rule.name.as_ref().map(|name| name.text.as_str()),
            _ => None,
        }
    }

    /// Whether it only creates what it names: no pattern is matched and no expression can take long, whatever is in the graph.
    pub fn is_short(&self) -> bool {
        self.query().is_some_and(|query| query.plan.is_short())
    }

    fn query(&self) -> Option<&BoundQuery> {
        match &self.body {
            Body::Query(query) => Some(query),
            Body::Checkpoint(_) | Body::Schema(_) | Body::Transaction => None,
        }
    }

    /// The statement as written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Reads and binds a statement.
pub fn prepare(text: &str, dialect: Dialect, system: &dyn SystemTables) -> Result<Prepared, QueryError> {
    let statement = geode_gql::parse(text, dialect)?;
    let (kind, body) = match statement {
        Statement::Transaction(command) => (Kind::TransactionControl(command), Body::Transaction),
        Statement::Checkpoint(command) => (Kind::Write, Body::Checkpoint(command)),
        Statement::Schema(command) => (Kind::Write, Body::Schema(command)),
        Statement::Query(query) => {
            let bound = bind::bind(&query, text, dialect, system)?;
            let kind = match (bound.plan.writes, bound.system) {
                (true, _) => Kind::Write,
                (false, true) => Kind::System,
                (false, false) => Kind::Read,
            };
            (kind, Body::Query(Box::new(bound)))
        }
    };
    Ok(Prepared {
        text: text.to_owned(),
        kind,
        body,
    })
}

/// Runs a statement in a transaction and hands its rows to `sink`, a batch at a time. When `sink` breaks, or anything fails, what the
/// statement has written is taken back and the transaction is as it was before, except for what was read.
pub fn execute<R: ReadTxn>(
    prepared: &Prepared,
    transaction: &mut Transaction<R>,
    params: &Params,
    context: &Context<'_>,
    sink: &mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
) -> Result<Summary, QueryError> {
    let query = match &prepared.body {
        Body::Query(query) => query,
        Body::Checkpoint(command) => return checkpoint(command, transaction),
        Body::Schema(command) => return change_schema(command, transaction),
        Body::Transaction => return Err(not_a_query()),
    };
    if query.plan.writes {
        refuse_read_only(transaction)?;
    }
    let before = exec::summary(transaction);
    let savepoint = query.plan.writes.then(|| transaction.savepoint());
    let result = exec::run(
        &query.plan,
        &prepared.text,
        &query.params,
        transaction,
        params,
        context,
        sink,
    );
    let result = match &savepoint {
        Some(savepoint) => result.and_then(|()| Ok(transaction.check_constraints(savepoint)?)),
        None => result,
    };
    if let (Err(_), Some(savepoint)) = (&result, &savepoint) {
        transaction.rollback_to(savepoint);
    }
    result.map(|()| difference(exec::summary(transaction), before))
}

fn checkpoint<R: ReadTxn>(
    command: &CheckpointCommand,
    transaction: &mut Transaction<R>,
) -> Result<Summary, QueryError> {
    refuse_read_only(transaction)?;
    match command {
        CheckpointCommand::Create(name) => transaction.create_checkpoint(name)?,
        CheckpointCommand::Drop(name) => {
            if !transaction.drop_checkpoint(name)? {
                let message = format!("there is no checkpoint {name:?}");
                return Err(QueryError::runtime(
                    ErrorClass::EntityNotFound,
                    "CheckpointNotFound",
                    "5GS02",
                    message,
                )
                .hint("SELECT name FROM system.checkpoints lists them"));
            }
        }
    }
    Ok(Summary::default())
}

fn change_schema<R: ReadTxn>(
    command: &SchemaCommand,
    transaction: &mut Transaction<R>,
) -> Result<Summary, QueryError> {
    refuse_read_only(transaction)?;
    let savepoint = transaction.savepoint();
    let result = schema::carry_out(command, transaction);
    if result.is_err() {
        transaction.rollback_to(&savepoint);
    }
    result.map(|()| Summary::default())
}

fn refuse_read_only<R: ReadTxn>(transaction: &Transaction<R>) -> Result<(), QueryError> {
    if !transaction.is_read_only() {
        return Ok(());
    }
    let message = "the statement writes, and the transaction is read-only";
    Err(
        QueryError::runtime(ErrorClass::SemanticError, "ReadOnlyTransaction", "25G03", message)
            .hint("use START TRANSACTION READ WRITE, or send the statement outside of the transaction"),
    )
}

/// The physical plan for this transaction's snapshot, one operator a line.
pub fn explain<R: ReadTxn>(
    prepared: &Prepared,
    transaction: &mut Transaction<R>,
    params: &Params,
) -> Result<String, QueryError> {
    let Some(query) = prepared.query() else {
        return Err(not_a_query());
    };
    exec::explain(&query.plan, &query.params, transaction, params)
}

fn not_a_query() -> QueryError {
    let message = "a transaction command is carried out by the session, not executed as a query";
    QueryError::runtime(ErrorClass::InternalError, "NotAQuery", "5GI05", message)
}

fn difference(after: Summary, before: Summary) -> Summary {
    Summary {
        nodes_created: after.nodes_created - before.nodes_created,
        nodes_deleted: after.nodes_deleted - before.nodes_deleted,
        edges_created: after.edges_created - before.edges_created,
        edges_deleted: after.edges_deleted - before.edges_deleted,
        properties_set: after.properties_set - before.properties_set,
        labels_added: after.labels_added - before.labels_added,
        labels_removed: after.labels_removed - before.labels_removed,
    }
}
