//! From text to rows: bind → logical plan → physical plan → batches.
//!
//! [`prepare`] reads and binds a statement; the result depends on no parameter's value and no catalog, so it can be cached by text
//! and dialect. [`execute`] chooses a physical plan from the counts in the transaction's snapshot and runs it in batches. Writes go into
//! the [`Transaction`]'s buffer. This crate knows no network, no session and no replication.

mod aggregate;
mod bind;
mod catalog;
mod datum;
mod error;
mod exec;
mod expr;
mod function;
mod names;
mod needs;
mod number;
mod plan;
mod schema;
mod semantics;
mod session;
mod system;
mod types;
mod users;

pub use exec::{
    Cancel, Context, DEFAULT_BATCH_ROWS, DEFAULT_MAX_MEMORY_BYTES, DEFAULT_MAX_ROWS_BUFFERED,
    DEFAULT_PARALLEL_NODES, Helpers, Limits, Meter, Params, killed,
};
pub use geode_gql::Dialect;
pub use geode_gql::ast::{SessionReset, TransactionCommand};
pub use needs::{Access, forbidden};
pub use session::{SessionChange, SessionState};
pub use system::{NoSystemTables, ParameterType, Signature, SystemTables};

use bind::BoundQuery;
use geode_gql::Statement;
use geode_gql::ast::{
    CatalogCommand, CheckpointCommand, Clause, ClauseKind, ExplainCommand, Expr, LinearQuery, Projection,
    ProjectionItem, Query, SchemaCommand, SessionCommand, SessionSetting, UserCommand,
};
use geode_graph::{GraphId, Transaction};
use geode_store::ReadTxn;
use geode_types::{ErrorClass, QueryError, ReadSetting, Summary, Value};
use needs::Needs;
use plan::explain::PlanNode;
use std::ops::ControlFlow;

/// What a statement needs from its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It reads the graph.
    Read,
    /// It may change the graph.
    Write,
    /// It steers the transaction; the session carries it out, [`execute`] refuses it.
    TransactionControl(TransactionCommand),
    /// It steers the session: see [`session_change`].
    Session,
    /// It stops the statement of this id; the server carries it out.
    KillQuery(String),
    /// It says how the session reads; the session takes it over.
    Reads(ReadSetting),
    /// It reads a system table of the member that runs it.
    System,
}

/// A statement ready to run, any number of times.
#[derive(Debug)]
pub struct Prepared {
    text: String,
    kind: Kind,
    body: Body,
    needs: Needs,
}

#[derive(Debug)]
enum Body {
    Query(Box<BoundQuery>),
    Checkpoint(CheckpointCommand),
    Schema(SchemaCommand),
    Explain(Box<Explanation>),
    Catalog(Vec<CatalogCommand>),
    Users(UserCommand),
    /// The command, and the query for its value.
    Session(SessionCommand, Option<Box<BoundQuery>>),
    /// The session carries it out.
    Transaction,
}

/// A query whose plan is wanted instead of its rows.
#[derive(Debug)]
struct Explanation {
    query: BoundQuery,
    command: ExplainCommand,
    columns: Vec<String>,
}

impl Explanation {
    fn new(query: BoundQuery, command: ExplainCommand) -> Self {
        let columns: &[&str] = match command {
            ExplainCommand { json: true, .. } => &["plan"],
            ExplainCommand { profile: true, .. } => &["operator", "rows", "hits", "time_us", "memory_bytes"],
            ExplainCommand { .. } => &["operator"],
        };
        Self {
            query,
            command,
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        }
    }
}

impl Prepared {
    /// What it needs from its session.
    pub fn kind(&self) -> Kind {
        self.kind.clone()
    }

    /// The names of the result's columns; empty when nothing is returned.
    pub fn columns(&self) -> &[String] {
        match &self.body {
            Body::Query(query) => &query.plan.columns,
            Body::Explain(explanation) => &explanation.columns,
            _ => &[],
        }
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
        matches!(&self.body, Body::Query(query) if query.plan.is_short())
    }

    fn query(&self) -> Option<&BoundQuery> {
        match &self.body {
            Body::Query(query) | Body::Session(_, Some(query)) => Some(query),
            Body::Explain(explanation) => Some(&explanation.query),
            Body::Checkpoint(_)
            | Body::Schema(_)
            | Body::Catalog(_)
            | Body::Users(_)
            | Body::Session(_, None)
            | Body::Transaction => None,
        }
    }

    /// Whether it sets a password: such a statement takes its time, and its text is nothing to keep.
    pub fn sets_password(&self) -> bool {
        matches!(
            &self.body,
            Body::Users(UserCommand::CreateUser { .. } | UserCommand::SetPassword { .. })
        )
    }

    /// The statement as written, but for a password that stands in it.
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
        Statement::Explain(command, query) => {
            let bound = bind::bind(&query, text, dialect, system)?;
            let kind = match (command.profile && bound.plan.writes, bound.system) {
                (true, _) => Kind::Write,
                (false, true) => Kind::System,
                (false, false) => Kind::Read,
            };
            (kind, Body::Explain(Box::new(Explanation::new(bound, command))))
        }
        Statement::Catalog(commands) => (Kind::Write, Body::Catalog(commands)),
        Statement::Users(command) => (Kind::Write, Body::Users(command)),
        Statement::KillQuery(id) => (Kind::KillQuery(id), Body::Transaction),
        Statement::Reads(setting) => (Kind::Reads(setting), Body::Transaction),
        Statement::Session(command) => {
            let value = match &command {
                SessionCommand::Set(
                    SessionSetting::Value { value, .. } | SessionSetting::Limit { value, .. },
                ) => Some(Box::new(bind::bind(&returning(value), text, dialect, system)?)),
                _ => None,
            };
            (Kind::Session, Body::Session(command, value))
        }
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
    // Where a password is, the text is another one, and no error may point into it.
    let text = match &body {
        Body::Users(command) if command.has_password() => command.redacted().to_string(),
        _ => text.to_owned(),
    };
    Ok(Prepared {
        text,
        kind,
        needs: Needs::of(&body),
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
    prepared.needs.check(&prepared.text, transaction, context)?;
    let graph = match &prepared.body {
        Body::Checkpoint(_) | Body::Catalog(_) | Body::Users(_) => GraphId::HOME,
        _ => catalog::session_graph(context.session, transaction)?,
    };
    transaction.use_graph(graph);
    match &prepared.body {
        Body::Query(query) => atomically(query.plan.writes, transaction, |transaction| {
            let (plan, wanted) = (&query.plan, &query.params);
            exec::run(plan, &prepared.text, wanted, transaction, params, context, sink)
        }),
        Body::Explain(explained) if explained.command.profile => {
            let mut nodes = Vec::new();
            let summary = atomically(explained.query.plan.writes, transaction, |transaction| {
                let (plan, wanted) = (&explained.query.plan, &explained.query.params);
                nodes = exec::profile(plan, &prepared.text, wanted, transaction, params, context)?;
                Ok(())
            })?;
            show(explained, &nodes, sink);
            Ok(summary)
        }
        Body::Explain(explained) => {
            let query = &explained.query;
            let nodes = exec::explain(&query.plan, &query.params, transaction, params, context)?;
            show(explained, &nodes, sink);
            Ok(Summary::default())
        }
        Body::Checkpoint(command) => checkpoint(command, transaction),
        Body::Schema(_) if !graph.is_home() => Err(only_the_home_graph()),
        Body::Schema(command) => change_schema(command, transaction),
        Body::Catalog(commands) => atomically(true, transaction, |transaction| {
            catalog::run(commands, &prepared.text, transaction, context)
        }),
        Body::Users(command) => atomically(true, transaction, |transaction| {
            users::carry_out(command, &prepared.text, transaction, params, context)
        }),
        Body::Session(..) | Body::Transaction => Err(not_a_query()),
    }
}

/// Runs a statement; when it fails or leaves a constraint broken, what it has written is taken back.
fn atomically<R: ReadTxn>(
    writes: bool,
    transaction: &mut Transaction<R>,
    run: impl FnOnce(&mut Transaction<R>) -> Result<(), QueryError>,
) -> Result<Summary, QueryError> {
    if !writes {
        return run(transaction).map(|()| Summary::default());
    }
    refuse_read_only(transaction)?;
    let before = exec::summary(transaction);
    let savepoint = transaction.savepoint();
    let result = run(transaction).and_then(|()| {
        transaction.check_constraints(&savepoint)?;
        Ok(transaction.check_types(&savepoint)?)
    });
    if result.is_err() {
        transaction.rollback_to(&savepoint);
    }
    result.map(|()| difference(exec::summary(transaction), before))
}

/// Hands a plan to the caller. What becomes of so few rows does not matter any more.
fn show(
    explained: &Explanation,
    nodes: &[PlanNode],
    sink: &mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
) {
    let mut rows = Vec::new();
    if explained.command.json {
        rows.push(vec![Value::String(plan::explain::json(nodes))]);
    } else {
        plan::explain::rows(nodes, 0, explained.command.profile, &mut rows);
    }
    let _ = sink(rows);
}

/// What a command of the session changes, which may need the graph: names are looked up, values computed.
pub fn session_change<R: ReadTxn>(
    prepared: &Prepared,
    transaction: &mut Transaction<R>,
    params: &Params,
    context: &Context<'_>,
) -> Result<SessionChange, QueryError> {
    let Body::Session(command, query) = &prepared.body else {
        return Err(not_a_query());
    };
    prepared.needs.check(&prepared.text, transaction, context)?;
    let mut value = None;
    if let Some(query) = query {
        let graph = catalog::session_graph(context.session, transaction)?;
        transaction.use_graph(graph);
        let mut take = |rows: Vec<Vec<Value>>| {
            value = rows.into_iter().flatten().next();
            ControlFlow::Continue(())
        };
        let (plan, text) = (&query.plan, &prepared.text);
        exec::run(plan, text, &query.params, transaction, params, context, &mut take)?;
    }
    session::change(command, &prepared.text, value, transaction, context)
}

/// Sets, returns to or forgets a savepoint of an open transaction.
pub fn savepoint<R: ReadTxn>(
    command: &TransactionCommand,
    transaction: &mut Transaction<R>,
) -> Result<(), QueryError> {
    match command {
        TransactionCommand::Savepoint(name) => transaction.set_savepoint(name)?,
        TransactionCommand::RollbackTo(name) => transaction.rollback_to_savepoint(name)?,
        TransactionCommand::Release(name) => transaction.release_savepoint(name)?,
        TransactionCommand::Begin { .. } | TransactionCommand::Commit | TransactionCommand::Rollback => {
            return Err(not_a_query());
        }
    }
    Ok(())
}

fn only_the_home_graph() -> QueryError {
    let message = "indexes and constraints are about the home graph, and the session works on another one";
    let status = geode_gql::NOT_SUPPORTED;
    QueryError::runtime(ErrorClass::SemanticError, "UnsupportedFeature", status, message)
        .hint("SESSION RESET GRAPH, then again")
}

/// `RETURN value`.
fn returning(value: &Expr) -> Query {
    let item = ProjectionItem {
        expr: value.clone(),
        alias: None,
    };
    let projection = Projection {
        items: vec![item],
        ..Projection::default()
    };
    let clause = Clause {
        kind: ClauseKind::Return(projection),
        span: value.span,
    };
    Query {
        first: LinearQuery {
            clauses: vec![clause],
            span: value.span,
        },
        rest: Vec::new(),
    }
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
    let mut out = String::new();
    let nodes = exec::explain(
        &query.plan,
        &query.params,
        transaction,
        params,
        &Context::default(),
    )?;
    plan::explain::text(&nodes, 0, &mut out);
    Ok(out)
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
