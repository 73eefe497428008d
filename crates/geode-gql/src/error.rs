//! Errors that the text alone can cause.

use crate::{Source, Span};
use geode_types::{ErrorClass, QueryError};

/// GQLSTATUS of a form that Geode understands and does not offer: class 42 (syntax error or access rule violation), a subclass of ours.
pub const NOT_SUPPORTED: &str = "42N00";

/// An error of the syntax, placed in the text.
pub fn syntax_error(source: Source<'_>, span: Span, detail: &str, message: impl Into<String>) -> QueryError {
    QueryError::compile(ErrorClass::SyntaxError, detail, "42001", message).at(source.position(span))
}

/// A refusal of a form that belongs to the language and is not offered by this version.
pub fn not_supported(source: Source<'_>, span: Span, what: &str, instead: &str) -> QueryError {
    let message = format!("{what} is not supported by this version of Geode");
    QueryError::compile(
        ErrorClass::SyntaxError,
        "UnsupportedFeature",
        NOT_SUPPORTED,
        message,
    )
    .at(source.position(span))
    .hint(instead)
}
