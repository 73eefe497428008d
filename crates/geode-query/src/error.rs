//! The errors of binding and running, each with its GQLSTATUS (ISO/IEC 39075 clause 23; subclasses `5GL..` and `42N..` are ours).

use geode_types::temporal::TemporalError;
use geode_types::{ErrorClass, QueryError};

/// A value of the wrong type: 22G03, invalid value type.
pub(crate) fn type_error(detail: &str, message: impl Into<String>) -> QueryError {
    QueryError::runtime(ErrorClass::TypeError, detail, "22G03", message)
}

/// A value of the right type with the wrong content: 22000, data exception.
pub(crate) fn argument(detail: &str, message: impl Into<String>) -> QueryError {
    QueryError::runtime(ErrorClass::ArgumentError, detail, "22000", message)
}

/// What cannot be a date, a time or a duration.
pub(crate) fn temporal(error: &TemporalError) -> QueryError {
    let detail = match error {
        TemporalError::OutOfRange { .. } => "NumberOutOfRange",
        _ => "InvalidArgumentValue",
    };
    QueryError::runtime(
        ErrorClass::ArgumentError,
        detail,
        error.gqlstatus(),
        error.to_string(),
    )
}

/// 22003, a decimal number beyond 28 digits.
pub(crate) fn decimal_overflow(what: &str) -> QueryError {
    QueryError::runtime(
        ErrorClass::ArithmeticError,
        "DecimalOverflow",
        "22003",
        format!("{what} leaves the range of decimal numbers"),
    )
    .hint("convert an operand with toFloat() if an approximation will do")
}

/// 22003, numeric value out of range.
pub(crate) fn overflow(what: &str) -> QueryError {
    QueryError::runtime(
        ErrorClass::ArithmeticError,
        "IntegerOverflow",
        "22003",
        format!("{what} leaves the range of 64-bit integers"),
    )
    .hint("convert an operand with toFloat() if an approximation will do")
}

/// 22012, division by zero.
pub(crate) fn division_by_zero() -> QueryError {
    QueryError::runtime(
        ErrorClass::ArithmeticError,
        "DivisionByZero",
        "22012",
        "an integer is divided by zero",
    )
    .hint("guard it: CASE WHEN divisor <> 0 THEN … END, or nullif(divisor, 0)")
}

/// A named limit was reached.
pub(crate) fn limit(detail: &str, message: impl Into<String>) -> QueryError {
    QueryError::runtime(ErrorClass::LimitError, detail, "5GL10", message)
}

/// A node or edge that this transaction or an earlier one deleted: 22G12.
pub(crate) fn deleted(what: &str) -> QueryError {
    let message = format!("{what} has been deleted");
    QueryError::runtime(
        ErrorClass::EntityNotFound,
        "DeletedEntityAccess",
        "22G12",
        message,
    )
    .hint("compute what you need of it with WITH before the DELETE")
}

/// 22G03, invalid value type.
pub(crate) const INVALID_VALUE_TYPE: &str = "22G03";
