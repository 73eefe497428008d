//! Catalog statements (ISO/IEC 39075 clause 12) and the names of schemas and graphs (clause 17).

use super::{Expected, Parsed, Parser};
use crate::Span;
use crate::ast::{
    CatalogCommand, CatalogName, GraphRef, GraphTypeSource, IfThere, Name, SchemaRef, Statement,
};
use crate::token::{Sym, TokenKind};

/// What a name of the catalog may begin with.
const GRAPH_NAME: &str = "the name of a graph";

/// Words that are not reserved and begin a clause.
const CLAUSES: [&str; 6] = ["USE", "LET", "FOR", "FILTER", "FINISH", "NODETACH"];

/// What catalog statements are about.
#[derive(Clone, Copy, PartialEq)]
enum Object {
    Schema,
    Graph,
    GraphType,
}

impl Parser<'_> {
    /// Catalog statements, one behind the other; none when something else begins here.
    pub(super) fn catalog_statement(&mut self) -> Parsed<Option<Statement>> {
        let mut commands = Vec::new();
        while self.at_catalog_command() {
            commands.push(if self.at_keyword("CREATE") {
                self.create_object()?
            } else {
                self.drop_object()?
            });
        }
        Ok((!commands.is_empty()).then_some(Statement::Catalog(commands)))
    }

    /// `CREATE graph = (a)-->(b)` names a path, so an equals sign behind the word speaks against it.
    fn at_catalog_command(&self) -> bool {
        let create = self.at_keyword("CREATE");
        if !create && !self.at_keyword("DROP") {
            return false;
        }
        let replaces = create && self.keyword_at(1, "OR") && self.keyword_at(2, "REPLACE");
        let at = if replaces { 3 } else { 1 };
        let named = self.keyword_at(at, "SCHEMA")
            || self.keyword_at(at, "GRAPH")
            || (self.keyword_at(at, "PROPERTY") && self.keyword_at(at + 1, "GRAPH"));
        named && !self.symbol_at(at + 1, Sym::Equal)
    }

    fn object(&mut self) -> Parsed<Object> {
        if self.eat_keyword("SCHEMA") {
            return Ok(Object::Schema);
        }
        if !self.graph_keyword() {
            return Err(self.unexpected());
        }
        // A graph may be called `type`.
        let is_type = self.at_keyword("TYPE")
            && !matches!(
                self.peek(1).kind,
                TokenKind::End | TokenKind::Sym(Sym::Semicolon | Sym::LBrace)
            )
            && !["ANY", "LIKE", "TYPED", "AS"]
                .iter()
                .any(|word| self.keyword_at(1, word));
        if is_type {
            self.advance();
            return Ok(Object::GraphType);
        }
        Ok(Object::Graph)
    }

    fn create_object(&mut self) -> Parsed<CatalogCommand> {
        let start = self.expect_keyword("CREATE")?;
        let replaces = self.eat_keywords("OR", "REPLACE");
        let object = self.object()?;
        if replaces && object == Object::Schema {
            let message = "a schema cannot be replaced";
            return Err(self
                .error(self.since(start), "UnexpectedSyntax", message)
                .hint("write CREATE SCHEMA IF NOT EXISTS, or DROP SCHEMA first"));
        }
        let keeps = self.if_not_exists()?;
        if replaces && keeps {
            let message = "OR REPLACE and IF NOT EXISTS contradict each other";
            return Err(self.error(self.since(start), "UnexpectedSyntax", message));
        }
        let if_there = match (replaces, keeps) {
            (true, _) => IfThere::Replace,
            (_, true) => IfThere::Keep,
            _ => IfThere::Fail,
        };
        match object {
            Object::Schema => {
                let (schema, span) = self.schema_name()?;
                Ok(CatalogCommand::CreateSchema {
                    schema,
                    span,
                    keep: keeps,
                })
            }
            Object::Graph => self.create_graph(if_there),
            Object::GraphType => self.create_graph_type(if_there),
        }
    }

    fn create_graph(&mut self, if_there: IfThere) -> Parsed<CatalogCommand> {
        let name = self.catalog_name(GRAPH_NAME)?;
        self.refuse_sharding()?;
        let graph_type = match self.graph_type_source()? {
            Some(source) => source,
            None => {
                self.extension(
                    name.span,
                    "CREATE GRAPH without a graph type",
                    "CREATE GRAPH name ANY",
                );
                GraphTypeSource::Open
            }
        };
        let copy_of = if self.eat_keyword("AS") {
            self.expect_keyword("COPY")?;
            self.expect_keyword("OF")?;
            Some(self.graph_reference()?)
        } else {
            None
        };
        self.refuse_sharding()?;
        Ok(CatalogCommand::CreateGraph {
            name,
            if_there,
            graph_type,
            copy_of,
        })
    }

    fn refuse_sharding(&mut self) -> Parsed<()> {
        if !self.at_keyword("SHARD") {
            return Ok(());
        }
        let instead = "a graph lives on all members of its cluster; leave SHARD BY away";
        Err(self.not_supported(self.span(), "SHARD BY", instead))
    }

    fn refuse_colocation(&mut self) -> Parsed<()> {
        if !self.at_keyword("COLOCATE") {
            return Ok(());
        }
        let instead = "every member has all nodes of a graph; leave COLOCATE ON away";
        Err(self.not_supported(self.span(), "COLOCATE ON", instead))
    }

    fn create_graph_type(&mut self, if_there: IfThere) -> Parsed<CatalogCommand> {
        let name = self.catalog_name("the name of a graph type")?;
        self.eat_keyword("AS");
        let source = if self.at_symbol(Sym::LParen) {
            GraphTypeSource::Closed(self.node_types_in_parentheses()?)
        } else if self.eat_keywords("COPY", "OF") {
            GraphTypeSource::Named(self.catalog_name("the name of a graph type")?)
        } else if self.eat_keyword("LIKE") {
            GraphTypeSource::Like(self.graph_reference()?)
        } else if self.at_symbol(Sym::LBrace) {
            GraphTypeSource::Closed(self.graph_type_body()?)
        } else {
            return self.missing("'{' and element types");
        };
        self.refuse_colocation()?;
        Ok(CatalogCommand::CreateGraphType {
            name,
            if_there,
            source,
        })
    }

    /// The type of a graph that is created; none when nothing is said.
    fn graph_type_source(&mut self) -> Parsed<Option<GraphTypeSource>> {
        if self.eat_keyword("LIKE") {
            return Ok(Some(GraphTypeSource::Like(self.graph_reference()?)));
        }
        let typed = self.typed();
        if self.eat_keyword("ANY") {
            self.graph_keyword();
            return Ok(Some(GraphTypeSource::Open));
        }
        let graph = self.at_keyword("PROPERTY") && self.keyword_at(1, "GRAPH") || self.at_keyword("GRAPH");
        if graph {
            self.graph_keyword();
        }
        if self.at_symbol(Sym::LBrace) {
            return Ok(Some(GraphTypeSource::Closed(self.graph_type_body()?)));
        }
        if graph {
            self.expect_symbol(Sym::LBrace)?;
        }
        let is_name = match self.token().kind {
            TokenKind::QuotedName | TokenKind::Sym(Sym::Slash | Sym::Dot | Sym::DotDot) => true,
            TokenKind::Word => !["AS", "CREATE", "DROP", "SHARD"]
                .iter()
                .any(|word| self.at_keyword(word)),
            _ => false,
        };
        if is_name || typed {
            return Ok(Some(GraphTypeSource::Named(self.catalog_name("a graph type")?)));
        }
        self.expect_note(Expected::Thing("a graph type"));
        Ok(None)
    }

    /// `TYPED` or `::`.
    pub(super) fn typed(&mut self) -> bool {
        if self.at_symbol(Sym::Colon) && self.symbol_at(1, Sym::Colon) {
            self.advance();
            self.advance();
            return true;
        }
        self.eat_keyword("TYPED")
    }

    fn drop_object(&mut self) -> Parsed<CatalogCommand> {
        self.expect_keyword("DROP")?;
        let object = self.object()?;
        let if_exists = self.eat_keywords("IF", "EXISTS");
        match object {
            Object::Schema => {
                let (schema, span) = self.schema_name()?;
                Ok(CatalogCommand::DropSchema {
                    schema,
                    span,
                    if_exists,
                })
            }
            Object::Graph => Ok(CatalogCommand::DropGraph {
                name: self.catalog_name(GRAPH_NAME)?,
                if_exists,
            }),
            Object::GraphType => Ok(CatalogCommand::DropGraphType {
                name: self.catalog_name("the name of a graph type")?,
                if_exists,
            }),
        }
    }

    /// `[PROPERTY] GRAPH`.
    pub(super) fn graph_keyword(&mut self) -> bool {
        self.eat_keywords("PROPERTY", "GRAPH") || self.eat_keyword("GRAPH")
    }

    pub(super) fn if_not_exists(&mut self) -> Parsed<bool> {
        // A graph may be called `if`.
        if !(self.at_keyword("IF") && self.keyword_at(1, "NOT")) {
            return Ok(false);
        }
        self.advance();
        self.advance();
        self.expect_keyword("EXISTS")?;
        Ok(true)
    }

    /// The schema that a statement creates or drops. A name alone is below the root, an extension.
    fn schema_name(&mut self) -> Parsed<(SchemaRef, Span)> {
        let start = self.span();
        let schema = if matches!(self.token().kind, TokenKind::Word | TokenKind::QuotedName)
            && !self.at_keyword("CURRENT_SCHEMA")
            && !self.at_keyword("HOME_SCHEMA")
        {
            let mut names = vec![self.any_name("the path of a schema")?];
            while self.eat_symbol(Sym::Slash) || self.eat_symbol(Sym::Dot) {
                names.push(self.any_name("the name of a schema")?);
            }
            self.extension(start, "a schema without its path", "a path, such as /name");
            SchemaRef::Absolute(names)
        } else {
            self.schema_reference()?
        };
        Ok((schema, self.since(start)))
    }

    /// A schema: `/a/b`, `../a`, `.`, CURRENT_SCHEMA or HOME_SCHEMA (17.1).
    pub(super) fn schema_reference(&mut self) -> Parsed<SchemaRef> {
        if self.eat_symbol(Sym::Slash) {
            return Ok(SchemaRef::Absolute(self.path_names()?));
        }
        if self.eat_keyword("CURRENT_SCHEMA") || self.eat_symbol(Sym::Dot) {
            return Ok(SchemaRef::Current);
        }
        if self.eat_keyword("HOME_SCHEMA") {
            return Ok(SchemaRef::Home);
        }
        if self.at_symbol(Sym::DotDot) {
            return self.relative_schema();
        }
        self.missing("the path of a schema, such as /name")
    }

    fn relative_schema(&mut self) -> Parsed<SchemaRef> {
        let mut up = 0;
        loop {
            self.expect_symbol(Sym::DotDot)?;
            up += 1;
            if !(self.at_symbol(Sym::Slash) && self.symbol_at(1, Sym::DotDot)) {
                break;
            }
            self.advance();
        }
        let down = if self.eat_symbol(Sym::Slash) {
            self.path_names()?
        } else {
            Vec::new()
        };
        Ok(SchemaRef::Relative { up, down })
    }

    /// Names with slashes between them; none when there is no name.
    fn path_names(&mut self) -> Parsed<Vec<Name>> {
        let mut names = Vec::new();
        // `AT / RETURN 1`: a clause begins behind the root. A schema of that name is written in backticks.
        let is_clause = self.word_at(0).is_some_and(|word| {
            super::words::is_reserved(word) || CLAUSES.iter().any(|clause| clause.eq_ignore_ascii_case(word))
        });
        if is_clause || !matches!(self.token().kind, TokenKind::Word | TokenKind::QuotedName) {
            return Ok(names);
        }
        names.push(self.any_name("a name")?);
        while self.eat_symbol(Sym::Slash) {
            names.push(self.any_name("a name")?);
        }
        Ok(names)
    }

    /// The name of a graph or a graph type, with or without its schema.
    fn catalog_name(&mut self, what: &'static str) -> Parsed<CatalogName> {
        let start = self.span();
        let at_schema = matches!(
            self.token().kind,
            TokenKind::Sym(Sym::Slash | Sym::Dot | Sym::DotDot)
        ) || self.at_keyword("CURRENT_SCHEMA")
            || self.at_keyword("HOME_SCHEMA");
        let (schema, name) = if at_schema {
            match self.schema_reference()? {
                SchemaRef::Absolute(mut names) => {
                    let Some(name) = names.pop() else {
                        return self.missing(what);
                    };
                    (Some(SchemaRef::Absolute(names)), name)
                }
                SchemaRef::Relative { up, mut down } => {
                    let Some(name) = down.pop() else {
                        return self.missing(what);
                    };
                    (Some(SchemaRef::Relative { up, down }), name)
                }
                known => {
                    self.eat_symbol(Sym::Slash);
                    (Some(known), self.any_name(what)?)
                }
            }
        } else {
            let mut names = vec![self.any_name(what)?];
            while self.eat_symbol(Sym::Dot) {
                names.push(self.any_name(what)?);
            }
            match names.pop() {
                Some(name) if names.is_empty() => (None, name),
                Some(name) => (Some(SchemaRef::Absolute(names)), name),
                None => return self.missing(what),
            }
        };
        Ok(CatalogName {
            schema,
            name,
            span: self.since(start),
        })
    }

    /// A graph: by name, or the session's (11.1, 17.2).
    pub(super) fn graph_reference(&mut self) -> Parsed<GraphRef> {
        if self.eat_keyword("HOME_GRAPH") || self.eat_keyword("HOME_PROPERTY_GRAPH") {
            return Ok(GraphRef::Home);
        }
        if self.eat_keyword("CURRENT_GRAPH") || self.eat_keyword("CURRENT_PROPERTY_GRAPH") {
            return Ok(GraphRef::Current);
        }
        self.catalog_name(GRAPH_NAME).map(GraphRef::Named)
    }
}
