//! GQL text → syntax tree with positions.
//!
//! One grammar reads ISO/IEC 39075:2024 and the Cypher-like forms; [`Dialect`] only decides the few points where they contradict
//! each other. Text comes in, a [`Statement`] or a [`geode_types::QueryError`] with line, column and hint goes out. Nothing here
//! knows a catalog, a graph or a transaction: what a name means is the binder's business (`geode-query`).

pub mod ast;
pub mod conformance;
mod error;
mod extension;
mod lexer;
mod literal;
mod parser;
mod print;
mod sexpr;
mod span;
mod token;

pub use ast::Statement;
pub use error::{NOT_SUPPORTED, not_supported, syntax_error};
pub use extension::Extension;
pub use parser::{MAX_NESTING, MAX_SUBQUERY_NESTING, parse, parse_and_flag};
pub use sexpr::{expression_to_sexpr, to_sexpr};
pub use span::{Source, Span};

/// The longest statement that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Which language decides where GQL and Cypher contradict each other. The list is complete:
///
/// | point | `Gql` | `Cypher` |
/// |---|---|---|
/// | `sum()` over no values | null | 0 |
/// | what `CALL { … }` without a list of variables sees | every variable | those of the `WITH` that begins it |
///
/// Everything else reads and means the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// ISO/IEC 39075.
    #[default]
    Gql,
    /// openCypher.
    Cypher,
}
