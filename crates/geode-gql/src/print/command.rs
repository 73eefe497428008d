//! Commands of sessions, of the catalog, of indexes and constraints.

use super::expr::quoted;
use super::names::{Bare, Key, Parameter};
use super::{Joined, Opt, each};
use crate::ast::{
    CatalogCommand, CatalogName, EdgeType, EndpointType, GraphRef, GraphTypeBody, GraphTypeSource, IfThere,
    Name, NodeType, PropertyDefinition, RuleDefinition, RuleKind, SchemaCommand, SchemaRef, SessionCommand,
    SessionReset, SessionSetting, TransactionCommand,
};
use std::fmt::{self, Display, Formatter};

impl Display for TransactionCommand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { read_only: false } => f.write_str("START TRANSACTION"),
            Self::Begin { read_only: true } => f.write_str("START TRANSACTION READ ONLY"),
            Self::Commit => f.write_str("COMMIT"),
            Self::Rollback => f.write_str("ROLLBACK"),
            Self::Savepoint(name) => write!(f, "SAVEPOINT {}", Bare(name)),
            Self::RollbackTo(name) => write!(f, "ROLLBACK TO SAVEPOINT {}", Bare(name)),
            Self::Release(name) => write!(f, "RELEASE SAVEPOINT {}", Bare(name)),
        }
    }
}

impl Display for SessionCommand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(setting) => write!(f, "SET {setting}"),
            Self::Reset(reset) => write!(f, "RESET{reset}"),
            Self::Close => f.write_str("CLOSE"),
        }
    }
}

impl Display for SessionSetting {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(schema) => write!(f, "SCHEMA {schema}"),
            Self::Graph(graph) => write!(f, "GRAPH {graph}"),
            Self::TimeZone { zone, .. } => write!(f, "TIME ZONE {}", quoted(zone)),
            Self::Value {
                name,
                if_not_exists,
                value,
            } => {
                let keep = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                write!(f, "VALUE {keep}{} = {value}", Parameter(&name.text))
            }
            Self::Limit { limit, value } => write!(f, "{} = {value}", limit.name()),
        }
    }
}

impl Display for SessionReset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => Ok(()),
            Self::Parameters => f.write_str(" PARAMETERS"),
            Self::Parameter(name) => write!(f, " PARAMETER {}", Parameter(name)),
            Self::Schema => f.write_str(" SCHEMA"),
            Self::Graph => f.write_str(" GRAPH"),
            Self::TimeZone => f.write_str(" TIME ZONE"),
            Self::Limit(limit) => write!(f, " {}", limit.name()),
        }
    }
}

impl Display for SchemaCommand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(rule) => write!(f, "{rule}"),
            Self::Drop {
                constraint,
                name,
                if_exists,
            } => {
                let object = if *constraint { "CONSTRAINT" } else { "INDEX" };
                let condition = if *if_exists { " IF EXISTS" } else { "" };
                write!(f, "DROP {object} {name}{condition}")
            }
        }
    }
}

impl Display for RuleDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_index = self.kind == RuleKind::Index;
        f.write_str(if is_index {
            "CREATE INDEX"
        } else {
            "CREATE CONSTRAINT"
        })?;
        write!(f, "{}", Opt(" ", self.name.as_ref()))?;
        f.write_str(if self.if_not_exists { " IF NOT EXISTS" } else { "" })?;
        let word = if is_index { "ON" } else { "REQUIRE" };
        write!(f, " FOR (n:{}) {word} (", Key(&self.label.text))?;
        each(&self.keys, ", ", f, |key, f| write!(f, "n.{}", Key(&key.text)))?;
        f.write_str(")")?;
        match &self.kind {
            RuleKind::Index => Ok(()),
            RuleKind::Unique => f.write_str(" IS UNIQUE"),
            RuleKind::NodeKey => f.write_str(" IS NODE KEY"),
            RuleKind::NotNull => f.write_str(" IS NOT NULL"),
            RuleKind::Typed(value_type) => write!(f, " IS TYPED {value_type}"),
        }
    }
}

impl Display for SchemaRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("HOME_SCHEMA"),
            Self::Current => f.write_str("CURRENT_SCHEMA"),
            Self::Absolute(names) => write!(f, "/{}", Joined(names, "/")),
            Self::Relative { up, down } => {
                write!(f, "{}", Joined(&vec![".."; *up], "/"))?;
                down.iter().try_for_each(|name| write!(f, "/{name}"))
            }
        }
    }
}

impl Display for CatalogName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.schema {
            None => {}
            // Two slashes begin a comment.
            Some(SchemaRef::Absolute(names)) if names.is_empty() => f.write_str("/")?,
            Some(schema) => write!(f, "{schema}/")?,
        }
        write!(f, "{}", self.name)
    }
}

impl Display for GraphRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("HOME_GRAPH"),
            Self::Current => f.write_str("CURRENT_GRAPH"),
            Self::Named(name) => write!(f, "{name}"),
        }
    }
}

impl Display for CatalogCommand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = |if_exists: &bool| if *if_exists { " IF EXISTS" } else { "" };
        match self {
            Self::CreateSchema { schema, keep, .. } => {
                let keep = if *keep { " IF NOT EXISTS" } else { "" };
                write!(f, "CREATE SCHEMA{keep} {schema}")
            }
            Self::DropSchema {
                schema, if_exists, ..
            } => write!(f, "DROP SCHEMA{} {schema}", exists(if_exists)),
            Self::CreateGraph {
                name,
                if_there,
                graph_type,
                copy_of,
            } => {
                let (replace, keep) = words(*if_there);
                write!(f, "CREATE{replace} GRAPH{keep} {name} ")?;
                match graph_type {
                    GraphTypeSource::Open => f.write_str("ANY")?,
                    GraphTypeSource::Named(name) => write!(f, "TYPED {name}")?,
                    GraphTypeSource::Like(graph) => write!(f, "LIKE {graph}")?,
                    GraphTypeSource::Closed(body) => write!(f, "{body}")?,
                }
                write!(f, "{}", Opt(" AS COPY OF ", copy_of.as_ref()))
            }
            Self::DropGraph { name, if_exists } => write!(f, "DROP GRAPH{} {name}", exists(if_exists)),
            Self::CreateGraphType {
                name,
                if_there,
                source,
            } => {
                let (replace, keep) = words(*if_there);
                write!(f, "CREATE{replace} GRAPH TYPE{keep} {name} ")?;
                match source {
                    GraphTypeSource::Open => f.write_str("{}"),
                    GraphTypeSource::Named(name) => write!(f, "COPY OF {name}"),
                    GraphTypeSource::Like(graph) => write!(f, "LIKE {graph}"),
                    GraphTypeSource::Closed(body) => write!(f, "{body}"),
                }
            }
            Self::DropGraphType { name, if_exists } => {
                write!(f, "DROP GRAPH TYPE{} {name}", exists(if_exists))
            }
        }
    }
}

/// Behind CREATE, and behind the kind of object.
fn words(if_there: IfThere) -> (&'static str, &'static str) {
    match if_there {
        IfThere::Fail => ("", ""),
        IfThere::Keep => ("", " IF NOT EXISTS"),
        IfThere::Replace => (" OR REPLACE", ""),
    }
}

impl Display for GraphTypeBody {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let between = if self.nodes.is_empty() || self.edges.is_empty() {
            ""
        } else {
            ", "
        };
        write!(
            f,
            "{{{}{between}{}}}",
            Joined(&self.nodes, ", "),
            Joined(&self.edges, ", ")
        )
    }
}

impl Display for NodeType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "NODE{} (", Opt(" TYPE ", self.name.as_ref()))?;
        write!(f, "{}{}", Opt("", self.alias.as_ref()), Labels(&self.labels))?;
        write!(f, "{})", Properties(&self.properties))
    }
}

impl Display for EdgeType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "EDGE{} ", Opt(" TYPE ", self.name.as_ref()))?;
        let label = Key(&self.label.text);
        write!(
            f,
            "({})-[:{label}{}]->",
            self.source,
            Properties(&self.properties)
        )?;
        write!(f, "({})", self.target)
    }
}

impl Display for EndpointType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "{name}"),
            Self::Labels(labels, _) => write!(f, "{}", Labels(labels)),
        }
    }
}

/// `:A&B`, or nothing.
struct Labels<'a>(&'a [Name]);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { ":" })?;
        each(self.0, "&", f, |label, f| write!(f, "{}", Key(&label.text)))
    }
}

/// ` {name :: type, …}`, or nothing.
struct Properties<'a>(&'a [PropertyDefinition]);

impl Display for Properties<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str(" {")?;
        each(self.0, ", ", f, |property, f| {
            write!(f, "{} :: {}", Key(&property.name.text), property.value_type)
        })?;
        f.write_str("}")
    }
}
