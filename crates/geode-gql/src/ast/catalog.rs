//! The catalog: schemas, graphs and graph types (ISO/IEC 39075 clauses 12, 17 and 18).

use super::{Name, ValueType};
use crate::Span;

/// A schema: a path of names, or one that the session knows.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaRef {
    /// `HOME_SCHEMA`.
    Home,
    /// `CURRENT_SCHEMA` or `.`.
    Current,
    /// `/a/b`; `/` alone has no names.
    Absolute(Vec<Name>),
    /// `../a`: so many steps up from the current schema, then down again.
    Relative {
        /// Steps up.
        up: usize,
        /// Names below.
        down: Vec<Name>,
    },
}

/// The name of a graph or a graph type, with the schema it is in when that is not the current one.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogName {
    /// `None`: the current schema.
    pub schema: Option<SchemaRef>,
    /// Its own name.
    pub name: Name,
    /// The whole of it.
    pub span: Span,
}

/// A graph.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphRef {
    /// `HOME_GRAPH`, `HOME_PROPERTY_GRAPH`.
    Home,
    /// `CURRENT_GRAPH`, `CURRENT_PROPERTY_GRAPH`.
    Current,
    /// By name.
    Named(CatalogName),
}

/// What happens when something of that name is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// An error.
    Fail,
    /// `IF NOT EXISTS`: it stays.
    Keep,
    /// `OR REPLACE`: it goes.
    Replace,
}

/// Changes the catalog.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogCommand {
    /// `CREATE SCHEMA [IF NOT EXISTS] path`.
    CreateSchema {
        /// Which.
        schema: SchemaRef,
        /// Where it is named.
        span: Span,
        /// `IF NOT EXISTS`.
        keep: bool,
    },
    /// `DROP SCHEMA [IF EXISTS] path`.
    DropSchema {
        /// Which.
        schema: SchemaRef,
        /// Where it is named.
        span: Span,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CREATE [OR REPLACE] [PROPERTY] GRAPH [IF NOT EXISTS] name …`.
    CreateGraph {
        /// Its name.
        name: CatalogName,
        /// When it is there.
        if_there: IfThere,
        /// What may be in it.
        graph_type: GraphTypeSource,
        /// `AS COPY OF graph`: what is in it at first.
        copy_of: Option<GraphRef>,
    },
    /// `DROP [PROPERTY] GRAPH [IF EXISTS] name`.
    DropGraph {
        /// Which.
        name: CatalogName,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CREATE [OR REPLACE] [PROPERTY] GRAPH TYPE [IF NOT EXISTS] name …`.
    CreateGraphType {
        /// Its name.
        name: CatalogName,
        /// When it is there.
        if_there: IfThere,
        /// What it is.
        source: GraphTypeSource,
    },
    /// `DROP [PROPERTY] GRAPH TYPE [IF EXISTS] name`.
    DropGraphType {
        /// Which.
        name: CatalogName,
        /// `IF EXISTS`.
        if_exists: bool,
    },
}

/// Where a graph's type comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphTypeSource {
    /// `ANY`: everything may be in the graph (an open graph type, feature GG01).
    Open,
    /// A graph type by name.
    Named(CatalogName),
    /// `LIKE graph`: the type of another graph.
    Like(GraphRef),
    /// `{ … }`: a closed graph type (GG02).
    Closed(GraphTypeBody),
}

/// The element types of a closed graph type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphTypeBody {
    /// Node types.
    pub nodes: Vec<NodeType>,
    /// Edge types.
    pub edges: Vec<EdgeType>,
}

/// A node type.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeType {
    /// Its name, for edge types to say.
    pub name: Option<Name>,
    /// A name for edge types of the same graph type only.
    pub alias: Option<Name>,
    /// Its labels.
    pub labels: Vec<Name>,
    /// Its properties.
    pub properties: Vec<PropertyDefinition>,
    /// Where.
    pub span: Span,
}

/// An edge type; it is directed.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeType {
    /// Its name.
    pub name: Option<Name>,
    /// Its label.
    pub label: Name,
    /// Its properties.
    pub properties: Vec<PropertyDefinition>,
    /// Where it starts.
    pub source: EndpointType,
    /// Where it ends.
    pub target: EndpointType,
    /// Where.
    pub span: Span,
}

/// The node type at an end of an edge type.
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointType {
    /// By alias or name.
    Named(Name),
    /// By labels: `(:A&B)`.
    Labels(Vec<Name>, Span),
}

/// A property of an element type.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyDefinition {
    /// Its name.
    pub name: Name,
    /// The type of its values; with `NOT NULL` it must be there.
    pub value_type: ValueType,
    /// Where the type stands.
    pub span: Span,
}
