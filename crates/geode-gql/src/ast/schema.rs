//! Indexes and constraints: what creates and drops them.

use super::{Name, ValueType};

/// A statement about an index or a constraint.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaCommand {
    /// `CREATE INDEX …` or `CREATE CONSTRAINT …`.
    Create(RuleDefinition),
    /// `DROP INDEX name [IF EXISTS]` or `DROP CONSTRAINT name [IF EXISTS]`.
    Drop {
        /// Whether a constraint was named, not an index.
        constraint: bool,
        /// Its name.
        name: Name,
        /// Nothing happens when there is none.
        if_exists: bool,
    },
}

/// An index or a constraint on the nodes with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDefinition {
    /// Its name; without one it gets one.
    pub name: Option<Name>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// The label.
    pub label: Name,
    /// The properties.
    pub keys: Vec<Name>,
    /// What it is.
    pub kind: RuleKind,
}

/// What a rule promises.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// An index.
    Index,
    /// `IS UNIQUE`.
    Unique,
    /// `IS [NODE] KEY`.
    NodeKey,
    /// `IS NOT NULL`.
    NotNull,
    /// `IS :: TYPE` or `IS TYPED TYPE`.
    Typed(ValueType),
}
