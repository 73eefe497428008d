//! The error that a statement ends with, as every interface shows it (design.md section 6).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The families of errors that drivers and test harnesses tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorClass {
    /// The text is not GQL, or names what cannot stand there.
    SyntaxError,
    /// The statement is well-formed but has no meaning.
    SemanticError,
    /// A `$parameter` has no value.
    ParameterMissing,
    /// A constraint could not be checked or created.
    ConstraintVerificationFailed,
    /// The change would break a constraint (also: a node that still has edges is deleted).
    ConstraintValidationFailed,
    /// A node or edge is gone.
    EntityNotFound,
    /// A property that must exist does not.
    PropertyNotFound,
    /// A label that must exist does not.
    LabelNotFound,
    /// A value has the wrong type.
    TypeError,
    /// A value has the right type and a wrong content.
    ArgumentError,
    /// Division by zero, overflow.
    ArithmeticError,
    /// A procedure failed or does not exist.
    ProcedureError,
    /// Two transactions changed the same thing; the loser may simply be run again.
    ConflictError,
    /// The user is unknown, the password is wrong, or the right is missing.
    SecurityError,
    /// The cluster cannot do it now: no leader, no quorum, read-only, shutting down.
    UnavailableError,
    /// A limit with a name was reached.
    LimitError,
    /// A fault of Geode.
    InternalError,
}

/// When an error was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Before anything ran.
    #[serde(rename = "compile time")]
    CompileTime,
    /// While it ran.
    #[serde(rename = "runtime")]
    Runtime,
}

/// What became of a write that did not end with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is certain that nothing was written.
    Failed,
    /// It may have been written; only the same request, repeated, tells.
    Unknown,
}

/// A place in a statement, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a statement failed: what is wrong, where, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct QueryError {
    /// The family.
    pub class: ErrorClass,
    /// Before or while it ran.
    pub phase: Phase,
    /// A stable word for programs, such as `UndefinedVariable` (openCypher's details where they exist).
    pub detail: String,
    /// One sentence for people.
    pub message: String,
    /// ISO/IEC 39075 clause 23: class and subclass, five characters.
    pub gqlstatus: String,
    /// Where, when the text is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// For a write: whether it can have happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl QueryError {
    /// An error found before the statement ran.
    pub fn compile(class: ErrorClass, detail: &str, gqlstatus: &str, message: impl Into<String>) -> Self {
        Self::new(class, Phase::CompileTime, detail, gqlstatus, message)
    }

    /// An error found while the statement ran.
    pub fn runtime(class: ErrorClass, detail: &str, gqlstatus: &str, message: impl Into<String>) -> Self {
        Self::new(class, Phase::Runtime, detail, gqlstatus, message)
    }

    fn new(
        class: ErrorClass,
        phase: Phase,
        detail: &str,
        gqlstatus: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            class,
            phase,
            detail: detail.to_owned(),
            message: message.into(),
            gqlstatus: gqlstatus.to_owned(),
            position: None,
            hint: None,
            outcome: None,
        }
    }

    /// Says where in the text.
    pub fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// Says what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says whether a write can have happened.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} [{}]: {}", self.class, self.gqlstatus, self.message)?;
        if let Some(position) = self.position {
            write!(f, " ({position})")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
