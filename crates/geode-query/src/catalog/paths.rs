//! Names of schemas and graphs → paths (ISO/IEC 39075 clauses 17.1 and 17.2). Pure.

use geode_gql::ast::{CatalogName, GraphRef, Name, SchemaRef};
use geode_gql::{Source, Span};
use geode_types::{ErrorClass, QueryError};

/// The path of the root, which is the home schema too.
pub(crate) const ROOT: &str = "/";

/// A graph as a plan names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GraphChoice {
    pub graph: GraphRef,
    /// What `AT` says in front.
    pub at: Option<SchemaRef>,
    pub span: Span,
}

fn invalid(message: impl Into<String>, source: Source<'_>, span: Span) -> QueryError {
    QueryError::compile(ErrorClass::SyntaxError, "InvalidName", "42002", message).at(source.position(span))
}

fn push(path: &mut String, name: &Name, source: Source<'_>) -> Result<(), QueryError> {
    if name.text.contains('/') || name.text == "." || name.text == ".." {
        let message = format!("{:?} cannot be a name in the catalog", name.text);
        return Err(invalid(message, source, name.span));
    }
    if path != ROOT {
        path.push('/');
    }
    path.push_str(&name.text);
    Ok(())
}

/// The path of a schema.
pub(crate) fn schema_path(
    schema: &SchemaRef,
    current: &str,
    source: Source<'_>,
    span: Span,
) -> Result<String, QueryError> {
    let (mut path, names): (String, &[Name]) = match schema {
        SchemaRef::Home => return Ok(ROOT.to_owned()),
        SchemaRef::Current => return Ok(current.to_owned()),
        SchemaRef::Absolute(names) => (ROOT.to_owned(), names),
        SchemaRef::Relative { up, down } => {
            let mut path = current.to_owned();
            for _ in 0..*up {
                if path == ROOT {
                    return Err(invalid(
                        format!("{current} has not that many schemas above it"),
                        source,
                        span,
                    ));
                }
                path.truncate(path.rfind('/').unwrap_or_default().max(ROOT.len()));
            }
            (path, down)
        }
    };
    for name in names {
        push(&mut path, name, source)?;
    }
    Ok(path)
}

/// The path of the schema that a name is in, and the whole path.
pub(super) fn object_path(
    name: &CatalogName,
    current: &str,
    source: Source<'_>,
) -> Result<(String, String), QueryError> {
    let schema = match &name.schema {
        None => current.to_owned(),
        Some(schema) => schema_path(schema, current, source, name.span)?,
    };
    let mut path = schema.clone();
    push(&mut path, &name.name, source)?;
    Ok((schema, path))
}

/// The path of a graph or graph type.
pub(super) fn catalog_path(
    name: &CatalogName,
    current: &str,
    source: Source<'_>,
) -> Result<String, QueryError> {
    object_path(name, current, source).map(|(_, path)| path)
}

/// The path of a graph; none for the home graph. `schema` and `graph` are the current ones.
pub(crate) fn graph_path(
    wanted: &GraphRef,
    schema: &str,
    graph: Option<&str>,
    source: Source<'_>,
) -> Result<Option<String>, QueryError> {
    match wanted {
        GraphRef::Home => Ok(None),
        GraphRef::Current => Ok(graph.map(str::to_owned)),
        GraphRef::Named(name) => catalog_path(name, schema, source).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        let name = |text: &&str| Name {
            text: (*text).to_owned(),
            span: Span::default(),
        };
        names.iter().map(name).collect()
    }

    fn path(schema: &SchemaRef) -> Result<String, String> {
        schema_path(schema, "/a/b", Source::new(""), Span::default()).map_err(|error| error.message)
    }

    #[test]
    fn relative_paths_begin_at_the_current_schema() {
        let up = |up, down: &[&str]| {
            path(&SchemaRef::Relative {
                up,
                down: names(down),
            })
        };
        assert_eq!(up(1, &["c"]), Ok("/a/c".to_owned()));
        assert_eq!(up(2, &[]), Ok("/".to_owned()));
        assert_eq!(up(2, &["x", "y"]), Ok("/x/y".to_owned()));
        assert_eq!(
            up(3, &[]),
            Err("/a/b has not that many schemas above it".to_owned())
        );
        assert_eq!(path(&SchemaRef::Absolute(names(&["x"]))), Ok("/x".to_owned()));
        assert_eq!(path(&SchemaRef::Absolute(Vec::new())), Ok("/".to_owned()));
        assert!(path(&SchemaRef::Absolute(names(&["x/y"]))).is_err());
    }
}
