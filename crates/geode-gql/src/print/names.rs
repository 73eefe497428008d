//! Names that are read back as names: in backticks where the grammar would take them for something else.

use crate::ast::Name;
use std::fmt::{self, Display, Formatter};

/// Words that mean something where a variable can stand, or right behind one. More than necessary: backticks change nothing.
const WORDS: &[&str] = &[
    "ACYCLIC",
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "ASCENDING",
    "ASSERT",
    "AT",
    "BEGIN",
    "BINDING",
    "BINDINGS",
    "BOTH",
    "BTREE",
    "BY",
    "CALL",
    "CASE",
    "CAST",
    "CHARACTERISTICS",
    "CHECKPOINT",
    "CLOSE",
    "COLLECT",
    "COLOCATE",
    "COMMIT",
    "CONNECTING",
    "CONSTRAINT",
    "CONTAINS",
    "COPY",
    "COUNT",
    "CREATE",
    "CURRENT_GRAPH",
    "CURRENT_PROPERTY_GRAPH",
    "CURRENT_SCHEMA",
    "DELETE",
    "DESC",
    "DESCENDING",
    "DESTINATION",
    "DETACH",
    "DIFFERENT",
    "DIRECTED",
    "DISTINCT",
    "DROP",
    "EDGE",
    "EDGES",
    "ELEMENT",
    "ELEMENTS",
    "ELSE",
    "END",
    "ENDS",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FINISH",
    "FIRST",
    "FOR",
    "FOREACH",
    "FROM",
    "FULLTEXT",
    "GRANT",
    "GRAPH",
    "GROUP",
    "GROUPS",
    "HAVING",
    "HOME_GRAPH",
    "HOME_PROPERTY_GRAPH",
    "HOME_SCHEMA",
    "IF",
    "IN",
    "INDEX",
    "INSERT",
    "INTERSECT",
    "IS",
    "JSON",
    "KILL",
    "LABEL",
    "LABELED",
    "LABELS",
    "LAST",
    "LEADING",
    "LET",
    "LIKE",
    "LIMIT",
    "LOAD",
    "LOOKUP",
    "MATCH",
    "MERGE",
    "NEXT",
    "NODE",
    "NODETACH",
    "NORMALIZED",
    "NOT",
    "NULL",
    "NULLS",
    "OF",
    "OFFSET",
    "ON",
    "OPTIONAL",
    "OR",
    "ORDER",
    "ORDINALITY",
    "OTHERWISE",
    "PARAMETER",
    "PARAMETERS",
    "PATH",
    "PATHS",
    "POINT",
    "PROFILE",
    "PROPERTY",
    "RANGE",
    "READ",
    "RECORD",
    "RELATIONSHIP",
    "RELATIONSHIPS",
    "RELEASE",
    "REMOVE",
    "REPEATABLE",
    "REPLACE",
    "REQUIRE",
    "RESET",
    "RETURN",
    "REVOKE",
    "ROLE",
    "ROLLBACK",
    "SAVEPOINT",
    "SCHEMA",
    "SELECT",
    "SESSION",
    "SET",
    "SHARD",
    "SHORTEST",
    "SHOW",
    "SIMPLE",
    "SKIP",
    "SOURCE",
    "START",
    "STARTS",
    "SYSTEM",
    "TABLE",
    "TEXT",
    "THEN",
    "TIME",
    "TO",
    "TRAIL",
    "TRAILING",
    "TRANSACTION",
    "TRUE",
    "TYPE",
    "TYPED",
    "UNDIRECTED",
    "UNION",
    "UNIQUE",
    "UNKNOWN",
    "UNWIND",
    "USE",
    "USER",
    "VALUE",
    "VECTOR",
    "VERTEX",
    "WALK",
    "WHEN",
    "WHERE",
    "WITH",
    "WORK",
    "XOR",
    "YIELD",
    "ZONE",
];

/// A name where a word of the grammar could stand, too: a variable's, a graph's, an index's.
pub(super) struct Bare<'a>(pub &'a str);

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let means_something = WORDS.iter().any(|word| word.eq_ignore_ascii_case(self.0));
        if means_something {
            in_backticks(self.0, f)
        } else {
            write!(f, "{}", Key(self.0))
        }
    }
}

/// A name where only a name can stand: a property's, a label's.
pub(super) struct Key<'a>(pub &'a str);

impl Display for Key<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        let begins = characters.next().is_some_and(|c| c == '_' || c.is_alphabetic());
        if begins && characters.all(|c| c == '_' || c.is_alphanumeric()) {
            f.write_str(self.0)
        } else {
            in_backticks(self.0, f)
        }
    }
}

/// A name that has to be in backticks, whatever it is.
pub(super) fn in_backticks(name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "`{}`", name.replace('`', "``"))
}

/// As the name of a variable, which is what most names are.
impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Bare(&self.text))
    }
}

/// The name of a parameter behind its `$`.
pub(super) struct Parameter<'a>(pub &'a str);

impl Display for Parameter<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        if !self.0.is_empty() && self.0.chars().all(|c| c == '_' || c.is_alphanumeric()) {
            f.write_str(self.0)
        } else {
            in_backticks(self.0, f)
        }
    }
}
