//! The syntax tree: what was written, with spans, before anything is known about what it means.
//!
//! Chains of operators are lists, not towers (`a AND b AND c` is one node), so that a long statement is wide and never deep.

mod catalog;
mod expr;
mod mentions;
mod pattern;
mod schema;
mod session;
mod types;
mod users;

pub use catalog::{
    CatalogCommand, CatalogName, EdgeType, EndpointType, GraphRef, GraphTypeBody, GraphTypeSource, IfThere,
    NodeType, PropertyDefinition, SchemaRef,
};
pub use expr::{
    AccessStep, BinaryOp, CompareOp, Expr, ExprKind, Literal, LogicalOp, MapProjection, NormalForm,
    PatternComprehension, Predicate, Quantification, Reduction, StringOp, SubqueryKind, UnaryOp,
};
pub use mentions::Mentions;
pub use pattern::{
    Direction, EdgePattern, LabelExpr, NodePattern, PathGroup, PathMode, PathPattern, PathSearch, Quantifier,
};
pub use schema::{RuleDefinition, RuleKind, SchemaCommand};
pub use types::ValueType;
pub use users::{Action, Password, RightsClause, UserCommand};

pub use session::{SessionCommand, SessionLimit, SessionReset, SessionSetting, TransactionCommand};

use crate::Span;
use geode_types::ReadSetting;

/// A name as written, without its quotes.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The characters.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Reads or writes the graph, or reads a system table.
    Query(Query),
    /// Steers the session's transaction.
    Transaction(TransactionCommand),
    /// Names a moment of the database, or forgets it.
    Checkpoint(CheckpointCommand),
    /// The plan of a query instead of its rows.
    Explain(ExplainCommand, Query),
    /// Creates or drops an index or a constraint.
    Schema(SchemaCommand),
    /// Steers the session.
    Session(SessionCommand),
    /// Changes the catalog, one command after the other.
    Catalog(Vec<CatalogCommand>),
    /// Stops a statement of another session, by its id.
    KillQuery(String),
    /// Says how the session reads from now on.
    Reads(ReadSetting),
    /// Changes users, roles and rights.
    Users(UserCommand),
}

/// `EXPLAIN [JSON] query`, `PROFILE [JSON] query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainCommand {
    /// The query is run, and what each operator did is told.
    pub profile: bool,
    /// The plan is one JSON text instead of rows.
    pub json: bool,
}

/// `CREATE CHECKPOINT 'name'`, `DROP CHECKPOINT 'name'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointCommand {
    /// `CREATE`.
    Create(String),
    /// `DROP`.
    Drop(String),
}

/// Linear queries joined by UNION, EXCEPT, INTERSECT or OTHERWISE.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The first operand.
    pub first: LinearQuery,
    /// The others, each with what joins it to those before.
    pub rest: Vec<(SetOperator, LinearQuery)>,
}

/// How two results become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetOperator {
    /// Which.
    pub operation: SetOperation,
    /// Where.
    pub span: Span,
}

/// The operations on two results (ISO/IEC 39075, 14.2). With `ALL` rows count as often as they occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperation {
    /// The rows of both.
    Union {
        /// `ALL`.
        all: bool,
    },
    /// The rows of the first that are not in the second.
    Except {
        /// `ALL`.
        all: bool,
    },
    /// The rows that are in both.
    Intersect {
        /// `ALL`.
        all: bool,
    },
    /// The rows of the first, or of the second when there are none.
    Otherwise,
}

impl SetOperation {
    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Union { all: false } => "UNION",
            Self::Union { all: true } => "UNION ALL",
            Self::Except { all: false } => "EXCEPT",
            Self::Except { all: true } => "EXCEPT ALL",
            Self::Intersect { all: false } => "INTERSECT",
            Self::Intersect { all: true } => "INTERSECT ALL",
            Self::Otherwise => "OTHERWISE",
        }
    }
}

/// Clauses, each working on the rows of the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearQuery {
    /// In the order written.
    pub clauses: Vec<Clause>,
    /// Where.
    pub span: Span,
}

/// One clause and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What it does.
    pub kind: ClauseKind,
    /// Its keyword.
    pub span: Span,
}

/// What a clause does.
#[derive(Clone, Debug, PartialEq)]
pub enum ClauseKind {
    /// `[OPTIONAL] MATCH patterns [WHERE condition]`.
    Match {
        /// Rows without a match stay, with nulls.
        optional: bool,
        /// `REPEATABLE ELEMENTS`: an edge may be matched more than once.
        repeatable: bool,
        /// Joined by commas.
        patterns: Vec<PathPattern>,
        /// `WHERE`.
        condition: Option<Expr>,
    },
    /// `FILTER [WHERE] condition`.
    Filter(Expr),
    /// `LET x = expression, …`.
    Let(Vec<(Name, Expr)>),
    /// `FOR x IN list [WITH ORDINALITY | OFFSET i]`, `UNWIND list AS x`.
    For {
        /// The variable for each element.
        variable: Name,
        /// What is taken apart.
        list: Expr,
        /// The element's number, and whether counting starts at 0 (OFFSET) or 1 (ORDINALITY).
        counter: Option<Counter>,
    },
    /// `WITH …`, or `RETURN … NEXT`: rows for the next clause.
    With(Projection),
    /// `RETURN …`: rows for the caller.
    Return(Projection),
    /// `FINISH`: no rows for the caller.
    Finish,
    /// `USE graph`: the clauses behind it work on that graph.
    Use(GraphRef),
    /// `AT schema`: names of graphs behind it are looked up there.
    At(SchemaRef),
    /// A system table as rows, its columns as variables: the `FROM` of a `SELECT`.
    Table(Vec<Name>),
    /// `CALL name(arguments) YIELD …`.
    CallProcedure(ProcedureCall),
    /// `[OPTIONAL] CALL (variables) { query }`: the query's rows for each row.
    CallQuery {
        /// Rows without one stay, with nulls.
        optional: bool,
        /// The variables that the query sees; without a list the dialect decides.
        variables: Option<Vec<Name>>,
        /// The query.
        query: Box<Query>,
    },
    /// `FOREACH (variable IN list | clauses)`: clauses that write, for each element (Cypher).
    Foreach {
        /// The element.
        variable: Name,
        /// What is taken apart.
        list: Expr,
        /// What is done.
        clauses: Vec<Clause>,
    },
    /// A composite query between two NEXT: all rows go in, its result comes out.
    Composite(Box<Query>),
    /// `INSERT` or `CREATE`.
    Insert(Vec<PathPattern>),
    /// `MERGE pattern [ON CREATE SET …] [ON MATCH SET …]`.
    Merge {
        /// What is matched, or created.
        pattern: PathPattern,
        /// After creating.
        on_create: Vec<SetItem>,
        /// After matching.
        on_match: Vec<SetItem>,
    },
    /// `SET …`.
    Set(Vec<SetItem>),
    /// `REMOVE …`.
    Remove(Vec<RemoveItem>),
    /// `[DETACH | NODETACH] DELETE …`.
    Delete {
        /// Edges of deleted nodes go too.
        detach: bool,
        /// What is deleted.
        targets: Vec<Expr>,
    },
}

/// A call of a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcedureCall {
    /// Its parts, with dots between them.
    pub name: Vec<Name>,
    /// Between the parentheses; without parentheses the parameters of the same names are passed.
    pub arguments: Option<Vec<Expr>>,
    /// `YIELD`.
    pub yields: Option<Yield>,
    /// Where.
    pub span: Span,
}

/// What of a procedure's results is taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Yield {
    /// `*`, and where.
    All(Span),
    /// Columns, under other names or not, and which rows.
    Items(Vec<(Name, Option<Name>)>, Option<Expr>),
}

/// `WITH ORDINALITY i` or `WITH OFFSET i`.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    /// The variable.
    pub variable: Name,
    /// The number of the first element: 1 for ORDINALITY, 0 for OFFSET.
    pub first: i64,
}

/// What `WITH`, `RETURN` and `SELECT` make of their rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    /// Equal rows once.
    pub distinct: bool,
    /// `*`: all variables, before the items.
    pub star: Option<Span>,
    /// The columns.
    pub items: Vec<ProjectionItem>,
    /// `HAVING`: which groups.
    pub having: Option<Expr>,
    /// `GROUP BY`; `None` groups by every item without an aggregate.
    pub group_by: Option<Vec<Expr>>,
    /// `ORDER BY`.
    pub order_by: Vec<SortItem>,
    /// `OFFSET` or `SKIP`.
    pub offset: Option<Expr>,
    /// `LIMIT`.
    pub limit: Option<Expr>,
    /// `WHERE` after `WITH`.
    pub condition: Option<Expr>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectionItem {
    /// Its value.
    pub expr: Expr,
    /// `AS name`.
    pub alias: Option<Name>,
}

/// One key of `ORDER BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct SortItem {
    /// The key.
    pub expr: Expr,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST` or `NULLS LAST`; without it nulls count as the largest values.
    pub nulls_first: Option<bool>,
}

/// One assignment of `SET`.
#[derive(Clone, Debug, PartialEq)]
pub enum SetItem {
    /// `x.name = value`.
    Property {
        /// The node or edge.
        target: Expr,
        /// The property.
        key: Name,
        /// Its new value.
        value: Expr,
    },
    /// `x = map` or `x += map`.
    Properties {
        /// The node or edge.
        target: Name,
        /// The new properties.
        value: Expr,
        /// `+=`: the others stay.
        merge: bool,
    },
    /// `x:A:B` or `x IS A & B`.
    Labels {
        /// The node.
        target: Name,
        /// The labels.
        labels: Vec<Name>,
    },
}

/// One item of `REMOVE`.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoveItem {
    /// `x.name`.
    Property {
        /// The node or edge.
        target: Expr,
        /// The property.
        key: Name,
    },
    /// `x:A:B`.
    Labels {
        /// The node.
        target: Name,
        /// The labels.
        labels: Vec<Name>,
    },
}
