//! Catalog statements: names become paths, paths become changes of the catalog in the statement's transaction.

mod copy;
mod graph_type;
mod paths;
mod tables;

pub(crate) use paths::{GraphChoice, graph_path, schema_path};
pub(crate) use tables::{NAMES, columns, rows};

use crate::exec::Context;
use crate::session::SessionState;
use geode_gql::ast::{CatalogCommand, CatalogName, GraphRef, GraphTypeSource, IfThere, SchemaRef};
use geode_gql::{Source, Span};
use geode_graph::{GraphError, GraphId, GraphType, Object, ObjectKind, Transaction};
use geode_store::ReadTxn;
use geode_types::{ErrorClass, QueryError};
use paths::{ROOT, catalog_path, object_path};

/// Where statements begin: the session's graph. None when that graph has been dropped since it was chosen.
pub(crate) fn session_graph<R: ReadTxn>(
    session: &SessionState,
    transaction: &Transaction<R>,
) -> Result<GraphId, QueryError> {
    let Some(path) = session.graph() else {
        return Ok(GraphId::HOME);
    };
    transaction
        .graph_named(path)
        .map(|graph| graph.id)
        .map_err(|error| {
            QueryError::from(error).hint(
                "the session's graph is gone; choose another one: SESSION SET GRAPH, SESSION RESET GRAPH",
            )
        })
}

/// Runs catalog statements, one after the other.
pub(crate) fn run<R: ReadTxn>(
    commands: &[CatalogCommand],
    text: &str,
    transaction: &mut Transaction<R>,
    context: &Context<'_>,
) -> Result<(), QueryError> {
    let mut change = Change {
        transaction,
        context,
        source: Source::new(text),
    };
    commands.iter().try_for_each(|command| change.run(command))
}

struct Change<'a, R> {
    transaction: &'a mut Transaction<R>,
    context: &'a Context<'a>,
    source: Source<'a>,
}

impl<R: ReadTxn> Change<'_, R> {
    fn run(&mut self, command: &CatalogCommand) -> Result<(), QueryError> {
        match command {
            CatalogCommand::CreateSchema { schema, span, keep } => self.create_schema(schema, *span, *keep),
            CatalogCommand::DropSchema {
                schema,
                span,
                if_exists,
            } => self.drop_schema(schema, *span, *if_exists),
            CatalogCommand::CreateGraph {
                name,
                if_there,
                graph_type,
                copy_of,
            } => self.create_graph(name, *if_there, graph_type, copy_of.as_ref()),
            CatalogCommand::DropGraph { name, if_exists } => self.drop(ObjectKind::Graph, name, *if_exists),
            CatalogCommand::CreateGraphType {
                name,
                if_there,
                source,
            } => self.create_graph_type(name, *if_there, source),
            CatalogCommand::DropGraphType { name, if_exists } => {
                self.drop(ObjectKind::GraphType, name, *if_exists)
            }
        }
    }

    fn placed(&self, span: Span) -> impl Fn(GraphError) -> QueryError {
        let position = self.source.position(span);
        move |error| QueryError::from(error).at(position)
    }

    fn create_schema(&mut self, schema: &SchemaRef, span: Span, keep: bool) -> Result<(), QueryError> {
        let path = schema_path(schema, self.context.session.schema(), self.source, span)?;
        let there = path == ROOT || self.object(ObjectKind::Schema, &path, span)?.is_some();
        if there && keep {
            return Ok(());
        }
        if there {
            let kind = ObjectKind::Schema;
            return Err(self.placed(span)(GraphError::ObjectExists { kind, path }));
        }
        let put = self.transaction.put_object(&path, Object::Schema);
        put.map_err(self.placed(span))
    }

    fn drop_schema(&mut self, schema: &SchemaRef, span: Span, if_exists: bool) -> Result<(), QueryError> {
        let path = schema_path(schema, self.context.session.schema(), self.source, span)?;
        if path == ROOT {
            let message = "the root schema is always there";
            return Err(
                QueryError::compile(ErrorClass::SemanticError, "RootSchema", "42N08", message)
                    .at(self.source.position(span)),
            );
        }
        for kind in [ObjectKind::Schema, ObjectKind::Graph, ObjectKind::GraphType] {
            let below = format!("{path}/");
            let objects = self.transaction.objects(kind).map_err(self.placed(span))?;
            if objects.keys().any(|other| other.starts_with(&below)) {
                return Err(self.placed(span)(GraphError::SchemaNotEmpty(path)));
            }
        }
        self.drop_path(ObjectKind::Schema, path, span, if_exists)
    }

    fn drop(&mut self, kind: ObjectKind, name: &CatalogName, if_exists: bool) -> Result<(), QueryError> {
        let path = self.path(name)?;
        self.drop_path(kind, path, name.span, if_exists)
    }

    fn drop_path(
        &mut self,
        kind: ObjectKind,
        path: String,
        span: Span,
        if_exists: bool,
    ) -> Result<(), QueryError> {
        let dropped = self
            .transaction
            .drop_object(kind, &path)
            .map_err(self.placed(span))?;
        if dropped || if_exists {
            return Ok(());
        }
        Err(self.placed(span)(GraphError::ObjectNotFound { kind, path }))
    }

    fn create_graph(
        &mut self,
        name: &CatalogName,
        if_there: IfThere,
        source: &GraphTypeSource,
        copy_of: Option<&GraphRef>,
    ) -> Result<(), QueryError> {
        let Some(path) = self.free_path(ObjectKind::Graph, name, if_there)? else {
            return Ok(());
        };
        let original = match copy_of {
            Some(graph) => Some(self.graph(graph, name.span)?.0),
            None => None,
        };
        let graph_type = self.graph_type(source, name.span)?;
        let since = self.transaction.savepoint();
        let created = self.transaction.create_graph(&path, graph_type);
        let created = created.map_err(self.placed(name.span))?;
        let Some(original) = original else { return Ok(()) };
        copy::copy(self.transaction, original, created, self.context)?;
        self.transaction
            .check_types(&since)
            .map_err(self.placed(name.span))
    }

    fn create_graph_type(
        &mut self,
        name: &CatalogName,
        if_there: IfThere,
        source: &GraphTypeSource,
    ) -> Result<(), QueryError> {
        let Some(path) = self.free_path(ObjectKind::GraphType, name, if_there)? else {
            return Ok(());
        };
        let Some(graph_type) = self.graph_type(source, name.span)? else {
            let message = "an open graph has no type to copy: everything may be in it";
            return Err(
                QueryError::runtime(ErrorClass::SemanticError, "OpenGraph", "42N09", message)
                    .at(self.source.position(name.span))
                    .hint("write the element types: CREATE GRAPH TYPE t {(:Person {name STRING})}"),
            );
        };
        let put = self.transaction.put_object(&path, Object::GraphType(graph_type));
        put.map_err(self.placed(name.span))
    }

    /// The path for something new; none when something is there and stays.
    fn free_path(
        &mut self,
        kind: ObjectKind,
        name: &CatalogName,
        if_there: IfThere,
    ) -> Result<Option<String>, QueryError> {
        let (schema, path) = object_path(name, self.context.session.schema(), self.source)?;
        if schema != ROOT && self.object(ObjectKind::Schema, &schema, name.span)?.is_none() {
            let kind = ObjectKind::Schema;
            return Err(self.placed(name.span)(GraphError::ObjectNotFound {
                kind,
                path: schema,
            }));
        }
        let there = self.object(kind, &path, name.span)?.is_some();
        match if_there {
            IfThere::Keep if there => Ok(None),
            IfThere::Fail if there => Err(self.placed(name.span)(GraphError::ObjectExists { kind, path })),
            _ => Ok(Some(path)),
        }
    }

    fn object(&self, kind: ObjectKind, path: &str, span: Span) -> Result<Option<Object>, QueryError> {
        self.transaction.object(kind, path).map_err(self.placed(span))
    }

    fn path(&self, name: &CatalogName) -> Result<String, QueryError> {
        catalog_path(name, self.context.session.schema(), self.source)
    }

    fn graph(&self, graph: &GraphRef, span: Span) -> Result<(GraphId, Option<GraphType>), QueryError> {
        let (schema, current) = (self.context.session.schema(), self.context.session.graph());
        match graph_path(graph, schema, current, self.source)? {
            None => Ok((GraphId::HOME, None)),
            Some(path) => {
                let found = self.transaction.graph_named(&path).map_err(self.placed(span))?;
                Ok((found.id, found.graph_type))
            }
        }
    }

    fn graph_type(&self, source: &GraphTypeSource, span: Span) -> Result<Option<GraphType>, QueryError> {
        match source {
            GraphTypeSource::Open => Ok(None),
            GraphTypeSource::Like(graph) => Ok(self.graph(graph, span)?.1),
            GraphTypeSource::Closed(body) => graph_type::graph_type(body, self.source).map(Some),
            GraphTypeSource::Named(name) => {
                let path = self.path(name)?;
                match self.object(ObjectKind::GraphType, &path, name.span)? {
                    Some(Object::GraphType(graph_type)) => Ok(Some(graph_type)),
                    _ => {
                        let kind = ObjectKind::GraphType;
                        Err(self.placed(name.span)(GraphError::ObjectNotFound { kind, path }))
                    }
                }
            }
        }
    }
}
